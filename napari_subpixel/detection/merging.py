"""Points that are alternatives of one molecule become one.

A molecule on the edge of two pixels is reported by both, each with a part of the probability, and so are the positions
between which a network cannot decide. Two points of a frame are taken for alternatives where they are closer than their
uncertainties and their probabilities add up to hardly more than one molecule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel.detection.points import MeasuredPoints

#: Alternatives are at most this far apart, in pixels.
MAX_DISTANCE_PX = 1.0
#: And at most this far, in standard deviations of their distance.
MAX_DISTANCE_SIGMA = 3.0
#: Their probabilities add up to at most this.
MAX_TOTAL_PROBABILITY = 1.25
#: Points below this probability are ignored.
MIN_PROBABILITY = 0.03
#: Pairs are joined in rounds; a molecule seldom has more alternatives than fit in these.
MAX_ROUNDS = 4
#: A joined point is never quite certain; what its alternatives have beyond this stays behind as a point of its own.
MAX_PROBABILITY = 0.9999

_Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


def merge_alternatives(points: MeasuredPoints) -> MeasuredPoints:
    """Join points that are alternatives of one molecule.

    In each round every point picks the nearest of its alternatives, in standard deviations of their distance, and two
    that pick each other are joined.

    Parameters
    ----------
    points : MeasuredPoints

    Returns
    -------
    MeasuredPoints
        A joined point has the sum of the probabilities, and the mean and variance of the mixture of its alternatives.
        Where the sum would exceed `MAX_PROBABILITY`, the excess stays with the weaker of the two: the expected number
        of molecules does not change. The points are sorted by frame.

    Examples
    --------
    >>> two = MeasuredPoints(
    ...     frame=np.array([0, 0]),
    ...     y=np.array([3.49, 3.52]),
    ...     x=np.array([7.0, 7.0]),
    ...     probability=np.array([0.6, 0.39]),
    ...     molecule_counts=np.array([900.0, 900.0]),
    ...     background_counts=np.array([5.0, 5.0]),
    ...     y_uncertainty=np.array([0.1, 0.1]),
    ...     x_uncertainty=np.array([0.1, 0.1]),
    ... )
    >>> one = merge_alternatives(two)
    >>> one.y.round(2).tolist(), one.probability.round(2).tolist()
    ([3.5], [0.99])
    """
    points = points.take(points.probability >= MIN_PROBABILITY)
    points = points.take(np.argsort(points.frame, kind="stable"))
    ends = np.flatnonzero(np.diff(points.frame, append=-1)) + 1
    return points.take(
        _merge(
            ends,
            points.probability,
            (points.y, points.x),
            (points.y_uncertainty, points.x_uncertainty),
            (points.molecule_counts, points.background_counts),
        )
    )


@compiled
def _merge(
    ends: NDArray[np.int64],
    probability: NDArray[np.float64],
    position: _Arrays,
    uncertainty: _Arrays,
    counts: _Arrays,
) -> NDArray[np.bool_]:
    """Join in place, frame by frame, and return which points are left; a frame's points end at each of `ends`."""
    left = np.ones(len(probability), np.bool_)
    start = 0
    for end in ends:
        _merge_frame(
            probability[start:end],
            (position[0][start:end], position[1][start:end]),
            (uncertainty[0][start:end], uncertainty[1][start:end]),
            (counts[0][start:end], counts[1][start:end]),
            left[start:end],
        )
        start = end
    return left


@compiled
def _merge_frame(
    probability: NDArray[np.float64],
    position: _Arrays,
    uncertainty: _Arrays,
    counts: _Arrays,
    left: NDArray[np.bool_],
) -> None:
    n = len(probability)
    y, x = position
    top, side = np.floor(y.min()), np.floor(x.min())
    height, width = int(y.max() - top) + 3, int(x.max() - side) + 3
    # Points are linked in chains, one for each cell as wide as the reach, so that only nine cells are searched.
    chains, following = np.full((height, width), -1), np.empty(n, np.int64)
    cell_y, cell_x = np.empty(n, np.int64), np.empty(n, np.int64)
    nearest, closed = np.empty(n, np.int64), np.zeros(n, np.bool_)
    for _ in range(MAX_ROUNDS):
        for i in range(n):
            if left[i]:
                cell_y[i], cell_x[i] = int(y[i] - top) + 1, int(x[i] - side) + 1
                following[i] = chains[cell_y[i], cell_x[i]]
                chains[cell_y[i], cell_x[i]] = i
        for i in range(n):
            nearest[i] = -1
            if left[i] and not closed[i]:
                nearest[i] = _nearest(
                    i, probability, position, uncertainty, closed, chains, following, cell_y[i], cell_x[i]
                )
        for i in range(n):
            if left[i]:
                chains[cell_y[i], cell_x[i]] = -1
        joined = False
        for i in range(n):
            k = nearest[i]
            if k > i and nearest[k] == i:
                strong, weak = (i, k) if probability[i] >= probability[k] else (k, i)
                closed[strong], left[weak] = _join(strong, weak, probability, position, uncertainty, counts)
                joined = True
        if not joined:
            break


@compiled
def _nearest(
    i: int,
    probability: NDArray[np.float64],
    position: _Arrays,
    uncertainty: _Arrays,
    closed: NDArray[np.bool_],
    chains: NDArray[np.int64],
    following: NDArray[np.int64],
    cell_y: int,
    cell_x: int,
) -> int:
    """Return the nearest alternative of a point, -1 where it has none."""
    (y, x), (y_uncertainty, x_uncertainty) = position, uncertainty
    best, shortest = -1, MAX_DISTANCE_SIGMA**2
    for cy in range(cell_y - 1, cell_y + 2):
        for cx in range(cell_x - 1, cell_x + 2):
            k = chains[cy, cx]
            while k >= 0:
                if k != i and not closed[k] and probability[i] + probability[k] <= MAX_TOTAL_PROBABILITY:
                    dy, dx = (y[i] - y[k]) ** 2, (x[i] - x[k]) ** 2
                    if dy + dx <= MAX_DISTANCE_PX**2:
                        distance = 0.0
                        distance += dy / (y_uncertainty[i] ** 2 + y_uncertainty[k] ** 2)
                        distance += dx / (x_uncertainty[i] ** 2 + x_uncertainty[k] ** 2)
                        # Of several at the very same distance the first counts, for both.
                        if distance < shortest or (distance == shortest and k < best):
                            best, shortest = k, distance
                k = following[k]
    return best


@compiled
def _join(
    strong: int,
    weak: int,
    probability: NDArray[np.float64],
    position: _Arrays,
    uncertainty: _Arrays,
    counts: _Arrays,
) -> tuple[bool, bool]:
    """Make a point the mixture of two; return whether it is certain now, and whether the other one is still there."""
    total = probability[strong] + probability[weak]
    share = probability[weak] / total
    for place, spread in zip(position, uncertainty):  # noqa: B905 (Numba knows no `strict`)
        within = (1 - share) * spread[strong] ** 2 + share * spread[weak] ** 2
        between = share * (1 - share) * (place[strong] - place[weak]) ** 2
        spread[strong] = np.sqrt(within + between)
        place[strong] = (1 - share) * place[strong] + share * place[weak]
    for mean in counts:
        mean[strong] = (1 - share) * mean[strong] + share * mean[weak]
    probability[strong] = min(total, MAX_PROBABILITY)
    probability[weak] = total - probability[strong]
    return total >= MAX_PROBABILITY, probability[weak] >= MIN_PROBABILITY
