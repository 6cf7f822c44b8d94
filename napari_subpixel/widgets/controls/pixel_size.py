"""The pixel size of a movie, asked for where it is missed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QInputDialog, QWidget

from napari_subpixel.widgets.layers.movies import MovieLayer

if TYPE_CHECKING:
    from napari.layers import Layer

#: What the button says that asks for it.
SET_PIXEL_SIZE = "Set pixel size ..."
#: Suggested where nothing is known, in nm.
USUAL_NM = 100.0
#: The largest that can be typed, in nm.
LARGEST_NM = 100_000.0


def ask_pixel_size(parent: QWidget, movie: MovieLayer, layers: Iterable[Layer]) -> float | None:
    """Ask for the pixel size of a movie and set it, also for its points and images; return it, None if cancelled."""
    question = f"Width of a camera pixel of {movie.name} on the sample, in nm"
    size, given = QInputDialog.getDouble(parent, "Pixel size", question, USUAL_NM, 0.01, LARGEST_NM, 3)
    if not given:
        return None
    movie.set_camera(replace(movie.camera, pixel_size_nm=float(size)), layers)
    return float(size)
