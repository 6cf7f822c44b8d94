"""A step of the way to a result: a button that opens its panel, and how far it is."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_subpixel.widgets.layers.workflow import State

#: Signs of a step that is done, one that can be done, and one that needs something.
SIGNS = {"done": "\u2713", "possible": "\u25cb", "missing": "\u2013"}


class StepButton(QWidget):
    """A button with the name of a step and a sign, over a line that says what was done or what is missing.

    Attributes
    ----------
    button : QPushButton
    line : ShortLine
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.button, self.line = QPushButton(name), ShortLine()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(1)
        rows.addWidget(self.button)
        rows.addWidget(self.line)

    def show_state(self, state: State) -> None:
        """Show how far the step is."""
        kind = "done" if state.done else "possible" if state.is_possible else "missing"
        self.button.setText(f"{SIGNS[kind]} {self._name}")
        self.line.show_text(state.words)
        words = {"done": "done", "possible": "can be done now", "missing": "not yet"}[kind]
        about = f" ({state.words})" if state.words else ""
        self.button.setToolTip(f"Open the panel of this step. {words.capitalize()}{about}")


class ShortLine(QLabel):
    """A line in the middle that is as wide as there is room, its end left out where it is longer."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self.setAlignment(Qt.AlignmentFlag.AlignHCenter)

    def show_text(self, text: str) -> None:
        """Show a text; all of it is in the tooltip."""
        self._text = text
        self.setToolTip(text)
        self._fit()

    @property
    def full_text(self) -> str:
        """The text as it was given."""
        return self._text

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for no width."""
        return QSize(1, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for no width, so that all steps are as wide."""
        return QSize(1, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Show as much as there is room for."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width()))
