"""*Filter* in a real viewer: any table, handles and text in step, acting on points and image, and back."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_subpixel import formats
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.histogram_bar import HIGH, LOW
from napari_subpixel.widgets.controls.render_form import WHOLE_FIELD
from napari_subpixel.widgets.filter import NO_TABLE, FilterMolecules
from napari_subpixel.widgets.layers.filtering import set_filter
from napari_subpixel.widgets.layers.points import notes_of, points_layer, set_threshold
from napari_subpixel.widgets.render import RenderSuperResolution


def table(n=2000, **about):
    rng = np.random.default_rng(8)
    columns = {
        "frame": np.sort(rng.integers(0, 40, n)),
        "y": rng.uniform(0, 63, n),
        "x": rng.uniform(0, 47, n),
        "photons": rng.exponential(800, n),
        "y_uncertainty": rng.uniform(0.05, 0.3, n),
        "x_uncertainty": rng.uniform(0.05, 0.3, n),
    }
    about = {"pixel_size_nm": 100.0, "frame_shape": (64, 48), "n_frames": 40} | about
    return Localizations(columns, extra={"chi2": rng.normal(1, 0.1, n)}, **about)


@pytest.fixture
def panel(viewer):
    panel = FilterMolecules(viewer)
    viewer.window.add_dock_widget(panel, name="Filter (Subpixel)")
    return panel


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not Work.running and not panel.latest.request, timeout=20_000)


def type_in(panel, text):
    panel.text.setText(text)
    panel.text.editingFinished.emit()


def test_text_and_handles_are_in_step_both_ways_and_points_follow(viewer, panel, qtbot):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    assert list(panel.rows) == ["photons", "uncertainty", "frame"]
    settle(qtbot, panel)
    assert panel.rows["photons"].bar.histogram.counts.sum() == len(found)

    type_in(panel, "uncertainty < 20 & photons > 500 & chi2 < 1.1 & x < y")
    settle(qtbot, panel)
    assert [row.boxes[HIGH].text() for row in panel.rows.values()] == ["", "20", "", "1.1"]
    assert panel.rows["photons"].boxes[LOW].text() == "500"
    np.testing.assert_array_equal(layer.shown, Filter.of(panel.text.text()).mask(found))
    assert f"{layer.shown.sum():,} of 2,000" in panel.count.text()

    bar = panel.rows["photons"].bar
    bar.resize(300, bar.height())
    qtbot.mousePress(bar, Qt.MouseButton.LeftButton, pos=QPoint(round(bar.place_of(HIGH)) - 90, 20))
    qtbot.mouseRelease(bar, Qt.MouseButton.LeftButton)
    top = float(panel.rows["photons"].boxes[HIGH].text())
    assert bar.histogram.low < top < bar.histogram.high
    expected = f"uncertainty < 20 & 500 < photons <= {top:g} & chi2 < 1.1 & x < y"
    assert panel.text.text() == expected
    settle(qtbot, panel)
    np.testing.assert_array_equal(layer.shown, Filter.of(expected).mask(found))
    assert notes_of(layer).keep.text == expected

    panel.rows["chi2"].closed.emit("chi2")
    assert panel.text.text() == expected.replace(" & chi2 < 1.1", "")
    panel.reset_button.click()
    settle(qtbot, panel)
    assert layer.shown.all()
    assert panel.text.text() == ""


def test_what_cannot_be_read_is_refused_in_the_panel_and_changes_nothing(viewer, panel, qtbot):
    layer = viewer.add_layer(points_layer(table(), name="found"))
    type_in(panel, "photons > 500")
    settle(qtbot, panel)
    before = layer.shown.copy()
    for text, reason in (("phtons > 5", "did you mean"), ("photons >", "photons"), ("photons > 5 px", "px")):
        type_in(panel, text)
        assert reason in panel.refusal.words.text()
    np.testing.assert_array_equal(layer.shown, before)
    type_in(panel, "photons > 700")
    assert panel.refusal.words.text() == ""
    settle(qtbot, panel)


def test_tables_of_all_kinds_and_none(viewer, panel, qtbot):
    """One without a pixel size, points of a script, and filters set elsewhere."""
    assert panel.count.text() == NO_TABLE
    found = table(pixel_size_nm=None)
    layer = viewer.add_layer(points_layer(found, name="in pixels"))
    panel.add_column("x")
    panel.rows["x"].bar.moved.emit(LOW, 20.0)
    assert panel.text.text() == "x >= 20 px"
    settle(qtbot, panel)
    np.testing.assert_array_equal(layer.shown, found.x >= 20)
    script = viewer.add_points(np.column_stack([found.frame, found.y, found.x]), features={"photons": found["photons"]})
    panel.points.value = script
    assert panel.text.text() == ""
    set_filter(script, Filter.of("photons > 100"))
    assert panel.text.text() == "photons > 100"
    set_threshold(script, 0.5)  # it has no probabilities
    panel.points.value = layer
    assert panel.text.text() == "x >= 20 px"
    settle(qtbot, panel)


def test_a_rendered_image_follows_the_filter_and_the_saved_table_says_it(viewer, panel, qtbot, tmp_path):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    render = RenderSuperResolution(viewer)
    render.extent.value = WHOLE_FIELD
    viewer.window.add_dock_widget(render, name="Render (Subpixel)")
    render.render_now()
    qtbot.waitUntil(lambda: render.image is not None, timeout=30_000)
    type_in(panel, "photons > 500")
    settle(qtbot, panel)
    n = int(layer.shown.sum())
    qtbot.waitUntil(lambda: f"{n:,} points" in render.status.text(), timeout=30_000)
    panel.save(tmp_path / "kept.csv")
    qtbot.waitUntil(lambda: "Saved" in panel.status.text(), timeout=30_000)
    assert len(formats.read(tmp_path / "kept.csv")) == n
    settle(qtbot, panel)


def test_a_table_that_grows_takes_nothing_from_the_user(viewer, panel, qtbot):
    """A filter under evaluation is evaluated on the present rows; rows that are dragged and what is typed stay."""
    layer = viewer.add_layer(points_layer(table(1000), name="found"))
    type_in(panel, "photons > 200")
    settle(qtbot, panel)
    row = panel.rows["photons"]
    row.bar.moved.emit(LOW, 500.0)
    assert panel.latest.request is not None
    layer.set_table(table(2000))
    panel.text.setText("photons > 9 &")
    assert panel.rows["photons"] is row
    settle(qtbot, panel)
    qtbot.waitUntil(lambda: row.bar.histogram.counts.sum() == 2000, timeout=10_000)
    assert panel.text.text() == "photons > 9 &"
    np.testing.assert_array_equal(layer.shown, table(2000)["photons"] >= 500)
    assert notes_of(layer).keep == panel.keep
    settle(qtbot, panel)


def test_rows_of_points_that_changed_meanwhile_are_not_delivered(viewer, panel, qtbot):
    found = table()
    layer = viewer.add_layer(points_layer(found, name="found"))
    settle(qtbot, panel)
    type_in(panel, "x < 2000")
    layer.set_table(Localizations({name: found[name][::-1] for name in found.columns}, **found.about))
    layer.scale = (1.0, 60.0, 60.0)
    settle(qtbot, panel)
    np.testing.assert_array_equal(layer.shown, found.x[::-1] * 60 < 2000)
