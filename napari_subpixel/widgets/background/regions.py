"""Regions measured on a thread: numbers of each, and the profiles of lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.records import naming
from napari_subpixel.analysis.profiles import Peak, fit_peak
from napari_subpixel.analysis.regions import RegionNumbers, line_length, line_positions, measure_region
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.results import Ground

#: What to know of the error of a width where a molecule may be several points.
NOT_LINKED = "the error of a width takes points for independent: link first where a molecule is several points"


@dataclass(frozen=True, eq=False)
class Profile:
    """The rows in the strip of a line, along it or across it.

    Attributes
    ----------
    positions : ndarray of float, shape (N,)
        In nm where the pixel size is known, else in pixels.
    low, high : float
        Ends of the strip.
    peak : Peak, optional
    """

    positions: NDArray[np.float64]
    low: float
    high: float
    peak: Peak | None


@dataclass(frozen=True, eq=False)
class MeasuredRegions:
    """A table, the numbers of some regions of it, and the profiles of those that are lines.

    Attributes
    ----------
    table : Localizations
    numbers : list of RegionNumbers
    profiles : list of Profile or None
        One for each region, None where it is no line.
    warnings : tuple of str
    """

    table: Localizations
    numbers: list[RegionNumbers]
    profiles: list[Profile | None]
    warnings: tuple[str, ...]

    @property
    def unit(self) -> str:
        """Of lengths."""
        return "px" if self.table.pixel_size_nm is None else "nm"

    @property
    def area_unit(self) -> str:
        """Of areas, as a heading has it."""
        return "px²" if self.table.pixel_size_nm is None else "µm²"


def measured_regions(
    table: Callable[[], Localizations], ground: Ground, settings: dict[str, Any]
) -> Generator[str | None, None, MeasuredRegions]:
    """Make the table and measure the regions; the work can be stopped at each yield."""
    points = ground.table(table())
    numbers: list[RegionNumbers] = []
    profiles: list[Profile | None] = []
    warnings: list[str] = list(settings["left_out"])
    for region in settings["regions"]:
        yield region.name
        with naming(settings["name"]):
            numbers.append(measure_region(points, region))
        warnings += numbers[-1].warnings
        profiles.append(None)
        if region.kind == "line" and len(numbers[-1].rows):
            profiles[-1], words = _profile(points, numbers[-1], across=settings["across"])
            warnings += words
    has_width = any(profile is not None and profile.peak is not None for profile in profiles)
    if has_width and "link" not in points.provenance:
        warnings.append(NOT_LINKED)
    return MeasuredRegions(points, numbers, profiles, tuple(warnings))


def _profile(table: Localizations, numbers: RegionNumbers, *, across: bool) -> tuple[Profile, Sequence[str]]:
    region = numbers.region
    along_line, across_line = line_positions(table, numbers)
    positions = across_line if across else along_line
    low, high = (-region.width / 2, region.width / 2) if across else (0.0, line_length(table, region))
    try:
        peak = fit_peak(positions, low, high)
    except InputError as error:
        return Profile(positions, low, high, None), [f"{region.name}: no width: {error}"]
    words = (
        [] if peak.holds else [f"{region.name}: the profile is not one Gaussian peak, so that its width means little"]
    )
    return Profile(positions, low, high, peak), words
