"""A points layer over a table: no copy of the table, markers of the frames in view, and points to everybody."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points

from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.points import fill, points_layer, set_threshold, table_of
from napari_subpixel.widgets.layers.table_coordinates import TableIndex
from napari_subpixel.widgets.layers.uniform_points import LINE_SHARES, ON_SCREEN_PX

ABOUT = {"pixel_size_nm": 100.0, "frame_shape": (30, 44), "n_frames": 50}


def table(n=400, seed=3, ordered=True):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 50, n)
    columns = {
        "frame": np.sort(frames) if ordered else frames,
        "y": rng.uniform(0, 29, n),
        "x": rng.uniform(0, 43, n),
        "probability": rng.uniform(0.05, 1, n),
        "photons": rng.exponential(800, n),
    }
    return Localizations(columns, **ABOUT, provenance={"model": "m", "threshold": 0.05})


def coordinates(found):
    return np.column_stack([found.frame, found.y, found.x])


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((50, 30, 44), np.uint8), scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    return viewer


def in_view(layer):
    """The points that are markers now, in order."""
    return np.sort(layer._view_indices)


@pytest.mark.parametrize("ordered", [True, False])
def test_the_frame_in_view_becomes_markers_of_the_colours_napari_would_give(viewer, ordered):
    found = table(ordered=ordered)
    layer = viewer.add_layer(points_layer(found, name="found"))
    whole = Points(
        coordinates(found),
        features={"probability": found["probability"]},
        border_color="probability",
        border_colormap="plasma",
        border_contrast_limits=(-0.3, 1.0),
    )
    for frame in (0, 7, 49, 23):
        viewer.dims.set_point(0, frame)
        rows = np.flatnonzero(found.frame == frame)
        np.testing.assert_array_equal(in_view(layer), rows)
        np.testing.assert_allclose(layer._view_data, found.yx[layer._view_indices])
        np.testing.assert_allclose(layer._view_border_color, whole.border_color[layer._view_indices], atol=1e-6)


def test_a_thick_slice_shows_its_frames_and_three_dimensions_show_all(viewer):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    viewer.dims.set_point(0, 20)
    viewer.dims.thickness = (6.0, *viewer.dims.thickness[1:])
    np.testing.assert_array_equal(in_view(layer), np.flatnonzero(np.abs(found.frame - 20) <= 3))
    viewer.dims.ndisplay = 3
    assert len(layer._view_indices) == len(found)


def test_hidden_points_are_no_markers_and_come_back(viewer):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    viewer.dims.set_point(0, 12)
    for threshold in (0.5, 0.9, 0.1):
        set_threshold(layer, threshold)
        expected = np.flatnonzero((found.frame == 12) & (found["probability"] >= np.float32(threshold)))
        np.testing.assert_array_equal(in_view(layer), expected)


def test_the_table_is_not_copied_however_many_layers_show_it():
    found = table()
    layers = [points_layer(found, name="found"), points_layer(found, name="some", rows=np.arange(5, 9))]
    for layer in layers:
        assert layer.data.table is found
        assert layer.data.axes[-1] is found.x or np.shares_memory(layer.data.axes[-1], found.x)
        assert np.shares_memory(layer._columns["photons"], found["photons"])
        for array in (layer.size, layer.border_width, layer.symbol, layer.face_color):
            assert array.strides[0] == 0, "one for all points"
    assert np.shares_memory(table_of(layers[0]).table["photons"].to_numpy(), found["photons"])
    assert np.shares_memory(layers[0].features["photons"].to_numpy(), found["photons"])


def test_data_and_features_are_those_of_all_points_to_numpy_and_to_scripts():
    found = table()
    layer = points_layer(found, name="found")
    expected = coordinates(found)
    data = layer.data
    assert (data.shape, data.ndim, len(data), data.dtype) == ((400, 3), 2, 400, np.float64)
    np.testing.assert_array_equal(data, expected)
    mask = found.frame == 9
    keys = (3, -1, slice(4, 9), mask, [5, 2], (slice(None), 0), (slice(2, 5), [0, 2]), (slice(None), slice(-2, None)),
            (7, 1), (mask, 2), np.ix_([4, 1], [1, 2]), ([1, 2], [0, 2]), (Ellipsis, 1))  # fmt: skip
    for key in keys:
        np.testing.assert_array_equal(data[key], expected[key], err_msg=str(key))
    np.testing.assert_array_equal(data + 1, expected + 1)
    np.testing.assert_array_equal(np.add(data, [0, 1, 2]), np.add(expected, [0, 1, 2]))
    assert data.tolist() == expected.tolist()
    assert list(layer.features) == ["probability", "photons"]


def test_some_rows_of_a_table_are_points_of_their_own(viewer):
    found, rows = table(), np.arange(300, 0, -7)
    layer = viewer.add_layer(points_layer(found, name="some", rows=rows, extra={"distance_nm": np.arange(43.0)}))
    viewer.dims.set_point(0, int(found.frame[rows[4]]))
    assert 4 in in_view(layer)
    np.testing.assert_array_equal(layer.data, coordinates(found)[rows])
    back = table_of(layer)
    np.testing.assert_array_equal(back["photons"], found["photons"][rows])
    np.testing.assert_array_equal(back["distance_nm"], np.arange(43.0))


def test_points_are_removed_moved_and_added_by_hand(viewer):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    layer.selected_data = {3, 5}
    layer.remove_selected()
    np.testing.assert_array_equal(layer.data, np.delete(coordinates(found), [3, 5], axis=0))
    assert len(layer.selected_data) == 0
    layer.add([12, 4.0, 5.0])
    assert table_of(layer).yx[-1].tolist() == [4, 5]
    assert table_of(layer)["photons"][-1] == found["photons"][-1]
    viewer.dims.set_point(0, 12)
    layer._move({398}, [12, 6.0, 9.0])  # where the mouse takes hold of it
    layer._move({398}, [12, 6.5, 9.0])
    assert table_of(layer).yx[-1].tolist() == [4.5, 5]
    assert len(table_of(layer)) == 399
    assert found.yx[398].tolist() != [4.5, 5], "the table itself is as it was"


def test_one_size_symbol_and_colour_hold_for_all_points(viewer):
    layer = viewer.add_layer(points_layer(table(), name="found"))
    layer.current_size, layer.current_symbol, layer.current_border_color = 30, "square", "cyan"
    assert set(layer.size) == {30}
    assert {str(symbol) for symbol in layer.symbol} == {"square"}
    np.testing.assert_allclose(layer.border_color[7], [0, 1, 1, 1])
    layer.border_color = "photons"
    assert len(np.unique(layer.border_color, axis=0)) > 10


@pytest.mark.parametrize("zoom", [0.001, 0.005, 0.02, 0.2, 2.0])
def test_markers_are_visible_at_every_zoom(viewer, zoom):
    layer = viewer.add_layer(points_layer(table(), name="found"))
    layer._update_draw(1 / zoom, np.array([[0, 0], [3000, 4400]]), (800, 800))
    diameter_px = layer.size[0] * 100 * zoom
    line_px = diameter_px * layer.border_width[0]
    assert diameter_px >= ON_SCREEN_PX[0]
    assert diameter_px <= max(1.3 * ON_SCREEN_PX[0], 90.0001 * zoom)
    assert LINE_SHARES[0] <= layer.border_width[0] <= LINE_SHARES[1]
    assert line_px >= 1


def test_a_copy_by_napari_is_points_of_its_own():
    found = table()
    layer = points_layer(found, name="found")
    set_threshold(layer, 0.5)
    data, state, kind = layer.as_layer_data_tuple()
    copy = Points.create(data, state, kind)
    np.testing.assert_array_equal(copy.data, coordinates(found))
    np.testing.assert_array_equal(copy.shown, layer.shown)
    np.testing.assert_allclose(copy.border_color, layer.border_color, atol=1e-6)
    assert table_of(copy)["photons"].tolist() == table_of(layer)["photons"].tolist()


def test_another_table_takes_the_place_of_the_first_above_the_same_threshold(viewer):
    layer = viewer.add_layer(points_layer(table(), name="found"))
    set_threshold(layer, 0.5)
    changed = []
    layer.events.data.connect(lambda event: changed.append(event.action))
    other = table(90, seed=4)
    fill(layer, other)
    assert len(changed) == 1
    assert len(layer.data) == 90
    assert len(table_of(layer)) == (other["probability"] >= 0.5).sum()


def test_frames_before_the_first_and_between_others_show_nothing():
    found = table().select([0, 1])
    layer = points_layer(found, name="found")
    assert [len(layer.in_view((low, low + 1.0))) for low in (-3.5, -1.5, 1.5, 48.5)] == [0, 0, 0, 0]
    assert len(layer.in_view((-0.5, 0.5))) == (found.frame == 0).sum()


@pytest.mark.parametrize("ordered", [True, False])
def test_an_index_made_on_a_thread_is_what_the_layer_would_find(viewer, ordered):
    found = table(ordered=ordered)
    plain, indexed = points_layer(found, name="found"), points_layer(found, name="found", index=TableIndex.of(found))
    np.testing.assert_array_equal(indexed._extent_data, plain._extent_data)
    for frames in ((-0.5, 0.5), (11.5, 30.5), (48.5, 60.0)):
        np.testing.assert_array_equal(indexed.in_view(frames), plain.in_view(frames))
