"""The widget *Detect*: a live preview of the frame in view, and runs over the movie in the background."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.background.detection import DetectionRun, RunSettings, RunSummary
from napari_subpixel.widgets.background.detector_cache import DetectorChoice, floor_for
from napari_subpixel.widgets.background.preview import PreviewRequest
from napari_subpixel.widgets.background.table_files import TABLE_FILTER, write_table
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.live_preview import LivePreview
from napari_subpixel.widgets.controls.messages import report
from napari_subpixel.widgets.controls.model_form import ModelForm
from napari_subpixel.widgets.controls.napari_task import NapariTask
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.part_of_movie import PartOfMovie
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size
from napari_subpixel.widgets.controls.plugin import bind_keys, with_key
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.result_threshold import ResultThreshold
from napari_subpixel.widgets.controls.run_cost import RunCost
from napari_subpixel.widgets.controls.run_report import RunReport
from napari_subpixel.widgets.controls.saving import ask_and_save
from napari_subpixel.widgets.controls.settings_file import SettingsButtons
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.files import camera_controls, movie_file, roi_text, span_text
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie
from napari_subpixel.widgets.layers.results import snapshot

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

    from napari_subpixel.camera import Camera

#: Shown where the viewer has no image.
NO_MOVIE = "Open a movie first: drop a file on the viewer, or use Load."
#: Shown where the viewer has images, but no movie.
NONE_FITS = "None of the images is a movie: a movie has one axis besides y and x, and no colours."
#: Shown for a movie without a pixel size.
NO_PIXEL_SIZE = "The pixel size is not known: positions will be in pixels, and an image or scores need it in nm."
#: Tooltip of the threshold.
THRESHOLD_TIP = (
    "Minimum probability of the points that are shown. It acts at once on the preview and on the results of this "
    "movie and model: less probable points are hidden, not discarded, so that it can be lowered. "
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
        self._cost = RunCost()
        self._build_choices()
        self._build_preview()
        self._build_part()
        self._build_run()
        self._connect_parts()
        bind_keys(self.viewer)
        self.form.recall("detect")
        self._movie_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_choices(self) -> None:
        self.movie = self.layer_choice(
            "Movie", is_movie, tooltip="The image layer to detect molecules in, whichever reader opened it"
        )
        self.form = ModelForm(self, threshold_tip=THRESHOLD_TIP + _keys_of_threshold())
        self.device_text, self.threshold = self.form.device_text, self.form.threshold
        self.device = self.form.device
        self.about = Words()
        self.column.addWidget(self.about)
        self.results = ResultThreshold(self, self.form, self._chosen_movie, lambda: self.live.layer)
        self.add_form(self.movie, *self.form.rows, ("", self.results.bar))

    def _build_preview(self) -> None:
        self.live = LivePreview(self, self._chosen_movie, self._preview_request, self.threshold.value)
        self.preview, self.preview_text = self.live.switch, self.live.text
        self.preview.tooltip = with_key(str(self.preview.tooltip), "napari-subpixel.toggle_preview")
        self.column.addWidget(self.preview.native)
        self.column.addWidget(self.preview_text)

    def _build_part(self) -> None:
        self.part = PartOfMovie(self)
        self.first, self.last, self.region = self.part.first, self.part.last, self.part.region
        self.column.addWidget(self.part.box)

    def _build_run(self) -> None:
        self.run_button = QPushButton("Detect")
        self.run_button.setToolTip("Detect the molecules of these frames in the background")
        self.run_button.clicked.connect(self.run)
        self.cost = Words()
        self.cost.hide()
        self.refusal = Refusal()
        self.pixel_size = Refusal()
        self.follow = QCheckBox("Follow a growing movie")
        self.follow.setToolTip(
            "Detect while the microscope still writes the movie: frames and molecules are added as they come"
        )
        self.outcome = RunReport(self, self._chosen_movie)
        self.progress, self.status = self.outcome.progress, self.outcome.status
        self.microscope = self.outcome.microscope
        self.task = NapariTask(self.progress, self.viewer, "detecting")
        self.save_button = QPushButton("Save table...")
        self.save_button.setToolTip("Write the shown localizations of the topmost result of this movie")
        self.save_button.clicked.connect(self.ask_and_save)
        self.command_row = CommandLineRow(self.command_line)
        self.settings = SettingsButtons("detect", self.command_line, self._controls, self.status, self.refusal)
        below = (self.command_row, self.settings, self.outcome, self.save_button)
        for widget in (self.pixel_size, self.follow, self.run_button, self.cost, self.refusal, *below):
            self.column.addWidget(widget)

    def _connect_parts(self) -> None:
        self.movie.changed.connect(self._movie_changed)
        self.settings.opened.connect(self._settings_opened)
        self.form.model_changed.connect(self._model_changed)
        self.form.device_known.connect(self.live.ask)
        self.results.applied.connect(self._threshold_applied)
        self.results.listed.connect(self.save_button.setEnabled)
        self.part.frames_changed.connect(self._frames_changed)
        self.follow.toggled.connect(self._frames_changed)
        self.part.region_changed.connect(self.live.ask)
        self.live.timed.connect(self._frame_timed)
        self.live.changed.connect(self.results.show_probabilities)
        self.progress.cancel_clicked.connect(self.cancel)
        self.outcome.camera_chosen.connect(self._use_camera)
        self.outcome.device_known.connect(self.form.show_device)
        current_step, layers = self.viewer.dims.events.current_step, self.viewer.layers.events
        links = self.new_links()
        links.connect(current_step, self.live.ask)
        links.connect(current_step, self.outcome.offer_to_go)
        links.connect(layers.inserted, self.results.follow)
        links.connect(layers.removed, self._layer_removed)

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
        self.part.reset(n_frames)
        self.outcome.clear()
        self._say_pixel_size()
        self._frames_changed()
        self.results.adopt()
        self.live.ask()

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
            self.live.ask()

    def _without_movie(self) -> str:
        from napari.layers import Image

        return NONE_FITS if any(isinstance(layer, Image) for layer in self.viewer.layers) else NO_MOVIE

    def _allow_run(self) -> None:
        ordered = self.part.n_frames > 0
        self.run_button.setEnabled(self._run is None and not self.about.text() and ordered)

    def _model_changed(self) -> None:
        self.results.adopt()
        self._say_cost()
        self.live.ask()

    def _frames_changed(self, _: object = None) -> None:
        n = self.part.n_frames
        words = f"Detect in {n:,} frame{'s'[: n != 1]}" if n > 0 else "The first frame comes after the last"
        if n > 0 and self.follow.isChecked():
            words = f"Detect from frame {self.first.value()} on"
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
        movie = self._chosen_movie()
        words = ""
        if movie is not None and self._run is None and not self.about.text():
            try:
                words = self._cost.words(self._where(self.part.roi(movie)), self.form.model_name, self.part.n_frames)
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

    # -- preview ------------------------------------------------------------------------------------------------------

    def _preview_request(self, movie: MovieLayer) -> PreviewRequest:
        frame, region = movie.current_frame(self.viewer), self.part.roi(movie)
        return PreviewRequest(movie.notes.key, self.choice, movie.stack(), movie.camera, frame, region)

    def _layer_removed(self, event: Event) -> None:
        self.live.forget(event.value)
        self.results.follow()

    def _threshold_applied(self, threshold: float) -> None:
        """Show the points above the threshold: in the preview, and at the end of a run over this movie."""
        movie, run = self._chosen_movie(), self._run
        if movie is not None and run is not None and run.is_of(movie, self.form.model_name):
            run.threshold = threshold
        self.outcome.say()
        self.live.ask()

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Detect the chosen frames; the result grows in the viewer."""
        movie = self._chosen_movie()
        if self._run is not None or movie is None:
            return
        try:
            part = self.part.frames(), self.part.roi(movie), self.part.no_static.isChecked()
            settings = RunSettings(self.choice, *part, self.follow.isChecked())
            run = DetectionRun(self.viewer, movie, settings, self.threshold.value())
        except InputError as error:
            self.refusal.say(reason_first(error))
            report(error)
            return
        # First of all: napari handles further events while its bar is made, another click among them.
        self._run = run
        self.run_button.setEnabled(False)
        self.refusal.clear()
        self.form.remember("detect")
        self.cost.hide()
        self.task.words = f"detecting {movie.name}"
        self.outcome.begin(run)
        run.grown.connect(self._movie_grew)
        run.ended.connect(self._run_ended)
        self.begin(run.work)

    def cancel(self) -> None:
        """Stop the run; what was detected so far is kept."""
        if self._run is not None:
            self._run.work.cancel()

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the table to it."""
        if results := self.results.layers():
            proposed = results_path(f"{results[0].name}.csv", self._movie_path())
            ask_and_save(self, "Save table", proposed, TABLE_FILTER, self.save)

    def _controls(self) -> dict[str, Callable[[Any], object]]:
        """Return what sets the panel, and the camera of the movie, from a file of settings."""
        movie, controls = self._chosen_movie(), self.form.controls
        if movie is None:
            return controls
        region = partial(self.part.choose_region, movie)
        camera = camera_controls(movie, self.viewer.layers)
        part: dict[str, Callable[[Any], object]] = {"frames": self.part.choose_frames, "roi": region}
        part["drop_static"] = self.part.choose_static
        return {**camera, **controls, **part}

    def _settings_opened(self, given: Container[str]) -> None:
        """Choose the whole movie where a file names no part of it; show the camera that it gave."""
        movie = self._chosen_movie()
        if movie is None:
            return
        if "frames" not in given:
            self.part.reset(movie.stack().n_frames)
        if "roi" not in given:
            self.part.region.value = None
        if "drop_static" not in given:
            self.part.no_static.setChecked(False)
        self._say_pixel_size()
        self.live.ask()

    def _movie_path(self) -> str | None:
        """Return the file of the chosen movie, where it has one."""
        movie = self._chosen_movie()
        path = movie.stack().opening.get("movie") if movie is not None else None
        return path if isinstance(path, str) else None

    def save(self, path: str | Path) -> None:
        """Write the shown localizations of the topmost result, in the format that the suffix names."""
        results = self.results.layers()
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
        is_whole, follow = frames == (0, movie.stack().n_frames), self.follow.isChecked()
        span = (frames[0] or None, None) if follow else frames
        flags = {
            "output": file.output("detected"),
            **form.flags,
            "frames": None if is_whole or span == (None, None) else span_text(span),
            "follow": follow,
            "roi": roi_text(self.part.roi(movie)),
            "drop_static": self.part.no_static.isChecked(),
        }
        return CommandLine("detect", (file,), flags)

    def _saved(self, path: Path) -> None:
        self.status.setText(f"Saved {path.name}.")

    def dock_closed(self) -> None:
        """Stop the run, whose partial result is kept, and the preview, whose layer is removed."""
        super().dock_closed()
        self.live.stop()

    def _use_camera(self, movie: MovieLayer, camera: Camera) -> None:
        """Give the movie of the last run the camera that the run took it for."""
        movie.set_camera(replace(camera, pixel_size_nm=movie.camera.pixel_size_nm), self.viewer.layers)
        self.status.setText(f"The camera of {movie.name} is set.")
        self.live.ask()

    def _movie_grew(self, n_frames: int) -> None:
        if self._run is not None and self.movie.value is self._run.movie.layer:
            self.part.extend(n_frames)

    def _run_ended(self, summary: RunSummary) -> None:
        run, self._run = self._run, None
        self._allow_run()
        # A run that waits for frames says nothing about how long they take.
        if run is not None and summary.n_frames and summary.seconds and not run.settings.follow:
            where = (run.movie.notes.key, str(summary.roi), run.settings.choice.device)
            self._cost.note(where, run.settings.choice.model, summary.seconds / summary.n_frames)
        self._say_cost()
        self.outcome.end(summary)
        if summary.layer is not None:
            self.preview.value = False


def _keys_of_threshold() -> str:
    lower = with_key("lower", "napari-subpixel.lower_threshold")
    return f"{with_key('Keys: raise', 'napari-subpixel.raise_threshold')}, {lower}"
