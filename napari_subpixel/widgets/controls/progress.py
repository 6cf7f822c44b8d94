"""Progress of work: a bar, the rate, the time left, and a button that stops it."""

from __future__ import annotations

import time

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_subpixel.widgets.controls.words import Words


class ProgressRow(QWidget):
    """A progress bar with a line of text and a *Cancel* button; hidden until work begins.

    Attributes
    ----------
    cancel_clicked : Signal()
        The user asked to stop the work.
    began : Signal(int)
        The bar is at 0 of so much.
    moved : Signal(int)
        So much is done.
    ended : Signal()
        The work is over.
    """

    cancel_clicked = Signal()
    began = Signal(int)
    moved = Signal(int)
    ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after the current frames; what was detected so far is kept")
        self.cancel.clicked.connect(self.stop)
        self.text = Words()
        row = QHBoxLayout()
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.text)
        self._unit, self._began = "", 0.0
        self.hide()

    def begin(self, total: int, unit: str, text: str) -> None:
        """Show the bar at 0 of `total`.

        Parameters
        ----------
        total : int
            How much there is to do; 0 shows that work is under way, but not how far it is.
        unit : str
            What is counted, for the rate; no rate is shown if empty.
        text : str
            Shown below the bar.
        """
        self.bar.setRange(0, total)
        self.bar.setValue(0)
        self.cancel.setEnabled(True)
        self._unit, self._began = unit, time.perf_counter()
        self.text.setText(text)
        self.show()
        self.began.emit(total)

    def restart(self) -> None:
        """Count the time from now on: what came before was preparation."""
        self._began = time.perf_counter()

    def update_to(self, done: int, text: str = "") -> None:
        """Show how much is done, how fast, and the time left."""
        seconds = time.perf_counter() - self._began
        self.bar.setValue(done)
        rate = done / seconds if seconds > 0 else 0.0
        left = (self.bar.maximum() - done) / rate if rate > 0 else 0.0
        parts = [text]
        if self._unit:
            parts.append(f"{rate:,.0f} {self._unit}/s" if rate >= 10 else f"{rate:.1f} {self._unit}/s")
        if left >= 1:
            parts.append(f"{duration(left)} left")
        self.text.setText(", ".join(part for part in parts if part))
        self.moved.emit(done)

    def extend(self, total: int) -> None:
        """Show that there is so much to do by now."""
        done = self.bar.value()
        self.bar.setRange(0, total)
        self.began.emit(total)
        self.moved.emit(done)

    def end(self) -> None:
        """Hide the bar: the work is over."""
        self.hide()
        self.ended.emit()

    def stop(self) -> None:
        """Ask to stop the work."""
        self.cancel.setEnabled(False)
        self.text.setText("stopping ...")
        self.cancel_clicked.emit()


def duration(seconds: float) -> str:
    """Return a duration as text.

    Examples
    --------
    >>> duration(7.4), duration(75), duration(7300)
    ('7 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
