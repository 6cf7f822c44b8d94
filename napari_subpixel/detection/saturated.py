"""Molecules that hold saturated pixels, marked in a column of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import home_pixel
from napari_subpixel.localizations import Localizations

#: The column: how many pixels of a molecule are saturated.
SATURATED = "saturated"
#: A molecule's pixels lie within this many standard deviations of the PSF of its own,
REACH_SIGMA = 1.5
#: and within this many pixels where the PSF is not known.
REACH_PX = 2


def with_saturated(
    table: Localizations, frames: NDArray[Any], first_frame: int, level: float, sigma_px: float | None
) -> Localizations:
    """Return a table with the column `SATURATED`: the number of saturated pixels of every molecule.

    Parameters
    ----------
    table : Localizations
        Of these frames.
    frames : ndarray, shape (T, Y, X)
        In ADU.
    first_frame : int
        Number of the first of them.
    level : float
        From which value on a pixel is saturated, in ADU.
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels.
    """
    number = np.zeros(len(table), np.int64)
    saturated = frames >= level
    if len(table) and saturated.any():
        reach = REACH_PX if sigma_px is None else math.ceil(REACH_SIGMA * sigma_px)
        padded = np.pad(saturated, ((0, 0), (reach, reach), (reach, reach)))
        y, x = home_pixel(table.y) + reach, home_pixel(table.x) + reach
        for v in range(-reach, reach + 1):
            for u in range(-reach, reach + 1):
                if v * v + u * u <= reach * reach:
                    number += padded[table.frame - first_frame, y + v, x + u]
    return table.with_extra({SATURATED: number})


def without_unused(table: Localizations) -> Localizations:
    """Return a table without the column `SATURATED`.

    Parameters
    ----------
    table : Localizations
    """
    if SATURATED not in table:
        return table
    return Localizations(table.table.drop(columns=SATURATED), **table.about, copy=False)
