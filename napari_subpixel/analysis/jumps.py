"""Frames at which the drift of a movie jumps: where the sample lies elsewhere before than after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A step counts from this many times the usual difference between adjoining windows on.
MIN_STEP = 5.0
#: Fewest events of a window.
MIN_WINDOW = 25
#: Most events of a window.
MAX_WINDOW = 400
#: Width of a window, in knots.
WINDOW_KNOTS = 3.0
#: Most jumps of a movie.
MAX_JUMPS = 20
#: Squared distance, in variances of an event about its molecule, from which on it no longer matters how far it is.
FAR = 9.0


def candidate_jumps(time: NDArray[np.float64], drift: NDArray[np.float64], n_knots: int) -> list[float]:
    """Return times at which the drift seems to jump: half a frame before the first frame after a jump.

    Parameters
    ----------
    time : ndarray of float64, shape (N,)
        Of the events, in frames.
    drift : ndarray of float64, shape (N, D)
        How far each lies from its molecule.
    n_knots : int
        Of the curve that is fitted to them.
    """
    order = np.argsort(time, kind="stable")
    time, drift = time[order], drift[order]
    size = int(np.clip(WINDOW_KNOTS * len(time) / n_knots, MIN_WINDOW, MAX_WINDOW))
    if len(time) < 6 * size:
        return []
    total = np.vstack([np.zeros(drift.shape[1]), np.cumsum(drift, axis=0)])
    at = np.arange(size, len(time) - size + 1)
    step = (total[at + size] - 2 * total[at] + total[at - size]) / size
    usual = 1.4826 * np.median(np.abs(step - np.median(step, axis=0)), axis=0)
    height = np.sqrt((((step - np.median(step, axis=0)) / np.maximum(usual, 1e-12)) ** 2).mean(axis=1))
    found: list[float] = []
    left = height.copy()
    while len(found) < MAX_JUMPS and left.max(initial=0.0) > MIN_STEP:
        k = int(left.argmax())
        found.append(_exact(time, drift, int(at[k]), size))
        left[max(k - size, 0) : k + size] = 0.0
    return sorted(set(found))


def _exact(time: NDArray[np.float64], drift: NDArray[np.float64], at: int, size: int) -> float:
    """Return the time that parts the events around a step best into those before it and those after it."""
    low, high = at - size, at + size
    inner = size // 3
    before, after = np.median(drift[low : at - inner], axis=0), np.median(drift[at + inner : high], axis=0)
    window = drift[low:high]
    scatter = 1.4826 * np.median(np.abs(drift[low : at - inner] - before), axis=0) + 1e-12
    as_before, as_after = (np.minimum((((window - m) / scatter) ** 2).mean(axis=1), FAR) for m in (before, after))
    cost = np.append(0.0, np.cumsum(as_before)) + np.append(np.cumsum(as_after[::-1])[::-1], 0.0)
    best = int(np.clip(low + cost.argmin(), 1, len(time) - 1))
    return float(np.floor(0.5 * (time[best - 1] + time[best])) + 0.5)
