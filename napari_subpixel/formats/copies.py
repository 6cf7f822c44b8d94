"""Rows of a table that are there more than once, as of files that were joined twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.errors import WarningKind
from napari_subpixel.localizations import Localizations

#: Odd numbers that mix bits, of SplitMix64: Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195.
FACTORS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
#: Bits that a number is shifted by before it is mixed further.
SHIFT = 32
#: Rows of a run that is compared at a time, about.
RUN_ROWS = 1 << 16


def copies(table: Localizations) -> NDArray[np.bool_]:
    """Return which rows are copies of an earlier one: the same frame, y and x, shape (N,).

    Examples
    --------
    >>> copies(Localizations({"frame": [0, 1, 0], "y": [2.0, 2.0, 2.0], "x": [3.0, 3.0, 3.0]})).tolist()
    [False, False, True]
    """
    key = _keys(table.frame, table.y, table.x)
    order = np.argsort(key, kind="stable")
    result = np.zeros(len(key), bool)
    result[order[1:]] = key[order[1:]] == key[order[:-1]]
    return result


def warning_of_copies(table: Localizations) -> str:
    """Return one line on rows that are copies of others, empty where there are none.

    Where rows are in the order of their frames they are compared in runs that stay in the processor's cache: half a
    second for ten million.
    """
    n = sum(_n_copies(part) for part in _runs(table))
    if not n:
        return ""
    are = "is a copy" if n == 1 else "are copies"
    return f"{n:,} of {len(table):,} rows {are} {WarningKind.COPIES}, and count more than once in whatever is measured"


def _n_copies(columns: tuple[NDArray[Any], ...]) -> int:
    key = _keys(*columns)
    key.sort()
    return int(np.count_nonzero(key[1:] == key[:-1]))


def _runs(table: Localizations) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield frames, y and x of rows of whole frames where these are in order, else of all rows."""
    columns = table.frame, table.y, table.x
    frame, start = table.frame, 0
    if len(frame) > RUN_ROWS and (frame[1:] >= frame[:-1]).all():
        while len(frame) - start > RUN_ROWS:
            stop = int(np.searchsorted(frame, frame[start + RUN_ROWS], side="right"))
            yield tuple(column[start:stop] for column in columns)
            start = stop
    yield tuple(column[start:] for column in columns)


def _keys(frame: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each row that is the same for the same frame, y and x, and else different but by chance."""
    key = np.zeros(len(frame), np.uint64)
    for values, factor in zip((frame, y, x), FACTORS, strict=True):
        # Adding 0 makes one of both zeros.
        bits = (values + 0.0).view(np.uint64) if values.dtype.kind == "f" else values.astype(np.uint64)
        key ^= bits
        key *= np.uint64(factor)
        key ^= key >> np.uint64(SHIFT)
    return key
