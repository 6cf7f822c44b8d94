"""The knots of a curve of drift, which is linear between them and may jump, and priors of how stiff it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.overlap import Nodes

#: How firmly the sides of a jump are tied to each other, 1/length^2.
TIE = 1e8
#: A stretch without rows has no knots inside where it is longer than this many spacings of these.
EMPTY_SPACINGS = 2.0


@dataclass(frozen=True)
class Stiffness:
    """A prior of a curve: how it wanders when nothing is known of it.

    Attributes
    ----------
    order : int
        1: its value is a random walk; 2: its slope is one.
    rate : float
        Variance of the steps of that walk for each frame: length^2 / frame, or length^2 / frame^3; above 0.
    """

    order: int
    rate: float


@dataclass(frozen=True)
class Knots:
    """Times at which a curve has its values.

    Attributes
    ----------
    time : ndarray of float64, shape (K,)
        In frames, in order. Where the curve jumps, two knots have the same time: the values on both sides.
    empty : tuple of (float, float)
        Long stretches of the movie without rows: the last frame before each, and the first one after it. Between them
        there are no knots but those of jumps.
    n_omitted : int
        How many even knots there would be more without them.
    """

    time: NDArray[np.float64]
    empty: tuple[tuple[float, float], ...] = ()
    n_omitted: int = 0

    @classmethod
    def even(
        cls,
        first: float,
        last: float,
        n: int,
        jumps: Sequence[float] = (),
        empty: tuple[tuple[float, float], ...] = (),
    ) -> Knots:
        """Return evenly spaced knots from the first to the last frame, and two at every jump.

        In a stretch without rows that is longer than `EMPTY_SPACINGS` knots are at its ends only.
        """
        even = np.linspace(first, last, max(n, 2))
        near = 0.5 * (even[1] - even[0])
        keep = np.ones(len(even), bool)
        ends: set[float] = set()
        for start, stop in empty:
            if stop - start > EMPTY_SPACINGS * 2 * near:
                keep[1:-1] &= (even[1:-1] < start - near) | (even[1:-1] > stop + near)
                ends |= {end for end in (start, stop) if first < end < last}
        n_omitted = int((~keep).sum()) - len(ends)
        for jump in jumps:
            keep[1:-1] &= np.abs(even[1:-1] - jump) > near
        time = np.concatenate([even[keep], sorted(ends), np.repeat(np.asarray(jumps, np.float64), 2)])
        return cls(np.sort(time), empty, n_omitted)

    def respaced(self, n: int, jumps: Sequence[float] = ()) -> Knots:
        """Return other knots of the same movie, evenly spaced ones and two at every jump."""
        return Knots.even(float(self.time[0]), float(self.time[-1]), n, jumps, self.empty)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def gauge(self) -> NDArray[np.float64]:
        """Weights of the knots in the mean over the movie but for long stretches without rows, shape (K,)."""
        width = np.diff(self.time) * self.near_rows(0.5 * (self.time[1:] + self.time[:-1]))
        weight = 0.5 * (np.append(width, 0.0) + np.append(0.0, width))
        return np.asarray(weight / weight.sum())

    def nodes(self, time: NDArray[np.float64]) -> Nodes:
        """Return where on the curve some times are; outside the knots it goes on as between the last two."""
        before = np.clip(np.searchsorted(self.time, time, side="right") - 1, 0, len(self) - 2)
        width = self.time[before + 1] - self.time[before]
        share = (time - self.time[before]) / np.where(width > 0, width, 1.0)
        return Nodes(before.astype(np.int64), np.clip(share, 0.0, 1.0), len(self))

    @property
    def jumps(self) -> tuple[float, ...]:
        """Times at which the curve may jump."""
        return tuple(self.time[:-1][np.diff(self.time) == 0].tolist())

    def near_rows(self, time: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which times are not within a long stretch without rows, shape (len(time),)."""
        inside = np.zeros(len(time), bool)
        for start, stop in self.empty:
            inside |= (time > start) & (time < stop)
        return ~inside

    def without_jump(self, jump: float) -> NDArray[np.float64]:
        """Return a matrix, shape (K, K), that added to a prior's ties both sides of a jump to each other."""
        before = int(np.searchsorted(self.time, jump))
        row = np.zeros(len(self))
        row[before : before + 2] = -1.0, 1.0
        return TIE * np.outer(row, row)

    def precision(self, stiffness: Stiffness) -> NDArray[np.float64]:
        """Return the matrix of the prior, shape (K, K), 1/length^2."""
        width = np.diff(self.time)
        smooth = np.flatnonzero(width > 0)
        rows = np.zeros((len(smooth), len(self)))
        index = np.arange(len(smooth))
        rows[index, smooth], rows[index, smooth + 1] = -1.0, 1.0
        steps = width[smooth]
        if stiffness.order == 2:
            slopes = rows / steps[:, None]
            rows, steps = np.diff(slopes, axis=0), 0.5 * (steps[1:] + steps[:-1])
        return rows.T @ (rows / (stiffness.rate * steps)[:, None])
