"""The detector that the widgets share: loaded once, on a thread of the background, since it loads torch."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from napari_subpixel import models

if TYPE_CHECKING:
    from napari_subpixel.detector import Detector

#: Points are kept from one of these probabilities on, so that a threshold can be lowered without detecting again.
FLOORS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
_lock = threading.Lock()


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
