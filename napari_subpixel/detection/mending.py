"""Bad pixels interpolated from good ones: the one place where frames are mended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.bad_pixels import BadPixels
from napari_subpixel.stacks import Stack

#: How far away good pixels count, in pixels: at first, and with more of it until there are enough.
REACH_PX = 2
#: Good pixels that are enough.
ENOUGH_PIXELS = 8
#: Standard deviation of the point spread function that the interpolation expects, in pixels,
SIGMA_PX = 1.3
#: and the variance of the noise of a pixel, as a share of that which molecules make.
NOISE_SHARE = 0.1
#: Digits of the weights, which so do not depend on how a processor rounds.
DIGITS = 6


class Mending:
    """Interpolates the bad pixels of frames from good ones nearby.

    The weights are those of ordinary kriging, for light that a Gaussian PSF has spread: its covariance is a Gaussian of
    sqrt(2) times the width. They depend on the places alone, so that a frame is mended alike in whatever part of the
    movie it is read (Cressie, Statistics for Spatial Data, 1993, section 3.2).

    Parameters
    ----------
    bad : BadPixels
    """

    def __init__(self, bad: BadPixels) -> None:
        self.frame_shape = bad.kinds.shape
        mask = bad.mask
        self._bad = np.flatnonzero(mask)
        self._groups: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        by_number: dict[int, list[tuple[int, NDArray[np.int64], NDArray[np.float64]]]] = {}
        known: dict[bytes, NDArray[np.float64]] = {}
        for y, x in np.argwhere(mask).tolist():
            offsets = _good_offsets(mask, y, x)
            key = offsets.tobytes()
            if key not in known:
                known[key] = _weights(offsets)
            flat = np.ravel_multi_index((offsets + np.array([y, x])).T, mask.shape)
            by_number.setdefault(len(flat), []).append((y * mask.shape[1] + x, flat, known[key]))
        for group in by_number.values():
            at, flat, weights = zip(*group, strict=True)
            self._groups.append((np.array(at), np.stack(flat), np.stack(weights)))

    def mend(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Return frames, shape (T, Y, X), with every bad pixel interpolated, in the same type.

        Parameters
        ----------
        frames : ndarray, shape (T, Y, X)
            Whole frames; they are not changed.
        """
        if not len(self._bad):
            return frames
        frames = np.array(frames)
        flat = frames.reshape(len(frames), -1)
        whole = frames.dtype.kind in "iu"
        low, high = (np.iinfo(frames.dtype).min, np.iinfo(frames.dtype).max) if whole else (-np.inf, np.inf)
        for frame in flat:
            for at, places, weights in self._groups:
                values = (frame[places] * weights).sum(axis=1)
                frame[at] = np.clip(np.rint(values), low, high) if whole else values
        return frames


def mended(stack: Stack, bad: BadPixels | None) -> Stack:
    """Return a movie with its bad pixels interpolated whenever frames are read; the movie itself where there are none.

    Parameters
    ----------
    stack : Stack
    bad : BadPixels, optional
    """
    return stack if bad is None or not bad.number else stack.changed(Mending(bad).mend)


def _good_offsets(mask: NDArray[np.bool_], y: int, x: int) -> NDArray[np.int64]:
    """Return the places of good pixels near a bad one, relative to it, shape (K, 2)."""
    for reach in range(REACH_PX, max(mask.shape) + 1):
        top, left = max(y - reach, 0), max(x - reach, 0)
        good = np.argwhere(~mask[top : y + reach + 1, left : x + reach + 1])
        if len(good) >= ENOUGH_PIXELS:
            break
    offsets = good + np.array([top - y, left - x])
    nearest = np.argsort((offsets**2).sum(axis=1), kind="stable")[: (2 * REACH_PX + 1) ** 2]
    return np.ascontiguousarray(offsets[nearest])


def _weights(offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weights of ordinary kriging at the origin."""
    n = len(offsets)

    def covariance(square: NDArray[Any]) -> NDArray[Any]:
        return np.exp(-np.asarray(square, np.float64) / (4 * SIGMA_PX**2))

    between = covariance(((offsets[:, None] - offsets[None]) ** 2).sum(axis=2)) + NOISE_SHARE * np.eye(n)
    system = np.block([[between, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    solved = np.linalg.solve(system, np.append(covariance((offsets**2).sum(axis=1)), 1.0))
    weights = solved[:n].round(DIGITS)
    weights[0] += 1 - weights.sum()
    return weights
