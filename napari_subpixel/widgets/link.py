"""The widget *Link*: the rows of each molecule become one, in a layer of their own, with on and off times."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtWidgets import QPushButton, QSpinBox

from napari_subpixel._util.records import naming
from napari_subpixel.analysis.blinking import BlinkingTimes, blinking_times, write_times
from napari_subpixel.analysis.linking import Linked, link
from napari_subpixel.errors import InputError, LinkDistanceError
from napari_subpixel.localizations import Localizations
from napari_subpixel.reports.plots import times_chart
from napari_subpixel.widgets.controls.chart_view import ChartView
from napari_subpixel.widgets.controls.command_line import CommandLine
from napari_subpixel.widgets.controls.last_used import recall, remember
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.number_box import Field, NumberBox
from napari_subpixel.widgets.controls.panel import NARROW
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.saving import ask_and_save, with_suffix
from napari_subpixel.widgets.controls.table_panel import TablePanel, TableRequest
from napari_subpixel.widgets.layers.files import table_file
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.layers.results import Ground, StandInMovie, movie_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: Most dark frames that can be typed.
MOST_DARK_FRAMES = 1_000_000
#: The largest distance that can be typed, in nm.
LARGEST_NM = 100_000.0
#: Shown in a box where the table says the number.
AUTO = "auto"
#: What the button says that a distance is missed.
GIVE_DISTANCE = "Give a largest distance"


class Molecules(NamedTuple):
    """Linked rows, with their on and off times."""

    linked: Linked
    times: BlinkingTimes

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before trusting the result."""
        return (*self.linked.warnings, *self.times.warnings)


class LinkMolecules(TablePanel):
    """Links the localizations of each molecule that a layer shows, and adds the molecules as a layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    dark_frames : QSpinBox
        Most dark frames to bridge; -1 takes as many as molecules of the table are dark for.
    distance_nm : NumberBox
        The largest distance; 0 takes what the uncertainties allow.
    """

    verb = "link"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._times: BlinkingTimes | None = None
        self._made: dict[object, Points] = {}
        self.dark_frames = QSpinBox()
        self.dark_frames.setRange(-1, MOST_DARK_FRAMES)
        self.dark_frames.setValue(-1)
        self.dark_frames.setSpecialValueText(AUTO)
        self.dark_frames.setStyleSheet(NARROW)
        self.dark_frames.setToolTip(
            f"Frames without a point that a molecule may have in between. {AUTO}: as many as molecules of this table "
            "are dark for"
        )
        self.distance_nm = NumberBox(
            Field(
                "Largest distance [nm]",
                0.0,
                LARGEST_NM,
                f"Link nothing farther from a molecule's mean position. {AUTO}: what the uncertainties allow",
                AUTO,
            )
        )
        self.build(
            ("Dark frames", self.dark_frames),
            ("Largest distance [nm]", self.distance_nm),
            button="Link",
            tooltip="Link the shown points of each molecule, and add the molecules as a layer",
            cancelled="Add no layer",
        )
        self.on, self.off = ChartView(), ChartView()
        self.save_button = QPushButton("Save times...")
        self.save_button.setToolTip("Write the on and off times as csv, a row for each molecule")
        self.save_button.clicked.connect(self.ask_and_save)
        self.outdated.current_changed.connect(self.save_button.setEnabled)
        self.add_result(self.on, self.off, self.save_button)
        for box in (self.dark_frames, self.distance_nm):
            box.valueChanged.connect(self.note_settings)
        recall("link", {"dark_frames": self.dark_frames.setValue, "distance_nm": self.distance_nm.setValue})

    def act(self) -> None:
        """Link, and remember the settings."""
        remember("link", {"dark_frames": self.dark_frames.value(), "distance_nm": self.distance_nm.exact})
        super().act()

    def request(self, points: Points, ground: Ground) -> TableRequest:
        """Return the linking of these points, with the settings of the form."""
        dark, distance = self.dark_frames.value(), self.distance_nm.exact
        if distance:
            ground.check_pixel_size(points)
        settings = {
            "name": points.name,
            "max_dark_frames": None if dark < 0 else dark,
            "max_distance_nm": distance or None,
        }
        return TableRequest(points, ground, _linked, settings, f"linking {points.name}")

    def command(self, request: TableRequest) -> CommandLine:
        """Return the call of the command `link`."""
        file = table_file(request.points, request.ground)
        how = {name: value for name, value in request.settings.items() if name != "name"}
        return CommandLine("link", (file,), {"output": file.output("linked"), **how})

    def cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        """Return what cures an error: where there are no uncertainties, a distance."""
        if isinstance(error, LinkDistanceError):
            return GIVE_DISTANCE, self.distance_nm.setFocus
        return super().cure_of(error)

    def deliver(self, request: TableRequest, result: Molecules) -> str:
        """Add the molecules as a layer, in place of an earlier one, and show their times."""
        linked, self._times = result
        layers = self.viewer.layers
        on = movie_of(request.points, layers) or StandInMovie(request.points)
        before = self._made.get(request.points.unique_id)
        if before is not None and before in layers:
            layers.remove(before)
        layer = points_layer(linked.marked(), on, name=f"{request.points.name}, linked")
        self._made[request.points.unique_id] = layer
        layers.append(layer)
        request.points.visible = False
        self.on.show_chart(times_chart("on", self._times.on))
        self.off.show_chart(times_chart("off", self._times.off))
        return _describe(request.points.name, result)

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the times to it."""
        ask_and_save(self, "Save times", results_path("times.csv"), "csv (*.csv)", self.save)

    def save(self, path: str | Path) -> None:
        """Write the on and off times as csv, as the command line does."""
        with reported():
            if self._times is None or not self.outdated.current:
                raise InputError("there are no up-to-date times to save: link first")
            write_times(with_suffix(path, ".csv"), self._times)


def _describe(name: str, result: Molecules) -> str:
    linked, times = result
    n_rows, n_beads = len(linked.rows), int(linked.is_bead.sum())
    n = len(linked.molecules) - n_beads
    dark = linked.max_dark_frames
    bridged = f"up to {dark}" if dark else "no"
    molecules, frames = f"molecule{'s'[: n != 1]}", f"frame{'s'[: dark != 1]}"
    beads = f" and {n_beads:,} of beads" if n_beads else ""
    words = [f"{n_rows:,} points of {name} are {n:,} {molecules}{beads}; {bridged} dark {frames} bridged."]
    for state, lengths in (("on", times.on), ("off", times.off)):
        if mean := lengths.mean_with_cut:
            words.append(f"Mean time {state} {mean:.3g} frames: rate {1 / mean:.3g} a frame.")
    return " ".join(words)


def _linked(
    table: Callable[[], Localizations], ground: Ground, settings: dict[str, Any]
) -> Generator[str | None, None, Molecules]:
    """Make the table, link it and count times; the work can be stopped at each yield."""
    points = ground.table(table())
    how = {name: value for name, value in settings.items() if name != "name"}
    with naming(settings["name"]):
        linked = yield from link.steps(points, **how)
    yield "on and off times"
    return Molecules(linked, blinking_times(linked))
