"""From a movie to a table: read ahead, detect, keep every finished chunk, put the whole in place at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__, formats
from napari_subpixel.brightness import estimating_molecule_photons
from napari_subpixel.camera import Camera
from napari_subpixel.detector import Detector, Roi, checked_roi
from napari_subpixel.domain import Domain
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.estimate import NO_SIGMA_PX, microscope_of
from napari_subpixel.files import atomic_output, write_failure
from napari_subpixel.formats import parquet
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.spots import Elongation, measuring_elongation
from napari_subpixel.stacks import Stack, check_finite
from napari_subpixel.steps import exhausted, in_silence

#: Pixels of a chunk of frames, the unit that is read, detected and kept; a function of the frame's shape alone, so
#: that every run over a movie has the same chunks.
CHUNK_PIXELS = 1 << 20
#: Fields of a camera that turn ADU into photons: where all have their defaults, the camera was not given.
CAMERA_GAIN = ("baseline", "electrons_per_adu", "em_gain", "quantum_efficiency")
#: More points than this per pixel and frame are noise: the most crowded training data have 0.06.
TOO_CROWDED = 0.12
#: Single spots whose axes usually differ from their mean by more than this share are not round: a model for many
#: microscopes has seen those of a quarter of its samples scatter by up to 0.2, half of which lie within 0.135.
ELONGATED = 0.15


@dataclass(frozen=True)
class DetectionJob:
    """One movie to be detected, and how.

    Attributes
    ----------
    stack : Stack
        The movie.
    detector : Detector
    camera : Camera
        Its pixel size, where it has one, goes before that of the movie's metadata.
    frames : (int, int), optional
        First frame and the one after the last; all frames if not given.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frame, ends excluded.
    sigma_px : float, optional
        Standard deviation of the point spread function in pixels, for a model that asks for it.
    molecule_photons : float
        What a usual molecule gives in a frame, for the same; 0 where it is not known.
    assumed : tuple of str
        What was estimated of the microscope and not given, in words, for the provenance.
    cautions : tuple of str
        In what the movie is seen beforehand to lie outside of what the model knows, in words.
    chunk_pixels : int, optional
        Pixels of a chunk; `CHUNK_PIXELS` if not given.
    """

    stack: Stack
    detector: Detector
    camera: Camera = field(default_factory=Camera)
    frames: tuple[int, int] | None = None
    roi: Roi | None = None
    sigma_px: float | None = None
    molecule_photons: float = 0.0
    assumed: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    chunk_pixels: int | None = None

    def __post_init__(self) -> None:
        self.camera.check_fits(self.stack.frame_shape)
        checked_roi(self.roi, self.stack.frame_shape)
        start, stop = self.span
        if start >= stop:
            raise InputError(f"{self.stack.name}: frames {start}:{stop} hold none: the first lies before the end")
        if not 0 <= start < stop <= self.stack.n_frames:
            raise InputError(
                f"{self.stack.name}: frames {start}:{stop} do not lie within the movie's 0:{self.stack.n_frames}"
            )
        if self.detector.measures and self.sigma_px is None:
            raise InputError(
                f"{self.stack.name}: the model {self.detector.card.name} needs the width of the point spread function"
            )

    @property
    def span(self) -> tuple[int, int]:
        """First frame and the one after the last."""
        return self.frames or (0, self.stack.n_frames)

    @property
    def chunk_frames(self) -> int:
        """Frames of a chunk."""
        height, width = self.stack.frame_shape
        return max(1, (self.chunk_pixels or CHUNK_PIXELS) // (height * width))

    @property
    def starts(self) -> range:
        """First frames of the chunks."""
        return range(*self.span, self.chunk_frames)

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size of the camera, else of the movie's metadata."""
        return self.camera.pixel_size_nm or self.stack.pixel_size_nm

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything the table has to say of where it comes from."""
        return {
            "program": f"napari-subpixel {__version__}",
            "movie": self.stack.name,
            **self.detector.provenance,
            "camera": self.camera.summary(),
            **(self._microscope if self.detector.measures else {}),
            "frames": list(self.span),
            "roi": [list(side) for side in self.roi] if self.roi else None,
        }

    @property
    def _microscope(self) -> dict[str, Any]:
        return {
            "sigma_px": self.sigma_px, "molecule_photons": self.molecule_photons, "assumed": list(self.assumed)
        }  # fmt: skip

    def complete(self, table: Localizations) -> Localizations:
        """Give a table of this movie the movie's pixel size, shape, length and provenance."""
        return table.with_about(
            pixel_size_nm=self.pixel_size_nm,
            frame_shape=self.stack.frame_shape,
            n_frames=self.stack.n_frames,
            provenance=self.provenance,
        )


def job_for(
    stack: Stack,
    detector: Detector,
    camera: Camera | None = None,
    *,
    psf: GaussianPSF | None = None,
    estimate_camera: bool | None = None,
    frames: tuple[int, int] | None = None,
    roi: Roi | None = None,
) -> DetectionJob:
    """Return a job; what the detector has to know of the microscope and is not given is estimated from the movie.

    Parameters
    ----------
    stack : Stack
    detector : Detector
    camera : Camera, optional
    psf : GaussianPSF, optional
        The point spread function.
    estimate_camera : bool, optional
        Whether the camera's baseline and gain are not known; without it, they are not where they have their defaults.
    frames, roi
        As in `DetectionJob`.

    Raises
    ------
    InputError
        If the movie does not say what is asked of it, or the PSF is given and the pixel size is not known.
    """
    return exhausted(
        preparing(stack, detector, camera, psf=psf, estimate_camera=estimate_camera, frames=frames, roi=roi)
    )


def preparing(
    stack: Stack,
    detector: Detector,
    camera: Camera | None = None,
    *,
    psf: GaussianPSF | None = None,
    estimate_camera: bool | None = None,
    frames: tuple[int, int] | None = None,
    roi: Roi | None = None,
) -> Generator[None, None, DetectionJob]:
    """Make a job as `job_for` does, step by step, for whoever may stop: the estimates take a while."""
    camera = camera or Camera()
    draft = DetectionJob(stack, detector, camera, frames, roi, sigma_px=NO_SIGMA_PX)  # refuses at once what it can
    if not detector.measures:
        return replace(draft, sigma_px=None)
    if estimate_camera is None:
        estimate_camera = all(np.array_equal(getattr(camera, name), getattr(Camera(), name)) for name in CAMERA_GAIN)
    size = camera.pixel_size_nm or stack.pixel_size_nm
    if psf is not None and size is None:
        raise PixelSizeError(f"{stack.name}: the width of the PSF is given in nm, and the pixel size is not known")
    sigma_px = psf.sigma_px(size) if psf is not None and size is not None else None
    known = microscope_of(stack, camera, sigma_px, estimate_gain=estimate_camera)
    usual = yield from estimating_molecule_photons(stack, detector, known.camera, known.sigma_px)
    told = f"brightness from the movie: a molecule gives {usual:,.0f} photons in a frame"
    assumed = (*known.assumed, told) if usual else known.assumed
    return replace(
        draft,
        camera=known.camera,
        sigma_px=known.sigma_px,
        molecule_photons=usual,
        assumed=assumed,
        cautions=_cautions((yield from in_silence(measuring_elongation(stack, known.camera)))),
    )


def _cautions(spots: Elongation | None) -> tuple[str, ...]:
    """Say what of a movie is not as a model of round molecules expects."""
    if spots is None or spots.half_log_ratio <= ELONGATED:
        return ()
    return (
        f"single spots are not round, but usually {spots.long_px:.1f} by {spots.short_px:.1f} px wide, as through an "
        "astigmatic lens or out of focus: one may be taken for several molecules",
    )


class Chunk(NamedTuple):
    """The molecules of the frames `start` up to but without `stop`."""

    start: int
    stop: int
    table: Localizations


def detect(job: DetectionJob, *, starts: Iterable[int] | None = None) -> Generator[Chunk, None, None]:
    """Detect a movie chunk by chunk, reading the next chunk meanwhile.

    Parameters
    ----------
    job : DetectionJob
    starts : iterable of int, optional
        First frames of the chunks to detect; all of `job.starts` if not given.

    Yields
    ------
    Chunk

    Raises
    ------
    InputError
        If a frame cannot be read or holds values that are not finite.
    """
    pending = list(job.starts if starts is None else starts)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        upcoming = reader.submit(_read, job, pending[0]) if pending else None
        for here, start in enumerate(pending):
            assert upcoming is not None
            frames = upcoming.result()
            if here + 1 < len(pending):
                upcoming = reader.submit(_read, job, pending[here + 1])
            found = job.detector.detect(
                frames,
                first_frame=start,
                roi=job.roi,
                camera=job.camera,
                sigma_px=job.sigma_px,
                molecule_photons=job.molecule_photons,
            )
            yield Chunk(start, start + len(frames), job.complete(found))


def detect_all(job: DetectionJob) -> Localizations:
    """Detect a whole movie into one table in memory."""
    return with_warnings(job, concat([chunk.table for chunk in detect(job)]))


def detect_to_file(
    job: DetectionJob, output: Path, *, resume: bool = False, overwrite: bool = False
) -> Generator[Chunk, None, Localizations]:
    """Detect a movie into a file, which appears only when it is whole; finished chunks wait beside it.

    Parameters
    ----------
    job : DetectionJob
    output : Path
        Table to write; its suffix chooses the format.
    resume : bool
        Go on from the chunks that an interrupted run left; with none, just start.
    overwrite : bool
        Replace an existing table, and drop what an interrupted run left.

    Yields
    ------
    Chunk
        Every chunk once it is kept; the table is in place when the generator ends.

    Returns
    -------
    Localizations
        The whole table, chunks of the run that was resumed included: the value of the generator.

    Raises
    ------
    InputError
        If the output may not or cannot be written, its format needs a pixel size that is not known, or what is there
        to resume came from another movie or other settings.
    """
    overwrite_files = check_output(job.stack, job.camera, output, resume=resume, overwrite=overwrite)
    journal = Journal.beside(output)
    journal.open(job, resume=resume, overwrite=overwrite)
    with closing(detect(job, starts=[s for s in job.starts if not journal.has(s)])) as chunks:
        for chunk in chunks:
            journal.keep(chunk)
            yield chunk
    table = with_warnings(job, job.complete(journal.whole(job.starts)))
    formats.write(output, table, overwrite=overwrite_files)
    journal.remove()
    return table


def check_output(stack: Stack, camera: Camera | None, output: Path, *, resume: bool, overwrite: bool) -> bool:
    """Raise `InputError` now if `detect_to_file` would refuse this output: before the estimates, not after them.

    Returns
    -------
    bool
        Whether a file that is there is replaced.
    """
    journal = Journal.beside(output)
    journal.check_free(resume=resume, overwrite=overwrite)
    # A run that was killed while it put its files in place may have left one of two.
    overwrite_files = overwrite or (resume and journal.folder.exists() and not output.exists())
    formats.check_can_write(output, overwrite=overwrite_files)
    known = (camera and camera.pixel_size_nm) or stack.pixel_size_nm
    if known is None and formats.format_for(output).in_nm:
        raise PixelSizeError(
            f"{stack.name}: the movie does not say its pixel size, which a {output.suffix} in nm needs: "
            "give --pixel-size-nm or a camera file"
        )
    return overwrite_files


def crowding_warning(job: DetectionJob, n_points: int, n_frames: int) -> str | None:
    """Say so where there are more points than molecules can be told apart: the model does not fit the movie.

    Parameters
    ----------
    job : DetectionJob
    n_points, n_frames : int
        Points found, and the frames that they were found in.

    Returns
    -------
    str or None
        A sentence that names the movie and the model; None where all is well.
    """
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    per_frame = n_points / max(n_frames, 1)
    crowding = per_frame / ((y1 - y0) * (x1 - x0))
    if crowding <= TOO_CROWDED:
        return None
    card = job.detector.card
    return (
        f"{job.stack.name}: too many points: {per_frame:.0f} a frame, {crowding:.2f} a pixel, are more than molecules "
        f"can be told apart. Is this movie like those that the model {card.name} knows? Its limits: {card.limits}"
    )


def out_of_domain(job: DetectionJob, table: Localizations) -> list[str]:
    """Say in words in what a movie lies outside the domain of the model that detected it.

    Parameters
    ----------
    job : DetectionJob
    table : Localizations
        What was found in the whole movie.

    Returns
    -------
    list of str
        Empty where all lies within, and for a model without a domain.
    """
    outside = [*job.cautions, *_outside(job, table)]
    return [f"outside what the model {job.detector.card.name} was trained on: {what}" for what in outside]


def _outside(job: DetectionJob, table: Localizations) -> list[str]:
    card = job.detector.card
    if not card.domain or not job.detector.measures:
        return []
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    start, stop = job.span
    seen = {
        "sigma_px": float(job.sigma_px or 0),
        "density_per_px": len(table) / ((stop - start) * (y1 - y0) * (x1 - x0)),
    }
    if len(table):
        seen |= {name: float(np.median(table[name])) for name in ("photons", "background")}
    return Domain.from_dict(card.domain).outside(**seen)


def with_warnings(job: DetectionJob, table: Localizations, threshold: float = 0.0) -> Localizations:
    """Return the table of a whole movie, with what `out_of_domain` says in its provenance as ``warnings``.

    Points below the threshold do not count: who shows fewer points than the table holds names it.
    """
    warnings = out_of_domain(job, table.select(table["probability"] >= threshold))
    return table.with_about(provenance={**table.provenance, "warnings": warnings}) if warnings else table


class Journal:
    """Finished chunks of an unfinished run, in the folder ``OUTPUT.partial`` beside the output.

    Every chunk is a native table, put in place at once when it is whole; ``job.json`` says what it belongs to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, output: Path) -> Journal:
        """Return the journal of an output, there or not."""
        return cls(output.with_name(output.name + ".partial"))

    def open(self, job: DetectionJob, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, or take over the one that is there if it belongs to this job."""
        about = json.loads(json.dumps({**job.provenance, "fingerprint": job.stack.fingerprint()}))
        if self.folder.exists() and resume:
            self._check_same(about)
        else:
            self.check_free(resume=resume, overwrite=overwrite)
            self.remove()
        try:
            self.folder.mkdir(exist_ok=True)
            with atomic_output(self.folder / "job.json") as draft:
                draft.write_text(json.dumps(about, indent=1), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.folder}: {write_failure(error)}") from None

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Raise `InputError` if an interrupted run left its folder, and nobody said what becomes of it."""
        if self.folder.exists() and not (resume or overwrite):
            raise InputError(f"{self.folder}: an interrupted run left this; --resume goes on, --overwrite starts anew")

    def _check_same(self, about: dict[str, Any]) -> None:
        try:
            before = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        before = before if isinstance(before, dict) else {}
        for name, value in about.items():
            if before.get(name) != value:
                raise InputError(
                    f"{self.folder}: the interrupted run had another {name} ({before.get(name)}, now "
                    f"{value}); --overwrite starts anew"
                )

    def has(self, start: int) -> bool:
        """Say whether the chunk that starts at this frame is finished."""
        return self._path(start).exists()

    def keep(self, chunk: Chunk) -> None:
        """Keep a finished chunk."""
        parquet.write(self._path(chunk.start), chunk.table)

    def whole(self, starts: Iterable[int]) -> Localizations:
        """Join the chunks that start at these frames."""
        return concat([parquet.read(self._path(start)) for start in starts])

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, start: int) -> Path:
        return self.folder / f"frames-{start:09d}.parquet"


def _read(job: DetectionJob, start: int) -> NDArray[np.generic]:
    frames = job.stack.read(start, min(start + job.chunk_frames, job.span[1]))
    check_finite(frames, start, job.stack.name)
    return frames
