"""The pixel size of a movie or of points, asked for where it is missed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QInputDialog, QWidget

from napari_subpixel.widgets.layers.movies import MovieLayer, rescale
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.results import movie_of
from napari_subpixel.widgets.readers import match_tables

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Points

#: What the button says that asks for it.
SET_PIXEL_SIZE = "Set pixel size ..."
#: Suggested where nothing is known, in nm.
USUAL_NM = 100.0
#: The largest that can be typed, in nm.
LARGEST_NM = 100_000.0


def ask_pixel_size(parent: QWidget, movie: MovieLayer, layers: LayerList) -> float | None:
    """Ask for the pixel size of a movie and set it, also for its points and images; return it, None if cancelled.

    Tables that belong to the movie at that size are put on it.
    """
    size = _answer(parent, movie.name)
    if size is not None:
        movie.set_camera(replace(movie.camera, pixel_size_nm=size), layers)
        match_tables(layers)
    return size


def ask_pixel_size_of_points(parent: QWidget, points: Points) -> float | None:
    """Ask for the pixel size of points whose movie is not open, and set it; return it, None if cancelled."""
    size = _answer(parent, points.name)
    if size is not None:
        rescale(points, np.array([size, size]) / points.scale[-2:])
        notes_of(points)  # takes it from the scale
    return size


def ask_pixel_size_under(parent: QWidget, points: Points, layers: LayerList) -> float | None:
    """Ask for the pixel size of the movie that points belong to, or of the points where it is not open."""
    movie = movie_of(points, layers)
    return ask_pixel_size_of_points(parent, points) if movie is None else ask_pixel_size(parent, movie, layers)


def _answer(parent: QWidget, name: str) -> float | None:
    question = f"Width of a camera pixel of {name} on the sample, in nm"
    size, given = QInputDialog.getDouble(parent, "Pixel size", question, USUAL_NM, 0.01, LARGEST_NM, 3)
    return float(size) if given else None
