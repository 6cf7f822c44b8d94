"""The widget *Detect*: a live preview of the frame in view, and runs over the movie in the background."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget
from superqt import QCollapsible

from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.background.detection import DetectionRun, RunSettings, RunSummary
from napari_subpixel.widgets.background.detector_cache import LOADING, DetectorChoice, floor_for
from napari_subpixel.widgets.background.preview import PreviewRequest
from napari_subpixel.widgets.background.table_files import TABLE_FILTER, write_table
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.live_preview import LivePreview
from napari_subpixel.widgets.controls.messages import report
from napari_subpixel.widgets.controls.microscope_table import MicroscopeTable
from napari_subpixel.widgets.controls.model_form import ModelForm
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size
from napari_subpixel.widgets.controls.probability_bar import ProbabilityBar
from napari_subpixel.widgets.controls.progress import ProgressRow, duration
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.run_cost import RunCost
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.files import movie_file, roi_text, span_text
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, belongs_to, is_movie
from napari_subpixel.widgets.layers.points import PointNotes, column_of, notes_of, set_threshold
from napari_subpixel.widgets.layers.results import is_linked, snapshot

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer, Points, Shapes
    from napari.utils.events import Event

    from napari_subpixel.camera import Camera
    from napari_subpixel.detection.job import DetectionJob

#: A threshold is applied once the slider has not moved for this long, in milliseconds.
SETTLE_MS = 40
#: Shown where the viewer has no image.
NO_MOVIE = "Open a movie first: drop a file on the viewer, or use Load."
#: Shown where the viewer has images, but no movie.
NONE_FITS = "None of the images is a movie: a movie has one axis besides y and x, and no colours."
#: Shown for a movie without a pixel size.
NO_PIXEL_SIZE = "The pixel size is not known: positions will be in pixels, and an image or scores need it in nm."
#: Tooltip of the threshold.
THRESHOLD_TIP = (
    "Minimum probability of the points that are shown. It acts at once on the preview and on the results of this "
    "movie and model: less probable points are hidden, not discarded, so that it can be lowered"
)


class DetectMolecules(Panel):
    """Detects the molecules of a movie: a preview that follows the slider, and runs with progress and cancel.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Named as napari looks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._run: DetectionRun | None = None
        self._summary: RunSummary | None = None
        self._measured: MovieLayer | None = None
        self._applying = False
        self._cost = RunCost()
        self._links, self._region_links = self.new_links(), self.new_links()
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._apply_threshold)
        self._build_choices()
        self._build_preview()
        self._build_extent()
        self._build_run()
        napari_viewer.dims.events.current_step.connect(self._ask_preview)
        napari_viewer.dims.events.current_step.connect(self._offer_to_go)
        napari_viewer.layers.events.inserted.connect(self._follow_results)
        napari_viewer.layers.events.removed.connect(self._layer_removed)
        self.form.recall("detect")
        self._movie_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_choices(self) -> None:
        self.movie = self.layer_choice(
            "Movie", is_movie, tooltip="The image layer to detect molecules in, whichever reader opened it"
        )
        self.form = ModelForm(self, threshold_tip=THRESHOLD_TIP)
        self.device_text, self.threshold = self.form.device_text, self.form.threshold
        self.device = self.form.device
        self.about = Words()
        self.column.addWidget(self.about)
        self.probabilities = ProbabilityBar()
        self.add_form(self.movie, *self.form.rows, ("", self.probabilities))
        self.movie.changed.connect(self._movie_changed)
        self.form.model_changed.connect(self._model_changed)
        self.form.device_known.connect(self._ask_preview)
        self.threshold.valueChanged.connect(self._threshold_moved)

    def _build_preview(self) -> None:
        self.live = LivePreview(self, self._chosen_movie, self._preview_request, self.threshold.value)
        self.preview, self.preview_text = self.live.switch, self.live.text
        self.column.addWidget(self.preview.native)
        self.column.addWidget(self.preview_text)

    def _build_extent(self) -> None:
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, what in ((self.first, "First"), (self.last, "Last")):
            box.setToolTip(f"{what} frame of the run, counted from 0 as on the viewer's slider")
            box.valueChanged.connect(self._extent_changed)
        self.region = self.layer_choice(
            "Region", _is_shapes, none="whole frame", tooltip="A shapes layer with a rectangle: detect only within it"
        )
        self.region.changed.connect(self._region_changed)
        frames = QHBoxLayout()
        frames.addWidget(self.first, stretch=1)
        frames.addWidget(QLabel("to"))
        frames.addWidget(self.last, stretch=1)
        inner = QWidget()
        self.add_form(("Frames", frames), self.region, to=inner)
        self.part = QCollapsible("Part of the movie", collapsedIcon="\u25b6", expandedIcon="\u25bc")
        self.part.addWidget(inner)
        self.column.addWidget(self.part)

    def _build_run(self) -> None:
        self.run_button = QPushButton("Detect")
        self.run_button.setToolTip("Detect the molecules of these frames in the background")
        self.run_button.clicked.connect(self.run)
        self.cost = Words()
        self.cost.hide()
        self.refusal = Refusal()
        self.pixel_size = Refusal()
        self.progress = ProgressRow()
        self.progress.cancel_clicked.connect(self.cancel)
        self.status = Words()
        self.microscope = MicroscopeTable()
        self.microscope.camera_chosen.connect(self._use_camera)
        self.save_button = QPushButton("Save table...")
        self.save_button.setToolTip("Write the shown localizations of the topmost result of this movie")
        self.save_button.clicked.connect(self.ask_and_save)
        self.go_button = QPushButton()
        self.go_button.setToolTip("Go to the first frame of the result: the frame in view was not detected")
        self.go_button.clicked.connect(self._go_to_result)
        self.go_button.hide()
        self.command_row = CommandLineRow(self.command_line)
        below = (self.command_row, self.progress, self.status, self.microscope, self.go_button, self.save_button)
        for widget in (self.pixel_size, self.run_button, self.cost, self.refusal, *below):
            self.column.addWidget(widget)
        self.live.timed.connect(self._frame_timed)
        self.live.changed.connect(self._show_probabilities)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def _chosen_movie(self) -> MovieLayer | None:
        """Return the chosen movie; None if there is none, or the layer is not a movie."""
        try:
            return MovieLayer(self.movie.value) if self.movie.value is not None else None
        except InputError:
            return None

    def _movie_changed(self, _: object = None) -> None:
        problem, n_frames = self._without_movie(), 0
        if self.movie.value is not None:
            try:
                problem, n_frames = "", MovieLayer(self.movie.value).stack().n_frames
            except InputError as error:
                problem = str(error)
        self.about.setText(problem)
        self.about.setVisible(bool(problem))
        for box, value in ((self.first, 0), (self.last, n_frames - 1)):
            box.setRange(0, max(n_frames - 1, 0))
            box.setValue(value)
        if self._run is None:
            self._summary = None
            self.status.setText("")
            self.microscope.clear()
        self._say_pixel_size()
        self._extent_changed()
        self._adopt_threshold()
        self._ask_preview()

    def reset_choices(self, *_: object) -> None:
        """List the layers again; where none of them is a movie, say what is missing."""
        super().reset_choices()
        if self.movie.value is None and hasattr(self, "live") and self._run is None:
            self.about.setText(self._without_movie())

    def _say_pixel_size(self) -> None:
        """Say before a run that its result will be in pixels, where that is so."""
        movie = self._chosen_movie()
        if movie is None or movie.camera.pixel_size_nm is not None:
            self.pixel_size.clear()
            return
        self.pixel_size.say(NO_PIXEL_SIZE, (SET_PIXEL_SIZE, self.set_pixel_size))

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the chosen movie, and set it."""
        movie = self._chosen_movie()
        if movie is not None and ask_pixel_size(self, movie, self.viewer.layers) is not None:
            self.viewer.reset_view()
            self._say_pixel_size()
            self._ask_preview()

    def _without_movie(self) -> str:
        from napari.layers import Image

        return NONE_FITS if any(isinstance(layer, Image) for layer in self.viewer.layers) else NO_MOVIE

    def _allow_run(self) -> None:
        ordered = self.first.value() <= self.last.value()
        self.run_button.setEnabled(self._run is None and not self.about.text() and ordered)

    def _model_changed(self) -> None:
        self._adopt_threshold()
        self._say_cost()
        self._ask_preview()

    def _extent_changed(self, _: object = None) -> None:
        n = self.last.value() - self.first.value() + 1
        words = f"Detect in {n:,} frame{'s'[: n != 1]}" if n > 0 else "The first frame comes after the last"
        self.run_button.setText("Detect" if self.about.text() else words)
        self._say_cost()
        self._allow_run()

    def _where(self, region: Roi | None) -> tuple[object, ...]:
        """Return what, besides the model, the time of a frame depends on."""
        movie = self._chosen_movie()
        return (movie.notes.key if movie is not None else "", str(region), self.form.device_name)

    def _frame_timed(self, request: PreviewRequest, seconds: float) -> None:
        self._cost.note(self._where(request.roi), request.choice.model, seconds)
        self._say_cost()

    def _say_cost(self) -> None:
        """Show how long the run will take, once that is known."""
        movie, n = self._chosen_movie(), self.last.value() - self.first.value() + 1
        words = ""
        if movie is not None and self._run is None and not self.about.text():
            try:
                words = self._cost.words(self._where(self._region_of(movie)), self.form.model_name, n)
            except InputError:
                words = ""  # the run says what is wrong with the region
        self.cost.setText(words)
        self.cost.setVisible(bool(words))

    @property
    def choice(self) -> DetectorChoice:
        """The chosen detector."""
        form = self.form
        floor = floor_for(form.threshold.value(), form.card.threshold)
        return DetectorChoice(form.model_name, form.device_name, floor)

    def _region_of(self, movie: MovieLayer) -> Roi | None:
        shapes: Shapes | None = self.region.value
        return None if shapes is None else movie.region(shapes)

    def _region_changed(self, _: object = None) -> None:
        self._region_links.clear()
        if self.region.value is not None:
            self._region_links.connect(self.region.value.events.data, self._ask_preview)
        self._ask_preview()

    # -- preview ------------------------------------------------------------------------------------------------------

    def _ask_preview(self, _: object = None) -> None:
        self.live.ask()

    def _preview_request(self, movie: MovieLayer) -> PreviewRequest:
        frame, region = movie.current_frame(self.viewer), self._region_of(movie)
        return PreviewRequest(movie.notes.key, self.choice, movie.stack(), movie.camera, frame, region)

    def _layer_removed(self, event: Event) -> None:
        self.live.forget(event.value)
        self._follow_results()

    # -- threshold ----------------------------------------------------------------------------------------------------

    def _show_probabilities(self) -> None:
        """Show the probabilities of what the threshold acts on: the topmost result, else the preview."""
        layer = next(iter(self._results()), None) or self.live.layer
        self.probabilities.show_probabilities(None if layer is None else column_of(layer, "probability"))
        self.probabilities.show_threshold(self.threshold.value())

    def _threshold_moved(self, threshold: float) -> None:
        self.probabilities.show_threshold(threshold)
        self._settle.start()

    def _apply_threshold(self) -> None:
        """Show the points above the threshold: in the preview, a run over this movie, and its results."""
        threshold, movie, run = self.threshold.value(), self._chosen_movie(), self._run
        if movie is not None and run is not None and run.is_of(movie, self.form.model_name):
            run.threshold = threshold
        self._applying = True
        for layer in self._results():
            set_threshold(layer, threshold)
        self._applying = False
        self._say_result()
        self._ask_preview()

    def _results(self) -> list[Points]:
        """Return the results of the chosen model on the chosen movie, the topmost first."""
        movie = self._chosen_movie()
        key = movie.notes.key if movie is not None else None
        return [layer for layer in reversed(self.viewer.layers) if key and belongs_to(layer, key) and self._fits(layer)]

    def _fits(self, layer: Layer) -> bool:
        notes = layer.metadata.get(KEY)
        if not isinstance(notes, PointNotes) or notes.role:
            return False
        model = notes.about.get("provenance", {}).get("model")
        return model == self.form.card.provenance and not is_linked(layer)

    def _adopt_threshold(self) -> None:
        """Set the slider to the threshold of the topmost result of this movie and model."""
        self._follow_results()
        threshold = next((notes_of(layer).threshold for layer in self._results()), None)
        if threshold is not None:
            self.threshold.setValue(threshold)

    def _follow_results(self, _: object = None) -> None:
        """Follow thresholds that are set elsewhere, by a second widget of this kind."""
        self._links.clear()
        results = self._results()
        self.save_button.setEnabled(bool(results))
        self._show_probabilities()
        for layer in results:
            self._links.connect(notes_of(layer).threshold_changed, self._threshold_set)

    def _threshold_set(self, threshold: float) -> None:
        if not self._applying:
            self.threshold.setValue(threshold)

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Detect the chosen frames; the result grows in the viewer."""
        movie = self._chosen_movie()
        if self._run is not None or movie is None:
            return
        try:
            first, last = self.first.value(), self.last.value()
            if first > last:
                raise InputError(f"the first frame, {first}, comes after the last, {last}")
            settings = RunSettings(self.choice, (first, last + 1), self._region_of(movie))
            run = DetectionRun(self.viewer, movie, settings, self.threshold.value())
        except InputError as error:
            self.refusal.say(reason_first(error))
            report(error)
            return
        self.refusal.clear()
        self.form.remember("detect")
        self.cost.hide()
        run.preparing.connect(self._preparing)
        run.began.connect(self._run_began)
        run.progressed.connect(self._progressed)
        run.ended.connect(self._run_ended)
        self._run = run
        self.run_button.setEnabled(False)
        self.status.setText("")
        self.progress.begin(last + 1 - first, "frames", LOADING)
        self.begin(run.work)

    def cancel(self) -> None:
        """Stop the run; what was detected so far is kept."""
        if self._run is not None:
            self._run.work.cancel()

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the table to it."""
        if results := self._results():
            path, _ = QFileDialog.getSaveFileName(self, "Save table", f"{results[0].name}.csv", TABLE_FILTER)
            if path:
                self.save(path)

    def save(self, path: str | Path) -> None:
        """Write the shown localizations of the topmost result, in the format that the suffix names."""
        results = self._results()
        if not results:
            return
        work = Work(write_table, snapshot(results[0]), Path(path))
        work.returned.connect(self._saved)
        self.begin(work)

    def command_line(self) -> CommandLine:
        """Return the call of the command `detect` for the chosen frames.

        Raises
        ------
        InputError
            If there is no movie, or the region lies outside of it.
        """
        movie, form = self._chosen_movie(), self.form
        if movie is None:
            raise InputError(self._without_movie())
        file, frames = movie_file(movie), (self.first.value(), self.last.value() + 1)
        flags = {
            "output": file.output("detected"),
            **form.flags,
            "frames": None if frames == (0, movie.stack().n_frames) else span_text(frames),
            "roi": roi_text(self._region_of(movie)),
        }
        return CommandLine("detect", (file,), flags)

    def _saved(self, path: Path) -> None:
        self.status.setText(f"Saved {path.name}.")

    def dock_closed(self) -> None:
        """Stop the run, whose partial result is kept, and the preview, whose layer is removed."""
        super().dock_closed()
        self.live.stop()

    def _preparing(self, words: str) -> None:
        if self.progress.cancel.isEnabled():
            self.progress.text.setText(words)

    def _run_began(self, job: DetectionJob) -> None:
        """Count the time from now on: the model is loaded, and the microscope estimated."""
        self.form.show_device(job.detector.device_reason)
        if self._run is not None:
            self._measured = self._run.movie
            self.microscope.show_job(job, self._run.camera)
        self.progress.text.setText("detecting ...")
        self.progress.restart()

    def _use_camera(self, camera: Camera) -> None:
        """Give the movie of the last run the camera that the run took it for."""
        movie = self._measured
        if movie is None:
            return
        movie.set_camera(replace(camera, pixel_size_nm=movie.camera.pixel_size_nm), self.viewer.layers)
        self.status.setText(f"The camera of {movie.name} is set.")
        self._ask_preview()

    def _progressed(self, frames: int, localizations: int) -> None:
        if self.progress.cancel.isEnabled():
            self.progress.update_to(frames, f"{localizations:,} localizations")

    def _run_ended(self, summary: RunSummary) -> None:
        self._run = None
        self.progress.end()
        self._allow_run()
        self._summary = summary
        if summary.n_frames and summary.seconds and self._chosen_movie() is not None:
            where = self._where(summary.roi)
            self._cost.note(where, self.form.model_name, summary.seconds / summary.n_frames)
        self._say_cost()
        self._say_result()
        if summary.layer is not None:
            self.preview.value = False

    def _say_result(self) -> None:
        """Show how the last run ended, and how many of its localizations are shown now."""
        if self._summary is not None and self._run is None:
            self.status.setText(_describe(self._summary))
        self._offer_to_go()

    def _offer_to_go(self, _: object = None) -> None:
        """Offer to go to the result where the frame in view is not one of its frames."""
        summary, movie = self._summary, self._chosen_movie()
        there = summary is not None and summary.layer is not None and summary.layer in self.viewer.layers
        away = False
        if there and movie is not None and summary is not None:
            first, stop = summary.frames
            away = not first <= movie.current_frame(self.viewer) < stop
            self.go_button.setText(f"Go to frame {first}")
        self.go_button.setVisible(away)

    def _go_to_result(self) -> None:
        movie = self._chosen_movie()
        if self._summary is not None and movie is not None:
            movie.go_to(self.viewer, self._summary.frames[0])


def _describe(summary: RunSummary) -> str:
    how = {"done": "", "cancelled": "Stopped: ", "failed": "Stopped by an error: "}[summary.ending]
    if summary.is_whole and summary.ending == "cancelled":
        how = "Finished before it could be stopped: "
    if summary.layer is None:
        return f"{how}nothing was detected."
    rate = summary.n_frames / summary.seconds if summary.seconds else 0.0
    frames = f"{summary.n_frames:,} frame{'s'[: summary.n_frames != 1]}"
    of = "" if summary.is_whole else f" of {summary.of_frames:,}"
    found, took = f"{summary.layer.shown.sum():,} localizations", duration(summary.seconds)
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
    words = f"{found} in {frames}{of}{_which(summary)}, {took}, {speed} frames/s."
    notes = notes_of(summary.layer)
    if notes.floor is not None and notes.threshold is not None and notes.threshold < notes.floor:
        words += f" Points below {notes.floor:g} were not kept: detect again to see them."
    words += "".join(f" {warning}" for warning in summary.warnings)
    return how + words


def _which(summary: RunSummary) -> str:
    """Say which frames were done, where these are a part of the movie."""
    first, stop = summary.frames
    return "" if summary.of_movie == stop - first else f" ({first} to {stop - 1} of {summary.of_movie:,})"


def _is_shapes(layer: Layer) -> bool:
    from napari.layers import Shapes

    return isinstance(layer, Shapes)
