"""A range to type: its lowest and its highest value, both or neither."""

from __future__ import annotations

import math

from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QWidget

from napari_subpixel.errors import InputError


class SpanEdit(QWidget):
    """Two boxes for the ends of a range; where they are empty they show what counts then.

    Parameters
    ----------
    name : str
        Of the quantity, for messages.
    tooltip : str

    Attributes
    ----------
    boxes : tuple of QLineEdit
        For the lowest and the highest value.
    """

    def __init__(self, name: str, tooltip: str) -> None:
        super().__init__()
        self._name = name
        self.boxes = QLineEdit(), QLineEdit()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for box in self.boxes:
            box.setToolTip(tooltip)
            box.setMinimumWidth(40)
        row.addWidget(self.boxes[0], stretch=1)
        row.addWidget(QLabel("to"))
        row.addWidget(self.boxes[1], stretch=1)

    @property
    def span(self) -> tuple[float, float] | None:
        """The range, None where nothing is typed.

        Raises
        ------
        InputError
            If one end is missing, is no number or negative, or the range goes down.
        """
        texts = [box.text().strip() for box in self.boxes]
        if not any(texts):
            return None
        try:
            low, high = (float(text) for text in texts)
        except ValueError:
            raise InputError(
                f"{self._name}: expected two numbers, or none, got {' to '.join(map(repr, texts))}"
            ) from None
        if not 0 <= low <= high < math.inf:
            raise InputError(
                f"{self._name}: a range goes up from a number that is not negative, got {low:g} to {high:g}"
            )
        return low, high

    def show_default(self, span: tuple[float, float] | None, words: str = "") -> None:
        """Show in empty boxes what counts where nothing is typed: a range, or words."""
        texts = (words, words) if span is None else tuple(f"{end:.3g}" for end in span)
        for box, text in zip(self.boxes, texts, strict=True):
            box.setPlaceholderText(text)
