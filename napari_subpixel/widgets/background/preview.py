"""The molecules of one frame, detected in the background for the preview."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel.coordinates import Roi
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import Stack
from napari_subpixel.widgets.background.detector_cache import LOADING, DetectorChoice, is_loaded, preparing_job
from napari_subpixel.widgets.background.worker import Work

if TYPE_CHECKING:
    from napari_subpixel.camera import Camera


class PreviewRequest(NamedTuple):
    """One frame to detect, of the movie with this key; `LatestWork` runs it."""

    key: str
    choice: DetectorChoice
    stack: Stack
    camera: Camera
    frame: int
    roi: Roi | None
    by_hand: bool = False

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"detecting frame {self.frame} of {self.stack.name}"

    def work(self) -> Work:
        """Return the work, which returns a `Preview`."""
        return Work(_detected, self)


class Preview(NamedTuple):
    """The molecules of a frame and the seconds it took to detect them alone, or the error that prevented it."""

    table: Localizations | None
    seconds: float
    error: Exception | None = None


def _detected(request: PreviewRequest) -> Generator[str | None, None, Preview]:
    began = time.perf_counter()
    try:
        if not is_loaded(request.choice):
            yield LOADING
        detector = request.choice.load()
        frames = request.frame, request.frame + 1
        options = DetectionOptions(request.camera, frames=frames, roi=request.roi)
        job = yield from preparing_job(request.key, request.stack, detector, options)
        yield None
        from napari_subpixel.runs.pipeline import detect_all

        began = time.perf_counter()
        return Preview(detect_all(job), time.perf_counter() - began)
    except Exception as error:  # shown by the widget, which carries on with the next frame
        return Preview(None, time.perf_counter() - began, error)
