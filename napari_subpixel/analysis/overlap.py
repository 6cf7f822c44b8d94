"""How well events overlap each other once a curve of drift is subtracted, with its derivatives, by compiled loops.

The overlap is the log likelihood of events under a density that is made of all others: Gaussians of one width h at
their positions, on a uniform background. Events count by their weights q, the inverse of their variance::

    L = sum_i q_i log(b + sum_j q_j exp(-|x_i - x_j|^2 / (2 h^2))).

Where molecules are well apart and h is wide, this is the weighted least squares of events about their molecules; where
they are not, h decides what belongs together. Pairs of nearly the same time are left out: one molecule may have made
both, whatever the drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.analysis.neighbours import NeighbourGrid

#: Largest distance of a pair that is summed over, in standard deviations of the difference.
REACH = 3.7
#: Parts of the sums, each with arrays of its own: the result does not depend on the number of processors.
N_PARTS = 4
#: Room for pairs that a part of the events begins with, for each event.
PAIRS_PER_EVENT = 128
#: The same at most.
MAX_ROOM = 1_000_000


@dataclass(frozen=True)
class Nodes:
    """Where on the curve events are: between two of its nodes, of which it is a weighted mean.

    Attributes
    ----------
    before : ndarray of int64, shape (N,)
        The node before each event; the other is the next one.
    share : ndarray of float64, shape (N,)
        Weight of the next one.
    n : int
        Number of nodes, K.
    """

    before: NDArray[np.int64]
    share: NDArray[np.float64]
    n: int

    def curve(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the curve at each event, shape (N, D), from its values at the nodes, (K, D)."""
        share = self.share[:, None]
        return values[self.before] * (1 - share) + values[self.before + 1] * share

    def project(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sums over events, shape (K, D), of weights, (N, D), each shared out between its two nodes."""
        result = np.empty((self.n, weights.shape[1]))
        for a, weight in enumerate(weights.T):
            result[:, a] = np.bincount(self.before, weight * (1 - self.share), self.n)
            result[:, a] += np.bincount(self.before + 1, weight * self.share, self.n)
        return result

    def select(self, rows: Any) -> Nodes:
        """Return those of some events."""
        return Nodes(self.before[rows], self.share[rows], self.n)


@dataclass(frozen=True)
class Overlap:
    """The overlap at a curve, and its derivatives with respect to the curve's values at the nodes, in units of h.

    Attributes
    ----------
    value : float
        The log likelihood.
    force : ndarray of float64, shape (N, D)
        Derivative with respect to the drift of each event.
    pull : ndarray of float64, shape (N,)
        Its curvature if it were known which events belong together.
    matrix : ndarray of float64, shape (K, K)
        Curvature if it were known which events belong together, along each axis: an upper bound of the true one.
    background : ndarray of float64, shape (N,)
        Probability that an event belongs to no other.
    """

    value: float
    force: NDArray[np.float64]
    pull: NDArray[np.float64]
    matrix: NDArray[np.float64]
    background: NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of events that may overlap.

    Attributes
    ----------
    first, second : ndarray of int32, shape (P,)
        Events.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.first)

    def among(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return the pairs of which both events are chosen, numbered among these."""
        number = np.cumsum(chosen, dtype=np.int32) - 1
        first, second = np.empty_like(self.first), np.empty_like(self.second)
        n = _select(self.first, self.second, chosen, number, first, second)
        return Pairs(first[:n], second[:n])


def n_near(place: NDArray[np.float64]) -> int:
    """Return how many pairs of positions, in units of h, are within reach in y and x."""
    return NeighbourGrid(place[:, :2], REACH).n_pairs()


def overlapping_pairs(place: NDArray[np.float64], time: NDArray[np.float64], gap: float) -> Pairs:
    """Return the pairs of events within reach of each other and more than `gap` frames apart.

    Parameters
    ----------
    place : ndarray of float64, shape (N, D)
        Positions without drift, in units of h.
    time : ndarray of float64, shape (N,)
        In frames.
    gap : float
        In frames.
    """
    grid = NeighbourGrid(place[:, :2], REACH)
    parts, order = grid.parts(), grid.order
    where = (place[order], time[order], float(gap), grid.cell_start, grid.spans)
    found: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = [(np.empty(0, np.int32),) * 2] * len(parts)

    def fill(k: int) -> None:
        start, stop = grid.cell_start[list(parts[k])]
        room = min(int(PAIRS_PER_EVENT * (stop - start)), MAX_ROOM)
        while True:
            first, second = np.empty(room, np.int32), np.empty(room, np.int32)
            total = _fill(*where, *parts[k], order, first, second)
            if total <= room:
                found[k] = first[:total], second[:total]
                return
            room = total

    on_all_processors(fill, range(len(parts)))
    return Pairs(*(np.concatenate(half) if half else np.empty(0, np.int32) for half in zip(*found, strict=True)))


def overlap(
    place: NDArray[np.float64],
    weight: NDArray[np.float64],
    nodes: Nodes,
    pairs: Pairs,
    background: float,
    *,
    with_matrix: bool = True,
) -> Overlap:
    """Return the overlap's derivatives.

    Parameters
    ----------
    place : ndarray of float64, shape (N, D)
        Positions without drift, in units of h.
    weight : ndarray of float64, shape (N,)
        How much each event counts, q.
    nodes : Nodes
        Where on the curve the events are.
    pairs : Pairs
        From `overlapping_pairs`.
    background : float
        The uniform background b, in the units of the sum.
    with_matrix : bool
        False leaves the matrix zero, which takes half the time.
    """
    n, dimensions = place.shape
    edges = np.linspace(0, len(pairs), N_PARTS + 1).astype(np.int64)
    kernel = np.empty(len(pairs), np.float32)
    sums = np.zeros((N_PARTS, n))

    def first_pass(k: int) -> None:
        _kernels(place, weight, pairs.first, pairs.second, edges[k], edges[k + 1], kernel, sums[k])

    on_all_processors(first_pass, range(N_PARTS))
    total = sums.sum(axis=0) + background
    inverse = 1.0 / total
    force = np.zeros((N_PARTS, n, dimensions))
    pull = np.zeros((N_PARTS, n))
    matrix = np.zeros((N_PARTS, nodes.n, nodes.n))

    def second_pass(k: int) -> None:
        _derivatives(
            place, weight, pairs.first, pairs.second, edges[k], edges[k + 1], kernel, inverse,
            nodes.before, nodes.share, with_matrix, force[k], pull[k], matrix[k],
        )  # fmt: skip

    on_all_processors(second_pass, range(N_PARTS))
    pulls = pull.sum(axis=0)
    whole = _whole_matrix(matrix.sum(axis=0), pulls, nodes) if with_matrix else matrix[0]
    value = float(weight @ np.log(total))
    return Overlap(value, force.sum(axis=0), pulls, whole, background * inverse)


def _whole_matrix(between: NDArray[np.float64], pull: NDArray[np.float64], nodes: Nodes) -> NDArray[np.float64]:
    """Return sum over pairs of W (B_i - B_j)(B_i - B_j)^T from its parts between events and within each."""
    matrix = between + between.T
    k, share = nodes.before, nodes.share
    diagonal = np.arange(nodes.n)
    matrix[diagonal, diagonal] += np.bincount(k, pull * (1 - share) ** 2, nodes.n)
    matrix[diagonal, diagonal] += np.bincount(k + 1, pull * share**2, nodes.n)
    adjoining = np.bincount(k, pull * share * (1 - share), nodes.n)[:-1]
    matrix[diagonal[:-1], diagonal[1:]] += adjoining
    matrix[diagonal[1:], diagonal[:-1]] += adjoining
    return matrix


@compiled
def _fill(
    place: Any, time: Any, gap: float, cell_start: Any, spans: Any, start: int, stop: int,
    order: Any, first: Any, second: Any,
) -> int:  # fmt: skip
    """Write the pairs of some cells as far as there is room for them, and return how many there are."""
    deep = place.shape[1] > 2
    room, total = len(first), 0
    for cell in range(start, stop):
        end = cell_start[cell + 1]
        for i in range(cell_start[cell], end):
            for k in range(-1, spans.shape[1]):
                low, high = (i + 1, end) if k < 0 else (spans[cell, k, 0], spans[cell, k, 1])
                for j in range(low, high):
                    dy, dx = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1]
                    square = dy * dy + dx * dx
                    if deep:
                        dz = place[i, 2] - place[j, 2]
                        square += dz * dz
                    if square < REACH * REACH and abs(time[i] - time[j]) > gap:
                        if total < room:
                            first[total], second[total] = order[i], order[j]
                        total += 1
    return total


@compiled
def _select(first: Any, second: Any, chosen: Any, number: Any, to_first: Any, to_second: Any) -> int:
    """Write the pairs of which both events are chosen, and return how many there are."""
    total = 0
    for p in range(len(first)):
        if chosen[first[p]] and chosen[second[p]]:
            to_first[total], to_second[total] = number[first[p]], number[second[p]]
            total += 1
    return total


@compiled
def _kernels(place: Any, weight: Any, first: Any, second: Any, start: int, stop: int, kernel: Any, sums: Any) -> None:
    deep = place.shape[1] > 2
    i, own = 0, 0.0
    for p in range(start, stop):
        if first[p] != i:  # the pairs of one event follow each other
            sums[i] += own
            i, own = first[p], 0.0
        j = second[p]
        dy, dx = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1]
        square = dy * dy + dx * dx
        if deep:
            dz = place[i, 2] - place[j, 2]
            square += dz * dz
        value = np.exp(-0.5 * square)
        kernel[p] = value
        own += weight[j] * value
        sums[j] += weight[i] * value
    sums[i] += own


@compiled
def _derivatives(
    place: Any, weight: Any, first: Any, second: Any, start: int, stop: int, kernel: Any, inverse: Any,
    before: Any, share: Any, with_matrix: bool, force: Any, pull: Any, matrix: Any,
) -> None:  # fmt: skip
    deep = place.shape[1] > 2
    for p in range(start, stop):
        i, j = first[p], second[p]
        w = kernel[p] * weight[i] * weight[j] * (inverse[i] + inverse[j])
        dy, dx = w * (place[i, 0] - place[j, 0]), w * (place[i, 1] - place[j, 1])
        force[i, 0] += dy
        force[i, 1] += dx
        force[j, 0] -= dy
        force[j, 1] -= dx
        if deep:
            dz = w * (place[i, 2] - place[j, 2])
            force[i, 2] += dz
            force[j, 2] -= dz
        pull[i] += w
        pull[j] += w
        if with_matrix:
            ki, kj, si, sj = before[i], before[j], share[i], share[j]
            right = w * si
            left = w - right
            matrix[ki, kj] -= left - left * sj
            matrix[ki, kj + 1] -= left * sj
            matrix[ki + 1, kj] -= right - right * sj
            matrix[ki + 1, kj + 1] -= right * sj
