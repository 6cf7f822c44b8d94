"""Localization precision from molecules that are seen in consecutive frames (NeNA), and whether the uncertainties hold.

U. Endesfelder, S. Malkusch, F. Fricke, M. Heilemann, Histochem. Cell Biol. 141, 629 (2014), fit one precision to all
distances. Here every row has its own: one factor on the uncertainties is fitted to distances in units of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from napari_subpixel.analysis.blinks import scatter_over_uncertainty
from napari_subpixel.analysis.next_frame import NextFrameRows
from napari_subpixel.analysis.same_molecule import N_BINS, REACH, ScatterFit, fit_scatter, strangers_alone
from napari_subpixel.localizations import Localizations

#: Largest distances at which the scatter is searched for, in standard deviations, one after another.
SEARCH_REACH = (10.0, 40.0, 160.0)
#: Most pairs that it is searched for in.
MAX_SEARCHED_PAIRS = 4_000_000
#: Factors that are tried in the search, for each power of ten.
FACTORS_PER_DECADE = 12
#: Bins of the distances in the search.
SEARCH_BINS = 600
#: Most rounds of a fit whose reach follows the factor.
MAX_ROUNDS = 6
#: The reach follows the factor no more when it changed by less than this share.
SAME_FACTOR = 0.03
#: By so many standard deviations more pairs are near than of strangers in the plane, where molecules are seen twice.
MIN_EXCESS = 4.0
#: Groups of pairs by their uncertainty, each with its own share of strangers.
N_GROUPS = 4
#: Parts of the movie, whose differences give the error.
N_BLOCKS = 20
#: Fewer pairs of one molecule than this say nothing.
MIN_PAIRS = 30
#: By so much, in natural units, the likelihood must be better than with strangers alone.
MIN_GAIN = 15.0
#: The column is uneven where the factors of the groups differ by more than this share and by five errors.
UNEVEN = 0.1
#: Rows this many times less certain than the median are paired with none.
MAX_SPREAD = 6.0
#: Bins of the textbook's histogram for each unit of the most frequent distance.
TEXTBOOK_BINS = 12
#: The textbook's fit found something else where it ends up this many times above or below where it began.
MAX_APART = 2.0
#: The textbook's histogram ends at this multiple of the most frequent distance.
TEXTBOOK_REACH = 30.0


@dataclass(frozen=True, eq=False)
class Nena:
    """The localization precision, from molecules that are seen in consecutive frames.

    Attributes
    ----------
    nena_nm : float or None
        Mean precision of all rows, per axis: the mean of the uncertainties times the factor. None where it could not be
        measured.
    nena_error_nm : float or None
        Its standard error.
    uncertainty_factor : float or None
        The scatter of molecules divided by their uncertainties: 1 where these are right, above 1 where they promise too
        much.
    uncertainty_factor_error : float or None
        Its standard error.
    textbook_nm : float or None
        The precision as published: one for all rows.
    n_pairs : int
        Pairs of rows in consecutive frames that are one molecule, by expectation.
    factors : tuple of (float, float, float)
        For groups of rows from precise to imprecise: mean uncertainty in nm, factor and its error.
    fit : ScatterFit or None
        The distances, and what was fitted.
    warnings : tuple of str
        What cannot be said, and what is odd.
    """

    nena_nm: float | None = None
    nena_error_nm: float | None = None
    uncertainty_factor: float | None = None
    uncertainty_factor_error: float | None = None
    textbook_nm: float | None = None
    n_pairs: int = 0
    factors: tuple[tuple[float, float, float], ...] = ()
    fit: ScatterFit | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()


def nena(localizations: Localizations) -> Nena:
    """Measure the localization precision from molecules that are seen in consecutive frames.

    Two rows of one molecule differ by a vector whose axes have the variance k^2 (s_1^2 + s_2^2), where s are the
    uncertainties of the rows and k one factor for all. It is fitted, with a background of strangers, to all pairs in
    consecutive frames. Published is the fit of one precision to the distances themselves: where rows differ, it is
    below the mean, because precise pairs crowd at short distances.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known. Columns ``y_uncertainty`` and ``x_uncertainty``: without them only `textbook_nm`
        is measured.

    Returns
    -------
    Nena

    Raises
    ------
    InputError
        If the pixel size is not known.
    """
    localizations, size_nm = localizations.on_square_pixels()
    frame, y, x = localizations.frame, localizations.y * size_nm, localizations.x * size_nm
    if not len(frame):
        return Nena(warnings=("no rows: there is no precision to measure",))
    if len(frame) > 1 and np.ptp(y) == 0 and np.ptp(x) == 0:
        return Nena(warnings=("all rows are in one place: there is no scatter to measure",))
    rows = NextFrameRows.of(frame, y, x)
    if not len(rows.starts):
        what = "all rows are in one frame" if frame.min() == frame.max() else "no two consecutive frames have rows"
        return Nena(warnings=(f"{what}: the precision shows in molecules that are seen twice",))
    variance, without = _variances(localizations, size_nm)
    if variance is None:
        about_nm = scatter_over_uncertainty(frame, np.column_stack([y, x]), np.ones((len(frame), 2)), size_nm)
        known = textbook_nena(rows, about_nm)
        what = "NeNA only as published, with one precision for all rows" if known else "the precision is not known"
        return Nena(textbook_nm=known, warnings=(f"{without}: {what}",))
    warnings = [without] if without else []
    start = _search(rows, variance)
    typical = float(np.sqrt(np.nanmedian(variance)))
    textbook = textbook_nena(rows, None if start is None else start * typical)
    fitted = None if start is None else _fitted(rows, variance, start)
    if fitted is None or fitted.fit.n_same < MIN_PAIRS:
        warnings.append("hardly any molecule is seen in two consecutive frames: the precision is not known")
        return Nena(textbook_nm=textbook, warnings=tuple(warnings))
    factor, error = fitted.fit.factor, fitted.error()
    factors = fitted.by_group()
    uneven = _unevenness(factors)
    warnings += uneven
    mean_nm = float(
        np.nanmean(np.sqrt(variance.mean(axis=1)) * _factor_of(variance, factors if uneven else (), factor))
    )
    return Nena(
        nena_nm=mean_nm,
        nena_error_nm=error / factor * mean_nm,
        uncertainty_factor=factor,
        uncertainty_factor_error=error,
        textbook_nm=textbook,
        n_pairs=round(fitted.fit.n_same),
        factors=factors,
        fit=fitted.fit,
        warnings=tuple(warnings),
    )


def _variances(localizations: Localizations, size_nm: float) -> tuple[NDArray[np.float64] | None, str]:
    """Return the variances along y and x in nm^2, NaN where a row has none, and what is missing."""
    names = [name for name in ("y_uncertainty", "x_uncertainty") if name in localizations]
    if not names:
        return None, "the table has no uncertainties"
    both = np.column_stack([localizations[name].astype(np.float64) * size_nm for name in (names * 2)[:2]])
    bad = ~(np.isfinite(both) & (both > 0)).all(axis=1)
    if bad.all():
        return None, "no row has an uncertainty above 0"
    both[bad] = np.nan
    return both**2, f"{bad.sum()} rows without an uncertainty above 0 are left out" if bad.any() else ""


def _paired(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out rows that are so much less certain than most that their pairs are with strangers mostly."""
    mean = variance.mean(axis=1)
    return np.where((mean <= MAX_SPREAD**2 * np.nanmedian(mean))[:, None], variance, np.nan)


def _search(rows: NextFrameRows, variance: NDArray[np.float64]) -> float | None:
    """Return roughly by what the uncertainties are to be multiplied; None where no molecule is seen twice."""
    variance = _paired(variance)
    for reach in SEARCH_REACH:
        stride = max(1, -(-rows.n_pairs(variance, reach) // MAX_SEARCHED_PAIRS))
        distance = rows.thinned(stride).pairs(variance, reach).distance
        counts = np.histogram(distance, SEARCH_BINS, (0.0, reach))[0].astype(np.float64)[None]
        tried = np.geomspace(reach / 100, reach / REACH, round(FACTORS_PER_DECADE * np.log10(100 / REACH)))
        fits = [fit_scatter(counts, reach, factor, fixed=True) for factor in tried]
        best = int(np.argmax([fit.log_likelihood for fit in fits]))
        gain = fits[best].log_likelihood - strangers_alone(counts, reach, float(tried[best]))
        # At the end of the range the scatter may be wider than was searched.
        if gain > MIN_GAIN and 0 < best < len(tried) - 1:
            return float(tried[best])
    return None


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A fit, and the pairs in parts: shape (blocks, groups, bins)."""

    fit: ScatterFit
    parts: NDArray[np.float64]
    group_nm: tuple[float, ...]

    def error(self) -> float:
        """Return the standard error of the factor."""
        return self.fit.error(self.parts)

    def by_group(self) -> tuple[tuple[float, float, float], ...]:
        """Return the mean uncertainty of every group of pairs, in nm, with its own factor and its error."""
        factors = []
        for k, mean_nm in enumerate(self.group_nm):
            counts = self.parts[:, k].sum(axis=0)[None]
            fit = fit_scatter(counts, self.fit.edges[-1], self.fit.factor)
            if fit.n_same >= MIN_PAIRS:
                factors.append((mean_nm, fit.factor, fit.error(self.parts[:, k : k + 1])))
        return tuple(factors)


def _fitted(rows: NextFrameRows, variance: NDArray[np.float64], start: float) -> _Fitted | None:
    variance = _paired(variance)
    fitted = None
    for _ in range(MAX_ROUNDS):
        reach = REACH * start
        pairs = rows.pairs(variance, reach)
        if not len(pairs.distance):
            return None
        scatter = np.sqrt((variance[pairs.earlier] + variance[pairs.later]).mean(axis=1) / 2)
        group = np.searchsorted(np.quantile(scatter, np.arange(1, N_GROUPS) / N_GROUPS), scatter)
        block = pairs.which * N_BLOCKS // max(len(rows.starts), 1)
        bins = np.minimum((pairs.distance / reach * N_BINS).astype(np.int64), N_BINS - 1)
        index = (block * N_GROUPS + group) * N_BINS + bins
        parts = np.bincount(index, minlength=N_BLOCKS * N_GROUPS * N_BINS).astype(np.float64)
        parts = parts.reshape(N_BLOCKS, N_GROUPS, N_BINS)
        means = tuple(float(scatter[group == k].mean()) if (group == k).any() else 0.0 for k in range(N_GROUPS))
        fitted = _Fitted(fit_scatter(parts.sum(axis=0), reach, start), parts, means)
        start, before = fitted.fit.factor, start
        if abs(start - before) < SAME_FACTOR * before:
            break
    return fitted


def _unevenness(factors: tuple[tuple[float, float, float], ...]) -> list[str]:
    """Return a warning where the uncertainties of precise and of imprecise rows need different factors."""
    if len(factors) < 2:
        return []
    low, high = min(factors, key=lambda f: f[1]), max(factors, key=lambda f: f[1])
    apart = high[1] - low[1]
    if apart < UNEVEN * low[1] or apart < 5 * np.hypot(low[2], high[2]):
        return []
    return [
        f"the uncertainties are uneven: rows of {low[0]:.3g} nm scatter {low[1]:.2f} times, rows of {high[0]:.3g} nm "
        f"{high[1]:.2f} times as much as they promise"
    ]


def _factor_of(
    variance: NDArray[np.float64], factors: tuple[tuple[float, float, float], ...], factor: float
) -> NDArray[np.float64]:
    """Return the factor of every row: where one does not do for all, that of rows like it."""
    if not factors:
        return np.full(len(variance), factor)
    mean_nm, own, _ = np.array(factors).T
    return np.interp(np.sqrt(variance.mean(axis=1)), mean_nm, own)


def scatter_of(localizations: Localizations, measured: Nena) -> NDArray[np.float64] | None:
    """Return the precision of every row in nm: its uncertainty times the factor that was measured, if any.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.
    measured : Nena
        Of this table.

    Returns
    -------
    ndarray of float64, shape (N,), or None
        NaN where a row has no uncertainty; None where no row has one.

    Raises
    ------
    InputError
        If the pixel size is not known.
    """
    variance, _ = _variances(*localizations.on_square_pixels())
    if variance is None:
        return None
    factors = measured.factors if _unevenness(measured.factors) else ()
    return np.sqrt(variance.mean(axis=1)) * _factor_of(variance, factors, measured.uncertainty_factor or 1.0)


def textbook_nena(rows: NextFrameRows, start_nm: float | None = None) -> float | None:
    """Return the precision as published: one for all rows, fitted by least squares to a histogram of distances.

    The histogram of the distances d of all pairs in consecutive frames is fitted by
    A1 d / (2 s^2) exp(-d^2 / 4 s^2) + A2 exp(-(d - c)^2 / 2 w^2) + A3 d, where s is the precision (Endesfelder 2014,
    eq. 6): one molecule, another one that is near, and strangers.

    Parameters
    ----------
    rows : NextFrameRows
        Positions in nm.
    start_nm : float, optional
        About the precision.

    Returns
    -------
    float or None
        In nm; None where there are too few pairs, or the fit does not converge near where it began.
    """
    unit = np.full((len(rows.rows), 2), 0.5)  # distances of a pair in nm
    if start_nm is None:
        near = _likely_distance(rows, unit)
        if near is None:
            return None
        start_nm = near / np.sqrt(2)
    reach = TEXTBOOK_REACH * start_nm
    distance = rows.pairs(unit, reach).distance
    if len(distance) < MIN_PAIRS:
        return None
    n_bins = int(TEXTBOOK_BINS * TEXTBOOK_REACH)
    counts, edges = np.histogram(distance, n_bins, (0.0, reach))
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1]
    area, far = float(counts.sum() * width), float(counts[-n_bins // 3 :].mean() / middle[-n_bins // 3 :].mean())
    best = None
    for scale, where, share in ((1.0, 2.0, 0.8), (0.7, 3.0, 0.2), (1.0, 10.0, 0.8)):
        begin = (share * area, scale * start_nm, (1 - share) * area, where * start_nm, start_nm, far)
        try:
            values = curve_fit(_textbook, middle, counts, begin, bounds=(0.0, np.inf), max_nfev=2000)[0]
        except (RuntimeError, ValueError):
            continue
        rest = float(((_textbook(middle, *values) - counts) ** 2).sum())
        if best is None or rest < best[0]:
            best = rest, float(values[1])
    if best is None or not start_nm / MAX_APART < best[1] < start_nm * MAX_APART:
        return None
    return best[1]


def _textbook(
    d: NDArray[np.float64], same: float, s: float, near: float, c: float, w: float, far: float
) -> NDArray[np.float64]:
    s, w = max(s, 1e-9), max(w, 1e-9)
    one = same * d / (2 * s**2) * np.exp(-(d**2) / (4 * s**2))
    another = near / (w * np.sqrt(2 * np.pi)) * np.exp(-((d - c) ** 2) / (2 * w**2))
    return np.asarray(one + another + far * d)


def _likely_distance(rows: NextFrameRows, unit: NDArray[np.float64]) -> float | None:
    """Return the median distance of pairs that are nearer than strangers would be; None where there are none."""
    reach = float(np.hypot(np.ptp(rows.y), np.ptp(rows.x))) / 16
    if reach == 0:
        return None
    while (stride := -(-rows.n_pairs(unit, reach) // MAX_SEARCHED_PAIRS)) > 64:
        reach /= 2
    distance = np.sort(rows.thinned(max(1, stride)).pairs(unit, reach).distance)
    if not len(distance):
        return None
    # Strangers in the plane fill circles in proportion to their areas: the circle that is fullest beyond that.
    excess = np.arange(1, len(distance) + 1) - len(distance) * (distance / reach) ** 2
    fullest = int(np.argmax(excess))
    if excess[fullest] < MIN_EXCESS * np.sqrt(len(distance)):
        return None
    return float(np.median(distance[: fullest + 1])) or None
