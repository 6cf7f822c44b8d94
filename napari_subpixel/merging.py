"""Points that are alternatives of one molecule become one.

A molecule on the edge of two pixels is told by both, each with a part of the probability, and so are the places of a
molecule between which a network cannot decide. Two points of a frame are taken for alternatives where they are closer
than their uncertainties and their probabilities add up to hardly more than one molecule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Alternatives are at most this far apart, in pixels, and in standard deviations of their distance.
REACH_PX, REACH_SIGMA = 1.0, 3.0
#: Their probabilities add up to at most this.
MOST = 1.25
#: Points below this probability are not looked at.
FAINTEST = 0.03
#: Pairs are joined in rounds; a molecule seldom has more alternatives than fit in these.
ROUNDS = 4
#: A joined point is never quite certain.
CERTAIN = 0.9999
#: Columns of the rows that are joined.
COLUMNS = ("frame", "y", "x", "probability", "photons", "background", "y_uncertainty", "x_uncertainty")
_FRAME, _PLACE, _P, _MEANS, _SPREAD = 0, slice(1, 3), 3, slice(4, 6), slice(6, 8)


def merge_alternatives(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join points that are alternatives of one molecule.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, 8)
        The `COLUMNS` of each point.

    Returns
    -------
    ndarray of float64, shape (M, 8)
        A joined point has the sum of the probabilities, and the mean and variance of the mixture of its alternatives.

    Examples
    --------
    >>> two = np.array([[0, 3.49, 7, 0.6, 900, 5, 0.1, 0.1], [0, 3.52, 7, 0.39, 900, 5, 0.1, 0.1]])
    >>> merge_alternatives(two)[:, 1:4].round(2).tolist()
    [[3.5, 7.0, 0.99]]
    """
    rows = rows[rows[:, _P] >= FAINTEST].astype(np.float64)
    for _ in range(ROUNDS):
        pairs = _closest_pairs(rows)
        if not len(pairs):
            break
        rows[pairs[:, 0]] = _joined(rows[pairs[:, 0]], rows[pairs[:, 1]])
        rows = np.delete(rows, pairs[:, 1], axis=0)
    return rows


def _closest_pairs(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return pairs of alternatives that are each other's closest, the more probable first, shape (K, 2)."""
    from scipy.spatial import cKDTree

    # Frames are set so far apart along a third axis that no pair spans two.
    apart = np.column_stack([rows[:, _FRAME] * (4 * REACH_PX), rows[:, _PLACE]])
    pairs = cKDTree(apart).query_pairs(REACH_PX, output_type="ndarray")
    a, b = rows[pairs[:, 0]], rows[pairs[:, 1]]
    variance = a[:, _SPREAD] ** 2 + b[:, _SPREAD] ** 2
    distance = ((a[:, _PLACE] - b[:, _PLACE]) ** 2 / variance).sum(axis=1)
    good = (distance < REACH_SIGMA**2) & (a[:, _P] + b[:, _P] <= MOST)
    pairs, distance = pairs[good], distance[good]
    nearest = np.full(len(rows), np.inf)
    for end in (0, 1):
        np.minimum.at(nearest, pairs[:, end], distance)
    pairs = pairs[(distance == nearest[pairs[:, 0]]) & (distance == nearest[pairs[:, 1]])]
    weaker_first = rows[pairs[:, 0], _P] < rows[pairs[:, 1], _P]
    pairs[weaker_first] = pairs[weaker_first, ::-1]
    # Of points at the very same distance a point may stand in two pairs: the first counts.
    _, first = np.unique(pairs.ravel(), return_index=True)
    once = np.isin(np.arange(pairs.size), first).reshape(-1, 2).all(axis=1)
    return pairs[once]


def _joined(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mixture of each two alternatives, shape (K, 8)."""
    total = a[:, _P] + b[:, _P]
    share_b = (b[:, _P] / total)[:, None]
    joined = a.copy()
    for part in (_PLACE, _MEANS):
        joined[:, part] = (1 - share_b) * a[:, part] + share_b * b[:, part]
    within = (1 - share_b) * a[:, _SPREAD] ** 2 + share_b * b[:, _SPREAD] ** 2
    between = share_b * (1 - share_b) * (a[:, _PLACE] - b[:, _PLACE]) ** 2
    joined[:, _SPREAD] = np.sqrt(within + between)
    joined[:, _P] = np.minimum(total, CERTAIN)
    return joined
