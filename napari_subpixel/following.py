"""A movie detected while the microscope still writes it: its table, and its image, grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from napari_subpixel import formats
from napari_subpixel.doubts import Seen, provenance_with_warnings
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.jobs import DetectionJob
from napari_subpixel.journal import FOLLOWED, Journal
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.parts import Parts
from napari_subpixel.pipeline import Detected, check_output, check_place, detect
from napari_subpixel.render import SuperResolutionImage, check_image_output, render, save_image
from napari_subpixel.stacks import Look, Stack, looks_at, open_stack

#: Frames that a movie must have before its microscope is estimated, from these alone, so that it never matters when.
FIRST_FRAMES = 100
#: After so many seconds without a further byte a movie is taken to be complete.
IDLE_S = 60.0
#: What has grown is written again after so many times the seconds that its last writing took, and at least so many.
REST, WRITE_S = 9.0, 2.0
#: Rows that are drawn into the image at a time.
DRAWN_ROWS = 1 << 20


@dataclass(frozen=True)
class Follow:
    """How a movie is followed while it is written.

    Attributes
    ----------
    idle_s : float
        Seconds without a further byte after which it is taken to be complete.
    image : Path, optional
        OME-TIFF that the molecules found so far are rendered into, as `render` does by default.
    """

    idle_s: float = IDLE_S
    image: Path | None = None


class Growth(NamedTuple):
    """How far a movie that is followed is: frames there so far, and the one after the last that is finished."""

    n_frames: int
    done: int
    n_detected: int = 0


class Followed(NamedTuple):
    """A movie that was followed to its end: its job in the end, what was written, and what is wrong with its file."""

    job: DetectionJob
    detected: Detected
    warning: str | None


def follow_to_file(
    path: str | Path,
    job_of: Callable[[Stack], DetectionJob],
    output: Path,
    follow: Follow | None = None,
    *,
    frames: tuple[int, int | None] = (0, None),
    resume: bool = False,
    overwrite: bool = False,
) -> Generator[Growth, None, Followed]:
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
    frames : (int, int or None)
        First frame and the one after the last; with the latter the movie is followed no further.
    resume, overwrite : bool
        As for `pipeline.detect_to_file`.

    Yields
    ------
    Growth
        After every chunk and every look at the movie; its last item counts the frames detected since the one before.

    Returns
    -------
    Followed
        The value of the generator.

    Raises
    ------
    InputError
        As from `pipeline.detect_to_file`; or if the movie does not appear, or another one takes its place.
    """
    follow = follow or Follow()
    may_replace = check_place(output, resume=resume, overwrite=overwrite)
    if follow.image is not None:
        check_image_output(follow.image, overwrite=may_replace)
    with closing(looks_at(path, idle_s=follow.idle_s)) as looks:
        begun = yield from _enough(path, looks, frames[0])
        job = job_of(begun[0].beginning(FIRST_FRAMES))
        check_output(job.stack, job.camera, output, resume=resume, overwrite=overwrite)
        if follow.image is not None and job.pixel_size_nm is None:
            raise PixelSizeError(f"{job.stack.name}: the pixel size is not known, and an image needs it")
        with Journal(output).opened(_identity(job, frames[0]), resume=resume, overwrite=overwrite) as journal:
            kept = _Kept(journal)
            files = _Files(output, follow, overwrite=may_replace)
            for stack, ended in chain([begun], looks):
                if stack is not None:
                    job = replace(job, stack=stack, frames=_span(stack, frames))
                    yield from kept.grow(job)
                if stack is not None and (ended or job.span[1] == frames[1]):
                    tail = []
                    for chunk in detect(job, starts=job.starts[len(kept.starts) :]):  # one at most, too short to keep
                        tail.append(chunk.table)
                        yield Growth(job.span[1], chunk.stop, chunk.stop - chunk.start)
                    found = files.write(job, kept, tail)
                    break
                if kept.starts and files.are_due:
                    files.write(replace(job, frames=(frames[0], kept.stop(job))), kept)
    journal.remove()
    return Followed(job, found, None if job.span[1] == frames[1] else _how_it_ends(path))


def _enough(path: str | Path, looks: Iterable[Look], start: int) -> Generator[Growth, None, tuple[Stack, bool]]:
    """Wait until there are frames to begin with."""
    for stack, ended in looks:
        n_frames = stack.n_frames if stack is not None else 0
        if stack is not None and (ended or n_frames >= max(FIRST_FRAMES, start + 1)):
            return stack, ended
        yield Growth(n_frames, start)
    raise InputError(f"{path}: no whole frame was written to this movie")


def _identity(job: DetectionJob, start: int) -> dict[str, Any]:
    """Return what an interrupted run must have in common with this one; the movie's end is not part of it."""
    about = {name: value for name, value in job.provenance.items() if name != "frames"}
    fingerprint = job.stack.fingerprint_of_beginning()
    return {FOLLOWED: start, **about, "fingerprint": fingerprint, "chunk_frames": job.chunk_frames}


def _span(stack: Stack, frames: tuple[int, int | None]) -> tuple[int, int]:
    start, stop = frames
    return start, stack.n_frames if stop is None else min(stop, stack.n_frames)


def _how_it_ends(path: str | Path) -> str | None:
    """Say what is wrong with a movie that no longer grows; None where it is whole."""
    try:
        open_stack(path).close()
    except InputError as error:
        return f"the movie no longer grows, and is not whole: {error}"
    return None


class _Kept:
    """The finished chunks of a growing movie, from its first frame on."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.starts: list[int] = []

    def grow(self, job: DetectionJob) -> Generator[Growth, None, None]:
        """Detect and keep the chunks that became whole, but for those that an interrupted run has kept."""
        stop = job.span[1]
        new = [start for start in job.starts[len(self.starts) :] if start + job.chunk_frames <= stop]
        with closing(detect(job, starts=[start for start in new if not self.journal.has(start)])) as chunks:
            for chunk in chunks:
                self.journal.keep(chunk)
                yield Growth(stop, chunk.stop, chunk.stop - chunk.start)
        self.starts += new
        yield Growth(stop, self.stop(job))

    def stop(self, job: DetectionJob) -> int:
        """Return the frame after the last that is finished."""
        return self.starts[-1] + job.chunk_frames if self.starts else job.span[0]

    def tables(self, number: int = 0) -> Iterator[Localizations]:
        """Yield the table of every chunk, from that of this number on."""
        return self.journal.tables(self.starts[number:])


class _Files:
    """The table of a growing movie and its image, written again and again."""

    def __init__(self, output: Path, follow: Follow, *, overwrite: bool) -> None:
        self.output, self.image, self.overwrite = output, follow.image, overwrite
        self._due_s = time.monotonic() + WRITE_S
        self._drawn: SuperResolutionImage | None = None
        self._n_drawn = 0

    @property
    def are_due(self) -> bool:
        """Whether the last writing lies back far enough."""
        return time.monotonic() >= self._due_s

    def write(self, job: DetectionJob, kept: _Kept, tail: Iterable[Localizations] = ()) -> Detected:
        """Write the finished chunks, and at the end what follows the last of them."""
        began = time.monotonic()
        tail = list(tail)
        seen = Seen.of(chain(kept.tables(), tail))
        about = {**job.about, "provenance": provenance_with_warnings(job, job.provenance, seen)}
        formats.write(self.output, Parts(lambda: chain(kept.tables(), tail), about), overwrite=self.overwrite)
        if self.image is not None:
            for table in _batches(chain(kept.tables(self._n_drawn), tail)):
                drawn = render(table.with_about(**about))
                self._drawn = drawn if self._drawn is None else self._drawn.plus(drawn)
            self._n_drawn = len(kept.starts)
            if self._drawn is not None:
                save_image(self.image, self._drawn, overwrite=self.overwrite)
        self.overwrite = True
        now = time.monotonic()
        self._due_s = now + max(WRITE_S, REST * (now - began))
        return Detected(seen.n_points, about["provenance"])


def _batches(tables: Iterable[Localizations]) -> Iterator[Localizations]:
    """Join tables until they have many rows, so that an image is gone through seldom."""
    held: list[Localizations] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= DRAWN_ROWS:
            yield concat(held)
            held = []
    if held:
        yield concat(held)
