"""The standard columns of a table, and the checks of all: what each may hold, and what it may be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.errors import InputError, InvalidRowsError, suggest

#: Every standard column, with its type and meaning. The first three are always there.
COLUMNS: dict[str, tuple[type, str]] = {
    "frame": (np.int64, "frame number, counted from 0"),
    "y": (np.float64, "row, pixels; the first pixel's centre is 0"),
    "x": (np.float64, "column, pixels; the first pixel's centre is 0"),
    "probability": (np.float32, "probability that the molecule exists"),
    "photons": (np.float32, "detected photons"),
    "background": (np.float32, "background, photons per pixel"),
    "y_uncertainty": (np.float32, "one standard deviation of y, pixels"),
    "x_uncertainty": (np.float32, "one standard deviation of x, pixels"),
    "sigma": (np.float32, "standard deviation of the point spread function, pixels"),
    "z_nm": (np.float32, "axial position, nm"),
    "class_index": (np.int64, "class of the point, where a model knows several, counted from 0"),
    "n_frames": (np.int64, "of a linked molecule: frames in which it was detected"),
    "first_frame": (np.int64, "of a linked molecule: the first of them, counted from 0"),
    "last_frame": (np.int64, "of a linked molecule: the last of them, counted from 0"),
}
#: Columns that every table has.
REQUIRED = ("frame", "y", "x")
#: Columns of a table that drift was subtracted from: how much of it, in nm, by the axis.
DRIFT_COLUMNS = {"y": "y_drift_nm", "x": "x_drift_nm", "z_nm": "z_drift_nm"}
#: Column that is 1 for rows of fiducials and 0 for others, where it is known that there are any.
FIDUCIAL = "fiducial"
#: A column whose name is at least this much like that of a standard one is taken for that one, misspelt.
MISSPELT_FROM = 0.8
#: The largest whole number in such a column; every one up to it is exact in a file's floating-point numbers too.
LARGEST_WHOLE = np.float64(2**53)


def checked_table(
    columns: pd.DataFrame | Mapping[str, ArrayLike], extra: Mapping[str, ArrayLike], copy: bool
) -> pd.DataFrame:
    """Return columns as a data frame, the standard ones first and all of their types.

    Parameters
    ----------
    columns : DataFrame or mapping of str to array_like, shape (N,)
        Standard columns and others.
    extra : mapping of str to array_like, shape (N,)
        Further columns, of any name that is not standard.
    copy : bool
        Whether arrays of the right types are copied.

    Raises
    ------
    InputError
        If a column is missing, misspelt, of unequal length, or holds what it may not.
    """
    names = list(columns.keys())
    for name in names:
        if name not in COLUMNS:
            _check_own_name(name)
    for name in extra:
        if name in COLUMNS or name in names or not isinstance(name, str):
            raise InputError(f"{name!r} cannot be a column of your own")
    for name in REQUIRED:
        if name not in names:
            raise InputError(f"missing column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    ordered = [name for name in COLUMNS if name in names] + [name for name in names if name not in COLUMNS]
    arrays = {name: _checked_column(name, np.asarray(columns[name])) for name in ordered}
    arrays |= {name: _checked_column(name, np.asarray(values)) for name, values in extra.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns differ in length: {lengths}")
    if (
        isinstance(columns, pd.DataFrame)
        and not extra
        and names == ordered
        and all(columns[name].dtype == arrays[name].dtype for name in names)
    ):
        return columns.reset_index(drop=True)  # which pandas copies when it is written to, and not before
    return pd.DataFrame(arrays, copy=copy)


def _check_own_name(name: object) -> None:
    """Refuse a name that is nearly that of a standard column, or no text."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"unknown column {name!r}")
    if meant := suggest(name.lower(), COLUMNS, MISSPELT_FROM):
        raise InputError(f"unknown column {name!r}{meant}")


def _checked_column(name: str, values: NDArray[Any]) -> NDArray[Any]:
    dtype = COLUMNS[name][0] if name in COLUMNS else None
    if values.ndim != 1:
        raise InputError(f"column {name!r} must be one-dimensional, got shape {values.shape}")
    if not values.size:
        return values.astype(dtype or (values.dtype if values.dtype.kind in "iufb" else np.float64))
    if values.dtype.kind == "O" and all(isinstance(cell, (int, float)) for cell in values.tolist()):
        values = np.array(values.tolist())
    if values.dtype.kind not in "iufb":
        cells = values.tolist()
        row = next((row for row, cell in enumerate(cells) if not _is_number(cell)), 0)
        raise InputError(f"column {name!r} must hold numbers, got {cells[row]!r} in row {row}")
    if name in REQUIRED or dtype is np.int64:
        _check_values(name, values, whole=dtype is np.int64)
    return values if dtype is None else values.astype(dtype, copy=False)


def _check_values(name: str, values: NDArray[Any], *, whole: bool) -> None:
    # The extremes show that most columns are good, without an array as long as they are.
    lowest, highest = values.min(), values.max()
    if name in REQUIRED and not (np.isfinite(lowest) and np.isfinite(highest)):
        _check_rows(name, values, np.isfinite(values), "be finite", InvalidRowsError)
    if whole and (values.dtype.kind == "f" or lowest < 0 or highest > LARGEST_WHOLE):
        good = (values == np.floor(values)) & (values >= 0) & (values <= LARGEST_WHOLE)
        _check_rows(name, values, good, "hold whole numbers from 0 to 2**53")


def _check_rows(
    name: str, values: NDArray[Any], good: NDArray[np.bool_], what: str, error: type[InputError] = InputError
) -> None:
    if not good.all():
        row, bad = int(good.argmin()), int(len(good) - good.sum())
        more = f" and {bad - 1:,} more" if bad > 1 and error is InvalidRowsError else ""
        raise error(f"column {name!r} must {what}, got {values[row]} in row {row}{more}")


def _is_number(value: Any) -> bool:
    """Say whether a value is a number, or text that reads as one: a reader that met one bad cell keeps all as text."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
