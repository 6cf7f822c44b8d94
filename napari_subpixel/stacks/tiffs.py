"""Movies in one TIFF: plain, BigTIFF, ImageJ, tifffile's own, MetaMorph, OME-TIFF with its further files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_subpixel.errors import AxesError, InputError
from napari_subpixel.stacks.axes import frame_axes, pixel_size_from
from napari_subpixel.stacks.ome import files_of_image, read_ome
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiff_frames import TiffFrames
from napari_subpixel.stacks.tiff_pages import TiffPages, read_pages

#: Vendors' formats whose axes tifffile reads; of MetaMorph's (stk) movies only the first page is listed.
VENDORS = ("stk", "lsm", "fluoview", "sis", "scanimage")
#: Units of a page's resolution, by the number in its tag.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def open_tiff(path: Path, series: int, *, growing: bool = False) -> Stack:
    """Open a movie in a TIFF file; an OME-TIFF may name further files beside it.

    Parameters
    ----------
    path : Path
        The file.
    series : int
        Which image, where it holds several.
    growing : bool
        The movie is still being written: take the frames before the first that is not whole.

    Raises
    ------
    AxesError
        If it has further axes besides (T, Y, X).
    InputError
        If it is missing, not a TIFF that can be read, or cut off.
    """
    pages = read_pages(path, growing=growing)
    if not len(pages):
        raise InputError(f"{path}: the movie has no frames: the TIFF has no pages")
    with opened(path) as tiff:
        if tiff.is_ome and tiff.ome_metadata:
            return _open_ome(path, tiff.ome_metadata, pages, series, growing=growing)
        page = _first_image(tiff, pages, 0)
        if tiff.is_imagej:
            axes, shape, pixel_size_nm = _imagej_axes(tiff.imagej_metadata or {}, page)
        else:
            (axes, shape), pixel_size_nm = _described_axes(tiff, page), _tag_pixel_size_nm(page)
        check_page(path, page, axes, shape)
        dtype = page.dtype
        pages, n_series = _frames_of_series(tiff, pages, math.prod(shape), series, growing=growing)
    source = TiffFrames([pages], np.zeros(len(pages), int), np.arange(len(pages)), dtype)
    return Stack(source, name=path.name, path=path, pixel_size_nm=pixel_size_nm, n_series=n_series, series=series)


def files_of_movie(path: Path) -> set[Path]:
    """Return the files that an OME-TIFF names as those of its movie, from its XML alone; empty for any other TIFF.

    Raises
    ------
    InputError
        If the file, or its XML, cannot be read.
    """
    with opened(path) as tiff:
        return files_of_image(path, tiff.ome_metadata) if tiff.is_ome and tiff.ome_metadata else set()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file with tifffile; what it does not understand becomes an `InputError`."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            yield tiff
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{path}: not a TIFF that can be read: {' '.join(str(error).split())}") from error


def check_page(path: Path, page: Any, axes: str = "", shape: tuple[int, ...] = ()) -> None:
    """Raise `InputError` unless a page is a grey image which, with the further axes, makes a (T, Y, X) movie.

    Parameters
    ----------
    path : Path
        The file, for messages.
    page : tifffile.TiffPage
    axes : str
        Further axes, outermost first.
    shape : tuple of int
        Their lengths.
    """
    if page.dtype is None:
        raise InputError(f"{path}: pixels of {page.bitspersample} bits in format {page.sampleformat} cannot be read")
    frame_axes(str(path), axes + page.axes, (*shape, *page.shape))
    if page.ndim != 2:
        raise AxesError(f"{path}: expected pages (Y, X), got axes {page.axes} of shape {page.shape}")


def _open_ome(path: Path, xml: str, pages: TiffPages, series: int, *, growing: bool) -> Stack:
    image = read_ome(path, xml, pages, series, growing=growing)
    first_file, first_page = image.files[image.file_of[0]], int(image.page_of[0])
    with opened(first_file.path) as tiff:
        page = _first_image(tiff, first_file, first_page)
        check_page(path, page, image.axes, image.shape)
        if page.shape != image.frame_shape:
            raise InputError(f"{path}: OME-XML says frames of {image.frame_shape}, the pages are {page.shape}")
        source = TiffFrames(image.files, image.file_of, image.page_of, page.dtype)
    path = first_file.path  # a movie of several files is the same, from whichever of them it is opened
    return Stack(
        source,
        name=path.name,
        path=path,
        pixel_size_nm=image.pixel_size_nm,
        n_series=image.n_series,
        series=series,
    )


def _first_image(tiff: Any, pages: TiffPages, number: int) -> Any:
    return tiff.pages.get(int(pages.index[number]))


# -- what the descriptions say ----------------------------------------------------------------------------------------


def _imagej_axes(about: dict[str, Any], page: Any) -> tuple[str, tuple[int, ...], float | None]:
    """Return the axes besides Y and X, their lengths and the pixel size in nm that ImageJ wrote down."""
    shape = tuple(int(about.get(key, 1)) for key in ("frames", "slices", "channels"))
    if "S" in page.axes:
        shape = (*shape[:2], 1)
    axes = "TZC"
    if math.prod(shape) == 1:
        axes, shape = "I", (int(about.get("images", 1)),)
    unit = str(about.get("unit", "")).replace("\\u00B5", "\u00b5")
    size = _tag_size(page)
    pixel_size_nm = pixel_size_from(size, unit) if unit else _tag_pixel_size_nm(page)
    return axes, shape, pixel_size_nm


def _described_axes(tiff: Any, page: Any) -> tuple[str, tuple[int, ...]]:
    """Return the axes besides Y and X, and their lengths, of a TIFF that is neither ImageJ's nor OME's."""
    if tiff.is_shaped:
        return _shaped_axes(page)
    if any(getattr(tiff, f"is_{vendor}") for vendor in VENDORS):
        first = tiff.series[0]
        n = len(first.shape) - page.ndim
        return first.axes[:n], tuple(first.shape[:n])
    return "", ()


def _shaped_axes(page: Any) -> tuple[str, tuple[int, ...]]:
    """Return the axes besides Y and X of the array that tifffile wrote from this page on, and their lengths."""
    about = json.loads(page.shaped_description)
    shape, axes = tuple(int(n) for n in about["shape"]), str(about.get("axes", ""))
    if shape[-page.ndim :] != page.shape:  # such as (T, Y, X, 1)
        return "Q", (math.prod(shape) // max(math.prod(page.shape), 1),)
    n = len(shape) - page.ndim
    return (axes[:n] if len(axes) == len(shape) else "Q" * n), shape[:n]


def _tag_size(page: Any) -> float | None:
    """Return the width of a pixel in the page's unit of resolution."""
    numerator, denominator = page.tags.valueof(282, default=(0, 1))
    return denominator / numerator if numerator and denominator else None


def _tag_pixel_size_nm(page: Any) -> float | None:
    return pixel_size_from(_tag_size(page), RESOLUTION_UNITS.get(int(page.tags.valueof(296, default=1))))


# -- which pages are the movie ----------------------------------------------------------------------------------------


def _frames_of_series(
    tiff: Any, pages: TiffPages, announced: int, series: int, *, growing: bool
) -> tuple[TiffPages, int]:
    """Return the pages of one series, as many as were announced, and the number of series."""
    starts = [0]
    if tiff.is_shaped and 1 < announced < len(pages):
        starts = list(_shaped_starts(tiff, pages))
    if not 0 <= series < len(starts):
        raise InputError(f"{pages.path}: series {series} asked for, the file has {len(starts)}, counted from 0")
    if announced > len(pages):
        if growing and len(pages) > 1:
            return pages, 1
        return _contiguous(pages, announced, growing=growing), 1
    if len(starts) > 1:
        pages = pages.part(*[*starts, len(pages)][series : series + 2])
    return pages, len(starts)


def _shaped_starts(tiff: Any, pages: TiffPages) -> Iterator[int]:
    """Yield the first page of every array that tifffile wrote into one file, one after another."""
    start = 0
    while start < len(pages):
        yield start
        page = _first_image(tiff, pages, start)
        start += math.prod(_shaped_axes(page)[1]) if page.shaped_description else len(pages)


def _contiguous(pages: TiffPages, announced: int, *, growing: bool) -> TiffPages:
    """Return the pages of a movie whose pixels lie one after another though not all pages are listed.

    ImageJ writes movies of more than 4 GB so: one page, and a description with the number of frames.
    """
    nbytes, start = pages.layout(0).nbytes, int(pages.offset[0])
    text = f"{pages.path}: the file is cut off: its description announces {announced} frames"
    if len(pages) > 1 or start < 0:
        raise InputError(f"{text}, it has {len(pages)} pages")
    end = pages.ifd if pages.ifd > start else pages.file_size
    if start + announced * nbytes > end:
        there = (end - start) // nbytes
        if not growing:
            raise InputError(f"{text} of {nbytes:,} bytes, the bytes end after {there}")
        announced = there
    places = start + nbytes * np.arange(announced, dtype=np.int64)
    first = np.zeros(announced, np.int64)
    return replace(pages, index=first, offset=places, layout_of=first)
