"""The widget *Detect molecules*: live on the frame in view, and over the whole movie in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget
from superqt import QCollapsible, QLabeledDoubleSlider

from napari_subpixel import models
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.detection_run import DetectionRun, RunSettings, RunSummary
from napari_subpixel.widgets.detectors import DetectorChoice, floor_for
from napari_subpixel.widgets.messages import report, reported, show_error
from napari_subpixel.widgets.movie_layers import KEY, MovieLayer, belongs_to, is_movie
from napari_subpixel.widgets.panel import Panel
from napari_subpixel.widgets.point_layers import PointNotes, fill, notes_of, point_layer_data, set_threshold
from napari_subpixel.widgets.preview import Preview, PreviewQueue, PreviewRequest
from napari_subpixel.widgets.progress import ProgressRow, duration
from napari_subpixel.widgets.work import Work

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer, Points, Shapes

DEVICES = {"automatic": "auto", "CPU": "cpu", "CUDA (NVIDIA)": "cuda", "MPS (Apple)": "mps"}
FROM_FILE = "from file ..."
#: A threshold is acted on when the slider has rested for this long, in milliseconds.
SETTLE_MS = 40
NO_MOVIE = "Open a movie first: drop a file on the viewer, or use Load SMLM stack."


class DetectMolecules(Panel):
    """Finds the molecules of a movie: a preview that follows the slider, and runs with progress and cancel.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Named as napari looks for it.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._cards: dict[str, models.ModelCard] = {card.name: card for card in models.installed()}
        self._queue: PreviewQueue | None = None
        self._preview_work: Work | None = None
        self._preview_layer: Points | None = None
        self._run: DetectionRun | None = None
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._apply_threshold)
        self._build_choices()
        self._build_preview()
        self._build_extent()
        self._build_run()
        napari_viewer.dims.events.current_step.connect(self._frame_changed)
        napari_viewer.layers.events.removed.connect(self._layer_removed)
        self._model_changed()
        self._movie_changed()
        self._device_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_choices(self) -> None:
        self.movie = self.layer_choice(
            "Movie", is_movie, tooltip="The image layer to find molecules in, whoever opened it"
        )
        self.model = ComboBox(label="Model", choices=self._model_names)
        self.device = ComboBox(label="Device", choices=list(DEVICES), tooltip="Where the network runs")
        self.about, self.device_text = QLabel(wordWrap=True), QLabel(wordWrap=True)
        self.column.addWidget(self.about)
        self.add_form(self.movie, self.model, self.device, ("", self.device_text), ("Threshold", self._slider()))
        self.movie.changed.connect(self._movie_changed)
        self.model.changed.connect(self._model_changed)
        self.device.changed.connect(self._device_changed)

    def _slider(self) -> QLabeledDoubleSlider:
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.01, 0.99)
        self.threshold.setSingleStep(0.01)
        self.threshold.setDecimals(2)
        self.threshold.setToolTip(
            "Probability from which a point is shown. It acts on the preview and on the results of this movie and "
            "model at once: points down to half of it are kept out of sight"
        )
        self.threshold.valueChanged.connect(self._threshold_moved)
        return self.threshold

    def _build_preview(self) -> None:
        self.preview = CheckBox(
            text="Preview on the frame in view", tooltip="Find the molecules of each frame that you go to"
        )
        self.preview.changed.connect(self._preview_switched)
        self.preview_text = QLabel(wordWrap=True)
        self.preview_text.hide()
        self.column.addWidget(self.preview.native)
        self.column.addWidget(self.preview_text)

    def _build_extent(self) -> None:
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, what in ((self.first, "First"), (self.last, "Last")):
            box.setToolTip(f"{what} frame of the run, counted from 0 as on the viewer's slider")
            box.valueChanged.connect(self._extent_changed)
        self.region = self.layer_choice(
            "Region", _is_shapes, none="whole frame", tooltip="A shapes layer with a rectangle: detect within it only"
        )
        self.region.changed.connect(self._ask_preview)
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
        self.run_button.setToolTip("Find the molecules of these frames in the background")
        self.run_button.clicked.connect(self.run)
        self.progress = ProgressRow()
        self.progress.cancel_clicked.connect(self.cancel)
        self.status = QLabel(wordWrap=True)
        for widget in (self.run_button, self.progress, self.status):
            self.column.addWidget(widget)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def _model_names(self, _: Any = None) -> list[str]:
        return [*self._cards, FROM_FILE]

    def _movie_changed(self, _: Any = None) -> None:
        layer = self.movie.value
        self.about.setVisible(layer is None)
        self.about.setText("" if layer is not None else NO_MOVIE)
        self.run_button.setEnabled(layer is not None and self._run is None)
        if layer is not None:
            with reported():
                n_frames = MovieLayer(layer).stack().n_frames
                for box in (self.first, self.last):
                    box.setRange(0, n_frames - 1)
                self.first.setValue(0)
                self.last.setValue(n_frames - 1)
        self._extent_changed()
        self._ask_preview()

    def _model_changed(self, _: Any = None) -> None:
        if self.model.value == FROM_FILE:
            self._choose_file()
            return
        card = self.card
        self.model.tooltip = f"{card.summary} {card.limits}".strip()
        self.threshold.setValue(card.threshold)
        self._ask_preview()

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors)")
        name = next(iter(self._cards))
        if path:
            with reported():
                self._cards[path] = models.read_card(path)
                name = path
        self.model.reset_choices()
        self.model.value = name

    def _device_changed(self, _: Any = None) -> None:
        work = Work(_device_in_words, DEVICES[self.device.value])
        work.returned.connect(self._device_known)
        work.failed.connect(self._device_refused)
        self.begin(work)
        self.device_text.setText("looking for devices ...")

    def _device_known(self, words: str) -> None:
        self._device_named(words)
        self._ask_preview()

    def _device_named(self, words: str) -> None:
        self.device_text.setText(f"Runs on: {words}")

    def _device_refused(self, _: Exception) -> None:
        self.device.value = next(iter(DEVICES))

    def _extent_changed(self, _: Any = None) -> None:
        n = self.last.value() - self.first.value() + 1
        self.run_button.setText("Detect" if self.movie.value is None else f"Detect in {n:,} frame{'s'[: n != 1]}")

    @property
    def card(self) -> models.ModelCard:
        """The card of the model that is chosen."""
        return self._cards[self.model.value]

    @property
    def choice(self) -> DetectorChoice:
        """The detector that is chosen."""
        floor = floor_for(self.threshold.value(), self.card.threshold)
        return DetectorChoice(self.model.value, DEVICES[self.device.value], floor)

    def _region_of(self, movie: MovieLayer) -> Any:
        shapes: Shapes | None = self.region.value
        return None if shapes is None else movie.region(shapes)

    # -- preview ------------------------------------------------------------------------------------------------------

    def _preview_switched(self, on: bool) -> None:
        if on:
            self._queue = PreviewQueue()
            self._preview_work = Work(self._queue.previews)
            self._preview_work.yielded.connect(self._show_preview)
            self.begin(self._preview_work)
            self._ask_preview()
        elif self._preview_work is not None:
            self._preview_work.cancel()
            self._queue = self._preview_work = None
            self._say_of_preview("")
            self._remove_preview()

    def _frame_changed(self, _: Any = None) -> None:
        self._ask_preview()

    def _ask_preview(self, _: Any = None) -> None:
        if self._queue is None or self.movie.value is None:
            return
        try:
            movie = MovieLayer(self.movie.value)
            frame = movie.current_frame(self.viewer)
            region = self._region_of(movie)
            request = PreviewRequest(movie.notes.key, self.choice, movie.stack(), movie.camera, frame, region)
            self._queue.ask(request)
        except InputError as error:
            self._say_of_preview(str(error))

    def _show_preview(self, preview: Preview | None) -> None:
        if preview is None or self._queue is None or self.movie.value is None:
            return
        if preview.error is not None or preview.table is None:
            self._say_of_preview("")
            report(preview.error or InputError("nothing was detected"))
            return
        movie = MovieLayer(self.movie.value)
        if preview.request.key != movie.notes.key:
            return  # another movie was chosen meanwhile
        self._fill_preview(preview, movie)
        n_shown = int(self._preview_layer.shown.sum()) if self._preview_layer is not None else 0
        milliseconds = max(1, round(1000 * preview.seconds))
        self._say_of_preview(
            f"{n_shown:,} molecule{'s'[: n_shown != 1]} in frame {preview.request.frame} ({milliseconds:,} ms)"
        )

    def _fill_preview(self, preview: Preview, movie: MovieLayer) -> None:
        from napari.layers import Layer

        assert preview.table is not None
        if self._preview_layer is not None and not belongs_to(self._preview_layer, movie.notes.key):
            self._remove_preview()
        if self._preview_layer is None:
            active = self.viewer.layers.selection.active
            layer = Layer.create(*point_layer_data(preview.table, movie, name=f"preview of {movie.name}"))
            notes_of(layer).role = "preview"
            self._preview_layer = self.viewer.add_layer(layer)
            self.viewer.layers.selection.active = active
        else:
            fill(self._preview_layer, preview.table, movie)
        set_threshold(self._preview_layer, self.threshold.value())

    def _remove_preview(self) -> None:
        layer, self._preview_layer = self._preview_layer, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _layer_removed(self, event: Any) -> None:
        if event.value is self._preview_layer:
            self._preview_layer = None

    def _say_of_preview(self, words: str) -> None:
        self.preview_text.setText(words)
        self.preview_text.setVisible(bool(words))

    # -- threshold ----------------------------------------------------------------------------------------------------

    def _threshold_moved(self, _: float) -> None:
        self._settle.start()

    def _apply_threshold(self) -> None:
        """Show what lies above the threshold: in the preview, in the run that goes on, and in earlier results."""
        threshold = self.threshold.value()
        if self._run is not None:
            self._run.threshold = threshold
        if self.movie.value is not None:
            key = MovieLayer(self.movie.value).notes.key
            for layer in self.viewer.layers:
                if belongs_to(layer, key) and self._is_of_model(layer):
                    set_threshold(layer, threshold)
        self._ask_preview()

    def _is_of_model(self, layer: Layer) -> bool:
        notes = layer.metadata.get(KEY)
        if not isinstance(notes, PointNotes):
            return False
        return notes.about.get("provenance", {}).get("model") == self.card.provenance

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Detect the frames that are chosen; the result is added to the viewer when the run ends."""
        if self._run is not None or self.movie.value is None:
            return
        try:
            movie = MovieLayer(self.movie.value)
            first, last = self.first.value(), self.last.value()
            if first > last:
                raise InputError(f"the first frame, {first}, lies behind the last, {last}")
            settings = RunSettings(self.choice, (first, last + 1), self._region_of(movie))
            run = DetectionRun(self.viewer, movie, settings, self.threshold.value())
        except InputError as error:
            show_error(str(error))
            return
        run.began.connect(self._device_named)
        run.progressed.connect(self._progressed)
        run.ended.connect(self._run_ended)
        self._run = run
        self.run_button.setEnabled(False)
        self.status.setText("")
        self.progress.begin(last + 1 - first, "frames", f"{movie.name}: loading the model ...")
        self.begin(run.work)

    def cancel(self) -> None:
        """Stop the run; what was found so far is kept."""
        if self._run is not None:
            self._run.work.cancel()

    def dock_closed(self) -> None:
        """Stop the run, whose partial result is kept, and the preview, whose layer goes."""
        super().dock_closed()
        self._queue = None
        self._remove_preview()

    def _progressed(self, frames: int, molecules: int) -> None:
        if self.progress.cancel.isEnabled():
            self.progress.update_to(frames, f"{molecules:,} molecules")

    def _run_ended(self, summary: RunSummary) -> None:
        self._run = None
        self.progress.end()
        self.run_button.setEnabled(self.movie.value is not None)
        self.status.setText(_in_words(summary))
        if summary.layer is not None:
            self.preview.value = False


def _in_words(summary: RunSummary) -> str:
    rate = summary.n_frames / summary.seconds if summary.seconds else 0.0
    frames = f"{summary.n_frames:,} frame{'s'[: summary.n_frames != 1]}"
    found = f"{summary.n_molecules:,} molecules in {frames}, {duration(summary.seconds)}, {rate:,.0f} frames/s"
    if summary.ending == "done":
        return found
    how = "Stopped" if summary.ending == "cancelled" else "Broken off by an error"
    if summary.layer is None:
        return f"{how}: nothing was found yet."
    return f"{how}: {found} of {summary.of_frames:,} are kept."


def _device_in_words(device: str) -> Any:
    """Return which device it is and why; loads torch."""
    from napari_subpixel.detector import choose_device

    yield
    return choose_device(device)[1]


def _is_shapes(layer: Any) -> bool:
    from napari.layers import Shapes

    return isinstance(layer, Shapes)
