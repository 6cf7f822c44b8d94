"""A histogram of one quantity with two handles: what lies between them is kept."""

from __future__ import annotations

import math

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_subpixel.analysis.histograms import Histogram
from napari_subpixel.widgets.controls.words import background_now, contrast

#: Height of the bars, in screen pixels.
BARS_PX = 36
#: Height of the grips under them, in screen pixels.
GRIPS_PX = 9
#: Room at both sides for the grips, in screen pixels.
MARGIN_PX = 6
#: What the bars of rows that are not kept have of their opacity.
HIDDEN_ALPHA = 70
#: Colour of the bars, legible on dark and on light.
BAR_COLOUR = "#3d9be9"
#: A handle moves in steps of a power of ten, of at most this share of the range.
STEP_SHARE = 0.01
#: The lower handle.
LOW = 0
#: The upper handle.
HIGH = 1


class HistogramBar(QWidget):
    """A histogram with a handle for the lowest and one for the highest value that is kept.

    A handle at the end of its way leaves that end open.

    Attributes
    ----------
    moved : Signal(int, object)
        The user moves a handle, `LOW` or `HIGH`, to a value; None where it leaves its end open.
    """

    moved = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self.histogram: Histogram | None = None
        self._ends: list[float | None] = [None, None]
        self._dragged: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def show_histogram(self, histogram: Histogram | None) -> None:
        """Show these bars."""
        self.histogram = histogram
        self.update()

    def show_ends(self, low: float | None, high: float | None) -> None:
        """Move the handles."""
        if self._ends != [low, high]:
            self._ends = [low, high]
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the height of bars and grips; any width will do."""
        return QSize(120, BARS_PX + GRIPS_PX)

    # -- values and places --------------------------------------------------------------------------------------------

    def place_of(self, end: int) -> float:
        """Return where a handle is, in pixels of the widget."""
        value = self._ends[end]
        if value is None or self.histogram is None:
            return MARGIN_PX if end == LOW else self.width() - MARGIN_PX
        share = (value - self.histogram.low) / (self.histogram.high - self.histogram.low)
        return MARGIN_PX + min(max(share, 0.0), 1.0) * self._room

    def value_at(self, end: int, place: float) -> float | None:
        """Return the value of a handle at a place, rounded as people do; None at the end of its way."""
        histogram = self.histogram
        share = (place - MARGIN_PX) / self._room
        if histogram is None or (share <= 0 if end == LOW else share >= 1):
            return None
        span = histogram.high - histogram.low
        step = 10.0 ** math.floor(math.log10(span * STEP_SHARE))
        if histogram.whole:
            step = max(step, 1.0)
        value = histogram.low + min(max(share, 0.0), 1.0) * span
        return float(f"{round(value / step) * step:.12g}")

    @property
    def _room(self) -> float:
        return max(self.width() - 2 * MARGIN_PX, 1)

    # -- the mouse ----------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Take hold of the nearer handle, and move it to the place."""
        if event.button() == Qt.MouseButton.LeftButton and self.histogram is not None:
            x = event.position().x()
            low, high = self.place_of(LOW), self.place_of(HIGH)
            self._dragged = LOW if abs(x - low) < abs(x - high) or (low == high and x < low) else HIGH
            self._drag_to(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Move the handle that is held; say where the mouse is."""
        if self._dragged is not None:
            self._drag_to(event.position().x())
        elif self.histogram is not None:
            self.setToolTip(self._words())

    def mouseReleaseEvent(self, _: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Let go of the handle."""
        self._dragged = None

    def _drag_to(self, place: float) -> None:
        """Move the held handle, but not beyond the other one."""
        assert self._dragged is not None
        end, other = self._dragged, self._ends[1 - self._dragged]
        value = self.value_at(end, place)
        if value is not None and other is not None:
            value = min(value, other) if end == LOW else max(value, other)
        if value != self._ends[end]:
            self._ends[end] = value
            self.update()
            self.moved.emit(end, value)

    def _words(self) -> str:
        assert self.histogram is not None
        n, least, greatest = int(self.histogram.counts.sum()), self.histogram.least, self.histogram.greatest
        return f"{n:,} values from {least:.6g} to {greatest:.6g}. Drag the handles; at its end a handle keeps all"

    # -- drawing ------------------------------------------------------------------------------------------------------

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the bars, those of rows that are not kept pale, and the handles."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        background = background_now()
        line = QColor(max(("#ffffff", "#000000"), key=lambda colour: contrast(colour, background)))
        if self.histogram is not None:
            self._draw_bars(painter)
        faint = QColor(line)
        faint.setAlpha(HIDDEN_ALPHA)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(QPointF(MARGIN_PX, BARS_PX), QPointF(self.width() - MARGIN_PX, BARS_PX))
        for end in (LOW, HIGH):
            at = self.place_of(end)
            painter.setPen(QPen(line, 1.5))
            painter.drawLine(QPointF(at, 0), QPointF(at, BARS_PX))
            painter.setBrush(line)
            bottom = BARS_PX + GRIPS_PX - 1
            grip = [QPointF(at, BARS_PX), QPointF(at - 5, bottom), QPointF(at + 5, bottom)]
            painter.drawPolygon(QPolygonF(grip))
        painter.end()

    def _draw_bars(self, painter: QPainter) -> None:
        assert self.histogram is not None
        counts = self.histogram.counts
        heights = BARS_PX * np.sqrt(counts / max(int(counts.max(initial=0)), 1))  # rare ones are visible, too
        width = self._room / len(counts)
        low, high = self.place_of(LOW), self.place_of(HIGH)
        for number, height in enumerate(heights):
            left = MARGIN_PX + number * width
            colour = QColor(BAR_COLOUR)
            if not low <= left + width / 2 <= high:
                colour.setAlpha(HIDDEN_ALPHA)
            painter.fillRect(QRectF(left, BARS_PX - height, max(width - 0.5, 1.0), height), colour)
