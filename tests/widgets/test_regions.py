"""*Regions* in a real viewer: shapes lie on the points in any scale and unit, and every refusal is in place."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE
from napari_subpixel.widgets.layers.points import points_layer, set_threshold, table_of
from napari_subpixel.widgets.regions import ACROSS, MeasureRegions
from napari_subpixel.widgets.writers import write_csv

PIXEL_NM = 100.0
SHAPE = (64, 80)
SIGMA_PX = 0.3


def filament(**about) -> Localizations:
    """A filament along x at y = 20 px, and 500 points in the square from (40, 40) to (50, 50) px."""
    rng = np.random.default_rng(4)
    y = np.concatenate([rng.normal(20, SIGMA_PX, 1200), rng.uniform(40, 50, 500)])
    x = np.concatenate([rng.uniform(5, 75, 1200), rng.uniform(40, 50, 500)])
    n = len(y)
    columns = {
        "frame": np.sort(rng.integers(0, 50, n)),
        "y": y,
        "x": x,
        "probability": np.linspace(0.4, 1, n),
        "photons": np.full(n, 800.0),
        "y_uncertainty": np.full(n, 0.1),
        "x_uncertainty": np.full(n, 0.1),
    }
    return Localizations(columns, **{"pixel_size_nm": PIXEL_NM, "frame_shape": SHAPE, "n_frames": 50, **about})


TABLE = filament()
#: The square, and a line over the filament, with corners in pixels.
SQUARE = np.array([[39.5, 39.5], [39.5, 50.5], [50.5, 50.5], [50.5, 39.5]])
LINE = np.array([[15.0, 40.0], [25.0, 40.0]])


@pytest.fixture
def points(viewer):
    return viewer.add_layer(points_layer(TABLE, name="found"))


@pytest.fixture
def panel(viewer):
    def make():
        widget = MeasureRegions(viewer)
        viewer.window.add_dock_widget(widget, name="Regions")
        return widget

    return make


def acted(qtbot, widget):
    widget.act()
    qtbot.waitUntil(lambda: widget.latest.request is None, timeout=30_000)


def cells(widget):
    return [line.split("\t") for line in widget.table.text().splitlines()]


@pytest.mark.parametrize(
    ("scale", "units"),
    [(100.0, "nm"), (0.05, "um"), (250.0, "nm")],
    ids=["of the points", "other units", "other scale"],
)
def test_shapes_of_any_scale_and_unit_lie_on_the_points(panel, qtbot, viewer, points, tmp_path, scale, units):
    factor = PIXEL_NM / (scale * (1000 if units == "um" else 1))
    shapes = viewer.add_shapes(scale=(scale, scale), units=(units, units), ndim=2)
    shapes.add(SQUARE * factor, shape_type="rectangle")
    shapes.add(LINE * factor, shape_type="line", edge_width=20 * factor)
    widget = panel()
    acted(qtbot, widget)
    heading, square, line = cells(widget)
    assert heading[1:] == ["Points", "Area [µm²]", "Per µm²", "Photons", "Uncertainty [nm]", "FWHM [nm]"]
    assert square == ["rectangle 1", "500", "1.21", "413", "800", "10", "-"]
    fwhm, error = map(float, line[-1].split(" ± "))
    assert abs(fwhm - 2.3548 * SIGMA_PX * PIXEL_NM) < 4 * error
    assert line[2] == "2"  # 1 µm long, 2 µm wide
    assert "link first" in widget.warnings.text()
    assert "FWHM" in widget.plot.chart.parts[1].label

    widget.save(tmp_path / "regions")
    with open(tmp_path / "regions.csv", encoding="utf-8") as file:
        saved = list(csv.DictReader(file))
    assert [row["rows"] for row in saved] == ["500", line[1]]
    assert float(saved[0]["density_per_um2"]) == pytest.approx(500 / 1.21, rel=1e-4)
    assert saved[0]["fwhm_nm"] == ""
    assert saved[1]["one_gaussian_peak"] == "yes"
    widget.save_profile(tmp_path / "profile.csv")
    profile = np.loadtxt(tmp_path / "profile.csv", delimiter=",", skiprows=1)
    assert profile[:, 1].sum() == int(line[1])


def test_what_is_inside_is_a_layer_that_can_be_saved(panel, qtbot, viewer, points, tmp_path):
    shapes = viewer.add_shapes(scale=points.scale[-2:], units=points.units[-2:], ndim=2)
    shapes.add([SQUARE], shape_type="polygon")
    shapes.add(LINE, shape_type="line", edge_width=4)
    widget = panel()
    acted(qtbot, widget)
    widget.table.setCurrentCell(0, 0)
    assert widget.plot.chart is None  # of a polygon
    widget.layer_button.click()
    layer = viewer.layers["found, region"]
    np.testing.assert_array_equal(layer.scale, points.scale)
    inside = table_of(layer)
    np.testing.assert_array_equal(inside.yx, TABLE.yx[TABLE.y > 30])
    assert inside.provenance["filters"][0]["region"][0]["name"] == "polygon 1"
    write_csv(str(tmp_path / "inside.csv"), *layer.as_layer_data_tuple()[:2])
    assert len(formats.read(tmp_path / "inside.csv")) == 500

    shapes.data = [*shapes.data, SQUARE]
    assert "the shapes changed. Measure again." in widget.outdated.text()
    assert not widget.layer_button.isEnabled()


def test_a_profile_across_a_line_with_a_width_in_nm(panel, qtbot, viewer, points):
    set_threshold(points, 0.5)
    shapes = viewer.add_shapes(scale=points.scale[-2:], units=points.units[-2:], ndim=2)
    shapes.add(np.array([[20.0, 10.0], [20.0, 70.0]]), shape_type="line")
    widget = panel()
    widget.direction.value = ACROSS
    widget.width_nm.setValue(800)
    acted(qtbot, widget)
    _, (_, count, area, *_, width) = cells(widget)
    assert float(area) == pytest.approx(4.8)
    assert int(count) < (TABLE["probability"] >= 0.5).sum()
    fwhm, error = map(float, width.split(" ± "))
    assert abs(fwhm - 2.3548 * SIGMA_PX * PIXEL_NM) < 4 * error


def test_without_a_pixel_size_numbers_are_in_pixels(panel, qtbot, viewer):
    viewer.add_layer(points_layer(filament(pixel_size_nm=None), name="in pixels"))
    viewer.add_shapes([SQUARE], shape_type="rectangle").add(LINE, shape_type="line", edge_width=20)
    widget = panel()
    acted(qtbot, widget)
    heading, square, line = cells(widget)
    assert "Area [px²]" in heading
    assert square[1:6] == ["500", "121", "4.13", "800", "0.1"]
    assert float(line[-1].split(" ± ")[0]) == pytest.approx(2.3548 * SIGMA_PX, rel=0.1)
    assert "lengths are in pixels" in widget.summary.text()
    widget.width_nm.setValue(300)
    acted(qtbot, widget)
    assert "pixel size of the camera is not known" in widget.refusal.words.text()
    assert widget.refusal.button.text() == SET_PIXEL_SIZE


def test_what_cannot_be_measured_is_said_in_place(panel, qtbot, viewer, points):
    widget = panel()
    assert not widget.command_row.isVisibleTo(widget)
    widget.act()
    assert "there is no layer of shapes" in widget.refusal.words.text()
    widget.refusal.button.click()
    shapes = widget.shapes.value
    assert shapes.mode == "add_rectangle"
    np.testing.assert_array_equal(shapes.scale, points.scale)
    assert not widget.refusal.isVisibleTo(widget)
    widget.act()
    assert "there is no shape" in widget.refusal.words.text()
    empty = np.column_stack([np.zeros(4), SQUARE - 35])
    shapes.add(empty, shape_type="rectangle")
    shapes.add(empty[:3], shape_type="path")
    acted(qtbot, widget)
    assert cells(widget)[1][1:] == ["0", "1.21", "0", "-", "-", "-"]
    assert "there are no points inside" in widget.warnings.text()
    assert "path 2: left out" in widget.warnings.text()
    before = list(viewer.layers)
    widget.layer_button.click()
    assert "no points in these regions" in widget.refusal.words.text()
    assert list(viewer.layers) == before
