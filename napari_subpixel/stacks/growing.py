"""Watching a movie that is still being written, until it no longer grows."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from napari_subpixel.errors import InputError
from napari_subpixel.stacks.opening import open_stack
from napari_subpixel.stacks.stack import Stack

#: Shortest pause between two snapshots, in seconds.
MIN_PAUSE_S = 0.5
#: The pause is at least this many times as long as the snapshot took, since files of many pages take long to open.
PAUSE_RATIO = 10.0
#: The end of a movie's name, behind the part that its further files share.
ENDINGS = re.compile(r"(\.ome)?\.[^.]+$", re.IGNORECASE)


class GrowthSnapshot(NamedTuple):
    """A movie at a moment.

    Attributes
    ----------
    stack : Stack or None
        The frames that are whole, open until the next snapshot; None where there are none.
    ended : bool
        Whether the movie is considered complete.
    """

    stack: Stack | None
    ended: bool


class _Known(NamedTuple):
    """What was yielded of a movie, and must not change."""

    shape: tuple[int, int, int]
    fingerprint: dict[str, Any]
    files: list[Path]


def watch_growth(
    path: str | Path, *, idle_s: float, series: int | None = None, channel: int | str | None = None
) -> Generator[GrowthSnapshot, None, None]:
    """Take snapshots of a movie that is still being written, until it has not grown for a while.

    A frame counts once it was there in two snapshots and holds more than one value: some programs make room for pixels
    before they write them.

    Parameters
    ----------
    path : path-like
        Its file or folder, which need not be there yet.
    idle_s : float
        Seconds without a further byte after which it is considered complete.
    series, channel
        As in `open_stack`.

    Yields
    ------
    GrowthSnapshot
        ``ended`` is true of the last one only.

    Raises
    ------
    InputError
        If after that time it is still not a movie, or has lost frames; or at once if another movie takes its place.
    """
    path = Path(path)
    known: _Known | None = None
    n_before, size_before, grew = 0, (-1, -1), time.monotonic()
    while True:
        began = time.monotonic()
        with ExitStack() as still_open:
            stack: Stack | None = None
            failure: InputError | OSError | None = None
            try:
                stack = still_open.enter_context(open_stack(path, series=series, channel=channel, growing=True))
                _check_same(stack, known)
                if known is not None and stack.n_frames < known.shape[0]:
                    stack, failure = None, InputError(f"{path}: lost frames: it had {known.shape[0]}")
            except _ExchangedError as error:
                raise InputError(str(error)) from None
            except (InputError, OSError) as error:
                failure = error
            size = stack.n_frames if stack is not None else 0, sum(_sizes(path))
            grew = began if size != size_before else grew
            ended = began - grew >= idle_s
            if ended and failure is not None:
                raise failure if isinstance(failure, InputError) else InputError(f"{path}: {failure}")
            pause_s = max(MIN_PAUSE_S, PAUSE_RATIO * (time.monotonic() - began))
            part = None
            if stack is not None:
                n_frames = stack.n_frames if ended else _filled(stack, min(stack.n_frames, n_before))
                if n_frames:
                    part = stack.beginning(n_frames)
                    known = _Known(part.shape, stack.fingerprint_of_beginning(), list(stack.files))
                n_before = stack.n_frames
            yield GrowthSnapshot(part, ended)
        if ended:
            return
        size_before = size
        time.sleep(pause_s)


class _ExchangedError(InputError):
    """The movie is another one."""


def _check_same(now: Stack, before: _Known | None) -> None:
    if before is None:
        return
    if now.fingerprint_of_beginning() != before.fingerprint:
        raise _ExchangedError(
            f"{now.path}: another movie has replaced the one that was followed: that was "
            f"{before.shape[1:]} {before.fingerprint['dtype']}, this is {now.frame_shape} {now.dtype}, and the first "
            "frames differ"
        )
    n = before.shape[0]
    if len(now.files) == now.n_frames and list(now.files[:n]) != before.files[:n]:
        late = next(new for new, old in zip(now.files, before.files, strict=False) if new != old)
        raise _ExchangedError(f"{now.path}: {late.name} came after frames that follow it")


def _filled(stack: Stack, n_frames: int) -> int:
    """Return how many of the frames hold pixels: up to the first that has one value only, found by halving."""

    def is_empty(frame: int) -> bool:
        try:
            image = stack[frame]
        except InputError:
            return True
        return bool(image.min() == image.max())

    if not n_frames or not is_empty(n_frames - 1):
        return n_frames
    full, empty = 0, n_frames - 1
    while full < empty:
        middle = (full + empty) // 2
        full, empty = (full, middle) if is_empty(middle) else (middle + 1, empty)
    return full


def _sizes(path: Path) -> Iterator[int]:
    """Yield the sizes of the files in a folder, or of a file and its continuations, such as NAME_1.ome.tif."""
    name = ENDINGS.split(path.name)[0]
    ending = path.name[len(name) :]
    further = re.compile(re.escape(name) + r"(_\d+)?" + re.escape(ending))
    files = path.rglob("*") if path.is_dir() else path.parent.glob("*")
    for file in files:
        try:
            if path.is_dir() or further.fullmatch(file.name):
                yield file.stat().st_size
        except OSError:  # it has gone in the meantime
            continue
