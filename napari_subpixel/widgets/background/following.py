"""A movie that is detected while the microscope still writes it: its frames as they come, and their molecules."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.runs.live_options import Follow
from napari_subpixel.stacks import Stack, open_stack, watch_growth
from napari_subpixel.widgets.background.detector_cache import LOADING, DetectorChoice, is_loaded, preparing_job

if TYPE_CHECKING:
    from napari_subpixel.detection.chunks import Chunk
    from napari_subpixel.detection.job import DetectionJob

#: The movie in the viewer grows at most this often, in seconds.
GROWTH_PAUSE_S = 2.0
#: The movie is considered complete after so many seconds without a further byte.
IDLE_S = Follow().idle_s
#: What is said while there are too few frames to begin with.
WAITING = "waiting for frames ..."


class Grown(NamedTuple):
    """The movie so far, opened anew for the viewer.

    Attributes
    ----------
    stack : Stack
        Closes when it is no longer used.
    """

    stack: Stack


def growing_file(stack: Stack) -> str:
    """Return the file of a movie that can be followed.

    Raises
    ------
    InputError
        If the movie does not come from one file or folder.
    """
    path = stack.opening.get("movie")
    if not isinstance(path, str):
        raise InputError(f"{stack.name}: only a movie that was opened from its file can be followed")
    return path


def followed(
    key: str, stack: Stack, choice: DetectorChoice, options: DetectionOptions, first: int, chunk_pixels: int
) -> Generator[DetectionJob | Chunk | Grown | str | None, None, None]:
    """Detect a movie from a frame on until it no longer grows.

    Parameters
    ----------
    key : str
        Of the movie.
    stack : Stack
        As it was opened; it is opened anew as it grows.
    choice, options
        As for a run over a movie that is complete, but for the frames.
    first : int
        The first frame.
    chunk_pixels : int
        Pixels of a chunk.

    Yields
    ------
    str or None
        What is waited for, and None where the work can be stopped.
    Grown, DetectionJob or Chunk
        The movie whenever it has grown, the job once, and every chunk.
    """
    from napari_subpixel.runs.live import FIRST_FRAMES
    from napari_subpixel.runs.pipeline import detect

    path, chosen = growing_file(stack), stack.chosen
    if not is_loaded(choice):
        yield LOADING
    detector = choice.load()
    job: DetectionJob | None = None
    done, n_shown, due = first, 0, 0.0
    with closing(watch_growth(path, idle_s=IDLE_S, **chosen)) as snapshots:  # type: ignore[arg-type]
        for snapshot, ended in snapshots:
            n_frames = snapshot.n_frames if snapshot is not None else 0
            if snapshot is None or not (ended or n_frames >= max(FIRST_FRAMES, first + 1)):
                yield WAITING if job is None else None
                continue
            if job is None:
                job = yield from preparing_job(key, snapshot.beginning(FIRST_FRAMES), detector, options)
                yield replace(job, chunk_pixels=chunk_pixels)
            if n_frames <= first:
                raise InputError(f"{stack.name}: ended with {n_frames} frames, before frame {first}")
            job = replace(job, stack=snapshot, frames=(first, n_frames), chunk_pixels=chunk_pixels)
            if not ended and (n_frames <= done or time.monotonic() < due):
                yield None
                continue
            if n_frames > n_shown:
                whole = open_stack(path, growing=True, **chosen)  # type: ignore[arg-type]
                yield Grown(whole.beginning(n_frames).close_when_unused())
                n_shown, due = n_frames, time.monotonic() + GROWTH_PAUSE_S
            starts = [start for start in job.starts if start >= done]
            with closing(
                detect(job, starts=[s for s in starts if ended or s + job.chunk_frames <= n_frames])
            ) as chunks:
                for chunk in chunks:
                    yield chunk
                    done = chunk.stop
            yield None
