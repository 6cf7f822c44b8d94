"""The chunks of a Zarr array that are there: what was never written reads as a constant, and looks like frames."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple


class Chunks(NamedTuple):
    """How many of an array's chunks are there.

    Attributes
    ----------
    n, n_there : int
        Chunks of the whole array, and those that are there.
    n_frames : int
        Frames up to the last chunk that is there.
    """

    n: int
    n_there: int
    n_frames: int


def chunks_there(folder: Path, array: Any, time: int | None) -> Chunks | None:
    """Count the chunks of an array in a folder; None where it is kept in another way.

    Parameters
    ----------
    folder : Path
        The Zarr folder.
    array : zarr.Array
        One array in it.
    time : int, optional
        Its axis of frames.
    """
    own = folder / array.path if array.path else folder
    chunk = getattr(array, "shards", None) or array.chunks
    grid = [math.ceil(int(n) / int(size)) for n, size in zip(array.shape, chunk, strict=True)]
    there = [place for place in map(_place_of, _files_in(own)) if _is_in(place, grid)]
    if not there:
        return None
    last = max(place[time] for place in there) if time is not None else 0
    n_frames = min((last + 1) * int(chunk[time]), int(array.shape[time])) if time is not None else 1
    return Chunks(math.prod(grid), len(there), n_frames)


def _files_in(folder: Path) -> list[str]:
    """Return the names of all files below a folder, with slashes."""
    found = []
    for parent, _, names in os.walk(folder):
        before = Path(parent).relative_to(folder).as_posix()
        found += [name if before == "." else f"{before}/{name}" for name in names]
    return found


def _place_of(name: str) -> tuple[int, ...]:
    """Return the place that the key of a chunk names, such as ``c/4/0/0`` or ``4.0.0``; empty for another file."""
    numbers = name.removeprefix("c/").removeprefix("c.").replace("/", ".").split(".")
    return tuple(map(int, numbers)) if all(map(str.isdecimal, numbers)) else ()


def _is_in(place: tuple[int, ...], grid: list[int]) -> bool:
    return len(place) == len(grid) and all(0 <= at < n for at, n in zip(place, grid, strict=True))
