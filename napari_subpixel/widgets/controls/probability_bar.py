"""How many molecules there are of each probability, in the colours of their markers, with the threshold."""

from __future__ import annotations

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_subpixel.widgets.controls.words import background_now, contrast
from napari_subpixel.widgets.layers.points import COLORMAP, COLORMAP_LIMITS

#: Bars from 0 to 1.
N_BARS = 50
#: Of a longer table so many molecules are counted, evenly over all of it.
MOST_COUNTED = 1_000_000
#: Height of the bars, in screen pixels.
BARS_PX = 34
#: Height of the bar of colours under them, in screen pixels.
COLOURS_PX = 7
#: What hidden molecules' bars keep of their opacity.
HIDDEN_ALPHA = 70


class ProbabilityBar(QWidget):
    """A histogram of probabilities over a bar of the colours of the markers, with a line at the threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: NDArray[np.int64] = np.zeros(N_BARS, np.int64)
        self._threshold = 0.0
        self._counted: object = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Molecules by probability, from 0 to 1, in the colours of their markers; those below the threshold are pale"
        )
        self.hide()

    def show_probabilities(self, probabilities: NDArray[np.floating] | None) -> None:
        """Show the histogram of these; nothing if there are none.

        Parameters
        ----------
        probabilities : ndarray, shape (N,), optional
        """
        if probabilities is not None and probabilities is self._counted:
            return
        self._counted = probabilities
        some = np.empty(0) if probabilities is None else probabilities[:: max(1, len(probabilities) // MOST_COUNTED)]
        bars = np.clip((some * N_BARS).astype(np.int64), 0, N_BARS - 1)
        self.counts = np.bincount(bars, minlength=N_BARS)
        self.setVisible(bool(len(some)))
        self.update()

    def show_threshold(self, threshold: float) -> None:
        """Move the line."""
        self._threshold = threshold
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the height of the bars; any width will do."""
        return QSize(120, BARS_PX + COLOURS_PX + 3)

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the bars, the colours under them and the threshold."""
        painter = QPainter(self)
        width = self.width() / N_BARS
        highest = float(np.sqrt(self.counts.max())) or 1.0  # square roots: rare ones are visible, too
        for number, colour in enumerate(bar_colours()):
            top, left = BARS_PX * (1 - float(np.sqrt(self.counts[number])) / highest), number * width
            painter.fillRect(QRectF(left, BARS_PX + 2, width + 0.5, COLOURS_PX), colour)
            shade = QColor(colour)
            if (number + 1) / N_BARS <= self._threshold:
                shade.setAlpha(HIDDEN_ALPHA)
            painter.fillRect(QRectF(left, top, max(width - 1, 1), BARS_PX - top), shade)
        background = background_now()
        line = max(("#ffffff", "#000000"), key=lambda colour: contrast(colour, background))
        painter.setPen(QPen(QColor(line), 1.5, Qt.PenStyle.SolidLine))
        at = round(self._threshold * self.width())
        painter.drawLine(at, 0, at, self.height())
        painter.end()


def bar_colours() -> list[QColor]:
    """Return the colours of the bars, which are those of the markers of these probabilities."""
    low, high = COLORMAP_LIMITS
    middles = (np.arange(N_BARS) + 0.5) / N_BARS
    colours = ensure_colormap(COLORMAP).map((middles - low) / (high - low))
    return [QColor.fromRgbF(*(float(channel) for channel in colour[:3])) for colour in colours]
