"""The curve of drift that fiducials give: their mean by frame, and its smooth course with an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.stretches import unmeasured_variance
from napari_subpixel.analysis.trends import Series, course, fits, surprises

#: Rows this many standard deviations off the other fiducials of their frame are left out.
OUTLIER_SIGMAS = 5.0
#: Rounds in which the places of the fiducials, their common trace and their noise are found in turn.
N_ROUNDS = 30
#: Powers of the stated variances that are tried as the variances of the noise: of 0, all rows count the same.
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Stated variances that differ by less than this part have no power to choose.
EVEN = 0.05
#: Fiducials, those with the most rows, that the power is chosen on.
CHOSEN_ON = 3
#: Frames of each, from the middle of the movie, at most.
CHOSEN_ON_FRAMES = 2000
#: Gain of twice the log likelihood from which on a value is left out, or a jump is believed: chance gives it once in
#: some 10 million frames.
SURPRISING = 32.0
#: The same, as a part of the largest of a round, to be treated in the same round.
AS_SURPRISING = 0.5
#: Frames between what is treated in one round.
APART = 20
#: Rounds in which jumps and outliers are found.
SURPRISE_ROUNDS = 12
#: Part of the values that are left out at most.
MOST_LEFT_OUT = 0.1
#: Parts of the movie in each of which a fiducial's own motion is measured.
N_PARTS = 20
#: Standard deviations by which it must exceed what the noise makes of it.
OWN_SIGMAS = 2.0
#: Part of the degrees of freedom that differences of adjoining frames have.
OF_DIFFERENCES = 2 / 3


@dataclass(frozen=True, eq=False)
class Tracks:
    """The rows of fiducials.

    Attributes
    ----------
    number : ndarray of int64, shape (N,)
        Which fiducial each row is of; in order.
    frame : ndarray of int64, shape (N,)
        In order for each fiducial.
    place, deviation : ndarray of float64, shapes (N, D)
        Positions, and their standard deviations as stated, nm.
    """

    number: NDArray[np.int64]
    frame: NDArray[np.int64]
    place: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def n(self) -> int:
        """How many fiducials there are."""
        return int(self.number.max()) + 1

    def of(self, rows: NDArray[np.bool_]) -> Tracks:
        """Return some of the rows."""
        return Tracks(self.number[rows], self.frame[rows], self.place[rows], self.deviation[rows])

    def alone(self, k: int) -> Tracks:
        """Return the rows of one fiducial."""
        one = self.of(self.number == k)
        return replace(one, number=np.zeros_like(one.number))


@dataclass(frozen=True, eq=False)
class FiducialCurve:
    """What fiducials say of the drift.

    Attributes
    ----------
    values, error : ndarray of float64, shapes (T, D)
        By frame, and one standard deviation of the values less their mean over the frames with rows, nm.
    jumps : tuple of int
        The first frames after a jump.
    scatter : float
        How far rows are off, over what their uncertainties say.
    """

    values: NDArray[np.float64]
    error: NDArray[np.float64]
    jumps: tuple[int, ...]
    scatter: float


@dataclass(frozen=True, eq=False)
class _Mean:
    """The mean of fiducials by frame, for one power of the stated variances.

    Attributes
    ----------
    trace : ndarray of float64, shape (T, D)
    variance : ndarray of float64, shape (T, D)
        But for a common factor; infinite where there are no rows.
    own_variance : ndarray of float64, shape (D,)
        Of the mean, by which the fiducials move by themselves.
    freedom : ndarray of float64, shape (D,)
        Degrees of freedom of rows about the mean of their frame; so many is their sum of squares in their variances.
    rows : ndarray of float64, shape (D,)
        Median ratio of the rows' variances to those that are stated, but for the common factor.
    """

    trace: NDArray[np.float64]
    variance: NDArray[np.float64]
    own_variance: NDArray[np.float64]
    freedom: NDArray[np.float64]
    rows: NDArray[np.float64]


def fiducial_curve(tracks: Tracks, n_frames: int) -> FiducialCurve:
    """Return the common curve of fiducials, each row weighted by how noisy it is, smoothed as far as that helps.

    Along each axis the drift is taken for a local linear trend, whose rates and whose noise are those under which the
    positions are likely; the uncertainties of the rows are believed as far as the fiducials' own scatter bears them
    out. The error allows for all of that, and for fiducials that move by themselves where there are several.

    Parameters
    ----------
    tracks : Tracks
        With several rows.
    n_frames : int
        Frames of the curve.
    """
    power = 0.5
    jumps, out = _surprises(_mean(tracks, power, n_frames))
    if np.ptp(tracks.deviation, axis=0).max() > EVEN * np.median(tracks.deviation):
        power = _power(tracks, jumps, out, n_frames)
        jumps, out = _surprises(_mean(tracks, power, n_frames))
    mean = _mean(tracks, power, n_frames)
    found = [course(series, fits(series)) for series in _series(mean, jumps, out)]
    error = np.stack([np.hypot(c.error, np.sqrt(own)) for c, own in zip(found, mean.own_variance, strict=True)], axis=1)
    values = np.stack([c.value for c in found], axis=1)
    factor = np.array([c.factor for c in found])
    there = np.flatnonzero(np.isfinite(mean.variance[:, 0]) & ~out)
    for jump in np.flatnonzero(jumps).tolist():
        _widen_gap(values, error, there, jump)
    # Outside of the rows the walks would go on by their slopes; it is held where it was.
    first, last = int(there[0]), int(there[-1])
    values[:first], values[last + 1 :] = values[first], values[last]
    error[:first], error[last + 1 :] = error[first], error[last]
    error = np.sqrt(error**2 + unmeasured_variance(values, ((first, last + 1),)))
    return FiducialCurve(
        values,
        error,
        tuple((np.flatnonzero(jumps) + 1).tolist()),
        float(np.sqrt((factor * mean.rows)[:2].mean())),
    )


def _widen_gap(values: NDArray[np.float64], error: NDArray[np.float64], there: NDArray[np.int64], jump: int) -> None:
    """Put frames without rows around a jump between both sides: which of them came before it is not known."""
    after = int(np.searchsorted(there, jump, side="right"))
    if not 0 < after < len(there):
        return
    first, last = int(there[after - 1]), int(there[after])
    gap, step = slice(first + 1, last), values[last] - values[first]
    values[gap] = values[first] + 0.5 * step
    error[gap] = np.hypot(error[gap], 0.5 * np.abs(step))


def common_trace(tracks: Tracks, n_frames: int) -> NDArray[np.float64]:
    """Return the mean of fiducials by frame, shape (T, D), and between these where a frame has no row."""
    mean = _mean(tracks, 1.0, n_frames)
    frame = np.arange(n_frames)
    there = np.isfinite(mean.variance[:, 0])
    return np.stack([np.interp(frame, frame[there], values[there]) for values in mean.trace.T], axis=1)


def _variances(deviation: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return a power of the stated variances, the median one as it is, shape (N, D)."""
    typical = np.median(deviation, axis=0)
    return np.asarray((typical * (deviation / typical) ** power) ** 2)


def _series(mean: _Mean, jumps: NDArray[np.bool_], out: NDArray[np.bool_]) -> Iterator[Series]:
    """Yield the mean along each axis."""
    for axis in range(mean.trace.shape[1]):
        variance = np.where(out, np.inf, mean.variance[:, axis])
        freedom = float(mean.freedom[axis])
        yield Series(mean.trace[:, axis], variance, jumps, squares=freedom, freedom=freedom)


def _surprises(mean: _Mean) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return after which frames the mean jumps, and in which it is off by itself."""
    n = len(mean.trace)
    jumps, out = np.zeros(n, bool), np.zeros(n, bool)
    for _ in range(SURPRISE_ROUNDS):
        gains = np.zeros((2, n))
        for series in _series(mean, jumps, out):
            gains += surprises(series, fits(series))
        largest = gains.max(axis=0)
        limit = max(SURPRISING, AS_SURPRISING * float(largest.max()))
        if largest.max() <= limit:
            limit = SURPRISING
        treated = np.zeros(n, bool)
        for t in np.argsort(-largest, kind="stable"):
            if largest[t] <= limit:
                break
            if treated[max(t - APART, 0) : t + APART + 1].any():
                continue
            treated[t] = True
            (out if gains[0, t] >= gains[1, t] else jumps)[t] = True
        if not treated.any() or out.sum() > MOST_LEFT_OUT * n:
            break
    return jumps, out


def _power(tracks: Tracks, jumps: NDArray[np.bool_], out: NDArray[np.bool_], n_frames: int) -> float:
    """Return the power of the stated variances under which the tracks of single fiducials are likeliest."""
    most = np.argsort(-np.bincount(tracks.number), kind="stable")[:CHOSEN_ON]
    first = max((n_frames - CHOSEN_ON_FRAMES) // 2, 0)
    part = slice(first, first + CHOSEN_ON_FRAMES)
    likelihood = np.zeros(len(POWERS))
    for k in most.tolist():
        one = tracks.alone(k)
        for i, power in enumerate(POWERS):
            for series in _series(_mean(one, power, n_frames), jumps, out):
                some = Series(series.value[part], series.variance[part], series.jump[part])
                if some.there.sum() > 2:
                    likelihood[i] += fits(some).log_likelihood.max()
    return POWERS[int(likelihood.argmax())]


def _mean(tracks: Tracks, power: float, n_frames: int) -> _Mean:
    """Return the mean of the fiducials by frame; the place and the noise of each are found in turn with it."""
    number, frame, place, n = tracks.number, tracks.frame, tracks.place, tracks.n
    stated = _variances(tracks.deviation, power)
    factor = np.ones((n, place.shape[1]))
    own = np.stack([np.median(place[number == k], axis=0) for k in range(n)])
    inlier = np.ones(len(frame), bool)
    for _ in range(N_ROUNDS if n > 1 else 1):
        weight = np.where(inlier[:, None], 1.0 / (stated * factor[number]), 0.0)
        total = _sums(frame, weight, n_frames)
        trace = _sums(frame, weight * (place - own[number]), n_frames) / np.maximum(total, 1e-300)
        off = place - trace[frame]
        own = _sums(number, weight * off, n) / np.maximum(_sums(number, weight, n), 1e-300)
        off -= own[number]
        # What a row has of the mean of its frame takes from its distance to that.
        free = 1.0 - weight / np.maximum(total[frame], 1e-300)
        if n > 1:
            inlier, factor = _noise(number, frame, off, stated * free, factor)
    ratio = (stated * factor[number] / tracks.deviation**2)[inlier]
    freedom = OF_DIFFERENCES * np.maximum((free * inlier[:, None]).sum(axis=0) - n, 0.0)
    variance = np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), np.inf)
    own_variance = _own_variance(number[inlier], frame[inlier], off[inlier], weight[inlier], n_frames)
    return _Mean(trace, variance, own_variance, freedom, np.median(ratio, axis=0))


def _sums(index: NDArray[np.int64], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(index, along, n) for along in values.T], axis=1)


def _noise(
    number: NDArray[np.int64],
    frame: NDArray[np.int64],
    off: NDArray[np.float64],
    expected: NDArray[np.float64],
    factor: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the rows that are no outliers, and by how much the variances of each fiducial are multiplied.

    By how rows of adjoining frames differ, in which slow motion of a fiducial itself hardly matters; of frames in which
    it is not alone.
    """
    compared = (expected > 0).all(axis=1)
    sigmas = np.sqrt(np.mean(off**2 / np.where(expected > 0, expected * factor[number], np.inf), axis=1))
    typical = 1.4826 * float(np.median(sigmas[compared])) if compared.any() else 1.0
    inlier = sigmas <= OUTLIER_SIGMAS * max(typical, 1.0)
    good = inlier & compared
    pair = np.flatnonzero(good[1:] & good[:-1] & (np.diff(number) == 0) & (np.diff(frame) == 1))
    if not len(pair):
        return inlier, factor
    n = len(factor)
    step, both = (off[pair + 1] - off[pair]) ** 2, expected[pair + 1] + expected[pair]
    ratio, count = _sums(number[pair], step / both, n), np.bincount(number[pair], minlength=n)[:, None]
    # As one of the usual noise where a fiducial has few.
    usual = (step / both).sum(axis=0) / len(pair)
    return inlier, np.asarray((ratio + usual) / (count + 1))


def _own_variance(
    number: NDArray[np.int64],
    frame: NDArray[np.int64],
    off: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_frames: int,
) -> NDArray[np.float64]:
    """Return by what variance the mean of fiducials is off as they move by themselves, shape (D,).

    It is how much more their means in parts of the movie scatter than their noise does.
    """
    n = int(number.max()) + 1
    if n < 2:
        return np.zeros(off.shape[1])
    part = number * N_PARTS + frame * N_PARTS // n_frames
    total = _sums(part, weight, n * N_PARTS)
    there = (total > 0).all(axis=1)
    means = _sums(part, weight * off, n * N_PARTS)[there] / total[there]
    noise = (1.0 - 1.0 / n) / total[there]
    count = max(int(there.sum()) * (n - 1) / n - (n - 1), 1.0)
    excess = (means**2).sum(axis=0) / count - noise.sum(axis=0) / len(noise) * n / (n - 1)
    scatter = noise.mean(axis=0) * n / (n - 1) * np.sqrt(2.0 / count)
    return np.where(excess > OWN_SIGMAS * scatter, excess / n, 0.0)
