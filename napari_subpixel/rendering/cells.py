"""Molecules sorted by the cells of a grid over the frames: those of a part are at hand, and so are sums of all.

The grid has whole powers of 2 of cells along a camera pixel, and about as many cells as a screen has pixels, or a few
times as many. The table is not copied: per molecule there is the number of its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.coordinates import HALF_PIXEL, whole_pixel
from napari_subpixel.grids import ViewGrid

#: Cells are as small as they can be without more of them than this, but never larger than a camera pixel.
MOST_CELLS = 1 << 22
#: Cells along a camera pixel, at most.
MOST_PER_PX = 64
#: Cells that one processor sums at a time.
PIECE_CELLS = 1 << 18

_whole_pixel = compiled(whole_pixel)


@dataclass(frozen=True, eq=False)
class CellIndex:
    """The molecules of a table by the cells that they lie in.

    Attributes
    ----------
    y, x : ndarray of float64, shape (N,)
        Positions in camera pixels, those of the table.
    frame_shape : (int, int)
        (height, width) of the frames, in camera pixels.
    per_px : int
        Cells along a camera pixel.
    rows : ndarray of int, shape (N on the frames,)
        Rows of the table, cell by cell, ascending in each.
    starts : ndarray of int, shape (cells + 1,)
        Where the rows of each cell start.
    """

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    frame_shape: tuple[int, int]
    per_px: int
    rows: NDArray[np.integer[Any]]
    starts: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, y: NDArray[np.float64], x: NDArray[np.float64], frame_shape: tuple[int, int]) -> CellIndex:
        """Sort molecules; those outside the frames are left out.

        Parameters
        ----------
        y, x : ndarray of float64, shape (N,)
            Positions in camera pixels.
        frame_shape : (int, int)
            (height, width) of the frames, in camera pixels.

        Examples
        --------
        >>> index = CellIndex.of(np.array([1.0, 9.0, 1.0]), np.array([2.0, 0.0, 0.0]), (4, 6))
        >>> index.rows.tolist(), index.per_px
        ([2, 0], 64)
        """
        height, width = frame_shape
        per_px = 1
        while per_px < MOST_PER_PX and height * width * (2 * per_px) ** 2 <= MOST_CELLS:
            per_px *= 2
        n_cells = height * width * per_px**2
        starts = np.zeros(n_cells + 1, _kind_for(len(y), n_cells))
        rows = _sorted(y, x, float(per_px), height * per_px, width * per_px, starts)
        return cls(y, x, frame_shape, per_px, rows, starts)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the grid, in cells."""
        return self.frame_shape[0] * self.per_px, self.frame_shape[1] * self.per_px

    def _cells(self, grid: ViewGrid, margin_px: float) -> tuple[int, int, int, int]:
        """Return the first and last rows and columns of cells, ends excluded, of a rectangle and a margin."""
        low, high = grid.corners_px
        ends: list[int] = []
        for start, stop, n in zip(low, high, self.shape, strict=True):
            first = int(np.floor((start - margin_px + HALF_PIXEL) * self.per_px - 1e-6))
            last = int(np.ceil((stop + margin_px + HALF_PIXEL) * self.per_px + 1e-6))
            ends += [min(max(first, 0), n), min(max(last, 0), n)]
        return ends[0], ends[1], ends[2], ends[3]

    def count_within(self, grid: ViewGrid, margin_px: float = 0.0) -> int:
        """Return how many molecules lie in the cells that a rectangle and a margin around it touch."""
        top, bottom, left, right = self._cells(grid, margin_px)
        lines = np.arange(top, bottom) * self.shape[1]
        return int((self.starts[lines + right].astype(np.int64) - self.starts[lines + left]).sum())

    def rows_within(
        self, grid: ViewGrid, margin_px: float = 0.0, chosen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.integer[Any]]:
        """Return the rows of the molecules in the cells that a rectangle and a margin around it touch.

        Parameters
        ----------
        grid : ViewGrid
        margin_px : float
            In camera pixels.
        chosen : ndarray of bool, optional
            Which rows of the table count; all if not given.
        """
        top, bottom, left, right = self._cells(grid, margin_px)
        out = np.empty(self.count_within(grid, margin_px), self.rows.dtype)
        mask = np.empty(0, np.bool_) if chosen is None else chosen
        n = _gathered(self.rows, self.starts, self.shape[1], top, bottom, left, right, mask, out)
        return out[:n]

    def sums(
        self,
        chosen: NDArray[np.bool_] | None = None,
        step: NDArray[np.uint8] | None = None,
        colours: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the number of molecules in every cell, and further sums, shape (1 or 1 + channels, height, width).

        Parameters
        ----------
        chosen : ndarray of bool, optional
            Which rows of the table count; all if not given.
        step : ndarray of uint8, optional
            Which of the colours each row has.
        colours : ndarray of float32, shape (steps, channels), optional
            What a molecule adds to each channel.
        """
        if chosen is None and step is None:
            return np.diff(self.starts).astype(np.float32).reshape(1, *self.shape)
        mask = np.empty(0, np.bool_) if chosen is None else chosen
        steps = np.empty(0, np.uint8) if step is None else step
        weights = np.empty((1, 0), np.float32) if colours is None else np.ascontiguousarray(colours, np.float32)
        n_cells = len(self.starts) - 1
        out = np.zeros((1 + weights.shape[1], n_cells), np.float32)

        def add(first: int) -> None:
            last = min(first + PIECE_CELLS, n_cells)
            _add_sums(self.rows, self.starts[first : last + 1], mask, steps, weights, out[:, first:last])

        on_all_processors(add, range(0, n_cells, PIECE_CELLS))
        return out.reshape(-1, *self.shape)


def block_sums(sums: NDArray[np.float32], blocks: tuple[int, int], grid: ViewGrid) -> NDArray[np.float32]:
    """Return the sums over blocks of cells, which are the pixels of a rectangle.

    Parameters
    ----------
    sums : ndarray of float32, shape (channels, height, width)
        As from `CellIndex.sums`.
    blocks : (int, int)
        Rows and columns of cells in a pixel.
    grid : ViewGrid
        The rectangle; its zoom is that of the cells over `blocks`.
    """
    out = np.zeros((len(sums), *grid.shape), np.float32)
    for source, target in zip(sums, out, strict=True):
        _add_blocks(source, blocks[0], blocks[1], grid.first[0], grid.first[1], target)
    return out


def _kind_for(n_molecules: int, n_cells: int) -> type[np.integer[Any]]:
    """Return the kind of integers that hold the number of any molecule and of any cell."""
    return np.int32 if max(n_molecules, n_cells) < 2**31 - 1 else np.int64


@compiled
def _sorted(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    per_px: float,
    height: int,
    width: int,
    starts: NDArray[np.integer[Any]],
) -> NDArray[np.integer[Any]]:
    """Fill in where each cell starts, and return the rows cell by cell."""
    cell = np.empty(len(y), starts.dtype)
    for i in range(len(y)):
        row = _whole_pixel((y[i] + HALF_PIXEL) * per_px - HALF_PIXEL)
        column = _whole_pixel((x[i] + HALF_PIXEL) * per_px - HALF_PIXEL)
        cell[i] = -1
        if row >= 0 and column >= 0 and row < height and column < width:
            cell[i] = np.int64(row) * width + np.int64(column)
            starts[cell[i] + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    ends = starts.copy()
    rows = np.empty(starts[-1], starts.dtype)
    for i in range(len(y)):
        if cell[i] >= 0:
            rows[ends[cell[i]]] = i
            ends[cell[i]] += 1
    return rows


@compiled
def _gathered(
    rows: NDArray[np.integer[Any]],
    starts: NDArray[np.integer[Any]],
    width: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
    mask: NDArray[np.bool_],
    out: NDArray[np.integer[Any]],
) -> int:
    """Fill in the rows of a rectangle of cells that the mask, if it is not empty, keeps; return how many."""
    n = 0
    for line in range(top, bottom):
        for place in range(starts[line * width + left], starts[line * width + right]):
            row = rows[place]
            if len(mask) == 0 or mask[row]:
                out[n] = row
                n += 1
    return n


@compiled
def _add_sums(
    rows: NDArray[np.integer[Any]],
    starts: NDArray[np.integer[Any]],
    mask: NDArray[np.bool_],
    steps: NDArray[np.uint8],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for cell in range(len(starts) - 1):
        for place in range(starts[cell], starts[cell + 1]):
            row = rows[place]
            if len(mask) == 0 or mask[row]:
                out[0, cell] += np.float32(1)
                for channel in range(weights.shape[1]):
                    out[1 + channel, cell] += weights[steps[row], channel]


@compiled
def _add_blocks(
    source: NDArray[np.float32], tall: int, wide: int, top: int, left: int, target: NDArray[np.float32]
) -> None:
    height, width = target.shape
    for i in range(height):
        for line in range((top + i) * tall, min((top + i + 1) * tall, source.shape[0])):
            for j in range(width):
                total = np.float32(0)
                for column in range((left + j) * wide, min((left + j + 1) * wide, source.shape[1])):
                    total += source[line, column]
                target[i, j] += total
