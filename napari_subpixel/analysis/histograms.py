"""How often a quantity has which value: every row counted, over the range that nearly all of them share."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Bars of a histogram; fewer for a few whole numbers.
N_BARS = 100
#: Rows counted at a time.
CHUNK_ROWS = 1 << 18
#: The range is that of this many rows at most, evenly over the table; they are all counted.
RANGE_ROWS = 1_000_000
#: Between these quantiles is what nearly all rows share.
QUANTILES = (0.001, 0.999)
#: Where all values need at most this many times the range of nearly all, the bars cover all of them.
WIDER_AT_MOST = 2.0


class Histogram(NamedTuple):
    """How many rows have values in each of some bars of equal width.

    Attributes
    ----------
    low, high : float
        The range of the bars; values beyond it are in the first and in the last one.
    counts : ndarray of int, shape (bars,)
    least, greatest : float
        The values themselves lie between these, NaN where there are none.
    whole : bool
        Whether all values are whole numbers of an integer column.
    """

    low: float
    high: float
    counts: NDArray[np.int64]
    least: float
    greatest: float
    whole: bool = False


def histogram_of(values: NDArray[Any], n_bars: int = N_BARS) -> Histogram:
    """Count the values of all rows; those that are not finite are in no bar.

    Parameters
    ----------
    values : ndarray, shape (N,)
    n_bars : int
        Number of bars.

    Examples
    --------
    >>> histogram = histogram_of(np.array([1, 1, 2, 5]))
    >>> histogram.counts.tolist(), histogram.low, histogram.high
    ([2, 1, 0, 0, 1], 0.5, 5.5)
    """
    whole = values.dtype.kind in "iub"
    least, greatest = _extremes(values)
    if math.isnan(least):
        return Histogram(0.0, 1.0, np.zeros(n_bars, np.int64), math.nan, math.nan, whole)
    low, high = _range(values, least, greatest)
    if whole:
        edges = whole_number_edges(low, high, n_bars)
        n_bars, low, high = len(edges) - 1, float(edges[0]), float(edges[-1])
    elif high <= low:
        margin = 0.5 * abs(low) or 0.5
        low, high = low - margin, high + margin
    counts = np.zeros(n_bars, np.int64)
    for start in range(0, len(values), CHUNK_ROWS):
        some = values[start : start + CHUNK_ROWS].astype(np.float64)
        some = some[np.isfinite(some)]
        bars = np.clip((some - low) * (n_bars / (high - low)), 0, n_bars - 1).astype(np.int64)
        counts += np.bincount(bars, minlength=n_bars)
    return Histogram(low, high, counts, least, greatest, whole)


def whole_number_edges(least: float, greatest: float, n_bars: int) -> NDArray[np.float64]:
    """Return the edges of bars for whole numbers, each of which covers equally many of them, shape (bars + 1,).

    Bars of another width would cover one number more or less in turn, and show a comb that is not in the values.

    Parameters
    ----------
    least, greatest : float
        Whole numbers; the last bar may reach beyond the greatest.
    n_bars : int
        Number of bars at most.
    """
    n_numbers = int(greatest) - int(least) + 1
    width = -(-n_numbers // n_bars)
    return int(least) - 0.5 + width * np.arange(-(-n_numbers // width) + 1, dtype=np.float64)


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest finite value, NaN where there is none."""
    least, greatest = math.inf, -math.inf
    for start in range(0, len(values), CHUNK_ROWS):
        some = values[start : start + CHUNK_ROWS]
        if some.dtype.kind == "f":
            some = some[np.isfinite(some)]
        if len(some):
            least, greatest = min(least, float(some.min())), max(greatest, float(some.max()))
    return (least, greatest) if least <= greatest else (math.nan, math.nan)


def _range(values: NDArray[Any], least: float, greatest: float) -> tuple[float, float]:
    """Return the range of nearly all values, or of all of them where that is not much wider."""
    sample = values[:: max(1, -(-len(values) // RANGE_ROWS))].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return least, greatest
    low, high = (float(q) for q in np.quantile(sample, QUANTILES, method="nearest"))
    return (least, greatest) if greatest - least <= WIDER_AT_MOST * (high - low) or low == high else (low, high)
