"""Movies of every kind for the tests, and what is checked of each."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import open_stack

#: Frames that are never square and number fewer than their rows.
SHAPE = (9, 13, 17)


def opens_as(movie, expected, **about) -> None:
    """Check that a movie has these frames, read in more than one way."""
    with open_stack(movie) as stack:
        assert stack.shape == expected.shape
        assert stack.dtype == expected.dtype
        assert stack.dtype.isnative
        for name, value in about.items():
            assert getattr(stack, name) == value
        np.testing.assert_array_equal(stack[:], expected)
        np.testing.assert_array_equal(stack[-1], expected[-1])
        np.testing.assert_array_equal(stack.read(1, 3, (slice(2, 5), slice(3, 11))), expected[1:3, 2:5, 3:11])


def refused(movie, *parts, error: type[InputError] = InputError, **options) -> str:
    """Check that opening, or else reading, a movie is refused in one line that has all these parts."""
    with pytest.raises(error) as caught, open_stack(movie, **options) as stack:
        stack[:]
    message = str(caught.value)
    assert "\n" not in message
    for part in (*parts, Path(movie).name) if isinstance(movie, (str, Path)) else parts:
        assert str(part) in message
    return message


def open_files(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    targets = []
    for link in folder.iterdir():
        try:
            targets.append(os.readlink(link))
        except OSError:  # the listing of the folder itself
            continue
    return {t for t in targets if "pytest" in t and (".tif" in t or ".zip" in t)}


def tiff_bytes(pages, *, order="<", chain=None) -> bytes:
    """Build a TIFF by hand: each page a list of (tag, type, values), laid down one after another from byte 8.

    `chain` gives, instead of the true ones, the number of the page that follows each page; None ends the chain.
    """
    sizes = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I"}
    places, place = [], 8
    for tags in pages:
        places.append(place)
        place += 2 + 12 * len(tags) + 4 + sum(max(0, len(_packed(order, sizes, t)) - 4) and 64 for t in tags)
    out = bytearray(order.replace("<", "II").replace(">", "MM").encode() + struct.pack(order + "HI", 42, 8))
    for number, tags in enumerate(pages):
        following = (number + 1 if number + 1 < len(pages) else None) if chain is None else chain[number]
        after = places[number] + 2 + 12 * len(tags) + 4
        ifd, values = struct.pack(order + "H", len(tags)), b""
        for tag in tags:
            raw = _packed(order, sizes, tag)
            count = len(tag[2]) // (2 if tag[1] == 5 else 1)
            where = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", after + len(values))
            values += raw.ljust(64, b"\0") if len(raw) > 4 else b""
            ifd += struct.pack(order + "HHI", tag[0], tag[1], count) + where
        out += ifd + struct.pack(order + "I", 0 if following is None else places[following]) + values
    return bytes(out)


def _packed(order, sizes, tag) -> bytes:
    values = tag[2].encode() if isinstance(tag[2], str) else tag[2]
    return struct.pack(f"{order}{len(values)}{sizes[tag[1]]}", *values)


def grey_page(height, width, offset, *, count=None, more=()):
    """Tags of an uncompressed 16-bit page with its pixels at `offset`."""
    tags = [(256, 3, [width]), (257, 3, [height]), (258, 3, [16]), (259, 3, [1]), (262, 3, [1]), (273, 4, [offset])]
    tags += [(277, 3, [1]), (279, 4, [height * width * 2 if count is None else count]), *more]
    return sorted(tags)


KINDS = {
    "plain": {"metadata": None},
    "tifffile's own": {},
    "tifffile's own, one page listed": {"truncate": True},
    "BigTIFF": {"bigtiff": True, "metadata": None},
    "big-endian": {"byteorder": ">"},
    "ImageJ": {"imagej": True, "metadata": {"axes": "TYX"}},
    "ImageJ, slices": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ImageJ, channels": {"imagej": True},
    "ImageJ, one page listed": {"imagej": True, "truncate": True},
    "OME": {"ome": True, "metadata": {"axes": "TYX"}},
    "OME, slices": {"ome": True, "metadata": {"axes": "ZYX"}},
    "many strips": {"rowsperstrip": 4, "metadata": None},
    "deflate": {"compression": "zlib"},
    "deflate with predictor": {"compression": "zlib", "predictor": True, "metadata": None},
    "LZW, big-endian": {"compression": "lzw", "byteorder": ">"},
    "tiled": {"tile": (16, 16)},
    "tiled and deflated": {"tile": (16, 16), "compression": "zlib", "ome": True},
}


def write_zarr(path, array, *, version=3, chunks=(2, 8, 8), **options):
    made = zarr.create_array(
        str(path), shape=array.shape, dtype=array.dtype, chunks=chunks, zarr_format=version, **options
    )
    made[...] = array
    return made
