"""Opening HDF5 files, with a clear message for those that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import first_bytes
from napari_subpixel.errors import InputError


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        If it is missing, empty, not HDF5, or damaged, also where that shows only while reading.
    """
    import h5py

    start = first_bytes(path, 8)
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file; its first bytes are {start!r}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: a damaged HDF5 file: {' '.join(str(error).split())}") from None
