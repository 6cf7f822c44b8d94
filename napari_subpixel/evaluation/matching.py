"""One-to-one matching of two sets of points, frame by frame, and the constant shift between them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.errors import InputError, suggest

#: How pairs are chosen: the most pairs with the least total distance, or all within the tolerance, shortest first.
Pairing = Literal["optimal", "greedy"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
#: Coordinates are rounded; a distance that exceeds the tolerance by less than this (nm) still counts as equal to it.
ROUNDING_NM = 1e-6
#: Pairs that might match, above which one frame is refused rather than the memory filled.
MAX_CANDIDATES = 50_000_000
#: Possible pairs of one block of frames, large enough that numpy's loops dominate Python's.
_BLOCK_PAIRS = 1 << 22
#: Candidate pairs solved together, of whole groups.
_BATCH_PAIRS = 1 << 10
#: Points of a set that suffice to estimate a shift: a scatter of 50 nm still gives it to about 0.1 nm.
_SHIFT_POINTS = 200_000
#: Rounds of the estimate at most,
_SHIFT_ROUNDS = 20
#: and the change, in nm, below which it has converged.
_SHIFT_CONVERGED_NM = 0.1


@dataclass(frozen=True)
class Shift:
    """A constant shift between two sets of points.

    Attributes
    ----------
    yx_nm : (float, float)
        Median of (first set - second set) over the matched pairs, in nm, along y and x.
    n_pairs : int
        Matched pairs that it rests on; where there are none, the shift is (0, 0).
    standard_errors : float
        Length of the mean difference of the pairs matched before any correction, in standard errors. Unrelated sets
        drift towards some shift too; this number distinguishes it from a real one. NaN for fewer than two pairs.
    """

    yx_nm: tuple[float, float] = (0.0, 0.0)
    n_pairs: int = 0
    standard_errors: float = float("nan")

    @property
    def length_nm(self) -> float:
        """Length of the shift, in nm."""
        return float(np.hypot(*self.yx_nm))


def match(
    frame: NDArray[np.int64],
    yx_nm: NDArray[np.float64],
    other_frame: NDArray[np.int64],
    other_yx_nm: NDArray[np.float64],
    tolerance_nm: float,
    pairing: Pairing = "optimal",
) -> NDArray[np.int64]:
    """Pair points of the same frame one-to-one: the most pairs there can be, and of these the least total distance.

    Points further apart than the tolerance are never compared: a sweep finds the candidates, they fall apart into
    connected groups, a lone pair is taken as it is, and the other groups are each solved exactly by shortest
    augmenting paths (Jonker & Volgenant 1987, doi:10.1007/BF02278710).

    The greedy pairing takes the candidates by their distance, shortest first, each if both its points are still free.
    It is the default of the SMLM challenge's own tool, and finds fewer pairs where molecules are crowded.

    Parameters
    ----------
    frame, other_frame : ndarray of int, shapes (N,) and (M,)
        Frame numbers, in any order.
    yx_nm, other_yx_nm : ndarray of float, shapes (N, 2) and (M, 2)
        Positions in nm.
    tolerance_nm : float
        Largest distance of a pair, in nm; a pair exactly that far apart is allowed.
    pairing : {"optimal", "greedy"}
        How pairs are chosen. Of equally short pairs greedy takes the one at the smallest y, then x, of the first
        set, then of the second, whatever the order of the rows.

    Returns
    -------
    ndarray of int64, shape (K, 2)
        Row in the first set and row in the second, of each pair; sorted by the first.

    Raises
    ------
    InputError
        If one frame has more than `MAX_CANDIDATES` pairs within the tolerance, or there is no such pairing.

    Examples
    --------
    The nearest pair, 2 nm apart, would leave the other two points alone; two pairs are possible:

    >>> one_frame = np.zeros(2, int)
    >>> found, truth = np.array([[0.0, 0.0], [0.0, 10.0]]), np.array([[0.0, 8.0], [0.0, 19.0]])
    >>> match(one_frame, found, one_frame, truth, 10.0).tolist()
    [[0, 0], [1, 1]]
    >>> match(one_frame, found, one_frame, truth, 10.0, "greedy").tolist()
    [[1, 0]]
    """
    pairing = checked_pairing(pairing)
    order, other_order = np.argsort(frame, kind="stable"), np.argsort(other_frame, kind="stable")
    pairs = [np.empty((0, 2), np.int64)]
    for part, other_part in _blocks(frame[order], other_frame[other_order]):
        rows, other_rows = order[part], other_order[other_part]
        first, second, distance = _candidates(
            frame[rows], yx_nm[rows], other_frame[other_rows], other_yx_nm[other_rows], tolerance_nm + ROUNDING_NM
        )
        if pairing == "greedy":
            chosen = _shortest_first(first, second, distance, yx_nm[rows], other_yx_nm[other_rows])
        else:
            chosen = _assign(first, second, distance)
        pairs.append(np.column_stack([rows[first[chosen]], other_rows[second[chosen]]]))
    joined = np.concatenate(pairs)
    return joined[np.argsort(joined[:, 0])]


def checked_pairing(pairing: Pairing) -> Pairing:
    """Return the pairing, or raise `InputError` if there is no such one."""
    if pairing not in PAIRINGS:
        raise InputError(f"a pairing is {' or '.join(PAIRINGS)}, got {pairing!r}{suggest(str(pairing), PAIRINGS)}")
    return pairing


@stepwise
def estimate_shift(
    frame: NDArray[np.int64],
    yx_nm: NDArray[np.float64],
    other_frame: NDArray[np.int64],
    other_yx_nm: NDArray[np.float64],
    tolerance_nm: float,
) -> Generator[float, None, Shift]:
    """Estimate the constant shift of the first set against the second from matched pairs.

    The sets are matched, the first is moved back by the pairs' median difference, which false pairs hardly bend, and
    this is repeated until it moves by less than 0.1 nm. A search that strays beyond the tolerance has found nothing.
    Of large sets every n-th frame is used, and of frames with very many points a band. `estimate_shift.steps` yields 0
    before every round.

    Parameters
    ----------
    frame, yx_nm, other_frame, other_yx_nm
        As for `match`.
    tolerance_nm : float
        Largest distance of a pair, in nm; it has to reach beyond the shift.

    Returns
    -------
    Shift

    Raises
    ------
    InputError
        If one frame has more than `MAX_CANDIDATES` pairs within the tolerance.

    Examples
    --------
    >>> frame, truth = np.arange(3), np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]])
    >>> estimate_shift(frame, truth + [28, -46], frame, truth, 250.0).yx_nm
    (28.0, -46.0)
    """
    rows, other_rows = _thinned(frame, yx_nm, other_frame, other_yx_nm)
    frame, yx_nm, other_frame, other_yx_nm = frame[rows], yx_nm[rows], other_frame[other_rows], other_yx_nm[other_rows]
    shift, errors = np.zeros(2), float("nan")
    for attempt in range(_SHIFT_ROUNDS):
        yield 0.0
        pairs = match(frame, yx_nm - shift, other_frame, other_yx_nm, tolerance_nm)
        if not len(pairs):
            return Shift()
        difference = yx_nm[pairs[:, 0]] - other_yx_nm[pairs[:, 1]]
        if not attempt:
            errors = _standard_errors(difference)
        before, shift = shift, np.median(difference, axis=0)
        if np.hypot(*shift) > tolerance_nm:
            return Shift()
        if np.hypot(*(shift - before)) < _SHIFT_CONVERGED_NM:
            break
    return Shift((float(shift[0]), float(shift[1])), len(pairs), errors)


def _standard_errors(difference: NDArray[np.float64]) -> float:
    """Return the length of the mean of vectors, shape (K, 2), in units of its standard error."""
    if len(difference) < 2:
        return float("nan")
    length = float(np.hypot(*difference.mean(axis=0)))
    error = float(np.sqrt(difference.var(axis=0, ddof=1).sum() / len(difference)))
    return length / error if error else float("inf")


def _thinned(
    frame: NDArray[np.int64],
    yx_nm: NDArray[np.float64],
    other_frame: NDArray[np.int64],
    other_yx_nm: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of every n-th common frame, so that the larger set keeps about `_SHIFT_POINTS`.

    Where single frames hold many more, these are the rows of a band across the middle.
    """
    step = max(1, -(-max(frame.size, other_frame.size) // _SHIFT_POINTS))
    kept = np.intersect1d(frame, other_frame)[::step]
    rows, other_rows = np.flatnonzero(np.isin(frame, kept)), np.flatnonzero(np.isin(other_frame, kept))
    excess = max(rows.size, other_rows.size) / _SHIFT_POINTS
    if excess < 2:
        return rows, other_rows
    y, other_y = yx_nm[rows, 0], other_yx_nm[other_rows, 0]
    larger = y if rows.size > other_rows.size else other_y
    low, high = np.quantile(larger, [(1 - 1 / excess) / 2, (1 + 1 / excess) / 2])
    return rows[(y >= low) & (y <= high)], other_rows[(other_y >= low) & (other_y <= high)]


def _blocks(frame: NDArray[np.int64], other_frame: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """Cut two sorted sets into slices of whole frames, each with a bounded number of possible pairs."""
    numbers, counts = np.unique(frame, return_counts=True)
    other_numbers, other_counts = np.unique(other_frame, return_counts=True)
    common, at, other_at = np.intersect1d(numbers, other_numbers, assume_unique=True, return_indices=True)
    work = counts[at] * other_counts[other_at] + counts[at] + other_counts[other_at]
    block = np.cumsum(work) // _BLOCK_PAIRS
    for frames in np.split(common, np.flatnonzero(np.diff(block)) + 1):
        if frames.size:
            yield _span(frame, frames[0], frames[-1]), _span(other_frame, frames[0], frames[-1])


def _span(sorted_frame: NDArray[np.int64], first: int, last: int) -> slice:
    return slice(np.searchsorted(sorted_frame, first, "left"), np.searchsorted(sorted_frame, last, "right"))


def _candidates(
    frame: NDArray[np.int64],
    yx: NDArray[np.float64],
    other_frame: NDArray[np.int64],
    other_yx: NDArray[np.float64],
    radius: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return index, other index and distance of all pairs of one frame within the radius."""
    from napari_subpixel.evaluation.pair_search import Neighbourhood

    near = Neighbourhood(frame, yx, other_frame, other_yx, radius)
    if len(frame) * len(other_frame) > MAX_CANDIDATES:
        count = near.count()
        if count > MAX_CANDIDATES:
            raise InputError(
                f"frames {frame[0]} to {frame[-1]} have {count:,} pairs of molecules within {radius:g} nm, "
                f"more than {MAX_CANDIDATES:,}: is the frame column right?"
            )
    return near.pairs()


def _assign(first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of the candidate pairs make the optimal matching."""
    alone = (np.bincount(first)[first] == 1) & (np.bincount(second)[second] == 1)
    chosen = [np.flatnonzero(alone)]
    shared = np.flatnonzero(~alone)
    for batch in _batches(first[shared], second[shared]):
        members = shared[batch]
        chosen.append(members[_solve(first[members], second[members], distance[members])])
    return np.concatenate(chosen)


def _shortest_first(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    distance: NDArray[np.float64],
    yx: NDArray[np.float64],
    other_yx: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return which of the candidate pairs are taken by distance, shortest first; ties by the points' positions."""
    from napari_subpixel.evaluation.pair_search import both_free

    order = np.argsort(distance, kind="stable")
    same = np.diff(distance[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if tied.size:
        among = order[tied]
        place, other_place = yx[first[among]], other_yx[second[among]]
        positions = (other_place[:, 1], other_place[:, 0], place[:, 1], place[:, 0])
        order[tied] = among[np.lexsort((second[among], first[among], *positions, distance[among]))]
    return order[both_free(first[order], second[order])]


def _batches(first: NDArray[np.int64], second: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Gather candidate pairs into batches of whole connected groups, small ones together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not first.size:
        return
    n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
    graph = coo_array(
        (np.ones(first.size, np.int8), (first, second + n_first)), shape=(n_first + n_second, n_first + n_second)
    )
    group = connected_components(graph.tocsr(), directed=False)[1][first]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    cuts = starts[np.flatnonzero(np.diff(starts // _BATCH_PAIRS)) + 1]
    yield from np.split(order, cuts)


def _solve(first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which candidate pairs of some groups make the most pairs, then the least total distance.

    Every first point also gets a place of its own, at a price that no saving of distance can pay for, so that a
    complete assignment always exists and leaves the fewest points in such places. All prices are raised by the
    same amount, because the solver takes a price of zero for a pair that is not there.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    names, row = np.unique(first, return_inverse=True)
    others, column = np.unique(second, return_inverse=True)
    n, m = names.size, others.size
    base = 1.0 + float(distance.max())
    price = 2.0 * base * (min(n, m) + 1)
    prices = np.concatenate([distance + base, np.full(n, price)])
    rows = np.concatenate([row, np.arange(n)])
    columns = np.concatenate([column, m + np.arange(n)])
    graph = coo_array((prices, (rows, columns)), shape=(n, m + n)).tocsr()
    _, place = min_weight_full_bipartite_matching(graph)
    return np.flatnonzero(place[row] == column)
