"""A button that copies what a panel does as a line for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_subpixel._util.command_text import command_text
from napari_subpixel.widgets.controls.refusals import Refusal
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.files import LayerFile

#: Options that belong to one run and are no settings.
NO_SETTINGS = ("output", "overwrite", "resume", "follow")


class CommandLine(NamedTuple):
    """What a panel does, as a call of the command line.

    Attributes
    ----------
    command : str
    files : tuple of LayerFile
        Its positional arguments, with the flags that reading them takes.
    flags : dict
        The settings of the panel, by the names of the fields.
    first : str
        What to save first besides, where a flag names a file that is not there.
    """

    command: str
    files: tuple[LayerFile, ...]
    flags: dict[str, Any]
    first: str = ""

    @property
    def text(self) -> str:
        """The line, with a comment on what is to be saved first."""
        first = "; ".join(filter(None, (*(file.first for file in self.files), self.first)))
        files = [file.path for file in self.files]
        return command_text(self.command, files, self._options, f"first {first}" if first else "")

    @property
    def settings(self) -> dict[str, Any]:
        """The options that a file of settings keeps, as plain numbers, texts and lists."""
        return {
            name.replace("_", "-"): _plain(value)
            for name, value in self._options.items()
            if value is not None and value is not False and name not in NO_SETTINGS
        }

    @property
    def _options(self) -> dict[str, Any]:
        flags: dict[str, Any] = {}
        for file in self.files:
            flags |= file.flags
        return flags | self.flags


def _plain(value: Any) -> Any:
    """Return a value as the command line reads it from a file."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, bool | int | float | str) else str(value)


class CommandLineRow(QWidget):
    """The button *Copy as command line*, and the line that was copied.

    Parameters
    ----------
    line : callable
        Returns the `CommandLine` of a panel as it is set now, or raises `InputError`.

    Attributes
    ----------
    button : QPushButton
    copied : Words
        Hidden until something is copied.
    refusal : Refusal
        Why there is no such line.
    """

    def __init__(self, line: Callable[[], CommandLine]) -> None:
        super().__init__()
        self._line = line
        self.button = QPushButton("Copy as command line")
        self.button.setToolTip("Copy a line for a terminal that does the same with these settings")
        self.button.clicked.connect(self.copy)
        self.copied, self.refusal = Words(), Refusal()
        self.copied.setTextFormat(Qt.TextFormat.PlainText)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.copied, self.refusal):
            rows.addWidget(widget)
        self.copied.hide()

    def copy(self) -> None:
        """Put the line on the clipboard, and show it."""
        self.copied.hide()
        with self.refusal.shown(lambda _: None):
            text = self._line().text
            QGuiApplication.clipboard().setText(text)
            self.copied.setText(f"Copied: {text}")
            self.copied.show()
