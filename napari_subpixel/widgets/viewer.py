"""Showing a result in napari: movie, points, truth and super-resolution image, each in its place in nm."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.render import SuperResolutionImage

if TYPE_CHECKING:
    from napari import Viewer

AXES, UNITS = ("frame", "y", "x"), ("pixel", "nm", "nm")


def add_result(
    viewer: Viewer, movie: ArrayLike, found: Localizations, truth: Localizations | None, image: SuperResolutionImage
) -> None:
    """Add the layers of a result to a viewer, all in nm, so that they lie on each other.

    Parameters
    ----------
    viewer : napari.Viewer
    movie : array_like, shape (T, Y, X)
    found, truth : Localizations
        Points; the first pixel's centre is at 0, as in napari.
    image : SuperResolutionImage
    """
    size = found.known_pixel_size_nm()
    scale = (1.0, size, size)
    viewer.add_image(movie, name="movie", scale=scale, units=UNITS, axis_labels=AXES, colormap="gray")
    viewer.add_image(
        image.image,
        name="super-resolution",
        scale=image.scale_nm,
        translate=image.translate_nm,
        units=UNITS[1:],
        axis_labels=AXES[1:],
        colormap="hot",
        blending="additive",
        contrast_limits=(0.0, float(np.quantile(image.image[image.image > 0], 0.995)) if image.image.any() else 1.0),
    )
    points = {
        "scale": scale,
        "units": UNITS,
        "axis_labels": AXES,
        "size": 0.6,
        "face_color": "transparent",
        "border_width": 0.15,
    }
    if truth is not None:
        viewer.add_points(_coordinates(truth), name="truth", border_color="cyan", symbol="cross", **points)
    features = {"probability": found["probability"]} if "probability" in found else {}
    viewer.add_points(_coordinates(found), name="localizations", border_color="yellow", features=features, **points)
    viewer.dims.set_point(0, 0)
    viewer.canvas.overlays.scale_bar.visible = True


def check_napari() -> None:
    """Raise `InputError` if napari is not installed."""
    if importlib.util.find_spec("napari") is None:
        raise InputError("the viewer needs napari: install the extra 'all', as in pip install -e '.[all]'")


def show(movie: ArrayLike, found: Localizations, truth: Localizations | None, image: SuperResolutionImage) -> None:
    """Open napari on a result and wait until its window is closed.

    Raises
    ------
    InputError
        If napari or a Qt binding is not installed.
    """
    check_napari()
    import napari

    viewer = napari.Viewer(title="napari-subpixel")
    add_result(viewer, movie, found, truth, image)
    napari.run()


def _coordinates(table: Localizations) -> NDArray[np.float64]:
    return np.column_stack([table.frame, table.yx])
