"""A plot in a panel, in colours that are legible on its theme."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_subpixel.reports.charts import (
    BLUE,
    GREEN,
    GREY,
    VERMILION,
    Bars,
    Chart,
    Line,
    Mark,
    number_text,
    round_ticks,
    thinned,
)
from napari_subpixel.widgets.controls.words import background_now, contrast

#: Height of a plot, in screen pixels.
HEIGHT_PX = 210
#: Width that it asks for; any will do.
WIDTH_PX = 280
#: Room between what is written and what is drawn, in screen pixels.
GAP_PX = 4.0
#: Room right of the axes, for half of the last number.
RIGHT_PX = 12.0
#: Length of the line before a name in the legend, in screen pixels.
SWATCH_PX = 16.0
#: Opacity of bars, of 255.
BARS_ALPHA = 130
#: Opacity of a band, of 255.
BAND_ALPHA = 80
#: Opacity of the lines at the ticks, of 255.
GRID_ALPHA = 40
#: What is written is as large as the panel's text, times this.
TEXT_SCALE = 0.9
#: Colours of a plot, and the lighter ones that take their place on a dark background.
LIGHTER = {BLUE: "#56b4e9", VERMILION: "#ff8a3d", GREEN: "#5fd38d", GREY: "#b4bac0"}


class ChartView(QWidget):
    """Draws a `Chart`; hidden while it has none.

    Parameters
    ----------
    height : int
        In screen pixels.

    Attributes
    ----------
    chart : Chart, optional
    """

    def __init__(self, height: int = HEIGHT_PX) -> None:
        super().__init__()
        self._height = height
        self.chart: Chart | None = None
        self._area = QRectF()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.hide()

    def show_chart(self, chart: Chart | None) -> None:
        """Draw another plot; nothing if it is None."""
        self.chart = chart
        self.setAccessibleName(chart.title if chart is not None else "")
        self.setVisible(chart is not None)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the height of a plot; any width will do."""
        return QSize(WIDTH_PX, self._height)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's name)
        """Show the numbers under the cursor."""
        chart = self.chart
        if chart is None or not self._area.contains(event.position()):
            QToolTip.hideText()
            return
        (low, high), _ = chart.ranges
        x = low + (event.position().x() - self._area.left()) / self._area.width() * (high - low)
        QToolTip.showText(event.globalPosition().toPoint(), numbers_at(chart, x), self)

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw title, legend, axes and parts."""
        if self.chart is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = self.font()
        font.setPointSizeF(max(font.pointSizeF(), 1.0) * TEXT_SCALE)
        painter.setFont(font)
        self._area = _Drawing(painter, self.chart, self.width(), self.height()).draw()
        painter.end()


class _Drawing:
    """One plot on its way to the screen."""

    def __init__(self, painter: QPainter, chart: Chart, width: float, height: float) -> None:
        self._painter, self._chart = painter, chart
        self._width, self._height = width, height
        self._background = background_now()
        self._ink = QColor(max(("#f0f1f2", "#202124"), key=lambda ink: contrast(ink, self._background)))
        self._metrics = QFontMetricsF(painter.font())
        self._x, self._y = chart.ranges

    def draw(self) -> QRectF:
        """Draw it, and return where the axes are."""
        line = self._metrics.height()
        top = self._draw_head()
        numbers = [number_text(value) for value in round_ticks(*self._y)]
        left = max((self._metrics.horizontalAdvance(text) for text in numbers), default=0.0) + 2 * GAP_PX
        bottom = self._height - 2 * line - 2 * GAP_PX
        self._area = QRectF(left, top, max(self._width - left - RIGHT_PX, 1.0), max(bottom - top, 1.0))
        self._draw_ticks()
        self._painter.save()
        self._painter.setClipRect(self._area)
        for part in self._chart.parts:
            self._draw_part(part)
        self._painter.restore()
        self._painter.setPen(QPen(self._ink, 1.0))
        self._painter.drawPolyline([self._area.topLeft(), self._area.bottomLeft(), self._area.bottomRight()])
        return self._area

    def _draw_head(self) -> float:
        """Draw title, legend and the label of the y axis; return where the axes begin."""
        line, painter = self._metrics.height(), self._painter
        painter.setPen(self._ink)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        title = QFontMetricsF(font).elidedText(self._chart.title, Qt.TextElideMode.ElideRight, self._width)
        painter.drawText(QPointF(0, self._metrics.ascent()), title)
        font.setBold(False)
        painter.setFont(font)
        x, top = 0.0, line + GAP_PX
        named = [part for part in self._chart.parts if part.label]
        for part in named:
            wide = SWATCH_PX + GAP_PX + self._metrics.horizontalAdvance(part.label)
            if x > 0 and x + wide > self._width:
                x, top = 0.0, top + line
            self._draw_swatch(part, x, top + line / 2)
            painter.setPen(self._ink)
            painter.drawText(QPointF(x + SWATCH_PX + GAP_PX, top + self._metrics.ascent()), part.label)
            x += wide + 3 * GAP_PX
        top += line if named else 0.0
        if not self._chart.y_label:
            return top + 2 * GAP_PX
        painter.drawText(QPointF(0, top + GAP_PX + self._metrics.ascent()), self._chart.y_label)
        return top + line + 2 * GAP_PX

    def _draw_swatch(self, part: Any, x: float, y: float) -> None:
        if isinstance(part, Bars):
            self._painter.fillRect(QRectF(x, y - 4, SWATCH_PX, 8), self._colour(part.colour, BARS_ALPHA))
            return
        self._painter.setPen(self._pen(part))
        self._painter.drawLine(QPointF(x, y), QPointF(x + SWATCH_PX, y))

    def _draw_ticks(self) -> None:
        painter, area, line = self._painter, self._area, self._metrics.height()
        grid = QColor(self._ink)
        grid.setAlpha(GRID_ALPHA)
        free = 0.0  # where no number is written yet
        for value in round_ticks(*self._x):
            x, text = float(self._across(value)), number_text(value)
            wide = self._metrics.horizontalAdvance(text)
            painter.setPen(QPen(self._ink, 1.0))
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 3))
            if x - wide / 2 >= free and x + wide / 2 <= self._width:
                painter.drawText(QPointF(x - wide / 2, area.bottom() + GAP_PX + self._metrics.ascent()), text)
                free = x + wide / 2 + 2 * GAP_PX
        for value in round_ticks(*self._y):
            y, text = float(self._up(value)), number_text(value)
            painter.setPen(QPen(grid, 1.0))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QPen(self._ink, 1.0))
            x = area.left() - GAP_PX - self._metrics.horizontalAdvance(text)
            painter.drawText(QPointF(x, y + self._metrics.ascent() / 2 - 1), text)
        label = self._metrics.elidedText(self._chart.x_label, Qt.TextElideMode.ElideRight, self._width)
        wide = self._metrics.horizontalAdvance(label)
        x = min(max(area.center().x() - wide / 2, 0.0), self._width - wide)
        painter.drawText(QPointF(x, area.bottom() + GAP_PX + line + self._metrics.ascent()), label)

    def _draw_part(self, part: Any) -> None:
        if isinstance(part, Bars):
            self._draw_bars(part)
        elif isinstance(part, Mark):
            x = float(self._across(part.x))
            self._painter.setPen(self._pen(part))
            self._painter.drawLine(QPointF(x, self._area.top()), QPointF(x, self._area.bottom()))
        else:
            self._draw_line(part)

    def _draw_bars(self, part: Bars) -> None:
        across, up = self._across(part.edges), self._up(part.counts)
        bottom = float(self._up(max(self._y[0], 0.0)))
        colour = self._colour(part.colour, BARS_ALPHA)
        for left, right, y in zip(across[:-1], across[1:], up, strict=True):
            self._painter.fillRect(QRectF(float(left), float(y), float(right - left), bottom - float(y)), colour)

    def _draw_line(self, part: Line) -> None:
        keep = thinned(len(np.atleast_1d(np.asarray(part.x))))
        across = np.atleast_1d(self._across(part.x))[keep]
        if part.low is not None and part.high is not None:
            low, high = (np.atleast_1d(self._up(side))[keep] for side in (part.low, part.high))
            band = _path(np.concatenate([across, across[::-1]]), np.concatenate([high, low[::-1]]))
            self._painter.fillPath(band, self._colour(part.colour, BAND_ALPHA))
        self._painter.setPen(self._pen(part))
        self._painter.drawPath(_path(across, np.atleast_1d(self._up(part.y))[keep]))

    def _pen(self, part: Line | Mark) -> QPen:
        pen = QPen(self._colour(part.colour), getattr(part, "width", 1.4))
        if isinstance(part, Mark) or part.dash:
            pen.setStyle(Qt.PenStyle.DashLine)
        return pen

    def _colour(self, colour: str, alpha: int = 255) -> QColor:
        shown = QColor(max((colour, LIGHTER.get(colour, colour)), key=lambda c: contrast(c, self._background)))
        shown.setAlpha(alpha)
        return shown

    def _across(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self._x
        return self._area.left() + (np.asarray(values, np.float64) - low) / (high - low) * self._area.width()

    def _up(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self._y
        share = np.clip((np.asarray(values, np.float64) - low) / (high - low), -1.0, 2.0)
        return self._area.bottom() - share * self._area.height()


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> QPainterPath:
    path = QPainterPath()
    there = np.isfinite(x) & np.isfinite(y)
    for number, (a, b) in enumerate(zip(x[there].tolist(), y[there].tolist(), strict=True)):
        if number:
            path.lineTo(a, b)
        else:
            path.moveTo(a, b)
    return path


def numbers_at(chart: Chart, x: float) -> str:
    """Return the numbers of a plot's parts at a place along x, a line each.

    Parameters
    ----------
    chart : Chart
    x : float

    Examples
    --------
    >>> print(numbers_at(Chart("t", "frame", "nm", [Line([0, 1], [5, 7], label="y", low=[4, 6], high=[6, 8])]), 0.9))
    frame 1
    y 7 ± 1
    """
    lines: list[str] = []
    at = x
    for part in chart.parts:
        if isinstance(part, Line) and (np.size(part.x) > 2 or part.low is not None):  # else a level
            k = int(np.argmin(np.abs(np.asarray(part.x, np.float64) - x)))
            at = float(np.asarray(part.x)[k])
            error = "" if part.high is None else f" ± {np.asarray(part.high)[k] - np.asarray(part.y)[k]:.2g}"
            lines.append(f"{part.label} {np.asarray(part.y, np.float64)[k]:.4g}{error}")
        elif isinstance(part, Bars):
            edges = np.asarray(part.edges, np.float64)
            k = int(np.clip(np.searchsorted(edges, x) - 1, 0, len(edges) - 2))
            lines.append(f"{part.label or chart.y_label} {np.asarray(part.counts)[k]:,.4g}")
    return "\n".join([f"{chart.x_label} {at:.4g}", *lines])
