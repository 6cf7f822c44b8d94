"""A rough curve of drift without any guess: segments of the movie, each shifted onto those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_subpixel._util.compiled import compiled
from napari_subpixel.analysis.blinks import Events

#: Events of a segment, where there are enough for `MIN_SEGMENTS`.
EVENTS_PER_SEGMENT = 300
#: Segments of a movie with few events.
MIN_SEGMENTS = 8
#: Segments of a movie with many.
MAX_SEGMENTS = 100
#: Fewest segments that a movie is tried with.
FEWEST_SEGMENTS = 4
#: Part of the segments that must stand out.
MIN_CERTAIN = 0.95
#: Widths of a cell that are tried, in median standard deviations of the events.
CELL_SIGMAS = (1.0, 4.0)
#: Smallest cell, nm.
MIN_CELL_NM = 4.0
#: Cells along an axis of the map, onto which a wider field is folded; a power of 2.
MAP_CELLS = 2048
#: How far a segment may lie from the one before it: cells on each side.
SEARCH_CELLS = 28
#: The same once all segments have a shift.
REFINE_CELLS = 9
#: How far rows after a long stretch without any may lie from those before it: cells on each side.
BRIDGE_CELLS = 80
#: Most events that are searched with then.
MAX_BRIDGING = 2400
#: Width of the smoothing of a correlation, in cells.
SMOOTH_CELLS = 1.5
#: Most events of a segment that are searched with; the map holds all.
MAX_SEARCHED = 600
#: A peak of the correlation counts from this many standard deviations above its surroundings.
MIN_PEAK = 6.5
#: Standard deviations of the surroundings that the highest peak elsewhere counts as.
HIGHEST_ELSEWHERE = 4.5


@dataclass(frozen=True)
class RoughDrift:
    """Shifts of segments of a movie.

    Attributes
    ----------
    time : ndarray of float64, shape (S,)
        Mean frame of each segment.
    shift : ndarray of float64, shape (S, 2)
        In y and x, nm.
    peak : ndarray of float64, shape (S,)
        Height of the correlation of each segment with all others, in standard deviations of its surroundings; 0 where
        rows after, or before, a long stretch without any do not overlap the others.
    weight : ndarray of float64, shape (S,)
        How much each counts: by its events where there are such stretches, else all the same.
    """

    time: NDArray[np.float64]
    shift: NDArray[np.float64]
    peak: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Segments that certainly overlap the others, shape (S,)."""
        return self.peak >= MIN_PEAK

    @property
    def share_certain(self) -> float:
        """Part of the segments that certainly overlap the others, each by its weight."""
        return float(self.weight[self.certain].sum() / self.weight.sum())

    def at(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the curve at some times, shape (len(time), 2), by the segments that are certain."""
        use = self.certain if self.certain.any() else np.ones(len(self.time), bool)
        return np.stack([np.interp(time, self.time[use], s[use]) for s in self.shift.T], axis=1)


def rough_drift(events: Events, empty: tuple[tuple[float, float], ...] = ()) -> RoughDrift:
    """Shift each segment of a movie onto the map of those before it, then each onto the map of all others.

    Where segments do not stand out, fewer and longer ones are tried, and maps of wider cells for structures without
    detail. What is between long stretches without rows is put together by itself first.

    Parameters
    ----------
    events : Events
        At least one.
    empty : tuple of (float, float)
        Long stretches without rows: the last frame before each, and the first one after it.
    """
    n_segments = int(np.clip(len(events) // EVENTS_PER_SEGMENT, MIN_SEGMENTS, MAX_SEGMENTS))
    best: RoughDrift | None = None
    while n_segments >= FEWEST_SEGMENTS:
        for sigmas in CELL_SIGMAS:
            found = _shifted(events, n_segments, sigmas, empty)
            if found.share_certain >= MIN_CERTAIN:
                return found
            if best is None or found.share_certain >= best.share_certain:
                best = found
        n_segments //= 2
    assert best is not None
    return best


def _shifted(events: Events, n_segments: int, sigmas: float, empty: tuple[tuple[float, float], ...]) -> RoughDrift:
    segments, stretch = _segments(events, n_segments, empty)
    place = events.place[:, :2]
    cell = max(sigmas * float(np.sqrt(np.median(events.variance[:, :2]))), MIN_CELL_NM)
    shift, peak = np.zeros((len(segments), 2)), np.zeros(len(segments))
    chart = np.zeros((MAP_CELLS, MAP_CELLS), np.float32)

    def chain(numbers: NDArray[np.int64], onto: NDArray[np.float32]) -> None:
        """Shift some segments onto those before them, one after another."""
        for before, k in zip([None, *numbers[:-1]], numbers, strict=True):
            rows = segments[k]
            if before is not None:
                shift[k] = shift[before]
                moved, peak[k] = _best_shift(onto, place[_thin(rows)] - shift[k], cell, SEARCH_CELLS)
                if peak[k] >= MIN_PEAK:
                    shift[k] += moved
            _add(onto, place[rows] - shift[k], cell, 1.0)

    apart = np.zeros(len(segments), bool)
    n_events = np.bincount(stretch, [len(rows) for rows in segments])
    for nth, number in enumerate(np.argsort(-n_events, kind="stable")):
        inside = np.flatnonzero(stretch == number)
        if not nth:
            chain(inside, chart)
            continue
        chain(inside, np.zeros_like(chart))
        free = np.concatenate([place[segments[k]] - shift[k] for k in inside])
        moved, height = _best_shift(chart, free[:: max(1, len(free) // MAX_BRIDGING)], cell, BRIDGE_CELLS)
        if height < MIN_PEAK:
            apart[inside] = True
            continue
        shift[inside] += moved
        _add(chart, free - moved, cell, 1.0)
    for _ in range(2):
        for k in np.flatnonzero(~apart):
            rows = segments[k]
            _add(chart, place[rows] - shift[k], cell, -1.0)
            moved, peak[k] = _best_shift(chart, place[_thin(rows)] - shift[k], cell, REFINE_CELLS)
            if peak[k] >= MIN_PEAK:
                shift[k] += moved
            _add(chart, place[rows] - shift[k], cell, 1.0)
    time = np.array([events.time[rows].mean() for rows in segments])
    weight = np.array([len(rows) if empty else 1.0 for rows in segments])
    return RoughDrift(time, shift - np.median(shift, axis=0), np.where(apart, 0.0, peak), weight)


def _segments(
    events: Events, n_segments: int, empty: tuple[tuple[float, float], ...]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return the events of each segment, none of which spans a stretch without rows, and its number between these."""
    by_time = np.argsort(events.time, kind="stable")
    cuts = np.searchsorted(events.time[by_time], [0.5 * (start + stop) for start, stop in empty])
    segments: list[NDArray[np.int64]] = []
    numbers: list[int] = []
    for number, rows in enumerate(np.split(by_time, cuts)):
        n = max(round(n_segments * len(rows) / len(by_time)), 1)
        parts = [part for part in np.array_split(rows, n) if len(part)]
        segments += parts
        numbers += [number] * len(parts)
    return segments, np.array(numbers)


def _thin(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[:: max(1, len(rows) // MAX_SEARCHED)]


def _best_shift(
    chart: NDArray[np.float32], place: NDArray[np.float64], cell: float, reach: int
) -> tuple[NDArray[np.float64], float]:
    """Return by how much points lie off the map, nm, and how far the correlation stands out."""
    correlation = np.zeros((2 * reach + 1, 2 * reach + 1))
    _correlate(chart, place, cell, correlation)
    smooth = gaussian_filter(correlation, SMOOTH_CELLS, mode="nearest")
    at = np.unravel_index(int(smooth.argmax()), smooth.shape)
    distance = np.hypot(*np.ogrid[-at[0] : 2 * reach + 1 - at[0], -at[1] : 2 * reach + 1 - at[1]])
    around = smooth[distance > 3 * SMOOTH_CELLS + 1]
    level = float(np.median(around))
    noise = max(
        1.4826 * float(np.median(np.abs(around - level))), 0.5 / SMOOTH_CELLS * np.sqrt(level + 1 / len(place)), 1e-9
    )
    # A structure, such as a line, correlates with itself at other shifts too: the peak must stand out from these.
    height = (smooth[at] - level) / max(noise, (float(around.max()) - level) / HIGHEST_ELSEWHERE)
    near = np.where(distance <= 2 * SMOOTH_CELLS, np.maximum(smooth - level - 0.5 * (smooth[at] - level), 0), 0)
    total = near.sum()
    offsets = np.arange(-reach, reach + 1)
    if total <= 0:
        return np.zeros(2), 0.0
    moved = np.array([near.sum(axis=1) @ offsets, near.sum(axis=0) @ offsets]) / total
    return -moved * cell, float(height)


@compiled
def _add(chart: NDArray[np.float32], place: NDArray[np.float64], cell: float, weight: float) -> None:
    for i in range(len(place)):
        y, x = int(np.floor(place[i, 0] / cell)), int(np.floor(place[i, 1] / cell))
        chart[y & (MAP_CELLS - 1), x & (MAP_CELLS - 1)] += weight


@compiled
def _correlate(chart: NDArray[np.float32], place: NDArray[np.float64], cell: float, correlation: Any) -> None:
    """Add up the map around every point."""
    reach = len(correlation) // 2
    for i in range(len(place)):
        y, x = int(np.floor(place[i, 0] / cell)) - reach, int(np.floor(place[i, 1] / cell)) - reach
        for a in range(2 * reach + 1):
            row = (y + a) & (MAP_CELLS - 1)
            for b in range(2 * reach + 1):
                correlation[a, b] += chart[row, (x + b) & (MAP_CELLS - 1)]
