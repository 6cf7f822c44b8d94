"""Bounds of one quantity in a filter: read, replaced, and evaluated again only where they changed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.bounds import Bound, bounds_in, with_bounds
from napari_subpixel.analysis.conditions import ConditionOnTable
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.masks import KEPT_QUANTITIES, RowMasks
from napari_subpixel.localizations import Localizations

FREE = (None, None)


def table(n=3000, pixel_size_nm=100.0):
    rng = np.random.default_rng(5)
    columns = {
        "frame": rng.integers(0, 50, n),
        "y": rng.uniform(-0.5, 40, n),
        "x": rng.uniform(-0.5, 60, n),
        "photons": np.where(rng.random(n) < 0.1, np.nan, rng.exponential(800, n)),
        "y_uncertainty": rng.uniform(0.05, 0.3, n),
        "x_uncertainty": rng.uniform(0.05, 0.3, n),
    }
    return Localizations(columns, extra={"z0 [nm]": rng.normal(0, 200, n)}, pixel_size_nm=pixel_size_nm)


@pytest.mark.parametrize(
    ("expression", "name", "expected"),
    [
        ("uncertainty < 20 & photons > 500", "uncertainty", (None, Bound(20, True))),
        ("uncertainty < 20 & photons > 500", "photons", (Bound(500, True), None)),
        ("500 <= intensity < 900", "photons", (Bound(500), Bound(900, True))),
        ("900 >= photons & photons >= 500 & photons > 500", "photons", (Bound(500, True), Bound(900))),
        ("x > -0.2 um & x <= 3 px", "x", (Bound(-200, True), Bound(300))),
        ('"z0 [nm]" > -50', "z0", (Bound(-50, True), None)),
        ("photons > 500 | x < 900", "photons", FREE),
        ("!(photons > 500)", "photons", FREE),
        ("photons > median(photons) & photons / 2 > 100 & photons == 7 & photons != 9", "photons", FREE),
        ("photons > 100 > x", "photons", FREE),
        ("x < y", "x", FREE),
    ],
)
def test_bounds_are_those_of_a_condition_on_the_quantity_alone(expression, name, expected):
    assert bounds_in(Filter.of(expression), name, table()) == expected


@pytest.mark.parametrize(
    ("expression", "name", "bounds", "expected"),
    [
        (None, "photons", (Bound(500), None), "photons >= 500"),
        ("uncertainty < 20", "photons", (Bound(500, True), Bound(900)), "uncertainty < 20 & 500 < photons <= 900"),
        ("photons > 5 & x < y & photons < 9", "photons", (None, Bound(7)), "photons <= 7 & x < y"),
        ("photons > 5 & x < y", "photons", FREE, "x < y"),
        ("photons > 5", "photons", FREE, None),
        ("photons > 5 | x < y", "x", (Bound(-3), None), "(photons > 5 | x < y) & x >= -3"),
    ],
)
def test_bounds_take_the_place_of_those_before_and_the_rest_stays(expression, name, bounds, expected):
    found = table()
    changed = with_bounds(Filter.of(expression) if expression else None, name, bounds, found)
    assert (changed and changed.text) == expected
    assert bounds_in(changed, name, found) == bounds


def test_lengths_are_in_pixels_where_the_pixel_size_is_not_known():
    found = table(pixel_size_nm=None)
    chosen = with_bounds(None, "x", (Bound(3), None), found)
    assert chosen.text == "x >= 3 px"
    assert bounds_in(chosen, "x", found) == (Bound(3), None)
    np.testing.assert_array_equal(chosen.mask(found), found.x >= 3)


def test_one_filter_after_the_other_passes_the_rows_of_each_and_evaluates_what_changed(monkeypatch):
    found = table()
    masks, evaluated = RowMasks(found), []
    original = ConditionOnTable.mask_of_all
    monkeypatch.setattr(
        ConditionOnTable, "mask_of_all", lambda self, *rows: (evaluated.append(self._text), original(self, *rows))[1]
    )
    for expression in (
        "uncertainty < 20 & photons > 500",
        "uncertainty < 20 & photons > 600",
        "uncertainty < 18 & photons > 600 & y < 2000 & sqrt(x) < 40 & y_uncertainty < 20",
        "photons > median(photons)",
    ):
        wanted = Filter.of(expression)
        found_now = masks.mask(wanted)
        again = list(evaluated)
        np.testing.assert_array_equal(found_now, wanted.mask(found))
        evaluated[:] = again
    assert evaluated[:4] == ["uncertainty < 20", "photons > 500", "photons > 600", "uncertainty < 18"]
    assert len(masks._computed) <= KEPT_QUANTITIES
    np.testing.assert_allclose(masks.values("y"), found.y * 100)
    assert np.shares_memory(masks.values("photons"), found["photons"])


def test_a_column_of_your_own_with_the_name_of_an_alias_keeps_its_name():
    own = Localizations({"frame": [0], "y": [1.0], "x": [2.0], "sigma": [1.0]}, extra={"sy": [3.0]}, pixel_size_nm=100)
    chosen = with_bounds(None, "sy", (None, Bound(4)), own)
    assert chosen.text == "sy <= 4"
    assert bounds_in(chosen, "sy", own) == (None, Bound(4))
    assert bounds_in(chosen, "sigma", own) == (None, None)
