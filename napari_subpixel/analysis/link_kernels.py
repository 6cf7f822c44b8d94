"""Compiled loops of linking: one pass through the frames, in which rows are near others by a grid of cells.

Rows are in the order of their frames. A cell of the grid is a chain of rows, the newest first, so that a search ends at
the first row that is too old, and nothing is ever removed. Cells far apart may share a chain: distances decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_subpixel._util.compiled import compiled

#: A molecule's position counts as known from at most this many rows, so that one that drifts is followed.
MEMORY_ROWS = 12.0


@compiled
def cell_index(y: float, x: float, cell: float, down: int, across: int) -> Any:
    """Return the number of the cell of a position; `down` and `across` are powers of 2."""
    row, column = np.int64(np.floor(y / cell)), np.int64(np.floor(x / cell))
    return (row & (down - 1)) * across + (column & (across - 1))


@compiled
def returns(
    frame: Any, y: Any, x: Any, vy: Any, vx: Any, cell: float, down: int, across: int, within: float, reach: int
) -> tuple[Any, Any]:
    """Count how many frames after the nearest earlier row each row comes, and keep the distances of the next frame.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        In order.
    y, x, vy, vx : ndarray, shape (N,)
        Positions and their variances.
    cell : float
        Width of a cell; at least the largest distance that counts.
    down, across : int
        Cells along y and x.
    within : float
        Largest squared distance in variances of the pair that counts as near.
    reach : int
        Frames back.

    Returns
    -------
    counts : ndarray of int64, shape (reach + 1,)
        Rows whose last earlier row nearby is so many frames older; at 0 those without any.
    nearest : ndarray of float64, shape (N,)
        Squared distance in variances to the nearest row of the frame before, of any distance within the cells; NaN
        where there is none.
    """
    head = np.full(down * across, -1, np.int64)
    older = np.empty(len(y), np.int64)
    counts = np.zeros(reach + 1, np.int64)
    nearest = np.full(len(y), np.nan)
    first = 0
    while first < len(y):
        now, stop = frame[first], first
        while stop < len(y) and frame[stop] == now:
            stop += 1
        for i in range(first, stop):
            last = reach + 1
            closest = np.inf
            for row in range(-1, 2):
                for column in range(-1, 2):
                    j = head[cell_index(y[i] + row * cell, x[i] + column * cell, cell, down, across)]
                    while j >= 0 and now - frame[j] <= reach:
                        dy, dx = y[i] - y[j], x[i] - x[j]
                        if abs(dy) <= cell and abs(dx) <= cell:
                            q = dy * dy / (vy[i] + vy[j]) + dx * dx / (vx[i] + vx[j])
                            if now - frame[j] == 1:
                                closest = min(closest, q)
                            if q <= within:
                                last = min(last, now - frame[j])
                        j = older[j]
            counts[last if last <= reach else 0] += 1
            if closest < np.inf:
                nearest[i] = closest
        for i in range(first, stop):
            at = cell_index(y[i], x[i], cell, down, across)
            older[i], head[at] = head[at], i
        first = stop
    return counts, nearest


@compiled
def link_rows(
    frame: Any, y: Any, x: Any, vy: Any, vx: Any, log_odds: Any, starts: Any, corner: Any, map_cell: float,
    cell: float, down: int, across: int, widest: float, window: int, n_before: int, group: Any,
) -> tuple[int, Any]:  # fmt: skip
    """Assign rows to molecules, frame by frame, and return how many molecules there are.

    A row continues a molecule where that is likelier than that another begins there: the odds of both, by the gap,
    times the density of the distance in variances, over the local density of starts. Of the possible pairs of a frame
    the best goes first, each row and each molecule once. What is known of a molecule is kept for as long as it may be
    continued, at its last row's place in a ring.

    Parameters
    ----------
    frame : ndarray of int64, shape (N,)
        In order.
    y, x : ndarray of float64, shape (N,)
    vy, vx : ndarray of float32, shape (N,)
        Their variances.
    log_odds : ndarray of float64, shape (G,)
        Logarithm of the odds that a molecule appears again now, after 0 to G - 1 dark frames.
    starts : ndarray of float32, shape (H, W)
        Local density of starts, per area and frame.
    corner : ndarray of float64, shape (2,)
        Position of the outer corner of its first cell.
    map_cell : float
        Width of its cells.
    cell : float
        Width of a cell of the search; best twice `widest`.
    down, across : int
        Cells along y and x.
    widest : float
        Largest distance of a row from the molecule's mean.
    window : int
        Most rows in any G + 1 frames in a row.
    n_before : int
        Rows at the beginning, of whole frames, that only say which molecules are on when the others come.
    group : ndarray of int32, shape (N - n_before,)
        Filled with the number of each of the other rows' molecule, in the order of their first rows.

    Returns
    -------
    n_molecules : int
        Those of the rows before included, which have the first numbers.
    last_before : ndarray of int32
        The last row of each molecule of the rows before, where it may be continued; else -1.
    """
    n = len(y)
    gaps = len(log_odds)
    size = 1
    while size < window:
        size *= 2
    slots = size - 1
    head = np.full(down * across, -1, np.int32)
    older = np.empty(size, np.int32)
    mean_y, mean_x, mean_vy, mean_vx = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    molecule = np.empty(size, np.int32)
    is_last = np.empty(size, np.bool_)
    # In a frame: the row that each continues, and how many pairs it and the other are in.
    continued, pairs_of_row, pairs_of_last = (
        np.empty(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
    )
    scores, rows, lasts = np.empty(64), np.empty(64, np.int32), np.empty(64, np.int32)
    last_before = np.empty(0, np.int32)
    n_molecules = 0
    first = oldest = 0
    while first < n:
        now, stop = frame[first], first
        while stop < n and frame[stop] == now:
            stop += 1
        while frame[oldest] < now - gaps:
            oldest += 1
        if first == n_before:
            last_before = np.full(n_molecules, -1, np.int32)
            for j in range(oldest, first):
                if is_last[j & slots]:
                    last_before[molecule[j & slots]] = j
        pairs = 0
        for i in range(first, stop):
            continued[i & slots] = -1
            log_starts = np.nan
            top, bottom = np.int64(np.floor((y[i] - widest) / cell)), np.int64(np.floor((y[i] + widest) / cell))
            left, right = np.int64(np.floor((x[i] - widest) / cell)), np.int64(np.floor((x[i] + widest) / cell))
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    j = head[(row & (down - 1)) * across + (column & (across - 1))]
                    while j >= oldest:
                        at = j & slots
                        dy, dx = y[i] - mean_y[at], x[i] - mean_x[at]
                        if is_last[at] and dy * dy + dx * dx <= widest * widest:
                            if np.isnan(log_starts):
                                at_y = min(max(np.int64((y[i] - corner[0]) / map_cell), 0), starts.shape[0] - 1)
                                at_x = min(max(np.int64((x[i] - corner[1]) / map_cell), 0), starts.shape[1] - 1)
                                # log(2 pi) of the Gaussian
                                log_starts = np.log(starts[at_y, at_x]) + 1.8378770664093453
                            sy, sx = vy[i] + mean_vy[at], vx[i] + mean_vx[at]
                            q = dy * dy / sy + dx * dx / sx
                            score = log_odds[now - frame[j] - 1] - (q + np.log(sy * sx)) / 2 - log_starts
                            if score > 0:
                                if pairs == len(scores):
                                    scores = np.concatenate((scores, scores))
                                    rows = np.concatenate((rows, rows))
                                    lasts = np.concatenate((lasts, lasts))
                                scores[pairs], rows[pairs], lasts[pairs] = score, i, j
                                pairs_of_row[i & slots] += 1
                                pairs_of_last[at] += 1
                                pairs += 1
                        j = older[at]
        disputed = 0
        for k in range(pairs):
            i, j = rows[k], lasts[k]
            if pairs_of_row[i & slots] == 1 and pairs_of_last[j & slots] == 1:
                continued[i & slots] = j
            else:
                scores[disputed], rows[disputed], lasts[disputed] = -scores[k], i, j
                disputed += 1
        if disputed:
            for k in np.argsort(scores[:disputed]):
                i, j = rows[k], lasts[k]
                if continued[i & slots] < 0 and is_last[j & slots]:
                    continued[i & slots] = j
                    is_last[j & slots] = False
            for k in range(disputed):
                pairs_of_row[rows[k] & slots] = pairs_of_last[lasts[k] & slots] = 0
        for i in range(first, stop):
            at, j = i & slots, continued[i & slots]
            if j < 0:
                molecule[at] = n_molecules
                n_molecules += 1
                mean_y[at], mean_x[at] = y[i], x[i]
                mean_vy[at], mean_vx[at] = vy[i], vx[i]
            else:
                was = j & slots
                pairs_of_row[at] = pairs_of_last[was] = 0
                is_last[was] = False
                molecule[at] = molecule[was]
                share_y, share_x = mean_vy[was] / (mean_vy[was] + vy[i]), mean_vx[was] / (mean_vx[was] + vx[i])
                mean_y[at] = mean_y[was] + share_y * (y[i] - mean_y[was])
                mean_x[at] = mean_x[was] + share_x * (x[i] - mean_x[was])
                mean_vy[at] = max((1 - share_y) * mean_vy[was], vy[i] / MEMORY_ROWS)
                mean_vx[at] = max((1 - share_x) * mean_vx[was], vx[i] / MEMORY_ROWS)
            is_last[at] = True
            if i >= n_before:
                group[i - n_before] = molecule[at]
            place = cell_index(mean_y[at], mean_x[at], cell, down, across)
            older[at], head[place] = head[place], i
        first = stop
    return n_molecules, last_before


@compiled
def most_rows(frame: Any, n_frames: int) -> int:
    """Return how many rows there are in so many frames in a row, at most; frames are in order."""
    most = first = 0
    for i in range(len(frame)):
        while frame[first] <= frame[i] - n_frames:
            first += 1
        most = max(most, i + 1 - first)
    return most


@compiled
def renumber(group: Any, known: Any, n_known: int) -> int:
    """Replace numbers of molecules, in place, in the order in which they come, and return how many there are then.

    Parameters
    ----------
    group : ndarray of int32, shape (N,)
        Numbers that count for these rows alone.
    known : ndarray of int32
        For each of them the number that counts for all rows, or -1 where it gets the next one; filled in.
    n_known : int
        How many there are for all rows up to now.
    """
    for i in range(len(group)):
        if known[group[i]] < 0:
            known[group[i]] = n_known
            n_known += 1
        group[i] = known[group[i]]
    return n_known


@compiled
def count_rows(y: Any, x: Any, corner: Any, map_cell: float, down: int, across: int) -> Any:
    """Count the rows in each cell of a map and the eight around it.

    Returns
    -------
    ndarray of float32, shape (down, across)
    """
    counts = np.zeros((down + 2, across + 2), np.float32)
    for i in range(len(y)):
        row: Any = min(max(np.int64((y[i] - corner[0]) / map_cell), 0), down - 1)
        column: Any = min(max(np.int64((x[i] - corner[1]) / map_cell), 0), across - 1)
        counts[row + 1, column + 1] += 1
    blocks = np.zeros((down, across), np.float32)
    for row in range(down):
        for column in range(across):
            total = np.float32(0)
            for a in range(3):
                for b in range(3):
                    total += counts[row + a, column + b]
            blocks[row, column] = total
    return blocks


@compiled
def dark_times(
    first: Any, last: Any, y: Any, x: Any, vy: Any, vx: Any, cell: float, down: int, across: int, within: float,
    followed_within: float,
) -> tuple[Any, Any]:  # fmt: skip
    """Say for each molecule how many frames its place was dark before it, and whether another came after it.

    Parameters
    ----------
    first, last : ndarray of int64, shape (N,)
        First and last frames; the first in order.
    y, x, vy, vx : ndarray, shape (N,)
        Positions and their variances.
    cell : float
        Width of a cell; at least the largest distance that counts.
    down, across : int
        Cells along y and x.
    within : float
        Largest squared distance in variances of the pair that counts as one place.
    followed_within : float
        The same, larger, for a place where another came: as each molecule is asked once for all that come, and what
        seems to be dark to the end counts for much.

    Returns
    -------
    dark : ndarray of int64, shape (N,)
        -1 where no other was there before.
    followed : ndarray of bool, shape (N,)
    """
    head = np.full(down * across, -1, np.int64)
    older = np.empty(len(y), np.int64)
    dark = np.full(len(y), -1, np.int64)
    followed = np.zeros(len(y), np.bool_)
    for i in range(len(y)):
        end = np.int64(-1)
        for row in range(-1, 2):
            for column in range(-1, 2):
                j = head[cell_index(y[i] + row * cell, x[i] + column * cell, cell, down, across)]
                # All of them: one that is on still is none before, and each of the others is followed.
                while j >= 0:
                    dy, dx = y[i] - y[j], x[i] - x[j]
                    q = dy * dy / (vy[i] + vy[j]) + dx * dx / (vx[i] + vx[j])
                    if q <= followed_within and abs(dy) <= cell and abs(dx) <= cell and last[j] < first[i]:
                        followed[j] = True
                        if q <= within:
                            end = max(end, last[j])
                    j = older[j]
        if end >= 0:
            dark[i] = first[i] - end - 1
        at = cell_index(y[i], x[i], cell, down, across)
        older[i], head[at] = head[at], i
    return dark, followed
