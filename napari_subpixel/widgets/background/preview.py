"""Molecules live on the frame in view: of the frames asked for, only the latest that waits is detected."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel._util.generators import exhausted
from napari_subpixel.coordinates import Roi
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import Stack
from napari_subpixel.widgets.background.detector_cache import DetectorChoice, preparing_job

if TYPE_CHECKING:
    from napari_subpixel.camera import Camera

#: How often the thread looks whether it was stopped, in seconds.
WAIT_S = 0.1


class PreviewRequest(NamedTuple):
    """One frame to be detected, of the movie with this key."""

    key: str
    choice: DetectorChoice
    stack: Stack
    camera: Camera
    frame: int
    roi: Roi | None


class Preview(NamedTuple):
    """The molecules of a frame, and how long they took to find, in seconds; an error instead where it went wrong."""

    request: PreviewRequest
    table: Localizations | None
    seconds: float
    error: Exception | None = None


class PreviewQueue:
    """A mailbox for one request: a later one takes the place of one that nobody has begun with."""

    def __init__(self) -> None:
        self._there = threading.Condition()
        self._request: PreviewRequest | None = None

    def ask(self, request: PreviewRequest) -> None:
        """Leave a request."""
        with self._there:
            self._request = request
            self._there.notify()

    def previews(self) -> Generator[Preview | None, None, None]:
        """Detect what is asked for, without end; yields None while nothing is."""
        while True:
            request = self._take()
            yield None if request is None else _detected(request)

    def _take(self) -> PreviewRequest | None:
        with self._there:
            if self._request is None:
                self._there.wait(WAIT_S)
            request, self._request = self._request, None
            return request


def _detected(request: PreviewRequest) -> Preview:
    from napari_subpixel.runs.pipeline import detect_all

    began = time.perf_counter()
    try:
        detector = request.choice.load()
        span = request.frame, request.frame + 1
        job = exhausted(preparing_job(request.key, request.stack, detector, request.camera, span, request.roi))
        return Preview(request, detect_all(job), time.perf_counter() - began)
    except Exception as error:  # shown by the widget; the preview goes on with the next frame
        return Preview(request, None, time.perf_counter() - began, error)
