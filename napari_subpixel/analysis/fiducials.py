"""Fiducials, points that are there in nearly every frame: found or picked, and the curve of drift that they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.knots import Knots
from napari_subpixel.analysis.smoothing import Curve, Quadratic, averaged, candidates, held_out_gains

#: Part of the frames that a fiducial is in at least.
MIN_FRAMES = 0.8
#: Most rows a frame near a fiducial: more are a structure.
MAX_ROWS_PER_FRAME = 1.5
#: How far a fiducial's rows are from it at most, in median standard deviations of the rows.
RADIUS_SIGMAS = 8.0
#: The same, nm, at least.
MIN_RADIUS_NM = 60.0
#: Rows this many standard deviations off the others are left out.
OUTLIER_SIGMAS = 5.0
#: Rounds in which the places of the fiducials and their common curve are found in turn.
N_ROUNDS = 30
#: Part of a fiducial's frames in the cell that has the most of them, at least: where four cells meet it is a quarter.
LEAST_OF_CELL = 0.125
#: Rows near a pick that are tried as its middle.
MAX_TRIED = 100
#: Most fiducials.
MAX_FIDUCIALS = 200


@dataclass(frozen=True)
class Fiducial:
    """Rows of one fiducial, one a frame.

    Attributes
    ----------
    rows : ndarray of int64, shape (N,)
        Rows of the table, in order of their frames.
    """

    rows: NDArray[np.int64]


def find_fiducials(
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    radius_nm: float,
    part: float = MIN_FRAMES,
    most_rows: float = MAX_ROWS_PER_FRAME,
) -> list[Fiducial]:
    """Return the points that are in nearly every frame, alone within a radius.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
    place : ndarray of float64, shape (N, D)
        Positions without drift as far as it is known, nm.
    radius_nm : float
        How far a fiducial's rows are from it at most.
    part : float
        Part of the frames that a fiducial is in at least.
    most_rows : float
        Most rows a frame within the radius.
    """
    n_frames = int(np.ptp(frame)) + 1
    cell = np.floor((place[:, :2] - place[:, :2].min(axis=0)) / radius_nm).astype(np.int64) + 1
    line = int(cell[:, 1].max()) + 2
    key = cell[:, 0] * line + cell[:, 1]
    since = frame - frame.min()
    once = np.unique(key * n_frames + since) // n_frames
    keys, counts = np.unique(once, return_counts=True)
    around = np.zeros(len(keys), np.int64)
    for offset in (-line - 1, -line, -line + 1, -1, 0, 1, line - 1, line, line + 1):
        at = np.minimum(np.searchsorted(keys, keys + offset), len(keys) - 1)
        around += np.where(keys[at] == keys + offset, counts[at], 0)
    by_cell = np.argsort(key, kind="stable")
    key = key[by_cell]
    found: list[Fiducial] = []
    centres: list[NDArray[np.float64]] = []
    for k in np.argsort(-counts, kind="stable"):
        if counts[k] < LEAST_OF_CELL * part * n_frames or len(found) == MAX_FIDUCIALS:
            break
        if around[k] < part * n_frames:
            continue
        inside = by_cell[slice(*np.searchsorted(key, (keys[k], keys[k] + 1)))]
        centre = np.median(place[inside, :2], axis=0)
        if any(np.hypot(*(centre - other)) < 2 * radius_nm for other in centres):
            continue
        fiducial = rows_near(frame, place, centre, radius_nm)
        if len(fiducial.rows) >= part * n_frames and _is_alone(place, centre, radius_nm, most_rows * n_frames):
            found.append(fiducial)
        centres.append(centre)
    return found


def pick_fiducial(
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    detected: NDArray[np.float64],
    pick: NDArray[np.float64],
    radius_nm: float,
    reach_nm: float,
) -> Fiducial:
    """Return the rows of the fiducial that came near a place in some frame; without rows where there is none.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
    place : ndarray of float64, shape (N, D)
        Positions without drift as far as it is known, nm.
    detected : ndarray of float64, shape (N, D)
        Positions with drift, nm.
    pick : ndarray of float64, shape (2,)
        y and x with drift, nm.
    radius_nm : float
        How far a fiducial's rows are from it at most.
    reach_nm : float
        How far from its pick it is at most.
    """
    near = np.flatnonzero(np.hypot(*(detected[:, :2] - pick).T) <= reach_nm)
    if not len(near):
        return Fiducial(near)
    tried = near[:: max(1, len(near) // MAX_TRIED)]
    low, high = place[near, :2].min(axis=0) - radius_nm, place[near, :2].max(axis=0) + radius_nm
    around = place[((place[:, :2] >= low) & (place[:, :2] <= high)).all(axis=1), :2]
    counts = [(np.hypot(*(around - centre).T) <= radius_nm).sum() for centre in place[tried, :2]]
    return rows_near(frame, place, place[tried[int(np.argmax(counts))], :2], radius_nm)


def rows_near(
    frame: NDArray[np.int64], place: NDArray[np.float64], centre: NDArray[np.float64], radius_nm: float
) -> Fiducial:
    """Return the rows near a place, the nearest of each frame.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
    place : ndarray of float64, shape (N, D)
        Positions without drift as far as it is known, nm.
    centre : ndarray of float64, shape (2,)
        y and x, nm; it is moved to the median of the rows near it.
    radius_nm : float
    """
    for _ in range(2):
        distance = np.hypot(*(place[:, :2] - centre).T)
        near = np.flatnonzero(distance <= radius_nm)
        if not len(near):
            return Fiducial(near)
        centre = np.median(place[near, :2], axis=0)
    order = near[np.lexsort((distance[near], frame[near]))]
    return Fiducial(order[np.diff(frame[order], prepend=-1) > 0])


def fiducial_curve(
    fiducials: list[Fiducial],
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    deviation: NDArray[np.float64],
    knots: Knots,
) -> Curve:
    """Return the common curve of fiducials, each frame weighted by uncertainties, smoothed as far as they bear.

    How stiff it is is chosen on fiducials that it was not fitted to; of a single one, on every other frame. Its errors
    allow for fiducials that move by themselves.

    Parameters
    ----------
    fiducials : list of Fiducial
        At least one.
    frame : ndarray of int64, shape (N,)
    place, deviation : ndarray of float64, shapes (N, D)
        Positions and their standard deviations, nm.
    knots : Knots
    """
    number = np.concatenate([np.full(len(f.rows), k) for k, f in enumerate(fiducials)])
    rows = np.concatenate([f.rows for f in fiducials])
    unit = np.median(deviation[rows], axis=0)
    time, place = frame[rows] - frame[rows].min(), place[rows] / unit
    weight = 1.0 / ((deviation[rows] / unit) ** 2).mean(axis=1)
    trace, own, inlier = _in_turn(number, time, place, weight)
    number, time, place, weight = number[inlier], time[inlier], place[inlier], weight[inlier]
    free = place - own[number]
    weight = weight / _excess(number, time, free, trace, weight, len(knots))
    first = float(frame[rows].min())
    side = number % 2 if len(fiducials) > 1 else time % 2
    halves = [_quadratic(time + first, free, weight, knots, side == s) for s in (0, 1)]
    tried, gauge = candidates(knots), knots.gauge
    gains = held_out_gains([(halves[0], halves[1]), (halves[1], halves[0])], knots, gauge, tried)
    curve, _ = averaged(_quadratic(time + first, free, weight, knots), knots, gauge, tried, gains)
    return curve.times(unit)


def _is_alone(place: NDArray[np.float64], centre: NDArray[np.float64], radius_nm: float, most: float) -> bool:
    return bool((np.hypot(*(place[:, :2] - centre).T) <= radius_nm).sum() <= most)


def _in_turn(
    number: NDArray[np.int64], time: NDArray[np.int64], place: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the mean trace by frame, each fiducial's place, and which rows are no outliers."""
    n, n_times = int(number.max()) + 1, int(time.max()) + 1
    inlier = np.ones(len(time), bool)
    own = np.stack([np.median(place[number == k], axis=0) for k in range(n)])
    trace = np.zeros((n_times, place.shape[1]))
    for _ in range(N_ROUNDS):
        w = np.where(inlier, weight, 0.0)
        total = np.maximum(np.bincount(time, w, n_times), 1e-300)
        trace = np.stack([np.bincount(time, w * p, n_times) for p in (place - own[number]).T], axis=1) / total[:, None]
        sums = np.maximum(np.bincount(number, w, n), 1e-300)
        own = np.stack([np.bincount(number, w * p, n) for p in (place - trace[time]).T], axis=1) / sums[:, None]
        off = np.sqrt(weight * ((place - own[number] - trace[time]) ** 2).mean(axis=1))
        inlier = off <= OUTLIER_SIGMAS * max(1.4826 * float(np.median(off)), 1.0)
    return trace, own, inlier


def _excess(
    number: NDArray[np.int64],
    time: NDArray[np.int64],
    free: NDArray[np.float64],
    trace: NDArray[np.float64],
    weight: NDArray[np.float64],
    n: int,
) -> float:
    """Return by how much the means of fiducials in parts of the movie scatter more than their variances say.

    Of a single one, by how much its rows do from frame to frame.
    """
    n_fiducials = int(number.max()) + 1
    if n_fiducials < 2:
        variance = 1.0 / weight[1:] + 1.0 / weight[:-1]
        return max(1.0, float((np.diff(free, axis=0) ** 2 / variance[:, None]).mean())) if len(time) > 1 else 1.0
    part = number * n + time * n // (int(time.max()) + 1)
    total = np.bincount(part, weight)
    there = total > 0
    off = free - trace[time]
    means = np.stack([np.bincount(part, weight * o)[there] for o in off.T], axis=1) / total[there, None]
    return max(1.0, float((total[there, None] * means**2).mean()) / (1 - 1 / n_fiducials))


def _quadratic(
    time: NDArray[np.float64],
    place: NDArray[np.float64],
    weight: NDArray[np.float64],
    knots: Knots,
    rows: NDArray[np.bool_] | None = None,
) -> Quadratic:
    """Return the log likelihood of a curve near 0."""
    if rows is not None:
        time, place, weight = time[rows], place[rows], weight[rows]
    nodes = knots.nodes(time)
    matrix = np.zeros((nodes.n, nodes.n))
    w, k, share = weight, nodes.before, nodes.share
    np.add.at(matrix, (k, k), w * (1 - share) ** 2)
    np.add.at(matrix, (k + 1, k + 1), w * share**2)
    np.add.at(matrix, (k, k + 1), w * share * (1 - share))
    np.add.at(matrix, (k + 1, k), w * share * (1 - share))
    values = np.zeros((nodes.n, place.shape[1]))
    return Quadratic(values, nodes.project(w[:, None] * place), matrix)
