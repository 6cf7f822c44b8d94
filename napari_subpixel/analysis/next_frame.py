"""Pairs of rows in consecutive frames: mostly one molecule that is seen twice, with strangers among them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util.compiled import compiled

#: Rows that are paired with those of the next frame, at most: of more, frames spread over the whole movie are taken.
MAX_ROWS = 1 << 20


class NextFrameRows(NamedTuple):
    """Rows sorted by frame and by y, and which frames are paired with the next one.

    Attributes
    ----------
    rows : ndarray of int64, shape (N,)
        The row of the table of every sorted one.
    y, x : ndarray of float64, shape (N,)
        Their positions.
    starts : ndarray of int64, shape (F, 3)
        Of every pair of frames: the first sorted row of the earlier one, of the later one, and the one after its last.
    """

    rows: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, frame: ArrayLike, y: ArrayLike, x: ArrayLike, *, max_rows: int = MAX_ROWS) -> NextFrameRows:
        """Sort rows, and choose pairs of frames, spread evenly over the movie, of at most about `max_rows` rows.

        Parameters
        ----------
        frame : array_like of int, shape (N,)
            Frame of every row.
        y, x : array_like of float, shape (N,)
            Positions, in any one unit.
        max_rows : int
            Most rows of the earlier frames.
        """
        frame, y, x = np.asarray(frame, np.int64), np.asarray(y, np.float64), np.asarray(x, np.float64)
        order = np.lexsort((x, y, frame))
        frame = frame[order]
        first = np.flatnonzero(np.r_[True, frame[1:] != frame[:-1]]) if len(frame) else np.zeros(0, np.int64)
        edges = np.append(first, len(frame))
        is_followed = np.flatnonzero(np.diff(frame[first]) == 1)
        starts = np.column_stack([edges[is_followed], edges[is_followed + 1], edges[is_followed + 2]])
        stride = max(1, -(-int((starts[:, 1] - starts[:, 0]).sum()) // max_rows)) if len(starts) else 1
        return cls(order, y[order], x[order], np.ascontiguousarray(starts[::stride]))

    def thinned(self, stride: int) -> NextFrameRows:
        """Return every `stride`-th pair of frames."""
        return self._replace(starts=np.ascontiguousarray(self.starts[::stride]))

    def pairs(self, variance: ArrayLike, reach: float) -> NextFramePairs:
        """Return all pairs whose distance, each axis in units of its standard deviation, is below `reach`.

        Parameters
        ----------
        variance : array_like of float, shape (N, 2)
            Of y and x of every row of the table; the two of a pair are added. NaN leaves a row out.
        reach : float
            In standard deviations of a pair.
        """
        sorted_variance = np.asarray(variance, np.float64)[self.rows]
        where = self.y, self.x, sorted_variance, self.starts, reach, float(np.nanmax(sorted_variance[:, 0]))
        pairs = NextFramePairs.empty(_count(*where))
        _fill(*where, *pairs)
        return pairs._replace(earlier=self.rows[pairs.earlier], later=self.rows[pairs.later])

    def n_pairs(self, variance: ArrayLike, reach: float) -> int:
        """Return how many pairs `pairs` would return."""
        sorted_variance = np.asarray(variance, np.float64)[self.rows]
        largest = float(np.nanmax(sorted_variance[:, 0]))
        return int(_count(self.y, self.x, sorted_variance, self.starts, reach, largest))


class NextFramePairs(NamedTuple):
    """Pairs of rows in consecutive frames.

    Attributes
    ----------
    earlier, later : ndarray of int64, shape (K,)
        Rows of the table.
    which : ndarray of int64, shape (K,)
        Number of the pair of frames, from 0 on.
    distance : ndarray of float64, shape (K,)
        In standard deviations of the pair.
    """

    earlier: NDArray[np.int64]
    later: NDArray[np.int64]
    which: NDArray[np.int64]
    distance: NDArray[np.float64]

    @classmethod
    def empty(cls, n_pairs: int) -> NextFramePairs:
        """Return room for pairs."""
        return cls(
            np.empty(n_pairs, np.int64), np.empty(n_pairs, np.int64), np.empty(n_pairs, np.int64), np.empty(n_pairs)
        )


@compiled
def _square(y: Any, x: Any, variance: Any, i: int, j: int) -> float:
    along_y = (y[j] - y[i]) ** 2 / (variance[i, 0] + variance[j, 0])
    return float(along_y + (x[j] - x[i]) ** 2 / (variance[i, 1] + variance[j, 1]))


@compiled
def _count(y: Any, x: Any, variance: Any, starts: Any, reach: float, largest: float) -> int:
    total = 0
    for k in range(len(starts)):
        for i in range(starts[k, 0], starts[k, 1]):
            if np.isnan(variance[i, 0]):
                continue
            radius = reach * np.sqrt(variance[i, 0] + largest)
            j = starts[k, 1] + np.searchsorted(y[starts[k, 1] : starts[k, 2]], y[i] - radius)
            while j < starts[k, 2] and y[j] <= y[i] + radius:
                total += _square(y, x, variance, i, j) < reach * reach
                j += 1
    return total


@compiled
def _fill(
    y: Any, x: Any, variance: Any, starts: Any, reach: float, largest: float,
    earlier: Any, later: Any, which: Any, distance: Any,
) -> None:  # fmt: skip
    at = 0
    for k in range(len(starts)):
        for i in range(starts[k, 0], starts[k, 1]):
            if np.isnan(variance[i, 0]):
                continue
            radius = reach * np.sqrt(variance[i, 0] + largest)
            j = starts[k, 1] + np.searchsorted(y[starts[k, 1] : starts[k, 2]], y[i] - radius)
            while j < starts[k, 2] and y[j] <= y[i] + radius:
                square = _square(y, x, variance, i, j)
                if square < reach * reach:
                    earlier[at], later[at], which[at], distance[at] = i, j, k, np.sqrt(square)
                    at += 1
                j += 1
