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

from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import AxesError, IncompleteMovieError, InputError
from napari_subpixel.stacks.axes import chosen_channel, frame_axes, pixel_size_from, pixel_sizes_from
from napari_subpixel.stacks.ome import files_of_image, read_ome
from napari_subpixel.stacks.selection import Selection
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiff_frames import TiffFrames
from napari_subpixel.stacks.tiff_pages import TiffPages, read_pages

#: Vendors' formats whose axes tifffile reads; of MetaMorph's (stk) movies only the first page is listed.
VENDORS = ("stk", "lsm", "fluoview", "sis", "scanimage")
#: Tags of a page: the resolution and its unit, and what Micro-Manager notes about a frame.
X_RESOLUTION = 282
Y_RESOLUTION = 283
RESOLUTION_UNIT = 296
MICRO_MANAGER = 51123
#: Units of a page's resolution, by the number in its tag.
RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def open_tiff(path: Path, which: Selection, *, growing: bool = False) -> Stack:
    """Open a movie in a TIFF file; an OME-TIFF may name further files beside it.

    Parameters
    ----------
    path : Path
        The file.
    which : Selection
        Which image, and which channel, where it holds several.
    growing : bool
        The movie is still being written: take the frames before the first that is not whole.

    Raises
    ------
    SeriesError, ChannelsError
        If it holds several images or channels, and none was chosen.
    AxesError
        If it has further axes besides (T, Y, X).
    IncompleteMovieError
        If it has fewer frames than it announces, or is cut off.
    InputError
        If it is missing, or not a TIFF that can be read.
    """
    pages = read_pages(path, growing=growing)
    if not len(pages):
        raise InputError(f"{path}: the movie has no frames: the TIFF has no pages")
    unlisted = _unlisted(pages)
    with opened(path) as tiff:
        if tiff.is_ome and tiff.ome_metadata:
            return _open_ome(path, tiff.ome_metadata, pages, which, growing=growing)
        images = _images_of(tiff, pages)
        series = which.series_of(path, len(images), lambda: [f"{len(each)} x {each.layout(0)}" for each in images])
        pages, page = images[series], _first_image(tiff, images[series], 0)
        axes, shape = _imagej_axes(tiff, page) if tiff.is_imagej else _described_axes(tiff, page)
        channel = chosen_channel(str(path), axes + page.axes, (*shape, *page.shape), which.channel)
        kept = shape if channel is None else tuple(1 if i == channel[0] else n for i, n in enumerate(shape))
        check_page(path, page, axes, kept)
        pages, warnings = _announced(pages, math.prod(shape), may_lack=tiff.is_imagej, growing=growing)
        page_of = np.arange(len(pages))
        if channel is not None:
            page_of = np.arange(math.prod(shape)).reshape(shape).take(channel[1], channel[0]).ravel()
            page_of = page_of[page_of < len(pages)]
        pixel_size_nm, dtype = stated_pixel_size_nm(tiff, page), page.dtype
    return Stack(
        TiffFrames([pages], np.zeros(len(page_of), int), page_of, dtype),
        name=path.name,
        path=path,
        pixel_size_nm=pixel_size_nm,
        n_series=len(images),
        series=series,
        warnings=(*warnings, *unlisted),
    )


def files_of_movie(path: Path) -> set[Path]:
    """Return the files that an OME-TIFF names as those of its movie, from its XML alone; empty for any other TIFF.

    Raises
    ------
    InputError
        If the file, or its XML, cannot be read.
    """
    with opened(path) as tiff:
        return files_of_image(path, tiff.ome_metadata) if tiff.is_ome and tiff.ome_metadata else set()


def known_files_of_movie(path: Path) -> set[Path]:
    """Return the files of a movie; none for a damaged one, which is a movie until opening it says what is wrong."""
    try:
        return files_of_movie(path)
    except InputError:
        return set()


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


def _open_ome(path: Path, xml: str, pages: TiffPages, which: Selection, *, growing: bool) -> Stack:
    image = read_ome(path, xml, pages, which, growing=growing)
    first_file, first_page = image.files[image.file_of[0]], int(image.page_of[0])
    with opened(first_file.path) as tiff:
        page = _first_image(tiff, first_file, first_page)
        check_page(path, page, image.axes, image.shape)
        if page.shape != image.frame_shape:
            raise InputError(f"{path}: OME-XML says frames of {image.frame_shape}, the pages are {page.shape}")
        source = TiffFrames(image.files, image.file_of, image.page_of, page.dtype)
        pixel_size_nm = image.pixel_size_nm or _micro_manager_size_nm(page)
    path = first_file.path  # a movie of several files is the same, from whichever of them it is opened
    return Stack(
        source,
        name=path.name,
        path=path,
        pixel_size_nm=pixel_size_nm,
        n_series=image.n_series,
        series=which.series or 0,
    )


def _first_image(tiff: Any, pages: TiffPages, number: int) -> Any:
    return tiff.pages.get(int(pages.index[number]))


# -- what the descriptions say ----------------------------------------------------------------------------------------


def _imagej_axes(tiff: Any, page: Any) -> tuple[str, tuple[int, ...]]:
    """Return the axes besides Y and X, and their lengths, that ImageJ wrote down."""
    about = tiff.imagej_metadata or {}
    shape = tuple(int(about.get(key, 1)) for key in ("frames", "slices", "channels"))
    if "S" in page.axes:
        shape = (*shape[:2], 1)
    return ("TZC", shape) if math.prod(shape) > 1 else ("I", (int(about.get("images", 1)),))


def _described_axes(tiff: Any, page: Any) -> tuple[str, tuple[int, ...]]:
    """Return the axes besides Y and X, and their lengths, of a TIFF that is neither ImageJ's nor OME's."""
    if tiff.is_shaped and page.shaped_description:
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


# -- pixel sizes ------------------------------------------------------------------------------------------------------


def stated_pixel_size_nm(tiff: Any, page: Any) -> PixelSize | None:
    """Return the pixel size that a TIFF without OME-XML says: its program's own, else that of the page's resolution."""
    if tiff.is_stk:
        about = tiff.stk_metadata or {}
        unit = str(about.get("CalibrationUnits", ""))
        x = about.get("XCalibration")
        return pixel_sizes_from(about.get("YCalibration", x), unit, x, unit)
    unit = str((tiff.imagej_metadata or {}).get("unit", "")) if tiff.is_imagej else ""
    if not unit:
        unit = RESOLUTION_UNITS.get(int(page.tags.valueof(RESOLUTION_UNIT, default=1)), "")
    size = pixel_sizes_from(_tag_size(page, Y_RESOLUTION), unit, _tag_size(page, X_RESOLUTION), unit)
    return size or _micro_manager_size_nm(page)


def _tag_size(page: Any, code: int) -> float | None:
    """Return the size of a pixel, along the axis of this tag, in the page's unit of resolution."""
    numerator, denominator = page.tags.valueof(code, default=(0, 1))
    return denominator / numerator if numerator and denominator else None


def _micro_manager_size_nm(page: Any) -> float | None:
    """Return the pixel size that Micro-Manager wrote into a page's own tag."""
    about = page.tags.valueof(MICRO_MANAGER)
    return pixel_size_from(about.get("PixelSizeUm"), "um") if isinstance(about, dict) else None


# -- which pages are the movie ----------------------------------------------------------------------------------------


def _images_of(tiff: Any, pages: TiffPages) -> list[TiffPages]:
    """Return the pages of each image: arrays that tifffile wrote one after another, else pages that are alike."""
    first = _first_image(tiff, pages, 0)
    if tiff.is_shaped and first.shaped_description and 1 < math.prod(_shaped_axes(first)[1]) < len(pages):
        starts = [*_shaped_starts(tiff, pages)]
        return [pages.part(start, stop) for start, stop in zip(starts, [*starts[1:], len(pages)], strict=True)]
    return pages.by_layout() if len(pages.layouts) > 1 else [pages]


def _shaped_starts(tiff: Any, pages: TiffPages) -> Iterator[int]:
    """Yield the first page of every array that tifffile wrote into one file, one after another."""
    start = 0
    while start < len(pages):
        yield start
        page = _first_image(tiff, pages, start)
        start += math.prod(_shaped_axes(page)[1]) if page.shaped_description else len(pages)


def _unlisted(pages: TiffPages) -> tuple[str, ...]:
    """Return what is to be said of pages that no other page leads to."""
    if not pages.n_unlisted:
        return ()
    noun = "page" if len(pages) == 1 else "pages"
    return (f"the file is damaged: it lists {len(pages)} {noun} and holds {pages.n_unlisted} more: frames are missing",)


def _announced(pages: TiffPages, announced: int, *, may_lack: bool, growing: bool) -> tuple[TiffPages, tuple[str, ...]]:
    """Return the pages of a movie, as many as were announced or are there, and what is odd about their number.

    A program that splits or crops movies may leave ImageJ's description as it was (`may_lack`).
    """
    if announced <= len(pages):
        return pages, ()
    if len(pages) > 1 and (growing or may_lack):
        odd = f"its description announces {announced} frames, the file has {len(pages)} pages, which are all whole"
        return pages, () if growing else (odd,)
    return _contiguous(pages, announced, growing=growing), ()


def _contiguous(pages: TiffPages, announced: int, *, growing: bool) -> TiffPages:
    """Return the pages of a movie whose pixels lie one after another though not all pages are listed.

    ImageJ writes movies of more than 4 GB so: one page, and a description with the number of frames.
    """
    nbytes, start = pages.layout(0).nbytes, int(pages.offset[0])
    text = (
        f"{pages.path}: the file is cut off or its acquisition was stopped: "
        f"its description announces {announced} frames"
    )
    if len(pages) > 1 or start < 0:
        raise IncompleteMovieError(f"{text}, it has {len(pages)} pages")
    end = pages.ifd if pages.ifd > start else pages.file_size
    if start + announced * nbytes > end:
        there = (end - start) // nbytes
        if not growing:
            raise IncompleteMovieError(f"{text} of {nbytes:,} bytes, the bytes end after {there}")
        announced = there
    places = start + nbytes * np.arange(announced, dtype=np.int64)
    first = np.zeros(announced, np.int64)
    return replace(pages, index=first, offset=places, layout_of=first)
