"""From a movie to a table: read ahead, detect, keep every finished chunk, put the whole in place at the end."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection.chunks import Chunk
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.detection.saturated import with_saturated
from napari_subpixel.detection.torch_threads import one_thread_each
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.runs.checkpoints import PartialResults
from napari_subpixel.runs.outputs import Detected, Outputs
from napari_subpixel.runs.quality_warnings import with_warnings
from napari_subpixel.runs.unchanged import MovieState
from napari_subpixel.stacks import Stack, check_finite

#: Pieces of chunks that are detected or wait for it, for each that is detected at a time.
AHEAD = 2


class Detecting(Protocol):
    """What detects the chunks of a movie that start at given frames, in whatever order it yields them."""

    def __call__(self, job: DetectionJob, *, starts: Iterable[int] | None = None) -> Generator[Chunk, None, None]:
        """Yield chunks as `detect` does."""


def detect(job: DetectionJob, *, starts: Iterable[int] | None = None) -> Generator[Chunk, None, None]:
    """Detect a movie chunk by chunk: frames are read ahead, and pieces of several chunks are detected side by side.

    A piece is detected by one thread alone, so that the result does not depend on how many there are.

    Parameters
    ----------
    job : DetectionJob
    starts : iterable of int, optional
        First frames of the chunks to detect; all of `job.starts` if not given.

    Yields
    ------
    Chunk
        In the order of the starts.

    Raises
    ------
    InputError
        If a frame cannot be read or holds values that are not finite; chunks before it are yielded first.
    """
    pending = deque(job.starts if starts is None else starts)
    coming: deque[_Coming] = deque()
    failure: BaseException | None = None
    with ThreadPoolExecutor(1, "read-ahead") as reader, one_thread_each(job.detector.n_workers) as pool:
        reading = _next(job, pending, reader)
        try:
            while reading is not None or coming:
                wants_more = reading is not None and _pieces_behind_the_first(coming) < AHEAD * job.detector.n_workers
                if wants_more and reading is not None and reading.done():
                    failure = reading.exception()  # what was read before it is not lost
                    if failure is None:
                        coming.append(_Coming.of(job, pool, *reading.result()))
                    reading = _next(job, pending, reader) if failure is None else None
                elif coming and (not wants_more or coming[0].is_done):
                    yield coming.popleft().chunk(job)
                elif reading is not None:
                    unfinished = (piece for piece in coming[0].pieces if not piece.done()) if coming else ()
                    wait([reading, *unfinished], return_when=FIRST_COMPLETED)
        finally:
            for piece in (piece for chunk in coming for piece in chunk.pieces):
                piece.cancel()
            failed, failure = failure, None
    if failed is not None:
        try:
            raise failed
        finally:
            del failed  # else this frame and the error would hold each other, and the movie open


def detect_all(job: DetectionJob) -> Localizations:
    """Detect a whole movie into one table in memory."""
    return with_warnings(job, concat([chunk.table for chunk in detect(job)]))


def detect_to_file(
    job: DetectionJob,
    output: Path,
    *,
    image: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    detecting: Detecting = detect,
) -> Generator[Chunk, None, Detected]:
    """Detect a movie into a file, which appears only when it is whole; finished chunks wait next to it.

    One part of the table at a time is in memory, so that a movie may be of any length.

    Parameters
    ----------
    job : DetectionJob
    output : Path
        Table to write; its suffix chooses the format.
    image : Path, optional
        Image of the molecules to write, as `Outputs` does.
    resume : bool
        Continue from the chunks that an interrupted run left; with none, just start.
    overwrite : bool
        Replace an existing table, and drop what an interrupted run left.
    detecting : callable
        What detects the chunks, here or elsewhere: `detect`, or that of a `napari_subpixel.runs.dask_cluster.Cluster`.

    Yields
    ------
    Chunk
        Every chunk once it is kept; the table is in place when the generator ends.

    Returns
    -------
    Detected
        Of the whole table, chunks of the run that was resumed included: the value of the generator.

    Raises
    ------
    InputError
        If the output may not or cannot be written, its format needs a pixel size that is not known, what is there
        to resume came from another movie or other settings, another run is at work on it, or the movie was written to
        in the meantime.
    """
    may_replace = check_output(output, resume=resume, overwrite=overwrite, stack=job.stack, camera=job.camera)
    outputs = Outputs(output, image, overwrite=may_replace)
    outputs.check(job)
    identity = job.identity
    state = MovieState(job.stack, identity["fingerprint"]["frames_sha256"])
    with PartialResults(output).opened(identity, resume=resume, overwrite=overwrite) as results:
        with closing(detecting(job, starts=[s for s in job.starts if not results.has(s)])) as chunks:
            for chunk in chunks:
                results.keep(chunk)
                yield chunk
        state.check_unchanged()
        detected = outputs.write(job, lambda first: results.tables(job.starts[first:]))
    results.remove()
    return detected


def check_output(
    output: Path, *, resume: bool, overwrite: bool, stack: Stack | None = None, camera: Camera | None = None
) -> bool:
    """Raise `InputError` now if `detect_to_file` would refuse this output: before the estimates, not after them.

    Parameters
    ----------
    output : Path
        The table.
    resume, overwrite : bool
        As for `detect_to_file`.
    stack : Stack, optional
        The movie; what depends on it is not checked without.
    camera : Camera, optional
        Its pixel size, where it has one, overrides that of the movie's metadata.

    Returns
    -------
    bool
        Whether a file that is there is replaced.

    Raises
    ------
    InputError
        `UnfinishedRunError`, `OutputExistsError` and `PixelSizeError` among them.
    """
    results = PartialResults(output)
    results.check_free(resume=resume, overwrite=overwrite)
    # A run that was killed while it put its files in place may have left one or both of two.
    overwrite_files = overwrite or (resume and results.begun)
    formats.check_can_write(output, overwrite=overwrite_files)
    known = (camera and camera.pixel_size_nm) or (stack and stack.pixel_size_nm)
    if stack is not None and known is None and formats.format_for(output).in_nm:
        raise stack.pixel_size_error(f"a {output.suffix} in nm")
    return overwrite_files


class _Coming(NamedTuple):
    """A chunk whose pieces are being detected."""

    start: int
    stop: int
    pieces: list[Future[Localizations]]

    @classmethod
    def of(cls, job: DetectionJob, pool: Executor, start: int, frames: NDArray[np.generic]) -> _Coming:
        """Hand the pieces of a chunk to the pool."""
        pieces = [
            pool.submit(_detected, job, frames[k : k + job.piece_frames], start + k)
            for k in range(0, len(frames), job.piece_frames)
        ]
        return cls(start, start + len(frames), pieces)

    def chunk(self, job: DetectionJob) -> Chunk:
        """Wait for the pieces, and join them."""
        return Chunk(self.start, self.stop, concat([piece.result() for piece in self.pieces]).with_about(**job.about))

    @property
    def is_done(self) -> bool:
        """Whether no piece is waited for."""
        return all(piece.done() for piece in self.pieces)


def _detected(job: DetectionJob, frames: NDArray[np.generic], first_frame: int) -> Localizations:
    """Return the molecules of some frames, with the number of their saturated pixels."""
    table = job.detector.detect(
        frames,
        first_frame=first_frame,
        roi=job.roi,
        camera=job.camera,
        sigma_px=job.sigma_px,
        molecule_photons=job.molecule_photons,
        min_significance=job.min_significance,
        joins_fragments=job.joins_fragments,
    )
    if job.saturation_adu is None:
        return table
    return with_saturated(table, frames, first_frame, job.saturation_adu, job.sigma_px)


def _pieces_behind_the_first(coming: Iterable[_Coming]) -> int:
    return sum(len(chunk.pieces) for chunk in itertools.islice(coming, 1, None))


def _next(job: DetectionJob, pending: deque[int], reader: Executor) -> Future[tuple[int, NDArray[np.generic]]] | None:
    """Begin to read the next chunk, where there is one."""
    return reader.submit(_read, job, pending.popleft()) if pending else None


def _read(job: DetectionJob, start: int) -> tuple[int, NDArray[np.generic]]:
    frames = job.movie.read(start, min(start + job.chunk_frames, job.span[1]))
    check_finite(frames, start, job.stack.name)
    return start, frames
