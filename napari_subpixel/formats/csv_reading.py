"""Reading text tables of any flavour."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import PixelSize, checked_pixel_size, pixel_length
from napari_subpixel.errors import InputError, InvalidRowsError, OriginError, PixelSizeError, TableWarning
from napari_subpixel.formats import notes
from napari_subpixel.formats.bare_names import check_units, with_units
from napari_subpixel.formats.csv_numbers import MISSING, first_fault, is_number, read_numbers
from napari_subpixel.formats.flavours import IN_PIXELS, Flavour, Place, Unit, Variant, origin_of
from napari_subpixel.formats.protocol import read_protocol
from napari_subpixel.formats.recognition import recognised
from napari_subpixel.formats.text_table import TextTable, look
from napari_subpixel.localizations import COLUMNS, LARGEST_WHOLE, Localizations


def read_csv(
    path: str | Path,
    flavours: Sequence[Flavour],
    *,
    pixel_size_nm: PixelSize | None = None,
    origin: str | tuple[float, int] | None = None,
    units: str | None = None,
    skip_invalid: bool = False,
) -> Localizations:
    """Read a text table of one of these flavours, recognised by its header.

    Parameters
    ----------
    path : path-like
        The file.
    flavours : sequence of Flavour
        What it may be.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width; without it the protocol file beside the
        table must give it, if it is in nm.
    origin : str or (float, int), optional
        Where the table counts from, one of `ORIGINS` or its two numbers, in place of the flavour's own custom.
    units : {"px", "nm", "um"}, optional
        What lengths are in whose headings name no unit.
    skip_invalid : bool
        Whether rows without a finite frame, x or y are left out, with a warning.

    Returns
    -------
    Localizations
        The rows; columns that hold no number at all are left out.

    Raises
    ------
    InputError
        If the file is missing, empty, of no known flavour, or holds what is not a number; or if the pixel size is not
        known, or the unit of lengths.
    """
    path = Path(path)
    text = look(path)
    flavour = recognised(text, flavours)
    about, stand_ins = read_protocol(path)
    size = pixel_size_nm if pixel_size_nm is not None else about.get("pixel_size_nm")
    flavour, places = with_units(text, flavour, flavour.places_in(text.header), units)
    if size is None and any(place.unit in IN_PIXELS for place in places.values()):
        partly_nm = any(place.unit in IN_PIXELS.values() for place in places.values())
        what = "some lengths are in nm and others in pixels" if partly_nm else "positions are in nm"
        raise PixelSizeError(f"{path}: {what} and the pixel size is not known", partly_nm=partly_nm)
    with naming(path):
        about["pixel_size_nm"] = size = None if size is None else checked_pixel_size(size)
        if origin is not None:
            flavour = replace(flavour, **origin_of(origin)._asdict())
    numbers, extra = read_numbers(text, places, _own_places(text, flavour, places))
    if text.first_row and not text.ends_whole():
        message = f"{path}: its last line has no end: where the file was cut off, the last row may be wrong"
        warnings.warn(message, TableWarning, stacklevel=4)
    if origin is None and not about.get("provenance"):
        flavour = _unmasked(text, flavour, extra, about)
    _check_numbers(text, flavour, numbers, skip_invalid)
    check_units(text, flavour, places, numbers, units, about)
    if skip_invalid:
        numbers, extra = _without_invalid(path, flavour, numbers, extra, about)
    columns: dict[str, NDArray[Any]] = {}
    for column in flavour.columns:
        values = numbers.pop(column.name, None)
        if values is None or column.name in stand_ins or (len(values) and np.isnan(values).all()):
            continue
        place = places[column.name]
        values = values if place.factor == 1.0 else values * place.factor
        for name in column.ours:
            length = None if size is None else pixel_length(name, size)
            ours = _as_ours(flavour.from_file(values, place.unit, length), name)
            columns[name] = (columns[name] + ours) / 2 if name in columns else ours
    own = {name: _whole(values) for name, values in extra.items() if not len(values) or not np.isnan(values).all()}
    with naming(path):
        return Localizations(columns, extra=own, **about, copy=False)


def _unmasked(
    text: TextTable, flavour: Flavour, extra: dict[str, NDArray[np.float64]], about: dict[str, Any]
) -> Flavour:
    """Return the flavour with the origin that this file has, and warn of what is assumed of it."""
    variant, assumed = flavour.variant, flavour.assumption
    if variant is not None and _is_variant(text, flavour, variant, extra):
        extra.pop(variant.zeros, None)
        flavour = replace(flavour, **variant.origin._asdict())
        about["provenance"] = {**(about.get("provenance") or {}), "read_as": variant.title}
        assumed = (
            f"read as {variant.title} (no quotes in the header, rows numbered from 0, {variant.zeros!r} all 0), with "
            "frames counted from 0 and positions from the centre of the first pixel"
        )
    if assumed:
        warnings.warn(f"{text.path}: {assumed}", TableWarning, stacklevel=5)
    return flavour


def _is_variant(text: TextTable, flavour: Flavour, variant: Variant, extra: Mapping[str, NDArray[np.float64]]) -> bool:
    if text.quoted or flavour.row_number not in text.header or not text.first_row:
        return False
    number = text.first_row[text.header.index(flavour.row_number)]
    return number in ("0", "0.0") and variant.zeros in extra and not extra[variant.zeros].any()


def _own_places(text: TextTable, flavour: Flavour, places: Mapping[str, Place]) -> dict[str, int]:
    """Return where a header lists columns that the flavour does not know, if they hold numbers."""
    taken = {place.column for place in places.values()}
    row = text.first_row
    return {
        name: index
        for index, name in enumerate(text.header)
        if index not in taken
        and name.lower() not in ("", flavour.row_number.lower())
        and name not in COLUMNS
        and text.header.count(name) == 1
        and (index >= len(row) or row[index] in MISSING or is_number(row[index], text.decimal))
    }


def _whole(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return whole numbers as such: text does not say of which type a column was."""
    is_whole = len(values) and np.all(values == np.floor(values)) and np.abs(values).max() <= LARGEST_WHOLE
    return values.astype(np.int64) if is_whole else values


def _as_ours(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a column of ours in its precision; whole numbers are not yet known to be whole."""
    return values.astype(np.float32) if COLUMNS[name][0] is np.float32 else values


def _check_numbers(
    text: TextTable, flavour: Flavour, numbers: Mapping[str, NDArray[np.float64]], skip_invalid: bool
) -> None:
    """Raise the error of the first fault, where a frame or position is not finite, or no frame of this flavour."""
    needed = [column for column in flavour.columns if column.required]
    places = flavour.places_in(text.header)
    finite = _are_finite([numbers[column.name] for column in needed])
    if not finite.all() and not skip_invalid:
        n_invalid = int(len(finite) - finite.sum())
        fault = first_fault(text, places, needed)
        fault = fault or "rows without a finite frame, x or y"
        raise InvalidRowsError(f"{text.path}: {fault} ({n_invalid:,} of {len(finite):,} rows)")
    for column in needed:
        if column.unit is Unit.FRAME:
            frames = numbers[column.name]
            frames = frames if finite.all() else frames[finite]
            first = frames.min(initial=math.inf)
            if first < flavour.first_frame or (frames != np.floor(frames)).any():
                fault = first_fault(text, places, needed, flavour, skip_invalid=skip_invalid)
                error = OriginError if first == 0 else InputError
                raise error(f"{text.path}: {fault}")


def _are_finite(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Say of each row whether it is finite in all of these columns."""
    finite = np.isfinite(columns[0])
    for values in columns[1:]:
        finite &= np.isfinite(values)
    return finite


def _without_invalid(
    path: Path,
    flavour: Flavour,
    numbers: dict[str, NDArray[np.float64]],
    extra: dict[str, NDArray[np.float64]],
    about: dict[str, Any],
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the columns without the rows that lack a frame or position, and warn of how many those are."""
    finite = _are_finite([numbers[column.name] for column in flavour.columns if column.required])
    if finite.all():
        return numbers, extra
    about["provenance"] = notes.with_left_out(path, about.get("provenance"), finite, stacklevel=6)
    return ({name: a[finite] for name, a in numbers.items()}, {name: a[finite] for name, a in extra.items()})
