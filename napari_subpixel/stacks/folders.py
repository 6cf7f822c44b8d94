"""A folder of single-frame TIFF files as one movie, in the order in which people number files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from napari_subpixel.errors import InputError
from napari_subpixel.stacks.numbering import natural_key, sequenced
from napari_subpixel.stacks.selection import Selection
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiff_frames import TiffFrames
from napari_subpixel.stacks.tiff_pages import TiffPages, holds_one_frame, read_pages
from napari_subpixel.stacks.tiffs import check_page, known_files_of_movie, open_tiff, opened, stated_pixel_size_nm

#: Suffixes of the files that are taken for frames.
TIFF_SUFFIXES = (".tif", ".tiff")


def open_folder(path: Path, which: Selection, *, growing: bool = False) -> Stack:
    """Open a folder of frames, one per file; a folder with a single file, or an OME-TIFF of several, is that movie.

    Parameters
    ----------
    path : Path
        The folder.
    which : Selection
        Which image, where its only file holds several, and which channel, also where names of frames have several.
    growing : bool
        The movie is still being written: take the files before the first that is not whole.

    Raises
    ------
    ChannelsError
        If the names of the files differ in more than a number, and no channel was chosen.
    InputError
        If there are no TIFF files, or they are not frames of one movie.
    """
    entries = _entries(path)
    files = _tiffs(entries)
    if not files:
        held = ", ".join(p.name for p in entries[:5]) or "nothing"
        raise InputError(f"{path}: no TIFF files and no Zarr in this folder; it holds {held}")
    if len(files) == 1 and not (growing and holds_one_frame(files[0])):
        return open_tiff(files[0], which, growing=growing)
    if ".ome." in files[0].name.lower() and set(files) <= known_files_of_movie(files[0]):
        return open_tiff(files[0], which, growing=growing)
    if which.series not in (None, 0):
        raise InputError(f"{path}: series {which.series} asked for, a folder of frames has 1, counted from 0")
    files, warnings = sequenced(path, files, which.channel)
    pages = [*_pages(files, growing=growing)]
    for each in pages:
        if len(each) != 1:
            raise InputError(f"{each.path}: has {len(each)} pages; in a folder of frames every file must have one")
    with opened(files[0]) as tiff:
        page = tiff.pages.get(int(pages[0].index[0]))
        check_page(files[0], page)
        source = TiffFrames(pages, np.arange(len(pages)), np.zeros(len(pages), int), page.dtype)
        pixel_size_nm = stated_pixel_size_nm(tiff, page)
    return Stack(source, name=path.name, path=path, pixel_size_nm=pixel_size_nm, warnings=warnings)


def is_folder_of_frames(path: Path) -> bool:
    """Say whether a folder is one movie: several TIFF files, of which none has more than one frame.

    A damaged file decides nothing. In a folder of movies only one file is read, and of every file only the first page.
    """
    files = _tiffs(_entries(path)) if path.is_dir() else []
    return len(files) > 1 and _some_true_none_false(holds_one_frame(file) for file in files)


def _pages(files: list[Path], *, growing: bool) -> Iterator[TiffPages]:
    """Read the pages of every file, up to the first that is not whole in a folder that is still being written."""
    for number, file in enumerate(files):
        try:
            pages = read_pages(file)
        except InputError:
            if not growing or not number:
                raise
            return
        if growing and number and not len(pages):
            return
        yield pages


def _entries(path: Path) -> list[Path]:
    return sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=natural_key)


def _tiffs(entries: list[Path]) -> list[Path]:
    return [p for p in entries if p.suffix.lower() in TIFF_SUFFIXES and p.is_file()]


def _some_true_none_false(answers: Iterable[bool | None]) -> bool:
    any_true = False
    for answer in answers:
        if answer is False:
            return False
        any_true |= answer is True
    return any_true
