"""`open_stack`: the one way to a movie, whatever it is stored in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import first_bytes, reading
from napari_subpixel.errors import InputError
from napari_subpixel.stacks.arrays import ArraySource
from napari_subpixel.stacks.folders import TIFF_SUFFIXES, open_folder
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiff_pages import is_tiff
from napari_subpixel.stacks.tiffs import open_tiff
from napari_subpixel.stacks.zarrs import is_zarr_folder, open_zarr

#: First bytes of a zip file.
ZIP_START = b"PK\x03\x04"
#: What can be read, for a message.
READABLE = "TIFF, OME-TIFF, a folder of TIFF frames, Zarr"


def open_stack(movie: Any, *, series: int = 0, name: str | None = None, growing: bool = False) -> Stack:
    """Open a movie without reading its frames.

    Parameters
    ----------
    movie : path-like or array-like
        A TIFF file of any kind (BigTIFF, ImageJ, OME-TIFF, compressed or tiled), a folder of single-frame TIFF files,
        a Zarr folder or zip file; or an array (T, Y, X) of numpy, dask, Zarr or the like.
    series : int
        Which image, where a file holds several.
    name : str, optional
        What to call the movie; by default its file name, or "array".
    growing : bool
        The movie is still being written: take its frames up to the first that is not whole. Frames that are announced
        but missing, or half written, are then no error.

    Returns
    -------
    Stack

    Raises
    ------
    AxesError
        If it is an image with other axes than (T, Y, X), such as colours, or channels in addition to time.
    InputError
        If it is missing, is not a movie of real numbers, or is cut off; one line that names the file.

    Notes
    -----
    One axis besides y and x may be longer than 1, and is time whatever the file calls it. A TIFF is checked to its
    end, without reading pixels, for being cut off: every page that it lists or announces must lie within the file.

    Examples
    --------
    >>> import numpy as np
    >>> stack = open_stack(np.zeros((5, 30, 40), np.uint16), name="dark")
    >>> stack
    <Stack 'dark': (5, 30, 40) uint16, pixel size unknown>
    >>> stack[1:3, :10].shape
    (2, 10, 40)
    """
    if isinstance(movie, (str, os.PathLike)):
        if not str(movie):  # which pathlib takes for the folder at hand
            raise InputError("an empty file name was given for a movie")
        stack = _open_path(Path(movie), series, growing=growing)
        return stack.named(name) if name else stack
    if not hasattr(movie, "shape") or not hasattr(movie, "dtype"):
        raise InputError(f"expected a path or a (T, Y, X) array, got {type(movie).__name__}")
    name = name or "array"
    return Stack(ArraySource(movie, name), name=name)


def _open_path(path: Path, series: int, *, growing: bool) -> Stack:
    with reading(path):
        if path.is_dir():
            return open_zarr(path, series) if is_zarr_folder(path) else open_folder(path, series, growing=growing)
    head = first_bytes(path)
    if is_tiff(head) or path.suffix.lower() in TIFF_SUFFIXES:
        return open_tiff(path, series, growing=growing)
    if head.startswith(ZIP_START) or path.suffix.lower() == ".zip":
        return open_zarr(path, series)
    raise InputError(f"{path}: not a movie that can be read ({READABLE}); it starts with {head[:12]!r}")
