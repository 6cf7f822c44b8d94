"""The pages of one TIFF file and where their pixels lie, checked against the length of the file.

TIFF readers tend to open a file that was cut off as a shorter movie. Here the chain of pages (TIFF 6.0, section 2, and
BigTIFF) is walked to its end, cheaply, and a page or pixels that should lie beyond the end of the file are an error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import open_input
from napari_subpixel.errors import IncompleteMovieError, InputError

#: Tags of a page that are read, with their names in TIFF 6.0.
SUBFILE = 254  # NewSubfileType
WIDTH = 256  # ImageWidth
HEIGHT = 257  # ImageLength
BITS = 258  # BitsPerSample
COMPRESSION = 259  # Compression
FILL_ORDER = 266  # FillOrder
OFFSETS = 273  # StripOffsets
SAMPLES = 277  # SamplesPerPixel
COUNTS = 279  # StripByteCounts
PREDICTOR = 317  # Predictor
TILE_WIDTH = 322  # TileWidth
TILE_OFFSETS = 324  # TileOffsets
TILE_COUNTS = 325  # TileByteCounts
SAMPLE_FORMAT = 339  # SampleFormat
WANTED = frozenset((
    SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, FILL_ORDER, OFFSETS, SAMPLES, COUNTS,
    PREDICTOR, TILE_WIDTH, TILE_OFFSETS, TILE_COUNTS, SAMPLE_FORMAT,
))  # fmt: skip
#: Tags that differ from page to page though the pages are alike.
PLACES = frozenset((OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS))
#: Type of a tag's numbers as struct and numpy write it: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
NUMBER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
#: Bytes of one value, of every type that TIFF and BigTIFF define.
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
#: From here on programs have tags of their own, which need not keep the rules.
FIRST_PRIVATE_TAG = 32768
#: Bits of NewSubfileType that mark a page as a thumbnail or a mask rather than an image.
NOT_AN_IMAGE = 0b101
#: More tags than this in one page mean that what was read is no page.
MAX_TAGS = 4096
#: Bytes read for a page at once; enough for the tags of all but a few programs.
PAGE_BYTES = 512
#: Bytes that a file of one frame may have besides its pixels; more than this, and as many again as those, are frames.
MAX_EXTRA_BYTES = 1 << 16
#: Bytes between the pages of a file that are searched for further ones.
MAX_SEARCHED_BYTES = 1 << 26
#: Bytes of them that are searched at once.
SEARCHED_PIECE = 1 << 20
#: Places from here on can only be damage; they would not fit a signed number.
BEYOND_ANY_FILE = 2**62

Tags = dict[int, tuple[int, int, bytes]]


class Layout(NamedTuple):
    """What must be alike in all frames of a movie."""

    height: int
    width: int
    bits: int
    sample_format: int
    samples: int

    @property
    def nbytes(self) -> int:
        """Bytes of a page that is not compressed."""
        return self.height * self.width * self.samples * self.bits // 8

    def __str__(self) -> str:
        kind = {1: "uint", 2: "int", 3: "float"}.get(self.sample_format, f"format {self.sample_format}, ")
        colours = f", {self.samples} samples a pixel" if self.samples > 1 else ""
        return f"{self.height} x {self.width} px, {kind}{self.bits}{colours}"


@dataclass(frozen=True, eq=False, slots=True)
class TiffPages:
    """The images of one TIFF file, thumbnails and masks left out.

    Attributes
    ----------
    path : Path
    byteorder : str
        "<" or ">".
    index : ndarray of int64, shape (N,)
        Number of each image among all pages of the file.
    offset : ndarray of int64, shape (N,)
        Where its pixels start if they lie in one piece, row by row, uncompressed; -1 elsewhere.
    ifd : int
        Where the first page's tags are.
    layouts : tuple of Layout
        The different layouts among the images.
    layout_of : ndarray of int64, shape (N,)
        Which of them each image has.
    file_size : int
        Bytes of the file.
    n_unlisted : int
        Pages that lie in the file, but are not in its chain of pages.
    """

    path: Path
    byteorder: str
    index: NDArray[np.int64]
    offset: NDArray[np.int64]
    ifd: int
    layouts: tuple[Layout, ...]
    layout_of: NDArray[np.int64]
    file_size: int
    n_unlisted: int = 0

    def __len__(self) -> int:
        return len(self.index)

    def layout(self, page: int) -> Layout:
        """Return the layout of an image."""
        return self.layouts[self.layout_of[page]]

    def part(self, start: int, stop: int) -> TiffPages:
        """Return some of the images, from `start` up to but without `stop`."""
        columns = {name: getattr(self, name)[start:stop] for name in ("index", "offset", "layout_of")}
        return replace(self, **columns)

    def by_layout(self) -> list[TiffPages]:
        """Return the images of each layout, in the order in which the layouts first come."""
        return [self._of_layout(number) for number in range(len(self.layouts))]

    def _of_layout(self, number: int) -> TiffPages:
        these = self.layout_of == number
        alike = np.zeros(int(these.sum()), np.int64)
        return replace(
            self, index=self.index[these], offset=self.offset[these], layouts=(self.layouts[number],), layout_of=alike
        )


class _Kind(NamedTuple):
    """What the tags of an image say, apart from where its pixels are."""

    layout: Layout
    is_plain: bool


def is_tiff(head: bytes) -> bool:
    """Say whether the first bytes of a file are those of a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_pages(path: Path, *, growing: bool = False) -> TiffPages:
    """Walk the chain of pages of a TIFF file and check that all of them, and their pixels, are there.

    Parameters
    ----------
    path : Path
    growing : bool
        The file is still being written: take the pages before the first that is not whole.

    Raises
    ------
    InputError
        If the file is missing, is no TIFF, or is cut off; the message says where.
    """
    with open_input(path) as file:
        return _Walk(path, file).pages(growing=growing)


def holds_one_frame(path: Path) -> bool | None:
    """Say, by its first page alone, whether a TIFF file holds a single frame; None where that cannot be decided.

    Programs that write many frames under one page, such as ImageJ beyond 4 GB, are known by the size of the file.
    """
    try:
        with open_input(path) as file:
            return _Walk(path, file).is_single()
    except InputError:
        return None


class _Walk:
    """One pass along the pages of an open file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.file_size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16)
        if not is_tiff(head):
            raise InputError(f"{path}: not a TIFF file; it starts with {head[:12]!r}")
        self.order = "<" if head[:1] == b"I" else ">"
        self.big = b"+" in head[2:4]
        if len(head) < (16 if self.big else 8):
            raise self._cut("its header is incomplete")
        self.first = self._number(head[8:16] if self.big else head[4:8])
        self.count_size, self.entry = (8, "HHQ8s") if self.big else (2, "HHI4s")
        self.entry_struct = struct.Struct(self.order + self.entry)
        self.single = {t: struct.Struct(self.order + code) for t, code in NUMBER_TYPES.items()}
        # Where tags and pixels of the pages lie, from and up to; and the entries of the first page's width and height.
        self.tag_ranges: list[tuple[int, int]] = []
        self.pixel_ranges: list[tuple[int, int]] = []
        self.size_entries = b""

    def pages(self, *, growing: bool) -> TiffPages:
        index: list[int] = []
        offset: list[int] = []
        layout_of: list[int] = []
        layouts: dict[Layout, int] = {}
        # Most pages are alike: what their tags mean is found out once, which saves much of the time of a long chain.
        known: dict[tuple[Any, ...], _Kind | None] = {}
        try:
            for number, tags in enumerate(self._chain()):
                about = tuple(tag for tag in tags.items() if tag[0] not in PLACES)
                if about not in known:
                    known[about] = self._kind(number, tags)
                if (kind := known[about]) is None:
                    continue
                offset.append(self._place(number, tags, *kind))
                index.append(number)
                layout_of.append(layouts.setdefault(kind.layout, len(layouts)))
        except InputError:
            if not growing or not index:
                raise
        columns = (np.array(column, np.int64) for column in (index, offset, layout_of))
        numbers, places, kinds = columns
        n_unlisted = 0 if growing else self._n_unlisted()
        return TiffPages(
            self.path, self.order, numbers, places, self.first, tuple(layouts), kinds, self.file_size, n_unlisted
        )

    def is_single(self) -> bool:
        """Say whether there is one page, and no room for the pixels of a second frame."""
        tags, further = self._page(0, self.first)
        layout = self._layout(0, tags)
        has_room = self._is_plain(tags, layout) and self.file_size >= 2 * layout.nbytes + MAX_EXTRA_BYTES
        return not further and not has_room

    def _chain(self) -> Iterator[Tags]:
        """Yield the tags of every page, to the end of the chain."""
        offset, number, visited = self.first, 0, set()
        while offset:
            if offset in visited:
                raise InputError(f"{self.path}: a damaged TIFF: its pages run in a circle after page {number - 1}")
            visited.add(offset)
            tags, offset = self._page(number, offset)
            yield tags
            number += 1

    def _page(self, number: int, offset: int) -> tuple[Tags, int]:
        """Return the tags that matter of the page at `offset`, and where the next page is."""
        next_size = 8 if self.big else 4
        if offset + self.count_size > self.file_size:
            raise self._cut(f"page {number} should start at byte {offset:,}")
        head = self._bytes(offset, PAGE_BYTES)
        n_tags = self._number(head[: self.count_size])
        if not 0 < n_tags <= MAX_TAGS:
            raise InputError(f"{self.path}: a damaged TIFF: page {number} at byte {offset:,} has {n_tags} tags")
        end = self.count_size + n_tags * self.entry_struct.size
        if len(head) < end + next_size:
            head = self._bytes(offset, end + next_size)
        if len(head) < end + next_size:
            raise self._cut(f"page {number} at byte {offset:,} is incomplete")
        entries = self.entry_struct.iter_unpack(head[self.count_size : end])
        tags = {}
        for code, kind, count, value in entries:
            if code in WANTED:
                tags[code] = kind, count, value
            size = count * VALUE_BYTES.get(kind, 0)
            # A value larger than its place among the tags lies elsewhere in the file.
            if size > next_size and code < FIRST_PRIVATE_TAG and self._number(value) + size > self.file_size:
                raise self._cut(f"tag {code} of page {number} should be at byte {self._number(value):,}")
        self.tag_ranges.append((offset, offset + end + next_size))
        if not self.size_entries and WIDTH in tags and HEIGHT in tags:
            self.size_entries = b"".join(self.entry_struct.pack(code, *tags[code]) for code in (WIDTH, HEIGHT))
        return tags, self._number(head[end : end + next_size])

    def _kind(self, number: int, tags: Tags) -> _Kind | None:
        """Return what a page is like, None for a thumbnail or a mask."""
        if self._value(tags, SUBFILE, 0) & NOT_AN_IMAGE:
            return None
        layout = self._layout(number, tags)
        return _Kind(layout, self._is_plain(tags, layout))

    def _layout(self, number: int, tags: Tags) -> Layout:
        if WIDTH not in tags or HEIGHT not in tags:
            raise InputError(f"{self.path}: a damaged TIFF: page {number} does not say its width and height")
        return Layout(
            self._value(tags, HEIGHT, 0),
            self._value(tags, WIDTH, 0),
            self._value(tags, BITS, 1),
            self._value(tags, SAMPLE_FORMAT, 1),
            self._value(tags, SAMPLES, 1),
        )

    def _place(self, number: int, tags: Tags, layout: Layout, plain: bool) -> int:
        """Return where the pixels of a page lie in one piece, or -1; raise where they are not in the file."""
        where = TILE_OFFSETS if TILE_OFFSETS in tags else OFFSETS
        if plain and where in tags and tags[where][1] == 1:  # nearly always, and arrays would take far longer
            offset = self._value(tags, where, 0)
            if offset > 0 and layout.nbytes > 0:
                self._check_end(number, offset + layout.nbytes)
                self.pixel_ranges.append((offset, offset + layout.nbytes))
                return offset
        offsets = self._values(tags, where)
        counts = self._values(tags, TILE_COUNTS if TILE_COUNTS in tags else COUNTS)
        if plain and len(offsets) == 1:  # then the count is known, and old programs leave it out or write 0
            counts = np.array([layout.nbytes], np.int64)
        if len(counts) != len(offsets) or not len(offsets) or (offsets <= 0).any() or (counts <= 0).any():
            raise InputError(f"{self.path}: page {number} has no pixels in the file (was its writing interrupted?)")
        self.pixel_ranges.append((int(offsets.min()), int((offsets + counts).max())))
        if plain and np.array_equal(offsets[1:], offsets[:-1] + counts[:-1]):
            self._check_end(number, int(offsets[0]) + layout.nbytes)
            return int(offsets[0])
        self._check_end(number, int((offsets + counts).max()))
        return -1

    def _n_unlisted(self) -> int:
        """Count the pages that lie between those of the chain, which was broken and led past them or ends too early.

        They are known by the entries of width and height, which all pages of a movie share, and count only as far
        as there is room for their pixels: what other programs leave behind are tags without pixels.
        """
        if not self.pixel_ranges:
            return 0
        gaps, at, n_pages = [], 0, 0
        for start, stop in [*sorted([*self.tag_ranges, *self.pixel_ranges]), (self.file_size, self.file_size)]:
            if start > at:
                gaps.append((at, start))
            at = max(at, stop)
        room = sum(stop - start for start, stop in gaps)
        page = min(stop - start for start, stop in self.pixel_ranges)
        if room < page:
            return 0
        left = MAX_SEARCHED_BYTES
        for start, stop in gaps:
            n_pages += self._count_size_entries(start, min(stop, start + left))
            left = max(left - (stop - start), 0)
        return min(n_pages, room // page)

    def _count_size_entries(self, start: int, stop: int) -> int:
        """Count, piece by piece, where a part of the file holds the entries of width and height."""
        overlap = len(self.size_entries) - 1
        starts = range(start, stop - overlap, SEARCHED_PIECE)
        pieces = (self._bytes(at, min(SEARCHED_PIECE + overlap, stop - at)) for at in starts)
        return sum(piece.count(self.size_entries) for piece in pieces)

    def _is_plain(self, tags: Tags, layout: Layout) -> bool:
        """Say whether the pixels are neither packed nor tiled: bytes of whole numbers, row after row."""
        plain = all(self._value(tags, code, 1) == 1 for code in (COMPRESSION, PREDICTOR, FILL_ORDER))
        return plain and TILE_WIDTH not in tags and layout.bits in (8, 16, 32, 64)

    def _check_end(self, number: int, end: int) -> None:
        if end > self.file_size:
            raise self._cut(f"the pixels of page {number} should reach byte {end:,}")

    def _value(self, tags: Tags, code: int, default: int) -> int:
        """Return the first number of a tag; all but offsets and counts are one number, or equal ones."""
        if code not in tags:
            return default
        kind, count, raw = tags[code]
        if kind not in self.single or not count:
            return default
        size = self.single[kind].size
        if count * size > len(raw):
            raw = self._bytes(self._number(raw), size)
        return int(self.single[kind].unpack_from(raw)[0])

    def _values(self, tags: Tags, code: int) -> NDArray[np.int64]:
        kind, count, raw = tags.get(code, (0, 0, b""))
        if kind not in self.single:
            return np.empty(0, np.int64)
        nbytes = count * self.single[kind].size
        if nbytes > len(raw):
            raw = self._bytes(self._number(raw), nbytes)
        if count == 1:  # nearly always, and the slower way takes most of the time of a long chain
            return np.array([min(self.single[kind].unpack_from(raw)[0], BEYOND_ANY_FILE)], np.int64)
        return np.frombuffer(raw[:nbytes], self.order + NUMBER_TYPES[kind]).astype(np.int64)

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, "little" if self.order == "<" else "big")

    def _bytes(self, offset: int, count: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(count)

    def _cut(self, what: str) -> IncompleteMovieError:
        return IncompleteMovieError(
            f"{self.path}: the file is cut off: {what}, the file ends at byte {self.file_size:,}"
        )
