"""The curve of drift that makes events overlap best, from a rough one, its stiffness chosen, with its errors."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.climbing import Fit, climb, refined, solved
from napari_subpixel.analysis.jumps import candidate_jumps
from napari_subpixel.analysis.knots import Knots, Stiffness
from napari_subpixel.analysis.overlap import REACH, Overlap, Pairs
from napari_subpixel.analysis.smoothing import Curve, Quadratic, averaged, candidates, held, held_out_gains

#: Most knots of a curve.
MAX_KNOTS = 200
#: Knots of a curve that turns so often that these do not serve it.
MORE_KNOTS = 400
#: Degrees of freedom, as a part of the knots, from which on a curve turns so often.
SUPPLE = 0.4
#: The same, from which on a curve is taken to wander between its knots as it does from one to the next.
RESTLESS = 0.5
#: Steps of the last stage, with the knots of the result.
LAST_STEPS = 6
#: Rounds in which the curve is calibrated, its stiffness chosen and the curve moved.
ROUNDS = 2
#: Width of the blocks of space that count as independent, in reaches of a pair.
BLOCK_REACHES = 6.0
#: Fewest blocks whose scatter says something.
MIN_BLOCKS = 4
#: Parts of the events where there are fewer.
N_PARTS_OF_EVENTS = 32
#: Times that the blocks are split into those fitted and those held out.
N_SPLITS = 3
#: By how much a jump must raise the log likelihood of held-out molecules.
MIN_GAIN = 5.0
#: Least degrees of freedom of the curve in whose directions the overlap is calibrated.
MIN_FREEDOM = 15.0
#: Least part of the upper bound that the curvature is taken for.
LEAST_CURVATURE = 0.02


@dataclass(frozen=True)
class Calibration:
    """What the overlap is worth as a log likelihood.

    Attributes
    ----------
    curvature : float
        Its curvature as a part of the upper bound.
    scale : float
        What it is multiplied by, so that its curvature is the inverse of a variance.
    """

    curvature: float
    scale: float


@dataclass(frozen=True)
class Fitted:
    """The best curve of a set of knots.

    Attributes
    ----------
    fit : Fit
        With this curve.
    curve : Curve
        In units of the width.
    stiffness : Stiffness
        The one under which the held-out molecules are likeliest.
    """

    fit: Fit
    curve: Curve
    stiffness: Stiffness


def best_fit(fit: Fit, stiffness: Stiffness, rng: np.random.Generator) -> Generator[str, None, Fitted]:
    """Return the best curve near that of a fit, its stiffness and its jumps chosen on held-out molecules.

    Yields the name of each step before it begins.

    Parameters
    ----------
    fit : Fit
        With a curve that is off by less than the width of the overlap.
    stiffness : Stiffness
        With which the first steps are taken.
    rng : numpy.random.Generator
        Splits the molecules.
    """
    yield "best curve"
    fit = fit.thinned()
    climb(fit, fit.pairs(), stiffness, LAST_STEPS)
    yield "jumps"
    fit = _with_jumps(fit, stiffness)
    calibration = Calibration(0.4, 1.0)
    fitted: Fitted | None = None
    for _ in range(ROUNDS):
        yield "stiffness"
        pairs = fit.pairs()
        here = fit.overlap(pairs)
        calibration = calibrated(fit, here, pairs, stiffness, calibration, rng)
        folds = _folds(fit, pairs, calibration, rng)
        if refuted := _refuted_jumps(fit.knots, folds, stiffness):
            fit = _with_knots_for(fit, [jump for jump in fit.knots.jumps if jump not in refuted])
            pairs = fit.pairs()
            climb(fit, pairs, stiffness, LAST_STEPS)
            here = fit.overlap(pairs)
            folds = _folds(fit, pairs, calibration, rng)
        fitted = _chosen(fit, here, calibration, folds)
        fit, stiffness = fitted.fit, fitted.stiffness
    assert fitted is not None
    n_knots = min(MORE_KNOTS, int(fit.knots.time[-1] - fit.knots.time[0]) + 1)
    freedom = _freedom(fitted, calibration)
    if n_knots > len(fit.knots) + fit.knots.n_omitted and freedom > SUPPLE:
        yield "stiffness"
        fit = _with_knots_for(fit, fit.knots.jumps, n_knots)
        pairs = fit.pairs()
        fitted = _chosen(fit, fit.overlap(pairs), calibration, _folds(fit, pairs, calibration, rng, 1))
        freedom = _freedom(fitted, calibration)
    if freedom > RESTLESS:
        return fitted
    return replace(fitted, curve=replace(fitted.curve, wander=0.0))


def _freedom(fitted: Fitted, calibration: Calibration) -> float:
    """Return the degrees of freedom of a curve as a part of its knots."""
    fit = fitted.fit
    information = calibration.scale * calibration.curvature * fit.overlap(fit.pairs()).matrix
    prior = fit.knots.precision(fitted.stiffness)
    return float(np.trace(solved(held(information, fit.knots.gauge) + prior, information))) / len(fit.knots)


def _with_jumps(fit: Fit, stiffness: Stiffness) -> Fit:
    """Return the fit with a pair of knots wherever the drift may jump."""
    here = fit.overlap(fit.pairs(), with_matrix=False)
    held_by = here.pull > 0
    drift = fit.nodes.curve(fit.values)[held_by] + here.force[held_by] / here.pull[held_by, None]
    jumps = candidate_jumps(fit.events.time[held_by], drift, len(fit.knots))
    if not jumps:
        return fit
    fit = _with_knots_for(fit, jumps)
    climb(fit, fit.pairs(), stiffness, LAST_STEPS)
    climb(fit, fit.pairs(), stiffness, LAST_STEPS)
    return fit


def _with_knots_for(fit: Fit, jumps: Sequence[float], n_even: int | None = None) -> Fit:
    if n_even is None:
        n_even = len(fit.knots) + fit.knots.n_omitted - 2 * len(fit.knots.jumps)
    return fit.with_knots(fit.knots.respaced(n_even, jumps))


def _refuted_jumps(knots: Knots, folds: Sequence[tuple[Quadratic, Quadratic]], stiffness: Stiffness) -> list[float]:
    """Return the jumps without which held-out molecules are no less likely by `MIN_GAIN`."""
    prior, gauge = knots.precision(stiffness), knots.gauge

    def gain(tie: NDArray[np.float64] | float) -> float:
        total = 0.0
        for fitted, held_out in folds:
            target = fitted.information @ fitted.values + fitted.gradient
            values = solved(held(fitted.information, gauge) + prior + tie, target)
            total += float(held_out.gains((values - gauge @ values)[None])[0])
        return 2 * total / len(folds)

    with_all = gain(0.0) if knots.jumps else 0.0
    return [jump for jump in knots.jumps if with_all - gain(knots.without_jump(jump)) < MIN_GAIN]


def mean_variance(curve: Curve, knots: Knots) -> float:
    """Return the mean variance of a curve at its knots, without those of jumps where there are no rows."""
    near = knots.near_rows(knots.time)
    return float(np.mean([np.diag(covariance)[near].mean() for covariance in curve.covariance]))


def disagreement(
    start: Fit, stiffness: Stiffness, fitted: Fitted, rng: np.random.Generator
) -> Generator[str, None, float]:
    """Return how much more the curves of two halves of the molecules differ than their errors say; 1 at least.

    Yields the name of each step before it begins.

    Parameters
    ----------
    start : Fit
        With the rough curve, from which both climb by themselves.
    stiffness : Stiffness
        With which the first steps are taken.
    fitted : Fitted
        The curve of all molecules, whose blocks are split.
    rng : numpy.random.Generator
    """
    block = _blocks(start)
    half = rng.permutation(np.arange(block.max() + 1) % 2)[block]
    knots = fitted.fit.knots
    time = np.linspace(knots.time[0], knots.time[-1], len(knots))
    time = time[knots.near_rows(time)]
    curves, variances = [], []
    for side in (0, 1):
        yield "check by halves"
        begun = yield from refined(start.of(half == side), stiffness, len(knots))
        part = yield from best_fit(begun, stiffness, rng)
        nodes = part.fit.knots.nodes(time)
        curves.append(nodes.curve(part.curve.values))
        variances.append(mean_variance(part.curve, part.fit.knots))
    off = curves[0] - curves[1]
    return max(1.0, float((off - off.mean(axis=0)).var(axis=0).mean() / max(sum(variances), 1e-300)))


def calibrated(
    fit: Fit, here: Overlap, pairs: Pairs, stiffness: Stiffness, before: Calibration, rng: np.random.Generator
) -> Calibration:
    """Return what the overlap is worth: its curvature by differences, its scale by how blocks of space scatter.

    The overlap is no likelihood: what events of one molecule have in common counts several times. So the scatter of its
    derivative between blocks is compared with its curvature (Pauli, Racugno & Ventura 2011, "Bayesian composite
    marginal likelihoods", Statistica Sinica 21:149), in the directions that the stiffness leaves free.
    """
    nodes, gauge = fit.nodes, fit.knots.gauge
    prior = _loose_prior(fit.knots, stiffness, before.scale * before.curvature * here.matrix)
    noise = nodes.project(rng.normal(size=fit.events.place.shape) * np.sqrt((here.force**2).mean(axis=0)))
    step = solved(held(before.curvature * here.matrix, gauge) + prior / before.scale, noise)
    up, down = (
        replace(fit, curve_nm=fit.curve_nm + sign * step * fit.width_nm).overlap(pairs, with_matrix=False).force
        for sign in (1, -1)
    )
    bend = 0.5 * float((nodes.project(down - up) * step).sum())
    bound = float(np.einsum("ka,kl,la->", step, here.matrix, step))
    curvature = float(np.clip(bend / max(bound, 1e-300), LEAST_CURVATURE, 1.0))
    smooth = solved(held(curvature * here.matrix, gauge) + prior / before.scale, np.eye(nodes.n))
    expected = float(np.einsum("ij,jk,ik->", smooth, here.matrix, smooth, optimize=True))
    scatter = [((smooth @ by_block) ** 2).sum() for by_block in _forces_by_block(fit, here)]
    return Calibration(curvature, curvature * expected / max(float(np.mean(scatter)), 1e-300))


def _folds(
    fit: Fit, pairs: Pairs, calibration: Calibration, rng: np.random.Generator, n_splits: int = N_SPLITS
) -> list[tuple[Quadratic, Quadratic]]:
    """Return splits of the molecules, by blocks of space, into those fitted and those held out."""
    block = _blocks(fit)
    folds = []
    for _ in range(n_splits):
        half = rng.permutation(np.arange(block.max() + 1) % 2)[block]
        one, other = (_quadratic(*_side(fit, pairs, half, side), calibration) for side in (0, 1))
        folds += [(one, other), (other, one)]
    return folds


def _chosen(fit: Fit, here: Overlap, calibration: Calibration, folds: Sequence[tuple[Quadratic, Quadratic]]) -> Fitted:
    """Return the curve of the stiffnesses that make held-out molecules likely."""
    tried, gauge = candidates(fit.knots), fit.knots.gauge
    gains = 2 * held_out_gains(folds, fit.knots, gauge, tried) / len(folds)
    curve, stiffness = averaged(_parabola(fit, here, calibration), fit.knots, gauge, tried, gains)
    moved = replace(fit, curve_nm=curve.values * fit.width_nm)
    return Fitted(moved, curve, stiffness)


def _side(fit: Fit, pairs: Pairs, half: NDArray[np.int64], side: int) -> tuple[Fit, Pairs]:
    """Return the events of one half, and the pairs among them."""
    chosen = half == side
    return fit.of(np.flatnonzero(chosen)), pairs.among(chosen)


def _quadratic(fit: Fit, pairs: Pairs, calibration: Calibration) -> Quadratic:
    """Return the calibrated log likelihood near the curve."""
    return _parabola(fit, fit.overlap(pairs), calibration)


def _parabola(fit: Fit, here: Overlap, calibration: Calibration) -> Quadratic:
    scale = calibration.scale
    return Quadratic(fit.values, scale * fit.nodes.project(here.force), scale * calibration.curvature * here.matrix)


def _blocks(fit: Fit) -> NDArray[np.int64]:
    """Return the number of each event's block of space, shape (N,); of few molecules, events are parted instead."""
    cell = np.floor(fit.place()[:, :2] / (BLOCK_REACHES * REACH)).astype(np.int64)
    _, block = np.unique(cell[:, 0] * (1 + np.ptp(cell[:, 1])) + cell[:, 1], return_inverse=True)
    return np.asarray(block) if block.max() + 1 >= MIN_BLOCKS else np.arange(len(block)) % N_PARTS_OF_EVENTS


def _loose_prior(knots: Knots, stiffness: Stiffness, information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the prior of a stiffness, or of a less stiff one that leaves the curve `MIN_FREEDOM`."""
    known = held(information, knots.gauge)
    least = min(MIN_FREEDOM, 0.5 * len(knots))
    while True:
        prior = knots.precision(stiffness)
        freedom = float(np.trace(solved(known + prior, information)))
        if freedom >= least or stiffness.rate > 1e12:
            return prior
        stiffness = Stiffness(stiffness.order, stiffness.rate * 4)


def _forces_by_block(fit: Fit, here: Overlap) -> list[NDArray[np.float64]]:
    """Return each block's derivatives with respect to the values at the knots, in y and in x, shapes (K, B)."""
    block, nodes = _blocks(fit), fit.nodes
    n_blocks = int(block.max()) + 1
    shape = nodes.n, n_blocks
    result: list[NDArray[np.float64]] = []
    for force in here.force[:, :2].T:
        total = np.bincount(nodes.before * n_blocks + block, force * (1 - nodes.share), nodes.n * n_blocks)
        total += np.bincount((nodes.before + 1) * n_blocks + block, force * nodes.share, nodes.n * n_blocks)
        result.append(np.asarray(total, np.float64).reshape(shape))
    return result
