"""Localizations as points and back: every column, the frame's axis, the threshold, and copies of layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Layer, Points

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import (
    fill,
    notes_of,
    points_layer,
    set_threshold,
    table_of,
    time_axis_of,
)

FOUND = Localizations(
    {
        "frame": [0, 2, 2, 5],
        "y": [3.25, 10.0, 28.5, -0.4],
        "x": [40.0, 11.5, 0.0, 7.125],
        "probability": [0.9, 0.5, 0.2, 0.06],
        "photons": [500.0, 700.0, 90.0, 40.0],
    },
    pixel_size_nm=110,
    frame_shape=(30, 44),
    n_frames=6,
    provenance={"threshold": 0.05, "movie": "a.tif"},
)


def layer_of(table=FOUND, movie=None) -> Points:
    return points_layer(table, movie, name="found")


def on(shape) -> MovieLayer:
    return MovieLayer(Image(np.zeros(shape, np.uint16)))


@pytest.mark.parametrize("shape", [None, (6, 30, 44), (6, 1, 1, 30, 44), (1, 6, 30, 44)])
def test_a_table_comes_back_whole(shape):
    back = table_of(layer_of(movie=None if shape is None else on(shape)))
    assert back.columns == FOUND.columns
    for column in FOUND.columns:
        np.testing.assert_allclose(back[column], FOUND[column])
    assert (back.frame_shape, back.n_frames, back.provenance) == ((30, 44), 6, FOUND.provenance)


def test_nothing_found_is_a_layer_without_points_and_comes_back():
    layer = layer_of(Localizations.empty(FOUND.columns, **FOUND.about), on((6, 30, 44)))
    assert len(layer.data) == 0
    assert table_of(layer).columns == FOUND.columns


@pytest.mark.parametrize("shape", [(6, 1, 30, 44), (1, 6, 30, 44), (6, 30, 44)])
def test_points_that_all_lie_in_one_frame_stay_in_it(shape):
    table = FOUND.select(FOUND.frame == 2)
    layer = layer_of(table, on(shape))
    assert set(table_of(layer).frame) == {2}
    assert time_axis_of(layer) == shape.index(6)


def test_a_threshold_that_leaves_one_frame_leaves_the_frames_number():
    layer = Points(np.array([[0, 3, 1.0, 2.0], [0, 5, 4.0, 5.0]]), features={"probability": [0.2, 0.9]})
    set_threshold(layer, 0.5)
    assert table_of(layer).frame.tolist() == [5]


def test_a_still_image_has_one_frame():
    layer = layer_of(FOUND.select(FOUND.frame == 0), on((30, 44)))
    assert layer.ndim == 2
    assert table_of(layer).frame.tolist() == [0]


def test_the_threshold_hides_and_shows_again_and_is_signalled():
    layer, emitted = layer_of(), []
    notes_of(layer).threshold_changed.connect(emitted.append)
    for threshold, n in ((0.5, 2), (0.95, 0), (0.1, 3)):
        set_threshold(layer, threshold)
        table = table_of(layer)
        assert (len(table), table.provenance["threshold"]) == (n, threshold)
    assert emitted == [0.5, 0.95, 0.1]
    assert len(table_of(layer, shown_only=False)) == 4


def test_a_threshold_below_what_was_kept_is_recorded_as_what_was_kept():
    layer = layer_of()
    set_threshold(layer, 0.01)
    assert table_of(layer).provenance["threshold"] == 0.05


def test_a_copy_has_a_threshold_of_its_own():
    layer = layer_of()
    notes_of(layer)
    _, state, kind = layer.as_layer_data_tuple()
    copy = Layer.create(layer.data, state, kind)
    set_threshold(layer, 0.4)
    assert (len(table_of(layer)), len(table_of(copy))) == (2, 4)
    set_threshold(copy, 0.4)
    assert len(table_of(copy)) == 2


def test_other_points_can_be_put_in_and_keep_the_threshold():
    movie = on((6, 30, 44))
    layer = layer_of(FOUND, movie)
    set_threshold(layer, 0.4)
    for table, n in ((FOUND.select([0]), 1), (Localizations.empty(FOUND.columns), 0), (FOUND, 2)):
        fill(layer, table)
        assert len(layer.data) == len(table)
        assert len(table_of(layer)) == n


def test_points_edited_by_hand_count_as_they_are_now():
    layer = layer_of()
    layer.selected_data = {0}
    layer.remove_selected()
    assert table_of(layer)["photons"].tolist() == [700, 90, 40]
    layer.scale, layer.units = (1, 160, 160), ("pixel", "nm", "nm")
    assert table_of(layer).pixel_size_nm == 160


def test_points_drawn_by_hand_are_a_table_too():
    table = table_of(Points(np.array([[2, 4.5, 6.0]]), scale=(1, 0.1, 0.1), units=("pixel", "um", "um")))
    assert (table.frame.tolist(), table.yx.tolist(), table.pixel_size_nm) == ([2], [[4.5, 6.0]], 100)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([[0.5, 1, 1]], "must be whole numbers from 0, got 0.5"),
        ([[-1, 1, 1]], "must be whole numbers from 0, got -1"),
        ([[0, 0, 1, 1], [1, 1, 1, 1]], "points differ along 2 axes"),
    ],
)
def test_points_without_a_frame_number_are_refused(places, words):
    with pytest.raises(InputError, match=words):
        table_of(Points(np.array(places, dtype=float), name="odd"))
