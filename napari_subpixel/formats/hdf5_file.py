"""Opening HDF5 files, with a clear word on those that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

    path = Path(path)
    _check_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: a damaged HDF5 file: {' '.join(str(error).split())}") from None


def _check_hdf5(path: Path) -> None:
    import h5py

    try:
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not start:
        raise InputError(f"{path}: the file is empty (0 bytes)")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file; its first bytes are {start!r}")
