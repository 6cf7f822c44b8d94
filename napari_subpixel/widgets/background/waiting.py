"""A result to wait for while the window stays alive: for what napari calls and expects an answer of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from qtpy.QtCore import QEvent, QEventLoop, QObject, Qt, Signal
from qtpy.QtWidgets import QApplication, QProgressDialog

#: What is waited for is named once it takes longer than this, in milliseconds.
PATIENCE_MS = 400

#: What the user does that could begin something; what was pressed before is still released.
INPUT = frozenset(
    {
        QEvent.Type.MouseButtonPress,
        QEvent.Type.MouseButtonDblClick,
        QEvent.Type.Wheel,
        QEvent.Type.KeyPress,
        QEvent.Type.ShortcutOverride,
        QEvent.Type.Shortcut,
        QEvent.Type.ContextMenu,
        QEvent.Type.TouchBegin,
        QEvent.Type.TabletPress,
        QEvent.Type.NativeGesture,
        QEvent.Type.DragEnter,
        QEvent.Type.Drop,
    }
)

T = TypeVar("T")


class _Answer(QObject):
    """Signals that the answer is there."""

    there = Signal()


class _NoInput(QObject):
    """Drops the input to all windows; the dialog, which appears late, holds up nothing until it does."""

    def eventFilter(self, _: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 -- Qt's
        """Say whether an event is dropped."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Close and event.spontaneous():  # by the user, not by the program
            event.ignore()
            return True
        return event.type() in INPUT


def waited_for(words: str, function: Callable[..., T], *arguments: object) -> T:
    """Call a function on a thread of its own, and return what it returns or raise what it raises.

    The window is drawn meanwhile, and says what it waits for; it takes no input, so that nothing else begins.

    Parameters
    ----------
    words : str
        What is being done.
    function : callable
        Must touch neither layers nor widgets.
    *arguments
        Its arguments.
    """
    app = QApplication.instance()
    if app is None or threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    answer = _Answer()
    values: list[T] = []
    errors: list[BaseException] = []
    loop = QEventLoop()
    answer.there.connect(loop.quit, Qt.ConnectionType.QueuedConnection)

    def run() -> None:
        try:
            values.append(function(*arguments))
        except BaseException as error:  # raised by the thread that waits
            errors.append(error)
        answer.there.emit()

    dialog = _dialog(words)
    thread = threading.Thread(target=run, name="napari-subpixel-waiting", daemon=True)
    no_input = _NoInput()
    app.installEventFilter(no_input)
    thread.start()
    try:
        loop.exec()
    finally:
        app.removeEventFilter(no_input)
    thread.join()
    dialog.reset()
    dialog.deleteLater()
    for error in errors:
        raise error
    return values[0]


def _dialog(words: str) -> QProgressDialog:
    """Return a dialog that appears if it takes long, over the active window."""
    dialog = QProgressDialog(words, "", 0, 0, QApplication.activeWindow())
    dialog.setCancelButton(None)
    dialog.setWindowTitle("Subpixel")
    dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
    dialog.setMinimumDuration(PATIENCE_MS)
    dialog.setValue(0)
    return dialog
