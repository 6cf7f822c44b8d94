"""The quantities of a table by the names that people use, and what a number without a unit means for each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import mean_pixel_size, pixel_length
from napari_subpixel.errors import FilterError, suggest
from napari_subpixel.localizations import Localizations


@dataclass(frozen=True)
class Known:
    """A quantity that tables have.

    Attributes
    ----------
    aliases : tuple of str
        What other programs call it.
    unit : str
        Its unit in an expression: ``"nm"``, ``"photon"``, ``"frame"``, or none; a length in pixels counts as nm.
    in_pixels : bool
        Whether the table has it in pixels.
    parts : tuple of str
        The columns whose root mean square it is, where it is not a column.
    """

    aliases: tuple[str, ...] = ()
    unit: str = ""
    in_pixels: bool = False
    parts: tuple[str, ...] = ()


#: The quantities with a name of their own; the headings of all tables that are read are among the aliases.
QUANTITIES: Mapping[str, Known] = {
    "frame": Known(("frame_ix", "first frame", "imagenumber-0-0"), "frame"),
    "y": Known(("ynm", "y_nm", "ynano", "position y", "position-1-0"), "nm", in_pixels=True),
    "x": Known(("xnm", "x_nm", "xnano", "position x", "position-0-0"), "nm", in_pixels=True),
    "probability": Known(("prob",)),
    "photons": Known(("intensity", "photon", "phot", "number photons"), "photon"),
    "background": Known(("offset", "bg", "bkg"), "photon"),
    "uncertainty": Known(
        ("uncertainty_xy", "locprecnm", "precision", "lp"), "nm", parts=("y_uncertainty", "x_uncertainty")
    ),
    "y_uncertainty": Known(("lpy", "uncertainty_y", "y precision"), "nm", in_pixels=True),
    "x_uncertainty": Known(("lpx", "uncertainty_x", "x precision"), "nm", in_pixels=True),
    "sigma": Known(("sx", "sy"), "nm", in_pixels=True),
    "z_nm": Known(("z", "znm", "znano", "position z", "position-2-0"), "nm"),
    "class_index": Known(("class",)),
    "n_frames": Known(("detections", "n"), "frame"),
    "first_frame": Known((), "frame"),
    "last_frame": Known((), "frame"),
}
#: Columns that a run leaves out where all rows have 0, with the entry of its provenance that counts the others.
LEFT_OUT_WHERE_0: Mapping[str, str] = {"saturated": "n_saturated"}
#: The unit of a quantity of which the table's own name does not say any, as that of a column of your own.
UNKNOWN = "unknown"
#: A column of another program has its unit in brackets.
_IN_BRACKETS = re.compile(r"^(?P<name>.*\S)\s*[\[(]\s*(?P<unit>[^\])]*?)\s*[\])]$")
#: Units in brackets, and the one that each is here.
_BRACKET_UNITS = {
    "nm": "nm",
    "nanometer": "nm",
    "photon": "photon",
    "photons": "photon",
    "ph": "photon",
    "px": "px",
    "pixel": "px",
    "pixels": "px",
}
#: What files number their rows by.
_ROW_NUMBERS = ("id", "no", "index", "ground-truth")


@dataclass(frozen=True)
class Source:
    """Where a table has a quantity.

    Attributes
    ----------
    columns : tuple of str
        The table's columns; of several it is the root mean square. Of none it is 0 in all rows.
    unit : str
        ``"nm"``, ``"px"``, ``"photon"``, ``"frame"``, none, or `UNKNOWN`.
    in_pixels : bool
        Whether the columns are in pixels.
    """

    columns: tuple[str, ...]
    unit: str
    in_pixels: bool = False


def canonical_name(name: str) -> str:
    """Return our name of a quantity for one of its aliases, in any capitals; any other name as it is.

    A heading with a unit in brackets is an alias where the unit is that of a number without one.

    Examples
    --------
    >>> canonical_name("Intensity"), canonical_name("lpx"), canonical_name("chi2")
    ('photons', 'x_uncertainty', 'chi2')
    >>> canonical_name("sigma [nm]"), canonical_name("sigma [px]")
    ('sigma', 'sigma [px]')
    """
    if known := _known(name):
        return known
    match = _IN_BRACKETS.match(name)
    known = _known(match["name"]) if match else None
    if match and known and _BRACKET_UNITS.get(match["unit"].lower()) == QUANTITIES[known].unit:
        return known
    return name


def source_of(table: Localizations, name: str) -> Source:
    """Return where a table has a quantity.

    Parameters
    ----------
    table : Localizations
    name : str
        A column of the table's own; else a name of `QUANTITIES`, an alias, with its unit in brackets or without, or a
        column of the table's own without the unit in brackets, in any capitals. One of `LEFT_OUT_WHERE_0` is 0 in all
        rows where the table's provenance says so.

    Raises
    ------
    FilterError
        If the table has no such quantity.
    """
    ours = canonical_name(name)
    if name in table.extra:  # the column of just this name, though it may also be an alias of another
        return _own_source(table, name, QUANTITIES[ours].unit if ours in QUANTITIES and ours not in table else UNKNOWN)
    if ours in QUANTITIES:
        about = QUANTITIES[ours]
        if ours in table:
            return Source((ours,), _unit_in(table, about.unit, about.in_pixels), about.in_pixels)
        if parts := tuple(part for part in about.parts if part in table):
            return Source(parts, _unit_in(table, "nm", True), in_pixels=True)
        if own := next((column for column in table.extra if _bare(column) in (ours, *about.aliases)), None):
            return _own_source(table, own, about.unit)
    elif own := next((column for column in table.extra if _bare(column) == name.lower()), None):
        return _own_source(table, own)
    elif table.provenance.get(LEFT_OUT_WHERE_0.get(name.lower(), "")) == 0:
        return Source((), UNKNOWN)
    there = ", ".join(names_in(table))
    if ours in QUANTITIES:
        raise FilterError(f"the table has no column {name!r}; there are {there}")
    if reason := _reason_against(name):
        raise FilterError(f"{reason}; there are {there}")
    raise FilterError(f"unknown column {name!r}{_suggested(name, table)}; there are {there}")


def names_in(table: Localizations) -> tuple[str, ...]:
    """Return the names of the quantities that a table has, ours and its own.

    Examples
    --------
    >>> names_in(Localizations({"frame": [0], "y": [1], "x": [2], "x_uncertainty": [0.1], "chi2": [1.5]}))
    ('frame', 'y', 'x', 'x_uncertainty', 'chi2', 'uncertainty')
    """
    derived = (name for name, about in QUANTITIES.items() if any(part in table for part in about.parts))
    return (*table.columns, *(name for name in derived if name not in table))


def values_in(table: Localizations, source: Source, rows: slice = slice(None)) -> tuple[NDArray[Any], bool]:
    """Return a quantity of some rows in its unit, shape (n,), and whether the table has it in single precision.

    Parameters
    ----------
    table : Localizations
    source : Source
        Where the table has it.
    rows : slice
        Which rows.

    Raises
    ------
    PixelSizeError
        If the quantity is in nm, the table in pixels, and their size is not known.
    """
    if not source.columns:
        return np.zeros(len(range(*rows.indices(len(table)))), np.int64), False
    parts = [table[column][rows] for column in source.columns]
    single = all(part.dtype == np.float32 for part in parts)
    in_nm = source.in_pixels and source.unit == "nm"
    if len(parts) == 1 and not in_nm:
        return parts[0], single
    size = table.known_pixel_size_nm() if in_nm else 1.0
    lengths = [pixel_length(column, size) for column in source.columns]
    values = parts[0].astype(np.float64) * lengths[0]
    if len(parts) > 1:
        mean = mean_pixel_size(size)
        along = [part.astype(np.float64) * (length / mean) for part, length in zip(parts, lengths, strict=True)]
        values = np.sqrt(np.mean(np.square(along), axis=0)) * mean
    # As the column holds it: what was written as 20 nm is 20 nm, though in pixels it was rounded.
    return (values.astype(np.float32), True) if single else (values, False)


def _known(name: str) -> str | None:
    """Return our name of a quantity for itself or one of its aliases, in any capitals."""
    lower = name.lower()
    if lower in QUANTITIES:
        return lower
    return next((known for known, about in QUANTITIES.items() if lower in about.aliases), None)


def _reason_against(name: str) -> str:
    """Return why a heading of a file is no name here; an empty text where it is none."""
    if name.lower() in _ROW_NUMBERS:
        return f"{name!r} numbers the rows of a file, and is not kept"
    match = _IN_BRACKETS.match(name)
    known = _known(match["name"]) if match else None
    if match is None or known is None:
        return ""
    unit = QUANTITIES[known].unit
    measured = f"is in {unit}" if unit else "has no unit"
    return f"{name!r}: {known} {measured} here; write {known}, and units after numbers"


def _own_source(table: Localizations, column: str, otherwise: str = UNKNOWN) -> Source:
    """Return where a column of the table's own is, with the unit in its name or another."""
    match = _IN_BRACKETS.match(column)
    unit = _BRACKET_UNITS.get(match["unit"].lower(), otherwise) if match else otherwise
    return Source((column,), "nm" if unit == "px" and table.pixel_size_nm is not None else unit, unit == "px")


def _unit_in(table: Localizations, unit: str, in_pixels: bool) -> str:
    return "px" if in_pixels and table.pixel_size_nm is None else unit


def _bare(column: str) -> str:
    """Return the name of a column without its unit in brackets, in small letters."""
    match = _IN_BRACKETS.match(column)
    return (match["name"] if match else column).lower()


def _suggested(name: str, table: Localizations) -> str:
    """Return a suggestion among what the table has, by its aliases too."""
    aliases = {alias: known for known, about in QUANTITIES.items() for alias in (known, *about.aliases)}
    there = names_in(table)
    names = [*there, *(alias for alias, known in aliases.items() if known in there)]
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return suggest(close[0], [close[0]]) if close else ""
