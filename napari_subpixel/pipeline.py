"""From a movie to a table: read ahead, detect, keep every finished chunk, put the whole in place at the end."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.doubts import with_warnings
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.jobs import Chunk, DetectionJob
from napari_subpixel.journal import Journal
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.stacks import Stack, check_finite


class Detecting(Protocol):
    """What detects the chunks of a movie that start at given frames, in whatever order it yields them."""

    def __call__(self, job: DetectionJob, *, starts: Iterable[int] | None = None) -> Generator[Chunk, None, None]:
        """Yield chunks as `detect` does."""


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
    job: DetectionJob, output: Path, *, resume: bool = False, overwrite: bool = False, detecting: Detecting = detect
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
    detecting : callable
        What detects the chunks, here or elsewhere: `detect`, or that of a `napari_subpixel.cluster.Cluster`.

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
    with closing(detecting(job, starts=[s for s in job.starts if not journal.has(s)])) as chunks:
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


def _read(job: DetectionJob, start: int) -> NDArray[np.generic]:
    frames = job.stack.read(start, min(start + job.chunk_frames, job.span[1]))
    check_finite(frames, start, job.stack.name)
    return frames
