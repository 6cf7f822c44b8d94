"""Work in the background: delivered in order on the viewer's thread, stopped, warned about, and gone at the end."""

from __future__ import annotations

import gc
import threading
import time
import warnings
import weakref

import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.widgets.background.worker import Work, WorkGroup


class Log(list):
    """Everything that a piece of work signals, in order, and the threads on which it did."""

    def __init__(self, work):
        super().__init__()
        self.threads = set()
        for name in ("yielded", "returned", "failed", "cancelled", "finished"):
            getattr(work, name).connect(lambda *value, name=name: self.note(name, *value))

    def note(self, name, *value):
        self.append((name, *value))
        self.threads.add(threading.current_thread())


def run(qtbot, function, *arguments):
    work = Work(function, *arguments)
    log = Log(work)
    with qtbot.waitSignal(work.finished, timeout=5000):
        work.start()
    return log


def endless(closed):
    try:
        number = 0
        while True:
            yield number
            number += 1
            time.sleep(0.01)
    finally:
        closed.append(threading.current_thread())


def test_values_arrive_in_order_on_the_thread_of_the_viewer(qtbot):
    def count(n):
        assert threading.current_thread() is not threading.main_thread()
        yield from range(n)
        return "end"

    log = run(qtbot, count, 3)
    assert log == [("yielded", 0), ("yielded", 1), ("yielded", 2), ("returned", "end"), ("finished",)]
    assert log.threads == {threading.main_thread()}


def test_cancelled_work_keeps_what_it_yielded_and_is_closed_on_its_own_thread(qtbot):
    closed = []
    work = Work(endless, closed)
    log = Log(work)
    with qtbot.waitSignal(work.yielded):
        work.start()
    with qtbot.waitSignal(work.finished, timeout=5000):
        work.cancel()
    assert [name for name, *_ in log[-2:]] == ["cancelled", "finished"]
    assert [value for name, *value in log[:-2]] == [[number] for number in range(len(log) - 2)]
    assert closed
    assert closed[0] is not threading.main_thread()


def test_abandoned_work_has_ended_and_says_nothing_more(qtbot):
    closed = []
    work = Work(endless, closed)
    with qtbot.waitSignal(work.yielded):
        work.start()
    log = Log(work)
    work.abandon()
    assert closed
    qtbot.wait(50)
    assert log == []


def test_a_refusal_is_shown_in_words(qtbot, shown):
    def refuse():
        yield 1
        raise InputError("movie.tif: the file is empty (0 bytes)")

    log = run(qtbot, refuse)
    assert [name for name, *_ in log] == ["yielded", "failed", "finished"]
    assert shown() == [("ERROR", "movie.tif: the file is empty (0 bytes)")]


def test_a_fault_of_the_program_is_shown_with_its_type(qtbot, shown):
    def fail():
        yield 1 / 0

    log = run(qtbot, fail)
    assert isinstance(log[0][1], ZeroDivisionError)
    assert shown()[0][0] == "ERROR"


@pytest.mark.filterwarnings("always")
def test_a_warning_becomes_one_notification_and_freezes_nothing(qtbot, shown):
    def warn():
        for number in range(20):
            warnings.warn("careful", UserWarning, stacklevel=1)
            yield number

    log = run(qtbot, warn)
    assert len(log) == 22
    assert shown() == [("WARNING", "careful")]


@pytest.mark.filterwarnings("always")
def test_a_warning_of_a_thread_that_the_work_started_reaches_the_user_too(qtbot, shown):
    def read_ahead():
        thread = threading.Thread(target=lambda: warnings.warn("from below", UserWarning, stacklevel=1))
        thread.start()
        thread.join()
        yield

    run(qtbot, read_ahead)
    assert shown() == [("WARNING", "from below")]


def test_works_that_overlap_leave_the_hook_of_warnings_as_it_was(qtbot):
    before = warnings.showwarning
    first, second = Work(endless, []), Work(endless, [])
    for work in (first, second):
        with qtbot.waitSignal(work.yielded):
            work.start()
    for work in (first, second):
        with qtbot.waitSignal(work.finished, timeout=5000):
            work.cancel()
    assert warnings.showwarning is before


@pytest.mark.filterwarnings("always")
def test_warnings_of_the_viewers_own_thread_go_where_they_went_before(qtbot, recwarn):
    work = Work(endless, [])
    with qtbot.waitSignal(work.yielded):
        work.start()
    warnings.warn("mine", UserWarning, stacklevel=1)
    with qtbot.waitSignal(work.finished, timeout=5000):
        work.cancel()
    assert [str(w.message) for w in recwarn] == ["mine"]


def test_work_that_was_abandoned_is_kept_by_nothing(qtbot):
    group, closed = WorkGroup(), []
    work = group.begin(Work(endless, closed))
    reference = weakref.ref(work)
    del work
    group.abandon()
    gc.collect()
    assert closed
    assert reference() is None
