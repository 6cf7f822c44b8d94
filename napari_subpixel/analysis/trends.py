"""The smooth course of a series of noisy values, with an error; its stiffness and its noise are estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors

#: Ratios between neighbouring rates of the walk of the value that are tried.
VALUE_RATIO = 4.0
#: The same of the walk of the slope.
SLOPE_RATIO = 8.0
#: Largest rate of the walk of the value, in variances of the noise a frame.
FASTEST_VALUE = 1e4
#: Largest rate of the walk of the slope, in variances of the noise a frame^3.
FASTEST_SLOPE = 1e2
#: Standard deviation of what nothing is known of, in ranges of the values.
UNKNOWN_RANGES = 1e2
#: Rates of less weight than this, as a part of the largest, are left out of the mean.
LEAST_WEIGHT = 3e-3
#: Rows that the stated variances count as.
STATED_ROWS = 2.0


@dataclass(frozen=True, eq=False)
class Series:
    """Values by frame with what they are known to.

    Attributes
    ----------
    value : ndarray of float64, shape (T,)
    variance : ndarray of float64, shape (T,)
        Of the noise, but for a common factor; infinite where there is no value.
    jump : ndarray of bool, shape (T,)
        Whether the value may jump between a frame and the next.
    squares, freedom : float
        A sum of squares that the noise has besides, in its variances, and its degrees of freedom.
    """

    value: NDArray[np.float64]
    variance: NDArray[np.float64]
    jump: NDArray[np.bool_]
    squares: float = 0.0
    freedom: float = 0.0

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which frames have a value."""
        return np.isfinite(self.variance)


@dataclass(frozen=True, eq=False)
class Fits:
    """How well walks of all rates explain a series.

    Attributes
    ----------
    rates : ndarray of float64, shape (R, 2)
        Variance of the steps of the value and of its slope, in variances of the noise.
    log_likelihood : ndarray of float64, shape (R,)
    factor : ndarray of float64, shape (R,)
        What the variances of the noise are multiplied by.
    """

    rates: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    factor: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The rates under which the series is likeliest."""
        return int(self.log_likelihood.argmax())


@dataclass(frozen=True, eq=False)
class Course:
    """The smooth course of a series.

    Attributes
    ----------
    value : ndarray of float64, shape (T,)
    error : ndarray of float64, shape (T,)
        One standard deviation of the value less its mean over the frames that have one.
    factor : float
        What the variances of the noise are multiplied by.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    factor: float


def fits(series: Series) -> Fits:
    """Return the likelihoods of a local linear trend, a walk of the value and of its slope, for a grid of their rates.

    The factor of the variances is the likeliest of each (Harvey 1989, "Forecasting, structural time series models and
    the Kalman filter", sections 3.4 and 4.2).

    Parameters
    ----------
    series : Series
        With two values at least.
    """
    n = len(series.value)
    # The slowest are those that are just worth less than the error of a straight line.
    value = _geometric(1.0 / n**2, FASTEST_VALUE, VALUE_RATIO)
    slope = _geometric(10.0 / float(n) ** 4, FASTEST_SLOPE, SLOPE_RATIO)
    rates = np.stack(np.meshgrid(value, slope, indexing="ij"), axis=-1).reshape(-1, 2)
    sums = np.empty((len(rates), 2))
    unit, unknown = _unit_and_unknown(series)

    def one_line(k: int) -> None:
        part = slice(k * len(slope), (k + 1) * len(slope))
        _filter_each(series.value, series.variance / unit, series.jump, rates[part], unknown, sums[part])

    on_all_processors(one_line, range(len(value)))
    freedom = int(series.there.sum()) - 2 + series.freedom + STATED_ROWS
    squares = sums[:, 0] / unit + series.squares + STATED_ROWS
    return Fits(rates, -0.5 * (freedom * np.log(squares) + sums[:, 1]), squares / freedom)


def course(series: Series, found: Fits) -> Course:
    """Return the mean of the courses of all rates, weighted by their likelihoods.

    The error holds that of each and how far they differ (Hoeting et al. 1999, "Bayesian model averaging: a tutorial",
    doi:10.1214/ss/1009212519).
    """
    weight = np.exp(found.log_likelihood - found.log_likelihood.max())
    kept = np.flatnonzero(weight > LEAST_WEIGHT)
    weight = weight[kept] / weight[kept].sum()
    unit, unknown = _unit_and_unknown(series)
    value = np.zeros((len(kept), len(series.value)))
    variance = np.zeros_like(value)

    def one(k: int) -> None:
        rates = found.rates[kept[k]]
        level, own, _ = _smooth(series.value, series.variance / unit, series.jump, *rates, unknown)
        value[k], variance[k] = level - level[series.there].mean(), own * unit * found.factor[kept[k]]

    on_all_processors(one, range(len(kept)))
    mean = weight @ value
    total = weight @ variance + weight @ (value - mean) ** 2
    return Course(mean, np.sqrt(np.maximum(total, 0.0)), float(weight @ found.factor[kept]))


def surprises(series: Series, found: Fits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much twice the log likelihood gains without each value, and with a jump after each, shapes (T,).

    At the likeliest rates, by the smoothed disturbances (de Jong & Penzer 1998, "Diagnosing shocks in time series",
    doi:10.1080/01621459.1998.10473731).
    """
    unit, unknown = _unit_and_unknown(series)
    rates = found.rates[found.best]
    _, _, gains = _smooth(series.value, series.variance / unit, series.jump, *rates, unknown)
    gains = gains / (unit * found.factor[found.best])
    return gains[0], gains[1]


def _geometric(low: float, high: float, ratio: float) -> NDArray[np.float64]:
    """Return numbers from the highest down, each a ratio apart, to one at most the lowest."""
    n = int(np.ceil(np.log(high / low) / np.log(ratio))) + 1
    return np.asarray(high * ratio ** -np.arange(n, dtype=np.float64))


def _unit_and_unknown(series: Series) -> tuple[float, float]:
    """Return the typical variance, and that of what nothing is known of, in typical variances."""
    there = series.there
    unit = float(np.median(series.variance[there]))
    return unit, UNKNOWN_RANGES**2 * (float(np.ptp(series.value[there])) ** 2 / unit + 1.0)


@compiled
def _filter_each(value: Any, variance: Any, jump: Any, rates: Any, unknown: float, sums: Any) -> None:
    """Note the sum of squared innovations and that of the logarithms of their variances, for each pair of rates."""
    n = len(value)
    first = 0
    while not np.isfinite(variance[first]):
        first += 1
    for k in range(len(rates)):
        level, slope = value[first], 0.0
        p00, p01, p11 = unknown, 0.0, unknown
        squares, logs = 0.0, 0.0
        for t in range(n):
            if variance[t] < np.inf:
                f = p00 + variance[t]
                off = value[t] - level
                squares += off * off / f
                logs += np.log(f)
                g0, g1 = p00 / f, p01 / f
                level += g0 * off
                slope += g1 * off
                p11 -= g1 * p01
                p01 -= g0 * p01
                p00 -= g0 * p00
            level += slope
            p00 += 2 * p01 + p11 + rates[k, 0] + (unknown if jump[t] else 0.0)
            p01 += p11
            p11 += rates[k, 1]
        sums[k, 0] = squares
        sums[k, 1] = logs


@compiled
def _smooth(value: Any, variance: Any, jump: Any, q0: float, q1: float, unknown: float) -> Any:
    """Return the smoothed values, the variances of these less their mean, and the gains of `surprises`.

    Predictions forwards, then what later values say of each, backwards: r and N of de Jong 1989, "Smoothing and
    interpolation with the state-space model", doi:10.1080/01621459.1989.10478857, which has the covariances too.
    """
    n = len(value)
    first = 0
    while not np.isfinite(variance[first]):
        first += 1
    a, p, gain = np.empty((n, 2)), np.empty((n, 3)), np.zeros((n, 2))
    a0, a1 = value[first], 0.0
    p00, p01, p11 = unknown, 0.0, unknown
    for t in range(n):
        a[t, 0], a[t, 1] = a0, a1
        p[t, 0], p[t, 1], p[t, 2] = p00, p01, p11
        if variance[t] < np.inf:
            f = p00 + variance[t]
            off = value[t] - a0
            g0, g1 = p00 / f, p01 / f
            a0 += g0 * off
            a1 += g1 * off
            p11 -= g1 * p01
            p01 -= g0 * p01
            p00 -= g0 * p00
            gain[t, 0], gain[t, 1] = g0 + g1, g1
        a0 += a1
        p00 += 2 * p01 + p11 + q0 + (unknown if jump[t] else 0.0)
        p01 += p11
        p11 += q1
    level, own, gains, later = np.empty(n), np.empty(n), np.zeros((2, n)), np.empty((n, 2))
    r0, r1, n00, n01, n11, s0, s1 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    covariance = np.empty(n)
    for t in range(n - 1, -1, -1):
        if n00 > 0.0:
            gains[1, t] = r0 * r0 / n00
        k0, k1 = gain[t]
        u, d = 0.0, 0.0
        if variance[t] < np.inf:
            f = p[t, 0] + variance[t]
            u, d = (value[t] - a[t, 0]) / f, 1.0 / f
            without = u - k0 * r0 - k1 * r1
            gains[0, t] = without * without / (d + k0 * k0 * n00 + 2 * k0 * k1 * n01 + k1 * k1 * n11)
        # What moves the next prediction is L = [[1 - k0, 1], [-k1, 1]]; here r = u + L' r, and N = d + L' N L.
        l0, l1 = 1.0 - k0, -k1
        r0, r1 = u + l0 * r0 + l1 * r1, r0 + r1
        m0, m1 = n00 * l0 + n01 * l1, n01 * l0 + n11 * l1
        n00, n01, n11 = d + l0 * m0 + l1 * m1, m0 + m1, n00 + 2 * n01 + n11
        p00, p01 = p[t, 0], p[t, 1]
        level[t] = a[t, 0] + p00 * r0 + p01 * r1
        # Of the state at t with the sum of the levels that have a value from t on: P S, where S = (I - N P) e + L' S.
        later[t, 0] = 1.0 - n00 * p00 - n01 * p01
        later[t, 1] = -n01 * p00 - n11 * p01
        s0, s1 = l0 * s0 + l1 * s1, s0 + s1
        if variance[t] < np.inf:
            s0, s1 = s0 + later[t, 0], s1 + later[t, 1]
        own[t] = p00 * later[t, 0] + p01 * later[t, 1]
        covariance[t] = p00 * s0 + p01 * s1
    # And with the sum of those before it: c (I - N P) e, where c goes on as (c + e' P) L'.
    c0, c1 = 0.0, 0.0
    total = 0.0
    count = 0
    for t in range(n):
        covariance[t] += c0 * later[t, 0] + c1 * later[t, 1]
        if variance[t] < np.inf:
            total += covariance[t]
            count += 1
            c0, c1 = c0 + p[t, 0], c1 + p[t, 1]
        k0, k1 = gain[t]
        c0, c1 = (1.0 - k0) * c0 + c1, -k1 * c0 + c1
    for t in range(n):
        own[t] = own[t] - 2 * covariance[t] / count + total / count / count
    return level, own, gains
