"""Points that are alternatives of one molecule become one.

A molecule on the edge of two pixels is told by both, each with a part of the probability, and so are the places of a
molecule between which a network cannot decide. Two points of a frame are taken for alternatives where they are closer
than their uncertainties and their probabilities add up to hardly more than one molecule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled

#: Alternatives are at most this far apart, in pixels, and in standard deviations of their distance.
REACH_PX, REACH_SIGMA = 1.0, 3.0
#: Their probabilities add up to at most this.
MOST = 1.25
#: Points below this probability are not looked at.
FAINTEST = 0.03
#: Pairs are joined in rounds; a molecule seldom has more alternatives than fit in these.
ROUNDS = 4
#: A joined point is never quite certain; what its alternatives have beyond this stays behind as a point of its own.
CERTAIN = 0.9999
#: Columns of the rows that are joined.
COLUMNS = ("frame", "y", "x", "probability", "photons", "background", "y_uncertainty", "x_uncertainty")
_FRAME, _Y, _X, _P, _MEANS, _SPREAD = 0, 1, 2, 3, (4, 5), (6, 7)


def merge_alternatives(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join points that are alternatives of one molecule.

    In each round every point looks for the nearest of its alternatives, in standard deviations of their distance, and
    two that find each other are joined.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, 8)
        The `COLUMNS` of each point.

    Returns
    -------
    ndarray of float64, shape (M, 8)
        A joined point has the sum of the probabilities, and the mean and variance of the mixture of its alternatives.
        Where the sum would be above `CERTAIN`, what is more stays with the weaker of the two: the expected number of
        molecules is that of the points before. The rows are sorted by frame.

    Examples
    --------
    >>> two = np.array([[0, 3.49, 7, 0.6, 900, 5, 0.1, 0.1], [0, 3.52, 7, 0.39, 900, 5, 0.1, 0.1]])
    >>> merge_alternatives(two)[:, 1:4].round(2).tolist()
    [[3.5, 7.0, 0.99]]
    """
    rows = rows[rows[:, _P] >= FAINTEST].astype(np.float64)
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, _FRAME], kind="stable")]
    ends = np.flatnonzero(np.diff(rows[:, _FRAME], append=np.inf)) + 1
    return rows[_merge(rows, ends)]


@compiled
def _merge(rows: NDArray[np.float64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Join in place, frame by frame, and say which rows are left; a frame's rows end at each of `ends`."""
    left = np.ones(len(rows), np.bool_)
    start = 0
    for end in ends:
        _merge_frame(rows[start:end], left[start:end])
        start = end
    return left


@compiled
def _merge_frame(rows: NDArray[np.float64], left: NDArray[np.bool_]) -> None:
    n = len(rows)
    top, side = np.floor(rows[:, _Y].min()), np.floor(rows[:, _X].min())
    height, width = int(rows[:, _Y].max() - top) + 3, int(rows[:, _X].max() - side) + 3
    # Points are linked in chains, one for each cell as wide as the reach, so that only nine cells are looked through.
    chains, following = np.full((height, width), -1), np.empty(n, np.int64)
    cell_y, cell_x = np.empty(n, np.int64), np.empty(n, np.int64)
    nearest, closed = np.empty(n, np.int64), np.zeros(n, np.bool_)
    for _ in range(ROUNDS):
        for i in range(n):
            if left[i]:
                cell_y[i], cell_x[i] = int(rows[i, _Y] - top) + 1, int(rows[i, _X] - side) + 1
                following[i] = chains[cell_y[i], cell_x[i]]
                chains[cell_y[i], cell_x[i]] = i
        for i in range(n):
            nearest[i] = -1
            if left[i] and not closed[i]:
                nearest[i] = _nearest(i, rows, closed, chains, following, cell_y[i], cell_x[i])
        for i in range(n):
            if left[i]:
                chains[cell_y[i], cell_x[i]] = -1
        joined = False
        for i in range(n):
            k = nearest[i]
            if k > i and nearest[k] == i:
                strong, weak = (i, k) if rows[i, _P] >= rows[k, _P] else (k, i)
                closed[strong], left[weak] = _join(rows[strong], rows[weak])
                joined = True
        if not joined:
            break


@compiled
def _nearest(
    i: int,
    rows: NDArray[np.float64],
    closed: NDArray[np.bool_],
    chains: NDArray[np.int64],
    following: NDArray[np.int64],
    cell_y: int,
    cell_x: int,
) -> int:
    """Return the nearest alternative of a point, -1 where it has none."""
    best, least = -1, REACH_SIGMA**2
    for cy in range(cell_y - 1, cell_y + 2):
        for cx in range(cell_x - 1, cell_x + 2):
            k = chains[cy, cx]
            while k >= 0:
                if k != i and not closed[k] and rows[i, _P] + rows[k, _P] <= MOST:
                    dy, dx = (rows[i, _Y] - rows[k, _Y]) ** 2, (rows[i, _X] - rows[k, _X]) ** 2
                    if dy + dx <= REACH_PX**2:
                        distance = 0.0
                        distance += dy / (rows[i, _SPREAD[0]] ** 2 + rows[k, _SPREAD[0]] ** 2)
                        distance += dx / (rows[i, _SPREAD[1]] ** 2 + rows[k, _SPREAD[1]] ** 2)
                        # Of several at the very same distance the first counts, for both.
                        if distance < least or (distance == least and k < best):
                            best, least = k, distance
                k = following[k]
    return best


@compiled
def _join(strong: NDArray[np.float64], weak: NDArray[np.float64]) -> tuple[bool, bool]:
    """Make a row the mixture of two; return whether it is certain now, and whether the other row is still there."""
    total = strong[_P] + weak[_P]
    share = weak[_P] / total
    for place, spread in ((_Y, _SPREAD[0]), (_X, _SPREAD[1])):
        within = (1 - share) * strong[spread] ** 2 + share * weak[spread] ** 2
        between = share * (1 - share) * (strong[place] - weak[place]) ** 2
        strong[spread] = np.sqrt(within + between)
        strong[place] = (1 - share) * strong[place] + share * weak[place]
    for mean in _MEANS:
        strong[mean] = (1 - share) * strong[mean] + share * weak[mean]
    strong[_P] = min(total, CERTAIN)
    weak[_P] = total - strong[_P]
    return total >= CERTAIN, weak[_P] >= FAINTEST
