"""The widget *Figure*: from a movie to tables, a picture and a report in a folder, and its results as layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_subpixel.analysis.filters import Filter
from napari_subpixel.errors import (
    ChangedRunError,
    ChangedTableError,
    InputError,
    OutputExistsError,
    PixelSizeError,
    UnfinishedRunError,
)
from napari_subpixel.runs.figure import FILES, Figure, is_begun
from napari_subpixel.runs.movie_lists import bare_name
from napari_subpixel.widgets.background.detector_cache import DetectorChoice
from napari_subpixel.widgets.background.figure import FigureSettings, Frames, MovieOfFigure, of_movie, of_table
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.folders import folder_edit, typed_in
from napari_subpixel.widgets.controls.messages import report
from napari_subpixel.widgets.controls.model_form import ModelForm
from napari_subpixel.widgets.controls.napari_task import NapariTask
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size, ask_pixel_size_under
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.words import Colour, Words
from napari_subpixel.widgets.layers.files import movie_file
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.layers.renderings import rendering_layer_data
from napari_subpixel.widgets.layers.results import StandInMovie, ground_of, is_table, movie_of, snapshot

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: The choice of no table.
DETECT_THEM = "detect them"
#: What the name of the folder adds to that of the movie, unless another is given.
FOLDER_SUFFIX = " figure"
#: What the button says that continues a figure that was interrupted.
CONTINUE = "Continue it"
#: What the button says that replaces a figure.
REPLACE = "Replace what is there"
#: What the button says that replaces a figure of other settings.
START_AGAIN = "Start again"


class MakeFigure(Panel):
    """Detects a movie, corrects drift, filters, links, measures and renders, and writes a report.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    movie, points : magicgui.widgets.ComboBox
        The movie, and its localizations where they are there.
    folder : magicgui.widgets.FileEdit
    keep : QLineEdit
        The filter of its rows.
    fiducials : magicgui.widgets.CheckBox
        Whether drift is corrected by fiducials.
    form : ModelForm
        Model, device and threshold.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._work: Work | None = None
        self._source: MovieLayer | Points | None = None
        self._folder: Path | None = None
        self._build_form()
        self._build_run()
        self._source_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_form(self) -> None:
        self.movie = self.layer_choice("Movie", is_movie, tooltip="The movie that the figure is made of")
        self.points = self.layer_choice(
            "Localizations",
            is_table,
            none=DETECT_THEM,
            tooltip="Detect the movie's molecules, or use those of a layer: its shown points",
        )
        self.folder = folder_edit("Folder", "Where tables, picture and report go; created if it does not exist")
        self.keep = QLineEdit(placeholderText="not much less certain than most")
        self.keep.setToolTip(
            "The rows of the figure, as an expression: uncertainty < 20 nm & photons > 500. Without it those whose "
            "uncertainty is at most three times the median"
        )
        self.fiducials = CheckBox(
            text="Drift from fiducials",
            tooltip="Correct drift by points that are in most frames, not by molecules",
        )
        self.form = ModelForm(self, threshold_tip="Minimum probability of the molecules of the figure")
        rows = (self.folder, ("Keep", self.keep), self.fiducials)
        self.layout_of_form = self.add_form(self.movie, self.points, *rows, *self.form.rows)
        for choice in (self.movie, self.points):
            choice.changed.connect(self._source_changed)

    def _build_run(self) -> None:
        self.button = QPushButton("Make figure")
        self.button.setToolTip(
            "Detect, correct drift, filter, measure the resolution, link and render, all with settings from the data"
        )
        self.button.clicked.connect(lambda _: self.run())
        self.refusal = Refusal()
        self.progress = ProgressRow()
        NapariTask(self.progress, self.viewer, "making a figure")
        self.progress.cancel.setToolTip("Stop; the frames that are detected are kept, so that it can be continued")
        self.progress.cancel_clicked.connect(self.cancel)
        self.status, self.warnings = Words(), Words(colour=Colour.WARNING)
        self.results = QWidget()
        self.report_button, self.folder_button = QPushButton("Open report"), QPushButton("Open folder")
        self.report_button.setToolTip("Show the report in the browser")
        self.folder_button.setToolTip("Show the files")
        self.report_button.clicked.connect(lambda _: self._open(FILES["report"]))
        self.folder_button.clicked.connect(lambda _: self._open(""))
        buttons = QHBoxLayout()
        buttons.addWidget(self.report_button)
        buttons.addWidget(self.folder_button)
        rows = QVBoxLayout(self.results)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.status)
        rows.addWidget(self.warnings)
        rows.addLayout(buttons)
        self.results.hide()
        self.command_row = CommandLineRow(self.command_line)
        for widget in (self.button, self.refusal, self.command_row, self.progress, self.results):
            self.column.addWidget(widget)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def reset_choices(self, *_: object) -> None:
        """List the layers again."""
        super().reset_choices()
        if hasattr(self, "results"):
            self._source_changed()

    def _source_changed(self, _: object = None) -> None:
        detects = self.points.value is None
        for field in (self.movie.native, self.form.model.native, self.form.device.native, self.form.device_text):
            self.layout_of_form.setRowVisible(field, detects)
        self.layout_of_form.setRowVisible(self.form.threshold, detects)
        default = self._default_folder()
        self.folder.line_edit.native.setPlaceholderText("" if default is None else str(default))

    def _chosen(self) -> MovieLayer | Points:
        """Return what the figure is made of.

        Raises
        ------
        InputError
            If there is nothing, or the layer is no movie.
        """
        if self.points.value is not None:
            return self.points.value
        if self.movie.value is None:
            raise InputError("there is no movie to make a figure of: drop a file on the viewer, or use Load")
        return MovieLayer(self.movie.value)

    def _default_folder(self) -> Path | None:
        """Return a folder next to the movie's file, where it has one."""
        try:
            source = self._chosen()
            movie = source if isinstance(source, MovieLayer) else movie_of(source, self.viewer.layers)
            stack = None if movie is None else movie.stack()
        except InputError:
            return None
        if stack is None or not stack.files:
            return None
        path = stack.path or stack.files[0]
        return path.with_name(bare_name(path) + FOLDER_SUFFIX)

    def _chosen_folder(self) -> Path:
        typed = typed_in(self.folder)
        folder = Path(typed).expanduser() if typed else self._default_folder()
        if folder is None:
            raise InputError("no folder is given for the figure")
        return folder

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Make the figure.

        Parameters
        ----------
        resume : bool
            Continue an interrupted detection, and keep a finished one.
        overwrite : bool
            Replace what is there.
        """
        if self._work is not None:
            return
        with self.refusal.shown(self._cure_of, "figure"):
            source, folder = self._chosen(), self._chosen_folder()
            text = self.keep.text().strip()
            keep = Filter.of(text) if text else None
            settings = FigureSettings(source.name, folder, resume, overwrite, keep, self.fiducials.value)
            work = (
                self._work_on_movie(source, settings)
                if isinstance(source, MovieLayer)
                else (self._work_on_points(source, settings))
            )
            self._source, self._folder = source, folder
            self._begin(work)

    def command_line(self) -> CommandLine:
        """Return the call of the command `figure`.

        Raises
        ------
        InputError
            If there is no movie, or the figure is of localizations, for which there is no command.
        """
        source, text = self._chosen(), self.keep.text().strip()
        if not isinstance(source, MovieLayer):
            raise InputError(f"{source.name}: the command line makes a figure of a movie, not of localizations")
        file = movie_file(source)
        try:
            folder = str(self._chosen_folder().absolute())
        except InputError:
            folder = file.output("figure", "")
        keep = Filter.of(text).text if text else None
        flags = {"output": folder, **self.form.flags, "keep": keep, "fiducials": self.fiducials.value}
        return CommandLine("figure", (file,), flags)

    def cancel(self) -> None:
        """Stop; the frames that are detected are kept."""
        if self._work is not None:
            self._work.cancel()

    def _work_on_movie(self, movie: MovieLayer, settings: FigureSettings) -> Work:
        stack, camera, form = movie.stack(), movie.camera, self.form
        if camera.pixel_size_nm is None and stack.pixel_size_nm is None:
            raise PixelSizeError(f"{movie.name}: the pixel size of the camera is not known")
        choice = DetectorChoice(form.model_name, form.device_name, round(form.threshold.value(), 4))
        return Work(of_movie, MovieOfFigure(movie.notes.key, stack, camera, choice), settings, widget="figure")

    def _work_on_points(self, points: Points, settings: FigureSettings) -> Work:
        ground, table = ground_of(points, self.viewer.layers), snapshot(points)
        if not points.shown.any():
            raise InputError(f"{points.name}: there are no points to make a figure of")
        ground.check_pixel_size(points)
        return Work(of_table, lambda: ground.table(table()), settings, widget="figure")

    def _begin(self, work: Work) -> None:
        self._set_running(True)
        self.results.hide()
        self.progress.begin(0, "", "")
        self._work = work
        work.yielded.connect(self._arrived)
        work.returned.connect(self._made)
        work.failed.connect(self._failed)
        work.cancelled.connect(self._cancelled)
        work.finished.connect(self._finished)
        self.begin(work)

    def _arrived(self, event: str | Frames | None) -> None:
        if event is None or not self.progress.cancel.isEnabled():
            return
        if isinstance(event, str):
            self.progress.begin(0, "", event if event.endswith("...") else f"{event} ...")
        elif not event.done:
            self.progress.begin(event.n_frames, "frames", "detecting ...")
        else:
            self.progress.update_to(event.done, "detecting")

    def _failed(self, error: BaseException) -> None:
        self.refusal.say(reason_first(error, "figure"), self._cure_of(error))

    def _cancelled(self) -> None:
        folder = self._folder
        kept = folder is not None and isinstance(self._source, MovieLayer) and is_begun(folder)
        self._say("Stopped." + (" The frames that are detected are kept." if kept else ""))
        if kept:
            self.refusal.say("The figure is not finished.", (CONTINUE, lambda: self.run(resume=True)))

    def _finished(self) -> None:
        self._work = None
        self.progress.end()
        self._set_running(False)

    def _set_running(self, running: bool) -> None:
        for place in range(self.layout_of_form.count()):
            item = self.layout_of_form.itemAt(place)
            if item is not None and (widget := item.widget()) is not None:
                widget.setEnabled(not running)
        self.button.setEnabled(not running)

    # -- refusals -----------------------------------------------------------------------------------------------------

    def _cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        if isinstance(error, PixelSizeError):
            return SET_PIXEL_SIZE, self.set_pixel_size
        if isinstance(error, ChangedRunError | ChangedTableError):
            return START_AGAIN, lambda: self.run(overwrite=True)
        if isinstance(error, UnfinishedRunError):
            return CONTINUE, lambda: self.run(resume=True)
        if isinstance(error, OutputExistsError):
            # A detection that is there is kept; a figure that was made of a table has none.
            resume = self.points.value is None and self._folder is not None and is_begun(self._folder)
            return REPLACE, lambda: self.run(resume=resume, overwrite=not resume)
        return None

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the movie or of the points, set it, and make the figure."""
        source = self._chosen()
        if isinstance(source, MovieLayer):
            size = ask_pixel_size(self, source, self.viewer.layers)
        else:
            size = ask_pixel_size_under(self, source, self.viewer.layers)
        if size is not None:
            self.viewer.reset_view()
            self.run()

    # -- results ------------------------------------------------------------------------------------------------------

    def _made(self, made: Figure) -> None:
        contents = made.contents
        words = [f"{step}: {what}" for step, what in contents.steps.items()]
        words += [f"{step}: left out: {why}" for step, why in contents.skipped.items()]
        self._say("\n".join(words))
        self.warnings.setText("\n".join(f"Warning: {warning}" for warning in contents.warnings))
        self.warnings.setVisible(bool(contents.warnings))
        for button in (self.report_button, self.folder_button):
            button.show()
        try:
            self._add_layers(made)
        except Exception as error:  # the files are there, whatever went wrong
            report(error)

    def _add_layers(self, made: Figure) -> None:
        """Add localizations, molecules and the image, which alone is visible."""
        from napari.layers import Layer

        source, layers, contents = self._source, self.viewer.layers, made.contents
        assert source is not None
        on = source if isinstance(source, MovieLayer) else movie_of(source, layers) or StandInMovie(source)
        for layer in layers:
            layer.visible = False
        name = contents.name
        points = points_layer(contents.table, on, name=f"{name}, figure")
        added: list[Any] = [points]
        if contents.linked is not None:
            added.append(points_layer(contents.linked.molecules, on, name=f"{name}, figure, linked"))
        for layer in added:
            layer.visible = contents.image is None
            layers.append(layer)
        if contents.image is not None:
            image = rendering_layer_data(contents.image, points, name=f"{name}, figure, super-resolution")
            layers.append(Layer.create(*image))

    def _say(self, words: str) -> None:
        self.status.setText(words)
        self.warnings.hide()
        for button in (self.report_button, self.folder_button):
            button.hide()
        self.results.show()

    def _open(self, name: str) -> None:
        """Open a file of the figure, or its folder, with the program that the system has for it."""
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str((self._folder / name).resolve())))
