"""`open_stack`: the one way to a movie, whatever it is stored in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_subpixel._util.file_kinds import what_is
from napari_subpixel._util.files import first_bytes, reading
from napari_subpixel.errors import IncompleteMovieError, InputError
from napari_subpixel.stacks.arrays import ArraySource
from napari_subpixel.stacks.folders import TIFF_SUFFIXES, open_folder
from napari_subpixel.stacks.joined import SplitMovie, open_joined
from napari_subpixel.stacks.selection import Selection
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiff_pages import is_tiff
from napari_subpixel.stacks.tiffs import open_tiff
from napari_subpixel.stacks.zarrs import is_zarr_folder, open_zarr

#: First bytes of a zip file.
ZIP_START = b"PK\x03\x04"
#: Name of a movie in memory that none was given to.
UNNAMED = "array"
#: What can be read, for a message.
READABLE = "TIFF, OME-TIFF, a folder of TIFF frames, Zarr"


def open_stack(
    movie: Any,
    *,
    series: int | None = None,
    channel: int | str | None = None,
    join: bool = False,
    stop: int | None = None,
    name: str | None = None,
    growing: bool = False,
) -> Stack:
    """Open a movie without reading its frames.

    Parameters
    ----------
    movie : path-like or array-like, or list of path-like
        A TIFF file of any kind (BigTIFF, ImageJ, OME-TIFF, compressed or tiled), a folder of single-frame TIFF files,
        a Zarr folder or zip file; or an array (T, Y, X) of numpy, dask, Zarr or the like. A list names the files of
        one movie that was split; they are joined in the order in which people number files.
    series : int, optional
        Which image, where a file holds several, counted from 0.
    channel : int or str, optional
        Which channel, where there are several: its number, counted from 0, or its name.
    join : bool
        The movie is a folder whose TIFF files are the parts of one that was split.
    stop : int, optional
        The frame after the last one that is needed: a movie with fewer frames than it announces is opened
        if these are whole.
    name : str, optional
        What to call the movie; by default its file name, or "array".
    growing : bool
        The movie is still being written: take its frames up to the first that is not whole. Frames that are announced
        but missing, or half written, are then no error.

    Returns
    -------
    Stack
        Its `warnings` say what was noticed, such as a gap in the numbers of files.

    Raises
    ------
    SeriesError
        If there are several images and none was chosen; the message lists them.
    ChannelsError
        If there are several channels and none was chosen; the message lists them.
    AxesError
        If it is an image with other axes than (T, Y, X), such as colours, or depth in addition to time.
    IncompleteMovieError
        If it has fewer frames than it announces, or is cut off; the message says how many are whole.
    InputError
        If it is missing, or is not a movie of real numbers; one line that names the file.

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
    which = Selection(series, channel)
    if isinstance(movie, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in movie):
        movie = SplitMovie(movie)
    if isinstance(movie, (str, os.PathLike)):
        if not str(movie):  # which pathlib takes for the folder at hand
            raise InputError("an empty file name was given for a movie")
        if join and not isinstance(movie, SplitMovie):
            movie = SplitMovie(_parts_in(Path(movie)))
        stack = _open(movie, which, stop, growing=growing)
        chosen = f" ({which})" if str(which) else ""
        renamed = stack.named(name or stack.name + chosen) if name or chosen else stack
        files = [os.path.abspath(file) for file in movie.files] if isinstance(movie, SplitMovie) else None
        renamed.opening = {"movie": files or os.path.abspath(movie), "series": series, "channel": channel, "stop": stop}
        return renamed
    if not hasattr(movie, "shape") or not hasattr(movie, "dtype"):
        raise InputError(f"expected a path or a (T, Y, X) array, got {type(movie).__name__}")
    name = name or UNNAMED
    if series not in (None, 0) or channel is not None:
        raise InputError(f"{name}: an array has one series and one channel; index it instead")
    return Stack(ArraySource(movie, name), name=name)


def _open(movie: str | os.PathLike[str], which: Selection, stop: int | None, *, growing: bool) -> Stack:
    if not isinstance(movie, SplitMovie):
        return _whole_or_up_to(Path(movie), which, stop, growing=growing)
    if growing:
        raise InputError(f"{movie}: a movie that is split into several files cannot be opened while it is written")
    return open_joined(movie, lambda path: _whole_or_up_to(path, which, None, growing=False))


def _whole_or_up_to(path: Path, which: Selection, stop: int | None, *, growing: bool) -> Stack:
    """Open a movie; one with fewer frames than it announces only up to a frame before which all are whole."""
    try:
        return _open_path(path, which, growing=growing)
    except IncompleteMovieError as error:
        try:
            whole = _open_path(path, which, growing=True)
        except InputError:
            raise InputError(str(error)) from None
        if error.n_frames:
            whole = whole.beginning(error.n_frames)
        message = f"{error}; {whole.n_frames} whole frames are there"
        if stop is not None and stop <= whole.n_frames:
            whole.warnings = (*whole.warnings, message.removeprefix(f"{path}: "))
            return whole
        n_frames = whole.n_frames
        whole.close()
        raise IncompleteMovieError(message, n_frames) from None


def _parts_in(folder: Path) -> list[Path]:
    """Return the TIFF files of a folder, or a file alone."""
    if not folder.is_dir():
        return [folder]
    files = [p for p in folder.iterdir() if p.suffix.lower() in TIFF_SUFFIXES and not p.name.startswith(".")]
    if not files:
        raise InputError(f"{folder}: no TIFF files to join in this folder")
    return files


def _open_path(path: Path, which: Selection, *, growing: bool) -> Stack:
    with reading(path):
        if path.is_dir():
            is_zarr = is_zarr_folder(path)
            return open_zarr(path, which, growing=growing) if is_zarr else open_folder(path, which, growing=growing)
    head = first_bytes(path)
    if is_tiff(head) or path.suffix.lower() in TIFF_SUFFIXES:
        return open_tiff(path, which, growing=growing)
    if head.startswith(ZIP_START) or path.suffix.lower() == ".zip":
        return open_zarr(path, which)
    raise InputError(f"{path}: not a movie that can be read ({READABLE}), but {what_is(path)}")
