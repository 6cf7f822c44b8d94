"""Frames that say nothing of a movie's camera: blank ones, copies, and those far brighter or darker than the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A frame is far from the others where its mean differs from their median by more than this many robust standard
#: deviations of the means,
FAR_SIGMA = 8.0
#: and by more than this many standard deviations of the noise of a pixel.
FAR_NOISE = 3.0
#: So is its median, by more than this many of these: one bright molecule in a small frame changes its mean alone.
FAR_MEDIAN_NOISE = 1.0
#: Where more than this share of the frames are far from the others, as with a lamp that is switched, they are not.
MAX_FAR_SHARE = 1 / 3


def outlier_frames(frames: NDArray) -> NDArray[np.bool_]:
    """Return which frames are of one value, or have a mean and a median that lie far from those of the others.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X)
        In ADU.

    Returns
    -------
    ndarray of bool, shape (T,)
        None is, where all are of one value.
    """
    pixels = frames.reshape(len(frames), -1)
    blank = pixels.min(axis=1) == pixels.max(axis=1)
    if blank.all():
        return np.zeros(len(frames), bool)
    means = pixels.mean(axis=1, dtype=np.float64)
    distance = np.abs(means - np.median(means[~blank]))
    # Neighbouring pixels differ by the noise, but for the few where a molecule's light falls off.
    steps = np.diff(frames[~blank][:100].astype(np.float64), axis=2)
    noise = 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(2)
    spread = 1.4826 * float(np.median(distance[~blank]))
    far = distance > max(FAR_SIGMA * spread, FAR_NOISE * noise)
    if far.any():
        medians = np.median(pixels, axis=1)
        far &= np.abs(medians - np.median(medians[~blank])) > FAR_MEDIAN_NOISE * noise
    if far[~blank].mean() > MAX_FAR_SHARE:
        return blank
    return blank | far


def copied_frames(frames: NDArray) -> NDArray[np.bool_]:
    """Return which frames are copies of the frame that they are paired with, as of a camera that hangs.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        Pairs of neighbouring frames.

    Returns
    -------
    ndarray of bool, shape (2 K or 1,)
        None is, where all are: such a movie has every frame twice, or one only.
    """
    copies = np.zeros(len(frames), bool)
    if len(frames) > 1:
        copies[1::2] = (frames[::2] == frames[1::2]).all(axis=(1, 2))
    return copies if not copies[1::2].all() else np.zeros(len(frames), bool)


def pairs_without(frames: NDArray, left_out: NDArray[np.bool_]) -> NDArray:
    """Return the pairs of neighbouring frames of which none is left out; new pairs of what is left where none is whole.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
    left_out : ndarray of bool, shape (2 K or 1,)

    Returns
    -------
    ndarray, shape (2 L or 1, Y, X)
    """
    if len(frames) == 1 or not left_out.any():
        return frames
    whole = ~left_out.reshape(-1, 2).any(axis=1)
    kept = frames[np.repeat(whole, 2)] if whole.any() else frames[~left_out]
    return kept if len(kept) == 1 else kept[: len(kept) // 2 * 2]
