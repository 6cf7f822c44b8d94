"""The widget *Drift*: the drift of a movie with its error band, subtracted from its points, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import CheckBox, ComboBox
from qtpy.QtWidgets import QHBoxLayout, QPushButton

from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.errors import InputError
from napari_subpixel.rendering.render import PIXEL_SIZE_NM, SuperResolutionImage
from napari_subpixel.reports.plots import drift_chart, drift_error_chart
from napari_subpixel.widgets.background.drift import BeforeAndAfter, CompareRequest, estimated
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.rendering import RenderRequest, settings_of
from napari_subpixel.widgets.controls.chart_view import ChartView
from napari_subpixel.widgets.controls.command_line import CommandLine
from napari_subpixel.widgets.controls.last_used import recall, remember
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.saving import ask_and_save, with_suffix
from napari_subpixel.widgets.controls.table_panel import TablePanel, TableRequest
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.drifted import (
    DriftSource,
    can_hold_picks,
    has_drift_subtracted,
    picked_places,
    subtract_drift,
    take_drift_back,
)
from napari_subpixel.widgets.layers.files import table_file
from napari_subpixel.widgets.layers.hidden import HiddenLayers
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.points import table_of
from napari_subpixel.widgets.layers.renderings import fill, rendering_layer_data, rendering_of
from napari_subpixel.widgets.layers.results import Ground, StandInMovie, ground_of, movie_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Points

#: What the button says that a layer is missed.
ADD_LAYER = "Add a layer to pick in"
#: Diameter of the marks on picked fiducials, in camera pixels.
PICK_PX = 4.0
#: The choice to estimate the drift from molecules.
MOLECULES = "molecules"
#: The choice to estimate the drift from fiducials that the estimate finds.
FOUND = "fiducials, found"
#: The choice to estimate the drift from fiducials that are picked in another layer.
PICKED = "fiducials, picked"
#: Height of the plot of the errors, in screen pixels.
ERRORS_PX = 130
#: Colours of the images from before and after: where both are alike it is white.
COLOURS = {"before": "magenta", "after": "green"}


class NoPicksError(InputError):
    """Fiducials are to be picked, and there is no layer to pick them in."""


class CorrectDrift(TablePanel):
    """Estimates the drift of a movie from the localizations of a layer, subtracts it, and takes it back.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    source : magicgui.widgets.ComboBox
        Whether the drift is estimated from molecules or from fiducials.
    picks : magicgui.widgets.ComboBox
        The layer in which fiducials are picked.
    curve : DriftCurve, optional
        The estimate.
    """

    verb = "correct"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.curve: DriftCurve | None = None
        self._curve_of: DriftSource | None = None
        self._applied: dict[object, DriftCurve] = {}
        self._moving = False
        self._compared: list[Image] = []
        self._hidden = HiddenLayers()
        self._build_form()
        self._build_actions()
        recall("drift", {"source": partial(setattr, self.source, "value")})
        self._source_changed()
        self._allow()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_form(self) -> None:
        self.source = ComboBox(
            label="From",
            choices=[MOLECULES, FOUND, PICKED],
            tooltip=f"{MOLECULES}: how their appearances overlap over the movie\n"
            f"{FOUND}: points that are there in most frames\n"
            f"{PICKED}: those near the points or shapes of another layer",
        )
        self.picks = self.layer_choice(
            "Picks",
            can_hold_picks,
            tooltip="A layer with a point or a shape on each fiducial, wherever that was in any frame; the selected "
            "ones count, or all",
        )
        self.build(
            self.source,
            self.picks,
            button="Estimate drift",
            tooltip="Estimate the drift from the shown points; nothing is moved yet",
            cancelled="Leave the curve as it is",
        )
        self.source.changed.connect(self._source_changed)
        self.source.changed.connect(self.note_settings)
        self.picks.changed.connect(self.note_settings)
        self.points.changed.connect(self._allow)

    def _build_actions(self) -> None:
        self.plot, self.errors = ChartView(), ChartView(ERRORS_PX)
        self.save_button = QPushButton("Save trace...")
        self.save_button.setToolTip("Write the curve with its errors as csv, a row for each frame")
        self.save_button.clicked.connect(self.ask_and_save)
        self.save_button.hide()
        self.add_result(self.plot, self.errors)
        self.apply_button, self.back_button = QPushButton("Apply"), QPushButton("Take back")
        self.apply_button.setToolTip("Subtract the drift from the points, hidden ones included; their image follows")
        self.back_button.setToolTip("Restore the original positions of the points; their image follows")
        self.apply_button.clicked.connect(self.apply)
        self.back_button.clicked.connect(self.take_back)
        row = QHBoxLayout()
        row.addWidget(self.apply_button)
        row.addWidget(self.back_button)
        self.column.addLayout(row)
        self.status = Words()
        self.status.hide()
        self.compare = CheckBox(
            text="Before and after",
            tooltip="Show images of the points before, in magenta, and after, in green; white where they are alike. "
            "Other layers are hidden meanwhile",
        )
        self.compare.changed.connect(self._compare_changed)
        for widget in (self.compare.native, self.status, self.save_button):
            self.column.addWidget(widget)
        self.images: LatestWork[RenderRequest] = LatestWork(self)
        self.images.returned.connect(self._fill_image)
        self.comparison: LatestWork[CompareRequest] = LatestWork(self, self.progress)
        self.comparison.returned.connect(self._show_comparison)
        self.comparison.failed.connect(self._refuse_comparison)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def reset_choices(self, *_: object) -> None:
        """List the layers again."""
        super().reset_choices()
        if hasattr(self, "compare"):
            self._allow()

    def _source_changed(self, _: object = None) -> None:
        self.form.setRowVisible(self.picks.native, self.source.value == PICKED)

    def _allow(self, _: object = None) -> None:
        """Enable what can be done with the chosen points."""
        points: Points | None = self.points.value
        corrected = points is not None and has_drift_subtracted(points)
        ready = points is not None and self.curve is not None
        self.apply_button.setEnabled(ready and self._applied_to(points) is not self.curve)
        self.back_button.setEnabled(corrected)
        self.compare.enabled = bool(ready or corrected or self.compare.value)

    def _applied_to(self, points: Points | None) -> DriftCurve | None:
        """Return the curve that was subtracted from points here, and has not been taken back."""
        if points is None or not has_drift_subtracted(points):
            return None
        return self._applied.get(points.unique_id)

    # -- the estimate -------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Estimate the drift, and remember from what."""
        remember("drift", {"source": self.source.value})
        super().act()

    def request(self, points: Points, ground: Ground) -> TableRequest:
        """Return the estimate from these points."""
        ground.check_pixel_size(points)
        fiducials: Any = self.source.value == FOUND
        if self.source.value == PICKED:
            if self.picks.value is None:
                raise NoPicksError("there is no layer to pick fiducials in: add a points layer, and a point on each")
            on = movie_of(points, self.viewer.layers) or StandInMovie(points)
            fiducials = picked_places(self.picks.value, on)
        # The curve is to cover hidden points, too.
        n_frames = int(table_of(points, shown_only=False).frame.max()) + 1
        settings = {"name": points.name, "n_frames": n_frames, "fiducials": fiducials}
        return TableRequest(points, ground, estimated, settings, f"estimating the drift of {points.name}")

    def command(self, request: TableRequest) -> CommandLine:
        """Return the call of the command `drift`, which estimates the drift and subtracts it."""
        file, fiducials = table_file(request.points, request.ground), request.settings["fiducials"]
        flags = {"fiducial_at": fiducials} if isinstance(fiducials, list) else {"fiducials": fiducials}
        written = {"output": file.output("corrected"), "trace": file.output("drift")}
        return CommandLine("drift", (file,), written | flags)

    def cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        """Return what cures an error: where there is no layer to pick in, one."""
        if isinstance(error, NoPicksError):
            return ADD_LAYER, self.add_picks_layer
        return super().cure_of(error)

    def add_picks_layer(self) -> None:
        """Add a points layer to pick fiducials in, on the chosen points, and choose it."""
        points = self.points.value
        if points is None:
            return
        layer = self.viewer.add_points(
            np.empty((0, 2)),
            ndim=2,
            name="fiducials",
            scale=points.scale[-2:],
            translate=points.translate[-2:],
            units=points.units[-2:],
            size=PICK_PX,
            symbol="ring",
            border_color="cyan",
            face_color="cyan",
        )
        layer.mode = "add"
        self.picks.value = layer
        self.refusal.say("Click on each fiducial, then estimate again.")

    def deliver(self, request: TableRequest, result: DriftCurve) -> str:
        """Show the curve."""
        self.curve, self._curve_of = result, DriftSource.of(request.points)
        self.plot.show_chart(drift_chart(result))
        self.errors.show_chart(drift_error_chart(result))
        self.save_button.show()
        self._say("")
        self._allow()
        if self.compare.value:
            self._ask_comparison()
        return f"{request.points.name}: {describe_curve(result)}"

    # -- moving the points --------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Subtract the curve from the chosen points."""
        with self.refusal.shown(self.cure_of):
            points, curve = self.chosen_points(), self.curve
            if curve is None:
                raise InputError("there is no drift to subtract: estimate it first")
            self._check_curve(points)
            ground = ground_of(points, self.viewer.layers)
            self._move(points, ground, lambda: subtract_drift(points, curve, ground))
            self._applied[points.unique_id] = curve
            of = self._curve_of
            whose = "drift" if of is None or of.layer == points.unique_id else f"drift of {of.name}"
            self._say(f"{points.name}: {whose} subtracted; the original positions are kept.")
            self._allow()

    def _check_curve(self, points: Points) -> None:
        """Raise `InputError` if the curve may be that of another movie."""
        if self._curve_of is not None:
            self._curve_of.check(points)

    def take_back(self) -> None:
        """Restore the original positions of the chosen points."""
        with self.refusal.shown(self.cure_of):
            points = self.chosen_points()
            ground = ground_of(points, self.viewer.layers)
            self._move(points, ground, lambda: take_drift_back(points, ground))
            self._applied.pop(points.unique_id, None)
            self._say(f"{points.name}: at the original positions.")
            self._allow()
            if self.curve is None:
                self.compare.value = False

    def _say(self, words: str) -> None:
        self.status.setText(words)
        self.status.setVisible(bool(words))

    def _move(self, points: Points, ground: Ground, how: Any) -> None:
        """Move points, and draw the image that was rendered from them again."""
        self._moving = True
        try:
            how()
        finally:
            self._moving = False
        image = rendering_of(points, self.viewer.layers)
        if image is not None and (settings := settings_of(image)) is not None:
            self.images.ask(RenderRequest(points, ground, settings, by_hand=True))

    def _fill_image(self, request: RenderRequest, rendered: SuperResolutionImage) -> None:
        image = rendering_of(request.points, self.viewer.layers)
        if image is not None:
            fill(image, rendered, request.points, over=request.ground.layer)

    def _shown_changed(self, _: object = None) -> None:
        if not self._moving:
            super()._shown_changed()

    def _points_changed(self, _: object = None) -> None:
        if not self._moving:
            super()._points_changed()

    # -- before and after ---------------------------------------------------------------------------------------------

    def _compare_changed(self, on: bool) -> None:
        if not on:
            self.comparison.cancel()
            self._uncover()
            self._allow()
            return
        with self.refusal.shown(self.cure_of):
            self._ask_comparison()
        if self.comparison.request is None:  # refused
            self.compare.value = False

    def _ask_comparison(self) -> None:
        points = self.chosen_points()
        if self.curve is not None:
            self._check_curve(points)
        image = rendering_of(points, self.viewer.layers)
        settings = (None if image is None else settings_of(image)) or {"pixel_size_nm": PIXEL_SIZE_NM}
        ground = ground_of(points, self.viewer.layers)
        self.comparison.ask(CompareRequest(points, ground, self.curve, settings))

    def _refuse_comparison(self, error: BaseException) -> None:
        self.refuse(error)
        self.compare.value = False

    def _show_comparison(self, request: CompareRequest, images: BeforeAndAfter) -> None:
        """Show two images in place of those shown before, and hide what would cover them."""
        from napari.layers import Layer

        if not self.compare.value:
            return
        self._remove_compared()
        layers, points = self.viewer.layers, request.points
        self._hidden.hide(*layers)
        for when, rendered in reversed(images._asdict().items()):
            name = f"{when} drift correction: {points.name}"
            data, about, kind = rendering_layer_data(
                rendered, points, name=name, colormap=COLOURS[when], over=request.ground.layer
            )
            # Not the image of these points that Render draws again.
            notes = replace(about["metadata"][KEY], points=None)
            shown = Layer.create(data, {**about, "metadata": {KEY: notes}}, kind)
            layers.append(shown)
            self._compared.append(shown)
        if points in layers:
            layers.selection.active = points

    def _remove_compared(self) -> None:
        for image in self._compared:
            if image in self.viewer.layers:
                self.viewer.layers.remove(image)
        self._compared.clear()

    def _uncover(self) -> None:
        """Remove the two images, and show again what they replaced."""
        self._remove_compared()
        self._hidden.show()

    def dock_closed(self) -> None:
        """Stop, and remove the two images."""
        super().dock_closed()
        self.images.cancel()
        self.comparison.cancel()
        self._uncover()

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the curve to it."""
        ask_and_save(self, "Save trace", results_path("drift.csv"), "csv (*.csv)", self.save)

    def save(self, path: str | Path) -> None:
        """Write the curve as csv, as the command line does."""
        with reported():
            if self.curve is None:
                raise InputError("there is no drift to save: estimate it first")
            self.curve.write(with_suffix(path, ".csv"), overwrite=True)


def describe_curve(curve: DriftCurve) -> str:
    """Describe a curve of drift: how far, by what, and how well it is known."""
    y, x = curve.extent_nm
    n = len(curve.fiducials)
    by = f"{n} fiducial{'s'[: n != 1]}" if n else curve.method
    words = f"Drift over {x:.1f} nm in x and {y:.1f} nm in y, by {by}: error {curve.rms_error_nm:.2f} nm RMS."
    if curve.jumps:
        words += f" It jumps at frame {', '.join(map(str, curve.jumps))}."
    return words
