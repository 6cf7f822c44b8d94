"""Blinks of one molecule in consecutive frames, merged into one event each, so that a curve of drift counts it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel.analysis.next_frame import NextFrameRows

#: Bins of squared distance between rows of consecutive frames.
N_BINS = 60
#: Times that the radius of these distances is fitted to them.
N_RADII = 3
#: Radius in standard deviations of the distance: beyond half of its square there are only strangers.
RADIUS_SIGMAS = 6.0
#: Pairs beyond the strangers from which on their spread counts.
MIN_PAIRS = 50
#: Largest distance, in standard deviations of the difference, of one molecule in two consecutive frames.
REACH = 3.5


@dataclass(frozen=True)
class Events:
    """Appearances of molecules, each of one or several rows of consecutive frames.

    Attributes
    ----------
    time : ndarray of float64, shape (N,)
        Mean frame.
    place : ndarray of float64, shape (N, D)
        Mean position weighted by the rows' uncertainties, nm: y, x and, in 3D, z.
    variance : ndarray of float64, shape (N, D)
        Its variance, nm squared.
    """

    time: NDArray[np.float64]
    place: NDArray[np.float64]
    variance: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    def select(self, rows: Any) -> Events:
        """Return some of the events, by a mask or by indices."""
        return Events(self.time[rows], self.place[rows], self.variance[rows])


def merge_blinks(
    frame: NDArray[np.int64], place: NDArray[np.float64], deviation: NDArray[np.float64], longest: int
) -> Events:
    """Merge rows of consecutive frames that are mutually nearest and within `REACH` standard deviations.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        Frame numbers, in any order.
    place, deviation : ndarray of float64, shapes (N, D)
        Positions and their standard deviations, nm.
    longest : int
        Most frames of one event: a molecule that shines for longer makes several.

    Returns
    -------
    Events
        In order of their first frame.
    """
    event = _events(frame, place, deviation**2, longest)
    n = int(event.max()) + 1 if len(event) else 0
    weight = 1.0 / deviation**2
    totals = np.stack([np.bincount(event, w, n) for w in weight.T], axis=1)
    means = np.stack([np.bincount(event, w * p, n) for w, p in zip(weight.T, place.T, strict=True)], axis=1)
    time = np.bincount(event, weight[:, 0] * frame, n) / totals[:, 0]
    return Events(time, means / totals, 1.0 / totals)


def linked_scatter(
    frame: NDArray[np.int64], place: NDArray[np.float64], deviation: NDArray[np.float64], values: NDArray[np.float64]
) -> float | None:
    """Return the standard deviation of a quantity between rows of one molecule in two consecutive frames.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
    place, deviation : ndarray of float64, shapes (N, D)
        Positions by which rows belong together, and their standard deviations, nm.
    values : ndarray of float64, shape (N,)
        The quantity.

    Returns
    -------
    float or None
        Robust; None where too few molecules are in two frames.
    """
    event = _events(frame, place, deviation**2, 2)
    by_event = np.lexsort((frame, event))
    same = np.diff(event[by_event]) == 0
    steps = np.diff(values[by_event])[same]
    return 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(2) if len(steps) >= MIN_PAIRS else None


def scatter_over_uncertainty(
    frame: NDArray[np.int64], place: NDArray[np.float64], deviation: NDArray[np.float64], radius: float
) -> float | None:
    """Return how many times their standard deviations positions scatter, by molecules in two consecutive frames.

    The squared distances of all rows of consecutive frames, in variances, are a flat background of strangers, taken
    from the outer half, and an excess of molecules with themselves, whose mean says how they scatter (Endesfelder et
    al. 2014, doi:10.1007/s00418-014-1192-3).

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        Frame numbers, in any order.
    place, deviation : ndarray of float64, shapes (N, D)
        Positions and their standard deviations, nm; y and x are used. Deviations of 1 give the scatter in nm.
    radius : float
        Largest distance at first, in standard deviations; far beyond the scatter.

    Returns
    -------
    float or None
        None where too few molecules are in two frames.
    """
    rows = NextFrameRows.of(frame, place[:, 0], place[:, 1], max_rows=len(frame))
    variance = np.repeat((deviation[:, :2] ** 2).mean(axis=1, keepdims=True), 2, axis=1)
    scatter = None
    for _ in range(N_RADII):
        distance = rows.pairs(variance, radius / np.sqrt(2)).distance
        counts = np.histogram(2 * (distance / radius) ** 2, N_BINS, (0.0, 1.0))[0].astype(np.float64)
        excess = counts - counts[N_BINS // 2 :].mean()
        inner = excess[: N_BINS // 2]
        if inner.sum() < MIN_PAIRS or inner.sum() < 3 * np.sqrt(counts.sum()):
            return scatter
        squares = (np.arange(N_BINS) + 0.5) / N_BINS * radius**2
        scatter = float(np.sqrt(max(inner @ squares[: N_BINS // 2] / inner.sum(), squares[0]) / 4))
        radius = RADIUS_SIGMAS * np.sqrt(2) * scatter
    return scatter


def _events(
    frame: NDArray[np.int64], place: NDArray[np.float64], variance: NDArray[np.float64], longest: int
) -> NDArray[np.int64]:
    """Return the event of every row, numbered in order of their first frames."""
    rows = NextFrameRows.of(frame, place[:, 0], place[:, 1], max_rows=len(frame))
    earlier, later, _, distance = rows.pairs(variance[:, :2], REACH)
    square = distance**2
    for z, own in zip(place.T[2:], variance.T[2:], strict=True):
        square += (z[earlier] - z[later]) ** 2 / (own[earlier] + own[later])
    return _chained(rows.rows, earlier, later, square, longest)


@compiled
def _chained(rows: Any, earlier: Any, later: Any, square: Any, longest: int) -> NDArray[np.int64]:
    """Join the pairs that are mutually nearest; `rows` are those of the table in order of their frames."""
    n = len(rows)
    following, preceding = np.full(n, -1), np.full(n, -1)
    following_at, preceding_at = np.full(n, REACH**2), np.full(n, REACH**2)
    for k in range(len(square)):
        i, j = earlier[k], later[k]
        if square[k] < following_at[i]:
            following[i], following_at[i] = j, square[k]
        if square[k] < preceding_at[j]:
            preceding[j], preceding_at[j] = i, square[k]
    event, length = np.empty(n, np.int64), np.ones(n, np.int64)
    total = 0
    for j in rows:
        i = preceding[j]
        if i >= 0 and following[i] == j and length[i] < longest:
            event[j], length[j] = event[i], length[i] + 1
        else:
            event[j] = total
            total += 1
    return event
