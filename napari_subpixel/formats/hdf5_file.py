"""Opening HDF5 files, with a clear message for those that cannot be."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import first_bytes, reading
from napari_subpixel.errors import InputError

#: What a collection of texts of any length begins with: its signature and version, and three bytes of 0.
HEAP_START = b"GCOL\x01\0\0\0"
#: Bytes from the begin of such a collection to its first object: those above and the size of the whole.
HEAP_HEADER = 16
#: Bytes of an object's own header: number, references, four bytes of 0, size.
OBJECT_HEADER = 16
#: What HDF5 says of a file that is cut off: its length, and the one that it should have.
CUT_OFF = re.compile(r"truncated file: eof = (\d+),.*stored_eof = (\d+)")
#: Bytes at a file's begin and end in which such collections are checked; names and descriptions lie there.
CHECKED_BYTES = 1 << 24


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
    _check_heaps(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (InputError, MemoryError):
        raise
    except Exception as error:  # h5py raises errors of a dozen kinds about damaged files
        if cut := CUT_OFF.search(str(error)):
            there, whole = (int(number) for number in cut.groups())
            raise InputError(f"{path}: the HDF5 file is cut off: {there:,} of {whole:,} bytes are there") from error
        raise InputError(f"{path}: a damaged HDF5 file: {' '.join(str(error).split())}") from error


def _check_heaps(path: str | Path) -> None:
    """Raise `InputError` where a collection of texts is damaged such that HDF5 would read it for ever.

    The layout is that of the HDF5 File Format Specification, III.E, "Disk Format: Level 1E - Global Heap": an object
    numbered 0 is the free space, and its size counts its own header.
    """
    with reading(path), open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for first, last in {(0, CHECKED_BYTES), (max(len(content) - CHECKED_BYTES, 0), len(content))}:
            at = content.find(HEAP_START, first, last)
            while at >= 0:
                if not _is_whole_heap(content, at):
                    raise InputError(f"{path}: a damaged HDF5 file: the texts at byte {at:,} have no end")
                at = content.find(HEAP_START, at + 1, last)


def _is_whole_heap(content: mmap.mmap, at: int) -> bool:
    """Say whether the objects of a collection fill it, one after another."""
    end = at + int.from_bytes(content[at + 8 : at + 16], "little")
    at += HEAP_HEADER
    while at + OBJECT_HEADER <= end:
        number = int.from_bytes(content[at : at + 2], "little")
        size = int.from_bytes(content[at + 8 : at + 16], "little")
        step = size if number == 0 else OBJECT_HEADER + (size + 7) // 8 * 8
        if step <= 0 or at + step > end or at + OBJECT_HEADER > len(content):
            return False
        at += step
    return True
