"""How a detection goes and how it ended: its progress, its outcome in words, and the way to its frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_subpixel.widgets.background.detection import DetectionRun, RunSummary
from napari_subpixel.widgets.background.detector_cache import LOADING
from napari_subpixel.widgets.controls.microscope_table import MicroscopeTable
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.progress import ProgressRow, duration
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import notes_of

if TYPE_CHECKING:
    from napari_subpixel.camera import Camera
    from napari_subpixel.detection.job import DetectionJob


class RunReport(QWidget):
    """What a panel shows of its last run.

    Parameters
    ----------
    panel : Panel
        The widget that it is part of.
    movie : callable
        Returns the movie that is chosen, or None.

    Attributes
    ----------
    progress : ProgressRow
    status : Words
        How the run ended.
    microscope : MicroscopeTable
        What the run takes the microscope for.
    go_button : QPushButton
        Goes to the frames of the result; shown where the frame in view is none of them.
    camera_chosen : Signal(object, object)
        The movie of the run, a `MovieLayer`, and the `Camera` that the user gives it.
    device_known : Signal(str)
        The device that the run uses, and why.
    """

    camera_chosen = Signal(object, object)
    device_known = Signal(str)

    def __init__(self, panel: Panel, movie: Callable[[], MovieLayer | None]) -> None:
        super().__init__(panel)
        self._panel, self._movie = panel, movie
        self._run: DetectionRun | None = None
        self._summary: RunSummary | None = None
        self._measured: MovieLayer | None = None
        self.progress = ProgressRow()
        self.status = Words()
        self.microscope = MicroscopeTable()
        self.microscope.camera_chosen.connect(self._use_camera)
        self.go_button = QPushButton()
        self.go_button.setToolTip("Go to the first frame of the result: the frame in view was not detected")
        self.go_button.clicked.connect(self._go)
        self.go_button.hide()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        for widget in (self.progress, self.status, self.microscope, self.go_button):
            rows.addWidget(widget)

    def clear(self) -> None:
        """Forget the last run, unless it is still going on."""
        if self._run is None:
            self._summary = None
            self.status.setText("")
            self.microscope.clear()

    def begin(self, run: DetectionRun) -> None:
        """Follow a run that is about to begin."""
        self._run = run
        run.preparing.connect(self._preparing)
        run.began.connect(self._began)
        run.progressed.connect(self._progressed)
        run.grown.connect(self._grown)
        self.status.setText("")
        first, stop = run.settings.frames
        self.progress.begin(stop - first, "frames", LOADING)

    def end(self, summary: RunSummary) -> None:
        """Show how the run ended."""
        self._run, self._summary = None, summary
        self.progress.end()
        self.say()

    def say(self) -> None:
        """Show how the last run ended, and how many of its localizations are shown now."""
        if self._summary is not None and self._run is None:
            self.status.setText(outcome(self._summary))
        self.offer_to_go()

    def offer_to_go(self, _: object = None) -> None:
        """Offer to go to the result where the frame in view is not one of its frames."""
        summary, movie, viewer = self._summary, self._movie(), self._panel.viewer
        away = False
        if movie is not None and summary is not None and summary.layer is not None and summary.layer in viewer.layers:
            first, stop = summary.frames
            away = not first <= movie.current_frame(viewer) < stop
            self.go_button.setText(f"Go to frame {first}")
        self.go_button.setVisible(away)

    def _go(self) -> None:
        movie = self._movie()
        if self._summary is not None and movie is not None:
            movie.go_to(self._panel.viewer, self._summary.frames[0])

    def _preparing(self, words: str) -> None:
        if self.progress.cancel.isEnabled():
            self.progress.text.setText(words)

    def _began(self, job: DetectionJob) -> None:
        """Count the time from now on: the model is loaded, and the microscope estimated."""
        self.device_known.emit(job.detector.device_reason)
        if self._run is not None:
            self._measured = self._run.movie
            self.microscope.show_job(job, self._run.camera)
        self.progress.text.setText("detecting ...")
        self.progress.restart()

    def _progressed(self, frames: int, localizations: int) -> None:
        if self.progress.cancel.isEnabled():
            self.progress.update_to(frames, f"{localizations:,} localizations")

    def _grown(self, n_frames: int) -> None:
        if self._run is not None:
            self.progress.extend(n_frames - self._run.settings.frames[0])

    def _use_camera(self, camera: Camera) -> None:
        if self._measured is not None:
            self.camera_chosen.emit(self._measured, camera)


def outcome(summary: RunSummary) -> str:
    """Return how a run ended, what it detected, how long it took, and what it warns of."""
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
