"""Why something cannot be done, at the place where it was asked for, with a button that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.controls.messages import REFUSALS, report
from napari_subpixel.widgets.controls.words import Colour, Words


class Refusal(QWidget):
    """A reason in colour, and a button for what cures it; hidden while there is none.

    Attributes
    ----------
    words : Words
    button : QPushButton
    """

    def __init__(self) -> None:
        super().__init__()
        self._cure: Callable[[], object] | None = None
        self.words = Words(colour=Colour.REFUSAL)
        self.button = QPushButton()
        self.button.clicked.connect(self._clicked)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.words)
        rows.addWidget(self.button)
        self.clear()

    def say(self, reason: str, cure: tuple[str, Callable[[], object]] | None = None) -> None:
        """Show a reason, and a button with this text that calls a function, if there is one."""
        self.words.setText(reason)
        self._cure = cure[1] if cure is not None else None
        self.button.setText(cure[0] if cure is not None else "")
        self.button.setVisible(cure is not None)
        self.setVisible(bool(reason))

    def clear(self) -> None:
        """Show nothing."""
        self.say("")

    @contextmanager
    def shown(
        self, cure_of: Callable[[BaseException], tuple[str, Callable[[], object]] | None], widget: str = ""
    ) -> Iterator[None]:
        """Show a refusal that is raised in the block, with a widget's advice and its cure, and continue after it.

        A program's error is reported as everywhere.
        """
        self.clear()
        try:
            yield
        except REFUSALS as error:
            self.say(reason_first(error, widget), cure_of(error))
            report(error, widget)

    def _clicked(self) -> None:
        if self._cure is not None:
            self._cure()


def reason_first(error: BaseException, widget: str = "") -> str:
    """Return what is wrong and what to do about it in a widget, and then of what it is said.

    Examples
    --------
    >>> reason_first(ValueError("found.csv: exists already"))
    'exists already (found.csv)'
    """
    message = advised(error, widget)
    name, colon, reason = message.partition(": ")
    return f"{reason} ({name})" if colon and "," not in name else message
