"""Isolated spots of a frame: finding them, fitting each with a Gaussian, linking those of one bead or molecule.

A spot here is an image of one bead or molecule in one frame. The fit is free in everything: place, light, background
and a width along each axis. It weights pixels by the camera's noise under the fitted spot itself, and nearly evenly
where spots are bright, so that it is neither noisier than it must be nor led by the faint rim of spots that are no
Gaussians.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from napari_subpixel._util.background import rough_background
from napari_subpixel.coordinates import HALF_PIXEL

#: A spot is bright from this many standard deviations of its noise,
BRIGHT_SIGMA = 12.0
#: and a maximum is more than noise from this many.
DETECTED_SIGMA = 5.0
#: A maximum spoils a spot's neighbourhood if it is at least this share of the spot's height.
SPOILING_SHARE = 0.05
#: A fit uses the pixels within this many standard deviations of the PSF, and one more,
FIT_SIGMA = 3.0
#: a profile those within this many, and one more,
WINDOW_SIGMA = 6.0
#: and an isolated spot has no other maximum nearer than this many.
ISOLATION_SIGMA = 8.0
#: Spots are near each other, and still two, from this many of them
NEAR_SIGMA = 3.0
#: to this many apart,
FAR_SIGMA = 5.0
#: and where one is at least this share of the other's height.
NEAR_SHARE = 0.3
#: Model error that a fit assumes in addition to the noise, as a share of the spot's peak: what is not a Gaussian would
#: otherwise seem wider or narrower the brighter it is.
MODEL_ERROR = 0.1
#: Widths, in pixels, that a fit may end with.
SIGMA_PX = (0.4, 6.0)
#: Steps of a fit at most;
MAX_STEPS = 40
#: the longest one, in pixels,
MAX_STEP_PX = 0.3
#: as a share of a width,
MAX_WIDTH_STEP = 0.2
#: and as a share of the light;
MAX_LIGHT_STEP = 0.5
#: and the length, in pixels, below which the fit has converged.
CONVERGED_PX = 1e-4
#: A fit that ends further than this from the brightest pixel's centre, in pixels, is not of that spot.
MAX_OFFSET_PX = 1.5
#: Squared residuals of more than this many times the median, for a spot of that light, are those of several spots.
MAX_MISFIT = 2.0
#: Spots that are fitted at once.
BLOCK = 512
#: Columns of a fit: place within the window, from its middle, in pixels; photons; photons per pixel; widths in pixels.
FIT_COLUMNS = ("y", "x", "photons", "background", "sigma_y", "sigma_x")


class IsolatedMaxima(NamedTuple):
    """The isolated bright spots of a frame, and how many others there are.

    Attributes
    ----------
    place : ndarray of int64, shape (K, 2)
        Brightest pixels, (y, x).
    n_bright : int
        Bright spots, these and those left out.
    n_crowded, n_at_edge : int
        Left out since another is too near, or the frame ends too near.
    n_near : int
        Others near a spot that are about as bright, and not one with it, of all spots together of which two make a
        bright one.
    """

    place: NDArray[np.int64]
    n_bright: int
    n_crowded: int
    n_at_edge: int
    n_near: int


class Fits(NamedTuple):
    """Fitted spots.

    Attributes
    ----------
    at : ndarray, shape (K, 6)
        `FIT_COLUMNS`.
    slant : ndarray, shape (K,)
        Covariance of y and x in the spot, in square pixels: not 0 where a spot is long in a direction between the axes.
    good : ndarray of bool, shape (K,)
        Fits that converged near their spots, with residuals like the others'.
    """

    at: NDArray[np.float64]
    slant: NDArray[np.float64]
    good: NDArray[np.bool_]


def reach_of_fit(sigma_px: float) -> int:
    """Return how many pixels a fit uses to each side of its middle."""
    return int(np.ceil(FIT_SIGMA * sigma_px)) + 1


def reach_of_profile(sigma_px: float) -> int:
    """Return how many pixels to each side of its middle a spot's window has."""
    return int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1


def find_isolated(
    photons: NDArray[np.float64],
    sigma_px: float,
    variance_per_photon: float,
    read_variance: float | NDArray[np.float64],
) -> IsolatedMaxima:
    """Find the isolated bright spots of a frame.

    Parameters
    ----------
    photons : ndarray, shape (Y, X)
        A frame in photons.
    sigma_px : float
        About how wide spots are, in pixels.
    variance_per_photon : float
        Variance over mean of the light.
    read_variance : float or ndarray, shape (Y, X)
        Variance of the read noise, in square photons.

    Returns
    -------
    IsolatedMaxima
    """
    background = rough_background(photons[None])[0]
    smooth = ndimage.gaussian_filter(photons - background, sigma_px, mode="nearest")
    height = smooth - np.median(smooth)
    # The filter averages over so many pixels; the noise of the frame itself counts where it is larger.
    averaged = 4 * np.pi * sigma_px**2
    known = (variance_per_photon * background.clip(0) + read_variance) / averaged
    measured = _noise(photons) ** 2 / averaged
    noise = np.sqrt(np.maximum(known, measured) + variance_per_photon * height.clip(0) / averaged + 1e-12)
    side = 2 * max(1, round(sigma_px)) + 1
    peak = (smooth == ndimage.maximum_filter(smooth, side, mode="nearest")) & (height > DETECTED_SIGMA * noise)
    place = np.argwhere(peak)
    tall, sure = height[peak], (height / noise)[peak]
    bright = np.flatnonzero(sure > BRIGHT_SIGMA)
    crowded = _has_neighbour(place, tall, bright, ISOLATION_SIGMA * sigma_px + 1)
    inside = _inside(place[bright], photons.shape, reach_of_fit(sigma_px))
    return IsolatedMaxima(
        place[bright[~crowded & inside]],
        len(bright),
        int(crowded.sum()),
        int((~crowded & ~inside).sum()),
        _n_near(place[sure > BRIGHT_SIGMA / 2], tall[sure > BRIGHT_SIGMA / 2], sigma_px),
    )


def _noise(photons: NDArray[np.float64]) -> float:
    """Return the noise of most pixels, from second differences along both axes, which pass little else."""
    fine = np.diff(np.diff(photons, 2, axis=0), 2, axis=1)
    return float(1.4826 * np.median(np.abs(fine))) / 6.0


def _has_neighbour(
    place: NDArray[np.int64], tall: NDArray[np.float64], bright: NDArray[np.int64], distance_px: float
) -> NDArray[np.bool_]:
    """Mark bright maxima with another one nearby that is high enough to spoil them."""
    from scipy.spatial import cKDTree

    if len(place) < 2:
        return np.zeros(len(bright), bool)
    near = cKDTree(place).query_ball_point(place[bright], distance_px)
    spoilt = (any(k != i and tall[k] > SPOILING_SHARE * tall[i] for k in n) for i, n in zip(bright, near, strict=True))
    return np.fromiter(spoilt, bool, len(bright))


def _n_near(place: NDArray[np.int64], tall: NDArray[np.float64], sigma_px: float) -> int:
    """Count the maxima near others that are about as high: once for each of these."""
    from scipy.spatial import cKDTree

    if len(place) < 2:
        return 0
    pairs = cKDTree(place).query_pairs(FAR_SIGMA * sigma_px, output_type="ndarray")
    apart = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
    heights = np.sort(tall[pairs], axis=1)
    return 2 * int(np.count_nonzero((heights[:, 0] > NEAR_SHARE * heights[:, 1]) & (apart > NEAR_SIGMA * sigma_px)))


def _inside(place: NDArray[np.int64], shape: tuple[int, ...], reach: int) -> NDArray[np.bool_]:
    return np.all((place >= reach) & (place < np.array(shape) - reach), axis=1)


def cut_out(frame: NDArray, place: NDArray[np.int64], reach: int) -> NDArray[np.float32]:
    """Return the windows round pixels of a frame; NaN where they leave it.

    Parameters
    ----------
    frame : ndarray, shape (Y, X)
    place : ndarray of int64, shape (K, 2)
        Row and column of each pixel.
    reach : int
        Pixels to each side of it.

    Returns
    -------
    ndarray of float32, shape (K, 2 reach + 1, 2 reach + 1)
    """
    padded = np.pad(np.asarray(frame, np.float32), reach, constant_values=np.nan)
    window = np.arange(2 * reach + 1)
    return padded[place[:, 0, None, None] + window[:, None], place[:, 1, None, None] + window]


def cropped(windows: NDArray, reach: int) -> NDArray:
    """Cut windows down to `reach` pixels to each side of their middle."""
    off = windows.shape[1] // 2 - reach
    return windows[:, off : windows.shape[1] - off, off : windows.shape[2] - off]


# -- the fit ------------------------------------------------------------------------------------------------------


def fit_spots(
    windows: NDArray, sigma_px: float, variance_per_photon: float, read_variance: NDArray[np.float64]
) -> Fits:
    """Fit every window with a pixel-integrated Gaussian on an even background.

    Parameters
    ----------
    windows : ndarray, shape (K, n, n)
        Photons.
    sigma_px : float
        Where the widths start from.
    variance_per_photon : float
        Variance over mean of the light.
    read_variance : ndarray, shape (K,)
        Variance of the read noise of each spot's pixels, in square photons.

    Returns
    -------
    Fits
    """
    at, slant = np.empty((len(windows), len(FIT_COLUMNS))), np.empty(len(windows))
    misfit, rest = np.empty(len(windows)), np.empty(len(windows))
    for start in range(0, len(windows), BLOCK):
        block = slice(start, start + BLOCK)
        data, read = windows[block].astype(np.float64), read_variance[block, None, None]
        at[block], slant[block], misfit[block], rest[block] = _fitted(data, sigma_px, variance_per_photon, read)
    good = np.isfinite(at.sum(axis=1) + slant) & (rest < CONVERGED_PX)
    good &= (np.abs(at[:, :2]) < MAX_OFFSET_PX).all(axis=1) & (at[:, 2] > 0)
    good &= ((at[:, 4:] > SIGMA_PX[0]) & (at[:, 4:] < min(SIGMA_PX[1], windows.shape[1] / 3))).all(axis=1)
    good[good] = _similar_misfit(misfit[good], at[good, 2])
    return Fits(at, slant, good)


def _fitted(
    data: NDArray[np.float64], sigma_px: float, factor: float, read: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Fisher scoring: the fits, their slants, mean squared residuals over variances, lengths of the last steps."""
    reach = data.shape[1] // 2
    at = _start(data, sigma_px)
    rest = np.full(len(data), np.inf)
    for _ in range(MAX_STEPS):
        spot, slopes = gaussians(at, reach)
        mean = spot + at[:, 3, None, None]
        peak = at[:, 2] / (2 * np.pi * at[:, 4] * at[:, 5])
        noise = np.maximum(factor * mean, 0.05 * factor) + read
        weight = 1 / (noise + (MODEL_ERROR * peak[:, None, None]) ** 2)
        information = np.einsum("kayx,kbyx,kyx->kab", slopes, slopes, weight, optimize=True)
        score = np.einsum("kayx,kyx->ka", slopes, weight * (data - mean), optimize=True)
        step = np.einsum("kab,kb->ka", np.linalg.pinv(information, hermitian=True), score)
        step[:, :2] = step[:, :2].clip(-MAX_STEP_PX, MAX_STEP_PX)
        longest = np.column_stack(
            [MAX_LIGHT_STEP * np.abs(at[:, 2]) + 1, MAX_WIDTH_STEP * at[:, 4], MAX_WIDTH_STEP * at[:, 5]]
        )
        step[:, [2, 4, 5]] = step[:, [2, 4, 5]].clip(-longest, longest)
        at = at + step
        at[:, :2] = at[:, :2].clip(-reach, reach)
        at[:, 4:] = at[:, 4:].clip(0.2, 2 * reach)
        rest = np.abs(step[:, [0, 1, 4, 5]]).max(axis=1)
        if (rest < CONVERGED_PX).all():
            break
    spot, _ = gaussians(at, reach)
    left = data - spot - at[:, 3, None, None]
    # The derivative by the covariance of y and x: that by both places, as a Gaussian obeys the heat equation.
    by_y, by_x = _along(at, reach)[1]
    slanted = at[:, 2, None, None] * by_y * by_x
    slant = (weight * left * slanted).sum(axis=(1, 2)) / (weight * slanted**2).sum(axis=(1, 2))
    return at, slant, (left**2 / noise).mean(axis=(1, 2)), rest


def _start(data: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    edge = np.concatenate([data[:, 0], data[:, -1], data[:, 1:-1, 0], data[:, 1:-1, -1]], axis=1)
    background = np.median(edge, axis=1)
    light = np.maximum((data - background[:, None, None]).sum(axis=(1, 2)), 1.0)
    nought, sigma = np.zeros(len(data)), np.full(len(data), float(sigma_px))
    return np.column_stack([nought, nought, light, background, sigma, sigma])


def gaussians(at: NDArray[np.float64], reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixel-integrated spots without their background, (K, n, n), and their derivatives, (K, 6, n, n)."""
    share, slope, widening = _along(at, reach)
    light = at[:, 2, None, None]
    even = share[0] * share[1]
    by_y, by_x = light * slope[0] * share[1], light * share[0] * slope[1]
    wider_y, wider_x = light * widening[0] * share[1], light * share[0] * widening[1]
    return light * even, np.stack([by_y, by_x, even, np.ones_like(even), wider_y, wider_x], axis=1)


def _along(at: NDArray[np.float64], reach: int) -> tuple[list[NDArray[np.float64]], ...]:
    """Return the shares of pixels along y, shape (K, n, 1), and x, (K, 1, n), their derivatives by place and width."""
    edges = np.arange(-reach, reach + 2) - HALF_PIXEL
    shares, slopes, widenings = [], [], []
    for axis in (0, 1):
        sigma = at[:, 4 + axis, None]
        u = (edges - at[:, axis, None]) / sigma
        density = np.exp(-0.5 * u**2) / (np.sqrt(2 * np.pi) * sigma)
        shape = (len(at), -1, 1) if axis == 0 else (len(at), 1, -1)
        shares.append(np.diff(ndtr(u), axis=1).reshape(shape))
        slopes.append(-np.diff(density, axis=1).reshape(shape))
        widenings.append(-np.diff(u * density, axis=1).reshape(shape))
    return shares, slopes, widenings


def _similar_misfit(misfit: NDArray[np.float64], light: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark misfits like those of the others.

    Where the PSF is no Gaussian the misfit grows in proportion to the light, in addition to the 1 of noise.
    """
    if not len(misfit):
        return np.zeros(0, bool)
    growth = np.median((misfit - 1).clip(0) / light)
    relative = misfit / (1 + growth * light)
    return relative < MAX_MISFIT * np.median(relative)


# -- the same bead or molecule in several frames --------------------------------------------------------------------


def link(frame: NDArray[np.int64], yx: NDArray[np.float64], distance_px: float, gap: int) -> NDArray[np.int64]:
    """Number the beads or molecules that spots belong to: those at the same place in consecutive frames.

    Parameters
    ----------
    frame : ndarray of int64, shape (K,)
        Frame of each spot, in ascending order.
    yx : ndarray, shape (K, 2)
        Places in pixels.
    distance_px : float
        From one frame to the next a bead moves by less.
    gap : int
        A bead may be missed in fewer consecutive frames than these.

    Returns
    -------
    ndarray of int64, shape (K,)
        From 0 on.

    Examples
    --------
    >>> link(np.array([0, 0, 1, 1, 5]), np.array([[1, 1], [9, 9], [9, 8.8], [1, 5], [9, 9]]), 1.0, 2).tolist()
    [0, 1, 1, 2, 3]
    """
    from scipy.spatial import cKDTree

    number = np.empty(len(frame), np.int64)
    last_frame, last_place, n_known = np.empty(0, np.int64), np.empty((0, 2)), 0
    for now in np.unique(frame):
        spots = np.flatnonzero(frame == now)
        open_ = np.flatnonzero(last_frame >= now - gap)
        number[spots] = -1
        if len(open_):
            distance, nearest = cKDTree(last_place[open_]).query(yx[spots], distance_upper_bound=distance_px)
            for k in np.argsort(distance, kind="stable")[: np.isfinite(distance).sum()]:
                which = open_[nearest[k]]
                if last_frame[which] < now:
                    number[spots[k]] = which
                    last_frame[which] = now
        new = spots[number[spots] < 0]
        number[new] = n_known + np.arange(len(new))
        n_known += len(new)
        last_frame = np.append(last_frame, np.full(len(new), now))
        last_place = np.append(last_place, yx[new], axis=0)
        last_place[number[spots]] = yx[spots]
    return number
