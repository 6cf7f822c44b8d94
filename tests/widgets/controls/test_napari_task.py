"""Runs as napari knows them: in its activity dock, and in the tasks that it asks about before it closes."""

from __future__ import annotations

import pytest
from napari.utils import progress

from napari_subpixel.widgets.controls.napari_task import NapariTask
from napari_subpixel.widgets.controls.progress import ProgressRow


@pytest.fixture
def row(viewer, qtbot):
    row = ProgressRow()
    qtbot.addWidget(row)
    NapariTask(row, viewer, "detecting tubes")
    return row


def bars():
    return [(bar.desc.rstrip(": "), bar.n, bar.total) for bar in progress._all_instances]


def test_a_run_has_a_bar_in_the_activity_dock_and_closing_asks_about_it(viewer, row):
    tasks = viewer.window._task_status_manager
    assert (bars(), tasks.get_status()) == ([], [])
    row.begin(24, "frames", "loading the model ...")
    row.update_to(8)
    assert bars() == [("detecting tubes", 8, 24)]
    assert tasks.get_status() == ["Subpixel: detecting tubes"]
    row.begin(40, "frames", "detecting ...")  # more is known of how much there is
    row.update_to(9)
    assert bars() == [("detecting tubes", 9, 40)]
    row.end()
    assert (bars(), tasks.get_status(), tasks.is_busy()) == ([], [], False)


def test_napari_s_cancel_stops_the_work_that_goes_on_and_no_other(viewer, row, qtbot):
    tasks = viewer.window._task_status_manager
    row.begin(24, "frames", "")
    with qtbot.waitSignal(row.cancel_clicked):
        tasks.cancel_all()
    row.end()
    with qtbot.assertNotEmitted(row.cancel_clicked):
        tasks.cancel_all()


def test_a_panel_that_is_deleted_leaves_no_bar(viewer, qtbot):
    row = ProgressRow()
    NapariTask(row, viewer, "detecting")
    row.begin(0, "", "")
    row.deleteLater()
    qtbot.waitUntil(lambda: not bars())
    assert not viewer.window._task_status_manager.is_busy()
