"""Fiducials, points that are there in most frames: found or picked, and followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.fiducial_curve import Tracks, common_trace

#: Part of the frames that a fiducial is in at least.
MIN_FRAMES = 0.5
#: Median distance of a point's rows in subsequent frames, in radii: those of a structure are farther apart.
MAX_SCATTER_RADII = 0.4
#: Rows between one and two radii from a point, as a part of those within one: around one there are few.
MAX_AROUND = 0.5
#: Radii that are tried until there is a fiducial, in those that the uncertainties allow: drift that is left is wider.
WIDENED = (1.0, 2.0, 4.0)
#: Most rows a frame near a fiducial: more are a structure.
MAX_ROWS_PER_FRAME = 1.5
#: How far a fiducial's rows are from it at most, in median standard deviations of the rows.
RADIUS_SIGMAS = 8.0
#: The same, nm, at least.
MIN_RADIUS_NM = 60.0
#: Rounds in which the rows of fiducials are found by their own motion.
FOLLOWING_ROUNDS = 2
#: Frames that a fiducial has in common with others, at least.
FEWEST_COMMON = 10
#: Part of a fiducial's frames in the cell that has the most of them, at least: where four cells meet it is a quarter.
LEAST_OF_CELL = 0.125
#: Cells that are counted before any is looked into, at most.
MAX_CELLS = 1 << 24
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
    """Return the points that are in most frames, alone within a radius.

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
    searched = np.arange(len(key))
    if key.max() <= MAX_CELLS:
        # Most rows are at no place with so many, which is quickly said; the others need not be sorted.
        searched = np.flatnonzero(_dense_cells(key, line, part * n_frames)[key])
        if not len(searched):
            return []
    key, since = key[searched], (frame - frame.min())[searched]
    once = np.unique(key * n_frames + since) // n_frames
    keys, counts = np.unique(once, return_counts=True)
    around = np.zeros(len(keys), np.int64)
    for offset in (-line - 1, -line, -line + 1, -1, 0, 1, line - 1, line, line + 1):
        at = np.minimum(np.searchsorted(keys, keys + offset), len(keys) - 1)
        around += np.where(keys[at] == keys + offset, counts[at], 0)
    order = np.argsort(key, kind="stable")
    by_cell, key = searched[order], key[order]
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


def _dense_cells(key: NDArray[np.int64], line: int, n_rows: float) -> NDArray[np.bool_]:
    """Return which cells may hold rows of a fiducial that has so many, by the numbers of the cells."""
    size = int(key.max()) + line + 2
    counts = np.bincount(key, minlength=size)
    around = np.zeros(size, np.int64)
    offsets = (-line - 1, -line, -line + 1, -1, 0, 1, line - 1, line, line + 1)
    for offset in offsets:
        around += np.roll(counts, -offset)
    middle = (counts >= LEAST_OF_CELL * n_rows) & (around >= n_rows)
    dense = np.zeros(size, bool)
    for offset in offsets:
        dense |= np.roll(middle, offset)
    return dense


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


def followed(
    fiducials: list[Fiducial],
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    deviation: NDArray[np.float64],
    radius_nm: float,
    n_frames: int,
) -> list[Fiducial]:
    """Return fiducials with the rows near them once their own motion is subtracted.

    What is subtracted at first follows slow drift only: rows are lost where it is fast.

    Parameters
    ----------
    fiducials : list of Fiducial
        At least one.
    frame : ndarray of int64, shape (N,)
    place, deviation : ndarray of float64, shapes (N, D)
        Positions with drift and their standard deviations, nm.
    radius_nm : float
        How far a fiducial's rows are from it at most.
    n_frames : int
        Frames of the movie.
    """
    for _ in range(FOLLOWING_ROUNDS):
        trace = common_trace(tracks_of(fiducials, frame, place, deviation), n_frames)
        free = place - trace[frame]
        fiducials = [
            rows_near(frame, free, np.median(free[fiducial.rows, :2], axis=0), radius_nm) for fiducial in fiducials
        ]
    return fiducials


def tracks_of(
    fiducials: list[Fiducial],
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    deviation: NDArray[np.float64],
) -> Tracks:
    """Return the rows of fiducials, one after the other."""
    number = np.concatenate([np.full(len(fiducial.rows), k) for k, fiducial in enumerate(fiducials)])
    rows = np.concatenate([fiducial.rows for fiducial in fiducials])
    return Tracks(number, frame[rows], place[rows], deviation[rows])


def connected(fiducials: list[Fiducial], frame: NDArray[np.int64]) -> list[bool]:
    """Say of each fiducial whether it shares frames with the others, from the one with the most rows on.

    How far others are from it is not known otherwise.
    """
    if len(fiducials) == 1:
        return [True]
    order = np.argsort([-len(fiducial.rows) for fiducial in fiducials], kind="stable").tolist()
    used = {order[0]}
    frames = set(frame[fiducials[order[0]].rows].tolist())
    grown = True
    while grown:
        grown = False
        for k in order:
            own = set(frame[fiducials[k].rows].tolist())
            if k not in used and len(own & frames) >= FEWEST_COMMON:
                used.add(k)
                frames |= own
                grown = True
    return [k in used for k in range(len(fiducials))]


def found_fiducials(frame: NDArray[np.int64], place: NDArray[np.float64], radius_nm: float) -> list[Fiducial]:
    """Return the points that stay in most frames, apart from anything else; none where there are none.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
    place : ndarray of float64, shape (N, D)
        Positions without drift as far as it is known, nm.
    radius_nm : float
        How far a fiducial's rows are from it at most, where no drift is left.
    """
    for widened in WIDENED:
        found = find_fiducials(frame, place, widened * radius_nm)
        found = [fiducial for fiducial in found if stays(place, fiducial.rows, widened * radius_nm)]
        if found:
            return found
    return []


def stays(place: NDArray[np.float64], rows: NDArray[np.int64], radius_nm: float) -> bool:
    """Say whether rows of subsequent frames are at one point, and not on a structure that goes on around it."""
    steps = np.hypot(*np.diff(place[rows, :2], axis=0).T)
    distance = np.hypot(*(place[:, :2] - np.median(place[rows, :2], axis=0)).T)
    inside, around = (distance <= radius_nm).sum(), (distance <= 2 * radius_nm).sum()
    return bool(
        len(steps) and np.median(steps) <= MAX_SCATTER_RADII * radius_nm and around - inside <= MAX_AROUND * inside
    )


def _is_alone(place: NDArray[np.float64], centre: NDArray[np.float64], radius_nm: float, most: float) -> bool:
    return bool((np.hypot(*(place[:, :2] - centre).T) <= radius_nm).sum() <= most)
