"""Names of files to save to, which come from a dialog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_subpixel.errors import OutputExistsError


def ask_and_save(parent: QWidget, title: str, name: str, kinds: str, save: Callable[[str], object]) -> None:
    """Ask for the name of a file and save to it, unless the user cancels.

    Parameters
    ----------
    parent : QWidget
        What the dialog is in front of.
    title, name : str
        Of the dialog; and of the file, unless another is chosen.
    kinds : str
        The kinds of files, as Qt writes them: ``"csv (*.csv);;JSON (*.json)"``.
    save : callable
        Takes the path.
    """
    path, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
    if path:
        save(path)


def with_suffix(path: str | Path, suffix: str) -> Path:
    """Return the path from a dialog, with this suffix if it has none.

    Raises
    ------
    InputError
        If a file with the added suffix exists: the dialog asked only about the name as it was typed.
    """
    chosen = Path(path)
    path = chosen if chosen.suffix else chosen.with_suffix(suffix)
    if path != chosen and path.exists():
        raise OutputExistsError(f"{path}: exists already", path)
    return path
