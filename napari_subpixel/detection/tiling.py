"""Cutting frames into what passes through a network at once: tiles of crowded frames, squares of sparse ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import Roi
from napari_subpixel.detection import candidates

#: Pixels that pass through the network at once, on the grid that it works on, and the longest side of a tile there;
#: they bound the memory of its activations.
BATCH_PIXELS, LONGEST_SIDE = 1 << 17, 512
#: What a network sees round a square, in pixels. What it could see farther off hardly matters to it: points move by
#: less than a hundredth of a pixel, RMS. To say whether there is anything in a square it sees less.
SEEN_PX, GLANCED_PX = 12, 4
#: Frames whose squares would have more than this share of their pixels are cut into tiles.
MOST_SHARE = 0.6


class Tile(NamedTuple):
    """A part of the frame that is computed at once: where it lies, and the wider part that it needs to see."""

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice


class Batch(NamedTuple):
    """Parts of frames of the same shape.

    Attributes
    ----------
    seen : ndarray of float32, shape (B, planes, h, w)
        What the network sees.
    rows, columns : slice
        What is asked for of it.
    origin : ndarray of int64, shape (B, 3)
        Frame, row and column of the first pixel that is asked for.
    own : ndarray of bool, shape (B, rows, columns), optional
        Pixels that are asked for; all if not given.
    """

    seen: NDArray[np.float32]
    rows: slice
    columns: slice
    origin: NDArray[np.int64]
    own: NDArray[np.bool_] | None = None


def batches_of_tiles(
    scaled: NDArray[np.float32],
    frames: NDArray[np.int64],
    roi: Roi,
    *,
    tile_px: int,
    reach_px: int,
    grid_px: int,
    upsampling: int = 1,
) -> Iterator[Batch]:
    """Cut some of the frames into tiles, smaller ones for a network that upsamples them; `tiles` says how."""
    tile_px = min(tile_px, max(LONGEST_SIDE // upsampling, 1))
    for tile in tiles(roi, scaled.shape[2:], tile_px, reach_px, grid_px):
        rows, columns = _within(tile.rows, tile.seen_rows), _within(tile.columns, tile.seen_columns)
        pixels = (tile.seen_rows.stop - tile.seen_rows.start) * (tile.seen_columns.stop - tile.seen_columns.start)
        for some in _in_batches(frames, pixels * upsampling**2):
            origin = np.column_stack([some, *np.broadcast_arrays(tile.rows.start, tile.columns.start, some)[:2]])
            yield Batch(scaled[some, :, tile.seen_rows, tile.seen_columns], rows, columns, origin)


class Squares(NamedTuple):
    """Squares of `candidates.SIDE_PX` a side, or less at the ends of the frame.

    Attributes
    ----------
    origin : ndarray of int64, shape (S, 3)
        Frame, row and column of the first pixel of each.
    own : ndarray of bool, shape (S, SIDE_PX, SIDE_PX)
        The pixels that are this square's and no other's.
    """

    origin: NDArray[np.int64]
    own: NDArray[np.bool_]

    def select(self, which: NDArray[np.bool_]) -> Squares:
        """Return some of them."""
        return Squares(self.origin[which], self.own[which])


def squares(
    scaled: NDArray[np.float32], roi: Roi, sigma_px: float, *, grid_px: int
) -> tuple[Squares, NDArray[np.int64]]:
    """Cut frames into squares round what stands out of the noise, where it is little.

    Parameters
    ----------
    scaled : ndarray of float32, shape (T, planes, Y, X)
        As `napari_subpixel.models.input_scaling.counts` has them.
    roi : ((y0, y1), (x0, x1))
        Squares that do not touch it are left out.
    sigma_px : float
    grid_px : int
        Of the network.

    Returns
    -------
    Squares
    ndarray of int64
        The frames that are too crowded for it, each of which is looked at by itself.
    """
    shape = (scaled.shape[2], scaled.shape[3])
    area = (candidates.SIDE_PX + 2 * SEEN_PX) ** 2
    origins = [np.empty((0, 3), np.int64)]
    owns = [np.empty((0, candidates.SIDE_PX, candidates.SIDE_PX), np.bool_)]
    crowded = []
    for t, frame in enumerate(scaled):
        found = candidates.places(frame[0], frame[1], frame[2], sigma_px)
        corners, own = candidates.squares(found, shape, grid_px)
        if len(corners) * area > MOST_SHARE * shape[0] * shape[1]:
            crowded.append(t)
            continue
        touching = _touching(corners, roi)
        origins.append(np.column_stack([np.full(len(corners), t), corners])[touching])
        owns.append(own[touching])
    return Squares(np.concatenate(origins), np.concatenate(owns)), np.array(crowded, np.int64)


def _touching(corners: NDArray[np.int64], roi: Roi) -> NDArray[np.bool_]:
    (y0, y1), (x0, x1) = roi
    first, last = corners, corners + candidates.SIDE_PX
    return (last[:, 0] > y0) & (first[:, 0] < y1) & (last[:, 1] > x0) & (first[:, 1] < x1)


def batches_of_squares(
    scaled: NDArray[np.float32], of: Squares, *, seen_px: int, grid_px: int
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Put squares together that see parts of the same shape: at the frame's borders they see less.

    Parameters
    ----------
    scaled : ndarray of float32, shape (T, planes, Y, X)
    of : Squares
    seen_px : int
        What is seen round a square.
    grid_px : int
        Of the network.

    Yields
    ------
    tuple of (ndarray of int64, Batch)
        Which squares they are, and what is computed at once.
    """
    origin, margin = of.origin, -(-seen_px // grid_px) * grid_px
    first = np.maximum(origin[:, 1:] - margin, 0)
    stop = np.minimum(origin[:, 1:] + candidates.SIDE_PX, scaled.shape[2:])
    last = np.minimum(stop + margin, scaled.shape[2:])
    shapes = np.column_stack([last - first, origin[:, 1:] - first, stop - first])
    for kind in np.unique(shapes, axis=0):
        height, width, *edges = kind.tolist()
        rows, columns = slice(edges[0], edges[2]), slice(edges[1], edges[3])
        for some in _in_batches(np.flatnonzero((shapes == kind).all(axis=1)), height * width):
            corners = zip(origin[some, 0], first[some, 0], first[some, 1], strict=True)
            seen = np.stack([scaled[t, :, y : y + height, x : x + width] for t, y, x in corners])
            own = of.own[some, : rows.stop - rows.start, : columns.stop - columns.start]
            yield some, Batch(seen, rows, columns, origin[some], own)


def _in_batches(numbers: NDArray[np.int64], pixels: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, BATCH_PIXELS // pixels)
    for start in range(0, len(numbers), step):
        yield numbers[start : start + step]


def tiles(roi: Roi, frame_shape: tuple[int, ...], tile_px: int, reach_px: int, grid_px: int = 1) -> Iterator[Tile]:
    """Cut a region into tiles of at most `tile_px` a side, each with what the network must see round it.

    What is seen ends at the frame's true borders, where the network's own zero padding takes over, so that every pixel
    is computed from the same numbers as in the whole frame. What is seen starts at a multiple of `grid_px`.
    """
    for rows, seen_rows in _spans(roi[0], frame_shape[0], tile_px, reach_px, grid_px):
        for columns, seen_columns in _spans(roi[1], frame_shape[1], tile_px, reach_px, grid_px):
            yield Tile(rows, columns, seen_rows, seen_columns)


def _spans(
    span: tuple[int, int], size: int, tile_px: int, reach_px: int, grid_px: int
) -> Iterator[tuple[slice, slice]]:
    pieces = max(1, math.ceil((span[1] - span[0]) / tile_px))
    edges = np.linspace(span[0], span[1], pieces + 1).round().astype(int)
    for start, stop in itertools.pairwise(edges.tolist()):
        first = max(start - reach_px, 0)
        yield slice(start, stop), slice(first - first % grid_px, min(stop + reach_px, size))


def _within(own: slice, seen: slice) -> slice:
    return slice(own.start - seen.start, own.stop - seen.start)
