"""What the tests of the widgets share: what the user was told, and that no thread is left behind."""

from __future__ import annotations

import threading

import pytest
from napari.utils.notifications import notification_manager

from napari_subpixel.widgets.background.worker import Work


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not Work.running
    names = ("napari-subpixel", "read-ahead")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(names)]


@pytest.fixture
def shown():
    """Return a function that gives what the user was told since the test began, as (severity, message)."""
    before = len(notification_manager.records)
    return lambda: [(n.severity.name, str(n.message)) for n in notification_manager.records[before:]]
