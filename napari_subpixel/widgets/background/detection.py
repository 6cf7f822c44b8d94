"""One run of detection over a movie in the viewer: its chunks become one points layer, whole or partial."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject, Signal

from napari_subpixel.coordinates import Roi
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.widgets.background.detector_cache import LOADING, DetectorChoice, is_loaded, preparing_job
from napari_subpixel.widgets.background.following import Grown, followed, growing_file
from napari_subpixel.widgets.background.growing_result import GrowingResult
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.advice import hinted
from napari_subpixel.widgets.controls.messages import report, show_warning
from napari_subpixel.widgets.layers.movies import MovieLayer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

    from napari_subpixel.camera import Camera
    from napari_subpixel.detection.chunks import Chunk
    from napari_subpixel.detection.job import DetectionJob
    from napari_subpixel.stacks import Stack

#: Pixels of a chunk, fewer than for a run to a file, so that progress is shown and *Cancel* acts soon.
CHUNK_PIXELS = 1 << 17


class RunSettings(NamedTuple):
    """What to detect and how.

    Attributes
    ----------
    choice : DetectorChoice
    frames : (int, int)
        The first, and the one after the last; where the movie is followed, of those that are there so far.
    roi : Roi, optional
    drop_static : bool
        Whether points that never move are left out.
    follow : bool
        Whether the movie is followed while it grows.
    """

    choice: DetectorChoice
    frames: tuple[int, int]
    roi: Roi | None
    drop_static: bool = False
    follow: bool = False


class RunSummary(NamedTuple):
    """How a run ended.

    Attributes
    ----------
    layer : napari.layers.Points, optional
        The result, if there is one.
    n_frames, of_frames : int
        Frames done, and frames asked for.
    seconds : float
    ending : str
        ``done``, ``cancelled`` or ``failed``.
    job : DetectionJob, optional
        What was detected and how, the estimates of the microscope included.
    warnings : tuple of str
    first : int
        The first frame.
    of_movie : int
        Frames of the movie.
    roi : Roi, optional
    """

    layer: Points | None
    n_frames: int
    of_frames: int
    seconds: float
    ending: str
    job: DetectionJob | None = None
    warnings: tuple[str, ...] = ()
    first: int = 0
    of_movie: int = 0
    roi: Roi | None = None

    @property
    def frames(self) -> tuple[int, int]:
        """The first frame that was done, and the one after the last."""
        return self.first, self.first + self.n_frames

    @property
    def is_whole(self) -> bool:
        """Whether all requested frames were done."""
        return self.n_frames == self.of_frames


class DetectionRun(QObject):
    """Detects a movie in the background; its result belongs to the movie's layer as it was when the run began.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the points layer is added, and grows.
    movie : MovieLayer
        Not affected by what is chosen, renamed or removed in the viewer meanwhile.
    settings : RunSettings
    threshold : float
        Minimum probability of the points that are shown at the end, unless the attribute is changed meanwhile.

    Attributes
    ----------
    camera : Camera
        That of the movie when the run began.
    preparing : Signal(str)
        What is done before the first frame.
    began : Signal(object)
        The `DetectionJob`: the detector is loaded, and the microscope estimated.
    progressed : Signal(int, int)
        Frames done, and localizations so far at the threshold.
    grown : Signal(int)
        The movie that is followed has so many frames now.
    ended : Signal(object)
        `RunSummary`; the last signal.
    """

    preparing = Signal(str)
    began = Signal(object)
    progressed = Signal(int, int)
    grown = Signal(int)
    ended = Signal(object)

    def __init__(self, viewer: Viewer, movie: MovieLayer, settings: RunSettings, threshold: float) -> None:
        super().__init__()
        self.movie, self.settings, self.threshold = movie, settings, threshold
        self._job: DetectionJob | None = None
        self.camera, self._n_of_movie = movie.camera, movie.stack().n_frames
        self._result = GrowingResult(viewer, movie, f"{self._name()} (running)")
        self._warnings: list[str] = []
        self._frames_done, self._n_found = 0, 0
        self._start = time.perf_counter()
        if settings.follow:
            growing_file(movie.stack())
        self.work = Work(_chunks, movie.notes.key, movie.stack(), movie.camera, settings)
        self.work.yielded.connect(self._take)
        # Methods: a function that held this run would keep it, and the movie that it reads, alive for ever.
        self.work.returned.connect(self._done)
        self.work.cancelled.connect(self._cancelled)
        self.work.failed.connect(self._failed)

    def is_of(self, movie: MovieLayer, model: str) -> bool:
        """Say whether this is a run over a movie, with a model."""
        return self.movie.notes.key == movie.notes.key and self.settings.choice.model == model

    def _take(self, arrived: DetectionJob | Chunk | Grown | str | None) -> None:
        if arrived is None or isinstance(arrived, str):
            if arrived is not None:
                self.preparing.emit(arrived)
            return
        if isinstance(arrived, Grown):
            self._grow(arrived.stack)
            return
        from napari_subpixel.detection.chunks import Chunk  # loaded by the thread, with torch

        if not isinstance(arrived, Chunk):
            self._job = arrived
            self._start = time.perf_counter()
            self.began.emit(arrived)
            return
        if self.work.is_cancelled:
            return  # it was on its way when the user stopped the run
        self._frames_done += arrived.stop - arrived.start
        self._result.add(arrived.table, self._frames, self.threshold)
        self._n_found += int((arrived.table["probability"] >= self.threshold).sum())
        self.progressed.emit(self._frames_done, self._n_found)

    def _grow(self, stack: Stack) -> None:
        """Show the frames that the movie has now."""
        self.movie.grow(stack)
        self._n_of_movie = stack.n_frames
        frames = self.settings.frames[0], stack.n_frames
        self.settings = self.settings._replace(frames=frames)
        if self._job is not None:
            self._job = replace(self._job, stack=stack, frames=frames)
        self.grown.emit(stack.n_frames)

    def _done(self, _: object) -> None:
        self._end("done")

    def _cancelled(self) -> None:
        self._end("cancelled")

    def _failed(self, _: Exception) -> None:
        self._end("failed")

    def _end(self, ending: str) -> None:
        seconds = time.perf_counter() - self._start
        first, last = self.settings.frames
        layer = None
        try:
            layer = None if self._result.is_empty else self._finish_layer()
        except Exception as error:  # the end has to be signalled, whatever went wrong
            report(error)
            ending = "failed"
        n_done, warnings = self._frames_done, tuple(self._warnings)
        summary = RunSummary(
            layer,
            n_done,
            last - first,
            seconds,
            ending,
            self._job,
            warnings,
            first,
            self._n_of_movie,
            self.settings.roi,
        )
        self.ended.emit(summary)
        self.deleteLater()

    @property
    def _frames(self) -> tuple[int, int]:
        """The first frame of the run, and the one after the last that is done."""
        first = self.settings.frames[0]
        return first, first + self._frames_done

    def _name(self) -> str:
        """Return the name of the result: of what it is, by which model, and of which part of the movie."""
        (first, stop), region = self.settings.frames, self.settings.roi
        parts = [Path(self.settings.choice.model).stem]
        if stop - first < self._n_of_movie:
            parts.append(f"frames {first} to {stop - 1}")
        if region is not None:
            (y0, y1), (x0, x1) = region
            parts.append(f"y {y0} to {y1 - 1}, x {x0} to {x1 - 1}")
        return f"{self.movie.layer.name} localizations, {', '.join(parts)}"

    def _finish_layer(self) -> Points | None:
        from napari_subpixel.runs.quality_warnings import warnings_of, with_warnings

        assert self._job is not None
        first, done = self._frames
        job = replace(self._job, frames=(first, done))
        table = with_warnings(job, self._result.table(self._frames), self.threshold)
        name = self._name()
        if done < self.settings.frames[1]:
            name += f" (partial: frames {first} to {done - 1})"
        layer = self._result.finish(table, name, self.threshold)
        if layer is None:
            return None
        for warning in warnings_of(job, table.provenance):
            self._warnings.append(hinted(warning))
            show_warning(warning)
        return layer


def _chunks(
    key: str, stack: Stack, camera: Camera, settings: RunSettings
) -> Generator[DetectionJob | Chunk | Grown | str | None, None, None]:
    """Yield what is done while the job is prepared, then the job, then every chunk."""
    if settings.follow:
        options = DetectionOptions(camera, roi=settings.roi, drop_static=settings.drop_static)
        yield from followed(key, stack, settings.choice, options, settings.frames[0], CHUNK_PIXELS)
        return
    from napari_subpixel.runs.pipeline import detect

    options = DetectionOptions(camera, frames=settings.frames, roi=settings.roi, drop_static=settings.drop_static)
    if not is_loaded(settings.choice):
        yield LOADING
    job = yield from preparing_job(key, stack, settings.choice.load(), options)
    job = replace(job, chunk_pixels=CHUNK_PIXELS)
    yield job
    yield from detect(job)
