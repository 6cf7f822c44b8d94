"""A result shown in napari: movie, points, truth and super-resolution image, in register and in nm."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import SuperResolutionImage
from napari_subpixel.stacks import Stack

if TYPE_CHECKING:
    from napari import Viewer

    from napari_subpixel.camera import Camera


def add_result(
    viewer: Viewer,
    movie: Stack,
    camera: Camera,
    found: Localizations,
    truth: Localizations | None,
    image: SuperResolutionImage,
) -> None:
    """Add the layers of a result to a viewer, all in nm and in register.

    Parameters
    ----------
    viewer : napari.Viewer
    movie : Stack
        Its frames are read when they are viewed.
    camera : Camera
    found : Localizations
    truth : Localizations, optional
    image : SuperResolutionImage
    """
    from napari.layers import Layer

    from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
    from napari_subpixel.widgets.layers.points import points_layer
    from napari_subpixel.widgets.layers.renderings import rendering_layer_data

    shown = viewer.add_layer(Layer.create(*movie_layer_data(movie, camera, name="movie")))
    on_movie = MovieLayer(shown)
    points = points_layer(found, on_movie, name="localizations")
    viewer.add_layer(Layer.create(*rendering_layer_data(image, points, name="super-resolution")))
    if truth is not None:
        viewer.add_layer(points_layer(truth, on_movie, name="truth", colour="cyan", symbol="cross"))
    viewer.add_layer(points)
    viewer.dims.set_point(0, 0)
    viewer.canvas.overlays.scale_bar.visible = True


def check_napari() -> None:
    """Raise `InputError` if napari is not installed."""
    if importlib.util.find_spec("napari") is None:
        raise InputError("the viewer needs napari: install the extra 'all', as in pip install -e '.[all]'")


def show(
    movie: Stack,
    camera: Camera,
    found: Localizations,
    truth: Localizations | None,
    image: SuperResolutionImage,
) -> None:
    """Open napari on a result and wait until its window is closed.

    Parameters
    ----------
    movie, camera, found, truth, image
        As for `add_result`.

    Raises
    ------
    InputError
        If napari or a Qt binding is not installed.
    """
    check_napari()
    import napari

    viewer = napari.Viewer(title="napari-subpixel")
    add_result(viewer, movie, camera, found, truth, image)
    napari.run()
