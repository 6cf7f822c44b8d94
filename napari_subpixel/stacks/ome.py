"""OME-TIFF: which page of which file is which frame, as the OME-XML in the first page says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import IncompleteMovieError, InputError
from napari_subpixel.stacks.axes import chosen_channel, frame_axes, pixel_sizes_from
from napari_subpixel.stacks.selection import Selection
from napari_subpixel.stacks.tiff_pages import TiffPages, read_pages


@dataclass(frozen=True, eq=False)
class OmeImage:
    """One image of an OME-TIFF.

    Attributes
    ----------
    axes, shape : str, tuple of int
        Axes besides Y and X, outermost first, and their lengths.
    frame_shape : (int, int)
        (height, width) of the frames.
    pixel_size_nm : float or (float, float) or None
        Width of a pixel, or height and width.
    files : list of TiffPages
        The files that the frames are in.
    file_of, page_of : ndarray of int64, shape (T,)
        Each frame's file, and its page there.
    n_series : int
        Images in the file.
    """

    axes: str
    shape: tuple[int, ...]
    frame_shape: tuple[int, int]
    pixel_size_nm: PixelSize | None
    files: list[TiffPages]
    file_of: NDArray[np.int64]
    page_of: NDArray[np.int64]
    n_series: int


def read_ome(path: Path, xml: str, pages: TiffPages, which: Selection, *, growing: bool = False) -> OmeImage:
    """Find the frames of an image in its OME-XML.

    Parameters
    ----------
    path : Path
        The file that was opened.
    xml : str
        Its description.
    pages : TiffPages
        Its pages.
    which : Selection
        Series: the number of the image among those that have frames in this file; and channel.
    growing : bool
        The movie is still being written: take the frames before the first missing one.

    Raises
    ------
    InputError
        If the XML is damaged, a file it names is missing, or there are fewer pages than it announces.
    """
    description = _described(path, xml)
    images = _images_in(path, description.root)
    if not images:
        raise InputError(f"{path}: the file has 0 images in its OME-XML")
    series = which.series_of(path, len(images), lambda: map(_summary, images))
    pixels = images[series].find("{*}Pixels")
    if pixels is None:
        raise InputError(f"{path}: its OME-XML does not describe the pixels of image {series}")
    try:
        return _image(path, pages, description, pixels, len(images), which, growing=growing)
    except (KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: its OME-XML is damaged: {error!r}") from None


def files_of_image(path: Path, xml: str) -> set[Path]:
    """Return the files that hold the image that a file belongs to, or the first where it belongs to none.

    Parameters
    ----------
    path : Path
        An OME-TIFF.
    xml : str
        Its description.

    Returns
    -------
    set of Path
        Those that the XML names, there or not; empty where it names none. `path` is not among them where the file was
        renamed.

    Raises
    ------
    InputError
        If the XML is damaged, or the file that holds it is missing.
    """
    images = _images_in(path, _described(path, xml).root)
    blocks = images[0].iterfind(".//{*}TiffData") if images else ()
    return {path.parent / _bare(name) for block in blocks for name in _file_names(block)}


def _images_in(path: Path, root: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the images that have frames in this file, of a data set whose every file describes all; else all images.

    Microscopes write a file, or several, for each position, and the XML of all positions into every one of them.
    """
    images = root.findall("{*}Image")
    here = [
        image
        for image in images
        if any(_bare(name) == path.name for block in image.iterfind(".//{*}TiffData") for name in _file_names(block))
    ]
    return here or images


class _Description(NamedTuple):
    """The OME-XML that describes a file.

    Attributes
    ----------
    root : Element
    uuid : str or None
        Of the file that was opened, not of the one that holds the XML.
    holder : str or None
        Name of the TIFF file that holds the XML, where it is another one.
    """

    root: ElementTree.Element
    uuid: str | None
    holder: str | None = None


def _described(path: Path, xml: str) -> _Description:
    """Return the OME-XML of a file, or of the file that it names as the holder of the XML."""
    root = _parsed(path, xml)
    uuid, only = root.get("UUID"), root.find("{*}BinaryOnly")
    if only is None:
        return _Description(root, uuid)
    holder = path.parent / _bare(only.get("MetadataFile", ""))
    if not holder.is_file():
        raise InputError(f"{path}: the OME-XML is in {holder.name}, which is missing")
    if holder.suffix.lower() not in (".tif", ".tiff", ".tf2", ".tf8", ".btf"):
        return _Description(_parsed(holder, holder.read_text(encoding="utf-8")), uuid)
    return _Description(_parsed(holder, _xml_in_tiff(holder)), uuid, holder.name if holder.name != path.name else None)


def _xml_in_tiff(path: Path) -> str:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return tiff.pages.first.description


def _parsed(path: Path, xml: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: its OME-XML is damaged: {error}") from None


def _image(
    path: Path,
    pages: TiffPages,
    description: _Description,
    pixels: ElementTree.Element,
    n: int,
    which: Selection,
    *,
    growing: bool,
) -> OmeImage:
    samples = max((int(c.get("SamplesPerPixel", 1)) for c in pixels.iterfind("{*}Channel")), default=1)
    # DimensionOrder names the fastest axis first: XYCZT is a (T, Z, C, Y, X) array.
    axes = pixels.attrib["DimensionOrder"][::-1].replace("X", "").replace("Y", "")
    sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "TZCYX"}
    sizes["C"] = max(sizes["C"] // samples, 1)
    shape = tuple(sizes[axis] for axis in axes)
    frame_shape = sizes["Y"], sizes["X"]
    names = [channel.get("Name", "") for channel in pixels.iterfind("{*}Channel")]
    channel = chosen_channel(str(path), axes + "YX", (*shape, *frame_shape), which.channel, names)
    kept = shape if channel is None else tuple(1 if i == channel[0] else n for i, n in enumerate(shape))
    frame_axes(str(path), axes + "YX", (*kept, *frame_shape))
    places = _Places(path, pages, description, math.prod(shape), growing=growing)
    places.fill(pixels, axes, shape, channel)
    return OmeImage(
        axes,
        kept,
        frame_shape,
        pixel_sizes_from(*_size(pixels, "Y"), *_size(pixels, "X")),
        places.files,
        places.file_of,
        places.page_of,
        n,
    )


def _size(pixels: ElementTree.Element, axis: str) -> tuple[str | None, str]:
    """Return the size of a pixel along an axis and its unit, as written."""
    return pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m")


def _summary(image: ElementTree.Element) -> str:
    """Return an image's name and the lengths of its axes."""
    pixels = image.find("{*}Pixels")
    name, about = image.get("Name"), {} if pixels is None else pixels.attrib
    lengths = [about.get(f"Size{axis}", "?") for axis in "TZCYX"]
    shown = [n for axis, n in zip("TZCYX", lengths, strict=True) if axis in "TYX" or n != "1"]
    return (f"{name!r} " if name else "") + "x".join(shown)


class _Places:
    """Where every frame is, filled in from the TiffData elements of the XML."""

    def __init__(
        self, path: Path, pages: TiffPages, description: _Description, n_frames: int, *, growing: bool
    ) -> None:
        self.path, self.uuid, self.holder, self.growing = path, description.uuid, description.holder, growing
        self.files = [pages]
        self.file_of = np.full(n_frames, -1, np.int64)
        self.page_of = np.full(n_frames, -1, np.int64)
        self._numbers: dict[str, int] = {path.name: 0}

    def fill(
        self, pixels: ElementTree.Element, axes: str, shape: tuple[int, ...], channel: tuple[int, int] | None
    ) -> None:
        """Give every frame its place, and keep those of one channel; raise `InputError` where a frame has none."""
        n_frames, blocks = len(self.file_of), list(pixels.iterfind("{*}TiffData"))
        if not blocks:
            blocks = [ElementTree.Element("TiffData")]
        self._accept_renamed(blocks)
        for block in blocks:
            number = self._file_number(block.find("{*}UUID"))
            if number is None:
                continue
            first = int(np.ravel_multi_index([int(block.get(f"First{a}", 0)) for a in axes], shape))
            page = int(block.get("IFD", 0))
            # Where it does not say how many: the one page it names, else all pages of the file.
            implied = 1 if "IFD" in block.attrib else min(len(self.files[number]), n_frames - first)
            count = int(block.get("PlaneCount", block.get("NumPlanes", implied)))
            if first + count > n_frames:
                raise InputError(f"{self.path}: its OME-XML announces {n_frames} frames and places {first + count}")
            self.file_of[first : first + count] = number
            self.page_of[first : first + count] = np.arange(page, page + count)
        if self.holder is not None and not (self.file_of == 0).any():
            raise InputError(
                f"{self.path}: its OME-XML is in {self.holder}, which does not list it as part of its movie"
            )
        if channel is not None:
            axis, number = channel
            self.file_of, self.page_of = (
                where.reshape(shape).take(number, axis).ravel() for where in (self.file_of, self.page_of)
            )
        if self.growing:
            self._drop_from_first_missing()
        self._check_all_there()

    def _accept_renamed(self, blocks: list[ElementTree.Element]) -> None:
        """Take a data set of one file, whatever name the XML remembers, to be the file at hand."""
        names = {name for block in blocks for name in _file_names(block)}
        if len(names) == 1 and _bare(next(iter(names))) != self.holder:
            self._numbers[names.pop()] = 0

    def _file_number(self, uuid: ElementTree.Element | None) -> int | None:
        """Return the number of the file that a TiffData element names, which is opened if it is a new one.

        None is a file that is not there yet.
        """
        if uuid is not None and self.uuid is not None and uuid.text == self.uuid:
            return 0
        # Where no file is named it is the one that holds the XML.
        name = (uuid.get("FileName") if uuid is not None else None) or self.holder
        if name is None:
            return 0
        if name not in self._numbers:
            companion = self.path.parent / _bare(name)
            try:
                if not companion.is_file():
                    raise InputError(f"{self.path}: part of the movie is in {companion.name}, which is missing")
                pages = read_pages(companion, growing=self.growing)
            except InputError:
                if self.growing:
                    return None
                raise
            self._numbers[name] = len(self.files)
            self.files.append(pages)
        return self._numbers[name]

    def _drop_from_first_missing(self) -> None:
        """Leave out the first missing frame and all that follow."""
        there = np.zeros(len(self.file_of), bool)
        for number, pages in enumerate(self.files):
            there |= (self.file_of == number) & np.isin(self.page_of, pages.index)
        n_frames = len(there) if there.all() else int(np.argmin(there))
        self.file_of, self.page_of = self.file_of[:n_frames], self.page_of[:n_frames]

    def _check_all_there(self) -> None:
        n_frames = len(self.file_of)
        if (self.file_of < 0).any():
            listed = int((self.file_of >= 0).sum())
            raise IncompleteMovieError(
                f"{self.path}: its OME-XML announces {n_frames} frames and places only {listed} of them"
            )
        for number, pages in enumerate(self.files):
            of_file = self.file_of == number
            missing = np.setdiff1d(self.page_of[of_file], pages.index)
            if missing.size:
                raise IncompleteMovieError(
                    f"{pages.path}: the file is cut off or its acquisition was stopped: its OME-XML announces "
                    f"{n_frames} frames and places one on page {int(missing[0])}, the file has {len(pages)} pages"
                )
            # From the number among all pages to the number among the images, thumbnails left out.
            self.page_of[of_file] = np.searchsorted(pages.index, self.page_of[of_file])


def _file_names(block: ElementTree.Element) -> Iterator[str]:
    for uuid in block.iterfind("{*}UUID"):
        if uuid.get("FileName"):
            yield str(uuid.get("FileName"))


def _bare(name: str) -> str:
    """Return a file's name without its folder, which another computer may have had."""
    return Path(name.replace("\\", "/")).name
