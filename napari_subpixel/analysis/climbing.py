"""A curve of drift on its way from a rough one up to where events overlap best, with a stiffness that is given."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from napari_subpixel.analysis.blinks import Events
from napari_subpixel.analysis.knots import Knots, Stiffness
from napari_subpixel.analysis.overlap import REACH, Nodes, Overlap, Pairs, n_near, overlap, overlapping_pairs
from napari_subpixel.analysis.smoothing import held

#: Most pairs; where there are more, some of the events are left out.
MAX_PAIRS = 6_000_000
#: Stages that refine a rough curve: the width of the overlap in y and x, that in z, both in those of the last stage,
#: and the part of the knots. Of z nothing is known at first.
ANNEALING = ((2.0, 16.0, 0.1), (2.0, 4.0, 0.25), (1.0, 1.0, 0.5))
#: Steps of each stage.
ANNEALING_STEPS = 4
#: Part of the upper bound of the curvature that a step goes by: half of it always climbs.
STEP_CURVATURE = 0.5


@dataclass
class Fit:
    """A curve on its way to the best one. Lengths are in units of the overlap's width along each axis.

    Attributes
    ----------
    events : Events
        In nm.
    weight : ndarray of float64, shape (N,)
        How much each event counts.
    knots : Knots
    curve_nm : ndarray of float64, shape (K, D)
        The curve at the knots, nm.
    width_nm : ndarray of float64, shape (D,)
        Width of the overlap along each axis.
    gap : float
        Frames that the events of a pair are apart at least.
    background : float
        Uniform background, in the units of the overlap.
    """

    events: Events
    weight: NDArray[np.float64]
    knots: Knots
    curve_nm: NDArray[np.float64]
    width_nm: NDArray[np.float64]
    gap: float
    background: float = 0.01

    @cached_property
    def nodes(self) -> Nodes:
        """Where on the curve the events are; neither these nor the knots of a fit change."""
        return self.knots.nodes(self.events.time)

    @property
    def values(self) -> NDArray[np.float64]:
        """The curve at the knots, shape (K, D)."""
        return self.curve_nm / self.width_nm

    def place(self) -> NDArray[np.float64]:
        """Return the events' positions without drift, shape (N, D)."""
        return (self.events.place - self.nodes.curve(self.curve_nm)) / self.width_nm

    def pairs(self) -> Pairs:
        """Return the pairs of events at the curve as it is."""
        return overlapping_pairs(self.place(), self.events.time, self.gap)

    def overlap(self, pairs: Pairs, **options: Any) -> Overlap:
        """Return the overlap at the curve as it is."""
        return overlap(self.place(), self.weight, self.nodes, pairs, self.background, **options)

    def with_knots(self, knots: Knots) -> Fit:
        """Return the same curve with other knots."""
        return replace(self, knots=knots, curve_nm=self.knots.nodes(knots.time).curve(self.curve_nm))

    def of(self, rows: Any) -> Fit:
        """Return the same with some of the events."""
        return replace(self, events=self.events.select(rows), weight=self.weight[rows])

    def thinned(self, most: int = MAX_PAIRS) -> Fit:
        """Return the same with events in order of their places, few enough that at most so many pairs are near."""
        place = self.place()
        rows = np.lexsort((place[:, 1], np.floor(place[:, 0] / (2 * REACH))))
        keep = 1.0
        while True:
            step = np.floor(np.arange(len(rows)) * keep)
            chosen = rows[np.diff(step, prepend=-1.0) > 0] if keep < 1 else rows
            found = n_near(place[chosen])
            if found <= most or len(chosen) < 100:
                return self.of(chosen)
            keep *= 0.95 * float(np.sqrt(most / found))


def refined(fit: Fit, stiffness: Stiffness, n_knots: int) -> Generator[str, None, Fit]:
    """Return a rough curve's fit annealed to the width of the overlap, with some number of even knots.

    Yields the name of each step before it begins.
    """
    dimensions = len(fit.width_nm)
    for in_plane, in_z, part in ANNEALING[-dimensions:]:
        yield "best curve"
        fit = fit.with_knots(fit.knots.respaced(max(int(part * n_knots), 2)))
        factor = np.array([in_plane, in_plane, in_z])[:dimensions]
        stage = replace(fit, width_nm=fit.width_nm * factor).thinned(MAX_PAIRS // 3)
        climb(stage, stage.pairs(), stiffness, ANNEALING_STEPS)
        fit = replace(fit, curve_nm=stage.curve_nm, background=stage.background)
    return fit.with_knots(fit.knots.respaced(n_knots))


def climb(fit: Fit, pairs: Pairs, stiffness: Stiffness, n_steps: int) -> None:
    """Take some steps up, and adapt the background."""
    prior = fit.knots.precision(stiffness)
    gauge = fit.knots.gauge
    for _ in range(n_steps):
        here = fit.overlap(pairs)
        information = STEP_CURVATURE * here.matrix
        target = information @ fit.values + fit.nodes.project(here.force)
        values = solved(held(information, gauge) + prior, target)
        fit.curve_nm = (values - gauge @ values) * fit.width_nm
        fit.background = _next_background(fit, here)


def _next_background(fit: Fit, here: Overlap) -> float:
    """Return the uniform background that makes the events likelier: one step of expectation maximisation."""
    alone = float(np.clip(here.background.mean(), 0.001, 0.95))
    extent = float(np.prod(np.maximum(np.ptp(fit.events.place, axis=0) / fit.width_nm, 1.0)))
    dimensions = fit.events.place.shape[1]
    return alone / (1 - alone) * float(fit.weight.sum()) * float((2 * np.pi) ** (dimensions / 2)) / extent


def solved(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solution of a system with a positive definite matrix."""
    solution: NDArray[np.float64] = cho_solve(cho_factor(matrix, check_finite=False), target, check_finite=False)
    return solution
