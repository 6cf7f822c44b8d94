"""Squares of a field that images are made of, so that a large field takes no more memory than a small one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Pixels of the side of a tile, at most.
TILE_PX = 1024
#: Most tiles: those with the most rows.
MAX_TILES = 9
#: Part of a tile's side, at each end, over which its rows are faded out.
FADE = 0.125


class Tiles(NamedTuple):
    """Squares that rows lie in.

    Attributes
    ----------
    number : ndarray of int64, shape (N,)
        Of every row: from 0 on those with the most rows; -1 elsewhere.
    low_nm : ndarray, shape (n, 2)
        First corner of each.
    side_px, pixel_nm : int, float
        Size.
    n : int
        How many.
    is_whole : bool
        Whether one holds all rows.
    """

    number: NDArray[np.int64]
    low_nm: NDArray[np.float64]
    side_px: int
    pixel_nm: float
    n: int
    is_whole: bool


def tiles_of(y: NDArray[np.float64], x: NDArray[np.float64], pixel_nm: float) -> Tiles:
    """Lay tiles over rows.

    Parameters
    ----------
    y, x : ndarray, shape (N,)
        Positions in nm.
    pixel_nm : float
        Pixel of their images.
    """
    from scipy.fft import next_fast_len

    low, extent = np.array([y.min(), x.min()]), np.array([np.ptp(y), np.ptp(x)])
    whole_px = int(np.ceil(extent.max() / pixel_nm / (1 - 2 * FADE))) + 2
    if whole_px <= TILE_PX:  # all in one, with an empty margin
        side_px = next_fast_len(max(whole_px, 32), real=True)
        corner = low - (side_px * pixel_nm - extent) / 2
        return Tiles(np.zeros(len(y), np.int64), corner[None], side_px, pixel_nm, 1, True)
    side_nm = TILE_PX * pixel_nm
    cell = np.floor((np.column_stack([y, x]) - low) / side_nm).astype(np.int64)
    n_across = int(cell[:, 1].max()) + 1
    index, inverse, counts = np.unique(cell[:, 0] * n_across + cell[:, 1], return_inverse=True, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:MAX_TILES]
    rank = np.full(len(index), -1)
    rank[most] = np.arange(len(most))
    corners = np.column_stack([index[most] // n_across, index[most] % n_across]) * side_nm + low
    return Tiles(rank[inverse], corners, TILE_PX, pixel_nm, len(most), False)


def fading(side: int) -> NDArray[np.float64]:
    """Return the weights along a side of a tile: 1 in the middle, falling to 0 at the ends (Tukey)."""
    from scipy.signal.windows import tukey

    return np.asarray(tukey(side, 2 * FADE))
