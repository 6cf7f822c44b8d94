"""The detector that the widgets share: loaded once, on a thread of the background, since it loads torch."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_subpixel import models
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi
from napari_subpixel.stacks import Stack

if TYPE_CHECKING:
    from napari_subpixel.detector import Detector

#: Points are kept from one of these probabilities on, so that a threshold can be lowered without detecting again.
FLOORS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_lock = threading.Lock()
#: Camera, sigma of the PSF in pixels and what was assumed, of movies of which these were estimated.
_known: dict[str, tuple[Camera, float | None, tuple[str, ...]]] = {}


@dataclass(frozen=True)
class DetectorChoice:
    """What makes a detector.

    Attributes
    ----------
    model : str
        Name of a shipped model, or path of one.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    floor : float
        Lowest probability of a point that is kept.
    """

    model: str
    device: str
    floor: float

    def load(self) -> Detector:
        """Return the detector, made new only if the choice or the model's file changed; slow at first.

        Raises
        ------
        InputError
            If there is no such model or device.
        """
        path = models.find(self.model)
        with _lock:
            return _loaded(self, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(choice: DetectorChoice, _changed: int) -> Detector:
    from napari_subpixel.detector import Detector

    return Detector(choice.model, threshold=choice.floor, device=choice.device)


def job_of(key: str, stack: Stack, detector: Detector, camera: Camera, frames: tuple[int, int], roi: Roi | None) -> Any:
    """Return a job over a movie; what is estimated of its microscope is estimated once.

    Parameters
    ----------
    key : str
        Of the movie.
    stack, detector, camera, frames, roi
        As in `napari_subpixel.pipeline.job_for`, which this stands for.
    """
    from napari_subpixel.pipeline import DetectionJob, job_for

    if not detector.measures:
        return DetectionJob(stack, detector, camera, frames, roi)
    movie = f"{key} {stack.shape} {camera.summary()}"
    with _lock:
        if movie not in _known:
            whole = job_for(stack, detector, camera)
            _known[movie] = whole.camera, whole.sigma_px, whole.assumed
        known, sigma_px, assumed = _known[movie]
    return DetectionJob(stack, detector, known, frames, roi, sigma_px, assumed)


def floor_for(threshold: float, model_threshold: float) -> float:
    """Return the probability from which points are kept: at most half the threshold, and half the model's own.

    Few steps, so that a slider that is moved does not make a new detector each time.

    Examples
    --------
    >>> floor_for(0.1, 0.1), floor_for(0.5, 0.1), floor_for(0.03, 0.1)
    (0.05, 0.05, 0.01)
    """
    most = min(threshold, model_threshold) / 2
    return next((floor for floor in FLOORS if floor <= most), FLOORS[-1])
