"""Tables written in the background."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations

#: Filter of the dialog for files.
TABLE_FILTER = ";;".join(f"{f.title} ({' '.join('*' + s for s in f.suffixes)})" for f in formats.FORMATS.values())


def write_table(table: Callable[[], Localizations], path: Path) -> Generator[None, None, Path]:
    """Write a table, and return the path; it takes the place of a file, about which the dialog has asked.

    Parameters
    ----------
    table : callable
        Makes it.
    path : Path
        Its suffix names the format.

    Raises
    ------
    InputError
        If the format cannot hold the table, or the file cannot be written.
    """
    yield
    formats.write(path, table(), overwrite=True)
    return path
