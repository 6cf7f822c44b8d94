"""The name of a file that a dialog gave."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.errors import OutputExistsError


def named(path: str | Path, suffix: str) -> Path:
    """Return a path that a dialog gave, with this suffix where it has none.

    Raises
    ------
    InputError
        If that is the name of a file: the dialog has asked about the name it was given, and knows of no other.
    """
    chosen = Path(path)
    path = chosen if chosen.suffix else chosen.with_suffix(suffix)
    if path != chosen and path.exists():
        raise OutputExistsError(f"{path}: exists already", path)
    return path
