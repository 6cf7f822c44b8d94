"""Image layers as movies: which will do, where they lie, their cameras, and copies that napari makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import LayerList
from napari.layers import Image, Labels, Layer, Shapes

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie, lazy_array, movie_layer_data, pixel_size_of
from napari_subpixel.widgets.layers.points import points_layer, table_of

FRAMES = np.random.default_rng(2).poisson(20, (6, 20, 30)).astype(np.uint16)


def opened(camera: Camera | None = None, frames=FRAMES) -> Image:
    return Layer.create(*movie_layer_data(open_stack(frames, name="movie"), camera))


def copied(layer: Layer, data=None) -> Layer:
    """Copy a layer as napari's *Duplicate* and *Project* do: the metadata is the same object."""
    _, state, kind = layer.as_layer_data_tuple()
    return Layer.create(layer.data if data is None else data, {"metadata": state["metadata"], "name": "copy"}, kind)


def points_on(layer: Image, columns=None) -> Layer:
    table = Localizations(columns or {"frame": [0, 4], "y": [3.0, 7.25], "x": [2.0, 11.5]}, pixel_size_nm=100)
    return points_layer(table, MovieLayer(layer), name="points")


@pytest.mark.parametrize("shape", [(20, 30), (6, 20, 30), (6, 1, 20, 30), (1, 6, 1, 20, 30)])
def test_any_image_with_one_axis_besides_y_and_x_is_a_movie(shape):
    layer = Image(np.zeros(shape, np.uint16))
    assert is_movie(layer)
    assert MovieLayer(layer).stack().shape == (6 if 6 in shape else 1, 20, 30)


def test_what_is_no_movie():
    assert not is_movie(Image(np.zeros((3, 4, 20, 30))))
    assert not is_movie(Image(np.zeros((20, 30, 3), np.uint8), rgb=True))
    assert not is_movie(Labels(np.zeros((6, 20, 30), int)))


def test_a_movie_is_lazy_and_its_frames_are_the_files(tmp_path):
    array = lazy_array(open_stack(FRAMES))
    assert array.chunks[1:] == ((20,), (30,))
    np.testing.assert_array_equal(array[4], FRAMES[4])


def test_large_movies_are_cut_into_blocks_that_fit():
    array = lazy_array(open_stack(np.zeros((10, 512, 1024), np.uint16)))
    assert array.chunks[0] == (2,) * 5


@pytest.mark.parametrize(
    ("unit", "scale", "size"),
    [("nm", 100, 100.0), ("um", 0.1, 100.0), ("micrometer", 0.16, 160.0), ("pixel", 100, None), ("second", 3, None)],
)
def test_the_pixel_size_is_what_scale_and_units_say(unit, scale, size):
    layer = Image(FRAMES, scale=(1, scale, scale), units=("pixel", unit, unit))
    assert pixel_size_of(layer) == size
    assert MovieLayer(layer).camera.pixel_size_nm == size


def test_pixels_that_are_not_square_have_height_and_width():
    layer = Image(FRAMES, scale=(1, 0.1, 0.13), units=("pixel", "um", "um"))
    assert MovieLayer(layer).camera.pixel_size_nm == (100, 130)
    MovieLayer(layer).set_camera(Camera(pixel_size_nm=(120, 110)))
    assert MovieLayer(layer).camera.pixel_size_nm == (120, 110)
    assert layer.scale[-2:].tolist() == pytest.approx([120, 110])


def test_scale_and_units_set_by_hand_go_before_what_was_known():
    layer = opened(Camera(pixel_size_nm=100, baseline=90))
    assert MovieLayer(layer).camera.pixel_size_nm == 100
    layer.scale = (1, 160, 160)
    assert MovieLayer(layer).camera == Camera(pixel_size_nm=160, baseline=90)
    bare = opened()
    assert MovieLayer(bare).camera.pixel_size_nm is None
    bare.scale, bare.units = (1, 110, 110), ("pixel", "nm", "nm")
    assert MovieLayer(bare).camera.pixel_size_nm == 110


def test_a_camera_rescales_the_movie_and_what_belongs_to_it():
    layer = opened(Camera(pixel_size_nm=100))
    points, stranger = points_on(layer), Image(np.zeros((4, 5)))
    MovieLayer(layer).set_camera(Camera(pixel_size_nm=160), LayerList([layer, points, stranger]))
    assert tuple(layer.scale) == tuple(points.scale) == (1, 160, 160)
    assert tuple(stranger.scale) == (1, 1)
    assert table_of(points).pixel_size_nm == 160


def test_maps_that_do_not_fit_are_refused():
    layer = opened()
    with pytest.raises(InputError, match="maps have shape"):
        MovieLayer(layer).set_camera(Camera(baseline=np.full((5, 5), 100.0)))


def test_a_copy_of_a_movie_is_a_movie_of_its_own():
    layer = opened(Camera(pixel_size_nm=100))
    points = points_on(layer)
    copy = copied(layer)
    MovieLayer(copy).set_camera(Camera(pixel_size_nm=160), LayerList([layer, copy, points]))
    assert MovieLayer(layer).camera.pixel_size_nm == 100
    assert tuple(points.scale) == tuple(layer.scale) == (1, 100, 100)
    assert MovieLayer(copy).notes.key != MovieLayer(layer).notes.key


def test_a_projection_of_a_movie_is_one_frame():
    layer = opened()
    MovieLayer(layer)
    projected = copied(layer, FRAMES.max(axis=0))
    np.testing.assert_array_equal(MovieLayer(projected).stack()[:], FRAMES.max(axis=0)[None])


def test_other_data_put_into_a_layer_are_the_movie_from_then_on():
    layer = opened()
    assert MovieLayer(layer).stack().n_frames == 6
    layer.data = FRAMES[:3] * 2
    np.testing.assert_array_equal(MovieLayer(layer).stack()[:], FRAMES[:3] * 2)


@pytest.mark.parametrize("frames", [FRAMES / 1e4, np.zeros((3, 20, 30)), np.full((3, 20, 30), np.nan), FRAMES > 20])
def test_the_contrast_suits_whatever_numbers_there_are(frames):
    low, high = opened(frames=frames).contrast_limits
    assert low < high
    assert high <= max(1.0, low + 1.0)


def test_a_rectangle_means_the_pixels_that_it_touches():
    layer = Image(FRAMES, scale=(1, 0.1, 0.1), translate=(0, 3, 5), units=("pixel", "um", "um"), name="movie")
    corners = np.array([[3.52, 6.2], [3.52, 7.44], [4.1, 7.44], [4.1, 6.2]])
    shapes = Shapes([corners * 1000], shape_type="rectangle", units=("nm", "nm"))
    assert MovieLayer(layer).region(shapes) == ((5, 12), (12, 25))
