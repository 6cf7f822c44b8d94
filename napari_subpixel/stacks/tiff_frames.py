"""Frames read from the pages of one or many TIFF files, by one reader for all kinds of TIFF movies."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_subpixel.errors import InputError
from napari_subpixel.stacks.axes import check_shape, checked_dtype
from napari_subpixel.stacks.tiff_pages import Layout, TiffPages

#: A movie may have one file per frame; at most this many are held open.
MAX_OPEN_FILES = 16


class TiffFrames:
    """Frames, each a page of one of several TIFF files.

    Parameters
    ----------
    files : sequence of TiffPages
        The files; all frames are of one layout.
    file_of, page_of : array_like of int, shape (T,)
        Which file each frame is in, and which of the file's images it is.
    dtype : numpy.dtype
        Type of the numbers.
    """

    def __init__(self, files: Sequence[TiffPages], file_of: ArrayLike, page_of: ArrayLike, dtype: DTypeLike) -> None:
        self._pages = list(files)
        self._file_of, self._page_of = np.asarray(file_of, np.int64), np.asarray(page_of, np.int64)
        self.files: Sequence[Path] = [pages.path for pages in files]
        self.dtype = checked_dtype(str(self.files[0]), dtype)
        first = self._check_alike()
        self.shape = (len(self._file_of), first.height, first.width)
        check_shape(str(self.files[0]), self.shape)
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _OpenTiff] = OrderedDict()
        self._closed = False

    def read(self, frames: range, rows: range) -> NDArray[Any]:
        """Return these rows of these frames; several threads take turns."""
        out = np.empty((len(frames), len(rows), self.shape[2]), self.dtype)
        if out.size:
            with self._lock:
                if self._closed:  # by another thread, since the read began
                    raise ValueError("the movie is closed")
                for number, frame in enumerate(frames):
                    file = self._file(int(self._file_of[frame]))
                    file.read_into(out[number], int(self._page_of[frame]), rows)
        return out

    def close(self) -> None:
        """Close whatever files are open."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, number: int) -> _OpenTiff:
        """Return an open file, and close the one that was not used for longest where there are too many."""
        if number not in self._open:
            self._open[number] = _OpenTiff(self._pages[number])
            if len(self._open) > MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]

    def _check_alike(self) -> Layout:
        """Return the layout of the frames; raise `InputError` where one differs."""
        first_pages = self._pages[self._file_of[0]]
        first = first_pages.layout(self._page_of[0])
        if all(pages.layouts == (first,) for pages in self._pages):
            return first
        for file, page in zip(self._file_of.tolist(), self._page_of.tolist(), strict=True):
            layout = self._pages[file].layout(page)
            if layout != first:
                path, number = self._pages[file].path, self._pages[file].index[page]
                whose = "the first page" if path == first_pages.path else f"{first_pages.path.name}"
                raise InputError(f"{path}: frames differ: page {number} is {layout}; {whose} is {first}")
        return first


class _OpenTiff:
    """One file, opened for plain reading and, only where pages are compressed or tiled, by tifffile."""

    def __init__(self, pages: TiffPages) -> None:
        self._pages = pages
        self._file: RawIOBase | None = None
        self._decoder: Any = None

    def read_into(self, out: NDArray[Any], page: int, rows: range) -> None:
        """Fill `out`, shape (len(rows), X), with rows of a page."""
        if self._pages.offset[page] < 0:
            out[:] = self._decoded(int(self._pages.index[page]))[rows.start : rows.stop]
            return
        if self._file is None:
            self._file = open(self._pages.path, "rb", buffering=0)  # noqa: SIM115 (closed in `close`)
        self._file.seek(int(self._pages.offset[page]) + rows.start * out.strides[0])
        _fill(self._file, self._pages.path, out)
        if not np.dtype(self._pages.byteorder + out.dtype.str[1:]).isnative:
            out.byteswap(inplace=True)

    def _decoded(self, index: int) -> NDArray[Any]:
        if self._decoder is None:
            import tifffile

            self._decoder = tifffile.TiffFile(self._pages.path)
        return self._decoder.pages[index].asarray()

    def close(self) -> None:
        for file in (self._file, self._decoder):
            if file is not None:
                file.close()
        self._file = self._decoder = None


def _fill(file: RawIOBase, path: Path, out: NDArray[Any]) -> None:
    """Fill a contiguous array from here on; the system may hand over a large read in pieces."""
    buffer, filled = out.data.cast("B"), 0
    while filled < len(buffer):
        count = file.readinto(buffer[filled:])
        if not count:
            raise InputError(f"{path}: the file became shorter while it was read")
        filled += count
