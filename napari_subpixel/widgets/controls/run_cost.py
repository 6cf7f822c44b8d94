"""How long a run will take, from the frames that were detected before it."""

from __future__ import annotations

from collections.abc import Hashable

from napari_subpixel.widgets.controls.progress import duration

#: Runs shorter than this need no word on a quicker model, in seconds.
LONG_S = 120.0
#: The quick model.
QUICK = "fast"
#: How many times faster it is than `default` on a processor, where it was not tried: as measured on 256 x 256 px.
QUICKER = 6.0


class RunCost:
    """Seconds a frame by what is detected, how and where."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Hashable, str], float] = {}

    def note(self, where: Hashable, model: str, seconds_per_frame: float) -> None:
        """Note how long a frame took.

        Parameters
        ----------
        where : hashable
            The movie, the region and the device.
        model : str
        seconds_per_frame : float
        """
        self._seconds[where, model] = seconds_per_frame

    def words(self, where: Hashable, model: str, n_frames: int) -> str:
        """Return what a run is expected to take, and what the quick model would take; empty if nothing is known."""
        seconds = self._seconds.get((where, model))
        if seconds is None or n_frames < 1:
            return ""
        total = seconds * n_frames
        text = f"About {roughly(total)} at {_rate(seconds)}."
        if total > LONG_S and model == "default":
            quick = self._seconds.get((where, QUICK), seconds / QUICKER) * n_frames
            text += f" The model {QUICK!r} takes about {roughly(quick)}."
        return text


def roughly(seconds: float) -> str:
    """Return a duration without digits that mean nothing.

    Examples
    --------
    >>> roughly(3.2), roughly(104), roughly(4440)
    ('3 s', '2 min', '1 h 14 min')
    """
    if seconds < 90:
        return duration(max(seconds, 1))
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rate(seconds: float) -> str:
    return f"{seconds:.1f} s a frame" if seconds >= 0.5 else f"{1 / max(seconds, 1e-6):,.0f} frames/s"
