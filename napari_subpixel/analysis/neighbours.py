"""Points of a whole table that lie near each other, in 2D and 3D, found by compiled loops over a grid of cells."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.errors import InputError

#: Most cells along one axis: the number of a cell in 3D fits a 64-bit integer.
MAX_CELLS_PER_AXIS = 2**20
#: Parts that the work is cut into: more than there are processors, since some hold more pairs than others.
N_PARTS = 64


class NeighbourGrid:
    """Points sorted into cells as wide as the radius, so that near points are in the same or in adjoining cells.

    Its memory is proportional to the number of points. The time of a search is proportional to the number of pairs
    that are at most about twice the radius apart.

    Parameters
    ----------
    points : array_like of float, shape (N, 2) or (N, 3)
        Positions, in any one unit.
    radius : float
        Largest distance of neighbours, in the same unit; a pair at exactly this distance counts.

    Attributes
    ----------
    order : ndarray of int64, shape (N,)
        Row of the input for every sorted point.
    points : ndarray of float64, shape (N, 3)
        The sorted points; the third coordinate of points in 2D is 0.
    cell_start : ndarray of int64, shape (C + 1,)
        First sorted point of every cell that holds points, and N.
    spans : ndarray of int64, shape (C, 2, 2) or (C, 5, 2)
        For every cell, ranges of sorted points: those of the cell to its right, and those of three adjoining cells in
        each of the lines that follow, one in 2D and four in 3D. With the points that follow in the own cell, every
        pair is met once.

    Raises
    ------
    InputError
        If the points are not finite positions in 2D or 3D, or the radius is not positive.

    Examples
    --------
    >>> grid = NeighbourGrid([[0.0, 0.0], [3.0, 4.0], [9.0, 0.0]], 5.0)
    >>> grid.count().tolist(), grid.n_pairs(), [rows.tolist() for rows in grid.pairs()]
    ([1, 1, 0], 1, [[0], [1]])
    """

    def __init__(self, points: ArrayLike, radius: float) -> None:
        place = np.asarray(points, np.float64)
        if place.ndim != 2 or place.shape[1] not in (2, 3):
            raise InputError(f"expected points of shape (N, 2) or (N, 3), got {place.shape}")
        if not np.isfinite(place).all():
            raise InputError("points must be finite")
        if not (np.isfinite(radius) and radius > 0):
            raise InputError(f"a radius must be positive, got {radius}")
        self.radius = float(radius)
        key, lines = _cell_numbers(place, self.radius)
        self.order = np.argsort(key, kind="stable")
        key = key[self.order]
        self.points = np.zeros((len(place), 3))
        self.points[:, : place.shape[1]] = place[self.order]
        first_of_cell = np.r_[True, key[1:] != key[:-1]] if len(key) else np.zeros(0, bool)
        self.cell_start = np.append(np.flatnonzero(first_of_cell), len(key))
        self.spans = _spans(key, key[first_of_cell], lines)

    def count(self) -> NDArray[np.int64]:
        """Return how many other points are within the radius of each point, shape (N,), in the order of the input."""
        parts = self.parts()
        counts = np.zeros((min(len(parts), 8), len(self.order)), np.int32)

        def count(k: int) -> None:
            for start, stop in parts[k :: len(counts)]:
                _count_each(self.points, self.cell_start, self.spans, self.radius, start, stop, counts[k])

        on_all_processors(count, range(len(counts)))
        result = np.empty(len(self.order), np.int64)
        result[self.order] = counts.sum(axis=0)
        return result

    def n_pairs(self) -> int:
        """Return how many pairs of points are within the radius of each other."""
        return int(self._pairs_of_parts().sum())

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of both points of every pair, shapes (K,) and (K,), each pair once, the smaller row first.

        Their memory is 16 bytes a pair: ask `n_pairs` first where there may be too many.
        """
        totals = self._pairs_of_parts()
        first, second = np.empty(totals.sum(), np.int64), np.empty(totals.sum(), np.int64)
        starts = np.cumsum(totals) - totals

        def fill(k: int) -> None:
            where = self.points, self.cell_start, self.spans, self.radius
            _fill_pairs(*where, *self.parts()[k], self.order, first, second, starts[k])

        on_all_processors(fill, range(len(totals)))
        return first, second

    def parts(self) -> list[tuple[int, int]]:
        """Return ranges of cells that hold about as many points each."""
        share = np.linspace(0, len(self.order), N_PARTS + 1)
        edges = np.unique(np.searchsorted(self.cell_start, share))
        return list(itertools.pairwise(np.minimum(edges, len(self.cell_start) - 1).tolist()))

    def _pairs_of_parts(self) -> NDArray[np.int64]:
        parts = self.parts()
        totals = np.zeros(len(parts), np.int64)

        def count(k: int) -> None:
            totals[k] = _count_pairs(self.points, self.cell_start, self.spans, self.radius, *parts[k])

        on_all_processors(count, range(len(parts)))
        return totals


def count_neighbours(points: ArrayLike, radius: float) -> NDArray[np.int64]:
    """Return how many other points are within a radius of each point.

    Parameters
    ----------
    points : array_like of float, shape (N, 2) or (N, 3)
        Positions, in any one unit.
    radius : float
        In the same unit; a point at exactly this distance counts.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    InputError
        If the points are not finite positions in 2D or 3D, or the radius is not positive.

    Examples
    --------
    >>> count_neighbours([[0.0, 0.0], [3.0, 4.0], [9.0, 0.0]], 6.0).tolist()
    [1, 1, 0]
    """
    return NeighbourGrid(points, radius).count()


def neighbour_pairs(points: ArrayLike, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of both points of every pair within a radius of each other, each pair once.

    Parameters
    ----------
    points : array_like of float, shape (N, 2) or (N, 3)
        Positions, in any one unit.
    radius : float
        In the same unit; a pair at exactly this distance counts.

    Returns
    -------
    first, second : ndarray of int64, shapes (K,) and (K,)
        Rows, ``first < second``, in no particular order.

    Raises
    ------
    InputError
        If the points are not finite positions in 2D or 3D, or the radius is not positive.
    """
    return NeighbourGrid(points, radius).pairs()


def _cell_numbers(place: NDArray[np.float64], radius: float) -> tuple[NDArray[np.int64], list[int]]:
    """Return the number of every point's cell, and how far it is from a cell to those of the lines that follow."""
    if not len(place):
        return np.zeros(0, np.int64), []
    low, extent = place.min(axis=0), np.ptp(place, axis=0)
    # A hair wider than the radius, so that rounding puts no pair of it two cells apart.
    width = np.maximum(radius * (1 + 1e-9), extent / (MAX_CELLS_PER_AXIS - 4))
    cell = np.floor((place - low) / width).astype(np.int64)
    # An empty cell at each end of every line and around every layer: no neighbour wraps around.
    height, line = (int(n) + 3 for n in cell[:, :2].max(axis=0))
    key = (cell[:, 0] + 1) * line + cell[:, 1] + 1
    if place.shape[1] == 2:
        return key, [line]
    layer = height * line
    return key + cell[:, 2] * layer, [line, layer - line, layer, layer + line]


def _spans(key: NDArray[np.int64], cells: NDArray[np.int64], lines: list[int]) -> NDArray[np.int64]:
    """Return the ranges of points that may be near those of each cell; see `NeighbourGrid.spans`."""
    spans = np.empty((len(cells), 1 + len(lines), 2), np.int64)
    spans[:, 0] = np.searchsorted(key, cells[:, None] + [1, 2])
    for k, offset in enumerate(lines, 1):
        spans[:, k] = np.searchsorted(key, cells[:, None] + [offset - 1, offset + 2])
    return spans


@compiled
def _is_near(points: NDArray[np.float64], i: int, j: int, square: float) -> bool:
    a, b, c = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
    return bool(a * a + b * b + c * c <= square)


@compiled
def _count_pairs(points: NDArray[np.float64], cell_start: Any, spans: Any, radius: float, start: int, stop: int) -> int:
    square, total = radius * radius, 0
    for cell in range(start, stop):
        end = cell_start[cell + 1]
        for i in range(cell_start[cell], end):
            for j in range(i + 1, end):
                total += _is_near(points, i, j, square)
            for k in range(spans.shape[1]):
                for j in range(spans[cell, k, 0], spans[cell, k, 1]):
                    total += _is_near(points, i, j, square)
    return total


@compiled
def _count_each(
    points: NDArray[np.float64], cell_start: Any, spans: Any, radius: float, start: int, stop: int, counts: Any
) -> None:
    square = radius * radius
    for cell in range(start, stop):
        end = cell_start[cell + 1]
        for i in range(cell_start[cell], end):
            for j in range(i + 1, end):
                if _is_near(points, i, j, square):
                    counts[i] += 1
                    counts[j] += 1
            for k in range(spans.shape[1]):
                for j in range(spans[cell, k, 0], spans[cell, k, 1]):
                    if _is_near(points, i, j, square):
                        counts[i] += 1
                        counts[j] += 1


@compiled
def _fill_pairs(
    points: NDArray[np.float64], cell_start: Any, spans: Any, radius: float, start: int, stop: int,
    order: Any, first: Any, second: Any, at: int,
) -> None:  # fmt: skip
    square = radius * radius
    for cell in range(start, stop):
        end = cell_start[cell + 1]
        for i in range(cell_start[cell], end):
            for k in range(-1, spans.shape[1]):
                low, high = (i + 1, end) if k < 0 else (spans[cell, k, 0], spans[cell, k, 1])
                for j in range(low, high):
                    if _is_near(points, i, j, square):
                        first[at], second[at] = min(order[i], order[j]), max(order[i], order[j])
                        at += 1
