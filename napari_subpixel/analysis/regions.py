"""Regions drawn on a field: which rows of a table are inside, and what they are like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.filters import noted
from napari_subpixel.analysis.quantities import names_in, source_of, values_in
from napari_subpixel.coordinates import HALF_PIXEL, pixel_size_yx
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

#: What a region can be.
KINDS = ("polygon", "ellipse", "line")
#: Fewest corners of each.
FEWEST_CORNERS = {"polygon": 3, "ellipse": 4, "line": 2}
#: Square nm in a square micrometre.
NM2_IN_UM2 = 1e6


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the field.

    Attributes
    ----------
    name : str
    kind : {"polygon", "ellipse", "line"}
        A line is the strip of some width around it.
    corners : ndarray of float, shape (N, 2)
        (y, x) in pixels: the corners of a polygon in order, the four of the box around an ellipse, the ends of a line.
    width : float
        Width of the strip, in nm where the pixel size of the table is known, else in pixels.
    """

    name: str
    kind: str
    corners: NDArray[np.float64]
    width: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"{self.name}: no kind of region {self.kind!r}; there are {', '.join(KINDS)}")
        if len(self.corners) < FEWEST_CORNERS[self.kind] or not np.isfinite(self.corners).all():
            raise InputError(f"{self.name}: a {self.kind} has no such {len(self.corners)} corners")
        if self.kind == "line" and not (math.isfinite(self.width) and self.width > 0):
            raise InputError(f"{self.name}: the width of a line must be positive, got {self.width:g}")

    def described(self) -> dict[str, Any]:
        """Return the region as plain texts and numbers, as a provenance keeps it; corners in pixels."""
        width = {"width": self.width} if self.kind == "line" else {}
        return {"name": self.name, "kind": self.kind, "corners_px": self.corners.tolist(), **width}


@dataclass(frozen=True)
class RegionNumbers:
    """What the rows in a region are like; lengths are in nm where the pixel size is known, else in pixels.

    Attributes
    ----------
    region : Region
    rows : ndarray of int, shape (count,)
        Which rows of the table are inside.
    area : float
        In square micrometres, else in square pixels; NaN where the outline crosses itself.
    photons, uncertainty : float
        Medians of the rows that have them, NaN where there are none.
    warnings : tuple of str
        What to know before the numbers are used.
    """

    region: Region
    rows: NDArray[np.int64]
    area: float
    photons: float
    uncertainty: float
    warnings: tuple[str, ...] = ()

    @property
    def density(self) -> float:
        """Rows by area."""
        return len(self.rows) / self.area if self.area > 0 else math.nan


def measure_region(table: Localizations, region: Region) -> RegionNumbers:
    """Count the rows in a region, and return their density and medians.

    Parameters
    ----------
    table : Localizations
    region : Region

    Raises
    ------
    InputError
        If the region has no area.
    """
    rows = rows_inside(table, region)
    warnings = []
    corners = _in_lengths(region.corners, table)
    area = _area(region, corners)
    if area <= 0:
        raise InputError(f"{region.name}: the {region.kind} has no area")
    if region.kind == "polygon" and _crosses_itself(corners):
        area = math.nan
        warnings.append(f"{region.name}: the outline crosses itself, so that it has no area and no density")
    shape = table.frame_shape
    outline = _outline(region, corners) / _lengths(table)
    if shape is not None and ((outline < -HALF_PIXEL - 1e-6) | (outline > np.array(shape) - HALF_PIXEL + 1e-6)).any():
        warnings.append(f"{region.name}: reaches beyond the frames, whose outside counts as area without molecules")
    if not len(rows):
        warnings.append(f"{region.name}: there are no points inside")
    known = table.pixel_size_nm is not None
    inside = table.select(rows)
    return RegionNumbers(
        region,
        rows,
        area / NM2_IN_UM2 if known else area,
        _median(inside, "photons"),
        _median(inside, "uncertainty"),
        tuple(warnings),
    )


def rows_inside(table: Localizations, region: Region) -> NDArray[np.int64]:
    """Return which rows of a table are in a region, in their order.

    Inside of an outline that crosses itself is what a line from afar enters an odd number of times (even-odd rule).

    Parameters
    ----------
    table : Localizations
    region : Region
    """
    corners = _in_lengths(region.corners, table)
    outline = _outline(region, corners) / _lengths(table)
    low, high = outline.min(axis=0), outline.max(axis=0)
    y, x = table.y, table.x
    near = np.flatnonzero((y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1]))
    places = _in_lengths(np.column_stack([y[near], x[near]]), table)
    if region.kind == "polygon":
        return near[in_polygon(places, corners)]
    if region.kind == "ellipse":
        axes = np.column_stack([corners[1] - corners[0], corners[3] - corners[0]]) / 2
        if not abs(np.linalg.det(axes)) > 0:
            return near[:0]
        along = np.linalg.solve(axes, (places - corners.mean(axis=0)).T)
        return near[(along**2).sum(axis=0) <= 1]
    along, across = _along_line(places, corners)
    length = float(np.linalg.norm(corners[1] - corners[0]))
    return near[(along >= 0) & (along <= length) & (np.abs(across) <= region.width / 2)]


def in_polygon(places: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which places are in a polygon, by the even-odd rule; each edge belongs to one of its two sides.

    Parameters
    ----------
    places : ndarray of float, shape (N, 2)
    corners : ndarray of float, shape (M, 2)
        In order; the last is joined to the first.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, 0.0]])
    >>> in_polygon(np.array([[1.0, 1.0], [3.0, 1.0], [0.0, 0.0], [2.0, 2.0]]), square).tolist()
    [True, False, True, False]
    """
    y, x = places.T
    inside = np.zeros(len(places), np.bool_)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            meets = (y >= min(y0, y1)) & (y < max(y0, y1))
            inside ^= meets & (x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)))
    return inside


def line_positions(table: Localizations, numbers: RegionNumbers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the rows in the strip of a line are, along it from its first end, and across it from its middle.

    Parameters
    ----------
    table : Localizations
    numbers : RegionNumbers
        Of a line.

    Returns
    -------
    along, across : ndarray of float, shape (count,)
        In nm where the pixel size is known, else in pixels.
    """
    places = _in_lengths(table.yx[numbers.rows], table)
    return _along_line(places, _in_lengths(numbers.region.corners, table))


def line_length(table: Localizations, region: Region) -> float:
    """Return the length of a line, in nm where the pixel size of the table is known, else in pixels."""
    ends = _in_lengths(region.corners, table)
    return float(np.linalg.norm(ends[1] - ends[0]))


def keep_regions(table: Localizations, measured: Sequence[RegionNumbers]) -> Localizations:
    """Return the rows in any of some regions, each once; the regions are added to ``filters`` in the provenance.

    Parameters
    ----------
    table : Localizations
    measured : sequence of RegionNumbers
        Of this table.

    Raises
    ------
    InputError
        If there are no rows in them.
    """
    rows = np.unique(np.concatenate([numbers.rows for numbers in measured])) if measured else np.zeros(0, np.int64)
    if not len(rows):
        raise InputError("there are no points in these regions")
    return noted(table, table.select(rows), region=[numbers.region.described() for numbers in measured])


def _lengths(table: Localizations) -> NDArray[np.float64]:
    """Return height and width of a pixel in nm, or 1 where they are not known, shape (2,)."""
    size = table.pixel_size_nm
    return np.ones(2) if size is None else np.array(pixel_size_yx(size), np.float64)


def _in_lengths(yx: NDArray[np.float64], table: Localizations) -> NDArray[np.float64]:
    return np.asarray(yx, np.float64) * _lengths(table)


def _along_line(
    places: NDArray[np.float64], ends: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step = ends[1] - ends[0]
    direction = step / (float(np.linalg.norm(step)) or 1.0)
    from_start = places - ends[0]
    return from_start @ direction, from_start @ np.array([-direction[1], direction[0]])


def _outline(region: Region, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corners between which the region lies, in lengths."""
    if region.kind == "ellipse":
        # The box around an ellipse of any direction, from the halves of its axes.
        axes = np.stack([corners[1] - corners[0], corners[3] - corners[0]]) / 2
        reach = np.sqrt((axes**2).sum(axis=0))
        return np.stack([corners.mean(axis=0) - reach, corners.mean(axis=0) + reach])
    if region.kind == "line":
        step = corners[1] - corners[0]
        aside = np.array([-step[1], step[0]]) * (region.width / 2 / (float(np.linalg.norm(step)) or 1.0))
        return np.concatenate([corners - aside, corners + aside])
    return corners


def _area(region: Region, corners: NDArray[np.float64]) -> float:
    if region.kind == "line":
        return float(np.linalg.norm(corners[1] - corners[0])) * region.width
    y, x = (corners - corners.mean(axis=0)).T
    box = abs(float(np.sum(y * np.roll(x, -1) - x * np.roll(y, -1)))) / 2
    # An outline that crosses itself may enclose as much in one sense as in the other.
    if region.kind == "polygon" and box <= 0 and _crosses_itself(corners):
        return math.inf
    return box * math.pi / 4 if region.kind == "ellipse" else box


def _crosses_itself(corners: NDArray[np.float64]) -> bool:
    """Say whether two edges of a polygon cross within both."""
    ends = np.roll(corners, -1, axis=0)
    for k in range(len(corners) - 2):
        a, b, c, d = corners[k], ends[k], corners[k + 2 :], ends[k + 2 :]
        apart = _side(a, b, c) * _side(a, b, d) < 0
        if (apart & (_side(c, d, a) * _side(c, d, b) < 0)).any():
            return True
    return False


def _side(start: NDArray[np.float64], end: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return on which side of a line a place is, as a sign."""
    step, other = end - start, place - start
    return np.asarray(np.sign(step[..., 0] * other[..., 1] - step[..., 1] * other[..., 0]))


def _median(table: Localizations, name: str) -> float:
    if name not in names_in(table):
        return math.nan
    values = np.asarray(values_in(table, source_of(table, name))[0], np.float64)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else math.nan
