"""Molecules from linked rows: one row for each, its columns put together from those of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel.localizations import COLUMNS, Localizations

#: Columns of a molecule that its rows do not have.
MOLECULE_COLUMNS = ("n_frames", "first_frame", "last_frame")
#: Columns of which a molecule has the highest value of its rows: it is saturated if it was in any frame.
HIGHEST_COLUMNS = ("saturated",)


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
    counts = np.bincount(group, minlength=n_groups)
    frame = table.frame
    first, last = _extremes(group, frame, n_groups)
    weights = {axis: _weights(table, f"{axis}_uncertainty", group) for axis in "yx"}
    columns: dict[str, Any] = {"frame": first}
    extra: dict[str, Any] = {}
    first_row = _first_rows(group, n_groups)
    for name in table.columns:
        if name == "frame" or name in MOLECULE_COLUMNS:
            continue
        values = table[name]
        into = columns if name in COLUMNS else extra
        if name in ("y", "x"):
            into[name] = _weighted_mean(group, values, weights[name], n_groups)
        elif name in ("y_uncertainty", "x_uncertainty"):
            into[name] = _combined(group, values, n_groups)
        elif name == "photons":
            into[name] = _sums(group, values, n_groups)
        elif name == "probability":
            into[name] = _any_real(group, values, n_groups)
        elif name == "z_nm":
            into[name] = _weighted_mean(group, values, weights["y"] + weights["x"], n_groups)
        elif name in HIGHEST_COLUMNS:
            into[name] = _highest(group, values, first_row)
        elif values.dtype.kind == "f":
            into[name] = (_sums(group, values, n_groups) / counts).astype(values.dtype)
        else:
            into[name] = values[first_row]
    # A table that was linked before has been merged twice: its frames are counted once.
    n_frames = _sums(group, table["n_frames"], n_groups) if "n_frames" in table else counts
    if "last_frame" in table:
        last = _extremes(group, table["last_frame"].astype(np.int64), n_groups)[1]
    columns |= {"n_frames": n_frames.astype(np.int64), "first_frame": first, "last_frame": last}
    return Localizations(columns, extra=extra, **table.about, copy=False)


def _weights(table: Localizations, column: str, group: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return inverse variances, those of the others' median where a row has none, and 1 where none has."""
    if column not in table:
        return np.ones(len(group), np.float32)
    sigma = table[column]
    good = np.isfinite(sigma) & (sigma > 0)
    if not good.any():
        return np.ones(len(group), np.float32)
    if not good.all():
        sigma = np.where(good, sigma, np.median(sigma[good]))
    with np.errstate(over="ignore", under="ignore"):
        weights = (1 / sigma) ** 2
    return np.minimum(weights, np.finfo(np.float32).max).astype(np.float32)


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
def _weighted_mean(group: Any, values: Any, weights: Any, n_groups: int) -> Any:
    """Return means from differences to the first row of each, so that far places lose no digits."""
    first, sums, total = np.full(n_groups, np.nan), np.zeros(n_groups), np.zeros(n_groups)
    for i in range(len(group)):
        at = group[i]
        if total[at] == 0:
            first[at] = values[i]
        sums[at] += weights[i] * (values[i] - first[at])
        total[at] += weights[i]
    return first + sums / total


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
