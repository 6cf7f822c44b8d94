"""The last steps to the Cramer-Rao bound: Fisher scoring of molecules that stand clear of others.

A network places a molecule nearly as well as the light allows; where the model of the image is a plain one, a Gaussian
spot on an even background, a few steps of a maximum-likelihood fit from there get the rest. In crowds they do not help,
and what the network says stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_subpixel._util.compiled import compiled
from napari_subpixel.coordinates import HALF_PIXEL, home_pixel
from napari_subpixel.psf import add_gaussians

#: A molecule is refined where no other, found or only suspected with this probability, is nearer than this many
#: standard deviations of the PSF.
CLEAR_SIGMA, SUSPECTED = 4.0, 0.1
#: The fit sees the pixels up to this many standard deviations from the molecule's own, and at least one more.
WINDOW_SIGMA = 2.5
STEPS = 3
#: A step moves by at most this; and a fit that ends further than so many of the network's own uncertainties from where
#: it began has found something else, and is dropped.
LONGEST_STEP_PX, DROPPED_SIGMA = 0.3, 2.0
#: So is one whose light ends further than this factor from where it began.
LIGHT_FACTOR = 2.0
#: A fit whose squared residuals exceed their variances by so many of their standard deviations is dropped too: there is
#: more in the window than one spot, or the spot is not plain.
MISFIT_SIGMA = 4.0
#: However sure the fit, its uncertainty is at least this share of the network's: two molecules too near each other to
#: be told apart look like one to a fit, and are suspected by the network.
LEAST_SHARE = 0.5
#: Molecules that are fitted at once.
BLOCK = 4096


def refine(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    sigma_px: float,
    rows: NDArray[np.float64],
    *,
    threshold: float = 0.0,
) -> NDArray[np.float64]:
    """Return the molecules above a threshold, refined where they stand clear: places, uncertainties, light, background.

    Parameters
    ----------
    counts : ndarray, shape (T, Y, X)
        Frames in counts, as `napari_subpixel.models.input_scaling.counts` makes them.
    read_variance : ndarray, shape (T, Y, X)
        Variance of the read noise, in counts.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    rows : ndarray of float64, shape (N, 8)
        `napari_subpixel.detection.merging.COLUMNS`, light in counts; frames are numbered as in `counts`.
    threshold : float
        Probability from which a point is a molecule; the others only say where it is not clear.

    Returns
    -------
    ndarray of float64, shape (M, 8)
        The rows of the molecules.
    """
    alone = stands_clear(rows, CLEAR_SIGMA * sigma_px)
    alone, rows = alone[rows[:, 3] >= threshold], rows[rows[:, 3] >= threshold]
    clear = np.flatnonzero(alone)
    others = np.zeros(counts.shape, np.float32)
    beside = rows[np.isin(rows[:, 0], rows[clear, 0])]
    sigma = np.full(len(beside), float(sigma_px))
    add_gaussians(others, beside[:, 0].astype(np.int64), beside[:, 1], beside[:, 2], beside[:, 4], sigma, sigma)
    for start in range(0, len(clear), BLOCK):
        some = clear[start : start + BLOCK]
        rows[some] = _fitted(counts, read_variance, others, sigma_px, rows[some])
    return rows


def stands_clear(rows: NDArray[np.float64], distance_px: float) -> NDArray[np.bool_]:
    """Say which points have no other suspected one within a distance in their frame.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, 4 or more)
        Frame, y, x and probability of each point; further columns are not looked at.
    distance_px : float

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    order = np.argsort(rows[:, 0], kind="stable")
    clear = np.empty(len(rows), bool)
    clear[order] = _clear_in_order(rows[order], distance_px)
    return clear


@compiled
def _clear_in_order(rows: NDArray[np.float64], distance_px: float) -> NDArray[np.bool_]:
    """Say the same of rows that are sorted by frame."""
    clear, start = np.ones(len(rows), np.bool_), 0
    while start < len(rows):
        end = start
        while end < len(rows) and rows[end, 0] == rows[start, 0]:
            end += 1
        frame = rows[start:end]
        # Suspected points are linked in chains, one for each cell as wide as the distance.
        cells = np.floor(frame[:, 1:3] / distance_px).astype(np.int64)
        top, side = cells[:, 0].min() - 1, cells[:, 1].min() - 1
        chains = np.full((cells[:, 0].max() - top + 2, cells[:, 1].max() - side + 2), -1)
        following = np.empty(len(frame), np.int64)
        for i in range(len(frame)):
            if frame[i, 3] >= SUSPECTED:
                y, x = cells[i, 0] - top, cells[i, 1] - side
                following[i] = chains[y, x]
                chains[y, x] = i
        for i in range(len(frame)):
            y, x = cells[i, 0] - top, cells[i, 1] - side
            for k in chains[y - 1 : y + 2, x - 1 : x + 2].flat:
                while k >= 0 and clear[start + i]:
                    dy, dx = frame[i, 1] - frame[k, 1], frame[i, 2] - frame[k, 2]
                    clear[start + i] = k == i or dy * dy + dx * dx > distance_px * distance_px
                    k = following[k]
        start = end
    return clear


def _fitted(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    light: NDArray[np.float32],
    sigma_px: float,
    rows: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the rows after some steps, with the fit's own uncertainties, where it ended near where it began."""
    reach = int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1
    own = home_pixel(rows[:, 1:3])
    window = np.arange(-reach, reach + 1)
    y, x = own[:, :1] + window, own[:, 1:] + window  # (K, n)
    height, width = counts.shape[1:]
    seen = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    place = (
        rows[:, 0].astype(np.int64)[:, None, None],
        y.clip(0, height - 1)[:, :, None],
        x.clip(0, width - 1)[:, None],
    )
    data, read = counts[place].astype(np.float64), read_variance[place].astype(np.float64)
    # y, x from the middle of the own pixel; light; background
    at = np.column_stack([rows[:, 1:3] - own, rows[:, 4], rows[:, 5]])
    neighbours = light[place] - _spot(at, sigma_px, reach)[0]
    for _ in range(STEPS):
        spot, slopes = _spot(at, sigma_px, reach)
        mean = spot + neighbours + at[:, 3, None, None]
        weight = seen / np.maximum(mean + read, 0.05)
        information = np.einsum("kayx,kbyx,kyx->kab", slopes, slopes, weight, optimize=True)
        score = np.einsum("kayx,kyx->ka", slopes, weight * (data - mean), optimize=True)
        covariance = np.linalg.pinv(information, hermitian=True)
        step = np.einsum("kab,kb->ka", covariance, score)
        step[:, :2] = step[:, :2].clip(-LONGEST_STEP_PX, LONGEST_STEP_PX)
        at = at + step
        at[:, 2:] = np.maximum(at[:, 2:], [1.0, 0.0])
    misfit = weight * (data - _spot(at, sigma_px, reach)[0] - neighbours - at[:, 3, None, None]) ** 2
    pixels = seen.sum(axis=(1, 2))
    refined = rows.copy()
    refined[:, 1:3] = own + at[:, :2]
    refined[:, 4:6] = at[:, 2:]
    bound = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, :2].clip(1e-8))
    refined[:, 6:8] = np.maximum(bound, LEAST_SHARE * rows[:, 6:8])
    moved = np.abs(refined[:, 1:3] - rows[:, 1:3])
    sound = np.isfinite(refined.sum(axis=1))
    sound &= np.abs(np.log(refined[:, 4] / rows[:, 4])) < np.log(LIGHT_FACTOR)
    sound &= (moved < DROPPED_SIGMA * rows[:, 6:8]).all(axis=1)
    sound &= misfit.sum(axis=(1, 2)) < pixels + MISFIT_SIGMA * np.sqrt(2 * pixels)
    return np.where(sound[:, None], refined, rows)


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
