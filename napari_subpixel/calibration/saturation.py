"""The top of a camera's range: from which value on pixels of a movie are saturated, and which pixels and spots are.

What is saturated is decided here alone, for molecules that are marked, for estimates, and for measuring a PSF.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Bit depths of cameras that store their values in 16 bits.
BIT_DEPTHS = (10, 12, 14)
#: Values at the top of one of these that say so,
MIN_AT_BIT_DEPTH = 3
#: and at any other value, in this many
MIN_AT_PLATEAU = 10
#: different pixels.
MIN_PLATEAU_PIXELS = 5
#: There are more values at the top than this many times those close below it,
MIN_PLATEAU_RATIO = 3.0
#: that is, within this share of the range above the darkest hundredth.
NEAR_TOP = 0.02
#: Where more than this share of the pixels is saturated, the movie is.
MAX_SHARE = 0.05


class Saturation(NamedTuple):
    """From which value on the pixels of a movie are saturated.

    Attributes
    ----------
    level : float or None
        In ADU; None where the movie shows no top and its type of number has none.
    share : float
        Of the pixels of the sampled frames.
    """

    level: float | None
    share: float = 0.0

    @property
    def text(self) -> str:
        """One line that says so; empty where no pixel of the sampled frames is saturated."""
        if not self.share or self.level is None:
            return ""
        share = f"{self.share:.0%}" if self.share >= 0.01 else f"{100 * self.share:.2g}%"
        at = f"at {self.level:g} ADU, the top of the camera's range"
        if self.share > MAX_SHARE:
            return f"the movie is clipped: {share} of its pixels are {at}; what is found there is not reliable"
        return f"some pixels are saturated: {share} of all are {at}"


def find_saturation(frames: NDArray[Any], *, bit_depth: int = 16, bad: NDArray[np.bool_] | None = None) -> Saturation:
    """Find the top of the camera's range: that of the type of number, or a lower one at which many pixels end.

    Parameters
    ----------
    frames : ndarray, shape (N, Y, X)
        Some frames of the movie, in ADU, as `sampled_frames` gives them.
    bit_depth : int
        Of the camera, where known; 16 otherwise.
    bad : ndarray of bool, shape (Y, X), optional
        Pixels that do not count.
    """
    whole = frames.dtype.kind in "iu"
    limit = float(np.iinfo(frames.dtype).max) if whole else None
    if bad is not None and bad.any():
        frames = frames[:, ~bad]
    if not frames.size:
        return Saturation(limit)
    top = float(frames.max())
    if bit_depth < 16 and top <= 2**bit_depth - 1:
        limit = 2.0**bit_depth - 1
    at_top = frames == frames.max()
    number = int(np.count_nonzero(at_top))
    share = number / frames.size
    if top == limit:
        return Saturation(limit, share)
    low = float(np.percentile(frames.ravel()[:: max(1, frames.size // (1 << 20))], 1))
    near = max(NEAR_TOP * (top - low), 1.0 if whole else 0.0)
    below = int(np.count_nonzero(frames >= top - near)) - number
    if top <= low or number <= MIN_PLATEAU_RATIO * below:
        return Saturation(limit)
    is_depth = whole and any(top == 2**bits - 1 for bits in BIT_DEPTHS)
    is_plateau = number >= MIN_AT_PLATEAU and int(np.count_nonzero(at_top.any(axis=0))) >= MIN_PLATEAU_PIXELS
    if (is_depth and number >= MIN_AT_BIT_DEPTH) or is_plateau:
        return Saturation(top, share)
    return Saturation(limit)


def saturated_pixels(frames: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels of some frames of a movie are saturated, shape (N, Y, X).

    Parameters
    ----------
    frames : ndarray, shape (N, Y, X)
        In ADU.
    """
    level = find_saturation(frames).level
    return np.zeros(frames.shape, bool) if level is None else frames >= level


def saturated_spots(tops: NDArray[np.float64], level: float | None) -> NDArray[np.bool_]:
    """Return which spots are saturated: those that reach the top of the range, or end flat at the highest value of all.

    Bright spots cover so few pixels that a level which the camera reaches nowhere else may not show in a whole movie.

    Parameters
    ----------
    tops : ndarray, shape (K, 2)
        Each spot's highest value, in ADU, and in how many pixels it is there.
    level : float, optional
        From which value on pixels of the movie are saturated.

    Returns
    -------
    ndarray of bool, shape (K,)
    """
    if not len(tops):
        return np.zeros(0, bool)
    flat = (tops[:, 0] == tops[:, 0].max()) & (tops[:, 1] >= 2)
    return flat if level is None else flat | (tops[:, 0] >= level)
