"""The widget *Batch*: a folder of movies into a folder of tables, with a table of their outcomes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QPushButton

from napari_subpixel import models
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs.batch import MovieProgress, Outcome
from napari_subpixel.widgets.background.batch import (
    BatchSettings,
    DetectorReady,
    MovieScan,
    Places,
    open_result,
    run,
    scan_folder,
)
from napari_subpixel.widgets.background.detector_cache import DetectorChoice
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.advice import SKIP, advised
from napari_subpixel.widgets.controls.batch_form import TABLES_FOLDER, BatchForm
from napari_subpixel.widgets.controls.folders import typed_in
from napari_subpixel.widgets.controls.messages import report, reported, show_error
from napari_subpixel.widgets.controls.movie_table import MovieTable, tip_of
from napari_subpixel.widgets.controls.napari_task import NapariTask
from napari_subpixel.widgets.controls.progress import ProgressRow, duration
from napari_subpixel.widgets.controls.words import Words, breakable
from napari_subpixel.widgets.layers.movies import LayerData, MovieLayer
from napari_subpixel.widgets.layers.points import points_layer

if TYPE_CHECKING:
    from napari import Viewer

#: The folder is searched once nothing was typed for this long, in milliseconds.
REST_MS = 400
#: Steps of the progress bar per movie.
BAR_STEPS = 1000
#: Shown where no folder is chosen.
WHAT_TO_DO = "Choose a folder of movies: TIFF files of every kind, and Zarr."


class _ScanRequest(NamedTuple):
    """Which movies to search for, and whether the user pressed the button for it."""

    places: Places
    by_hand: bool


class BatchProcess(BatchForm):
    """Detects the molecules of every movie in a folder, in the background, and shows the outcome of each.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    folder, output : magicgui.widgets.FileEdit
        Folders of the movies and of the tables; if the latter is empty, a folder in that of the movies.
    pattern : QLineEdit
        Names of the movies.
    format, existing : magicgui.widgets.ComboBox
        Of the tables; what to do with those that exist.
    camera : CameraChoice
    form : ModelForm
        Model, device and threshold.
    table : MovieTable
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._scan_request: _ScanRequest | None = None
        self._scan_work: Work | None = None
        self._scan: MovieScan | None = None
        self._settings: BatchSettings | None = None
        self._work: Work | None = None
        self._opening: Work | None = None
        self._outcomes: list[Outcome] = []
        self._counts: Counter[str] = Counter()
        self._at: tuple[MovieProgress, float] | None = None
        self._start = 0.0
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._rest.timeout.connect(self.find_movies)
        self._follow_form()
        self._build_run()
        self._places_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _follow_form(self) -> None:
        self.find_button.clicked.connect(lambda _: self.find_movies(by_hand=True))
        for widget in (self.folder, self.output, self.format):
            widget.changed.connect(self._places_changed)
        self.pattern.textChanged.connect(self._places_changed)

    def _build_run(self) -> None:
        self.about = Words()
        self.run_button = QPushButton("Detect")
        self.run_button.setToolTip("Detect the molecules of these movies in the background, one movie after the other")
        self.run_button.clicked.connect(lambda _: self.run())
        self.progress = ProgressRow()
        NapariTask(self.progress, self.viewer, "detecting a batch of movies")
        self.progress.cancel.setToolTip("Stop after the current frames; what is finished is kept")
        self.progress.cancel_clicked.connect(self.cancel)
        self.status = Words()
        self.table = MovieTable()
        self.table.setToolTip("Double-click a movie to open it, with its localizations if it has any")
        self.table.opened.connect(self.open_row)
        for widget in (self.about, self.run_button, self.progress, self.status):
            self.column.addWidget(widget)
        self.column.addWidget(self.table, stretch=1)
        self.column.addStretch()

    # -- which movies -------------------------------------------------------------------------------------------------

    def find_movies(self, *, by_hand: bool = False) -> None:
        """Search for movies; an error is a notification if the user asked for the search, else a line of text."""
        self._rest.stop()
        self._forget()
        if not typed_in(self.folder):
            self._say(WHAT_TO_DO)
            return
        self._say("searching for movies ...")
        self._scan_request = _ScanRequest(self.places, by_hand)
        self._scan_work = Work(_scanned, self._scan_request)
        self._scan_work.returned.connect(self._take)
        self._scan_work.failed.connect(self._scan_failed)
        self.begin(self._scan_work)

    def _places_changed(self, _: object = None) -> None:
        folder = typed_in(self.folder)
        self.output.line_edit.native.setPlaceholderText(
            str(self.places.output) if folder else f"{TABLES_FOLDER}, in that folder"
        )
        self._forget()
        self._say("" if folder else WHAT_TO_DO)
        self._rest.start()

    def _forget(self) -> None:
        """Show no movies, and ignore a search that is under way."""
        if self._scan_work is not None:
            self._scan_work.cancel()
        self._scan_request = self._scan_work = self._scan = self._settings = None
        self._clear_outcomes()
        _show_words(self.status, "")
        self._list()

    def _take(self, answer: tuple[_ScanRequest, MovieScan | InputError]) -> None:
        request, scan = answer
        if request is not self._scan_request:
            return  # another folder was chosen meanwhile
        self._scan_work = None
        if isinstance(scan, InputError):
            self._say(advised(scan, "batch"))
            if request.by_hand:
                report(scan)
            return
        self._scan = scan
        self._list()
        self._say(_describe_scan(scan))

    def _scan_failed(self, _: Exception) -> None:
        self._scan_work = None
        self._say("")

    def _list(self) -> None:
        scan = self._scan
        self.table.setVisible(scan is not None)
        self.run_button.setEnabled(scan is not None)
        n = len(scan.pairs) if scan is not None else 0
        self.run_button.setText(f"Detect in {n:,} movie{'s'[: n != 1]}" if n else "Detect")
        if scan is not None:
            names = [_name(movie, scan.places.folder) for movie, _ in scan.pairs]
            remarks = [_remark(movie, table, scan) for movie, table in scan.pairs]
            self.table.show_movies(names, [tip_of(*pair) for pair in scan.pairs], remarks)

    def _say(self, words: str) -> None:
        """Show a remark on the listed movies, or why none are listed."""
        _show_words(self.about, words)

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Detect the listed movies."""
        if self._work is not None or self._scan is None:
            return
        with reported("batch"):
            self._begin(self._chosen(self._scan))

    def cancel(self) -> None:
        """Stop; finished movies are kept, and so are the finished frames of the current one."""
        if self._work is not None:
            self._work.cancel()

    def _chosen(self, scan: MovieScan) -> BatchSettings:
        form = self.form
        model, camera = models.find(form.model_name), self.camera
        also_read = (model, model.with_suffix(models.CARD_SUFFIX), *([camera.file] if camera.file else []))
        choice = DetectorChoice(form.model_name, form.device_name, round(form.threshold.value(), 4))
        return BatchSettings(scan, camera.camera, choice, self.existing.value, also_read)

    def _begin(self, settings: BatchSettings) -> None:
        self._settings, self._at, self._start = settings, None, 0.0
        self._set_running(True)
        self._say("")
        _show_words(self.status, "")
        self.progress.begin(0, "", "loading the model ...")
        work = self._work = Work(run, settings, widget="batch")
        work.yielded.connect(self._arrived)
        work.returned.connect(lambda _: self._ended("", ""))
        work.cancelled.connect(lambda: self._ended("Stopped", ""))
        work.failed.connect(lambda error: self._ended("Stopped by an error", advised(error, "batch")))
        self.begin(work)

    def _arrived(self, event: DetectorReady | MovieProgress | Outcome) -> None:
        assert self._settings is not None
        if isinstance(event, DetectorReady):
            self._start = time.perf_counter()
            self._clear_outcomes()
            self.table.show_waiting()
            self.form.show_device(event.device)
            self.progress.begin(BAR_STEPS * len(self._settings.scan.pairs), "", "")
            return
        row = len(self._outcomes)
        if isinstance(event, Outcome):
            self._outcomes.append(event)
            self._counts[event.status] += 1
            self._at = None
            self.table.show_outcome(row, event)
        else:
            if self._at is None:  # a movie begins
                self.table.scroll_to(row)
            self._at = event, self._at[1] if self._at is not None else time.perf_counter()
            self.table.show_progress(row, event)
        self._show_progress()

    def _show_progress(self) -> None:
        """Show how much of the work is done; movies that are skipped or fail do not count as work."""
        if not self.progress.cancel.isEnabled():
            return  # it is stopping
        assert self._settings is not None
        n_movies, n_worked = len(self._settings.scan.pairs), self._counts["done"]
        n_left_out = len(self._outcomes) - n_worked
        self.progress.bar.setMaximum(max(1, BAR_STEPS * (n_movies - n_left_out)))
        at, words = 0.0, ""
        if self._at is not None:
            progress, began = self._at
            at = progress.n_done / progress.n_frames
            seconds = time.perf_counter() - began
            words = f"movie {progress.number} of {n_movies}"
            if progress.n_done and seconds:
                words += f", {progress.n_done / seconds:,.0f} frames/s"
        self.progress.update_to(round(BAR_STEPS * (n_worked + at)), words)

    def _ended(self, how: str, error: str) -> None:
        self._work = None
        self.progress.end()
        self._set_running(False)
        if self._start:
            _show_words(self.status, self._describe_run(how, error))
            self._report_failures()
        else:
            _show_words(self.status, f"Not run: {error}" if error else "Stopped before the first movie.")

    def _describe_run(self, how: str, error: str) -> str:
        """Describe what was done, what is kept of the current movie, and where the summary is."""
        assert self._settings is not None
        scan = self._settings.scan
        counts = [f"{n:,} {status}" for status in ("done", "skipped", "failed") if (n := self._counts[status])]
        seconds = duration(time.perf_counter() - self._start)
        words = [f"{', '.join(counts) or 'none done'} of {len(scan.pairs):,} movies, {seconds}."]
        if how:
            words = [f"{how}: {words[0]}", *([f"{error}."] if error else []), self._describe_resumption()]
        if self._outcomes:
            words.append(f"Summary: {scan.summary}")
        return " ".join(words)

    def _describe_resumption(self) -> str:
        """Mark the movie that was stopped; return what is kept of it, and how to resume."""
        if self._at is None:
            return f"To resume, choose {SKIP!r} and run again."
        progress = self._at[0]
        kept = f"{progress.n_done:,} of {progress.n_frames:,} frames are kept"
        self.table.show_stopped(progress.number - 1, f"{kept}; {SKIP!r} resumes from there")
        return f"Of {progress.movie.name} {kept}: to resume from there, choose {SKIP!r} and run again."

    def _report_failures(self) -> None:
        """Notify once that movies failed; the table says why."""
        errors = [advised(outcome.error, "batch") for outcome in self._outcomes if outcome.error is not None]
        if len(errors) == 1:
            show_error(errors[0])
        elif errors:
            show_error(
                f"{len(errors)} of {len(self._outcomes)} movies failed; the table says why. The first: {errors[0]}"
            )

    def _clear_outcomes(self) -> None:
        self._outcomes.clear()
        self._counts.clear()

    def _set_running(self, running: bool) -> None:
        for place in range(self._inputs.count()):
            item = self._inputs.itemAt(place)
            if item is not None and (widget := item.widget()) is not None:
                widget.setEnabled(not running)
        self.run_button.setEnabled(not running)

    # -- results ------------------------------------------------------------------------------------------------------

    def open_row(self, row: int) -> None:
        """Open a movie, and its localizations if it has any, as layers on each other."""
        if self._scan is None or self._opening is not None:
            return
        movie, table = self._scan.pairs[row]
        with reported():
            camera = self._settings.camera if self._settings is not None else self.camera.camera
            work = Work(open_result, movie, table, camera)
            work.returned.connect(self._add_layers)
            work.finished.connect(self._opened)
            self._opening = work
            self.begin(work)

    def _add_layers(self, result: tuple[LayerData, Localizations | None]) -> None:
        from napari.layers import Layer

        data, table = result
        is_first = not self.viewer.layers
        movie = self.viewer.add_layer(Layer.create(*data))
        if table is not None:
            points = points_layer(table, MovieLayer(movie), name=f"{movie.name} localizations")
            self.viewer.add_layer(points)
        if is_first:
            self.viewer.dims.set_point(0, 0)

    def _opened(self) -> None:
        self._opening = None

    # -- the dock -----------------------------------------------------------------------------------------------------

    def dock_closed(self) -> None:
        """Stop the run, whose finished part is kept."""
        super().dock_closed()
        self._rest.stop()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's name)
        """List the cameras again: one may have been saved in another widget meanwhile."""
        super().showEvent(event)
        self.camera.refresh()


def _show_words(label: QLabel, words: str) -> None:
    label.setText(breakable(words))
    label.setVisible(bool(words))


def _scanned(request: _ScanRequest) -> Generator[None, None, tuple[_ScanRequest, MovieScan | InputError]]:
    """Search, and return an error instead of raising it: the name may still be being typed."""
    try:
        return request, (yield from scan_folder(request.places))
    except InputError as error:
        return request, error


def _describe_scan(scan: MovieScan) -> str:
    """Describe which movies are finished, and which a stopped run has begun."""
    words = []
    if n := len(scan.finished):
        words.append(f"{n:,} {'has a table' if n == 1 else 'have tables'} already")
    if n := len(scan.unfinished):
        words.append(f"{n:,} {'was' if n == 1 else 'were'} begun by a run that was stopped")
    n = len(scan.pairs)
    return f"Of {n:,} movie{'s'[: n != 1]}, {' and '.join(words)}." if words else ""


def _name(movie: Path, folder: Path) -> str:
    """Return the name of a movie in a folder, or of a folder that is itself a movie."""
    return movie.name if movie == folder else str(movie.relative_to(folder))


def _remark(movie: Path, table: Path, scan: MovieScan) -> str:
    if table in scan.finished:
        return "has a table already"
    if table in scan.unfinished:
        return "begun by a run that was stopped"
    return f"settings of its own: {scan.sidecars[movie].name}" if movie in scan.sidecars else ""
