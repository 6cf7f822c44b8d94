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

#: Pixels that pass through the network at once, on the grid that it works on; they bound the memory of its activations.
BATCH_PIXELS = 1 << 17
#: Longest side of a tile, on that grid.
MAX_TILE_SIDE = 512
#: What a network sees round a square, in pixels. What it could see farther off hardly matters to it: points move by
#: less than a hundredth of a pixel, RMS.
CONTEXT_PX = 12
#: What it sees round a square in the first pass, which only asks whether there is a point at all, in pixels.
SCREENING_CONTEXT_PX = 4
#: Frames whose squares would have more than this share of their pixels are cut into tiles.
MAX_SQUARES_SHARE = 0.6


class Tile(NamedTuple):
    """A part of the frame that is computed at once: its rows and columns, and the wider input that they depend on."""

    rows: slice
    columns: slice
    input_rows: slice
    input_columns: slice


class Crops(NamedTuple):
    """Crops of frames, of the same shape, which pass through the network at once.

    Attributes
    ----------
    pixels : ndarray of float32, shape (B, planes, h, w)
        Input of the network.
    rows, columns : slice
        The part of each crop in which points are reported; the rest is context.
    origin : ndarray of int64, shape (B, 3)
        Frame, row and column of the first pixel of that part.
    mask : ndarray of bool, shape (B, rows, columns), optional
        Pixels of the part in which points are reported; all if not given.
    """

    pixels: NDArray[np.float32]
    rows: slice
    columns: slice
    origin: NDArray[np.int64]
    mask: NDArray[np.bool_] | None = None


def crops_of_tiles(
    scaled: NDArray[np.float32],
    frames: NDArray[np.int64],
    roi: Roi,
    *,
    tile_px: int,
    reach_px: int,
    grid_px: int,
    upsampling: int = 1,
) -> Iterator[Crops]:
    """Cut frames into `tiles`, smaller ones for a network that upsamples them.

    Parameters
    ----------
    scaled : ndarray of float32, shape (T, planes, Y, X)
    frames : ndarray of int64, shape (K,)
        Numbers of the frames to be cut.
    roi : ((y0, y1), (x0, x1))
    tile_px : int
        Longest side of a tile.
    reach_px, grid_px, upsampling : int
        Of the network.

    Yields
    ------
    Crops
    """
    tile_px = min(tile_px, max(MAX_TILE_SIDE // upsampling, 1))
    for tile in tiles(roi, scaled.shape[2:], tile_px, reach_px, grid_px):
        rows, columns = _within(tile.rows, tile.input_rows), _within(tile.columns, tile.input_columns)
        n_pixels = (tile.input_rows.stop - tile.input_rows.start) * (tile.input_columns.stop - tile.input_columns.start)
        for numbers in _in_batches(frames, n_pixels * upsampling**2):
            origin = np.column_stack([numbers, *np.broadcast_arrays(tile.rows.start, tile.columns.start, numbers)[:2]])
            yield Crops(scaled[numbers, :, tile.input_rows, tile.input_columns], rows, columns, origin)


class Squares(NamedTuple):
    """Squares of `candidates.SIDE_PX` a side, less at the ends of the frame.

    Attributes
    ----------
    origin : ndarray of int64, shape (S, 3)
        Frame, row and column of the first pixel of each.
    mask : ndarray of bool, shape (S, SIDE_PX, SIDE_PX)
        The pixels that belong to this square and to no other.
    """

    origin: NDArray[np.int64]
    mask: NDArray[np.bool_]

    def select(self, which: NDArray[np.bool_]) -> Squares:
        """Return the squares of a mask, shape (S,)."""
        return Squares(self.origin[which], self.mask[which])


def squares_of_sparse_frames(
    scaled: NDArray[np.float32], roi: Roi, sigma_px: float, *, grid_px: int
) -> tuple[Squares, NDArray[np.int64]]:
    """Cover what stands out of the noise with squares, in frames where it is little.

    Parameters
    ----------
    scaled : ndarray of float32, shape (T, planes, Y, X)
        As from `napari_subpixel.models.input_scaling.counts`.
    roi : ((y0, y1), (x0, x1))
        Squares that do not touch it are left out.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    grid_px : int
        Of the network.

    Returns
    -------
    Squares
        Of the sparse frames.
    ndarray of int64
        Numbers of the frames that are too crowded for squares.
    """
    shape = (scaled.shape[2], scaled.shape[3])
    area = (candidates.SIDE_PX + 2 * CONTEXT_PX) ** 2
    origins = [np.empty((0, 3), np.int64)]
    masks = [np.empty((0, candidates.SIDE_PX, candidates.SIDE_PX), np.bool_)]
    crowded = []
    for t, frame in enumerate(scaled):
        places = candidates.find_candidates(frame[0], frame[1], frame[2], sigma_px)
        corners, mask = candidates.cover_with_squares(places, shape, grid_px)
        if len(corners) * area > MAX_SQUARES_SHARE * shape[0] * shape[1]:
            crowded.append(t)
            continue
        touching = _touching(corners, roi)
        origins.append(np.column_stack([np.full(len(corners), t), corners])[touching])
        masks.append(mask[touching])
    return Squares(np.concatenate(origins), np.concatenate(masks)), np.array(crowded, np.int64)


def _touching(corners: NDArray[np.int64], roi: Roi) -> NDArray[np.bool_]:
    (y0, y1), (x0, x1) = roi
    first, last = corners, corners + candidates.SIDE_PX
    return (last[:, 0] > y0) & (first[:, 0] < y1) & (last[:, 1] > x0) & (first[:, 1] < x1)


def crops_of_squares(
    scaled: NDArray[np.float32], squares: Squares, *, context_px: int, grid_px: int
) -> Iterator[tuple[NDArray[np.int64], Crops]]:
    """Put squares together whose crops have the same shape: at the frame's borders there is less context.

    Parameters
    ----------
    scaled : ndarray of float32, shape (T, planes, Y, X)
    squares : Squares
    context_px : int
        What the network sees round a square.
    grid_px : int
        Of the network.

    Yields
    ------
    ndarray of int64
        Numbers of the squares.
    Crops
        These squares, with their context.
    """
    origin, margin = squares.origin, -(-context_px // grid_px) * grid_px
    first = np.maximum(origin[:, 1:] - margin, 0)
    stop = np.minimum(origin[:, 1:] + candidates.SIDE_PX, scaled.shape[2:])
    last = np.minimum(stop + margin, scaled.shape[2:])
    shapes = np.column_stack([last - first, origin[:, 1:] - first, stop - first])
    for shape in np.unique(shapes, axis=0):
        height, width, *edges = shape.tolist()
        rows, columns = slice(edges[0], edges[2]), slice(edges[1], edges[3])
        for numbers in _in_batches(np.flatnonzero((shapes == shape).all(axis=1)), height * width):
            corners = zip(origin[numbers, 0], first[numbers, 0], first[numbers, 1], strict=True)
            pixels = np.stack([scaled[t, :, y : y + height, x : x + width] for t, y, x in corners])
            mask = squares.mask[numbers, : rows.stop - rows.start, : columns.stop - columns.start]
            yield numbers, Crops(pixels, rows, columns, origin[numbers], mask)


def _in_batches(numbers: NDArray[np.int64], pixels: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, BATCH_PIXELS // pixels)
    for start in range(0, len(numbers), step):
        yield numbers[start : start + step]


def tiles(roi: Roi, frame_shape: tuple[int, ...], tile_px: int, reach_px: int, grid_px: int = 1) -> Iterator[Tile]:
    """Cut a region into tiles, each with the input that its points depend on.

    The input ends at the frame's true borders, where the network's own zero padding takes over, so that every pixel is
    computed from the same numbers as in the whole frame.

    Parameters
    ----------
    roi : ((y0, y1), (x0, x1))
    frame_shape : (int, int)
    tile_px : int
        Longest side of a tile.
    reach_px : int
        How far beyond a tile its input reaches.
    grid_px : int
        The input starts at multiples of this.

    Yields
    ------
    Tile
    """
    for rows, input_rows in _spans(roi[0], frame_shape[0], tile_px, reach_px, grid_px):
        for columns, input_columns in _spans(roi[1], frame_shape[1], tile_px, reach_px, grid_px):
            yield Tile(rows, columns, input_rows, input_columns)


def _spans(
    span: tuple[int, int], size: int, tile_px: int, reach_px: int, grid_px: int
) -> Iterator[tuple[slice, slice]]:
    pieces = max(1, math.ceil((span[1] - span[0]) / tile_px))
    edges = np.linspace(span[0], span[1], pieces + 1).round().astype(int)
    for start, stop in itertools.pairwise(edges.tolist()):
        first = max(start - reach_px, 0)
        yield slice(start, stop), slice(first - first % grid_px, min(stop + reach_px, size))


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
