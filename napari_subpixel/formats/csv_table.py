"""Csv tables: each flavour is a small map from its columns to ours; one reader and one writer serve them all."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write, open_input
from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import CENTRE_AT_ZERO, checked_pixel_size, nm_to_px, px_to_nm
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.formats import notes
from napari_subpixel.localizations import COLUMNS, LocalizationParts, Localizations

#: Longest header that is read.
MAX_HEADER_CHARACTERS = 1 << 16


class Unit(Enum):
    """What a file's column holds, and so how it becomes ours."""

    FRAME = auto()  #: frame numbers, counted from the flavour's first frame
    POSITION_NM = auto()  #: a place in nm, measured from the flavour's origin
    LENGTH_NM = auto()  #: a length in nm; ours is in pixels
    AS_IS = auto()  #: the same number in both


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

    def found_in(self, header: Sequence[str]) -> str | None:
        """Return the name under which a header lists this column, or None."""
        return next((name for name in (self.name, *self.aliases) if name in header), None)


@dataclass(frozen=True)
class Flavour:
    """One program's csv file.

    Attributes
    ----------
    title : str
        Its name in messages.
    columns : tuple of Column
        The columns that are understood, in the order in which they are written; others are ignored.
    first_centre_px : float
        Where the file puts the centre of the first pixel, in pixels.
    first_frame : int
        The number of the first frame.
    identified_by : tuple of str
        Names of further columns by which a file is recognised as this flavour.
    row_number : str
        Name of a leading column that numbers the rows from 1 when written; empty where there is none.
    quoted : bool
        Whether the names in the header stand in quotes.
    header_end : str
        What is written after the last name of the header.
    """

    title: str
    columns: tuple[Column, ...]
    first_centre_px: float
    first_frame: int = 1
    identified_by: tuple[str, ...] = ()
    row_number: str = ""
    quoted: bool = False
    header_end: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """Names that a header must list."""
        return (*(c.name for c in self.columns if c.required), *self.identified_by)

    @property
    def known(self) -> set[str]:
        """Names that are understood."""
        return {name for column in self.columns for name in (column.name, *column.aliases)} | set(self.identified_by)

    def missing_from(self, header: Sequence[str]) -> list[str]:
        """Return the needed names that a header does not list."""
        return [name for name in self.needed if name not in header]

    def from_file(self, values: NDArray[Any], unit: Unit, pixel_size_nm: float) -> NDArray[Any]:
        """Convert a file's numbers to ours.

        Parameters
        ----------
        values : ndarray, shape (N,)
            The file's numbers.
        unit : Unit
            What they are.
        pixel_size_nm : float
            Width of a camera pixel in nm.
        """
        if unit is Unit.FRAME:
            return values - self.first_frame
        if unit is Unit.POSITION_NM:
            return nm_to_px(values, pixel_size_nm, first_centre_px=self.first_centre_px)
        if unit is Unit.LENGTH_NM:
            return nm_to_px(values, pixel_size_nm, first_centre_px=CENTRE_AT_ZERO)
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


def read_csv(path: str | Path, flavours: Sequence[Flavour], *, pixel_size_nm: float | None = None) -> Localizations:
    """Read a csv table of one of these flavours, recognised by its header.

    Parameters
    ----------
    path : path-like
        The file.
    flavours : sequence of Flavour
        What it may be.
    pixel_size_nm : float, optional
        Width of a camera pixel in nm; without it the protocol file beside the table must give it.

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
    line = _header_line(path)
    header = _names(line)
    flavour = _recognised(path, header, flavours)
    about, stand_ins = _read_protocol(path)
    size = pixel_size_nm if pixel_size_nm is not None else about.get("pixel_size_nm")
    if size is None:
        raise PixelSizeError(f"{path}: positions are in nm and the pixel size is not known")
    with naming(path):
        about["pixel_size_nm"] = size = checked_pixel_size(size)
    numbers = _read_numbers(path, line, header, flavour)
    columns: dict[str, NDArray[Any]] = {}
    for column in flavour.columns:
        values = numbers.pop(column.name, None)
        if values is None or column.name in stand_ins or (len(values) and np.isnan(values).all()):
            continue
        columns |= _as_ours(flavour.from_file(values, column.unit, size), column)
    with naming(path):
        return Localizations(columns, **about, copy=False)


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
    header = _names(_header_line(Path(path)))
    return any(not f.missing_from(header) for f in flavours) or _is_alike(_likeness(header, f) for f in flavours)


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


def _header_line(path: Path) -> str:
    """Return the first line of a text file, its end of line included."""
    try:
        with open_input(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            return text.readline(MAX_HEADER_CHARACTERS)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a csv table: its first line is not text") from None


def _names(line: str) -> list[str]:
    """Return the names that a header lists."""
    return [name.strip() for name in next(csv.reader([line]), [])]


def _recognised(path: Path, header: list[str], flavours: Sequence[Flavour]) -> Flavour:
    """Return the flavour of a header, or raise `InputError` that says what is missing from the closest one."""
    for flavour in flavours:
        if not flavour.missing_from(header):
            for name in flavour.known & {name for name in header if header.count(name) > 1}:
                raise InputError(f"{path}: column {name!r} is there {header.count(name)} times")
            return flavour
    likeness = [_likeness(header, flavour) for flavour in flavours]
    best = flavours[int(np.argmax(likeness))]
    if len(flavours) > 1 and not _is_alike(likeness):
        known = "; ".join(f"{f.title}: {','.join(f.needed)}" for f in flavours)
        raise InputError(f"{path}: unknown header {_listed(header)}; known are {known}")
    raise InputError(f"{path}: not a {best.title}: {_what_is_missing(header, best)}")


def _is_alike(likeness: Iterable[float]) -> bool:
    """Say whether more than the column of frames, which many tables have, is alike."""
    return max(likeness) > 1


def _likeness(header: list[str], flavour: Flavour) -> float:
    """Count the needed names that a header lists; one that merely looks like one counts half."""
    alike = [_looks_like(name, header, flavour) for name in flavour.needed]
    return sum(
        1.0 if like == name else 0.5 for name, like in zip(flavour.needed, alike, strict=True) if like is not None
    )


def _what_is_missing(header: list[str], flavour: Flavour) -> str:
    missing = []
    for name in flavour.missing_from(header):
        like = _looks_like(name, header, flavour)
        missing.append(f"{name!r} (is it {like!r}?)" if like else repr(name))
    return f"missing column {', '.join(missing)}; there are {_listed(header)}"


def _looks_like(name: str, header: list[str], flavour: Flavour) -> str | None:
    """Return the name in the header that is this one, or looks like it and is no other known one."""
    if name in header:
        return name
    by_lower_case = {n.lower(): n for n in header if n not in flavour.known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None


def _listed(header: list[str]) -> str:
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
        return notes.to_about(values), values.get("stand_ins") or {}


def _read_numbers(path: Path, line: str, header: list[str], flavour: Flavour) -> dict[str, NDArray[np.float64]]:
    """Return the understood columns by the flavour's names; what is not a number raises `InputError` with its line."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    places = {column.name: name for column in flavour.columns if (name := column.found_in(header))}
    if not line.endswith(("\n", "\r")):
        return {name: np.empty(0) for name in places}
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=header, skip_rows=1),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(places.values()),
                column_types=dict.fromkeys(places.values(), pa.float64()),
                null_values=["", "NaN", "nan"],
            ),
        )
    except (pa.ArrowInvalid, OSError) as error:
        fault = _first_fault(path, header, flavour) or " ".join(str(error).split())
        raise InputError(f"{path}: {fault}") from None
    numbers = {}
    for name, place in places.items():
        numbers[name] = table[place].to_numpy()
        table = table.drop_columns(place)  # since memory may not hold a large table twice
    for column in flavour.columns:
        if column.required and not _all_valid(numbers[column.name], column.unit, flavour.first_frame):
            raise InputError(f"{path}: {_first_fault(path, header, flavour)}")
    return numbers


def _all_valid(values: NDArray[np.float64], unit: Unit, first_frame: int) -> bool:
    valid = np.isfinite(values)
    if unit is Unit.FRAME:
        valid &= (values == np.floor(values)) & (values >= first_frame)
    return bool(valid.all())


def _first_fault(path: Path, header: list[str], flavour: Flavour) -> str | None:
    """Go through a table cell by cell, slowly, and say what is wrong at the first fault."""
    places = [(column, header.index(name)) for column in flavour.columns if (name := column.found_in(header))]
    for number, cells in _lines(path):
        if len(cells) != len(header):
            return f"line {number} has {len(cells)} values, the header has {len(header)}"
        for column, place in places:
            if fault := _cell_fault(cells[place].strip(), column, flavour):
                return f"line {number}, column {header[place]!r}: {fault}"
    return None


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        next(reader, None)
        yield from ((reader.line_num, cells) for cells in reader if cells)


def _cell_fault(text: str, column: Column, flavour: Flavour) -> str | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return f"expected a number, got {text!r}"
    if not column.required:
        return None
    if not math.isfinite(value):
        return f"expected a finite number, got {text!r}"
    if column.unit is Unit.FRAME and value != math.floor(value):
        return f"expected a whole number, got {text!r}"
    if column.unit is Unit.FRAME and value < flavour.first_frame:
        return f"frame {text}, but a {flavour.title} counts frames from {flavour.first_frame}"
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
    return columns, stand_ins


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the root mean square of several columns, or the only one as it is, in double precision."""
    if len(parts) == 1:
        return parts[0] if parts[0].dtype.kind == "i" else parts[0].astype(np.float64)
    return np.sqrt(np.mean(np.square(np.asarray(parts, dtype=np.float64)), axis=0))


def _header(columns: Mapping[str, NDArray[Any]], flavour: Flavour) -> bytes:
    quote = '"' if flavour.quoted else ""
    return (",".join(f"{quote}{name}{quote}" for name in columns) + flavour.header_end + "\n").encode()


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
