"""The background of frames, roughly estimated."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

#: Blocks in which the background is estimated are at least this wide, in pixels.
BLOCK_PX = 16
#: The share of a block's pixels that are taken to be darker than its background.
DARK_SHARE = 0.25


def rough_background(frames: NDArray) -> NDArray[np.float32]:
    """Estimate the background of every frame: the value that a share `DARK_SHARE` of the pixels nearby falls below.

    It follows slopes wider than `BLOCK_PX`, and is too high where molecules crowd.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X)

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
    """
    frames = np.asarray(frames, np.float32)
    rows, columns = (_blocks(size) for size in frames.shape[1:])
    smooth = _mean_of_three(_mean_of_three(frames, 1), 2)
    coarse = np.empty((len(frames), len(rows) - 1, len(columns) - 1), np.float32)
    for i, (top, bottom) in enumerate(itertools.pairwise(rows.tolist())):
        for k, (left, right) in enumerate(itertools.pairwise(columns.tolist())):
            block = smooth[:, top:bottom, left:right].reshape(len(frames), -1)
            rank = int(DARK_SHARE * (block.shape[1] - 1))
            coarse[:, i, k] = np.partition(block, rank, axis=1)[:, rank]
    return _between_middles(columns, frames.shape[2], _between_middles(rows, frames.shape[1], coarse, 1), 2)


def _blocks(size: int) -> NDArray[np.int64]:
    """Return the edges of blocks of nearly equal width."""
    return np.linspace(0, size, max(1, size // BLOCK_PX) + 1).round().astype(np.int64)


def _mean_of_three(frames: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Average each pixel with its two neighbours along an axis; the border counts twice."""
    ends = [(1, 1) if k == axis else (0, 0) for k in range(3)]
    padded = np.moveaxis(np.pad(frames, ends, mode="edge"), axis, -1)
    return np.moveaxis((padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / np.float32(3), -1, axis)


def _between_middles(
    edges: NDArray[np.int64], size: int, coarse: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """Interpolate the values of blocks to pixels along an axis: linearly between their middles, flat beyond."""
    middles = (edges[:-1] + edges[1:] - 1) / 2
    place = np.interp(np.arange(size), middles, np.arange(len(middles)))
    low = np.minimum(place.astype(np.int64), max(len(middles) - 2, 0))
    share = (place - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
    high = np.minimum(low + 1, len(middles) - 1)
    return coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share
