"""Blinks of one molecule in consecutive frames, merged into one event each, so that a curve of drift counts it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled

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
    order = np.lexsort((place[:, 0], frame))
    frame, place, variance = frame[order], place[order], deviation[order] ** 2
    starts = np.append(np.flatnonzero(np.diff(frame, prepend=-1)), len(frame))
    event = _events(frame, place, variance, starts, longest)
    n = int(event.max()) + 1 if len(event) else 0
    weight = 1.0 / variance
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
    order = np.lexsort((place[:, 0], frame))
    starts = np.append(np.flatnonzero(np.diff(frame[order], prepend=-1)), len(frame))
    event = _events(frame[order], place[order], deviation[order] ** 2, starts, 2)
    by_event = np.argsort(event, kind="stable")
    same = np.diff(event[by_event]) == 0
    steps = np.diff(values[order][by_event])[same]
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
    order = np.lexsort((place[:, 0], frame))
    starts = np.append(np.flatnonzero(np.diff(frame[order], prepend=-1)), len(frame))
    variance = (deviation[order, :2] ** 2).mean(axis=1)
    scatter = None
    for _ in range(N_RADII):
        counts = np.zeros(N_BINS)
        _count_squares(frame[order], place[order, :2], variance, starts, radius, counts)
        excess = counts - counts[N_BINS // 2 :].mean()
        inner = excess[: N_BINS // 2]
        if inner.sum() < MIN_PAIRS or inner.sum() < 3 * np.sqrt(counts.sum()):
            return scatter
        squares = (np.arange(N_BINS) + 0.5) / N_BINS * radius**2
        scatter = float(np.sqrt(max(inner @ squares[: N_BINS // 2] / inner.sum(), squares[0]) / 4))
        radius = RADIUS_SIGMAS * np.sqrt(2) * scatter
    return scatter


@compiled
def _count_squares(frame: Any, place: Any, variance: Any, starts: Any, radius: float, counts: Any) -> None:
    """Count squared distances, in mean variances, of rows of consecutive frames; rows are sorted as in `_events`."""
    window = radius * np.sqrt(variance.max())
    for part in range(len(starts) - 2):
        low, high = starts[part + 1], starts[part + 2]
        if frame[low] != frame[low - 1] + 1:
            continue
        for i in range(starts[part], starts[part + 1]):
            while low < high and place[low, 0] < place[i, 0] - window:
                low += 1
            for j in range(low, high):
                if place[j, 0] > place[i, 0] + window:
                    break
                square = (place[j, 0] - place[i, 0]) ** 2 + (place[j, 1] - place[i, 1]) ** 2
                k = int(2 * square / (variance[i] + variance[j]) / (radius * radius) * len(counts))
                if k < len(counts):
                    counts[k] += 1


@compiled
def _events(
    frame: NDArray[np.int64], place: Any, variance: Any, starts: NDArray[np.int64], longest: int
) -> NDArray[np.int64]:
    """Return the event of every row; rows are sorted by frame, and within one along the first axis."""
    n = len(frame)
    following, preceding = np.full(n, -1), np.full(n, -1)
    following_at, preceding_at = np.full(n, REACH**2), np.full(n, REACH**2)
    window = REACH * np.sqrt(2 * variance[:, 0].max()) if n else 0.0
    for part in range(len(starts) - 2):
        low, high = starts[part + 1], starts[part + 2]
        if frame[low] != frame[low - 1] + 1:
            continue
        for i in range(starts[part], starts[part + 1]):
            while low < high and place[low, 0] < place[i, 0] - window:
                low += 1
            for j in range(low, high):
                if place[j, 0] > place[i, 0] + window:
                    break
                square = 0.0
                for a in range(place.shape[1]):
                    square += (place[i, a] - place[j, a]) ** 2 / (variance[i, a] + variance[j, a])
                if square < following_at[i]:
                    following[i], following_at[i] = j, square
                if square < preceding_at[j]:
                    preceding[j], preceding_at[j] = i, square
    event, length = np.empty(n, np.int64), np.ones(n, np.int64)
    total = 0
    for j in range(n):
        i = preceding[j]
        if i >= 0 and following[i] == j and length[i] < longest:
            event[j], length[j] = event[i], length[i] + 1
        else:
            event[j] = total
            total += 1
    return event
