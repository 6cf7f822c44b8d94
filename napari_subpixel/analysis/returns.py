"""Molecules that come back: rows of other times at the same place, beyond those that a structure puts there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.same_molecule import N_BINS, REACH, fit_scatter, strangers_alone

#: Rows whose surroundings are searched, at most.
MAX_QUERIES = 20_000
#: Pairs that are fitted, at most about.
MAX_PAIRS = 3_000_000
#: Rows less certain than this multiple of the median are left out of the search.
MAX_SPREAD = 2.0
#: By so much, in natural units, the likelihood must be better than with strangers alone.
MIN_GAIN = 15.0
#: Scatter of neighbours in clusters, in standard deviations, which are structure.
CLUSTERS = (2.5, 4.0)
#: Rows that come back less often than this make no difference.
FEW = 0.01


def returns_per_row(
    y: NDArray[np.float64], x: NDArray[np.float64], precision: NDArray[np.float64], block: NDArray[np.int64]
) -> float:
    """Return how many rows of the same molecule are in other blocks of time, for each row.

    Distances of rows of different blocks, in standard deviations, are fitted as those in consecutive frames are
    (`same_molecule`), with neighbours in clusters added to the strangers.

    Parameters
    ----------
    y, x, precision : ndarray, shape (N,)
        Positions and standard deviations, in any one unit.
    block : ndarray of int64, shape (N,)
        Block of time of every row.

    Returns
    -------
    float
        0 where they cannot be distinguished from structure.
    """
    from scipy.spatial import cKDTree

    near = np.flatnonzero(precision <= MAX_SPREAD * np.median(precision))
    tree = cKDTree(np.column_stack([y[near], x[near]]))
    radius = REACH * np.sqrt(2) * float(precision[near].max())
    query = near[:: max(1, len(near) // MAX_QUERIES)]
    numbers = tree.query_ball_point(np.column_stack([y[query], x[query]]), radius, return_length=True)
    query = query[:: max(1, -(-int(numbers.sum()) // MAX_PAIRS))]
    queried = cKDTree(np.column_stack([y[query], x[query]]))
    pairs = queried.sparse_distance_matrix(tree, radius, output_type="ndarray")
    first, second = query[pairs["i"]], near[pairs["j"]]
    other_time = block[first] != block[second]
    first, second = first[other_time], second[other_time]
    scatter = np.sqrt(precision[first] ** 2 + precision[second] ** 2)
    distance = np.hypot(y[first] - y[second], x[first] - x[second]) / scatter
    counts = np.histogram(distance, N_BINS, (0.0, REACH))[0].astype(np.float64)[None]
    if not counts.sum():
        return 0.0
    fit = fit_scatter(counts, REACH, 1.0, clusters=CLUSTERS, fixed=True)
    gain = fit.log_likelihood - strangers_alone(counts, REACH, 1.0, clusters=CLUSTERS)
    per_row = fit.n_same / len(query) * len(precision) / len(near)
    return per_row if gain > MIN_GAIN and per_row > FEW else 0.0
