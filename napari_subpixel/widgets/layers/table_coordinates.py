"""The rows of a table as the coordinates of points: gathered where they are asked for, searched by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from napari_subpixel.localizations import REQUIRED, Localizations

#: A coordinate of all points: one number each, or one for all.
Axis = NDArray[Any] | float


class Coordinates(NDArrayOperatorsMixin):
    """The coordinates of points, shape (N, axes), gathered from the columns of a table where they are asked for.

    numpy takes it for an array; only then, or in arithmetic, all of it is in memory a second time.

    Parameters
    ----------
    axes : sequence of ndarray or float
        Per axis the numbers of all rows, or the one of every row.
    rows : ndarray of int, optional
        Which of these rows the points are; all of them if not given.
    n : int
        Number of points.
    table : Localizations, optional
        The table whose rows they are, without `rows`; for writers.
    """

    def __init__(
        self, axes: Sequence[Axis], rows: NDArray[np.integer[Any]] | None, n: int, table: Localizations | None = None
    ) -> None:
        self.axes, self.rows, self.table = tuple(axes), rows, table
        self.shape = n, len(self.axes)
        self.ndim, self.dtype, self.size = 2, np.dtype(np.float64), n * len(self.axes)

    def __len__(self) -> int:
        return self.shape[0]

    def axis(self, number: int, points: Any = slice(None)) -> NDArray[np.float64]:
        """Return one coordinate of the points that an index, a slice or a mask names."""
        column = self.axes[number]
        if isinstance(column, float):
            return np.full(len(np.empty(len(self), np.bool_)[points]), column)
        chosen = column[points] if self.rows is None else column[self.rows[points]]
        return np.asarray(chosen, dtype=np.float64)

    def take(self, points: Any) -> NDArray[np.float64]:
        """Return the coordinates of some points, shape (n, axes), column by column in memory."""
        columns = [self.axis(number, points) for number in range(self.shape[1])]
        taken = np.empty((len(columns[0]), len(columns)), order="F")
        for number, column in enumerate(columns):
            taken[:, number] = column
        return taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.take(slice(None)).astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(value) if isinstance(value, Coordinates) else value for value in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __getitem__(self, key: Any) -> Any:
        rows: Any
        axes: Any
        rows, axes = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(rows, tuple) or rows is None or rows is Ellipsis:
            return np.asarray(self)[key]
        if np.ndim(rows) == 2 and np.ndim(axes) == 2:  # of numpy's ix_
            return self.take(np.ravel(rows))[:, np.ravel(axes)]
        if isinstance(rows, (int, np.integer)):
            return self.take(np.atleast_1d(rows))[0][axes]
        if isinstance(axes, (int, np.integer)):
            return self.axis(int(axes), rows if isinstance(rows, slice) else np.asarray(rows))
        if isinstance(axes, slice):
            return self.take(rows if isinstance(rows, slice) else np.asarray(rows))[:, axes]
        return np.asarray(self)[key]

    def tolist(self) -> list[list[float]]:
        """Return all of it as lists."""
        listed: list[list[float]] = np.asarray(self).tolist()
        return listed


@dataclass(frozen=True)
class FrameOrder:
    """The points in order of their frames.

    Attributes
    ----------
    numbers : ndarray
        Frames, ascending.
    order : ndarray of int, optional
        Which point each of them belongs to, where points are in another order.
    """

    numbers: NDArray[Any]
    order: NDArray[np.integer[Any]] | None

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> FrameOrder:
        """Return the order of points with these frames."""
        if bool((numbers[1:] >= numbers[:-1]).all()):
            return cls(numbers, None)
        order: NDArray[Any] = np.argsort(numbers, kind="stable").astype(np.int32 if len(numbers) < 2**31 else np.int64)
        return cls(numbers[order], order)

    def within(self, low: float, high: float) -> NDArray[np.integer[Any]]:
        """Return the points of the frames from `low` to `high`, in their own order."""
        if self.numbers.dtype.kind in "iu":  # numpy would make floating-point numbers of all of them
            low, high = (self.numbers.dtype.type(max(math.ceil(number), 0)) for number in (low, math.floor(high) + 1))
            first, last = (int(np.searchsorted(self.numbers, number, "left")) for number in (low, high))
            return self._between(first, last)
        first = int(np.searchsorted(self.numbers, low, "left"))
        last = int(np.searchsorted(self.numbers, high, "right"))
        return self._between(first, last)

    def _between(self, first: int, last: int) -> NDArray[np.integer[Any]]:
        return np.arange(first, last) if self.order is None else np.sort(self.order[first:last])


@dataclass(frozen=True)
class TableIndex:
    """What a layer needs to know of the rows of a table, made on a thread where the table is long.

    Attributes
    ----------
    order : FrameOrder
    bounds : dict of str to (float, float)
        The least and the greatest frame, y and x.
    """

    order: FrameOrder
    bounds: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, table: Localizations) -> TableIndex:
        """Return the index of a table."""
        bounds = {}
        for name in REQUIRED:
            column = table[name]
            bounds[name] = (float(column.min()), float(column.max())) if len(column) else (math.nan, math.nan)
        return cls(FrameOrder.of(table.frame), bounds)


def numbers_of(coordinates: Coordinates, axis: int) -> NDArray[Any]:
    """Return a coordinate of all points, as it is in the table where that is possible."""
    column = coordinates.axes[axis]
    if isinstance(column, float):
        return np.broadcast_to(np.float64(column), len(coordinates))
    return column if coordinates.rows is None else column[coordinates.rows]


def bounds_of(coordinates: Coordinates) -> NDArray[np.float64]:
    """Return the least and the greatest of each coordinate, shape (2, axes)."""
    if not len(coordinates):
        return np.full((2, coordinates.shape[1]), np.nan)
    numbers = [numbers_of(coordinates, axis) for axis in range(coordinates.shape[1])]
    return np.array([[column.min() for column in numbers], [column.max() for column in numbers]], dtype=np.float64)
