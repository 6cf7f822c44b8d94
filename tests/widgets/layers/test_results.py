"""What a points layer is, what it lies on, and its table at a moment."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, is_movie
from napari_subpixel.widgets.layers.points import PointNotes, notes_of, points_layer, set_threshold
from napari_subpixel.widgets.layers.results import (
    ground_of,
    is_foreign,
    is_result,
    is_table,
    is_truth,
    movie_of,
    needs_movie,
    snapshot,
)

ABOUT = {"pixel_size_nm": 100.0, "frame_shape": (20, 30)}
TABLE = Localizations({"frame": [0, 1], "y": [1.0, 2.5], "x": [3.0, 4.0], "probability": [0.4, 0.8]}, **ABOUT)


def layer_of(table, movie=None):
    return points_layer(table, movie, name="table")


def movie_layer(**arguments):
    return Image(np.zeros((3, 20, 30)), scale=(1, 100, 100), units=("pixel", "nm", "nm"), **arguments)


def test_results_have_probabilities_truths_have_none_and_previews_are_neither():
    result, truth, preview = layer_of(TABLE), layer_of(Localizations.empty(**ABOUT)), layer_of(TABLE)
    preview.metadata[KEY].role = "preview"
    layers = (result, truth, preview, movie_layer())
    assert [is_table(layer) for layer in layers] == [True, True, False, False]
    assert [is_result(layer) for layer in layers] == [True, False, False, False]
    assert [is_truth(layer) for layer in layers] == [False, True, False, False]


def test_a_rendered_image_is_no_movie_of_points():
    rendered = movie_layer()
    rendered.metadata[KEY] = PointNotes()
    assert is_movie(movie_layer())
    assert not is_movie(rendered)


def test_points_know_their_movie_where_it_is_open():
    layer = movie_layer()
    points = layer_of(TABLE, MovieLayer(layer))
    other = movie_layer()
    assert movie_of(points, [other, points, layer]).layer is layer
    assert movie_of(points, [other, points]) is None
    assert movie_of(layer_of(TABLE), [other, layer]) is None


def test_a_snapshot_is_of_the_moment_it_was_taken():
    points = layer_of(TABLE)
    before = snapshot(points)
    set_threshold(points, 0.5)
    after = snapshot(points)
    points.data = np.zeros((1, 3))
    assert before().y.tolist() == [1.0, 2.5]
    assert after().y.tolist() == [2.5]
    assert after().provenance["threshold"] == 0.5
    assert "threshold" not in before().provenance


def test_what_points_do_not_know_comes_from_the_movie_that_is_chosen():
    points, movie = layer_of(TABLE.with_about(pixel_size_nm=None, frame_shape=None)), movie_layer()
    assert needs_movie(points, [movie])
    assert not is_foreign(points)
    with pytest.raises(InputError, match="the shape of the frames is not known"):
        ground_of(points, [movie]).check_known(points)
    ground = ground_of(points, [movie], movie)
    assert (ground.frame_shape, ground.pixel_size_nm) == ((20, 30), 100.0)
    assert ground.layer is points
    assert ground.table(TABLE).yx.tolist() == TABLE.yx.tolist()


def test_an_unknown_pixel_size_is_refused():
    points = layer_of(TABLE.with_about(pixel_size_nm=None))
    with pytest.raises(PixelSizeError, match="pixel size of the camera is not known"):
        ground_of(points, []).check_known(points)


def test_foreign_points_lie_on_the_chosen_movie_where_the_viewer_shows_them():
    points = Points([[2, 1.5, 2.0]], scale=(1, 0.2, 0.2), units=("pixel", "um", "um"), rotate=90, name="drawn")
    movie = movie_layer(translate=(0, 50, -700))
    assert is_foreign(points)
    assert notes_of(points).about == {"pixel_size_nm": 200.0}
    ground = ground_of(points, [movie], movie)
    assert ground.layer is movie
    table = ground.table(snapshot(points)())
    world_nm = np.array(points.data_to_world(points.data[0]))[-2:] * 1000
    np.testing.assert_allclose(table.yx[0], (world_nm - (50, -700)) / 100, atol=1e-9)
    assert table.frame.tolist() == [2]
    assert table.pixel_size_nm == 100.0
