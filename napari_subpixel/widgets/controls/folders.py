"""Folders to choose or to type."""

from __future__ import annotations

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit


def folder_edit(label: str, tooltip: str) -> FileEdit:
    """Return a line for a folder, with a button that opens the dialog."""
    edit = FileEdit(label=label, mode=FileDialogMode.EXISTING_DIRECTORY, tooltip=tooltip)
    edit.line_edit.tooltip = tooltip
    edit.choose_btn.text, edit.choose_btn.tooltip = "Choose...", tooltip
    return edit


def typed_in(edit: FileEdit) -> str:
    """Return what is typed in a line, without spaces and quotes around it."""
    return str(edit.line_edit.value).strip().strip('"')
