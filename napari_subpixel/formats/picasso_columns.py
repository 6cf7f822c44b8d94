"""Picasso's columns and ours, in both directions: stand-ins, square pixels, rows that Picasso does not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize, mean_pixel_size, pixel_length, pixel_size_yx
from napari_subpixel.localizations import COLUMNS, LocalizationParts, Localizations

#: Picasso's columns, in its order, and the column of ours that each holds, for reading and writing; any other column is
#: kept under its name.
HOLDS = {
    "frame": "frame",
    "x": "x",
    "y": "y",
    "photons": "photons",
    "sx": "sigma",
    "sy": "sigma",
    "bg": "background",
    "lpx": "x_uncertainty",
    "lpy": "y_uncertainty",
    "net_gradient": "net_gradient",
    "z": "z_nm",
    "probability": "probability",
    "class_index": "class_index",
    "n": "n_frames",
    "first_frame": "first_frame",
    "last_frame": "last_frame",
}
#: Picasso's time on of a linked molecule, in frames, which follows from the first and the last.
TIME_ON = "len"
#: Columns that every Picasso file has.
ALWAYS_WRITTEN = ("frame", "x", "y", "photons", "sx", "sy", "bg", "lpx", "lpy", "net_gradient")
#: Columns in which Picasso does not show a row with a value below 0.
NOT_NEGATIVE = ("x", "y", "photons", "sx", "sy", "lpx", "lpy")
#: Precision, in pixels, that is written where neither it nor what it follows from was measured: Picasso draws each
#: point this wide.
PRECISION_STAND_IN = 0.1


def our_columns(rows: NDArray[Any], stand_ins: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return our columns, where two of Picasso's hold one of ours their mean, and all others with numbers.

    Parameters
    ----------
    rows : structured ndarray, shape (N,)
        Picasso's rows.
    stand_ins : mapping of str to str
        Picasso's columns that were not measured, which are left out.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        By our names, and the others by theirs.
    """
    columns: dict[str, NDArray[Any]] = {}
    names = rows.dtype.names or ()
    for ours in dict.fromkeys([*COLUMNS, *HOLDS.values()]):
        there = [name for name, held in HOLDS.items() if held == ours and name in names]
        if there and not stand_ins.keys() & set(there):
            columns[ours] = rows[there[0]] if len(there) == 1 else np.mean([rows[name] for name in there], axis=0)
    for name in names:
        known = name in HOLDS or name in COLUMNS or name in stand_ins
        if not known and rows[name].ndim == 1 and rows[name].dtype.kind in "iufb":
            columns[name] = rows[name]
    return columns


def picasso_rows(part: Localizations, measured: set[str]) -> tuple[NDArray[Any], dict[str, str]]:
    """Return the rows as Picasso's compound type, and the stand-ins among the columns.

    Parameters
    ----------
    part : Localizations
        N rows in square pixels.
    measured : set of str
        Our columns in which any part has a number.

    Returns
    -------
    structured ndarray, shape (N,)
    dict of str to str
        What was written in the place of what was not measured, by Picasso's names.
    """
    names = [name for name, ours in HOLDS.items() if name in ALWAYS_WRITTEN or ours in measured]
    own = [name for name in part.extra if name in measured and name not in HOLDS]
    types = [(name, "<u4" if _is_count(name) else "<f4") for name in names]
    has_time_on = {"first_frame", "last_frame"} <= measured and TIME_ON not in own
    types += [(TIME_ON, "<u4")] if has_time_on else []
    rows = np.zeros(len(part), types + [(name, part[name].dtype) for name in own])
    stand_ins: dict[str, str] = {}
    if has_time_on:
        rows[TIME_ON] = part["last_frame"] - part["first_frame"] + 1
        stand_ins[TIME_ON] = "last_frame - first_frame + 1"
    for name in names:
        ours = HOLDS[name]
        if ours in measured:
            rows[name] = part[ours]
        elif name in ("lpx", "lpy"):
            rows[name], stand_ins[name] = precision_stand_in(part)
        else:
            stand_ins[name] = "0, not measured"
    for name in own:
        rows[name] = part[name]
    return rows, stand_ins


def _is_count(name: str) -> bool:
    ours = HOLDS[name]
    return ours in COLUMNS and COLUMNS[ours][0] is np.int64


def count_hidden(rows: NDArray[Any], shape: tuple[int, int]) -> int:
    """Return how many rows Picasso will not show.

    Parameters
    ----------
    rows : structured ndarray, shape (N,)
        Rows as Picasso has them.
    shape : (int, int)
        Height and width of the frames, in pixels.
    """
    shown = (rows["y"] < shape[0]) & (rows["x"] < shape[1])
    for name in rows.dtype.names or ():
        shown &= np.isfinite(rows[name])
        if name in NOT_NEGATIVE:
            shown &= rows[name] >= 0
    return int(len(rows) - shown.sum())


def precision_stand_in(localizations: Localizations) -> tuple[NDArray[np.float64], str]:
    """Return a precision in pixels where none was measured, and a description of it.

    It is the bound that photon noise alone sets, ``sqrt((sigma**2 + 1/12) / photons)`` (Thompson, Larson and Webb
    2002, doi:10.1016/S0006-3495(02)75618-X, Eq. 17 without background), where width and photons were measured, and
    else `PRECISION_STAND_IN`.

    Parameters
    ----------
    localizations : Localizations
        N rows.

    Returns
    -------
    ndarray of float64, shape (N,)
    str
    """
    if "sigma" not in localizations or "photons" not in localizations:
        return np.full(len(localizations), PRECISION_STAND_IN), f"{PRECISION_STAND_IN} px, not measured"
    sigma, photons = (localizations[name].astype(np.float64) for name in ("sigma", "photons"))
    lit = photons > 0
    bound = np.full(len(localizations), PRECISION_STAND_IN)
    bound[lit] = np.sqrt((sigma[lit] ** 2 + 1 / 12) / photons[lit])
    return bound, f"sqrt((sigma^2 + 1/12) / photons) px, not measured; {PRECISION_STAND_IN} px without photons"


def squared(parts: LocalizationParts) -> LocalizationParts:
    """Return a table in square pixels, with the smallest frame of these that holds the whole one."""
    size, shape = parts.about.get("pixel_size_nm"), parts.about.get("frame_shape")
    if not isinstance(size, tuple):
        return parts
    about = {**parts.about, "pixel_size_nm": mean_pixel_size(size)}
    if shape is not None:
        lengths = zip(shape, pixel_size_yx(size), strict=True)
        about["frame_shape"] = tuple(int(np.ceil(n * length / mean_pixel_size(size))) for n, length in lengths)
    return LocalizationParts(lambda: (part.on_square_pixels()[0] for part in parts), about)


def unsquared(name: str, values: NDArray[Any], size_nm: PixelSize) -> NDArray[Any]:
    """Return a column in the camera's pixels, from one in square pixels."""
    if name not in ("y", "x", "y_uncertainty", "x_uncertainty"):
        return values
    return values * (mean_pixel_size(size_nm) / pixel_length(name, size_nm))
