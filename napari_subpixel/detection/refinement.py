"""The last steps to the Cramer-Rao bound: Fisher scoring of isolated molecules.

A network places a molecule nearly as well as the light allows; where the model of the image is a plain one, a Gaussian
spot on a background that is even or a slope, a few steps of a maximum-likelihood fit from there get the rest. In crowds
they do not help, and the network's estimate stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_subpixel._util.compiled import compiled
from napari_subpixel.coordinates import HALF_PIXEL, home_pixel
from napari_subpixel.detection.points import MeasuredPoints, Points
from napari_subpixel.detection.slopes import background_slopes
from napari_subpixel.psf import add_gaussians

#: A molecule is refined where no other, certain or suspected, is nearer than this many standard deviations of the PSF.
ISOLATED_SIGMA = 4.0
#: Probability from which a molecule is suspected.
SUSPECTED_PROBABILITY = 0.1
#: The fit uses the pixels up to this many standard deviations from the molecule's own, and at least one more.
WINDOW_SIGMA = 2.5
#: Steps of a fit.
N_STEPS = 3
#: A step moves by at most this, in pixels.
MAX_STEP_PX = 0.3
#: A fit that ends further from its start than this many of the network's own uncertainties has found something else,
#: and is dropped.
MAX_SHIFT_SIGMA = 2.0
#: So is one whose light ends more than this factor from its start.
MAX_LIGHT_FACTOR = 2.0
#: A fit whose squared residuals exceed their variances by this many of their standard deviations is dropped too: there
#: is more in the window than one spot, or the spot is not plain.
MAX_MISFIT_SIGMA = 4.0
#: However small the fit's uncertainty, the reported one is at least this share of the network's: two molecules too near
#: each other to be resolved look like one to a fit, and are suspected by the network.
MIN_UNCERTAINTY_SHARE = 0.5
#: Molecules that are fitted at once.
MOLECULES_PER_FIT = 4096


def refine(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
    *,
    threshold: float = 0.0,
) -> MeasuredPoints:
    """Return the molecules above a threshold, isolated ones refined: position, uncertainty, light and background.

    Parameters
    ----------
    counts : ndarray, shape (T, Y, X)
        Frames in counts, as `napari_subpixel.models.input_scaling.counts` makes them.
    read_variance : ndarray, shape (T, Y, X)
        Variance of the read noise, in counts.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    points : MeasuredPoints
        Their frames are numbered as in `counts`.
    threshold : float
        Probability from which a point is a molecule; the others only keep their neighbours from being isolated.

    Returns
    -------
    MeasuredPoints
        The points from the threshold on.
    """
    isolated, above = is_isolated(points, ISOLATED_SIGMA * sigma_px), points.probability >= threshold
    points, numbers = points.take(above), np.flatnonzero(isolated[above])
    light = np.zeros(counts.shape, np.float32)
    lit = points.take(np.isin(points.frame, points.frame[numbers]))
    sigma = np.full(len(lit), float(sigma_px))
    add_gaussians(light, lit.frame, lit.y, lit.x, lit.molecule_counts, sigma, sigma)
    for start in range(0, len(numbers), MOLECULES_PER_FIT):
        block = numbers[start : start + MOLECULES_PER_FIT]
        fitted = _fitted(counts, read_variance, light, sigma_px, points.take(block))
        for name, values in points.arrays.items():
            values[block] = fitted.arrays[name]
    return points


def is_isolated(points: Points, distance_px: float) -> NDArray[np.bool_]:
    """Return which points have no other suspected one within a distance in their frame.

    Parameters
    ----------
    points : Points
    distance_px : float

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    order = np.argsort(points.frame, kind="stable")
    isolated = np.empty(len(points), bool)
    by_frame = points.take(order)
    isolated[order] = _isolated_in_order(by_frame.frame, by_frame.y, by_frame.x, by_frame.probability, distance_px)
    return isolated


@compiled
def _isolated_in_order(
    frame: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    probability: NDArray[np.float64],
    distance_px: float,
) -> NDArray[np.bool_]:
    """Return the same for points that are sorted by frame."""
    isolated, start = np.ones(len(frame), np.bool_), 0
    while start < len(frame):
        end = start
        while end < len(frame) and frame[end] == frame[start]:
            end += 1
        # Suspected points are linked in chains, one for each cell as wide as the distance.
        cell_y = np.floor(y[start:end] / distance_px).astype(np.int64)
        cell_x = np.floor(x[start:end] / distance_px).astype(np.int64)
        cell_y -= cell_y.min() - 1
        cell_x -= cell_x.min() - 1
        chains = np.full((cell_y.max() + 2, cell_x.max() + 2), -1)
        following = np.empty(end - start, np.int64)
        for i in range(end - start):
            if probability[start + i] >= SUSPECTED_PROBABILITY:
                following[i] = chains[cell_y[i], cell_x[i]]
                chains[cell_y[i], cell_x[i]] = i
        for i in range(end - start):
            for k in chains[cell_y[i] - 1 : cell_y[i] + 2, cell_x[i] - 1 : cell_x[i] + 2].flat:
                while k >= 0 and isolated[start + i]:
                    dy, dx = y[start + i] - y[start + k], x[start + i] - x[start + k]
                    isolated[start + i] = k == i or dy * dy + dx * dx > distance_px * distance_px
                    k = following[k]
        start = end
    return isolated


def _fitted(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    light: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
) -> MeasuredPoints:
    """Return the points after some steps, with the fit's own uncertainties, where it ended near its start."""
    reach = int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1
    yx = np.column_stack([points.y, points.x])
    pixel = home_pixel(yx)
    window = np.arange(-reach, reach + 1)
    y, x = pixel[:, :1] + window, pixel[:, 1:] + window  # (K, n)
    height, width = counts.shape[1:]
    on_frame = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    place = points.frame[:, None, None], y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None]
    data, read = counts[place].astype(np.float64), read_variance[place].astype(np.float64)
    # y, x from the middle of the own pixel; light; background
    at = np.column_stack([yx - pixel, points.molecule_counts, points.background_counts])
    # The plane is 0 in the middle of the own pixel, and so the background is that of the molecule's place.
    slope = background_slopes(counts, read_variance, light, sigma_px, points)
    plane = slope[:, :1, None] * window[:, None] + slope[:, 1:, None] * window
    others = light[place] - _spot(at, sigma_px, reach)[0] + plane
    for _ in range(N_STEPS):
        spot, slopes = _spot(at, sigma_px, reach)
        mean = spot + others + at[:, 3, None, None]
        weight = on_frame / np.maximum(mean + read, 0.05)
        information = np.einsum("kayx,kbyx,kyx->kab", slopes, slopes, weight, optimize=True)
        score = np.einsum("kayx,kyx->ka", slopes, weight * (data - mean), optimize=True)
        covariance = np.linalg.pinv(information, hermitian=True)
        step = np.einsum("kab,kb->ka", covariance, score)
        step[:, :2] = step[:, :2].clip(-MAX_STEP_PX, MAX_STEP_PX)
        at = at + step
        at[:, 2:] = np.maximum(at[:, 2:], [1.0, 0.0])
    misfit = weight * (data - _spot(at, sigma_px, reach)[0] - others - at[:, 3, None, None]) ** 2
    n_pixels = on_frame.sum(axis=(1, 2))
    fitted_yx, molecule_counts, background_counts = pixel + at[:, :2], at[:, 2], at[:, 3]
    bound = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, :2].clip(1e-8))
    uncertainty = np.column_stack([points.y_uncertainty, points.x_uncertainty])
    moved = np.abs(fitted_yx - yx)
    sound = np.isfinite(at).all(axis=1) & np.isfinite(bound).all(axis=1)
    sound &= np.abs(np.log(molecule_counts / points.molecule_counts)) < np.log(MAX_LIGHT_FACTOR)
    sound &= (moved < MAX_SHIFT_SIGMA * uncertainty).all(axis=1)
    sound &= misfit.sum(axis=(1, 2)) < n_pixels + MAX_MISFIT_SIGMA * np.sqrt(2 * n_pixels)
    fitted_uncertainty = np.maximum(bound, MIN_UNCERTAINTY_SHARE * uncertainty)
    return replace(
        points,
        y=np.where(sound, fitted_yx[:, 0], points.y),
        x=np.where(sound, fitted_yx[:, 1], points.x),
        molecule_counts=np.where(sound, molecule_counts, points.molecule_counts),
        background_counts=np.where(sound, background_counts, points.background_counts),
        y_uncertainty=np.where(sound, fitted_uncertainty[:, 0], points.y_uncertainty),
        x_uncertainty=np.where(sound, fitted_uncertainty[:, 1], points.x_uncertainty),
    )


def _spot(at: NDArray[np.float64], sigma_px: float, reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the spots, shape (K, n, n), and their derivatives by y, x, light and background, (K, 4, n, n)."""
    edges = np.arange(-reach, reach + 2) - HALF_PIXEL
    u = (edges - at[:, :2, None]) / sigma_px  # (K, 2, n + 1)
    share = np.diff(ndtr(u), axis=2)
    slope = -np.diff(np.exp(-0.5 * u**2), axis=2) / (np.sqrt(2 * np.pi) * sigma_px)
    light = at[:, 2, None, None]
    even = share[:, 0, :, None] * share[:, 1, None, :]
    by_y = light * slope[:, 0, :, None] * share[:, 1, None, :]
    by_x = light * share[:, 0, :, None] * slope[:, 1, None, :]
    return light * even, np.stack([by_y, by_x, even, np.ones_like(even)], axis=1)
