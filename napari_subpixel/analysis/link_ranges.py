"""Linking in ranges of frames, on all processors.

The molecules are those of linking in one go as far as the frames before a range, `FRAMES_BEFORE` or `GAPS_BEFORE` gaps,
suffice for them no longer to depend on where it began: nearly all, not by proof all.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import each_on_all_processors
from napari_subpixel.analysis.link_kernels import link_rows, most_rows, renumber
from napari_subpixel.analysis.link_statistics import grid_shape

#: Rows in a range, about.
RANGE_ROWS = 2_000_000
#: A range is linked from this many frames before it on, after which molecules no longer depend on where that began.
FRAMES_BEFORE = 100
#: The same in numbers of frames after which a molecule is not continued.
GAPS_BEFORE = 4
#: A range has at least this many times the frames before it.
LEAST_FRAMES = 5


@dataclass(frozen=True)
class _Range:
    """Rows of whole frames, and those before them."""

    before: int
    start: int
    stop: int


def link_in_ranges(
    frame: NDArray[np.int64], y: Any, x: Any, vy: Any, vx: Any, log_odds: NDArray[np.float64], density: tuple[Any, ...],
    widest: float, group: NDArray[np.int32],
) -> Generator[None, None, int]:  # fmt: skip
    """Assign rows to molecules, and return how many molecules there are; yields after each range.

    Each range is linked by itself, together with some frames before it. Where a molecule of these frames goes on in the
    range, it is the molecule that its last row there belongs to in the range before.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        In order; at least one.
    y, x : ndarray of float64, shape (N,)
    vy, vx : ndarray of float32, shape (N,)
        Their variances.
    log_odds : ndarray of float64, shape (G,)
        Logarithm of the odds that a molecule appears again, after 0 to G - 1 dark frames.
    density : (ndarray of float32, ndarray of float64, float)
        Local density of starts, the corner of its map, and the width of its cells.
    widest : float
        Largest distance of a row from the molecule's mean.
    group : ndarray of int32, shape (N,)
        Filled with the number of each row's molecule, in the order of their first rows.
    """
    gaps = len(log_odds)
    window = int(most_rows(frame, gaps + 1))
    cell = 2 * widest
    search = cell, *grid_shape(y, x, cell, window), widest, window
    ranges = _ranges(frame, gaps)
    found: list[tuple[int, NDArray[np.int32]]] = [(0, group[:0])] * len(ranges)

    def one(k: int) -> None:
        at = ranges[k]
        rows = slice(at.before, at.stop)
        columns = [column[rows] for column in (frame, y, x, vy, vx)]
        found[k] = link_rows(*columns, log_odds, *density, *search, at.start - at.before, group[at.start : at.stop])

    yield from each_on_all_processors(one, range(len(ranges)))
    n_molecules = 0
    for at, (n_here, last_before) in zip(ranges, found, strict=True):
        known = np.full(n_here, -1, np.int32)
        # The molecules that may go on are those that do in the range before too: each is continued once at most.
        begun = np.flatnonzero(last_before >= 0)
        rows = at.before + last_before[begun].astype(np.int64)
        known[begun] = _continued(group, rows, at.start)
        n_molecules = int(renumber(group[at.start : at.stop], known, n_molecules))
    return n_molecules


def _continued(group: NDArray[np.int32], rows: NDArray[np.int64], stop: int) -> NDArray[np.int32]:
    """Return the molecules of rows that are the last of theirs before a row; -1 for others."""
    if not len(rows):
        return np.zeros(0, np.int32)
    first = int(rows.min())
    molecules, last = np.unique(group[first:stop][::-1], return_index=True)
    of_rows = group[rows]
    is_last = stop - 1 - last[np.searchsorted(molecules, of_rows)] == rows
    return np.where(is_last, of_rows, np.int32(-1))


def _ranges(frame: NDArray[np.int64], gaps: int) -> list[_Range]:
    """Cut rows into ranges of whole frames, which depend on nothing but the frames."""
    n, first, last = len(frame), int(frame[0]), int(frame[-1])
    before = max(FRAMES_BEFORE, GAPS_BEFORE * gaps)
    parts = max(min(n // RANGE_ROWS, (last - first + 1) // (LEAST_FRAMES * before)), 1)
    # At rows, not at frames, as most rows may be in a part of the movie.
    starts = np.unique(frame[np.arange(1, parts) * n // parts])
    edges = [0, *np.searchsorted(frame, starts).tolist(), n]
    begins = [0, *np.searchsorted(frame, starts - before).tolist()]
    return [
        _Range(begin, start, stop) for begin, start, stop in zip(begins, edges, edges[1:], strict=False) if stop > start
    ]
