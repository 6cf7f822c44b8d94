"""The profile of molecules along a line: its histogram, and the width of its peak with an error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from napari_subpixel.errors import InputError

#: Width of a Gaussian at half its height, in standard deviations.
FWHM_IN_SIGMA = 2 * math.sqrt(2 * math.log(2))
#: Steps along the line in which positions are counted for the fit.
N_STEPS = 1000
#: Fewest rows that a width is fitted to.
FEWEST_ROWS = 20
#: Least gain of the log likelihood by a peak over rows that are spread evenly: of 2000 simulated lines without a peak,
#: with 20 to 2000 rows, fewer than one in a hundred had it.
LEAST_GAIN = 11.0
#: Widths at which a fit begins, as parts of the line.
FIRST_WIDTHS = (0.01, 0.04, 0.15)
#: Narrowest peak, in steps.
NARROWEST_STEPS = 1.0
#: Distance of the cumulative shares of the rows and of a fit that holds, times the root of the number of rows
#: (Kolmogorov and Smirnov, at 1%).
FARTHEST = 1.63


@dataclass(frozen=True)
class Peak:
    """A Gaussian on an even background.

    Attributes
    ----------
    centre, sigma : float
        In the unit of the positions.
    share : float
        The rows that are in the peak, as a part of all.
    fwhm, fwhm_error : float
        Full width at half maximum, and its standard error for rows that are independent.
    holds : bool
        Whether the rows are distributed as the fit says.
    """

    centre: float
    sigma: float
    share: float
    fwhm: float
    fwhm_error: float
    holds: bool


def fit_peak(positions: NDArray[np.float64], low: float, high: float) -> Peak:
    """Fit a Gaussian on an even background to positions between two ends, by maximum likelihood.

    The error is that of the Fisher information. It takes the rows for independent: where one molecule is several
    rows, it is too small.

    Parameters
    ----------
    positions : ndarray of float, shape (N,)
    low, high : float
        The ends.

    Raises
    ------
    InputError
        If there are too few rows, no peak, or one that is not whole between the ends.
    """
    if len(positions) < FEWEST_ROWS:
        raise InputError(f"{len(positions)} points are too few for a width, which needs {FEWEST_ROWS}")
    span = high - low
    steps = np.clip(((positions - low) * (N_STEPS / span)).astype(np.int64), 0, N_STEPS - 1)
    counts = np.bincount(steps, minlength=N_STEPS).astype(np.float64)
    best, loss = _best(counts)
    gain = len(positions) * math.log(N_STEPS) - loss
    if gain < LEAST_GAIN:
        raise InputError("there is no peak in the profile")
    centre, sigma, share = _plain(best)
    half = sigma * FWHM_IN_SIGMA / 2
    if centre - half < 0 or centre + half > 1:
        raise InputError("the peak of the profile is not whole within the line")
    if sigma <= 1.05 * NARROWEST_STEPS / N_STEPS:
        raise InputError("the points are all at one place of the line")
    error = _error_of_log_sigma(best, len(positions))
    if not math.isfinite(error):
        raise InputError("the width of the profile is not determined")
    away = np.abs(np.cumsum(counts) / len(positions) - np.cumsum(_shares(best))).max()
    fwhm = sigma * span * FWHM_IN_SIGMA
    holds = bool(away * math.sqrt(len(positions)) < FARTHEST)
    return Peak(low + centre * span, sigma * span, share, fwhm, fwhm * error, holds)


def peak_rows(peak: Peak, at: NDArray[np.float64], low: float, high: float, n_rows: int) -> NDArray[np.float64]:
    """Return how many rows a fit has in each unit of length.

    Parameters
    ----------
    peak : Peak
    at : ndarray of float, shape (N,)
        Where.
    low, high : float
        The ends between which it was fitted.
    n_rows : int
        Rows between them.
    """
    whole = ndtr((high - peak.centre) / peak.sigma) - ndtr((low - peak.centre) / peak.sigma)
    bell = np.exp(-0.5 * ((at - peak.centre) / peak.sigma) ** 2) / (peak.sigma * math.sqrt(2 * math.pi))
    return np.asarray(n_rows * (peak.share * bell / whole + (1 - peak.share) / (high - low)))


def _plain(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return centre and standard deviation as parts of the line, and the share of the peak."""
    narrowest = NARROWEST_STEPS / N_STEPS
    sigma = math.exp(min(max(float(values[1]), math.log(narrowest)), 3.0))
    return float(values[0]), sigma, float(expit(values[2]))


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of rows that is expected in each step of the line, shape (N_STEPS,)."""
    centre, sigma, share = _plain(values)
    below = ndtr((np.linspace(0, 1, N_STEPS + 1) - centre) / sigma)
    whole = max(float(below[-1] - below[0]), 1e-300)
    return np.asarray(share * np.diff(below) / whole + (1 - share) / N_STEPS)


def _best(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the values of the likeliest peak and its loss, minus the log likelihood."""

    def loss(values: NDArray[np.float64]) -> float:
        away = max(0.0, -float(values[0]), float(values[0]) - 1)  # a centre beyond the line only loses
        return float(-counts @ np.log(np.maximum(_shares(values), 1e-300)) + counts.sum() * away)

    best: NDArray[np.float64] | None = None
    least = math.inf
    for width in FIRST_WIDTHS:
        reach = np.arange(-0.5, 0.5, 1 / N_STEPS)
        smooth = np.convolve(counts, np.exp(-0.5 * (reach / width) ** 2), mode="same")
        start = np.array([(int(np.argmax(smooth)) + 0.5) / N_STEPS, math.log(width), 0.0])
        steps = start + np.array([[0, 0, 0], [width, 0, 0], [0, 0.5, 0], [0, 0, 1.5]])
        options = {"initial_simplex": steps, "xatol": 1e-5, "fatol": 1e-5, "maxiter": 1000}
        found = minimize(loss, start, method="Nelder-Mead", options=options)
        if found.fun < least:
            best, least = found.x, float(found.fun)
    assert best is not None
    return best, least


def _error_of_log_sigma(values: NDArray[np.float64], n_rows: int) -> float:
    """Return the standard error of the logarithm of the width, by the Fisher information; infinite without any."""
    sigma = _plain(values)[1]
    changes = np.diag([1e-3 * sigma, 1e-3, 1e-3])
    slopes = np.stack([(_shares(values + step) - _shares(values - step)) / (2 * step.sum()) for step in changes])
    expected = np.maximum(_shares(values), 1e-300)
    # Where the share of the peak is 1, its logit is not determined, and nothing depends on it.
    rows = slice(0, 3) if abs(values[2]) < 12 else slice(0, 2)
    information = n_rows * (slopes[rows] / expected) @ slopes[rows].T
    try:
        variance = float(np.linalg.inv(information)[1, 1])
    except np.linalg.LinAlgError:
        return math.inf
    return math.sqrt(variance) if variance > 0 else math.inf
