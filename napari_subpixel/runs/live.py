"""A movie detected while the microscope still writes it: its table, and its image, grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.errors import ChangedRunError, InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs.checkpoints import PartialResults
from napari_subpixel.runs.live_options import Follow
from napari_subpixel.runs.outputs import Detected, Outputs
from napari_subpixel.runs.pipeline import check_output, detect
from napari_subpixel.stacks import GrowthSnapshot, Stack, open_stack, watch_growth

#: Frames that a movie must have before its microscope is estimated, from these alone, so that it never matters when.
FIRST_FRAMES = 100
#: The pause between two writings of a growing table is at least this many times as long as the last one took.
WRITE_PAUSE_RATIO = 9.0
#: The shortest such pause, in seconds.
MIN_WRITE_PAUSE_S = 2.0


class Growth(NamedTuple):
    """How far a movie that is followed is.

    Attributes
    ----------
    n_frames : int
        Frames that are there so far.
    done : int
        The frame after the last that is finished.
    n_detected : int
        Frames detected since the `Growth` before.
    """

    n_frames: int
    done: int
    n_detected: int = 0


class FollowedMovie(NamedTuple):
    """A movie that was followed to its end.

    Attributes
    ----------
    job : DetectionJob
        Of the whole movie.
    detected : Detected
        What was written.
    warning : str or None
        What is wrong with the file of the movie.
    """

    job: DetectionJob
    detected: Detected
    warning: str | None


def follow_to_file(
    path: str | Path,
    job_of: Callable[[Stack], DetectionJob],
    output: Path,
    follow: Follow | None = None,
    *,
    image: Path | None = None,
    frames: tuple[int, int | None] = (0, None),
    series: int | None = None,
    channel: int | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Generator[Growth, None, FollowedMovie]:
    """Detect a movie while it is written; the table is there from the first finished chunk on, and grows.

    Finished chunks are kept as by `pipeline.detect_to_file`, and the table is the same in the end. To write it takes a
    tenth of the time at most: a table of millions of rows is written seldom.

    Parameters
    ----------
    path : path-like
        File or folder of the movie, which need not be there yet.
    job_of : callable
        Makes the job of detecting the first frames of the movie; from these alone the microscope is estimated.
    output : Path
        Table to write; its suffix chooses the format.
    follow : Follow, optional
    image : Path, optional
        Image of the molecules found so far, as `Outputs` writes it.
    frames : (int, int or None)
        First frame and the one after the last; with the latter the movie is followed no further.
    series, channel
        As in `napari_subpixel.open_stack`.
    resume, overwrite : bool
        As for `pipeline.detect_to_file`.

    Yields
    ------
    Growth
        After every chunk and every look at the movie; its last item counts the frames detected since the one before.

    Returns
    -------
    FollowedMovie
        The value of the generator.

    Raises
    ------
    InputError
        As from `pipeline.detect_to_file`; or if the movie does not appear, or another one takes its place.
    """
    start, stop = frames
    if stop is not None and start >= stop:
        raise InputError(f"{path}: frames {start}:{stop} hold none: the first lies before the end")
    follow = follow or Follow()
    may_replace = check_output(output, resume=resume, overwrite=overwrite)
    outputs = Outputs(output, image, overwrite=may_replace)
    with closing(watch_growth(path, idle_s=follow.idle_s, series=series, channel=channel)) as looks:
        begun, ended = yield from _enough(path, looks, frames)
        job = job_of(begun.beginning(FIRST_FRAMES if stop is None else min(FIRST_FRAMES, stop)))
        # The pieces of a chunk, which are detected one by one in any case, so that something is there sooner.
        height, width = begun.frame_shape
        job = replace(job, chunk_pixels=min(job.piece_frames, job.chunk_frames) * height * width)
        job = _grown(job, begun, frames)
        check_output(output, resume=resume, overwrite=overwrite, stack=job.stack, camera=job.camera)
        outputs.check(job)
        with PartialResults(output).opened(job.identity_of_beginning, resume=resume, overwrite=overwrite) as results:
            _check_is_same_movie(job, results)
            kept = _GrowingResults(results)
            due_s = time.monotonic() + MIN_WRITE_PAUSE_S
            for stack, no_more in chain([(begun, ended)], looks):
                if stack is None:
                    yield Growth(job.span[1], kept.stop(job))
                    continue
                job = _grown(job, stack, frames)
                yield from kept.grow(job, to_end=no_more or job.span[1] == stop)
                if kept.is_whole:
                    break
                if kept.starts and time.monotonic() >= due_s:
                    due_s = _written(outputs, replace(job, frames=(start, kept.stop(job))), kept)
            detected = outputs.write(job, kept.tables)
    results.remove()
    return FollowedMovie(job, detected, _missing(path, job, stop, channel))


def _enough(
    path: str | Path, looks: Iterable[GrowthSnapshot], frames: tuple[int, int | None]
) -> Generator[Growth, None, tuple[Stack, bool]]:
    """Wait until there are frames to begin with."""
    start, stop = frames
    min_frames = max(FIRST_FRAMES if stop is None else min(FIRST_FRAMES, stop), start + 1)
    for stack, ended in looks:
        n_frames = stack.n_frames if stack is not None else 0
        if stack is not None and (ended or n_frames >= min_frames):
            return stack, ended
        yield Growth(n_frames, start)
    raise InputError(f"{path}: no whole frame was written to this movie")


def _grown(job: DetectionJob, stack: Stack, frames: tuple[int, int | None]) -> DetectionJob:
    """Return the job on the movie as it is now."""
    start, stop = frames
    return replace(job, stack=stack, frames=(start, stack.n_frames if stop is None else min(stop, stack.n_frames)))


def _check_is_same_movie(job: DetectionJob, results: PartialResults) -> None:
    """Raise `InputError` if the movie is not the one, or is shorter, of which an interrupted run detected a part."""
    last = results.last_frame
    if last is None:
        return
    frame = last.get("frame", 0)
    if frame >= job.stack.n_frames or job.stack.frame_sha256(frame) != last.get("sha256"):
        raise ChangedRunError(
            f"{job.stack.name}: frame {frame} is not, or no longer, the one that the interrupted run detected",
            results.folder,
        )


def _written(outputs: Outputs, job: DetectionJob, kept: _GrowingResults) -> float:
    """Write what is there so far, and return when to do so again."""
    began = time.monotonic()
    outputs.write(job, kept.tables)
    now = time.monotonic()
    return now + max(MIN_WRITE_PAUSE_S, WRITE_PAUSE_RATIO * (now - began))


def _missing(path: str | Path, job: DetectionJob, stop: int | None, channel: int | str | None) -> str | None:
    """Say what is wrong with a movie that no longer grows; None where nothing is."""
    if stop is not None:
        return None if job.span[1] == stop else f"frames up to {stop} were asked for, and it ends at {job.span[1]}"
    try:
        open_stack(path, series=job.stack.series, channel=channel).close()
    except InputError as error:
        return f"the movie no longer grows, and is not whole: {error}"
    return None


class _GrowingResults:
    """The finished chunks of a growing movie, from its first frame on, and in the end what is left over."""

    def __init__(self, results: PartialResults) -> None:
        self.results = results
        self.starts: list[int] = []
        self.tail: list[Localizations] = []
        self.is_whole = False

    def grow(self, job: DetectionJob, *, to_end: bool) -> Generator[Growth, None, None]:
        """Detect and keep the chunks that became whole, but for those that an interrupted run has kept.

        To the end, also what is left over, which is not kept: it may be more another time.
        """
        stop = job.span[1]
        further = job.starts[len(self.starts) :]
        new = [start for start in further if start + job.chunk_frames <= stop]
        missing = [start for start in new if not self.results.has(start)]
        with closing(detect(job, starts=[*missing, *(further[len(new) :] if to_end else ())])) as chunks:
            for chunk in chunks:
                if chunk.start in new:
                    self.results.keep(chunk)
                else:
                    self.tail.append(chunk.table)
                yield Growth(stop, chunk.stop, chunk.stop - chunk.start)
        self.starts += new
        if new:
            last = self.stop(job) - 1
            self.results.keep_last_frame({"frame": last, "sha256": job.stack.frame_sha256(last)})
        self.is_whole = to_end
        yield Growth(stop, stop if to_end else self.stop(job))

    def stop(self, job: DetectionJob) -> int:
        """Return the frame after the last that is kept."""
        return self.starts[-1] + job.chunk_frames if self.starts else job.span[0]

    def tables(self, number: int = 0) -> Iterator[Localizations]:
        """Yield the table of every chunk, from that of this number on."""
        return chain(self.results.tables(self.starts[number:]), self.tail)
