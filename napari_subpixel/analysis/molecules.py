"""Molecules from linked rows: one row for each, its columns put together from those of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.localizations import Localizations

#: Columns of a molecule that its rows do not have.
MOLECULE_COLUMNS = ("n_frames", "first_frame", "last_frame")
#: Columns of which a molecule has the highest value of its rows: it is saturated if it was in any frame.
HIGHEST_COLUMNS = ("saturated",)
#: Uncertainties of rows that have none: they weigh the same.
NO_SIGMA: tuple[Any, float] = (np.zeros(0, np.float32), 1.0)
#: Smaller uncertainties weigh no more than this one.
SMALLEST_SIGMA = 1e-19
#: The weight of that one.
LARGEST_WEIGHT = 1e38


def merged(table: Localizations, group: NDArray[np.int32], n_groups: int) -> Localizations:
    """Merge the rows of each molecule.

    Parameters
    ----------
    table : Localizations
    group : ndarray of int32, shape (len(table),)
        Number of each row's molecule, from 0.
    n_groups : int
        Number of molecules; each has a row at least.

    Returns
    -------
    Localizations
        ``frame`` is the first frame; y and x are means weighted by the inverse variances, z by those of both; photons
        are summed; uncertainties are combined, ``1 / sqrt(sum(1 / s**2))``; the probability is that any of the rows is
        real; of `HIGHEST_COLUMNS` it is the highest value; of all other columns with fractions it is the mean, of those
        with whole numbers the value of the first row. `MOLECULE_COLUMNS` are added.
    """
    sigmas = {axis: _sigma(table, f"{axis}_uncertainty") for axis in "yx"}
    both = [sigma for sigma in sigmas.values() if len(sigma[0])] or [NO_SIGMA]
    counts = _counts(group, n_groups)
    first, last = _extremes(group, table.frame, n_groups)
    merging: dict[str, Callable[[NDArray[Any]], Any]] = {
        "y": lambda values: _weighted_mean(group, values, *sigmas["y"], *NO_SIGMA, n_groups),
        "x": lambda values: _weighted_mean(group, values, *sigmas["x"], *NO_SIGMA, n_groups),
        "z_nm": lambda values: _weighted_mean(group, values, *both[0], *both[-1], n_groups),
        "y_uncertainty": lambda values: _combined(group, values, n_groups),
        "x_uncertainty": lambda values: _combined(group, values, n_groups),
        "photons": lambda values: _sums(group, values, n_groups),
        "probability": lambda values: _any_real(group, values, n_groups),
        **{name: lambda values: _highest(group, values, _first_rows(group, n_groups)) for name in HIGHEST_COLUMNS},
        # A table that was linked before has been merged twice: its frames are counted once.
        "n_frames": lambda values: _sums(group, values, n_groups),
        "last_frame": lambda values: _extremes(group, values, n_groups)[1],
    }
    columns: dict[str, Any] = dict.fromkeys(table.columns)

    def merge(name: str) -> None:
        values = table[name]
        if name in merging:
            merged_values = merging[name](values)
        elif values.dtype.kind == "f":
            merged_values = _means(group, values, counts)
        else:
            merged_values = values[_first_rows(group, n_groups)]
        columns[name] = merged_values.astype(values.dtype, copy=False)

    # Those that need most memory while they are merged, when there are few results yet.
    on_all_processors(merge, [name for name in table.columns if name not in ("frame", "first_frame")])
    columns |= {"frame": first, "first_frame": first}
    columns.setdefault("last_frame", last)
    columns.setdefault("n_frames", counts.astype(np.int64))
    own = {name: columns.pop(name) for name in table.extra}
    return Localizations(columns, extra=own, **table.about, copy=False)


def _sigma(table: Localizations, column: str) -> tuple[Any, float]:
    """Return uncertainties that rows are weighted by, and the one of rows without; none where there are none at all."""
    if column not in table:
        return NO_SIGMA
    sigma = table[column]
    good = np.isfinite(sigma) & (sigma > 0)
    if good.all():
        return sigma, 1.0
    return (sigma, float(np.median(sigma[good]))) if good.any() else NO_SIGMA


@compiled
def _weight(sigma: Any, i: int, other: float) -> float:
    """Return the inverse variance of a row."""
    if len(sigma) == 0:
        return 1.0
    known = np.float64(sigma[i]) if sigma[i] > 0 and sigma[i] < np.inf else np.float64(other)
    return min(1 / (known * known), LARGEST_WEIGHT) if known > SMALLEST_SIGMA else LARGEST_WEIGHT


@compiled
def _counts(group: Any, n_groups: int) -> Any:
    counts = np.zeros(n_groups, np.int32)
    for i in range(len(group)):
        counts[group[i]] += 1
    return counts


@compiled
def _extremes(group: Any, frame: Any, n_groups: int) -> Any:
    first, last = np.full(n_groups, np.int64(2**62)), np.full(n_groups, np.int64(-1))
    for i in range(len(group)):
        first[group[i]] = min(first[group[i]], frame[i])
        last[group[i]] = max(last[group[i]], frame[i])
    return first, last


@compiled
def _first_rows(group: Any, n_groups: int) -> Any:
    rows = np.full(n_groups, -1, np.int64)
    for i in range(len(group)):
        if rows[group[i]] < 0:
            rows[group[i]] = i
    return rows


@compiled
def _highest(group: Any, values: Any, first_row: Any) -> Any:
    highest = values[first_row]
    for i in range(len(group)):
        highest[group[i]] = max(highest[group[i]], values[i])
    return highest


@compiled
def _sums(group: Any, values: Any, n_groups: int) -> Any:
    sums = np.zeros(n_groups)
    for i in range(len(group)):
        sums[group[i]] += values[i]
    return sums


@compiled
def _means(group: Any, values: Any, counts: Any) -> Any:
    means = np.zeros(len(counts))
    for i in range(len(group)):
        means[group[i]] += values[i]
    for k in range(len(counts)):
        means[k] /= counts[k]
    return means


@compiled
def _weighted_mean(group: Any, values: Any, sigma: Any, other: float, sigma2: Any, other2: float, n_groups: int) -> Any:
    """Return means, each moved by every further row, so that far places lose no digits; weights of both are added."""
    means, total = np.zeros(n_groups), np.zeros(n_groups)
    for i in range(len(group)):
        at = group[i]
        weight = _weight(sigma, i, other)
        if len(sigma2):
            weight += _weight(sigma2, i, other2)
        total[at] += weight
        if total[at] == weight:
            means[at] = values[i]
        else:
            means[at] += weight / total[at] * (values[i] - means[at])
    return means


@compiled
def _combined(group: Any, sigma: Any, n_groups: int) -> Any:
    """Return combined uncertainties; rows without one add nothing, and a molecule of such rows has none."""
    total = np.zeros(n_groups)
    for i in range(len(group)):
        if sigma[i] > 0 and sigma[i] < np.inf:
            total[group[i]] += 1 / np.float64(sigma[i]) ** 2
    result = np.full(n_groups, np.float32(np.nan))
    for k in range(n_groups):
        if total[k] > 0:
            result[k] = 1 / np.sqrt(total[k])
    return result


@compiled
def _any_real(group: Any, probability: Any, n_groups: int) -> Any:
    none = np.ones(n_groups)
    for i in range(len(group)):
        none[group[i]] *= 1 - np.float64(probability[i])
    return 1 - none
