"""Flavours of text tables: each a small map from a program's columns to ours, with where it counts from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from napari_subpixel.coordinates import CENTRE_AT_ZERO, CENTRE_FROM_CORNER, nm_to_px, px_to_nm
from napari_subpixel.errors import InputError, PixelSizeError, suggest

#: Units of length in headers, and how many nm each is; a pixel is of the camera's size.
LENGTHS_NM = {"nm": 1.0, "nanometer": 1.0, "um": 1000.0, "\xb5m": 1000.0, "\u03bcm": 1000.0, "micrometer": 1000.0}
LENGTHS_NM |= {"micron": 1000.0, "microns": 1000.0}
#: How headers name pixels.
PIXELS = ("px", "pix", "pixel", "pixels")
#: How headers name photons.
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
    unless : tuple of str
        Columns of the flavour of which none may be there: they hold the same, and more exactly.
    """

    name: str
    ours: tuple[str, ...]
    unit: Unit = Unit.AS_IS
    required: bool = False
    always_written: bool = False
    aliases: tuple[str, ...] = ()
    digits: int = 4
    unless: tuple[str, ...] = ()

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
    lengths : {"named", "pixels", "unknown"}
        Whether headings name the units of lengths, or not, and these are in pixels by the program's custom, or must be
        given.
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
    lengths: Literal["named", "pixels", "unknown"] = "named"

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
        places = {name: place for name, place in found if place is not None}
        idle = [column.name for column in self.columns if not places.keys().isdisjoint(column.unless)]
        return {name: place for name, place in places.items() if name not in idle}

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
            Length of a camera pixel along this axis, in nm; needed for what is in nm.
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
            Length of a camera pixel along this axis, in nm.
        """
        if unit is Unit.FRAME:
            return values + self.first_frame
        if unit is Unit.POSITION_NM:
            return px_to_nm(values, pixel_size_nm, first_centre_px=self.first_centre_px)
        if unit is Unit.LENGTH_NM:
            return px_to_nm(values, pixel_size_nm, first_centre_px=CENTRE_AT_ZERO)
        return values
