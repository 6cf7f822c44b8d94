"""The widget *Regions*: count, density and medians in shapes, profiles of lines, and what is inside as a layer."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QPushButton

from napari_subpixel._util.files import atomic_output
from napari_subpixel.analysis.regions import RegionNumbers, keep_regions
from napari_subpixel.errors import InputError
from napari_subpixel.reports.charts import Chart, value_text
from napari_subpixel.reports.plots import profile_chart
from napari_subpixel.widgets.background.regions import MeasuredRegions, Profile, measured_regions
from napari_subpixel.widgets.controls.chart_view import ChartView
from napari_subpixel.widgets.controls.choices import OrderedChoice
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.number_box import Field, NumberBox
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.saving import ask_and_save, with_suffix
from napari_subpixel.widgets.controls.table import UNDEFINED, ReadOnlyTable
from napari_subpixel.widgets.controls.table_panel import TablePanel, TableRequest
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.layers.regions import is_shapes, regions_of
from napari_subpixel.widgets.layers.results import Ground, StandInMovie

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: What the button says where there is no layer to draw in.
ADD_LAYER = "Add a layer to draw regions in"
#: Name of that layer.
DRAWN = "regions"
#: Shown for the width of lines that is as they are drawn.
AS_DRAWN = "as drawn"
#: The widest line that can be typed, in nm.
WIDEST_NM = 100_000.0
#: The directions of a profile.
ALONG, ACROSS = "along the line", "across the line"
#: What is out of date when a shape is drawn or moved.
SHAPES = "the shapes"
#: Rows of the table that are shown without scrolling.
ROWS_IN_VIEW = 6


class MeasureRegions(TablePanel):
    """Measures the localizations of a layer in the shapes of another.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    shapes : magicgui.widgets.ComboBox
    direction : OrderedChoice
        Of the profiles of lines.
    width_nm : NumberBox
        Width of lines; 0 is as they are drawn.
    """

    verb = "measure"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._measured: MeasuredRegions | None = None
        self._source: Points | None = None
        self.shapes = self.layer_choice(
            "Shapes", is_shapes, tooltip="Rectangles, polygons, ellipses and lines; each holds in all frames"
        )
        self.direction = OrderedChoice(
            label="Profile",
            choices=[ALONG, ACROSS],
            tooltip="Which way the points in the width of a line are counted",
        )
        self.width_nm = NumberBox(
            Field(
                "Line width [nm]",
                0.0,
                WIDEST_NM,
                f"Of the strip that counts. {AS_DRAWN}: the edge width of the shape",
                AS_DRAWN,
            )
        )
        self.build(
            self.shapes,
            self.direction,
            ("Line width [nm]", self.width_nm),
            button="Measure",
            tooltip="Measure the shown points inside each shape",
            cancelled="Leave the numbers as they are",
        )
        self.command_row.hide()  # the command line knows no shapes
        self.table = ReadOnlyTable(rows_in_view=ROWS_IN_VIEW)
        self.table.setToolTip("Selected rows are plotted and made a layer; Ctrl-C copies them")
        self.table.itemSelectionChanged.connect(self._plot)
        self.plot = ChartView()
        self.layer_button = QPushButton("What is inside as a layer")
        self.layer_button.setToolTip("Add the points in the selected regions, or in all of them, as a layer of its own")
        self.layer_button.clicked.connect(self.add_inside)
        self.save_button = QPushButton("Save numbers...")
        self.save_button.setToolTip("Write the numbers as csv, a row for each region")
        self.save_button.clicked.connect(self.ask_and_save)
        self.profile_button = QPushButton("Save profile...")
        self.profile_button.setToolTip("Write the plotted profile as csv")
        self.profile_button.clicked.connect(self.ask_and_save_profile)
        for button in (self.layer_button, self.save_button, self.profile_button):
            self.outdated.current_changed.connect(button.setEnabled)
        self.add_result(self.table, self.plot, self.layer_button, self.save_button, self.profile_button)
        for changed in (self.shapes.changed, self.direction.changed, self.width_nm.valueChanged):
            changed.connect(self.note_settings)

    def request(self, points: Points, ground: Ground) -> TableRequest:
        """Return the measurement of the shapes."""
        shapes = self.shapes.value
        if shapes is None:
            raise InputError("there is no layer of shapes: add one and draw regions in it")
        if width := self.width_nm.exact:
            ground.check_pixel_size(points)
        regions, left_out = regions_of(shapes, points, ground.pixel_size_nm, width or None)
        settings = {
            "name": points.name,
            "regions": regions,
            "left_out": left_out,
            "across": self.direction.value == ACROSS,
        }
        return TableRequest(points, ground, measured_regions, settings, f"measuring regions of {points.name}")

    def cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        """Return what cures an error: where there are no shapes, a layer for them."""
        return (ADD_LAYER, self.add_layer) if self.shapes.value is None else super().cure_of(error)

    def add_layer(self) -> None:
        """Add a layer of shapes on the points, ready to draw a rectangle."""
        points = self.points.value
        place = {} if points is None else StandInMovie(points).placement()
        layer = self.viewer.add_shapes(ndim=None if points is None else points.ndim, name=DRAWN, **place)
        layer.mode = "add_rectangle"
        self.shapes.value = layer
        self.refusal.clear()

    def deliver(self, request: TableRequest, result: MeasuredRegions) -> str:
        """Show the numbers and a profile."""
        self._measured, self._source = result, request.points
        self.table.clearSelection()
        rows = [_cells(numbers, profile) for numbers, profile in zip(result.numbers, result.profiles, strict=True)]
        length, area = result.unit, result.area_unit
        columns = ("Points", f"Area [{area}]", f"Per {area}", "Photons", f"Uncertainty [{length}]", f"FWHM [{length}]")
        names = [numbers.region.name for numbers in result.numbers]
        self.table.show_rows(columns, rows, row_names=names, stretch=len(columns) - 1)
        self._plot()
        n = len(names)
        size = "" if result.table.pixel_size_nm is not None else " Without a pixel size, lengths are in pixels."
        return f"{n} region{'s'[: n != 1]} of {request.points.name}; photons and uncertainty are medians.{size}"

    def _began(self, request: TableRequest) -> None:
        super()._began(request)
        shapes = self.shapes.value
        for event in (shapes.events.data, shapes.events.scale, shapes.events.translate, shapes.events.edge_width):
            self._shown_links.connect(event, self._shapes_changed)

    def _shapes_changed(self, _: object = None) -> None:
        self.outdated.note(SHAPES)

    # -- the selected regions -----------------------------------------------------------------------------------------

    def _chosen(self) -> list[int]:
        """Return which regions are selected in the table, all if none is."""
        if self._measured is None:
            return []
        return sorted({index.row() for index in self.table.selectedIndexes()}) or list(range(self.table.rowCount()))

    def _plotted(self) -> tuple[RegionNumbers, Profile] | None:
        """Return the first of the chosen regions that has a profile."""
        for k in self._chosen():
            if self._measured is not None and (profile := self._measured.profiles[k]) is not None:
                return self._measured.numbers[k], profile
        return None

    def _plot(self) -> None:
        plotted = self._plotted()
        self.plot.show_chart(None if plotted is None else self._chart(*plotted))
        self.profile_button.setVisible(plotted is not None)

    def _chart(self, numbers: RegionNumbers, profile: Profile) -> Chart:
        assert self._measured is not None
        return profile_chart(
            numbers.region.name, profile.positions, (profile.low, profile.high), profile.peak, self._measured.unit
        )

    def add_inside(self) -> None:
        """Add the points in the selected regions as a layer of their own."""
        with self.refusal.shown(self.cure_of):
            measured, source = self._measured, self._source
            if measured is None or source is None or not self.outdated.current:
                raise InputError("there are no up-to-date regions: measure first")
            kept = keep_regions(measured.table, [measured.numbers[k] for k in self._chosen()])
            self.viewer.add_layer(points_layer(kept, StandInMovie(source), name=f"{source.name}, region"))

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the numbers to it."""
        ask_and_save(self, "Save numbers", results_path("regions.csv"), "csv (*.csv)", self.save)

    def ask_and_save_profile(self) -> None:
        """Ask for the name of a file, and write the plotted profile to it."""
        ask_and_save(self, "Save profile", results_path("profile.csv"), "csv (*.csv)", self.save_profile)

    def save(self, path: str | Path) -> None:
        """Write the numbers as csv, a row for each region; what is not defined is left empty."""
        with reported():
            measured = self._up_to_date()
            unit, area = measured.unit, "px2" if measured.unit == "px" else "um2"
            medians = ("median_photons", f"median_uncertainty_{unit}")
            widths = (f"fwhm_{unit}", f"fwhm_error_{unit}", "one_gaussian_peak")
            names = ("region", "rows", f"area_{area}", f"density_per_{area}", *medians, *widths)
            lines = []
            for numbers, profile in zip(measured.numbers, measured.profiles, strict=True):
                peak = None if profile is None else profile.peak
                width = (math.nan, math.nan) if peak is None else (peak.fwhm, peak.fwhm_error)
                values = (numbers.area, numbers.density, numbers.photons, numbers.uncertainty, *width)
                holds = "" if peak is None else "yes" if peak.holds else "no"
                lines.append([numbers.region.name, len(numbers.rows), *map(_number, values), holds])
            _write(path, names, lines)

    def save_profile(self, path: str | Path) -> None:
        """Write the plotted profile as csv: the middles of its bars and the rows in each."""
        with reported():
            unit, plotted = self._up_to_date().unit, self._plotted()
            if plotted is None:
                raise InputError("there is no profile to save: draw a line, and measure")
            bars = self._chart(*plotted).parts[0]
            edges, counts = np.asarray(bars.edges), np.asarray(bars.counts)  # type: ignore[union-attr]
            lines = [[_number(at), int(n)] for at, n in zip((edges[1:] + edges[:-1]) / 2, counts, strict=True)]
            _write(path, (f"position_{unit}", "rows"), lines)

    def _up_to_date(self) -> MeasuredRegions:
        if self._measured is None or not self.outdated.current:
            raise InputError("there are no up-to-date numbers to save: measure first")
        return self._measured


def _cells(numbers: RegionNumbers, profile: Profile | None) -> list[str]:
    values = (numbers.area, numbers.density, numbers.photons, numbers.uncertainty)
    peak = None if profile is None else profile.peak
    width = UNDEFINED if peak is None else value_text(peak.fwhm, peak.fwhm_error)
    return [f"{len(numbers.rows):,}", *(value_text(v) if math.isfinite(v) else UNDEFINED for v in values), width]


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _write(path: str | Path, names: tuple[str, ...], lines: list[list[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *lines])
    with atomic_output(with_suffix(path, ".csv")) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8")
