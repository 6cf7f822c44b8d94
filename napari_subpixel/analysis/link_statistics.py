"""What a table says of its molecules before they are linked: true spread, odds of appearing again, density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.link_kernels import returns

#: Rows that are enough to learn from, in a run of frames from the middle of the movie.
SAMPLE_ROWS = 200_000
#: Rows this many frames apart, and more, are strangers, or the same molecule after it was dark for long.
REACH_FRAMES = 30
#: Of these frames apart the odds of a stranger are learnt.
STRANGERS_FROM = 16
#: Most dark frames that are bridged unless asked for.
MOST_DARK_FRAMES = 10
#: Two rows of a molecule are within this squared distance in variances: 99.9%.
WITHIN_SQUARED = 13.8
#: Squared distances in variances up to this are compared with what the uncertainties promise.
WIDEST_SQUARED = 60.0
#: Fewer pairs of rows in neighbouring frames do not show how right the uncertainties are.
FEWEST_PAIRS = 100
#: The factor on given uncertainties is taken to be within these.
FACTORS = (0.5, 3.0)
#: Where there are no uncertainties, one for all rows is estimated, at most this, in pixels.
LARGEST_ESTIMATE_PX = 0.5
#: And at least this share of it.
SMALLEST_SHARE = 0.02
#: Before any data a molecule appears again in the next frame as often as not, as if seen in this many rows.
PRIOR_ROWS = 10.0
#: A number of dark frames is bridged where molecules appear again more often than by chance by so many standard errors.
SIGNIFICANCE = 4.0
#: Probability of appearing again that is assumed where more dark frames are asked for than the data shows; after dark
#: frames that this is as rare after, molecules are not bridged.
LEAST_ODDS = 0.005


@dataclass(frozen=True)
class Statistics:
    """What rows show of the molecules that they belong to.

    Attributes
    ----------
    uncertainty_factor : float
        The true spread of rows about their molecule, over their uncertainties.
    n_pairs : int
        Pairs of rows in neighbouring frames that it rests on.
    again : ndarray of float64, shape (G,)
        Probability that a molecule appears again in a frame, after 0 to G - 1 dark frames.
    """

    uncertainty_factor: float
    n_pairs: int
    again: NDArray[np.float64]


def sample(frame: NDArray[np.int64]) -> slice:
    """Return a run of whole frames from the middle of a movie, of about `SAMPLE_ROWS` rows."""
    n = len(frame)
    if n <= SAMPLE_ROWS:
        return slice(0, n)
    start = (n - SAMPLE_ROWS) // 2
    first, last = np.searchsorted(frame, [frame[start], frame[start + SAMPLE_ROWS]])
    return slice(int(first), int(max(last, first + 1)))


def statistics(
    frame: NDArray[np.int64], y: Any, x: Any, vy: Any, vx: Any, *, max_dark_frames: int | None = None
) -> Statistics:
    """Learn from rows how far and how often molecules appear again.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        In order.
    y, x, vy, vx : ndarray, shape (N,)
        Positions and their variances, in any one unit of length.
    max_dark_frames : int, optional
        Bridge up to so many dark frames; without it as many as the data shows.
    """
    rows = sample(frame)
    frame, y, x, vy, vx = (np.ascontiguousarray(column[rows]) for column in (frame, y, x, vy, vx))
    cell = math.sqrt(WIDEST_SQUARED * 2 * float(np.quantile(np.maximum(vy, vx), 0.9)))
    search = cell, *grid_shape(y, x, cell)
    _, nearest = returns(frame, y, x, vy, vx, *search, 0.0, 1)
    factor, n_pairs = _factor(nearest[nearest < WIDEST_SQUARED], FACTORS)
    counts, _ = returns(frame, y, x, vy, vx, *search, WITHIN_SQUARED * factor**2, REACH_FRAMES)
    return Statistics(factor, n_pairs, _again(counts, max_dark_frames))


def one_uncertainty(frame: NDArray[np.int64], y: Any, x: Any) -> float | None:
    """Estimate one uncertainty for all rows from how far they are from those of the frame before.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        In order.
    y, x : ndarray of float64, shape (N,)
        In pixels.

    Returns
    -------
    float or None
        One standard deviation along an axis, in pixels; None where too few rows have one of their molecule before them.
    """
    if len(frame) < FEWEST_PAIRS:
        return None
    rows = sample(frame)
    frame, y, x = (np.ascontiguousarray(column[rows]) for column in (frame, y, x))
    variance = np.full(len(y), np.float32(LARGEST_ESTIMATE_PX**2))
    cell = math.sqrt(WIDEST_SQUARED * 2) * LARGEST_ESTIMATE_PX
    _, nearest = returns(frame, y, x, variance, variance, cell, *grid_shape(y, x, cell), 0.0, 1)
    factor, n_pairs = _factor(nearest[nearest < WIDEST_SQUARED], (SMALLEST_SHARE, 1.0))
    return factor * LARGEST_ESTIMATE_PX if n_pairs >= FEWEST_PAIRS else None


def grid_shape(y: Any, x: Any, cell: float, n_rows: int | None = None) -> tuple[int, int]:
    """Return how many cells of a width a search has along y and x: powers of 2, not many more than there are rows.

    Rows that are searched at a time may be given, where they are not all.
    """
    most = max(math.log2(max(len(y) if n_rows is None else n_rows, 1)) / 2 + 1, 4)
    spans = (max(float(np.ptp(values)) / cell, 1.0) + 2 for values in (y, x))
    down, across = (1 << math.ceil(min(math.log2(span), most)) for span in spans)
    return down, across


def _factor(nearest: NDArray[np.float64], limits: tuple[float, float]) -> tuple[float, int]:
    """Return the factor on the uncertainties from squared distances in variances, and how many pairs are the same.

    Those of one molecule have half the squared distance exponentially distributed with mean factor**2 (2D), those of
    strangers lie evenly over the area, which the squared distance measures. Expectation-maximisation for both.
    """
    if len(nearest) < FEWEST_PAIRS:
        return 1.0, len(nearest)
    # Begun at what most of the near ones show, as the distances of strangers are far larger.
    scale, share = float(np.clip(np.quantile(nearest, 0.3), limits[0] ** 2, limits[1] ** 2)), 0.8
    for _ in range(60):
        same = share * np.exp(-nearest / (2 * scale)) / (2 * scale * -math.expm1(-WIDEST_SQUARED / (2 * scale)))
        weight = same / (same + (1 - share) / WIDEST_SQUARED)
        share = float(weight.mean())
        scale = float(np.clip((weight * nearest).sum() / (2 * weight.sum()), limits[0] ** 2, limits[1] ** 2))
    n_same = int(weight.sum())
    return (math.sqrt(scale), n_same) if n_same >= FEWEST_PAIRS else (1.0, n_same)


def _again(counts: NDArray[np.int64], max_dark_frames: int | None) -> NDArray[np.float64]:
    """Return the probabilities of appearing again, less those of strangers, from when rows follow others nearby."""
    later = counts[1:].astype(np.float64)
    at_risk = counts.sum() - np.concatenate([[0.0], np.cumsum(later)[:-1]])
    hazard = later / np.maximum(at_risk, 1.0)
    strangers = later[STRANGERS_FROM:].sum() / max(at_risk[STRANGERS_FROM:].sum(), 1.0)
    excess = hazard - strangers
    excess[0] = (excess[0] * at_risk[0] + PRIOR_ROWS / 2) / (at_risk[0] + PRIOR_ROWS)
    error = np.sqrt(np.maximum(later, 1.0)) / np.maximum(at_risk, 1.0)
    if max_dark_frames is None:
        clear = (excess > np.maximum(SIGNIFICANCE * error, LEAST_ODDS))[: MOST_DARK_FRAMES + 1]
        n = int(np.argmin(clear)) if not clear.all() else len(clear)
        return np.clip(excess[: max(n, 1)], LEAST_ODDS, 0.999)
    again = np.full(max_dark_frames + 1, LEAST_ODDS)
    n = min(len(again), STRANGERS_FROM)
    again[:n] = np.clip(excess[:n], LEAST_ODDS, 0.999)
    return again
