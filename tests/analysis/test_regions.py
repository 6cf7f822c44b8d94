"""Regions and profiles: exact counts and areas of known shapes, and the width of a known peak."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_subpixel.analysis.profiles import FWHM_IN_SIGMA, fit_peak
from napari_subpixel.analysis.regions import (
    Region,
    keep_regions,
    line_length,
    line_positions,
    measure_region,
    rows_inside,
)
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

#: Height and width of a pixel, in nm.
OBLONG_NM = (200.0, 100.0)


def grid(**about) -> Localizations:
    """A point at each tenth of a pixel but for its edges."""
    y, x = (axis.ravel() for axis in np.meshgrid(np.arange(200) / 10 + 0.05, np.arange(300) / 10 + 0.05, indexing="ij"))
    columns = {
        "frame": np.zeros(len(y)),
        "y": y,
        "x": x,
        "photons": np.where(x < 15, 500.0, 900.0),
        "y_uncertainty": np.full(len(y), 0.1),
        "x_uncertainty": np.full(len(y), 0.1),
    }
    return Localizations(columns, **{"pixel_size_nm": 100, "frame_shape": (20, 30), **about})


def corners(*places) -> np.ndarray:
    return np.array(places, float)


def test_a_rectangle_has_its_count_area_density_and_medians():
    numbers = measure_region(grid(), Region("r", "polygon", corners([2, 3], [2, 8], [6, 8], [6, 3])))
    assert len(numbers.rows) == 2000
    assert numbers.area == pytest.approx(0.4 * 0.5)
    assert numbers.density == pytest.approx(10_000)
    assert (numbers.photons, numbers.uncertainty) == (500, pytest.approx(10))
    assert numbers.warnings == ()


def test_a_concave_polygon_leaves_out_its_notch():
    shape = corners([0, 0], [0, 10], [10, 10], [10, 6], [4, 6], [4, 4], [10, 4], [10, 0])
    numbers = measure_region(grid(), Region("u", "polygon", shape))
    assert len(numbers.rows) == 100 * (100 - 12)
    assert numbers.area == pytest.approx(0.88)


def test_polygons_that_share_an_edge_share_no_row():
    rows = Localizations({"frame": [0] * 5, "y": [1, 1, 0, 2, 1], "x": [1, 2, 2, 2, 3]})
    left = rows_inside(rows, Region("l", "polygon", corners([0, 0], [0, 2], [2, 2], [2, 0])))
    right = rows_inside(rows, Region("r", "polygon", corners([0, 2], [0, 4], [2, 4], [2, 2])))
    assert left.tolist() == [0]
    assert right.tolist() == [1, 2, 4]


def test_an_ellipse_of_any_direction():
    middle, turn = np.array([10.0, 12.0]), math.radians(30)
    along = 8 * np.array([math.sin(turn), math.cos(turn)])
    aside = 3 * np.array([math.cos(turn), -math.sin(turn)])
    box = np.stack([middle - along - aside, middle + along - aside, middle + along + aside, middle - along + aside])
    table = grid()
    numbers = measure_region(table, Region("e", "ellipse", box))
    offset = table.yx - middle
    expected = (offset @ along / 64) ** 2 + (offset @ aside / 9) ** 2 <= 1
    np.testing.assert_array_equal(numbers.rows, np.flatnonzero(expected))
    assert numbers.area == pytest.approx(math.pi * 0.8 * 0.3)
    assert numbers.density == pytest.approx(10_000, rel=0.01)


def test_oblong_pixels_and_no_pixel_size():
    box = Region("r", "polygon", corners([2, 3], [2, 8], [6, 8], [6, 3]))
    assert measure_region(grid(pixel_size_nm=OBLONG_NM), box).area == pytest.approx(0.8 * 0.5)
    in_pixels = measure_region(grid(pixel_size_nm=None), box)
    assert (in_pixels.area, in_pixels.density) == (pytest.approx(20), pytest.approx(100))
    assert in_pixels.uncertainty == pytest.approx(0.1)
    slanted = Region("l", "line", corners([2, 2], [5, 10]), 300.0)
    table = grid(pixel_size_nm=OBLONG_NM)
    assert line_length(table, slanted) == pytest.approx(1000)  # 600 nm down, 800 nm to the right
    numbers = measure_region(table, slanted)
    along, across = line_positions(table, numbers)
    assert numbers.area == pytest.approx(0.3)
    assert len(numbers.rows) == pytest.approx(0.3 / (0.02 * 0.01), rel=0.02)
    assert 0 <= along.min() < along.max() <= 1000
    assert np.abs(across).max() <= 150


def test_what_is_wrong_with_a_region_is_said():
    table = grid()
    bow = measure_region(table, Region("bow", "polygon", corners([2, 2], [8, 8], [2, 8], [8, 2])))
    assert math.isnan(bow.area)
    assert math.isnan(bow.density)
    assert "crosses itself" in bow.warnings[0]
    assert len(bow.rows) == pytest.approx(1800, abs=70)
    assert "beyond the frames" in measure_region(table, Region("r", "line", corners([1, 1], [40, 1]), 50)).warnings[0]
    away = measure_region(table.with_about(frame_shape=None), Region("a", "line", corners([50, 1], [60, 1]), 50))
    assert "no points inside" in away.warnings[0]
    assert math.isnan(away.photons)
    with pytest.raises(InputError, match="no area"):
        measure_region(table, Region("flat", "polygon", corners([1, 1], [1, 5], [1, 9])))
    with pytest.raises(InputError, match="width of a line"):
        Region("l", "line", corners([1, 1], [1, 5]))
    with pytest.raises(InputError, match="no points in these regions"):
        keep_regions(table, [away])


def test_rows_of_overlapping_regions_are_kept_once_with_their_provenance():
    table = grid()
    boxes = [Region(f"r{k}", "polygon", corners([2, k], [2, k + 4], [6, k + 4], [6, k])) for k in (3, 5)]
    kept = keep_regions(table, [measure_region(table, box) for box in boxes])
    assert len(kept) == 40 * 60
    (note,) = kept.provenance["filters"]
    assert note["kept"] == 2400
    assert [region["name"] for region in note["region"]] == ["r3", "r5"]
    assert note["region"][0]["corners_px"] == boxes[0].corners.tolist()


def test_the_width_of_a_peak_is_right_within_its_error():
    off = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = np.concatenate([rng.normal(400, 20, 300), rng.uniform(0, 1000, 200)])
        peak = fit_peak(rows, 0, 1000)
        assert peak.holds
        assert peak.centre == pytest.approx(400, abs=8)
        assert peak.share == pytest.approx(0.6, abs=0.15)
        off.append((peak.fwhm - 20 * FWHM_IN_SIGMA) / peak.fwhm_error)
    assert abs(np.mean(off)) < 0.7
    assert 0.5 < np.std(off) < 1.6


def test_no_width_where_there_is_none():
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match="too few"):
        fit_peak(np.linspace(400, 420, 5), 0, 1000)
    with pytest.raises(InputError, match="no peak"):
        fit_peak(np.linspace(0, 1000, 500), 0, 1000)
    with pytest.raises(InputError, match="not whole"):
        fit_peak(np.abs(rng.normal(0, 100, 500)), 0, 1000)
    with pytest.raises(InputError, match="at one place"):
        fit_peak(np.full(100, 300.2), 0, 1000)
    two = np.concatenate([rng.normal(400, 20, 500), rng.normal(520, 20, 500)])
    assert not fit_peak(two, 0, 1000).holds
