"""Waiting for a thread: its answer or its error, and no input to any window meanwhile."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_subpixel.errors import InputError
from napari_subpixel.widgets.background import waiting
from napari_subpixel.widgets.background.waiting import waited_for


def test_what_it_returns_is_returned_and_its_error_raised(qapp):
    def refuse():
        raise InputError("no")

    assert waited_for("Reading ...", threading.current_thread) is not threading.main_thread()
    with pytest.raises(InputError, match="no"):
        waited_for("Reading ...", refuse)


@pytest.mark.parametrize("patience_ms", [0, 10**6], ids=["with its dialog", "before its dialog"])
def test_nothing_else_begins_meanwhile(qtbot, monkeypatch, patience_ms):
    monkeypatch.setattr(waiting, "PATIENCE_MS", patience_ms)
    clicks, seen, go_on = [], [], threading.Event()
    button = QPushButton("Detect")
    button.clicked.connect(lambda: clicks.append("click"))
    button.setShortcut("Ctrl+D")
    qtbot.addWidget(button)
    with qtbot.waitExposed(button):
        button.show()

    def use():
        dialogs = [w for w in QApplication.topLevelWidgets() if isinstance(w, QProgressDialog) and w.isVisible()]
        if not patience_ms and not dialogs:
            return  # not yet
        timer.stop()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        qtbot.keyClick(button, Qt.Key.Key_Space)
        qtbot.keyClick(button, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
        for dialog in dialogs:
            qtbot.keyClick(dialog, Qt.Key.Key_Escape)
            seen.append(dialog.isVisible())
        go_on.set()

    timer = QTimer()
    timer.timeout.connect(use)
    timer.start(5)
    assert waited_for("Reading ...", go_on.wait, 30.0)
    assert clicks == []
    assert seen == ([] if patience_ms else [True])
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clicks == ["click"]
