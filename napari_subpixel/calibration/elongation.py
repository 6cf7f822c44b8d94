"""Elongation of isolated spots: those behind an astigmatic lens, or out of focus, are not round."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from napari_subpixel._util.generators import stepwise
from napari_subpixel.calibration.spot_finding import evenly_spread_frames, find_isolated_spots
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack

#: Frames searched at most.
MAX_FRAMES = 12


class Elongation(NamedTuple):
    """Typical widths of spots along the longer and the shorter of the two axes, in pixels."""

    long_px: float
    short_px: float

    @property
    def half_log_ratio(self) -> float:
        """Half the logarithm of their ratio: the relative difference of each axis from the mean."""
        return float(np.log(self.long_px / self.short_px)) / 2


@stepwise
def measure_elongation(stack: Stack, camera: Camera) -> Generator[float, None, Elongation | None]:
    """Return how long and how wide the isolated spots of a movie are; None where too few are.

    Each spot counts along the axis in which it is longer, so that spots above and below the focus of an astigmatic lens
    do not make up for each other. `measure_elongation.steps` yields the share of the current pass over the frames that
    is done.
    """
    try:
        whole = (slice(None), slice(None))
        search = yield from find_isolated_spots(stack, camera, evenly_spread_frames(stack, None, MAX_FRAMES), whole)
    except InputError:  # too few, or too crowded
        return None
    y, x = search.spots.fits.at[:, 4:].T
    ratio = np.exp(np.median(np.abs(np.log(y / x))))
    middle = np.median(np.sqrt(y * x))
    return Elongation(float(middle * np.sqrt(ratio)), float(middle / np.sqrt(ratio)))
