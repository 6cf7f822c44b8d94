"""Requests of which only the latest waits: which are worked on, what a cancel leaves, what is shown meanwhile."""

from __future__ import annotations

import threading

import pytest
from napari.components import ViewerModel

from napari_subpixel.widgets.background import latest_request as module
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.progress import ProgressRow


class Asked:
    """A request whose work ends when its gate is opened."""

    def __init__(self, name, *, by_hand=True, yields=(None,)):
        self.name, self.by_hand, self.words, self.yields = name, by_hand, f"doing {name}", yields
        self.gate = threading.Event()

    def work(self):
        return Work(self.steps)

    def steps(self):
        yield from self.yields
        self.gate.wait(5)
        yield
        return f"{self.name} done"


@pytest.fixture
def latest(qtbot, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_MS", 20)
    viewer = ViewerModel()
    panel = Panel(viewer)
    qtbot.addWidget(panel)
    progress = ProgressRow()
    panel.column.addWidget(progress)
    work = LatestWork(panel, progress)
    work.progress, work.delivered = progress, []
    work.returned.connect(lambda request, value: work.delivered.append((request.name, value)))
    yield work
    work.cancel()
    qtbot.waitUntil(lambda: work.request is None)
    viewer.layers.clear()


def settle(qtbot, latest):
    qtbot.waitUntil(lambda: latest.request is None, timeout=10_000)


def test_of_the_requests_that_come_meanwhile_the_last_is_worked_on(qtbot, latest):
    requests = [Asked(name) for name in ("first", "second", "third")]
    for request in requests:
        latest.ask(request)
    assert latest.request is requests[0]
    for request in requests:
        request.gate.set()
    settle(qtbot, latest)
    assert latest.delivered == [("first", "first done"), ("third", "third done")]


def test_a_request_by_hand_that_waits_gives_place_only_to_another_by_hand(qtbot, latest):
    first = Asked("first")
    latest.ask(first)
    for request in (
        Asked("following", by_hand=False),
        Asked("by hand"),
        Asked("following again", by_hand=False),
    ):
        request.gate.set()
        latest.ask(request)
    first.gate.set()
    settle(qtbot, latest)
    assert [name for name, _ in latest.delivered] == ["first", "by hand"]


def test_a_cancel_stops_the_present_work_and_forgets_what_waits(qtbot, latest):
    first, second = Asked("first"), Asked("second")
    latest.ask(first)
    latest.ask(second)
    latest.cancel()
    first.gate.set()
    settle(qtbot, latest)
    assert latest.delivered == []
    third = Asked("third")
    third.gate.set()
    latest.ask(third)
    settle(qtbot, latest)
    assert latest.delivered == [("third", "third done")]


def test_a_cancel_also_stops_a_result_that_is_on_its_way(qtbot, latest):
    request = Asked("first")
    request.gate.set()
    latest.ask(request)
    for thread in threading.enumerate():
        if thread.name.startswith("napari-subpixel"):
            thread.join(5)
    latest.cancel()
    settle(qtbot, latest)
    assert latest.delivered == []


def test_progress_is_shown_for_long_work_and_how_far_it_is_once_that_is_known(qtbot, latest):
    for yields, limits in (((None, 0.0, 7), (0, 0)), ((0.0, 0.25), (100, 25))):
        request = Asked("long", yields=yields)
        latest.ask(request)
        assert latest.progress.isHidden()
        qtbot.waitUntil(lambda: not latest.progress.isHidden())
        bar = latest.progress.bar
        assert latest.progress.text.text() == "doing long ..."
        assert bar.maximum() == limits[0]
        assert max(bar.value(), 0) == limits[1]
        request.gate.set()
        settle(qtbot, latest)
        assert latest.progress.isHidden()


def test_the_button_of_the_progress_cancels(qtbot, latest):
    request = Asked("long")
    latest.ask(request)
    qtbot.waitUntil(lambda: not latest.progress.isHidden())
    latest.progress.cancel.click()
    request.gate.set()
    settle(qtbot, latest)
    assert latest.delivered == []


def test_work_that_ends_soon_shows_no_progress(qtbot, latest, monkeypatch):
    latest._patience.setInterval(5_000)
    request = Asked("short")
    request.gate.set()
    latest.ask(request)
    settle(qtbot, latest)
    assert latest.progress.isHidden()
    assert not latest._patience.isActive()


def test_long_work_without_a_progress_row_is_delivered_too(qtbot, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_MS", 1)
    viewer, delivered = ViewerModel(), []
    panel = Panel(viewer)
    qtbot.addWidget(panel)
    latest, request = LatestWork(panel), Asked("long", yields=(None, 0.5))
    latest.returned.connect(lambda _, value: delivered.append(value))
    latest.ask(request)
    qtbot.wait(50)
    request.gate.set()
    settle(qtbot, latest)
    assert delivered == ["long done"]
    viewer.layers.clear()
