"""How far apart two measurements of one molecule are, in their own standard deviations, with strangers among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import i0e

from napari_subpixel._util.compiled import compiled

#: Bins that distances are counted in.
N_BINS = 120
#: Pairs up to this distance are compared, in units of the scatter: beyond it are strangers only.
REACH = 6.0
#: How much more than by their uncertainties strangers on one line scatter about it, as factors on the variance.
LINE_WIDTHS = (1.0, 3.0)
#: Steps of expectation and maximisation for the shares; they stop earlier where nothing changes any more.
MAX_EM_STEPS = 2000
#: The shares are settled when the likelihood, in natural units, changes by less than this in a step.
SETTLED = 1e-5
#: Shares below this are none.
MIN_SHARE = 1e-4
#: The factor is searched up to this much above and below where the search starts.
SEARCH = 1.6


@dataclass(frozen=True, eq=False)
class ScatterFit:
    """A factor on the uncertainties, and what share of the pairs are one molecule.

    Attributes
    ----------
    factor : float
        By what the standard deviations are to be multiplied to be those of the scatter.
    shares : ndarray, shape (G, K)
        Of one molecule, and of strangers in the plane, on lines and in clusters, in every group of pairs.
    log_likelihood : float
        Of all pairs, given that they are within reach.
    edges : ndarray, shape (B + 1,)
        Of the bins, in standard deviations of a pair.
    counts : ndarray, shape (G, B)
        Pairs in them.
    clusters : tuple of float
        Widths of clusters of strangers, as multiples of the scatter.
    """

    factor: float
    shares: NDArray[np.float64]
    log_likelihood: float
    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    clusters: tuple[float, ...] = ()

    @property
    def n_same(self) -> float:
        """Pairs that are one molecule, by expectation."""
        return float((self.shares[:, 0] * self.counts.sum(axis=1)).sum())

    def expected(self) -> NDArray[np.float64]:
        """Return the expected numbers in the bins: of one molecule, and of strangers, shape (2, B)."""
        parts = self.shares * self.counts.sum(axis=1)[:, None]
        shapes = _shapes(self.factor, self.edges, self.clusters)
        return np.stack([parts[:, :1].sum(axis=0) @ shapes[:1], parts[:, 1:].sum(axis=0) @ shapes[1:]])

    def error(self, parts: NDArray[np.float64]) -> float:
        """Return the standard error of the factor, from how much parts of the movie differ (sandwich estimator).

        Parts rather than pairs: the pairs of one molecule that is seen many times are not independent.

        Parameters
        ----------
        parts : ndarray, shape (P, G, B)
            The pairs in parts, whose sum is `counts`.
        """
        shapes = _shapes(self.factor, self.edges, self.clusters)
        step = 1e-3
        wider, narrower = (_shapes(self.factor * np.exp(sign * step), self.edges, self.clusters) for sign in (1, -1))
        slope = (wider - narrower) / (2 * step)
        information, scores = 0.0, np.zeros(len(parts))
        for group, shares in enumerate(self.shares):
            density = np.maximum(shares @ shapes, 1e-300)
            of_factor = shares @ slope / density
            free = shapes[1:][shares[1:] > MIN_SHARE] - shapes[0]
            of_shares = free / density
            # What a change of the shares could explain as well says nothing of the factor.
            weight = np.sqrt(self.counts[group])
            explained = np.linalg.lstsq((of_shares * weight).T, of_factor * weight, rcond=1e-6)[0] @ of_shares
            efficient = of_factor - explained
            information += float((self.counts[group] * efficient**2).sum())
            scores += parts[:, group] @ efficient
        if not information > 0:
            return float("nan")
        return float(self.factor * np.sqrt((scores**2).sum() * len(parts) / (len(parts) - 1)) / information)


def fit_scatter(
    counts: NDArray[np.float64],
    largest: float,
    start: float,
    *,
    fixed: bool = False,
    clusters: Sequence[float] = (),
) -> ScatterFit:
    """Fit a factor on the uncertainties to distances of pairs, by maximum likelihood.

    The distance of two measurements of one molecule, each axis divided by its standard deviation, has a Rayleigh
    distribution whose parameter is the factor; that of strangers in the plane grows in proportion to the distance;
    strangers on one line, at any place along it and scattered about it, have the distribution of the length of that
    vector. All are cut off at the largest distance.

    Parameters
    ----------
    counts : ndarray, shape (G, B)
        Pairs in equal bins from 0 to `largest`, in groups that may have strangers in other shares.
    largest : float
        Largest distance, in standard deviations of a pair.
    start : float
        Where the search for the factor begins.
    fixed : bool
        The factor stays as it is; only the shares are fitted.
    clusters : sequence of float
        Strangers in clusters, too, of these widths as multiples of the scatter.

    Returns
    -------
    ScatterFit
    """
    edges = np.linspace(0.0, largest, counts.shape[1] + 1)
    n_kinds = 2 + len(LINE_WIDTHS) + len(clusters)
    begin = np.full((len(counts), n_kinds), 1 / n_kinds)

    def at(log_factor: float) -> float:
        return -_with_best_shares(counts, _shapes(np.exp(log_factor), edges, clusters), begin)[1]

    factor = start
    if not fixed:
        bounds = (np.log(start / SEARCH), np.log(start * SEARCH))
        factor = float(np.exp(minimize_scalar(at, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))
    best, likelihood = _with_best_shares(counts, _shapes(factor, edges, clusters), begin)
    return ScatterFit(factor, best, likelihood, edges, counts, tuple(clusters))


def strangers_alone(
    counts: NDArray[np.float64], largest: float, factor: float, *, clusters: Sequence[float] = ()
) -> float:
    """Return the log-likelihood of pairs that are all strangers; `fit_scatter` explains the parameters."""
    shapes = _shapes(factor, np.linspace(0.0, largest, counts.shape[1] + 1), clusters)[1:]
    return _with_best_shares(counts, shapes, np.full((len(counts), len(shapes)), 1 / len(shapes)))[1]


def _with_best_shares(
    counts: NDArray[np.float64], shapes: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    best = np.array(shares, np.float64)
    return best, float(sum(_best_shares(counts[k], shapes, best[k]) for k in range(len(counts))))


@compiled
def _best_shares(counts: NDArray[np.float64], shapes: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Improve the shares of a group in place, by expectation and maximisation; return the log-likelihood."""
    total = max(counts.sum(), 1e-300)
    n_kinds, n_bins = shapes.shape
    gain = np.empty(n_kinds)
    before = -np.inf
    likelihood = 0.0
    for step in range(MAX_EM_STEPS):
        gain[:] = 0.0
        likelihood = 0.0
        for k in range(n_bins):
            if counts[k] == 0.0:
                continue
            density = 1e-300
            for j in range(n_kinds):
                density += shares[j] * shapes[j, k]
            if step % 10 == 0:
                likelihood += counts[k] * np.log(density)
            for j in range(n_kinds):
                gain[j] += counts[k] * shapes[j, k] / density
        if step % 10 == 0:
            if likelihood - before < SETTLED:
                break
            before = likelihood
        for j in range(n_kinds):
            shares[j] *= gain[j] / total
    return before if likelihood == 0.0 else likelihood


def _shapes(factor: float, edges: NDArray[np.float64], clusters: Sequence[float] = ()) -> NDArray[np.float64]:
    """Return the shares of the bins for each kind of pair, shape (K, B), each row with the sum 1."""
    edges = edges / factor
    same = -np.diff(np.exp(-(edges**2) / 2))
    plane = np.diff(edges**2)
    lines = [np.diff(_on_a_line(edges / np.sqrt(width))) for width in LINE_WIDTHS]
    blobs = [-np.diff(np.exp(-((edges / width) ** 2) / 2)) for width in clusters]
    shapes = np.stack([same, plane, *lines, *blobs])
    return shapes / shapes.sum(axis=1, keepdims=True)


def _on_a_line(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of strangers on a line up to a distance, in units of their scatter about it."""
    grid, cumulative = _line_table()
    return np.interp(distance, grid, cumulative)


@lru_cache(maxsize=1)
def _line_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Along the line uniform, across it normal: the density of the length r is r exp(-r^2 / 4) I0(r^2 / 4).
    grid = np.linspace(0.0, 400.0, 400_001)
    density = grid * i0e(grid**2 / 4)
    steps = (density[1:] + density[:-1]) * np.diff(grid) / 2
    return grid, np.concatenate([[0.0], np.cumsum(steps)])
