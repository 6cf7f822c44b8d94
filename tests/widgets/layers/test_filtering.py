"""Filters on layers of localizations: what they hide, that it comes back, and what a saved table says of them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points

from napari_subpixel import formats
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.filtering import all_hidden, n_above_threshold, set_filter
from napari_subpixel.widgets.layers.points import notes_of, points_layer, set_threshold, table_of
from napari_subpixel.widgets.writers import write_parquet


def table(n=500, seed=2):
    rng = np.random.default_rng(seed)
    columns = {
        "frame": np.sort(rng.integers(0, 40, n)),
        "y": rng.uniform(0, 29, n),
        "x": rng.uniform(0, 43, n),
        "probability": rng.uniform(0.05, 1, n),
        "photons": rng.exponential(800, n),
    }
    about = {"pixel_size_nm": 100.0, "frame_shape": (30, 44), "n_frames": 40}
    return Localizations(columns, **about, provenance={"model": "m", "threshold": 0.05})


KEEP = Filter.of("photons > 500 & y < 2000")


def test_a_filter_and_the_threshold_hide_points_together_and_both_are_reversible() -> None:
    found = table()
    layer = points_layer(found, name="found")
    set_threshold(layer, 0.4)
    set_filter(layer, KEEP)
    above = found["probability"] >= np.float32(0.4)
    np.testing.assert_array_equal(layer.shown, above & KEEP.mask(found))
    assert n_above_threshold(layer) == above.sum()
    set_threshold(layer, 0.05)
    np.testing.assert_array_equal(layer.shown, KEEP.mask(found))
    set_filter(layer, None)
    assert layer.shown.all()


def test_points_of_another_program_are_filtered_too() -> None:
    found = table()
    layer = Points(np.column_stack([found.frame, found.y, found.x]), features={"photons": found["photons"]})
    set_filter(layer, Filter.of("photons > 500 & frame < 20"))
    np.testing.assert_array_equal(layer.shown, (found["photons"] > 500) & (found.frame < 20))
    layer.selected_data = {0, 1, 2}
    layer.remove_selected()
    np.testing.assert_array_equal(layer.shown, (found["photons"][3:] > 500) & (found.frame[3:] < 20))


def test_points_that_are_removed_and_tables_that_follow_are_filtered_again() -> None:
    found, other = table(), table(90, seed=4)
    layer = points_layer(found, name="found")
    set_filter(layer, Filter.of("photons > median(photons)"))
    layer.remove(range(200))
    photons = found["photons"][200:]
    np.testing.assert_array_equal(layer.shown, photons > np.median(photons))
    layer.set_table(other)
    np.testing.assert_array_equal(layer.shown, other["photons"] > np.median(other["photons"]))


def test_a_table_without_the_columns_is_not_filtered_any_more_and_it_is_said(shown) -> None:
    found = table()
    layer = points_layer(found, name="found")
    set_filter(layer, KEEP)
    layer.set_table(Localizations({"frame": [0, 1], "y": [1.0, 2.0], "x": [1.0, 2.0]}, pixel_size_nm=100.0))
    assert layer.shown.tolist() == [True, True]
    assert notes_of(layer).keep is None
    assert any("photons" in message for _, message in shown())


def test_the_saved_table_is_what_is_shown_and_says_which_filter_kept_it(tmp_path) -> None:
    found = table()
    layer = points_layer(found, name="found")
    set_threshold(layer, 0.4)
    set_filter(layer, KEEP)
    write_parquet(str(tmp_path / "kept.parquet"), *layer.as_layer_data_tuple()[:2])
    kept = formats.read(tmp_path / "kept.parquet")
    rows = layer.shown
    np.testing.assert_array_equal(kept["photons"], found["photons"][rows])
    assert kept.provenance["filters"] == [{"keep": KEEP.text, "rows": 500, "kept": rows.sum()}]
    assert kept.provenance["threshold"] == 0.4


@pytest.mark.parametrize("by_hand", [True, False])
def test_points_shown_by_hand_are_not_said_to_have_passed(by_hand: bool) -> None:
    layer = points_layer(table(), name="found")
    set_filter(layer, KEEP)
    if by_hand:
        layer.shown = True
    assert ("filters" in table_of(layer).provenance) is not by_hand


def test_a_copy_by_napari_keeps_the_filter_and_then_has_its_own() -> None:
    layer = points_layer(table(), name="found")
    set_filter(layer, KEEP)
    copy = Points.create(*layer.as_layer_data_tuple())
    assert notes_of(copy).keep == KEEP
    set_filter(copy, None)
    assert notes_of(layer).keep == KEEP
    assert not layer.shown.all()
    assert copy.shown.all()


def test_a_filter_in_nm_is_evaluated_again_when_the_pixel_size_changes() -> None:
    layer = points_layer(table(), name="found")
    set_filter(layer, Filter.of("x < 2000"))
    for size in (160.0, 50.0):
        layer.scale = (1.0, size, size)
        np.testing.assert_array_equal(layer.shown, table().x * size < 2000)
    n = int(layer.shown.sum())
    assert table_of(layer).provenance["filters"] == [{"keep": "x < 2000", "rows": 500, "kept": n}]


def test_rows_of_another_number_of_points_are_not_taken() -> None:
    layer = points_layer(table(), name="found")
    passing = KEEP.mask(table())
    layer.remove([0, 1])
    set_filter(layer, KEEP, passing)
    np.testing.assert_array_equal(layer.shown, passing[2:])


@pytest.mark.parametrize("known", [True, False])
def test_a_copy_by_napari_is_filtered_again_too(known: bool) -> None:
    """Or, if it was changed before the plugin met it, is not said to be filtered."""
    layer = points_layer(table(), name="found")
    set_threshold(layer, 0.3)
    set_filter(layer, KEEP)
    copy = Points.create(*layer.as_layer_data_tuple())
    if known:
        notes_of(copy)
    copy.selected_data = {0, 1}
    copy.remove_selected()
    assert (notes_of(copy).keep == KEEP) is known
    set_threshold(copy, 0.5)
    expected = table()["probability"][2:] >= np.float32(0.5)
    np.testing.assert_array_equal(copy.shown, expected & KEEP.mask(table())[2:] if known else expected)


@pytest.mark.parametrize(
    ("keep", "threshold", "cause"),
    [
        ("photons < 0", 0.05, "by the filter"),
        ("photons > 0", 1.1, "by the threshold"),
        ("photons < 0", 0.5, "by the threshold and the filter"),
    ],
)
def test_what_hides_all_points_is_named(keep: str, threshold: float, cause: str) -> None:
    layer = points_layer(table(), name="found")
    set_filter(layer, Filter.of(keep))
    set_threshold(layer, threshold)
    assert not layer.shown.any()
    assert str(all_hidden(layer)) == f"found: all points are hidden {cause}"
