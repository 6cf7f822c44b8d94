"""Molecules on a movie of ordinary size, fitted to the window, are plainly visible on the canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.matches import show_matches
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import points_layer

SIDE_PX, FRAME = 512, 2
RNG = np.random.default_rng(8)
#: On a grid, so that no marker hides another.
GRID = np.stack(np.meshgrid(np.arange(40.0, 500, 60), np.arange(30.0, 500, 60), indexing="ij"), axis=-1).reshape(-1, 2)
ABOUT = {"pixel_size_nm": 100.0, "frame_shape": (SIDE_PX, SIDE_PX), "n_frames": 4}


def molecules(probability=None, shift=0.0):
    yx = GRID + RNG.uniform(-0.5, 0.5, GRID.shape) + shift
    columns = {"frame": np.full(len(yx), FRAME), "y": yx[:, 0], "x": yx[:, 1]}
    return Localizations(columns | ({} if probability is None else {"probability": probability}), **ABOUT)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    viewer = make_napari_viewer(show=True)
    movie = RNG.poisson(20, (4, SIDE_PX, SIDE_PX)).astype(np.uint16)
    viewer.add_image(movie, scale=(1, 100, 100), units=("pixel", "nm", "nm"), contrast_limits=(0, 60), name="movie")
    return viewer


def coloured_around(viewer, layer):
    """Return how many coloured pixels of the screen lie around each point, and how far they are spread."""
    viewer.dims.set_point(0, FRAME)
    viewer.reset_view()
    viewer.screenshot(canvas_only=True, flash=False)  # the first drawing fits the markers to the zoom
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    coloured = picture.max(axis=-1) - picture.min(axis=-1) > 60
    centre, camera = np.array(coloured.shape) / 2, viewer.scene.camera
    places = [layer.data_to_world(place)[-2:] for place in np.asarray(layer.data)]
    at = [centre + (np.array(place) - camera.center[-2:]) * camera.zoom for place in places]
    boxes = [coloured[max(int(y) - 8, 0) : int(y) + 9, max(int(x) - 8, 0) : int(x) + 9] for y, x in at]
    return np.array([box.sum() for box in boxes]), np.array([max(box.any(axis=1).sum(), 0) for box in boxes])


def test_every_molecule_is_visible_as_a_ring(viewer):
    layer = viewer.add_layer(
        points_layer(molecules(RNG.uniform(0.1, 1, len(GRID))), MovieLayer(viewer.layers[0]), name="f")
    )
    n_pixels, height = coloured_around(viewer, layer)
    assert (height >= 6).all(), "as high as the least size on the screen says"
    assert (n_pixels >= 12).all()
    assert (n_pixels <= 0.75 * height**2).all(), "a ring, not a blot that hides the molecule"


def test_true_and_false_positives_and_misses_are_visible(viewer):
    movie = MovieLayer(viewer.layers[0])
    found, truth = molecules(np.ones(len(GRID))).select(np.arange(50)), molecules().select(np.arange(20, 64))
    layer = viewer.add_layer(points_layer(found, movie, name="found"))
    shown = show_matches(viewer, layer, found, truth, evaluate(found, truth, 200)[0])
    layer.visible = False
    assert all(len(matched.data) for matched in shown)
    for matched in shown:
        n_pixels, height = coloured_around(viewer, matched)
        assert (height >= 6).all()
        assert (n_pixels >= 12).all()
