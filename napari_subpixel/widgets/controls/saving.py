"""File names that come from a dialog."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.errors import OutputExistsError


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
