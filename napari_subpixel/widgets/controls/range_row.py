"""The range of one quantity: two boxes over a histogram with two handles."""

from __future__ import annotations

import math

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from napari_subpixel.analysis.bounds import Bound, Bounds
from napari_subpixel.analysis.expressions import number_text
from napari_subpixel.analysis.histograms import Histogram
from napari_subpixel.widgets.controls.histogram_bar import HIGH, LOW, HistogramBar

#: Width of a box, in screen pixels.
BOX_PX = 62


class RangeRow(QWidget):
    """The lowest and the highest value of a quantity that is kept, to type and to drag.

    Parameters
    ----------
    name : str
        Of the quantity.
    unit : str
        Shown after it.

    Attributes
    ----------
    changed : Signal(str, object)
        The quantity, and its new bounds.
    closed : Signal(str)
        The quantity that is not to be shown any more.
    bar : HistogramBar
    boxes : tuple of QLineEdit
        Lowest and highest value; empty where the end is open.
    """

    changed = Signal(str, object)
    closed = Signal(str)

    def __init__(self, name: str, unit: str = "") -> None:
        super().__init__()
        self.name = name
        self.bounds: Bounds = (None, None)
        self.bar = HistogramBar()
        self.bar.moved.connect(self._set_end)
        self.boxes = QLineEdit(), QLineEdit()
        for end, what in ((LOW, "Lowest"), (HIGH, "Highest")):
            box = self.boxes[end]
            box.setFixedWidth(BOX_PX)
            box.setToolTip(f"{what} {name} that is kept; empty for all")
            box.editingFinished.connect(self._typed)
        self._label = QLabel(f"{name} [{unit}]" if unit else name)
        self._label.setMinimumWidth(1)
        close = QToolButton()
        close.setText("\u00d7")
        close.setAutoRaise(True)
        close.setToolTip(f"Remove {name} from the list, and its range from the filter")
        close.clicked.connect(lambda: self.closed.emit(self.name))
        top = QHBoxLayout()
        top.addWidget(self._label, stretch=1)
        top.addWidget(self.boxes[LOW])
        top.addWidget(QLabel("to"))
        top.addWidget(self.boxes[HIGH])
        top.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(top)
        column.addWidget(self.bar)

    def show_histogram(self, histogram: Histogram | None) -> None:
        """Show how often the quantity has which value, and its least and greatest value in the empty boxes."""
        self.bar.show_histogram(histogram)
        if histogram is not None and not math.isnan(histogram.least):
            for box, value in zip(self.boxes, (histogram.least, histogram.greatest), strict=True):
                box.setPlaceholderText(f"{value:.4g}")

    def show_bounds(self, bounds: Bounds) -> None:
        """Show bounds that were set elsewhere."""
        self.bounds = bounds
        self.bar.show_ends(*(None if end is None else end.value for end in bounds))
        for box, end in zip(self.boxes, bounds, strict=True):
            text = "" if end is None else number_text(end.value)
            if box.text() != text:
                box.setText(text)

    def _set_end(self, end: int, value: float | None) -> None:
        bounds = list(self.bounds)
        bounds[end] = None if value is None else Bound(value)
        self.show_bounds((bounds[LOW], bounds[HIGH]))
        self.changed.emit(self.name, self.bounds)

    def _typed(self) -> None:
        """Take over what was typed; what is no number is put back."""
        for end, box in enumerate(self.boxes):
            before = self.bounds[end]
            text = box.text().strip()
            try:
                value = float(text) if text else None
            except ValueError:
                value = math.nan
            if value is not None and not math.isfinite(value):
                self.show_bounds(self.bounds)
            elif value != (None if before is None else before.value):
                self._set_end(end, value)
