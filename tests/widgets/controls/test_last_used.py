"""Settings that return in the next session: those of the panels, in new widgets."""

from __future__ import annotations

import pytest

from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.last_used import last_settings_file
from napari_subpixel.widgets.controls.render_form import WHOLE_FIELD
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.drift import FOUND, CorrectDrift
from napari_subpixel.widgets.link import LinkMolecules
from napari_subpixel.widgets.render import RenderSuperResolution


@pytest.fixture
def opened(viewer, qtbot):
    """Open a panel in a dock, as napari does; when the test ends it is closed, and its work is over."""
    docked = []

    def make(panel):
        widget = panel(viewer)
        docked.append(viewer.window.add_dock_widget(widget, name=f"{panel.__name__} {len(docked)}"))
        return widget

    yield make
    for dock in docked:
        viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)


def test_settings_return_as_they_were_when_the_panel_was_last_used(opened):
    link, drift, render = opened(LinkMolecules), opened(CorrectDrift), opened(RenderSuperResolution)
    link.dark_frames.setValue(3)
    link.distance_nm.setValue(55.5)
    drift.source.value = FOUND
    render.extent.value, render.pixel_size_nm.value, render.method.value = WHOLE_FIELD, 7.5, "histogram"
    assert opened(LinkMolecules).dark_frames.value() == -1  # not used yet
    link.act()  # there are no points, which changes nothing about the settings
    drift.act()
    render.render_now()

    link, drift, render = opened(LinkMolecules), opened(CorrectDrift), opened(RenderSuperResolution)
    assert (link.dark_frames.value(), link.distance_nm.exact) == (3, 55.5)
    assert drift.source.value == FOUND
    assert (render.extent.value, render.pixel_size_nm.value, render.method.value) == (WHOLE_FIELD, 7.5, "histogram")
    assert not render.sigma_nm.enabled


def test_model_and_threshold_of_detect_return(opened):
    form = opened(DetectMolecules).form
    form.model.value = "fast"
    form.threshold.setValue(0.31)
    form.remember("detect")
    form = opened(DetectMolecules).form
    assert (form.model_name, form.threshold.value()) == ("fast", pytest.approx(0.31))


@pytest.mark.parametrize("text", ["link: 3", "link: {dark_frames: many, distance: 4}", "detect: {model: gone}", "::"])
def test_a_file_that_somebody_edited_leaves_the_defaults(opened, text):
    last_settings_file().parent.mkdir(parents=True, exist_ok=True)
    last_settings_file().write_text(text)
    assert opened(LinkMolecules).dark_frames.value() == -1
    assert opened(DetectMolecules).form.model_name == "default"
