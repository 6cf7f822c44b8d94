"""Stretches of a movie with rows, and how far drift may have gone where there are none.

Where there are no rows nothing is measured. How far the drift goes there is taken from the curve itself: by as much as
it goes elsewhere in a time that long.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Frames without rows are a stretch of their own from so many knots' spacings on.
KNOT_SPACINGS = 2.0
#: The same, in mean distances of events in time: shorter ones happen by chance.
MEAN_DISTANCES = 12.0
#: Lags from this part of a time on say how far the drift goes in it.
SHORTEST_LAG = 1 / 16
#: Longest lag that the curve says something of, as a part of its longest stretch.
LONGEST_LAG = 0.5
#: Lags that are tried.
N_LAGS = 24
#: Times for which it is computed how far the drift goes; between them it is interpolated.
N_TIMES = 200

#: First frame of a stretch, and the one after its last.
Stretch: TypeAlias = tuple[int, int]
#: Of values in order and a lag, all differences at that lag.
Difference: TypeAlias = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


def empty_stretches(frame: NDArray[np.int64], n_events: int, knot_spacing: float) -> tuple[tuple[float, float], ...]:
    """Return the long stretches without rows: the last frame before each, and the first one after it.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        Of the rows, in any order; at least one.
    n_events : int
        Separate appearances among them.
    knot_spacing : float
        Frames between two knots of a curve.
    """
    there = np.unique(frame)
    distance = float(there[-1] - there[0] + 1) / n_events
    long = np.diff(there) > max(KNOT_SPACINGS * knot_spacing, MEAN_DISTANCES * distance)
    return tuple(zip(there[:-1][long].astype(float).tolist(), there[1:][long].astype(float).tolist(), strict=True))


def known_stretches(first: int, last: int, empty: tuple[tuple[float, float], ...]) -> tuple[Stretch, ...]:
    """Return the stretches with rows between the first and the last frame with any, in order.

    Examples
    --------
    >>> known_stretches(0, 499, ((199.0, 350.0),))
    ((0, 200), (350, 500))
    """
    starts = [first, *(int(stop) for _, stop in empty)]
    stops = [*(int(start) + 1 for start, _ in empty), last + 1]
    return tuple(zip(starts, stops, strict=True))


def where_known(stretches: tuple[Stretch, ...], n_frames: int) -> NDArray[np.bool_]:
    """Return which frames are in a stretch with rows, shape (n_frames,); all where no stretch is given."""
    known = np.full(n_frames, not stretches)
    for start, stop in stretches:
        known[start:stop] = True
    return known


def listed_stretches(stretches: tuple[Stretch, ...]) -> str:
    """Return stretches as words.

    Examples
    --------
    >>> listed_stretches(((0, 200), (350, 351)))
    'frames 0 to 199, frame 350'
    """
    return ", ".join(f"frames {a} to {b - 1}" if b > a + 1 else f"frame {a}" for a, b in stretches)


def unmeasured_variance(values: NDArray[np.float64], stretches: tuple[Stretch, ...]) -> NDArray[np.float64]:
    """Return by how much the curve is less certain in each frame because there are no rows near.

    Before the first and after the last stretch with rows it may go as far as it goes elsewhere in that time (its
    structure function); between two of them it may be off the straight line as far as elsewhere. What it moved there
    beyond that may be a jump in any frame.

    Parameters
    ----------
    values : ndarray of float64, shape (T, D)
        The curve.
    stretches : tuple of (int, int)
        Those with rows.

    Returns
    -------
    ndarray of float64, shape (T, D)
        0 where there are rows.
    """
    n_frames = len(values)
    variance = np.zeros_like(values)
    first, last = stretches[0][0], stretches[-1][1]
    parts = [values[start:stop] for start, stop in stretches if stop > start + 1] or [values[first:last]]
    if outside := max(first, n_frames - last):
        times = np.unique(np.geomspace(1, outside, N_TIMES).astype(np.int64))
        gone = _reached(parts, times, _moved)
        every = np.arange(1, outside + 1)
        by_time = np.stack([np.interp(every, times, along) for along in gone.T], axis=1)
        variance[:first] = by_time[:first][::-1]
        variance[last:] = by_time[: n_frames - last]
    for (_, start), (stop, _) in pairwise(stretches):
        length = stop - start + 1
        share = np.arange(1, length)[:, None] / length
        off_line, usual = (_reached(parts, np.array([length]), difference) for difference in (_off_line, _moved))
        jumped = np.maximum((values[stop] - values[start - 1]) ** 2 - usual, 0.0)
        variance[start:stop] = share * (1 - share) * (4 * off_line + jumped)
    return variance


def _moved(values: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    return values[lag:] - values[:-lag]


def _off_line(values: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Return how far the middle of each stretch of some length is from the line between its ends."""
    half = lag // 2
    return values[half : len(values) - lag + half] - 0.5 * (values[:-lag] + values[lag:])


def _reached(parts: list[NDArray[np.float64]], times: NDArray[np.int64], difference: Difference) -> NDArray[np.float64]:
    """Return the mean square of a difference over each time, shape (len(times), D).

    A shorter lag is better known, as there are more of it: the difference is at least what a random walk makes of it.
    Beyond the longest lag it grows in proportion to time.
    """
    longest = max(int(LONGEST_LAG * max(len(part) for part in parts)), 1)
    lags = np.unique(np.geomspace(1, longest, N_LAGS).astype(np.int64))
    squares = np.array([_mean_square(parts, int(lag), difference) for lag in lags])
    result = np.empty((len(times), parts[0].shape[1]))
    for k, time in enumerate(times):
        reach = min(int(time), longest)
        use = (lags <= reach) & (lags >= SHORTEST_LAG * reach)
        result[k] = (squares[use] * (reach / lags[use])[:, None]).max(axis=0)
        result[k] *= (time / reach) ** 2
    return result


def _mean_square(parts: list[NDArray[np.float64]], lag: int, difference: Difference) -> NDArray[np.float64]:
    """Return the mean square of a difference at some lag, larger where few independent ones say how large it is."""
    found = [difference(part, lag) for part in parts if len(part) > lag]
    independent = sum(len(part) / lag for part in parts)
    return np.asarray((np.concatenate(found) ** 2).mean(axis=0) * (1 + 1 / independent))
