"""What a file is, in words, where it is not what was expected: by how it begins."""

from __future__ import annotations

import re
from pathlib import Path

from napari_subpixel._util.files import first_bytes

#: How files begin, and what those are.
STARTS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"II+\0": "a TIFF image",
    b"MM\0+": "a TIFF image",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a parquet table",
    b"MATLAB": "a MATLAB file",
    b"PK\x03\x04": "a zip archive",
}
#: Text, as a table may be.
TEXT = re.compile(rb"[\t\r\n\x20-\x7e]+")


def what_is(path: str | Path) -> str:
    """Return what a file or folder is, in words.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If it is missing or empty.
    """
    if Path(path).is_dir():
        return "a folder"
    head = first_bytes(path)
    known = next((what for start, what in STARTS.items() if head.startswith(start)), None)
    if known is not None:
        return known
    return f"text, {head.decode()!r}..." if TEXT.fullmatch(head) else f"a file that begins with {head[:12]!r}"
