"""*Subpixel* in a real viewer: the steps, what each needs, and the panel that each opens."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from napari_subpixel.analysis.filters import Filter
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.controls.plugin import panels_of_plugin
from napari_subpixel.widgets.filter import FilterMolecules
from napari_subpixel.widgets.layers.filtering import set_filter
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.layers.workflow import NEEDS_MOVIE, NEEDS_TABLE, NEEDS_TRUTH, STEPS
from napari_subpixel.widgets.steps import StepsOfWork


def test_each_step_says_whether_it_is_done_and_what_is_missing(viewer, qtbot):
    panel = StepsOfWork(viewer)
    viewer.window.add_dock_widget(panel, name="Subpixel (Subpixel)")

    def words(name):
        panel.update_steps()
        part = panel.steps[name]
        return part.button.text(), part.line.full_text

    assert [words(name)[1] for name in ("Movie", "Detect", "Filter", "Score")] == [
        "open a movie",
        NEEDS_MOVIE,
        NEEDS_TABLE,
        NEEDS_TABLE,
    ]
    viewer.add_image(np.zeros((5, 16, 24)), scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    assert words("Movie") == ("\u2713 Movie", "5 frames")
    assert words("Detect") == ("\u25cb Detect", "")
    columns = {"frame": [0, 1, 2, 3], "y": [1.0, 2, 3, 4], "x": [1.0, 2, 3, 4], "probability": [0.5] * 4}
    layer = viewer.add_layer(points_layer(Localizations(columns, pixel_size_nm=100.0), name="found"))
    assert words("Detect") == ("\u2713 Detect", "4 found")
    assert words("Score") == ("\u2013 Score", NEEDS_TRUTH)
    set_filter(layer, Filter.of("frame < 3"))
    qtbot.waitUntil(lambda: panel.steps["Filter"].line.full_text == "75% kept")  # by itself
    viewer.layers.clear()
    assert words("Movie")[0] == "\u2013 Movie"


def test_every_step_has_a_panel():
    assert {step.command for step in STEPS} <= panels_of_plugin().keys()


def test_a_picture_is_no_movie_and_nothing_is_noted_in_it(viewer):
    panel = StepsOfWork(viewer)
    viewer.window.add_dock_widget(panel, name="Subpixel (Subpixel)")
    picture = viewer.add_image(np.zeros((16, 24)), scale=(100, 100), units=("nm", "nm"))
    assert not panel.states()["Movie"].done
    assert not panel.states()["Detect"].is_possible
    still = viewer.add_image(np.zeros((1, 16, 24)), scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    assert panel.states()["Movie"].words == "1 frame"
    assert not picture.metadata
    assert not still.metadata


def test_a_step_opens_its_panel_below_the_row_and_one_without_a_panel_is_not_shown(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1000, 700)
    dock, panel = viewer.window.add_plugin_dock_widget("napari-subpixel", "Subpixel")
    qtbot.wait(50)
    window = viewer.window._qt_window
    assert window.dockWidgetArea(dock) == Qt.DockWidgetArea.TopDockWidgetArea
    assert list(panel.steps) == [step.name for step in STEPS if step.command in panels_of_plugin()]
    assert {"Movie", "Detect", "Filter", "Render", "Score", "Batch"} <= panel.steps.keys()
    filter_of_menu = FilterMolecules(viewer)
    viewer.window.add_dock_widget(filter_of_menu, name="Filter (Subpixel)")
    for name in ("Filter", "Score", "Filter"):
        panel.steps[name].button.click()
        qtbot.wait(50)
    docks = viewer.window._wrapped_dock_widgets
    assert window.tabifiedDockWidgets(docks["Filter (Subpixel)"]) == [docks["Evaluate (Subpixel)"]]
    assert dock.isVisible()
    assert dock.height() < 100
    assert (window.width(), window.height()) == (1000, 700)
    for part in panel.steps.values():
        assert part.button.width() >= part.button.minimumSizeHint().width()
