"""How stiff a curve of drift is, chosen on molecules that it was not fitted to, and how far it may be off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from napari_subpixel.analysis.knots import Knots, Stiffness

#: How far a curve of each stiffness that is tried wanders in the movie, in units of the overlap's width.
WANDERINGS = np.geomspace(0.005, 1000.0, 43)
#: Orders of stiffness that are tried.
ORDERS = (1, 2)
#: What is added to the information on every knot, as a part of the mean: some have no events.
RIDGE = 1e-8
#: Information on a knot, at least: half of a few molecules may hold no pair.
LEAST_INFORMATION = 1e-9
#: Part of the gain that a weight follows from: half of the molecules are held out at a time.
TEMPER = 0.5
#: Directions of a curve that its stiffness holds back, as a part of the one that is held back most.
LEAST_BENT = 1e-9
#: Least square of a prior.
LEAST_PRIOR = 1e-18
#: Stiffnesses of less weight than this are left out of the mean.
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Quadratic:
    """The log likelihood near a curve, as a parabola in a step of the curve's values. Lengths are in any one unit.

    Attributes
    ----------
    values : ndarray of float64, shape (K, D)
        The curve.
    gradient : ndarray of float64, shape (K, D)
    information : ndarray of float64, shape (K, K)
        Its negative curvature, the same along each axis.
    """

    values: NDArray[np.float64]
    gradient: NDArray[np.float64]
    information: NDArray[np.float64]

    def gains(self, curves: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each of some curves, (T, K, D), raises the log likelihood, shape (T,)."""
        step = curves - self.values
        bend = np.einsum("tka,kta->t", step, np.tensordot(self.information, step, axes=(1, 1)))
        return np.asarray(np.einsum("tka,ka->t", step, self.gradient) - 0.5 * bend)


@dataclass(frozen=True)
class Curve:
    """Values at the knots, and their covariance.

    Attributes
    ----------
    values : ndarray of float64, shape (K, D)
        Their mean over the movie is 0.
    covariance : ndarray of float64, shape (D, K, K)
        Of the values less their mean over the movie.
    wander : float
        Variance by which the curve wanders in a frame between knots; 0 where it is smooth there.
    """

    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    wander: float = 0.0

    def times(self, unit: NDArray[np.float64] | float) -> Curve:
        """Return the curve in another unit of length, or one for each axis, shape (D,)."""
        scale = np.broadcast_to(np.asarray(unit, np.float64), self.values.shape[1:])
        return Curve(
            self.values * scale, self.covariance * scale[:, None, None] ** 2, self.wander * float(scale[0]) ** 2
        )

    def inflated(self, factor: float) -> Curve:
        """Return the curve with larger variances."""
        return Curve(self.values, self.covariance * factor, self.wander * factor)


def candidates(knots: Knots) -> list[Stiffness]:
    """Return the stiffnesses that are tried, order by order."""
    span = float(max(np.ptp(knots.time), 1.0))
    return [Stiffness(order, float(w) ** 2 / span ** (2 * order - 1)) for order in ORDERS for w in WANDERINGS]


class _Spectrum:
    """An information matrix and the prior of one order in a basis in which both are diagonal."""

    def __init__(
        self, information: NDArray[np.float64], shape: NDArray[np.float64], gauge: NDArray[np.float64]
    ) -> None:
        values, self.basis = eigh(shape, held(information, gauge), check_finite=False)
        self.values = np.maximum(values, 0.0)

    def shrinkage(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each direction is shrunk under each rate, shape (K, R)."""
        return 1.0 / (1.0 + self.values[:, None] / rates)

    def solve(self, target: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the solutions for each rate, shape (R, K, D)."""
        return np.asarray(
            np.einsum("kl,lr,la->rka", self.basis, self.shrinkage(rates), self.basis.T @ target, optimize=True)
        )

    def inverse(self, rates: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted mean of the inverses for each rate, shape (K, K)."""
        return (self.basis * (self.shrinkage(rates) @ weight)) @ self.basis.T


def held(information: NDArray[np.float64], gauge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an information matrix that also holds the mean over the movie at 0, of which the overlap says nothing."""
    n = len(information)
    scale = max(float(np.trace(information)) / n, LEAST_INFORMATION)
    result = information + n * scale * np.outer(gauge, gauge)
    result[np.diag_indices(n)] += RIDGE * scale
    return result


def solve(
    quadratic: Quadratic, knots: Knots, gauge: NDArray[np.float64], tried: Sequence[Stiffness]
) -> NDArray[np.float64]:
    """Return the best values under each stiffness, shape (len(tried), K, D); their means weighted by `gauge` are 0."""
    target = quadratic.information @ quadratic.values + quadratic.gradient
    curves = np.empty((len(tried), *quadratic.values.shape))
    for order, which, rates in _by_order(tried):
        shape = knots.precision(Stiffness(order, 1.0))
        curves[which] = _Spectrum(quadratic.information, shape, gauge).solve(target, rates)
    return curves - np.einsum("k,tka->ta", gauge, curves)[:, None, :]


def held_out_gains(
    folds: Sequence[tuple[Quadratic, Quadratic]], knots: Knots, gauge: NDArray[np.float64], tried: Sequence[Stiffness]
) -> NDArray[np.float64]:
    """Return how likely held-out molecules are under curves fitted to others, for each stiffness.

    Parameters
    ----------
    folds : sequence of (Quadratic, Quadratic)
        Of the molecules that are fitted, and of those held out.
    knots : Knots
    gauge : ndarray of float64, shape (K,)
        Weights of the mean over the movie.
    tried : sequence of Stiffness

    Returns
    -------
    ndarray of float64, shape (len(tried),)
        Sums over the folds of gains in log likelihood.
    """
    gains = np.zeros(len(tried))
    for fitted, held_out in folds:
        gains += held_out.gains(solve(fitted, knots, gauge, tried))
    return gains


def log_prior(
    quadratic: Quadratic, knots: Knots, gauge: NDArray[np.float64], tried: Sequence[Stiffness]
) -> NDArray[np.float64]:
    """Return how plausible each stiffness is before it is compared, as a logarithm, shape (len(tried),).

    Many stiffnesses give the same curve, as all do that hold it straight: each of them would count where the data say
    little. By how much the curve follows from it, they count once (Jeffreys 1946, "An invariant form for the prior
    probability in estimation problems", doi:10.1098/rspa.1946.0056).
    """
    result = np.empty(len(tried))
    for order, which, rates in _by_order(tried):
        spectrum = _Spectrum(quadratic.information, knots.precision(Stiffness(order, 1.0)), gauge)
        bent = spectrum.values > LEAST_BENT * spectrum.values.max()
        if not bent.any():  # two knots have no bend, and every stiffness gives the same curve
            result[which] = 0.0
            continue
        result[which] = 0.5 * np.log(np.maximum((spectrum.shrinkage(rates)[bent] ** 2).mean(axis=0), LEAST_PRIOR))
    return result


def averaged(
    quadratic: Quadratic,
    knots: Knots,
    gauge: NDArray[np.float64],
    tried: Sequence[Stiffness],
    gains: NDArray[np.float64],
) -> tuple[Curve, Stiffness]:
    """Return the mean of the curves of all stiffnesses, each weighted by how likely the held-out molecules are.

    The second value is the stiffness of the most weight.

    Its covariance holds both that of each curve and how far they differ (Hoeting et al. 1999, "Bayesian model
    averaging: a tutorial", doi:10.1214/ss/1009212519). That of each is the inverse of its curvature with the prior's,
    which covers the truth on average over the movie, what is smoothed away included (Nychka 1988, "Bayesian confidence
    intervals for smoothing splines", doi:10.1080/01621459.1988.10478711).
    """
    plausible = TEMPER * gains + log_prior(quadratic, knots, gauge, tried)
    weight = np.exp(plausible - plausible.max())
    weight = np.where(weight > LEAST_WEIGHT * weight.sum(), weight, 0.0)
    weight /= weight.sum()
    curves = solve(quadratic, knots, gauge, tried)
    mean = np.tensordot(weight, curves, 1)
    n_knots, dimensions = mean.shape
    inverse = np.zeros((n_knots, n_knots))
    for order, which, rates in _by_order(tried):
        shape = knots.precision(Stiffness(order, 1.0))
        inverse += _Spectrum(quadratic.information, shape, gauge).inverse(rates, weight[which])
    centre = np.eye(n_knots) - gauge[None, :]
    inverse = centre @ inverse @ centre.T
    off = curves - mean
    covariance = [inverse + off[:, :, a].T @ (weight[:, None] * off[:, :, a]) for a in range(dimensions)]
    wander = sum(w * s.rate for w, s in zip(weight.tolist(), tried, strict=True) if s.order == 1)
    return Curve(mean, np.stack(covariance), wander), tried[int(weight.argmax())]


def _by_order(tried: Sequence[Stiffness]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Yield each order, which stiffnesses are of it, and their rates."""
    for order in sorted({stiffness.order for stiffness in tried}):
        which = np.array([k for k, stiffness in enumerate(tried) if stiffness.order == order])
        yield order, which, np.array([tried[k].rate for k in which])
