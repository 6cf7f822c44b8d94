"""Commands with keys: the preview, the threshold, and the frames that hold molecules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_info

from napari_subpixel.widgets.controls.plugin import open_panel, panels_of_plugin
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import time_axis_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: The threshold moves by so much.
THRESHOLD_STEP = 0.05


def toggle_preview(viewer: Viewer) -> None:
    """Turn the preview on the frame in view on or off."""
    panel = _detect(viewer)
    panel.preview.value = not panel.preview.value


def raise_threshold(viewer: Viewer) -> None:
    """Raise the threshold, so that fewer molecules are shown."""
    _move_threshold(viewer, THRESHOLD_STEP)


def lower_threshold(viewer: Viewer) -> None:
    """Lower the threshold, so that more molecules are shown."""
    _move_threshold(viewer, -THRESHOLD_STEP)


def next_molecules(viewer: Viewer) -> None:
    """Go to the next frame in which molecules are shown."""
    _go(viewer, forward=True)


def previous_molecules(viewer: Viewer) -> None:
    """Go back to the last frame before this one in which molecules are shown."""
    _go(viewer, forward=False)


def _detect(viewer: Viewer) -> DetectMolecules:
    panel = open_panel(viewer, panels_of_plugin()["napari-subpixel.detect"])
    assert isinstance(panel, DetectMolecules)
    return panel


def _move_threshold(viewer: Viewer, step: float) -> None:
    slider = _detect(viewer).threshold
    slider.setValue(round(slider.value() + step, 2))


def _go(viewer: Viewer, *, forward: bool) -> None:
    panel = _detect(viewer)
    layers = panel.results.layers()
    if panel.movie.value is None or not layers:
        show_info("There is no result of this movie and model yet: detect first.")
        return
    movie = MovieLayer(panel.movie.value)
    frame = frame_with_points(layers[0], movie.current_frame(viewer), forward=forward)
    if frame is None:
        show_info(f"No molecules are shown {'after' if forward else 'before'} this frame.")
    else:
        movie.go_to(viewer, frame)


def frame_with_points(points: Points, now: int, *, forward: bool) -> int | None:
    """Return the frame nearest to this one, after or before it, in which points are shown; None if there is none.

    Parameters
    ----------
    points : napari.layers.Points
    now : int
        The frame in view.
    forward : bool
    """
    time = time_axis_of(points)
    if time is None:
        return None
    frames = np.asarray(points.data[:, time])[np.asarray(points.shown, bool)]
    others = frames[frames > now] if forward else frames[frames < now]
    if not len(others):
        return None
    return round(float(others.min() if forward else others.max()))
