"""Panels in the viewer's window: they scroll, become tabs, and keep their width whatever a file is called."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QLabel, QPushButton

from napari_subpixel.widgets.batch import BatchProcess
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.drift import CorrectDrift
from napari_subpixel.widgets.evaluate import EvaluateAgainstTruth
from napari_subpixel.widgets.figure import MakeFigure
from napari_subpixel.widgets.link import LinkMolecules
from napari_subpixel.widgets.load import LoadStack
from napari_subpixel.widgets.render import RenderSuperResolution
from napari_subpixel.widgets.resolution import MeasureResolution
from napari_subpixel.widgets.steps import StepsOfWork

PANELS = {
    "Load": LoadStack,
    "Detect": DetectMolecules,
    "Render": RenderSuperResolution,
    "Drift": CorrectDrift,
    "Link": LinkMolecules,
    "Resolution": MeasureResolution,
    "Figure": MakeFigure,
    "Evaluate": EvaluateAgainstTruth,
    "Batch": BatchProcess,
}
NAME = "2024-11-27_COS7_tubulin-AF647_cell03_roi2_dSTORM_640nm_20ms_EM200.ome.tif"


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SUBPIXEL_CONFIG", str(tmp_path / "settings"))


@pytest.mark.parametrize("size", [(1280, 720), (1000, 700), (1920, 1080)])
def test_all_panels_at_once_leave_the_window_its_size_and_cut_nothing(
    make_napari_viewer: Callable[..., Any], qtbot, size: tuple[int, int]
) -> None:
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.resize(*size)
    viewer.add_image(np.zeros((3, 256, 256)), name=NAME)
    panels = {}
    for title, panel in PANELS.items():
        panels[title] = panel(viewer)
        viewer.window.add_dock_widget(panels[title], name=f"{title} (Subpixel)", area="right")
        qtbot.wait(30)
    panels["Figure"].status.setText("\n".join(["Of these lines every word is to be read, however narrow it is."] * 8))
    panels["Figure"].results.show()
    for title, panel in panels.items():
        dock = panel.parent()
        assert dock.windowTitle() == title
        assert len(window.tabifiedDockWidgets(dock)) == len(PANELS) - 1
        dock.raise_()
        qtbot.wait(50)
        assert panel.width() < 420
        _nothing_is_cut(panel)
    assert (window.width(), window.height()) == size


@pytest.mark.parametrize("place", ["dock", "nowhere"])
def test_a_panel_is_deleted_with_its_dock_and_never_by_a_collection(viewer, qtbot, place):
    references = {}
    for title, panel_class in {**PANELS, "Subpixel": StepsOfWork}.items():
        panel = panel_class(viewer)
        references[title] = weakref.ref(panel)
        if place == "dock":
            viewer.window.add_dock_widget(panel, name=title)
            viewer.window.remove_dock_widget(panel)
        del panel
    gc.collect()  # as a thread might at any time
    assert all(reference() in Panel.undeleted.values() for reference in references.values())
    if place == "nowhere":  # the window takes them with it
        for reference in references.values():
            reference().deleteLater()
    qtbot.waitUntil(lambda: not any(r() in Panel.undeleted.values() for r in references.values()), timeout=30_000)
    viewer.add_points(np.zeros((1, 2)))  # which asks no panel that is gone
    gc.collect()
    assert [title for title, reference in references.items() if reference() is not None] == []


def _nothing_is_cut(panel):
    inner = panel._inner
    for part in [*inner.findChildren(QLabel), *inner.findChildren(QPushButton)]:
        if not part.isVisibleTo(inner):
            continue
        right = part.mapTo(inner, QPoint(part.width(), 0)).x()
        assert right <= inner.width() + 1, part
        if isinstance(part, QPushButton):
            assert part.width() >= part.minimumSizeHint().width() or part.text() == "", part.text()
        if isinstance(part, QLabel) and part.wordWrap():
            assert part.height() >= part.heightForWidth(part.width()) - 2, part.text()
