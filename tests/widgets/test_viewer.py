"""A result in a real napari viewer: every layer in its place, in nm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.viewer import add_result

MOVIE = np.random.default_rng(0).poisson(20, (4, 30, 44)).astype(np.uint16)
FOUND = Localizations(
    {"frame": [0, 2, 2], "y": [3.25, 10.0, 28.5], "x": [40.0, 11.5, 0.0], "probability": [0.9, 0.5, 0.2]},
    pixel_size_nm=110,
    frame_shape=(30, 44),
)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    viewer = make_napari_viewer(show=True)
    image = render(FOUND, pixel_size_nm=10)
    add_result(viewer, open_stack(MOVIE), Camera(pixel_size_nm=110), FOUND, FOUND.in_frames(2), image)
    return viewer


def test_movie_image_truth_and_points_are_there(viewer):
    assert [layer.name for layer in viewer.layers] == ["movie", "super-resolution", "truth", "localizations"]


def test_points_lie_on_their_pixels_in_nm(viewer):
    points, movie = viewer.layers["localizations"], viewer.layers["movie"]
    for row, place in enumerate(points.data):
        world = points.data_to_world(place)
        assert world == pytest.approx((FOUND.frame[row], FOUND.y[row] * 110, FOUND.x[row] * 110))
        assert movie.world_to_data(world) == pytest.approx(place, abs=0.01)
    assert points.features["probability"].tolist() == pytest.approx([0.9, 0.5, 0.2])


def test_the_super_resolution_image_lies_exactly_on_the_movie(viewer):
    """Layers' extents run from outer corner to outer corner."""
    movie, image = viewer.layers["movie"], viewer.layers["super-resolution"]
    np.testing.assert_allclose(image.extent.world[0] - np.array(image.scale) / 2, np.array([-55, -55]))
    np.testing.assert_allclose(movie.extent.world[0][1:] - 55, [-55, -55])
    np.testing.assert_allclose(
        image.extent.world[1] + np.array(image.scale) / 2, movie.extent.world[1][1:] + 55, atol=10
    )


def test_everything_is_in_nm(viewer):
    assert str(viewer.layers["localizations"].units[-1]) == "nanometer"
    assert viewer.dims.axis_labels == ("frame", "y", "x")
    assert viewer.canvas.overlays.scale_bar.visible


def test_the_picture_shows_movie_and_points(viewer):
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    coloured = picture.max(axis=-1) - picture.min(axis=-1) > 80
    assert coloured.any()
    assert len(np.unique(picture)) > 20
