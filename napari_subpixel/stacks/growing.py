"""A movie that is still being written, looked at again and again until it no longer grows."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from napari_subpixel.errors import InputError
from napari_subpixel.stacks.opening import open_stack
from napari_subpixel.stacks.stack import Stack

#: Seconds between two looks at least, and how many times as long as a look took: files of many pages take their time.
LOOK_S, REST = 0.5, 10.0


class Look(NamedTuple):
    """A movie at a moment.

    Attributes
    ----------
    stack : Stack or None
        The frames that are whole and were so at the look before, open until the next look; None where there are none.
    ended : bool
        Whether the movie is taken to be complete.
    """

    stack: Stack | None
    ended: bool


def looks_at(path: str | Path, *, idle_s: float) -> Generator[Look, None, None]:
    """Look at a movie that is still being written, until it has not grown for a while.

    A frame counts once it was there at two looks: some programs make room for pixels before they write them.

    Parameters
    ----------
    path : path-like
        Its file or folder, which need not be there yet.
    idle_s : float
        Seconds without a further byte after which it is taken to be complete.

    Yields
    ------
    Look
        The last one, and no other, has ended; at once one whose movie does not change until the next.

    Raises
    ------
    InputError
        If it is still no movie after that time; or it has fewer frames, or others, than before.
    """
    before: tuple[int, int] = (-1, -1)
    known: Stack | None = None
    grew = time.monotonic()
    while True:
        began = time.monotonic()
        failure: InputError | None = None
        stack, seen = None, (0, 0)
        try:
            stack = open_stack(path, growing=True)
            seen = stack.n_frames, stack.bytes_on_disk
        except InputError as error:
            failure = error
        except FileNotFoundError:  # a file of it, since it was opened
            pass
        rest_s = max(LOOK_S, REST * (time.monotonic() - began))
        if seen != before:
            grew = began
        ended = began - grew >= idle_s
        if ended and failure is not None:
            raise failure
        if stack is not None:
            _check_goes_on(stack, known)
            with stack:
                settled = seen[0] if ended else min(seen[0], before[0])
                known = stack.beginning(settled) if settled > 0 else known
                yield Look(known, ended)
        else:
            yield Look(None, ended)
        if ended:
            return
        before = seen
        time.sleep(rest_s)


def _check_goes_on(now: Stack, before: Stack | None) -> None:
    if before is None:
        return
    if (now.frame_shape, now.dtype) != (before.frame_shape, before.dtype) or now.n_frames < before.n_frames:
        raise InputError(
            f"{now.path}: another movie was put in the place of the one that was followed: it was {before.shape} "
            f"{before.dtype}, and is {now.shape} {now.dtype}"
        )
