"""Settings of panels in a YAML file that the command line takes as well (`--settings`): a section for each command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_subpixel._util import records
from napari_subpixel.errors import InputError, shown
from napari_subpixel.widgets.controls.command_line import CommandLine
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.refusals import Refusal
from napari_subpixel.widgets.controls.saving import with_suffix
from napari_subpixel.widgets.controls.words import Words

#: Filter of the dialogs.
SETTINGS_FILTER = "Settings (*.yaml *.yml)"


class SettingsButtons(QWidget):
    """The buttons *Save settings...* and *Open settings...* of a panel.

    Parameters
    ----------
    command : str
        What the panel does on the command line: the section of the file.
    line : callable
        Returns the `CommandLine` of the panel as it is set now, or raises `InputError`.
    controls : callable
        Returns what sets each option of the command, by its name, in the order in which they are set. What sets one
        may raise `InputError` or `ValueError`, and then the panel stays as it is in this.
    said : Words
        Where the outcome is shown.
    refusal : Refusal
        Where it is shown that there is none.

    Attributes
    ----------
    opened : Signal(object)
        The options that a file has, by name, once the panel is set.
    """

    opened = Signal(object)

    def __init__(
        self,
        command: str,
        line: Callable[[], CommandLine],
        controls: Callable[[], Mapping[str, Callable[[Any], object]]],
        said: Words,
        refusal: Refusal,
    ) -> None:
        super().__init__()
        self._command, self._line, self._controls, self._said, self._refusal = command, line, controls, said, refusal
        self.save_button, self.open_button = QPushButton("Save settings..."), QPushButton("Open settings...")
        self.save_button.setToolTip("Write these settings to a file, which the command line takes, too")
        self.open_button.setToolTip("Set this panel as a file of settings says")
        self.save_button.clicked.connect(self.ask_and_save)
        self.open_button.clicked.connect(self.ask_and_open)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.save_button)
        row.addWidget(self.open_button)

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the settings to it."""
        with self._refusal.shown(lambda _: None):
            files = self._line().files
            source = files[0].path if files and not files[0].first else None
            name = f"{Path(source).name.partition('.')[0]} settings.yaml" if source else "settings.yaml"
            path, _ = QFileDialog.getSaveFileName(self, "Save settings", results_path(name, source), SETTINGS_FILTER)
            if path:
                self.save(with_suffix(path, ".yaml"))

    def ask_and_open(self) -> None:
        """Ask for a file, and set the panel as it says."""
        path, _ = QFileDialog.getOpenFileName(self, "Open settings", results_path(""), SETTINGS_FILTER)
        if path:
            self.open(Path(path))

    def save(self, path: Path) -> None:
        """Write the settings to a file; sections of other commands in it are kept."""
        with self._refusal.shown(lambda _: None):
            line = self._line()
            records.write_section(path, line.command, line.settings)
            self._say(f"Saved {path.name}.")

    def open(self, path: Path) -> None:
        """Set the panel as a file says, and show what of it the panel could not take over."""
        with self._refusal.shown(lambda _: None):
            given = {name.replace("-", "_"): value for name, value in records.read_section(path, self._command).items()}
            controls = self._controls()
            taken, left = [], [name for name in given if name not in controls]
            for name in (name for name in controls if name in given):
                try:
                    controls[name](given[name])
                    taken.append(name)
                except InputError as error:
                    left.append(f"{name} ({error})")
                except (LookupError, ValueError, TypeError):
                    left.append(f"{name} ({shown(given[name])})")
            words = f"Set as in {path.name}: {', '.join(taken) or 'nothing'}."
            self.opened.emit(given)
            self._say(words + (f" Not taken over: {', '.join(left)}." if left else ""))

    def _say(self, words: str) -> None:
        self._said.setText(words)
        self._said.show()
