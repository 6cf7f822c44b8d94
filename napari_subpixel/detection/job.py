"""One movie to be detected, and how: what is not given of its microscope is estimated from it."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.generators import in_silence, stepwise
from napari_subpixel.calibration import Elongation, measure_elongation
from napari_subpixel.calibration.bad_pixels import BadPixels, find_bad_pixels
from napari_subpixel.calibration.camera_estimate import ASSUMED
from napari_subpixel.calibration.frame_sample import sampled_frames
from napari_subpixel.calibration.microscope import microscope_of
from napari_subpixel.calibration.psf_width import DEFAULT_SIGMA_PX
from napari_subpixel.calibration.saturation import find_saturation
from napari_subpixel.calibration.static_edges import find_static_edges
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import (
    PixelSize,
    Roi,
    checked_pixel_size,
    checked_roi,
    pixel_ratio,
    pixel_size_misfit,
    pixel_size_text,
    pixel_size_yx,
)
from napari_subpixel.detection import chunks
from napari_subpixel.detection.brightness import estimate_brightness
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.mending import Mending, mended
from napari_subpixel.detection.options import DetectionOptions, checked_options
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.models import ModelCard
from napari_subpixel.psf import typable_sigma
from napari_subpixel.stacks import Stack

#: What the identity of a job has that follows a movie while it is written: the first frame of those detected.
FOLLOWED = "followed from"
#: How the note begins that the brightness of a molecule is estimated.
FROM_MOVIE = "brightness from the movie"
#: Given photons of a molecule are reported where they differ by this factor from those of the movie's isolated spots.
MAX_BRIGHTER = 4.0
#: Pixels that are longer one way than the other by more than this factor, against those that a model is made for, are
#: reported: at 1.1 positions are at most 7% less precise, and 10 to 16% at 1.2 (``benchmarks/bench_pixel_shape.py``).
MAX_PIXEL_RATIO = 1.1


@dataclass(frozen=True)
class DetectionJob:
    """One movie to be detected, and how.

    Attributes
    ----------
    stack : Stack
        The movie.
    detector : Detector
    camera : Camera
        Its pixel size, where it has one, overrides that of the movie's metadata.
    frames : (int, int), optional
        First frame and the one after the last; all frames if not given.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frame, ends excluded.
    sigma_px : float, optional
        Standard deviation of the point spread function in pixels, for a model that asks for it.
    molecule_photons : float
        Photons that a typical molecule gives in a frame, for the same; 0 where they are not known.
    min_significance : float
        Isolated points that stand out of the noise by fewer standard deviations are left out, as noise.
    joins_fragments : bool
        Whether molecules are not round, and points that together give no more than one of them become one.
    spots_round : bool
        Whether the movie's isolated spots are round, as far as they say.
    has_estimates : bool
        Whether camera, point spread function or brightness were not all given.
    assumed : tuple of str
        What was estimated of the microscope and not given, as text, for the provenance.
    cautions : tuple of str
        In what respects the movie lies outside the model's domain, as far as is known before detection, as text.
    warnings : tuple of str
        Where what was given of the microscope does not go with what the movie says, as far as is known before
        detection, as text.
    suggested_camera : Camera, optional
        What the movie looks like, where the given camera does not fit.
    suggested_sigma_px : float, optional
        The same of the width of the point spread function.
    bad_pixels : BadPixels, optional
        Pixels that are interpolated in every frame.
    saturation_adu : float, optional
        Value from which on a pixel is saturated; the molecules that hold such are marked.
    drop_static : bool
        Whether points that never move are left out of the table.
    edges : ndarray of bool, shape (Y, X), optional
        Where the movie's light has edges that do not move.
    chunk_pixels : int, optional
        Pixels of a chunk; `chunks.CHUNK_PIXELS` if not given.
    """

    stack: Stack
    detector: Detector
    camera: Camera = field(default_factory=Camera)
    frames: tuple[int, int] | None = None
    roi: Roi | None = None
    sigma_px: float | None = None
    molecule_photons: float = 0.0
    min_significance: float = 0.0
    joins_fragments: bool = False
    spots_round: bool = True
    has_estimates: bool = False
    assumed: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    suggested_camera: Camera | None = None
    suggested_sigma_px: float | None = None
    bad_pixels: BadPixels | None = None
    saturation_adu: float | None = None
    drop_static: bool = False
    edges: NDArray[np.bool_] | None = field(default=None, compare=False)
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

    @cached_property
    def movie(self) -> Stack:
        """The movie with its bad pixels interpolated: what is detected."""
        return mended(self.stack, self.bad_pixels)

    @property
    def camera_is_assumed(self) -> bool:
        """Whether the camera's gain is neither given nor shown by the movie."""
        return self.camera.name == ASSUMED

    @property
    def span(self) -> tuple[int, int]:
        """First frame and the one after the last."""
        return self.frames or (0, self.stack.n_frames)

    @property
    def chunk_frames(self) -> int:
        """Frames of a chunk."""
        return chunks.chunk_frames(self.stack.frame_shape, self.chunk_pixels)

    @property
    def piece_frames(self) -> int:
        """Frames of a piece."""
        return chunks.piece_frames(self.stack.frame_shape, self.chunk_frames)

    @property
    def starts(self) -> range:
        """First frames of the chunks."""
        return range(*self.span, self.chunk_frames)

    @property
    def pixel_size_nm(self) -> PixelSize | None:
        """Pixel size of the camera, else of the movie's metadata."""
        return self.camera.pixel_size_nm or self.stack.pixel_size_nm

    @property
    def identity(self) -> dict[str, Any]:
        """What an interrupted run must have in common with this one to be resumed, for JSON."""
        return {**self.provenance, "fingerprint": self.stack.fingerprint(), "chunk_frames": self.chunk_frames}

    @property
    def identity_of_beginning(self) -> dict[str, Any]:
        """The same for a movie that is followed while it is written: its end is no part of it."""
        about = {name: value for name, value in self.provenance.items() if name != "frames"}
        fingerprint = self.stack.fingerprint_of_beginning()
        return {FOLLOWED: self.span[0], **about, "fingerprint": fingerprint, "chunk_frames": self.chunk_frames}

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the table comes from."""
        return {
            "program": f"napari-subpixel {__version__}",
            "movie": self.stack.name,
            **self.detector.provenance,
            "camera": self.camera.summary(),
            **(self._microscope if self.detector.measures else {}),
            "frames": list(self.span),
            "roi": [list(side) for side in self.roi] if self.roi else None,
            **self.stack.chosen,
            **({"bad_pixels": self.bad_pixels.summary} if self.bad_pixels else {}),
        }

    @property
    def _microscope(self) -> dict[str, Any]:
        return {
            "sigma_px": self.sigma_px,
            "molecule_photons": self.molecule_photons,
            "min_significance": self.min_significance,
            **({"joins_fragments": True} if self.joins_fragments else {}),
            **({} if self.spots_round else {"spots_round": False}),
            "assumed": list(self.assumed),
        }

    @property
    def about(self) -> dict[str, Any]:
        """What is known of a table of this movie besides its rows, as keyword arguments of `Localizations`."""
        return {
            "pixel_size_nm": self.pixel_size_nm,
            "frame_shape": self.stack.frame_shape,
            "n_frames": self.stack.n_frames,
            "provenance": self.provenance,
        }


@stepwise
def job_for(
    stack: Stack, detector: Detector, options: DetectionOptions | None = None
) -> Generator[None, None, DetectionJob]:
    """Return a job; what the detector has to know of the microscope and is not given is estimated from the movie.

    The estimates take a while: ``job_for.steps`` yields between their parts, for a caller that may stop.

    Parameters
    ----------
    stack : Stack
    detector : Detector
    options : DetectionOptions, optional
        Camera, point spread function, frames and region.

    Raises
    ------
    InputError
        If the movie does not show what has to be estimated, lacks the frames or the region, the PSF is given and
        the pixel size is not known, or, as `ImplausibleError`, no PSF is so narrow or wide.
    """
    options = checked_options(options)
    camera, psf = options.camera, options.psf
    span = options.span(stack.n_frames) if options.frames else None
    # Refuses at once what it can.
    draft = DetectionJob(
        stack,
        detector,
        camera,
        span,
        options.roi,
        sigma_px=DEFAULT_SIGMA_PX,
        cautions=_pixel_shape_cautions(camera.pixel_size_nm or stack.pixel_size_nm, detector.card),
        warnings=_pixel_size_warnings(stack, camera),
    )
    size = draft.pixel_size_nm
    if psf is not None and size is not None:
        with records.naming(stack.name):
            psf.check_plausible(size)
    if detector.measures and psf is not None and size is None:
        raise PixelSizeError(f"{stack.name}: the width of the PSF is given in nm, and the pixel size is not known")
    with records.naming(stack.name):
        bad_pixels = options.given_bad_pixels(stack.frame_shape)
    yield
    sample = sampled_frames(stack)
    bad_pixels = bad_pixels or find_bad_pixels(sample, camera)
    saturation = find_saturation(sample, bit_depth=camera.bit_depth, bad=bad_pixels.mask)
    edges = find_static_edges(Mending(bad_pixels).mend(sample))
    del sample
    listed = (bad_pixels.text,) if bad_pixels.text else ()
    draft = replace(
        draft,
        bad_pixels=bad_pixels if bad_pixels.matters else None,
        saturation_adu=saturation.level,
        drop_static=options.drop_static,
        edges=edges,
        assumed=listed,
        warnings=(*draft.warnings, *([saturation.text] if saturation.text else [])),
    )
    if not detector.measures:
        return replace(draft, sigma_px=None)
    movie = draft.movie
    sigma_px = typable_sigma(psf.sigma_px(size)) if psf is not None and size is not None else None
    known = microscope_of(movie, camera, sigma_px, unknown=options.estimated, em_gain_given=options.em_gain_given)
    brightness = yield from estimate_brightness.steps(
        movie, detector, known.camera, known.sigma_px, options.molecule_photons, edges=edges
    )
    estimated = options.molecule_photons is None and brightness.photons > 0
    from_movie = f"{FROM_MOVIE}: a molecule gives {brightness.photons:,.0f} photons in a frame"
    spots = yield from in_silence(measure_elongation.steps(movie, known.camera, known.sigma_px))
    spots_round = spots is None or spots.few_are_long
    joins = bool(options.molecule_photons) and not spots_round
    misfit = _brightness_misfit(spots, options.molecule_photons)
    return replace(
        draft,
        camera=known.camera,
        sigma_px=known.sigma_px,
        molecule_photons=brightness.photons,
        min_significance=brightness.min_significance,
        assumed=(*listed, *known.assumed, *([from_movie] if estimated else [])),
        warnings=(*draft.warnings, *known.warnings, *misfit),
        suggested_camera=known.suggested,
        suggested_sigma_px=known.suggested_sigma_px,
        joins_fragments=joins,
        spots_round=spots_round,
        has_estimates=bool(options.estimated) or sigma_px is None or options.molecule_photons is None,
        cautions=(*draft.cautions, *_cautions(spots, joins)),
    )


def _pixel_size_warnings(stack: Stack, camera: Camera) -> tuple[str, ...]:
    misfit = pixel_size_misfit(camera.pixel_size_nm, stack.pixel_size_nm, "the movie's metadata")
    return (misfit,) if misfit else ()


def _brightness_misfit(spots: Elongation | None, given: float | None) -> tuple[str, ...]:
    """Say that the photons that are given for a molecule are not those of the movie's isolated spots."""
    if spots is None or not given or not spots.photons or abs(math.log(given / spots.photons)) < math.log(MAX_BRIGHTER):
        return ()
    return (
        f"the movie looks like molecules of about {spots.photons:,.0f} photons, by its isolated spots; {given:,.0f} "
        "photons of a molecule were given",
    )


def _pixel_shape_cautions(size_nm: PixelSize | None, card: ModelCard) -> tuple[str, ...]:
    """Return whether pixels are of a shape that the model does not know, and a round PSF is elongated in them."""
    if size_nm is None:
        return ()
    of_model = checked_pixel_size(card.camera.get("pixel_size_nm") or 1.0)
    (height, width), (known_height, known_width) = pixel_size_yx(size_nm), pixel_size_yx(of_model)
    ratio = pixel_ratio((height / known_height, width / known_width))
    if ratio <= MAX_PIXEL_RATIO:
        return ()
    return (
        f"pixels of {pixel_size_text(size_nm)} make a round PSF {ratio:.2f} times as long one way as the other, which "
        "the model takes for round: at 1.2 positions are about an eighth less precise, at 1.35 a quarter to a third, "
        "and more molecules are missed where they are crowded; a model trained for this camera knows its pixels",
    )


def _cautions(spots: Elongation | None, joins: bool) -> tuple[str, ...]:
    """Return in what respects a movie is not what a model of round molecules expects."""
    if spots is None or spots.is_round:
        return ()
    what = f"{spots.text}, as through an astigmatic lens, out of focus or moving"
    if spots.few_are_long:
        return (f"{what}: positions are less precise, and more molecules are missed where they are crowded",)
    if joins:
        return (f"{what}: points that together give no more light than one molecule, as bright as given, are joined",)
    brightness = f"giving the photons of one molecule (about {spots.photons:,.0f} here) helps"
    return (f"{what}: one molecule may be reported as several; {brightness}",)
