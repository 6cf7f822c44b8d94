"""Where something stands out of the noise: in sparse frames a network need look at these places only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled

#: How far a candidate stands out of the background at least, behind a filter of a molecule's shape, in standard
#: deviations of the noise. Models report next to nothing that is fainter; noise alone reaches it at one place in some
#: ten thousand pixels.
MIN_SIGNAL = 3.5
#: The quartile of a normal distribution, in standard deviations below its middle.
QUARTILE = 0.6745
#: Noise is sampled on every row and column of this many.
NOISE_SAMPLING_PX = 4
#: Side of the square round a candidate in which points are reported.
SIDE_PX = 12
#: A candidate within a square, but nearer to its edge than this, begins a square of its own.
INNER_PX = 2
#: A candidate is brighter than all pixels up to this far along each axis.
NEIGHBOURS_PX = 2
_FILTER_SIGMA = 3.0


def find_candidates(
    counts: NDArray[np.float32], background: NDArray[np.float32], read: NDArray[np.float32], sigma_px: float
) -> NDArray[np.int64]:
    """Find where molecules may be in a frame.

    Parameters
    ----------
    counts, background, read : ndarray of float32, shape (Y, X)
        The frame, its rough background, and the variance of the read noise (`models.input_scaling.counts`).
    sigma_px : float
        Standard deviation of the point spread function, in pixels.

    Returns
    -------
    ndarray of int64, shape (K, 2)
        Row and column of the local maxima of the filtered frame that stand out by `MIN_SIGNAL`, the highest first.
    """
    reach = math.ceil(_FILTER_SIGMA * sigma_px)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    signal = _signal(counts, background, read, kernel)
    maxima = _maxima(signal, np.float32(_min_signal(signal)))
    return maxima[np.argsort(-signal[maxima[:, 0], maxima[:, 1]], kind="stable")]


def _min_signal(signal: NDArray[np.float32]) -> float:
    """Return `MIN_SIGNAL` corrected for a frame whose background differs from the estimate, or whose noise is lower.

    Both are measured in the darker half of the pixels. Noise above the estimate may be molecules.
    """
    sample = signal[::NOISE_SAMPLING_PX, ::NOISE_SAMPLING_PX].ravel()
    quarter, half = sample.size // 4, sample.size // 2
    dark = np.partition(sample, (quarter, half))
    scale = min(1.0, float(dark[half] - dark[quarter]) / QUARTILE)
    return float(dark[quarter]) + scale * (QUARTILE + MIN_SIGNAL)


def cover_with_squares(
    candidates: NDArray[np.int64], frame_shape: tuple[int, int], grid_px: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cover candidates with squares.

    Parameters
    ----------
    candidates : ndarray of int64, shape (K, 2)
        Rows and columns; the first ones have squares of their own, later ones only where they lie outside of those.
    frame_shape : (int, int)
    grid_px : int
        Squares start at multiples of this.

    Returns
    -------
    corners : ndarray of int64, shape (S, 2)
        Row and column of the first pixel of each square of `SIDE_PX` a side, which may go beyond the frame's end.
    mask : ndarray of bool, shape (S, SIDE_PX, SIDE_PX)
        Which of its pixels are nearer to its middle than to that of any other: every pixel belongs to one square.
    """
    corners = _corners(candidates, frame_shape[0], frame_shape[1], grid_px)
    return corners, _masks(corners, frame_shape[0], frame_shape[1])


@compiled
def _signal(
    counts: NDArray[np.float32], background: NDArray[np.float32], read: NDArray[np.float32], kernel: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how far a molecule at each pixel stands out of the background, in standard deviations of the noise.

    After Anscombe's square root, which makes noise nearly normal, of the same variance everywhere.
    """
    height, width = counts.shape
    reach = len(kernel) // 2
    noise_left = np.float32(0.0)  # of white noise of 1, behind the filter along both axes
    for k in kernel:
        noise_left += k * k
    along = np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * reach, np.float32)
    zero, two, shift = np.float32(0.0), np.float32(2.0), np.float32(0.375)
    for y in range(height):
        for x in range(width):
            offset = read[y, x] + shift
            root, dark_root = np.sqrt(max(counts[y, x] + offset, zero)), np.sqrt(max(background[y, x], zero) + offset)
            padded[reach + x] = two * (root - dark_root)
        padded[:reach] = padded[reach]
        padded[reach + width :] = padded[reach + width - 1]
        for x in range(width):
            along[y, x] = zero
        for k in range(len(kernel)):
            for x in range(width):
                along[y, x] += kernel[k] * padded[k + x]
    signal = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            signal[y, x] = zero
        for k in range(len(kernel)):
            row, share = min(max(y + k - reach, 0), height - 1), kernel[k] / noise_left
            for x in range(width):
                signal[y, x] += share * along[row, x]
    return signal


@compiled
def _maxima(signal: NDArray[np.float32], min_signal: np.float32) -> NDArray[np.int64]:
    """Return row and column of the local maxima above a signal; of equal neighbours the first in reading order."""
    height, width = signal.shape
    maxima = np.empty((256, 2), np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            if signal[y, x] <= min_signal:
                continue
            highest = True
            for v in range(max(y - NEIGHBOURS_PX, 0), min(y + NEIGHBOURS_PX + 1, height)):
                for u in range(max(x - NEIGHBOURS_PX, 0), min(x + NEIGHBOURS_PX + 1, width)):
                    before = v < y or (v == y and u < x)
                    if signal[v, u] > signal[y, x] or (before and signal[v, u] == signal[y, x]):
                        highest = False
            if highest:
                if n == len(maxima):
                    maxima = np.concatenate((maxima, np.empty_like(maxima)))
                maxima[n, 0], maxima[n, 1] = y, x
                n += 1
    return maxima[:n].copy()


@compiled
def _corners(candidates: NDArray[np.int64], height: int, width: int, grid_px: int) -> NDArray[np.int64]:
    covered = np.zeros((height, width), np.bool_)
    corners = np.empty((len(candidates), 2), np.int64)
    n = 0
    for i in range(len(candidates)):
        y, x = candidates[i, 0], candidates[i, 1]
        if covered[y, x]:
            continue
        top = max((y - SIDE_PX // 2 + grid_px // 2) // grid_px * grid_px, 0)
        left = max((x - SIDE_PX // 2 + grid_px // 2) // grid_px * grid_px, 0)
        corners[n, 0], corners[n, 1] = top, left
        n += 1
        # There is no context beyond the frame's border: what lies at it needs no margin.
        first_y, first_x = top + INNER_PX if top else 0, left + INNER_PX if left else 0
        last_y = top + SIDE_PX - INNER_PX if top + SIDE_PX < height else height
        last_x = left + SIDE_PX - INNER_PX if left + SIDE_PX < width else width
        covered[first_y:last_y, first_x:last_x] = True
        covered[y, x] = True
    return corners[:n].copy()


@compiled
def _masks(corners: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    owner = np.full((height, width), -1)
    masks = np.zeros((len(corners), SIDE_PX, SIDE_PX), np.bool_)
    for i in range(len(corners)):
        top, left = corners[i, 0], corners[i, 1]
        for v in range(min(SIDE_PX, height - top)):
            for u in range(min(SIDE_PX, width - left)):
                other = owner[top + v, left + u]
                if other >= 0:
                    if _distance_from_middle(v, u) >= _distance_from_middle(
                        top + v - corners[other, 0], left + u - corners[other, 1]
                    ):
                        continue
                    masks[other, top + v - corners[other, 0], left + u - corners[other, 1]] = False
                owner[top + v, left + u] = i
                masks[i, v, u] = True
    return masks


@compiled
def _distance_from_middle(v: int, u: int) -> int:
    """Return the squared distance of a pixel of a square from the square's middle, in half pixels."""
    return (2 * v - SIDE_PX + 1) ** 2 + (2 * u - SIDE_PX + 1) ** 2
