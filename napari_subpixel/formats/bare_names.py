"""Headings that name no unit of length: which one it is, as given, or as numbers and the file next to them allow."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.errors import InputError, TableWarning, UnitsError, WarningKind, suggest
from napari_subpixel.formats import notes, plain_csv
from napari_subpixel.formats.flavours import IN_PIXELS, LENGTHS_NM, Flavour, Place, Unit
from napari_subpixel.formats.picasso_description import foreign_notes, read_description_file, yaml_file
from napari_subpixel.formats.text_table import TextTable

#: The units that can be given; a pixel is of the camera's size.
UNITS = ("px", "nm", "um")
#: Positions beyond this many pixels are none in pixels: no camera for microscopes has frames as wide.
MAX_FRAME_PX = 8192
#: Uncertainties whose median is above this many pixels are none in pixels: a spot is hardly wider itself.
MAX_UNCERTAINTY_PX = 1.0
#: Uncertainties whose median is below this many nm are none in nm.
MIN_UNCERTAINTY_NM = 0.3
#: Widths of spots, of which the median is taken, in pixels, from the lowest to the highest that any optics give.
SIGMA_RANGE_PX = (0.3, 10.0)
#: Uncertainty times the root of photons, in pixels: the width of a spot, or more where there is background.
SPOT_RANGE_PX = (0.3, 30.0)
#: Lengths are not in pixels where more than this share of the rows lie beyond the frames.
MAX_SHARE_BEYOND = 0.5
#: The quantities in nm by those in pixels.
IN_NM = {in_px: in_nm for in_nm, in_px in IN_PIXELS.items()}


def checked_units(units: str | None) -> str | None:
    """Return a unit that is given; raise `InputError` for what is none."""
    if units is not None and units not in UNITS:
        raise InputError(f"unknown unit {units!r}{suggest(str(units), UNITS)}; there are {', '.join(UNITS)}")
    return units


def with_units(
    text: TextTable, flavour: Flavour, places: Mapping[str, Place], units: str | None
) -> tuple[Flavour, dict[str, Place]]:
    """Return a flavour and where its columns are, in the units that are given.

    Parameters
    ----------
    text : TextTable
        The table.
    flavour : Flavour
        What it is.
    places : mapping of str to Place
        Where its columns are, by the flavour's names.
    units : {"px", "nm", "um"}, optional
        What lengths are in whose headings name no unit.

    Raises
    ------
    InputError
        If there is no such unit, or the headings name others; a `UnitsError` if it must be given.
    """
    places = dict(places)
    if flavour.lengths == "named":
        _check_named(text, places, units)
        return flavour, places
    if checked_units(units) is None:
        if flavour.lengths == "unknown":
            headings = ", ".join(text.header)
            raise UnitsError(
                f"{text.path}: the headings {headings} are of no known program, and name no unit of length"
            )
        return flavour, places
    if units == "px":
        return flavour, places
    factor = LENGTHS_NM[str(units)]
    for name, place in places.items():
        if place.unit in IN_NM or (place.unit is Unit.DEPTH_NM and factor != 1.0):
            places[name] = Place(place.column, IN_NM.get(place.unit, place.unit), factor)
    return replace(flavour, assumption=plain_csv.FLAVOUR.assumption), places


def check_units(
    text: TextTable,
    flavour: Flavour,
    places: Mapping[str, Place],
    numbers: Mapping[str, NDArray[np.float64]],
    units: str | None,
    about: dict[str, Any],
) -> None:
    """Refuse numbers that cannot be pixels, and warn where nothing but a program's custom says that they are.

    Parameters
    ----------
    text : TextTable
        The table.
    flavour : Flavour
        What it is.
    places : mapping of str to Place
        Where its columns are, by the flavour's names, as `with_units` returns it.
    numbers : mapping of str to ndarray, shape (N,)
        Its columns, by the flavour's names.
    units : {"px", "nm", "um"}, optional
        The unit that is given.
    about : dict
        What is known of the table; a description by Picasso next to it adds what it says.

    Raises
    ------
    UnitsError
        If they cannot be.
    """
    if flavour.lengths == "named" or not text.first_row:
        return
    found = _Extent.of(flavour, places, numbers)
    if units is not None:
        if (
            units != "px"
            and (uncertainty := found.uncertainty)
            and uncertainty * LENGTHS_NM[units] < MIN_UNCERTAINTY_NM
        ):
            words = f"{text.path}: an uncertainty of {uncertainty:.3g} {units} (median) is finer than any microscope's"
            warnings.warn(words, TableWarning, stacklevel=4)
        return
    described = _description_beside(text.path)
    shape = described.get("frame_shape")
    if shape is not None and found.share_beyond(shape) > MAX_SHARE_BEYOND:
        frames = f"{shape[0]} x {shape[1]} px in {yaml_file(text.path).name}"
        raise UnitsError(f"{text.path}: {found.positions} lie beyond the frames of {frames}: they are not in pixels")
    if why := found.implausible_in_pixels():
        raise UnitsError(f"{text.path}: the headings name no unit, and {why} cannot be in pixels")
    for name, value in described.items():
        about[name] = about.get(name) or value
    if shape is None:
        words = f"{text.path}: {WarningKind.NO_UNITS} lengths are read in pixels, as a {flavour.title} has them"
        warnings.warn(f"{words} ({found.positions})", TableWarning, stacklevel=4)


def _check_named(text: TextTable, places: Mapping[str, Place], units: str | None) -> None:
    """Raise `InputError` where a unit is given and the headings name another."""
    if checked_units(units) is None:
        return
    for place in places.values():
        if place.unit in IN_PIXELS or place.unit in IN_NM:
            named = "px" if place.unit in IN_NM else "nm" if place.factor == 1.0 else "um"
            if named != units:
                heading = text.header[place.column]
                raise InputError(f"{text.path}: the heading {heading!r} names its unit, and {units} is another")


@dataclass(frozen=True)
class _Extent:
    """How far a table reaches, and how wide and how certain its spots are, in whatever unit it is.

    Attributes
    ----------
    y, x : ndarray, shape (N,)
    uncertainty, sigma, spot : float
        Medians: of the uncertainty, of the width, and of the width that follows from uncertainty and photons; NaN where
        there is none.
    """

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    uncertainty: float
    sigma: float
    spot: float

    @classmethod
    def of(cls, flavour: Flavour, places: Mapping[str, Place], numbers: Mapping[str, NDArray[np.float64]]) -> _Extent:
        """Measure a table by its columns, by the flavour's names."""
        there = {
            ours: numbers[column.name] for column in flavour.columns if column.name in places for ours in column.ours
        }
        uncertainty = there.get("x_uncertainty", there.get("y_uncertainty"))
        spot = None
        if uncertainty is not None and "photons" in there:
            spot = uncertainty * np.sqrt(np.maximum(there["photons"], 0.0))
        medians = (_median(values) for values in (uncertainty, there.get("sigma"), spot))
        return cls(there["y"], there["x"], *medians)

    @property
    def positions(self) -> str:
        """The highest coordinates, in words."""
        highest = (np.max(values[np.isfinite(values)], initial=0.0) for values in (self.x, self.y))
        return "x up to {:,.6g} and y up to {:,.6g}".format(*highest)

    def share_beyond(self, shape: tuple[int, int]) -> float:
        """Return the share of rows that are not in frames of a height and width."""
        known = np.isfinite(self.y) & np.isfinite(self.x)
        inside = (self.y < shape[0]) & (self.x < shape[1]) & (self.y > -1.0) & (self.x > -1.0)
        return 1.0 - float(inside[known].mean()) if known.any() else 0.0

    def implausible_in_pixels(self) -> str:
        """Return what shows that lengths are not in pixels; an empty text where nothing does."""
        if max(np.max(values[np.isfinite(values)], initial=0.0) for values in (self.y, self.x)) > MAX_FRAME_PX:
            return self.positions
        if self.uncertainty > MAX_UNCERTAINTY_PX:
            return f"an uncertainty of {self.uncertainty:.3g} (median)"
        if self.sigma < SIGMA_RANGE_PX[0] or self.sigma > SIGMA_RANGE_PX[1]:
            return f"a width of {self.sigma:.3g} (median)"
        if self.spot < SPOT_RANGE_PX[0] or self.spot > SPOT_RANGE_PX[1]:
            return f"an uncertainty of {self.uncertainty:.3g} (median) with these photons"
        return ""


def _median(values: NDArray[np.float64] | None) -> float:
    """Return the median of what is above 0, NaN where nothing is: columns that were not measured are filled with 0."""
    measured = np.empty(0) if values is None else values[np.isfinite(values) & (values > 0)]
    return float(np.median(measured)) if len(measured) else math.nan


def _description_beside(path: Path) -> dict[str, Any]:
    """Return what Picasso's description next to a table says of its frames; nothing where there is none."""
    beside = yaml_file(path)
    if not beside.exists():
        return {}
    try:
        return notes.to_about(foreign_notes(read_description_file(beside)))
    except InputError:
        return {}
