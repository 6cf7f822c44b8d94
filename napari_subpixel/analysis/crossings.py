"""Where a Fourier ring correlation falls below its threshold, and whether what it shows until there is structure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The resolution is where the correlation falls below this.
THRESHOLD = 1 / 7
#: The correlation must be above the threshold in one of these rings; the first of all show the tile itself.
FIRST_RINGS = range(3, 17)
#: A resolution in a ring before this one is none: there is the shape of the tile or of the field.
MIN_RING = 8
#: The correlation up to the crossing is that many standard deviations of chance at least.
MIN_SIGNIFICANCE = 3.5
#: A resolution is finer than this part of that of a field without structure, by its outline.
MAX_OUTLINE = 0.65
#: Part of the rows, at each end of an axis, that may be strays outside of the field.
STRAYS = 0.025


class Field(NamedTuple):
    """What a field without structure would show.

    Attributes
    ----------
    modes : ndarray of float64, shape (R,)
        Independent values in each ring.
    outline_nm : float
        Its resolution, by its outline alone.
    """

    modes: NDArray[np.float64]
    outline_nm: float


def extent_of(y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, float]:
    """Return height and width of a field that is filled evenly but for a few strays."""
    height, width = (float(np.ptp(np.quantile(a, (STRAYS, 1 - STRAYS)))) / (1 - 2 * STRAYS) for a in (y, x))
    return height, width


def outline_nm(extent_nm: tuple[float, float], n_events: float) -> float:
    """Return the resolution that molecules all over a rectangle have by its outline alone.

    The power of an even field falls as that of its edge, rho^2 P / (4 pi^3 q^3) at the frequency q for the perimeter P
    (Porod's law in the plane), and its counting noise is rho A: of halves, 1/7 is where the ratio of both is 1/6.

    Parameters
    ----------
    extent_nm : (float, float)
        Height and width.
    n_events : float
        Molecules in it.
    """
    height, width = extent_nm
    return float(np.cbrt(4 * np.pi**3 * (height * width) ** 2 / (6 * max(n_events, 1) / 2 * 2 * (height + width))))


def crossings(
    curves: NDArray[np.float64], frequency: NDArray[np.float64], field: Field
) -> tuple[NDArray[np.float64], str]:
    """Return the resolution of the splits, where their mean falls below the threshold for the first time.

    Of a split, that crossing is taken that is nearest to the mean's: a curve that has dips, as of a regular structure,
    may dip below the threshold by chance.

    Parameters
    ----------
    curves : ndarray of float64, shape (S, R)
        Correlation of every split in every ring.
    frequency : ndarray of float64, shape (R,)
        Of the rings, in 1 / nm.
    field : Field

    Returns
    -------
    ndarray of float64
        In nm; none where there is no crossing that means anything.
    str
        Why, then.
    """
    mean = curves.mean(axis=0)
    first = np.arange(FIRST_RINGS.start, min(FIRST_RINGS.stop, len(mean)))
    begin = first[mean[first] >= THRESHOLD]
    at = _falls(mean)
    at = at[at >= begin[-1]] if len(begin) else at[:0]
    if why_not := _why_none(mean, at) or _why_no_structure(mean, frequency, field, float(at[0])):
        return np.zeros(0), why_not
    found = []
    for curve in curves:
        if len(falls := _falls(curve)):
            nearest = falls[np.argmin(np.abs(np.log(np.maximum(falls, 1e-9) / at[0])))]
            found.append(1 / np.interp(nearest, np.arange(len(frequency)), frequency))
    return np.array(found), ""


def _falls(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where a curve falls below the threshold, as numbers of rings with fractions."""
    k = np.flatnonzero((curve[:-1] >= THRESHOLD) & (curve[1:] < THRESHOLD))
    return np.asarray(k + (curve[k] - THRESHOLD) / (curve[k] - curve[k + 1]))


def _why_none(mean: NDArray[np.float64], at: NDArray[np.float64]) -> str:
    if len(at) and at[0] >= MIN_RING:
        return ""
    if (mean[MIN_RING:] < THRESHOLD).all():
        return "the halves of the movie do not correlate: there is no structure, or too few rows to show it"
    return "the correlation of the halves of the movie does not fall below 1/7"


def _why_no_structure(mean: NDArray[np.float64], frequency: NDArray[np.float64], field: Field, crossing: float) -> str:
    """Return why a correlation up to a crossing shows no structure; empty where it does."""
    rings = np.arange(FIRST_RINGS.start, int(crossing) + 1)
    modes = field.modes[rings]
    found_nm = 1 / float(np.interp(crossing, np.arange(len(frequency)), frequency))
    if mean[rings] @ modes < MIN_SIGNIFICANCE * np.sqrt(modes.sum()):
        return "the halves of the movie correlate no more than by chance: the FRC means nothing, with too few rows"
    if found_nm > MAX_OUTLINE * field.outline_nm:
        return (
            f"the halves of the movie agree on the outline of the field only: an FRC of {found_nm:.3g} nm means nothing"
        )
    return ""
