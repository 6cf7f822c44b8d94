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
    cell: float, down: int, across: int, widest: float, group: Any,
) -> int:  # fmt: skip
    """Assign rows to molecules, frame by frame, and return how many molecules there are.

    A row continues a molecule where that is likelier than that another begins there: the odds of both, by the gap,
    times the density of the distance in variances, over the local density of starts. Of the possible pairs of a frame
    the best goes first, each row and each molecule once.

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
    group : ndarray of int32, shape (N,)
        Filled with the number of each row's molecule, in the order of their first rows.

    Returns
    -------
    int
    """
    n = len(y)
    gaps = len(log_odds)
    head = np.full(down * across, -1, np.int32)
    older = np.empty(n, np.int32)
    # From the last row to the mean: in single precision, as it is small.
    off_y, off_x = np.zeros(n, np.float32), np.zeros(n, np.float32)
    mean_vy, mean_vx = np.empty(n, np.float32), np.empty(n, np.float32)
    is_last = np.ones(n, np.bool_)
    scores, rows, lasts = np.empty(64), np.empty(64, np.int64), np.empty(64, np.int64)
    n_groups = 0
    first = 0
    while first < n:
        now, stop = frame[first], first
        while stop < n and frame[stop] == now:
            stop += 1
        pairs = 0
        for i in range(first, stop):
            group[i] = -1
            at_y = min(max(np.int64((y[i] - corner[0]) / map_cell), 0), starts.shape[0] - 1)
            at_x = min(max(np.int64((x[i] - corner[1]) / map_cell), 0), starts.shape[1] - 1)
            log_starts = np.log(starts[at_y, at_x]) + 1.8378770664093453  # log(2 pi) of the Gaussian
            top, bottom = np.int64(np.floor((y[i] - widest) / cell)), np.int64(np.floor((y[i] + widest) / cell))
            left, right = np.int64(np.floor((x[i] - widest) / cell)), np.int64(np.floor((x[i] + widest) / cell))
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    j = head[(row & (down - 1)) * across + (column & (across - 1))]
                    while j >= 0 and now - frame[j] <= gaps:
                        if is_last[j]:
                            dy, dx = y[i] - y[j] - off_y[j], x[i] - x[j] - off_x[j]
                            if dy * dy + dx * dx <= widest * widest:
                                sy, sx = vy[i] + mean_vy[j], vx[i] + mean_vx[j]
                                q = dy * dy / sy + dx * dx / sx
                                score = log_odds[now - frame[j] - 1] - (q + np.log(sy * sx)) / 2 - log_starts
                                if score > 0:
                                    if pairs == len(scores):
                                        scores = np.concatenate((scores, scores))
                                        rows = np.concatenate((rows, rows))
                                        lasts = np.concatenate((lasts, lasts))
                                    scores[pairs], rows[pairs], lasts[pairs] = score, i, j
                                    pairs += 1
                        j = older[j]
        if pairs == 1:
            group[rows[0]] = lasts[0]
        elif pairs:
            for k in np.argsort(-scores[:pairs]):
                if group[rows[k]] < 0 and is_last[lasts[k]]:
                    group[rows[k]] = lasts[k]
                    is_last[lasts[k]] = False
        for i in range(first, stop):
            j = group[i]
            if j < 0:
                group[i] = n_groups
                n_groups += 1
                mean_vy[i], mean_vx[i] = vy[i], vx[i]
            else:
                is_last[j] = False
                group[i] = group[j]
                share_y, share_x = mean_vy[j] / (mean_vy[j] + vy[i]), mean_vx[j] / (mean_vx[j] + vx[i])
                off_y[i] = (1 - share_y) * (y[j] + off_y[j] - y[i])
                off_x[i] = (1 - share_x) * (x[j] + off_x[j] - x[i])
                mean_vy[i] = max((1 - share_y) * mean_vy[j], vy[i] / MEMORY_ROWS)
                mean_vx[i] = max((1 - share_x) * mean_vx[j], vx[i] / MEMORY_ROWS)
            at = cell_index(y[i] + off_y[i], x[i] + off_x[i], cell, down, across)
            older[i], head[at] = head[at], i
        first = stop
    return n_groups


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
    first: Any, last: Any, y: Any, x: Any, vy: Any, vx: Any, cell: float, down: int, across: int, within: float
) -> Any:
    """Return for each molecule how many frames its place was dark before it; -1 where no other was there before.

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

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    head = np.full(down * across, -1, np.int64)
    older = np.empty(len(y), np.int64)
    dark = np.full(len(y), -1, np.int64)
    for i in range(len(y)):
        end = np.int64(-1)
        for row in range(-1, 2):
            for column in range(-1, 2):
                j = head[cell_index(y[i] + row * cell, x[i] + column * cell, cell, down, across)]
                # The newest is the one before, unless it is on still: no molecule waits for itself.
                while j >= 0:
                    dy, dx = y[i] - y[j], x[i] - x[j]
                    q = dy * dy / (vy[i] + vy[j]) + dx * dx / (vx[i] + vx[j])
                    if q <= within and abs(dy) <= cell and abs(dx) <= cell and last[j] < first[i]:
                        end = max(end, last[j])
                        break
                    j = older[j]
        if end >= 0:
            dark[i] = first[i] - end - 1
        at = cell_index(y[i], x[i], cell, down, across)
        older[i], head[at] = head[at], i
    return dark
