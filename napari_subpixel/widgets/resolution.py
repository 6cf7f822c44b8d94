"""The widget *Resolution*: NeNA, Fourier ring correlation and decorrelation, each with its error."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtWidgets import QPushButton

from napari_subpixel._util.files import atomic_output
from napari_subpixel._util.records import naming
from napari_subpixel.analysis.resolution import Resolution, resolution
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.reports.charts import value_text
from napari_subpixel.reports.plots import frc_chart, nena_chart
from napari_subpixel.widgets.controls.chart_view import ChartView
from napari_subpixel.widgets.controls.command_line import CommandLine
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.saving import ask_and_save, with_suffix
from napari_subpixel.widgets.controls.table import UNDEFINED, ReadOnlyTable
from napari_subpixel.widgets.controls.table_panel import TablePanel, TableRequest
from napari_subpixel.widgets.layers.files import table_file
from napari_subpixel.widgets.layers.results import Ground

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points


class Measured(NamedTuple):
    """A table and its resolution."""

    table: Localizations
    resolution: Resolution

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be measured and why, and what is odd."""
        return self.resolution.warnings


class Number(NamedTuple):
    """A row of the table: its heading, meaning, and where value and error are in the document of a resolution."""

    heading: str
    meaning: str
    value: str
    error: str = ""

    def cells(self, document: dict[str, Any]) -> list[str]:
        """Return value and error as text."""
        value, error = document[self.value], document[self.error] if self.error else None
        if value is None:
            return [UNDEFINED, UNDEFINED]
        number, _, deviation = value_text(value, error).partition(" ± ")
        return [number, deviation or UNDEFINED]


#: The rows of the table.
NUMBERS = (
    Number(
        "NeNA [nm]",
        "Mean localization precision, from molecules seen in consecutive frames",
        "nena_nm",
        "nena_error_nm",
    ),
    Number(
        "Uncertainty factor",
        "What makes the uncertainties the true scatter of the molecules: 1 where these are right",
        "uncertainty_factor",
        "uncertainty_factor_error",
    ),
    Number(
        "NeNA, textbook [nm]",
        "One precision for all rows, as published: below the mean where rows differ",
        "nena_textbook_nm",
    ),
    Number(
        "FRC [nm]",
        "Where halves of the movie correlate by 1/7: mean and standard deviation of 20 splits",
        "frc_nm",
        "frc_error_nm",
    ),
    Number(
        "FRC, uncorrected [nm]",
        "The same with molecules that come back counted as structure",
        "frc_uncorrected_nm",
        "frc_uncorrected_error_nm",
    ),
    Number("Decorrelation [nm]", "Sharpness of the rendered image; one image has no error", "decorrelation_nm"),
)


class MeasureResolution(TablePanel):
    """Measures the resolution of the localizations that a layer shows.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    verb = "measure"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._measured: Measured | None = None
        self.build(
            button="Measure",
            tooltip="Measure localization precision and resolution of the shown points",
            cancelled="Leave the numbers as they are",
        )
        self.table = ReadOnlyTable()
        self.nena, self.frc = ChartView(), ChartView()
        self.save_button = QPushButton("Save numbers...")
        self.save_button.setToolTip("Write the numbers, with the provenance of the table, as JSON")
        self.save_button.clicked.connect(self.ask_and_save)
        self.outdated.current_changed.connect(self.save_button.setEnabled)
        self.add_result(self.table, self.nena, self.frc, self.save_button)

    def request(self, points: Points, ground: Ground) -> TableRequest:
        """Return the measurement of these points."""
        ground.check_pixel_size(points)
        return TableRequest(points, ground, _measured, {"name": points.name}, f"measuring {points.name}")

    def command(self, request: TableRequest) -> CommandLine:
        """Return the call of the command `resolution`."""
        return CommandLine("resolution", (table_file(request.points, request.ground),), {"json": True})

    def deliver(self, request: TableRequest, result: Measured) -> str:
        """Show the numbers and the plots."""
        self._measured = result
        measured = result.resolution
        document = _document(measured)
        self.table.show_rows(
            ["Value", "Error"],
            [number.cells(document) for number in NUMBERS],
            row_names=[number.heading for number in NUMBERS],
            row_tips=[number.meaning for number in NUMBERS],
        )
        self.nena.show_chart(nena_chart(measured))
        self.frc.show_chart(frc_chart(measured))
        visits = f"; a molecule is seen {measured.frc.visits:.1f} separate times" if measured.frc.is_corrected else ""
        return f"{request.points.name}: {measured.n_localizations:,} points{visits}."

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the numbers to it."""
        ask_and_save(self, "Save numbers", results_path("resolution.json"), "JSON (*.json)", self.save)

    def save(self, path: str | Path) -> None:
        """Write the numbers as JSON, as the command line prints them, with the provenance of the table."""
        with reported():
            if self._measured is None or not self.outdated.current:
                raise InputError("there are no up-to-date numbers to save: measure first")
            table, measured = self._measured
            document = {**measured.to_dict(), "provenance": table.provenance}
            with atomic_output(with_suffix(path, ".json")) as draft:
                draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _document(measured: Resolution) -> dict[str, Any]:
    """Return the numbers by name, with those errors that the command line leaves out."""
    return {**measured.to_dict(), "frc_uncorrected_error_nm": measured.frc.uncorrected_error_nm}


def _measured(
    table: Callable[[], Localizations], ground: Ground, settings: dict[str, Any]
) -> Generator[str | None, None, Measured]:
    """Make the table and measure; the work can be stopped at each yield."""
    points = ground.table(table())
    yield None
    with naming(settings["name"]):
        return Measured(points, (yield from resolution.steps(points)))
