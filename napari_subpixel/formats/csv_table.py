"""Text tables: each flavour is a small map from its columns to ours; one reader and one writer serve them all."""

from __future__ import annotations

import difflib
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import (
    CENTRE_AT_ZERO,
    CENTRE_FROM_CORNER,
    checked_pixel_size,
    nm_to_px,
    px_to_nm,
)
from napari_subpixel.errors import InputError, InvalidRowsError, OriginError, PixelSizeError, TableWarning, suggest
from napari_subpixel.formats import notes
from napari_subpixel.formats.text_table import TextTable, look
from napari_subpixel.localizations import COLUMNS, LARGEST_WHOLE, LocalizationParts, Localizations

#: How a missing value is written, by various programs.
MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "-"]
#: Units of length in headers, and how many nm each is; a pixel is of the camera's size.
LENGTHS_NM = {"nm": 1.0, "nanometer": 1.0, "um": 1000.0, "\xb5m": 1000.0, "\u03bcm": 1000.0, "micrometer": 1000.0}
LENGTHS_NM |= {"micron": 1000.0, "microns": 1000.0}
PIXELS = ("px", "pix", "pixel", "pixels")
PHOTONS = ("photon", "photons", "ph")
#: A name in a header with its unit in brackets.
WITH_UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(]\s*(?P<unit>[^\])]*?)\s*[\])]$")


class Origin(NamedTuple):
    """Where a table counts from: the coordinate, in pixels, of the first pixel's centre, and the first frame."""

    first_centre_px: float
    first_frame: int


#: The origins that can be asked for by name.
ORIGINS = {
    "thunderstorm": Origin(CENTRE_FROM_CORNER, 1),
    "picasso": Origin(CENTRE_AT_ZERO, 0),
    "smap": Origin(1.0, 1),
}


def origin_of(origin: str | tuple[float, int]) -> Origin:
    """Return an origin by its name or its two numbers.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(origin, str):
        if origin not in ORIGINS:
            raise InputError(f"unknown origin {origin!r}{suggest(origin, ORIGINS)}; there are {', '.join(ORIGINS)}")
        return ORIGINS[origin]
    try:
        centre, first = origin
        if math.isfinite(centre) and int(first) == first and first >= 0:
            return Origin(float(centre), int(first))
    except (TypeError, ValueError):
        pass
    raise InputError(f"an origin is a coordinate in pixels and the number of the first frame, got {origin!r}")


class Unit(Enum):
    """What a file's column holds, and so how it becomes ours."""

    FRAME = auto()  #: frame numbers, counted from the flavour's first frame
    POSITION_NM = auto()  #: a place in nm, measured from the flavour's origin
    LENGTH_NM = auto()  #: a length in nm; ours is in pixels
    POSITION_PX = auto()  #: a place in pixels, measured from the flavour's origin
    LENGTH_PX = auto()  #: a length in pixels
    DEPTH_NM = auto()  #: an axial position in nm, as ours
    AS_IS = auto()  #: the same number in both


#: The same quantity in pixels.
IN_PIXELS = {Unit.POSITION_NM: Unit.POSITION_PX, Unit.LENGTH_NM: Unit.LENGTH_PX}


class Place(NamedTuple):
    """Where a header lists a column, in which unit, and what its numbers are multiplied by first."""

    column: int
    unit: Unit
    factor: float = 1.0


@dataclass(frozen=True)
class Column:
    """One column of a flavour.

    Attributes
    ----------
    name : str
        Its name in the file, without quotes and without spaces at its ends.
    ours : tuple of str
        Our columns that it fills; where they are several it is written as their root mean square.
    unit : Unit
        How its numbers become ours.
    required : bool
        Whether a file without it cannot be read.
    always_written : bool
        Whether it is written, as zeros, even where it was not measured.
    aliases : tuple of str
        Other names that are read as well.
    digits : int
        Decimal places that are written.
    """

    name: str
    ours: tuple[str, ...]
    unit: Unit = Unit.AS_IS
    required: bool = False
    always_written: bool = False
    aliases: tuple[str, ...] = ()
    digits: int = 4

    def place_in(self, header: Sequence[str]) -> Place | None:
        """Return where a header lists this column, or None.

        A name of another spelling will do: capitals, spaces, round brackets, another unit of length.
        """
        exact = next((name for name in (self.name, *self.aliases) if name in header), None)
        if exact is not None:
            return Place(header.index(exact), self.unit)
        spelled = (self._spelled(name, index) for index, name in enumerate(header))
        return next((place for place in spelled if place is not None), None)

    def _spelled(self, name: str, index: int) -> Place | None:
        bare, unit = _bare_and_unit(name)
        for known, known_unit in map(_bare_and_unit, (self.name, *self.aliases)):
            if bare != known:
                continue
            if unit == known_unit:
                return Place(index, self.unit)
            if known_unit in LENGTHS_NM and unit in LENGTHS_NM:
                return Place(index, self.unit, LENGTHS_NM[unit] / LENGTHS_NM[known_unit])
            if known_unit in LENGTHS_NM and unit in PIXELS and self.unit in IN_PIXELS:
                return Place(index, IN_PIXELS[self.unit])
            if known_unit in PHOTONS and unit in PHOTONS:
                return Place(index, self.unit)
        return None


def _bare_and_unit(name: str) -> tuple[str, str]:
    """Return a name without its unit, its spaces and its capitals, and the unit."""
    match = WITH_UNIT.match(name)
    bare, unit = (match["name"], match["unit"]) if match else (name, "")
    return re.sub(r"[\s_]+", "", bare).lower(), unit.lower()


@dataclass(frozen=True)
class Variant:
    """Another program's table in the guise of a flavour, given away by what the true one never has.

    Its header is not in quotes, its rows are numbered from 0, and one column holds nothing but 0.

    Attributes
    ----------
    title : str
        Its name in messages.
    origin : Origin
        Where it counts from.
    zeros : str
        The column that holds nothing but 0, and so nothing that was measured.
    """

    title: str
    origin: Origin
    zeros: str


@dataclass(frozen=True)
class Flavour:
    """One program's csv file.

    Attributes
    ----------
    title : str
        Its name in messages.
    columns : tuple of Column
        The columns that are understood, in the order in which they are written; others are kept under their names.
    first_centre_px : float
        Where the file puts the centre of the first pixel, in pixels.
    first_frame : int
        The number of the first frame.
    identified_by : tuple of str
        Names of further columns by which a file is recognised as this flavour.
    row_number : str
        Name of a leading column that numbers the rows, from 1 when written; empty where there is none.
    quoted : bool
        Whether the names in the header stand in quotes.
    header_end : str
        What is written after the last name of the header.
    holds_extra : bool
        Whether columns that are not ours are written too.
    variant : Variant, optional
        A table of another program that is easily taken for this one.
    assumption : str
        What is assumed of such files since it is documented nowhere; reading one warns of it.
    """

    title: str
    columns: tuple[Column, ...]
    first_centre_px: float
    first_frame: int = 1
    identified_by: tuple[str, ...] = ()
    row_number: str = ""
    quoted: bool = False
    header_end: str = ""
    holds_extra: bool = False
    variant: Variant | None = None
    assumption: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """Names that a header must list."""
        return (*(c.name for c in self.columns if c.required), *self.identified_by)

    @property
    def known(self) -> set[str]:
        """Names that are understood."""
        return {name for column in self.columns for name in (column.name, *column.aliases)} | set(self.identified_by)

    def places_in(self, header: Sequence[str]) -> dict[str, Place]:
        """Return where a header lists each column, by the flavour's name of it."""
        found = ((column.name, column.place_in(header)) for column in self.columns)
        return {name: place for name, place in found if place is not None}

    def missing_from(self, header: Sequence[str]) -> list[str]:
        """Return the needed names that a header does not list."""
        places = self.places_in(header)
        return [name for name in self.needed if name not in places and name not in header]

    def fit(self, header: Sequence[str]) -> tuple[int, int]:
        """Return how many columns a header lists under any spelling, and under their very names."""
        return len(self.places_in(header)), len(self.known & set(header))

    def from_file(self, values: NDArray[Any], unit: Unit, pixel_size_nm: float | None) -> NDArray[Any]:
        """Convert a file's numbers to ours.

        Parameters
        ----------
        values : ndarray, shape (N,)
            The file's numbers.
        unit : Unit
            What they are.
        pixel_size_nm : float, optional
            Width of a camera pixel in nm; needed for what is in nm.
        """
        if unit is Unit.FRAME:
            return values - self.first_frame
        if pixel_size_nm is None and unit in IN_PIXELS:
            raise PixelSizeError("positions are in nm and the pixel size is not known")
        if unit is Unit.POSITION_NM:
            return nm_to_px(values, pixel_size_nm or 0.0, first_centre_px=self.first_centre_px)
        if unit is Unit.LENGTH_NM:
            return nm_to_px(values, pixel_size_nm or 0.0, first_centre_px=CENTRE_AT_ZERO)
        if unit is Unit.POSITION_PX:
            return nm_to_px(values, 1.0, first_centre_px=self.first_centre_px)
        return values

    def to_file(self, values: NDArray[Any], unit: Unit, pixel_size_nm: float) -> NDArray[Any]:
        """Convert our numbers to the file's; the inverse of `from_file`.

        Parameters
        ----------
        values : ndarray, shape (N,)
            Our numbers.
        unit : Unit
            What they are.
        pixel_size_nm : float
            Width of a camera pixel in nm.
        """
        if unit is Unit.FRAME:
            return values + self.first_frame
        if unit is Unit.POSITION_NM:
            return px_to_nm(values, pixel_size_nm, first_centre_px=self.first_centre_px)
        if unit is Unit.LENGTH_NM:
            return px_to_nm(values, pixel_size_nm, first_centre_px=CENTRE_AT_ZERO)
        return values


def protocol_file(path: str | Path) -> Path:
    """Return the file beside a csv table that holds what the table cannot: ``<stem>-protocol.txt``."""
    path = Path(path)
    return path.with_name(f"{path.stem}-protocol.txt")


def outputs(path: str | Path) -> tuple[Path, ...]:
    """Return the files that a csv table is written to, the table first."""
    return Path(path), protocol_file(path)


def read_csv(
    path: str | Path,
    flavours: Sequence[Flavour],
    *,
    pixel_size_nm: float | None = None,
    origin: str | tuple[float, int] | None = None,
    skip_invalid: bool = False,
) -> Localizations:
    """Read a text table of one of these flavours, recognised by its header.

    Parameters
    ----------
    path : path-like
        The file.
    flavours : sequence of Flavour
        What it may be.
    pixel_size_nm : float, optional
        Width of a camera pixel in nm; without it the protocol file beside the table must give it, if it is in nm.
    origin : str or (float, int), optional
        Where the table counts from, one of `ORIGINS` or its two numbers, in place of the flavour's own custom.
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
        known.
    """
    path = Path(path)
    text = look(path)
    flavour = _recognised(text, flavours)
    about, stand_ins = _read_protocol(path)
    size = pixel_size_nm if pixel_size_nm is not None else about.get("pixel_size_nm")
    places = flavour.places_in(text.header)
    if size is None and any(place.unit in IN_PIXELS for place in places.values()):
        raise PixelSizeError(f"{path}: positions are in nm and the pixel size is not known")
    with naming(path):
        about["pixel_size_nm"] = size = None if size is None else checked_pixel_size(size)
        if origin is not None:
            flavour = replace(flavour, **origin_of(origin)._asdict())
    numbers, extra = _read_numbers(text, places, _own_places(text, flavour, places))
    if text.first_row and not text.ends_whole():
        message = f"{path}: its last line has no end: where the file was cut off, the last row may be wrong"
        warnings.warn(message, TableWarning, stacklevel=4)
    if origin is None and not about.get("provenance"):
        flavour = _unmasked(text, flavour, extra, about)
    _check_numbers(text, flavour, numbers, skip_invalid)
    if skip_invalid:
        numbers, extra = _without_invalid(path, flavour, numbers, extra, about)
    columns: dict[str, NDArray[Any]] = {}
    for column in flavour.columns:
        values = numbers.pop(column.name, None)
        if values is None or column.name in stand_ins or (len(values) and np.isnan(values).all()):
            continue
        place = places[column.name]
        values = values if place.factor == 1.0 else values * place.factor
        for name, ours in _as_ours(flavour.from_file(values, place.unit, size), column).items():
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
        and (index >= len(row) or row[index] in MISSING or _is_number(row[index], text.decimal))
    }


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _whole(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return whole numbers as such: text does not say of which type a column was."""
    is_whole = len(values) and np.all(values == np.floor(values)) and np.abs(values).max() <= LARGEST_WHOLE
    return values.astype(np.int64) if is_whole else values


def _as_ours(values: NDArray[Any], column: Column) -> dict[str, NDArray[Any]]:
    """Return our columns, each an array of its own; whole numbers are not yet known to be whole."""
    kinds = {name: COLUMNS[name][0] for name in column.ours}
    return {name: values.astype(kind) if kind is np.float32 else values for name, kind in kinds.items()}


def is_flavoured(path: str | Path, flavours: Sequence[Flavour]) -> bool:
    """Say whether the header of a csv table is one of these flavours', or like one with a column missing or misspelt.

    Raises
    ------
    InputError
        If the file is missing, empty or no text.
    """
    header = look(path).header
    return any(not f.missing_from(header) for f in flavours) or any(_is_alike(header, f) for f in flavours)


def write_csv(
    path: str | Path, localizations: Localizations | LocalizationParts, flavour: Flavour, *, overwrite: bool = False
) -> None:
    """Write a csv table, and its protocol file beside it.

    Parameters
    ----------
    path : path-like
        The csv file.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    flavour : Flavour
        What its columns are called and measured in.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If the pixel size is not known, a file exists and may not be replaced, or it cannot be written.
    """
    table, protocol = outputs(path)
    for file in (table, protocol):
        check_can_write(file, overwrite=overwrite)
    parts = LocalizationParts.of(localizations)
    size = parts.about.get("pixel_size_nm")
    if size is None:
        raise PixelSizeError(f"{table}: positions are written in nm and the pixel size is not known")
    with atomic_output(table) as draft:
        n_rows = 0
        with draft.open("wb") as content:
            for part in parts:
                columns, stand_ins = _file_columns(part, flavour, size, first_row=n_rows + 1)
                if not content.tell():
                    content.write(_header(columns, flavour))
                _write_numbers(content, columns)
                n_rows += len(part)
        about = notes.from_about(parts.about, stand_ins=stand_ins)
        with atomic_output(protocol) as beside:  # in place before the table, which alone makes the result look whole
            beside.write_text(notes.to_json({"program": notes.PROGRAM, **about}), encoding="utf-8")


def _recognised(text: TextTable, flavours: Sequence[Flavour]) -> Flavour:
    """Return the flavour of a header, or raise `InputError` that says what is missing from the closest ones."""
    path, header = text.path, text.header
    if fitting := [flavour for flavour in flavours if not flavour.missing_from(header)]:
        flavour = max(fitting, key=lambda flavour: flavour.fit(header))
        for name in flavour.known & {name for name in header if header.count(name) > 1}:
            raise InputError(f"{path}: column {name!r} is there {header.count(name)} times")
        return flavour
    found = _listed(header) + ("" if text.separator == "," else f" (separated by {text.separated_by})")
    if len(flavours) > 1 and not any(_is_alike(header, flavour) for flavour in flavours):
        known = "; ".join(f"{f.title}: {','.join(f.needed)}" for f in flavours)
        raise InputError(f"{path}: unknown header {found}; known are {known}")
    likeness = [(_likeness(header, flavour), flavour.fit(header)[1]) for flavour in flavours]
    lacking = [_what_is_missing(header, f) for f, like in zip(flavours, likeness, strict=True) if like == max(likeness)]
    raise InputError(f"{path}: {'; '.join(lacking)}; there are {found}")


def _is_alike(header: Sequence[str], flavour: Flavour) -> bool:
    """Say whether more than half of the needed names, and more than that of frames, are alike."""
    return _likeness(header, flavour) > max(1, len(flavour.needed) / 2)


def _likeness(header: Sequence[str], flavour: Flavour) -> float:
    """Count the needed names that a header lists; one that merely looks like one counts half."""
    missing = flavour.missing_from(header)
    alike = sum(_looks_like(name, header, flavour) is not None for name in missing)
    return len(flavour.needed) - len(missing) + alike / 2


def _what_is_missing(header: Sequence[str], flavour: Flavour) -> str:
    missing = []
    for name in flavour.missing_from(header):
        like = _looks_like(name, header, flavour)
        missing.append(f"{name!r} (is it {like!r}?)" if like else repr(name))
    return f"not a {flavour.title}: missing column {', '.join(missing)}"


def _looks_like(name: str, header: Sequence[str], flavour: Flavour) -> str | None:
    """Return the name in the header that is this one, or looks like it and is no other known one."""
    if name in header:
        return name
    taken = {place.column for place in flavour.places_in(header).values()}
    by_lower_case = {n.lower(): n for index, n in enumerate(header) if index not in taken}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None


def _listed(header: Sequence[str]) -> str:
    text = ", ".join(map(repr, header)) or "none"
    return text if len(text) <= 300 else f"{text[:300]}..."


def csv_about(path: str | Path) -> dict[str, Any]:
    """Return what our own protocol file says of a table; nothing where there is none or it is another program's."""
    return _read_protocol(Path(path))[0]


def _read_protocol(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what our own protocol file says, and its stand-ins; nothing where there is none or it is another's."""
    file = protocol_file(path)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, {}
    if not isinstance(values, dict) or values.get("program") != notes.PROGRAM:
        return {}, {}
    with naming(file):
        return notes.to_about(values), notes.named_entries(values.get("stand_ins"), "stand_ins")


def _read_numbers(
    text: TextTable, places: Mapping[str, Place], own_places: Mapping[str, int]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the understood columns by the flavour's names, and the others by theirs.

    What is not a number raises `InputError` with its line. Rows are parsed as they lie in the file if possible; else
    without comments and quotes, then without columns that are not understood, then with decimal commas.
    """
    import pyarrow as pa

    known = {name: place.column for name, place in places.items()}
    if not text.first_row:
        return {name: np.empty(0) for name in known}, {name: np.empty(0) for name in own_places}
    attempts = [(text, False, own_places)] if text.is_plain else []
    attempts += [(text, True, own_places), (text, True, {})]
    if text.decimal == "." and text.separator != ",":
        attempts += [(replace(text, decimal=","), True, own_places), (replace(text, decimal=","), True, {})]
    errors = []
    for attempt, cleaned, others in attempts:
        try:
            numbers = _parsed(attempt, [*known.values(), *others.values()], cleaned=cleaned)
        except (pa.ArrowInvalid, OSError) as error:
            errors.append(" ".join(str(error).split()))
            continue
        return (
            {name: numbers[index] for name, index in known.items()},
            {name: numbers[index] for name, index in others.items()},
        )
    raise InputError(f"{text.path}: {_first_fault(text, places, ()) or errors[0]}")


def _parsed(text: TextTable, indices: Sequence[int], *, cleaned: bool) -> dict[int, NDArray[np.float64]]:
    """Return columns by their places."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(index) for index in range(len(text.header))]
    included = [names[index] for index in indices]
    table = arrow_csv.read_csv(
        pa.BufferReader(text.clean_rows()) if cleaned else text.path,
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=0 if cleaned else text.n_lines_before),
        parse_options=arrow_csv.ParseOptions(delimiter=text.separator),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=included,
            column_types=dict.fromkeys(included, pa.float64()),
            null_values=MISSING,
            decimal_point=text.decimal,
        ),
    )
    numbers = {}
    for index in indices:
        numbers[index] = table[names[index]].to_numpy()
        table = table.drop_columns(names[index])  # since memory may not hold a large table twice
    return numbers


def _check_numbers(
    text: TextTable, flavour: Flavour, numbers: Mapping[str, NDArray[np.float64]], skip_invalid: bool
) -> None:
    """Raise the error of the first fault, where a frame or position is not finite, or no frame of this flavour."""
    needed = [column for column in flavour.columns if column.required]
    places = flavour.places_in(text.header)
    finite = _are_finite([numbers[column.name] for column in needed])
    if not finite.all() and not skip_invalid:
        n_invalid = int(len(finite) - finite.sum())
        fault = _first_fault(text, places, needed)
        fault = fault or "rows without a finite frame, x or y"
        raise InvalidRowsError(f"{text.path}: {fault} ({n_invalid:,} of {len(finite):,} rows)")
    for column in needed:
        if column.unit is Unit.FRAME:
            frames = numbers[column.name]
            frames = frames if finite.all() else frames[finite]
            first = frames.min(initial=math.inf)
            if first < flavour.first_frame or (frames != np.floor(frames)).any():
                fault = _first_fault(text, places, needed, flavour, skip_invalid=skip_invalid)
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


def _first_fault(
    text: TextTable,
    places: Mapping[str, Place],
    needed: Sequence[Column],
    flavour: Flavour | None = None,
    *,
    skip_invalid: bool = False,
) -> str | None:
    """Go through a table cell by cell, slowly, and say what is wrong at the first fault.

    Cells of columns that are needed must be finite, and frames of the flavour, where it is given, whole numbers from
    its first.
    """
    finite = {column.name for column in needed}
    for number, cells in text.rows():
        if len(cells) != len(text.header):
            return f"line {number} has {len(cells)} values, the header has {len(text.header)}"
        for name, place in places.items():
            cell = cells[place.column].strip()
            value = _value(cell, text.decimal)
            if value is None and not (cell in MISSING and name not in finite):
                if not (skip_invalid and cell in MISSING):
                    return f"line {number}, column {text.header[place.column]!r}: expected a number, got {cell!r}"
            elif name in finite and not math.isfinite(value or 0.0) and not skip_invalid:
                return f"line {number}, column {text.header[place.column]!r}: expected a finite number, got {cell!r}"
            elif (
                flavour is not None
                and place.unit is Unit.FRAME
                and math.isfinite(value or 0.0)
                and (fault := _frame_fault(value or 0.0, cell, flavour))
            ):
                return f"line {number}, column {text.header[place.column]!r}: {fault}"
    return None


def _value(cell: str, decimal: str) -> float | None:
    """Return the number in a cell, NaN for an empty one, None for what is no number."""
    try:
        return float(cell.replace(decimal, ".")) if cell else math.nan
    except ValueError:
        return None


def _frame_fault(value: float, cell: str, flavour: Flavour) -> str | None:
    if value != math.floor(value):
        return f"expected a whole number, got {cell!r}"
    if value < flavour.first_frame:
        return f"frame {cell}, but a {flavour.title} counts frames from {flavour.first_frame}"
    return None


def _file_columns(
    localizations: Localizations, flavour: Flavour, pixel_size_nm: float, first_row: int
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the columns to write, by their names in the file, and the stand-ins among them."""
    columns: dict[str, NDArray[Any]] = {}
    stand_ins: dict[str, str] = {}
    if flavour.row_number:
        columns[flavour.row_number] = np.arange(first_row, first_row + len(localizations))
    for column in flavour.columns:
        if all(name in localizations for name in column.ours):
            values = _joined([localizations[name] for name in column.ours])
            values = flavour.to_file(values, column.unit, pixel_size_nm)
            columns[column.name] = values if values.dtype.kind == "i" else np.round(values, column.digits)
        elif column.always_written:
            columns[column.name] = np.zeros(len(localizations), np.int64)
            stand_ins[column.name] = "0, not measured"
    if flavour.holds_extra:
        columns |= {name: localizations[name] for name in localizations.extra if name not in columns}
    return columns, stand_ins


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the root mean square of several columns, or the only one as it is, in double precision."""
    if len(parts) == 1:
        return parts[0] if parts[0].dtype.kind == "i" else parts[0].astype(np.float64)
    return np.sqrt(np.mean(np.square(np.asarray(parts, dtype=np.float64)), axis=0))


def _header(columns: Mapping[str, NDArray[Any]], flavour: Flavour) -> bytes:
    quote = '"' if flavour.quoted else ""
    names = (name.replace('"', '""') for name in columns)
    return (",".join(f"{quote}{name}{quote}" for name in names) + flavour.header_end + "\n").encode()


def _write_numbers(file: BinaryIO, columns: Mapping[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    table = pa.table({name: _written(values) for name, values in columns.items()})
    arrow_csv.write_csv(table, file, arrow_csv.WriteOptions(include_header=False, quoting_style="none"))


def _written(values: NDArray[Any]) -> Any:
    """Return an arrow array in which a missing value is spelt NaN, as Java and Python read it."""
    import pyarrow as pa

    if values.dtype.kind == "f" and np.isnan(values).any():
        return pa.array(values, from_pandas=True).cast(pa.string()).fill_null("NaN")
    return pa.array(values)
