"""True positives, false positives and misses as layers: which rows, where they lie, and in whose place."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_subpixel.camera import Camera
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.matches import (
    FALSE_POSITIVES,
    KINDS,
    MISSES,
    TRUE_POSITIVES,
    match_layers,
    matched_rows,
    show_matches,
)
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer
from napari_subpixel.widgets.layers.points import points_layer, table_of

ABOUT = {"pixel_size_nm": 100.0, "frame_shape": (20, 30), "n_frames": 5}
TRUTH = Localizations({"frame": [3, 3, 3], "y": [2.0, 5.0, 9.0], "x": [3.0, 7.0, 20.0]}, **ABOUT)
FOUND = Localizations(
    {"frame": [3, 3], "y": [2.2, 15.0], "x": [3.0, 7.0], "probability": [0.9, 0.4]},
    **ABOUT,
    provenance={"model": "m", "threshold": 0.3},
)
MATCH = evaluate(FOUND, TRUTH, 50)[0]
EXPECTED = {TRUE_POSITIVES: FOUND.select([0]), FALSE_POSITIVES: FOUND.select([1]), MISSES: TRUTH.select([1, 2])}


def places(table):
    return np.column_stack([table.frame, table.yx]).tolist()


def coordinates(movie, table):
    """The rows of a table as points in the movie's data."""
    rows = np.zeros((len(table), movie.layer.ndim))
    rows[:, movie.time] = table.frame
    rows[:, -2:] = table.yx
    return rows


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def add(viewer):
    def add(table, movie=None, name="found"):
        return viewer.add_layer(points_layer(table, movie, name=name))

    return add


def movie_in(viewer, shape):
    """A movie with its own scale and place, frames along the first axis that is longer than 1."""
    scale = (*[1] * (len(shape) - 2), 100, 100)
    units = (*["pixel"] * (len(shape) - 2), "nm", "nm")
    layer = viewer.add_image(np.zeros(shape, np.uint8), scale=scale, units=units, translate=range(len(shape)))
    movie = MovieLayer(layer)
    movie.set_camera(Camera(pixel_size_nm=100))
    return movie


def shown(viewer, result):
    show_matches(viewer, result, FOUND, TRUTH, MATCH)
    return match_layers(viewer.layers)


def test_the_rows_are_those_that_the_counts_count():
    matched = matched_rows(FOUND, TRUTH, MATCH)
    assert list(matched) == list(KINDS)
    rows = {kind: places(some.table.select(some.rows)) for kind, some in matched.items()}
    assert rows == {kind: places(table) for kind, table in EXPECTED.items()}


@pytest.mark.parametrize("movie_is_open", [True, False])
@pytest.mark.parametrize("shape", [(5, 20, 30), (5, 1, 20, 30), (1, 5, 20, 30), (1, 5, 1, 20, 30)])
def test_they_lie_on_the_result_in_their_own_frame_though_all_lie_in_one(viewer, add, shape, movie_is_open):
    movie = movie_in(viewer, shape)
    result = add(FOUND, movie)
    if not movie_is_open:
        viewer.layers.remove(movie.layer)
    layers = shown(viewer, result)
    for kind, table in EXPECTED.items():
        layer = layers[kind.role]
        assert places(table_of(layer)) == places(table)
        assert layer.units == result.units
        for place, row in zip(layer.data, coordinates(movie, table), strict=True):
            np.testing.assert_allclose(layer.data_to_world(place), movie.layer.data_to_world(row))


def test_with_foreign_points_they_keep_to_the_place_along_other_axes(viewer):
    data = [[7, 3, 2.2, 3.0], [7, 4, 15.0, 7.0]]
    result = viewer.add_points(data, scale=(1, 1, 0.1, 0.1), rotate=90, units=("pixel", "pixel", "um", "um"))
    found = table_of(result).with_about(pixel_size_nm=100.0)
    assert found.frame.tolist() == [3, 4]
    show_matches(viewer, result, found, TRUTH, evaluate(found, TRUTH, 50)[0])
    layers = match_layers(viewer.layers)
    np.testing.assert_array_equal(layers[TRUE_POSITIVES.role].data, data[:1])
    np.testing.assert_array_equal(layers[MISSES.role].data, [[7, 3, 5, 7], [7, 3, 9, 20]])
    np.testing.assert_allclose(layers[MISSES.role].affine, result.affine)
    np.testing.assert_allclose(layers[MISSES.role].rotate, result.rotate)


def test_with_an_empty_result_the_misses_are_shown_too(viewer, add):
    nothing = FOUND.select([])
    result = add(nothing)
    show_matches(viewer, result, nothing, TRUTH, evaluate(nothing, TRUTH, 50)[0])
    assert [len(match_layers(viewer.layers)[kind.role].data) for kind in KINDS] == [0, 0, 3]
    assert places(table_of(match_layers(viewer.layers)[MISSES.role])) == places(TRUTH)


def test_another_match_takes_the_place_and_the_look_of_the_one_before(viewer, add):
    result = add(FOUND)
    before = shown(viewer, result)
    assert [layer.name for layer in viewer.layers] == [
        "found",
        "misses, 50 nm",
        "false positives, 50 nm",
        "true positives, 50 nm",
    ]
    before[MISSES.role].visible = False
    before[FALSE_POSITIVES.role].opacity = 0.4
    add(TRUTH, name="on top")
    show_matches(viewer, result, FOUND, TRUTH, evaluate(FOUND, TRUTH, 10)[0])
    assert [layer.name for layer in viewer.layers] == [
        "found",
        "misses, 10 nm",
        "false positives, 10 nm",
        "true positives, 10 nm",
        "on top",
    ]
    after = match_layers(viewer.layers)
    assert not after[MISSES.role].visible
    assert after[FALSE_POSITIVES.role].opacity == 0.4


def test_what_was_selected_stays_selected(viewer, add):
    result = add(FOUND)
    viewer.layers.selection.active = result
    shown(viewer, result)
    assert viewer.layers.selection.active is result


def test_they_are_distinguished_and_are_not_results_of_their_own(viewer, add):
    layers = shown(viewer, add(FOUND))
    assert len({str(layer.symbol[0]) for layer in layers.values()}) == 3
    assert len({tuple(layer.border_color[0]) for layer in layers.values()}) == 3
    np.testing.assert_allclose(layers[TRUE_POSITIVES.role].features["distance_nm"], [20])
    notes = layers[TRUE_POSITIVES.role].metadata[KEY]
    assert notes.threshold is None
    assert notes.about["provenance"] == {"matched": "true positives", "tolerance_nm": 50, "of": FOUND.provenance}
