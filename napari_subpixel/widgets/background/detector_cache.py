"""The detector that the widgets share, loaded once, in the background, since it loads torch."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_subpixel import models
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack
from napari_subpixel.widgets.controls.preferences import preferences

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.job import DetectionJob

#: Minimum probabilities of the points that are kept, so that a threshold can be lowered without detecting again.
FLOORS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_lock = threading.Lock()
#: What is said while a detector is loaded.
LOADING = "loading the model ..."
#: What is said while a movie's microscope is estimated.
ESTIMATING = "estimating camera and PSF from the movie ..."
#: Fields of a job that belong to one run; the others describe the microscope.
RUN_FIELDS = ("stack", "detector", "frames", "roi", "drop_static")


@dataclass(frozen=True)
class DetectorChoice:
    """The settings of a detector.

    Attributes
    ----------
    model : str
        Name of a model, or path of one.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    floor : float
        Lowest probability of a point that is kept.
    threads : int
        Threads on the processor; 0 for all. Results do not depend on it.
    """

    model: str
    device: str
    floor: float
    threads: int = field(default_factory=lambda: preferences().threads, compare=False)

    def load(self) -> Detector:
        """Return the detector, loaded again only if the choice or the model's file changed; slow at first.

        Raises
        ------
        InputError
            If there is no such model or device.
        """
        path = models.find(self.model)
        from napari_subpixel.detection.torch_threads import use_threads

        use_threads(self.threads)
        with _lock:
            detector = _loaded(self, path.stat().st_mtime_ns)
        _ready.add(self)
        return detector


#: Detectors that were loaded.
_ready: set[DetectorChoice] = set()


@lru_cache(maxsize=4)
def _loaded(choice: DetectorChoice, _changed: int) -> Detector:
    from napari_subpixel.detection.detector import Detector

    return Detector(choice.model, threshold=choice.floor, device=choice.device)


class _Estimates:
    """The estimates of one movie's microscope for one model, or why there are none; made once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fields: dict[str, Any] | None = None
        self.refusal: InputError | None = None


_estimates: dict[tuple[str, str], _Estimates] = {}


def preparing_job(
    key: str, stack: Stack, detector: Detector, options: DetectionOptions
) -> Generator[str | None, None, DetectionJob]:
    """Make a job over a movie, step by step; its microscope is estimated only once.

    Parameters
    ----------
    key : str
        Of the movie.
    stack, detector, options
        As in `napari_subpixel.detection.job.job_for`, which this replaces.

    Yields
    ------
    str or None
        What is being done, where that takes long, and None where the work can be stopped.
    """
    from napari_subpixel.detection.job import DetectionJob, job_for

    which = f"{key} {stack.shape} {options.camera.summary()}", detector.card.weights_sha256
    with _lock:
        known = _estimates.setdefault(which, _Estimates())
    with known.lock:
        if known.refusal is not None:
            raise known.refusal
        if known.fields is None:
            yield ESTIMATING
            try:
                whole = yield from job_for.steps(stack, detector, replace(options, frames=None, roi=None))
            except InputError as error:
                known.refusal = error
                raise
            known.fields = {
                field.name: getattr(whole, field.name) for field in fields(whole) if field.name not in RUN_FIELDS
            }
    frames, roi, drop_static = options.span(stack.n_frames), options.roi, options.drop_static
    return DetectionJob(stack, detector, frames=frames, roi=roi, drop_static=drop_static, **known.fields)


def is_loaded(choice: DetectorChoice) -> bool:
    """Say whether a detector was loaded before, so that it is there at once."""
    return choice in _ready


def floor_for(threshold: float, model_threshold: float) -> float:
    """Return the minimum probability of points to keep: at most half the threshold, and half the model's own.

    It takes few values, so that moving a slider does not make a new detector each time.

    Examples
    --------
    >>> floor_for(0.1, 0.1), floor_for(0.5, 0.1), floor_for(0.03, 0.1)
    (0.05, 0.05, 0.01)
    """
    limit = min(threshold, model_threshold) / 2
    return next((floor for floor in FLOORS if floor <= limit), FLOORS[-1])
