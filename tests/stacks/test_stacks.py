"""Every kind of movie file opens as the same frames, and a damaged one is named instead of shortened."""

from __future__ import annotations

import gc
import json
import os
import shutil
import struct
import threading
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_subpixel.errors import AxesError, InputError
from napari_subpixel.stacks import Stack, check_finite, open_stack
from napari_subpixel.stacks.tiff_frames import MAX_OPEN_FILES

#: Frames that are never square and number fewer than their rows.
SHAPE = (9, 13, 17)

OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>{body}</OME>'


@pytest.fixture
def frames(rng) -> np.ndarray:
    return rng.integers(0, 2**16, SHAPE).astype(np.uint16)


@pytest.fixture(autouse=True, scope="module")
def what_is_imported_is_no_garbage():
    """Leave everything loaded so far out of the collections below, which are then quick."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_file_is_left_open():
    """Fail a test that leaves a file open, where the system tells which are."""
    folder = Path("/proc/self/fd")
    before = _open_files(folder)
    yield
    gc.collect()
    assert _open_files(folder) <= before


def _open_files(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    targets = []
    for link in folder.iterdir():
        try:
            targets.append(os.readlink(link))
        except OSError:  # the listing of the folder itself
            continue
    return {t for t in targets if "pytest" in t and (".tif" in t or ".zip" in t)}


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


# -- every kind of TIFF -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_every_kind_of_tiff_gives_the_same_frames(tmp_path, frames, options):
    tifffile.imwrite(tmp_path / "movie.tif", frames, **options)
    opens_as(tmp_path / "movie.tif", frames, name="movie.tif", path=tmp_path / "movie.tif")


@pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "i2", "u4", "i4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_whole_numbers_floats_and_bits_keep_their_type(tmp_path, frames, dtype, byteorder):
    frames = (frames > 30000) if dtype == "bool" else (frames // 600).astype(dtype)
    tifffile.imwrite(tmp_path / "movie.tif", frames, byteorder=byteorder, photometric="minisblack", metadata=None)
    opens_as(tmp_path / "movie.tif", frames)


def test_strips_that_lie_apart_are_put_together(tmp_path, frames):
    height, width = 4, 5
    image = frames[0, :height, :width]
    page = grey_page(height, width, 0)
    page = [t for t in page if t[0] not in (273, 279)]
    page += [(273, 4, [1000, 900]), (278, 3, [2]), (279, 4, [20, 20])]
    data = tiff_bytes([sorted(page)]).ljust(900, b"\0") + image[2:].tobytes().ljust(100, b"\0") + image[:2].tobytes()
    (tmp_path / "movie.tif").write_bytes(data)
    with open_stack(tmp_path / "movie.tif") as stack:
        np.testing.assert_array_equal(stack[0], image)


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "IYX", "QYX", "CYX"])
def test_one_further_axis_is_time_whatever_its_name(tmp_path, frames, axes):
    tifffile.imwrite(tmp_path / "movie.tif", frames, metadata={"axes": axes})
    opens_as(tmp_path / "movie.tif", frames)


def test_axes_of_length_one_are_left_out(tmp_path, frames):
    tifffile.imwrite(tmp_path / "a.tif", frames[:, None, None], metadata={"axes": "TZCYX"})
    opens_as(tmp_path / "a.tif", frames)
    tifffile.imwrite(tmp_path / "b.tif", frames[None, :, None], imagej=True, metadata={"axes": "TZCYX"})
    opens_as(tmp_path / "b.tif", frames)
    tifffile.imwrite(tmp_path / "c.tif", frames[..., None], photometric="minisblack")
    opens_as(tmp_path / "c.tif", frames)


def test_a_single_image_is_a_movie_of_one_frame(tmp_path, frames):
    for number, options in enumerate(({}, {"metadata": None}, {"imagej": True}, {"ome": True})):
        tifffile.imwrite(tmp_path / f"{number}.tif", frames[0], **options)
        with open_stack(tmp_path / f"{number}.tif") as stack:
            np.testing.assert_array_equal(stack[:], frames[:1])


def test_frames_written_one_after_another_are_one_movie(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        for frame in frames:
            writer.write(frame)
    opens_as(tmp_path / "movie.tif", frames)


def test_several_arrays_in_one_file_are_series(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(frames[:4], photometric="minisblack")
        writer.write(frames[4:])
    opens_as(tmp_path / "movie.tif", frames[:4], n_series=2)
    with open_stack(tmp_path / "movie.tif", series=1) as second:
        np.testing.assert_array_equal(second[:], frames[4:])
    refused(tmp_path / "movie.tif", "series 2 asked for, the file has 2", series=2)
    refused(tmp_path / "movie.tif", "series -1", series=-1)


def test_more_pages_than_an_old_description_announces_are_kept(tmp_path, frames):
    text = "ImageJ=1.53t\nimages=4\nframes=4\n"
    tifffile.imwrite(tmp_path / "movie.tif", frames, description=text, metadata=None)
    opens_as(tmp_path / "movie.tif", frames)


def test_thumbnails_are_not_frames(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(frames[:4], metadata=None, photometric="minisblack")
        writer.write(frames[0, ::2, ::2], subfiletype=1, metadata=None)
        writer.write(frames[4:], metadata=None)
    opens_as(tmp_path / "movie.tif", frames)


def test_imagej_movies_with_only_the_first_page_listed_are_read_to_their_end(tmp_path, frames):
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, frames, imagej=True, truncate=True, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 1
    opens_as(path, frames)


def test_imagej_images_without_frames_or_slices_are_counted(tmp_path, frames):
    text = f"ImageJ=1.53t\nimages={len(frames)}\n\0"
    page = grey_page(*SHAPE[1:], 400, more=[(270, 2, text)])
    (tmp_path / "movie.tif").write_bytes(tiff_bytes([page]).ljust(400, b"\0") + frames.tobytes())
    opens_as(tmp_path / "movie.tif", frames)


def test_metamorph_movies_list_one_page_for_all_frames(tmp_path, frames):
    planes = len(frames)
    # Of the six numbers a plane has in tag 33629, the first is its distance in z: a fraction.
    page = grey_page(*SHAPE[1:], 1000, more=[(33628, 4, [0, 0]), (33629, 5, [1, 1])])
    head = bytearray(tiff_bytes([page]).ljust(1000, b"\0"))
    table = struct.pack("<6I", 1, 1, 2455000, 1, 2455000, 1) * planes
    at = head.index(struct.pack("<HHI", 33629, 5, 1))
    head[at : at + 12] = struct.pack("<HHII", 33629, 5, planes, 400)
    head[400 : 400 + len(table)] = table
    (tmp_path / "movie.stk").write_bytes(bytes(head) + frames.tobytes())
    opens_as(tmp_path / "movie.stk", frames)
    (tmp_path / "cut.stk").write_bytes((bytes(head) + frames.tobytes())[:-9])
    refused(tmp_path / "cut.stk", "cut off", "announces 9 frames", "after 8")


def test_the_suffix_does_not_matter_where_the_bytes_are_those_of_a_tiff(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    os.rename(tmp_path / "movie.tif", tmp_path / "movie.dat")
    opens_as(tmp_path / "movie.dat", frames)


# -- OME-TIFF ---------------------------------------------------------------------------------------------------------


def ome_xml(n_frames, data, *, uuid="", order="XYCZT", extra="", **sizes) -> str:
    sizes = {"SizeT": n_frames, "SizeC": 1, "SizeZ": 1, "SizeY": SHAPE[1], "SizeX": SHAPE[2], **sizes}
    numbers = " ".join(f'{k}="{v}"' for k, v in sizes.items())
    pixels = f'<Pixels ID="P:0" DimensionOrder="{order}" Type="uint16" {numbers} {extra}>{data}</Pixels>'
    uuid = f' UUID="{uuid}"' if uuid else ""
    return OME.format(uuid=uuid, body=f'<Image ID="I:0">{pixels}</Image>')


def block(first, ifd, count, uuid=None, file=None) -> str:
    inner = f'<UUID FileName="{file}">{uuid}</UUID>' if uuid else ""
    return f'<TiffData FirstT="{first}" IFD="{ifd}" PlaneCount="{count}">{inner}</TiffData>'


def write_ome(path, frames, xml) -> None:
    tifffile.imwrite(path, frames, description=xml, metadata=None, photometric="minisblack")


def two_ome_files(folder, frames) -> Path:
    data = block(0, 0, 4, "urn:uuid:a", "a.ome.tif") + block(4, 0, 5, "urn:uuid:b", "b.ome.tif")
    write_ome(folder / "a.ome.tif", frames[:4], ome_xml(9, data, uuid="urn:uuid:a"))
    write_ome(folder / "b.ome.tif", frames[4:], ome_xml(9, data, uuid="urn:uuid:b"))
    return folder / "a.ome.tif"


def test_an_ome_movie_in_two_files_opens_from_either(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    opens_as(first, frames, name="a.ome.tif")
    opens_as(tmp_path / "b.ome.tif", frames)


def test_of_several_positions_in_two_files_each_the_one_that_the_file_belongs_to_opens(tmp_path, frames):
    """As microscopes write them: every file carries the XML of all positions."""
    images = ""
    for position in "01":
        names = [f"Pos{position}.ome.tif", f"Pos{position}_1.ome.tif"]
        data = "".join(block(4 * n, 0, 4 + n, f"urn:uuid:{name}", name) for n, name in enumerate(names))
        body = ome_xml(9, data)
        images += body[body.index("<Image") : body.index("</Image>") + len("</Image>")]
    movies = {"0": frames, "1": frames[::-1]}
    for position, movie in movies.items():
        for name, part in ((f"Pos{position}.ome.tif", movie[:4]), (f"Pos{position}_1.ome.tif", movie[4:])):
            write_ome(tmp_path / name, part, OME.format(uuid=f' UUID="urn:uuid:{name}"', body=images))
    for position, movie in movies.items():
        opens_as(tmp_path / f"Pos{position}.ome.tif", movie)
        opens_as(tmp_path / f"Pos{position}_1.ome.tif", movie, n_series=1)


def test_a_missing_companion_file_is_named(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    (tmp_path / "b.ome.tif").unlink()
    refused(first, "b.ome.tif", "missing")


def test_a_companion_file_that_was_cut_off_is_named(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tiff:
        third = tiff.pages[3].offset
    os.truncate(tmp_path / "b.ome.tif", third)
    with pytest.raises(InputError, match=r"b\.ome\.tif: the file is cut off"):
        open_stack(first)
    tifffile.imwrite(tmp_path / "b.ome.tif", frames[4:7], metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match=r"b\.ome\.tif: the file is cut off.*page 3.*has 3 pages"):
        open_stack(first)


def test_a_renamed_ome_file_is_still_itself(tmp_path, frames):
    write_ome(tmp_path / "new.tif", frames, ome_xml(9, block(0, 0, 9, "urn:uuid:a", "old.ome.tif")))
    opens_as(tmp_path / "new.tif", frames)


def test_ome_frames_are_taken_from_the_pages_that_the_xml_says(tmp_path, frames):
    data = "".join(block(t, 8 - t, 1) for t in range(9))
    write_ome(tmp_path / "movie.ome.tif", frames[::-1], ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


@pytest.mark.parametrize("data", ["", "<TiffData/>", '<TiffData FirstT="0" PlaneCount="9"/>'])
def test_ome_xml_may_leave_the_pages_unsaid(tmp_path, frames, data):
    write_ome(tmp_path / "movie.ome.tif", frames, ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


def test_ome_xml_may_be_in_a_file_of_its_own_or_in_another_tiff(tmp_path, frames):
    data = block(0, 0, 9, "urn:uuid:a", "movie.ome.tif")
    only = '<BinaryOnly MetadataFile="{}" UUID="urn:uuid:m"/>'
    write_ome(tmp_path / "movie.ome.tif", frames, OME.format(uuid="", body=only.format("all.companion.ome")))
    refused(tmp_path / "movie.ome.tif", "all.companion.ome", "missing")
    (tmp_path / "all.companion.ome").write_text(ome_xml(9, data, uuid="urn:uuid:m"), encoding="utf-8")
    opens_as(tmp_path / "movie.ome.tif", frames)
    write_ome(tmp_path / "movie.ome.tif", frames, OME.format(uuid="", body=only.format("master.ome.tif")))
    write_ome(tmp_path / "master.ome.tif", frames[0], ome_xml(9, data, uuid="urn:uuid:m"))
    opens_as(tmp_path / "movie.ome.tif", frames)


def test_images_of_an_ome_file_are_series(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.ome.tif", ome=True) as writer:
        writer.write(frames[:4, :5], metadata={"axes": "TYX"})
        writer.write(frames[4:], metadata={"axes": "TYX"})
    opens_as(tmp_path / "movie.ome.tif", frames[:4, :5], n_series=2)
    with open_stack(tmp_path / "movie.ome.tif", series=1) as second:
        np.testing.assert_array_equal(second[:], frames[4:])
    refused(tmp_path / "movie.ome.tif", "series 2 asked for", series=2)


@pytest.mark.parametrize(
    ("xml", "seen"),
    [
        (ome_xml(12, "<TiffData/>"), "announces 12 frames and places only 9"),
        (ome_xml(12, block(0, 0, 12)), "cut off: its OME-XML places a frame on page 9"),
        (ome_xml(9, block(0, 0, 4)), "announces 9 frames and places only 4"),
        (ome_xml(3, block(0, 0, 9)), "announces 3 frames and places 9"),
        (ome_xml(0, block(0, 0, 9)), "no frames"),
        (ome_xml(9, block(11, 0, 1)), "its OME-XML is damaged"),
        (ome_xml(9, "", SizeT="nine"), "its OME-XML is damaged"),
        (ome_xml(9, "", SizeX=16), "OME-XML says frames of (13, 16), the pages are (13, 17)"),
        (ome_xml(3, "<TiffData/>", SizeZ=3), "axes TZCYX of shape (3, 3, 1, 13, 17)"),
        (ome_xml(9, "").replace("</Pixels>", "</Pixel>"), "its OME-XML is damaged"),
        (OME.format(uuid="", body='<Image ID="I:0"/>'), "does not describe the pixels"),
        (OME.format(uuid="", body=""), "the file has 0"),
    ],
)
def test_ome_xml_that_does_not_fit_the_pages_is_refused(tmp_path, frames, xml, seen):
    write_ome(tmp_path / "movie.ome.tif", frames, xml)
    refused(tmp_path / "movie.ome.tif", seen)


def test_an_ome_uuid_without_a_file_name_means_the_file_itself(tmp_path, frames):
    data = '<TiffData IFD="0" PlaneCount="9"><UUID>urn:uuid:a</UUID></TiffData>'
    write_ome(tmp_path / "movie.ome.tif", frames, ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


# -- folders ----------------------------------------------------------------------------------------------------------


def write_folder(folder: Path, frames, *, name="img_{}.tif", **options) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        tifffile.imwrite(folder / name.format(number), frame, **options)
    return folder


def test_a_folder_of_frames_is_a_movie_in_natural_order(tmp_path, rng):
    frames = rng.integers(0, 255, (12, 5, 6)).astype(np.uint8)
    folder = write_folder(tmp_path / "cell", frames)
    (folder / "._img_0.tif").write_bytes(b"left by a file manager")
    (folder / "notes.txt").write_text("not a frame")
    opens_as(folder, frames, name="cell", path=folder)


def test_a_folder_may_mix_byte_orders_and_compression(tmp_path, frames):
    folder = write_folder(tmp_path / "cell", frames, metadata=None)
    tifffile.imwrite(folder / "img_1.tif", frames[1], byteorder=">")
    tifffile.imwrite(folder / "img_2.tif", frames[2], compression="zlib")
    opens_as(folder, frames)


def test_a_large_folder_keeps_few_files_open(tmp_path, rng):
    frames = rng.integers(0, 255, (3 * MAX_OPEN_FILES, 5, 6)).astype(np.uint8)
    folder = write_folder(tmp_path / "cell", frames)
    with open_stack(folder) as stack:
        np.testing.assert_array_equal(stack[:], frames)
        assert len(_open_files(Path("/proc/self/fd"))) <= MAX_OPEN_FILES


def test_a_folder_with_one_tiff_is_that_movie(tmp_path, frames):
    (tmp_path / "cell").mkdir()
    tifffile.imwrite(tmp_path / "cell" / "movie.tif", frames)
    opens_as(tmp_path / "cell", frames, name="movie.tif")


def test_a_frame_that_differs_is_named(tmp_path, frames):
    folder = write_folder(tmp_path / "cell", frames)
    tifffile.imwrite(folder / "img_5.tif", frames[5, :, :4])
    refused(folder, "img_5.tif", "13 x 4 px", "img_0.tif is 13 x 17 px, uint16")
    tifffile.imwrite(folder / "img_5.tif", frames[5].astype(np.float32))
    refused(folder, "img_5.tif", "float32")
    tifffile.imwrite(folder / "img_5.tif", frames[5:7])
    refused(folder, "img_5.tif", "has 2 pages")
    (folder / "img_5.tif").write_bytes((folder / "img_4.tif").read_bytes()[:-20])
    refused(folder, "img_5.tif", "cut off")
    (folder / "img_5.tif").write_bytes(b"")
    refused(folder, "img_5.tif", "0 bytes")


def test_a_folder_without_frames_says_what_it_holds(tmp_path, frames):
    (tmp_path / "cell").mkdir()
    refused(tmp_path / "cell", "no TIFF files", "nothing")
    (tmp_path / "cell" / "notes.txt").write_text("")
    refused(tmp_path / "cell", "notes.txt")
    refused(write_folder(tmp_path / "b", frames), "series 1 asked for", series=1)
    refused(write_folder(tmp_path / "rgb", np.zeros((2, 5, 6, 3), np.uint8), photometric="rgb"), "colour")


# -- Zarr -------------------------------------------------------------------------------------------------------------


def write_zarr(path, array, *, version=3, chunks=(2, 8, 8), **options):
    made = zarr.create_array(
        str(path), shape=array.shape, dtype=array.dtype, chunks=chunks, zarr_format=version, **options
    )
    made[...] = array
    return made


def write_ome_zarr(path, array, *, version, axes, scale, outer=None) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    made = group.create_array("0", shape=array.shape, dtype=array.dtype, chunks=array.shape)
    made[...] = array
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [_scale(scale)]}]}
    if outer:
        image["coordinateTransformations"] = [_scale(outer)]
    group.attrs.update({"ome": {"multiscales": [image]}} if version == 3 else {"multiscales": [image]})


def _scale(factors) -> dict:
    return {"type": "scale", "scale": list(factors)}


TCZYX = [{"name": n} for n in "tcz"] + [{"name": n, "unit": "micrometer"} for n in "yx"]


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_open_from_a_folder(tmp_path, frames, version):
    write_zarr(tmp_path / "movie.zarr", frames, version=version)
    opens_as(tmp_path / "movie.zarr", frames, name="movie.zarr")


def test_ome_zarr_without_an_x_axis_is_refused(tmp_path, frames):
    write_ome_zarr(tmp_path / "movie.zarr", frames, version=2, axes=["t", "a", "b"], scale=(1, 1, 1))
    refused(tmp_path / "movie.zarr", "expected a (T, Y, X) movie, got axes TAB")


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_opens_at_full_resolution_with_its_pixel_size(tmp_path, frames, version):
    path = tmp_path / "movie.ome.zarr"
    write_ome_zarr(path, frames[:, None, None], version=version, axes=TCZYX, scale=(1, 1, 1, 0.2, 0.2))
    opens_as(path, frames, pixel_size_nm=200.0)
    write_ome_zarr(path, frames[:, None, None], version=version, axes=TCZYX, scale=[1] * 5, outer=(1, 1, 1, 0.1, 0.1))
    opens_as(path, frames, pixel_size_nm=100.0)


def test_old_ome_zarr_does_not_name_its_axes(tmp_path, frames):
    group = zarr.open_group(str(tmp_path / "movie.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=(9, 1, 1, 13, 17), dtype="u2", chunks=(9, 1, 1, 13, 17))[...] = frames[:, None, None]
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    opens_as(tmp_path / "movie.zarr", frames, pixel_size_nm=None)


def test_images_of_an_ome_zarr_are_series(tmp_path, frames):
    path = tmp_path / "movie.zarr"
    zarr.open_group(str(path), mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for number, part in enumerate((frames[:4], frames[4:])):
        write_ome_zarr(path / str(number), part, version=2, axes=[{"name": n} for n in "tyx"], scale=(1, 1, 1))
    opens_as(path, frames[:4], n_series=2)
    with open_stack(path, series=1) as second:
        np.testing.assert_array_equal(second[:], frames[4:])
    refused(path, "series 2 asked for, the file has 2", series=2)


def test_zarr_opens_from_a_zip_file_whether_its_folder_was_zipped_along_or_not(tmp_path, frames):
    write_zarr(tmp_path / "movie.zarr", frames, version=2)
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", tmp_path / "movie.zarr")
    opens_as(Path(flat), frames, name="flat.zip")
    nested = shutil.make_archive(str(tmp_path / "nested"), "zip", tmp_path, "movie.zarr")
    opens_as(Path(nested), frames)


def test_axes_that_a_zarr_array_names_are_used(tmp_path, frames):
    write_zarr(tmp_path / "a.zarr", frames[:, None], chunks=(2, 1, 8, 8), dimension_names=("time", "z", "y", "x"))
    opens_as(tmp_path / "a.zarr", frames)
    write_zarr(tmp_path / "b.zarr", frames, dimension_names=("y", "x", "t"))
    refused(tmp_path / "b.zarr", "expected the order (T, Y, X), got axes YXT")
    write_zarr(tmp_path / "c.zarr", frames, dimension_names=("frame", "row", "column"))
    opens_as(tmp_path / "c.zarr", frames)


def test_a_group_with_one_array_is_that_array(tmp_path, frames):
    group = zarr.open_group(str(tmp_path / "movie.zarr"), mode="w")
    group.create_array("frames", shape=SHAPE, dtype="u2", chunks=SHAPE)[...] = frames
    opens_as(tmp_path / "movie.zarr", frames)
    refused(tmp_path / "movie.zarr", "series 1", series=1)
    group.create_array("more", shape=SHAPE, dtype="u2", chunks=SHAPE)
    refused(tmp_path / "movie.zarr", "expected one array", "'frames'", "'more'")


def test_damaged_zarr_is_refused(tmp_path, frames):
    path = tmp_path / "movie.zarr"
    write_zarr(path, frames)
    about = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text("{ not json")
    refused(path, "not a Zarr that can be read")
    (path / "zarr.json").write_text(about)
    (path / "c" / "1" / "0" / "0").write_bytes(b"damaged")
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[0], frames[0])
        with pytest.raises(InputError, match="frame 2 cannot be read"):
            stack[2]
    write_ome_zarr(tmp_path / "ome.zarr", frames, version=2, axes=["t", "y", "x"], scale=(1, 1, 1))
    shutil.rmtree(tmp_path / "ome.zarr" / "0")
    refused(tmp_path / "ome.zarr", "not a Zarr that can be read")


def test_zip_files_without_a_zarr_and_cut_off_ones_are_refused(tmp_path, frames):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("holiday.jpg", b"1234")
    refused(tmp_path / "photos.zip", "no Zarr in this zip file", "holiday.jpg")
    write_zarr(tmp_path / "movie.zarr", frames)
    path = Path(shutil.make_archive(str(tmp_path / "movie"), "zip", tmp_path / "movie.zarr"))
    os.truncate(path, path.stat().st_size // 2)
    refused(path, "cut off")


# -- arrays -----------------------------------------------------------------------------------------------------------


class CountingArray:
    """An array that counts the numbers it hands over, as a lazy one would."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        part = self.array[key]
        self.read += part.size
        return part


def test_arrays_of_numpy_and_zarr_are_wrapped(tmp_path, frames):
    for array in (frames, frames.astype(">u2"), write_zarr(tmp_path / "movie.zarr", frames), CountingArray(frames)):
        stack = open_stack(array, name="mine")
        assert (stack.name, stack.path, stack.shape) == ("mine", None, SHAPE)
        np.testing.assert_array_equal(stack[2:4], frames[2:4])
        assert stack[0].dtype == np.dtype("u2")
    assert open_stack(frames).name == "array"


def test_arrays_may_lack_time_or_have_outer_axes_of_one(frames):
    np.testing.assert_array_equal(open_stack(frames[3])[:], frames[3:4])
    for axes in [(0, 1), (0, 2), (1, 2)]:
        np.testing.assert_array_equal(open_stack(np.expand_dims(frames, axes))[:], frames)


@pytest.mark.parametrize("shape", [(5,), (), (2, 5, 13, 17), (1, 13, 17, 3), (5, 13, 17, 3)])
def test_arrays_of_another_shape_are_refused(shape):
    assert str(shape) in refused(np.zeros(shape), "expected a (T, Y, X) stack", name="a")


def test_a_colour_image_is_not_taken_for_a_narrow_movie():
    refused(np.zeros((13, 17, 3), np.uint8), "colour image")


def test_a_file_is_let_go_once_nobody_uses_the_movie(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    stack = open_stack(tmp_path / "movie.tif").close_when_unused()
    np.testing.assert_array_equal(stack[1], frames[1])
    del stack  # the fixture sees that no file is left open


def test_only_paths_and_arrays_are_movies():
    refused([[1, 2], [3, 4]], "got list")
    refused(None, "got NoneType")


def test_nothing_but_the_frames_asked_for_is_read(frames):
    array = CountingArray(frames)
    stack = open_stack(array)
    assert array.read == 0
    stack.read(2, 4)
    assert array.read == 2 * 13 * 17
    stack[1, 3:5]
    assert array.read == 2 * 13 * 17 + 2 * 17
    stack[::4]
    assert array.read == 2 * 13 * 17 + 2 * 17 + 3 * 13 * 17


# -- frames of a stack ------------------------------------------------------------------------------------------------


INDICES = [
    0,
    -1,
    np.int64(3),
    slice(None),
    slice(2, 5),
    slice(-3, None),
    slice(None, None, -1),
    slice(7, 1, -3),
    slice(0, 99, 4),
    slice(4, 4),
    (2,),
    (slice(1, 3), slice(2, 9, 3)),
    (slice(None), slice(None), slice(3, -2)),
    (3, slice(9, None, -4), slice(None, None, -1)),
    (slice(None), slice(None, None, -1)),
    (1, 2, 3),
    (slice(3), -1, slice(2, 4)),
    (-2, slice(4, 6), -1),
    (slice(0, 0), slice(0, 0), slice(0, 0)),
    (slice(5), slice(9, 3)),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_frames_are_cut_as_numpy_would(tmp_path, frames, index):
    tifffile.imwrite(tmp_path / "movie.tif", frames, byteorder=">")
    with open_stack(tmp_path / "movie.tif") as stack:
        part = stack[index]
        np.testing.assert_array_equal(part, frames[index])
        assert np.shape(part) == np.shape(frames[index])
        assert part.dtype == np.uint16


@pytest.mark.parametrize("index", [9, -10, (0, 13), (0, 0, 17), (0, 0, 0, 0)], ids=str)
def test_an_index_beyond_the_movie_is_an_index_error(frames, index):
    with pytest.raises(IndexError):
        open_stack(frames)[index]


def test_reading_beyond_the_movie_is_refused(frames):
    stack = open_stack(frames, name="cell")
    for start, stop in ((0, 10), (-1, 3), (5, 4)):
        with pytest.raises(InputError, match=f"cell: frames {start}:{stop} asked for, the movie has 0:9"):
            stack.read(start, stop)
    assert stack.read(9, 9).shape == (0, 13, 17)


def test_chunks_are_the_movie_in_pieces(frames):
    stack = open_stack(frames)
    assert [(first, len(part)) for first, part in stack.chunks(4)] == [(0, 4), (4, 4), (8, 1)]
    np.testing.assert_array_equal(np.concatenate([part for _, part in stack.chunks(2, 3, 8)]), frames[3:8])
    assert list(stack.chunks(3, 5, 5)) == []
    with pytest.raises(InputError, match="at least 1 frame, got 0"):
        next(stack.chunks(0))


def test_a_stack_tells_what_it_is(frames):
    stack = open_stack(frames, name="cell")
    assert len(stack) == stack.n_frames == 9
    assert stack.frame_shape == (13, 17)
    assert (stack.ndim, stack.nbytes) == (3, frames.nbytes)
    assert stack.pixel_size_nm is None
    assert repr(stack) == "<Stack 'cell': (9, 13, 17) uint16, pixel size unknown>"
    assert len(list(stack)) == 9


def test_the_whole_movie_becomes_an_array_only_on_purpose(frames):
    stack = open_stack(frames)
    with pytest.raises(TypeError, match=r"stack\[start:stop\]"):
        np.asarray(stack)
    np.testing.assert_array_equal(np.asarray(stack[3]), frames[3])


def test_a_closed_movie_is_not_read(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    stack = open_stack(tmp_path / "movie.tif")
    stack.close()
    stack.close()
    with pytest.raises(ValueError, match="the movie is closed"):
        stack[0]


def test_a_movie_closed_by_another_thread_is_not_opened_again(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    stack = open_stack(tmp_path / "movie.tif")
    stack._source.close()
    with pytest.raises(InputError, match="the movie is closed"):
        stack[0]


def test_no_file_stays_open_after_reading_or_after_an_error(tmp_path, frames):
    paths = [tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "c.zip"]
    tifffile.imwrite(paths[0], frames)
    tifffile.imwrite(paths[1], frames, compression="zlib")
    write_zarr(tmp_path / "c.zarr", frames)
    shutil.make_archive(str(tmp_path / "c"), "zip", tmp_path / "c.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in paths:
            with open_stack(path) as stack:
                stack[2:4]
            with pytest.raises(InputError):
                open_stack(path, series=3)
        gc.collect()


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"ome": True, "tile": (16, 16)}])
def test_several_threads_read_the_right_frames(tmp_path, frames, options):
    tifffile.imwrite(tmp_path / "movie.tif", frames, **options)
    wrong = []

    def look(stack: Stack, seed: int) -> None:
        for frame in np.random.default_rng(seed).integers(0, 9, 40):
            if not np.array_equal(stack[int(frame)], frames[frame]):
                wrong.append(frame)

    with open_stack(tmp_path / "movie.tif") as stack:
        threads = [threading.Thread(target=look, args=(stack, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_fingerprint_is_json_and_notices_a_change(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames)
    with open_stack(path) as stack:
        first = stack.fingerprint()
        assert stack.fingerprint() == first
    assert json.loads(json.dumps(first)) == first
    assert (first["name"], first["bytes"], first["shape"]) == ("movie.tif", path.stat().st_size, [9, 13, 17])
    stat = path.stat()
    frames[-1, 0, 0] ^= 1
    tifffile.imwrite(path, frames)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with open_stack(path) as stack:
        second = stack.fingerprint()
    assert {k for k in first if first[k] != second[k]} == {"frames_sha256"}
    assert open_stack(frames).fingerprint()["mtime_ns"] is None


# -- pixel size -------------------------------------------------------------------------------------------------------


IMAGEJ = {"imagej": True, "resolution": (10, 10)}


@pytest.mark.parametrize(
    ("options", "pixel_size_nm"),
    [
        ({"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.1}}, 100),
        ({"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm"}}, 65),
        ({"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}}, None),
        ({"ome": True, "metadata": {"axes": "TYX"}}, None),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "um"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "micron"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "\\u00B5m"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "pixel"}}, None),
        ({**IMAGEJ, "metadata": {"axes": "TYX"}}, None),
        ({"metadata": None, "resolution": (1e5, 1e5), "resolutionunit": "centimeter"}, 100),
        ({"metadata": None, "resolution": (72, 72), "resolutionunit": "inch"}, None),
        ({"metadata": None, "resolution": (300, 300), "resolutionunit": "inch"}, None),
        ({"metadata": None, "resolution": (28.35, 28.35), "resolutionunit": "centimeter"}, None),
        ({"metadata": None, "resolution": (10, 10), "resolutionunit": "none"}, None),
        ({"metadata": None, "resolution": (0, 0), "resolutionunit": "centimeter"}, None),
        ({"metadata": None}, None),
    ],
)
def test_the_pixel_size_is_read_where_it_has_a_unit_and_makes_sense(tmp_path, frames, options, pixel_size_nm):
    tifffile.imwrite(tmp_path / "movie.tif", frames, **options)
    opens_as(tmp_path / "movie.tif", frames, pixel_size_nm=pixel_size_nm)


# -- movies that are none ---------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "movie.tif", "no such file")


@pytest.mark.parametrize("name", ["movie.tif", "movie.csv"])
def test_a_text_file_is_shown_by_its_first_bytes(tmp_path, name):
    (tmp_path / name).write_text("frame,x,y\n1,2,3\n")
    refused(tmp_path / name, "not a", "b'frame,x,y\\n1,")


def test_an_empty_file_is_refused(tmp_path):
    for name in ("movie.tif", "movie.zip", "movie.avi"):
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name, "0 bytes")


def test_a_name_that_leads_through_a_file_is_refused(tmp_path):
    (tmp_path / "movie.tif").write_bytes(b"II*\0")
    refused(tmp_path / "movie.tif" / "frame.tif")


@pytest.mark.parametrize(
    "options", [{}, {"metadata": None}, {"imagej": True}, {"ome": True}, {"planarconfig": "separate"}]
)
def test_colour_movies_are_refused(tmp_path, rng, options):
    shape = (5, 3, 13, 17) if "planarconfig" in options else (5, 13, 17, 3)
    movie = rng.integers(0, 255, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="rgb", **options)
    refused(tmp_path / "movie.tif", "colour", "S", error=AxesError)


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}, {"metadata": {"axes": "TCYX"}}])
def test_movies_of_four_axes_are_refused_with_their_shape(tmp_path, frames, options):
    options = {"metadata": {"axes": "TZYX"}, **options} if options else options
    tifffile.imwrite(tmp_path / "movie.tif", frames[:6].reshape(2, 3, 13, 17), photometric="minisblack", **options)
    message = refused(tmp_path / "movie.tif", "expected a (T, Y, X) movie", "YX", error=AxesError)
    assert "2, 3," in message


def test_time_as_the_last_axis_is_refused(tmp_path, frames):
    write_zarr(tmp_path / "movie.zarr", frames, dimension_names=("x", "y", "t"))
    refused(tmp_path / "movie.zarr", "(T, Y, X)", "XYT")


def test_movies_without_frames_or_pixels_are_refused(tmp_path):
    for shape in ((0, 13, 17), (9, 0, 17), (9, 13, 0)):
        refused(np.zeros(shape), "no frames" if shape[0] == 0 else "no pixels", shape, name="a")
    (tmp_path / "movie.tif").write_bytes(b"II*\0\0\0\0\0")
    refused(tmp_path / "movie.tif", "no frames", "no pages")
    write_zarr(tmp_path / "movie.zarr", np.zeros((0, 13, 17)))
    refused(tmp_path / "movie.zarr", "no frames")


@pytest.mark.parametrize("dtype", ["c8", "c16", "M8[s]", "S3", "O"])
def test_pixels_that_are_no_real_numbers_are_refused(tmp_path, dtype):
    refused(np.zeros(SHAPE, dtype), "real numbers", name="a")
    if dtype.startswith("c"):
        tifffile.imwrite(tmp_path / "movie.tif", np.zeros(SHAPE, dtype), metadata=None)
        refused(tmp_path / "movie.tif", "real numbers", "complex")


def test_a_type_of_pixel_that_no_program_knows_is_refused(tmp_path):
    page = [t for t in grey_page(13, 17, 300) if t[0] != 258]
    odd = sorted([*page, (258, 3, [17]), (339, 3, [3])])
    (tmp_path / "movie.tif").write_bytes(tiff_bytes([odd]).ljust(900, b"\0"))
    refused(tmp_path / "movie.tif", "pixels of 17 bits in format 3")


def test_pages_that_are_volumes_are_refused(tmp_path, rng):
    volume = rng.integers(0, 255, (16, 32, 48)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", volume, volumetric=True, tile=(16, 16, 16), metadata=None)
    refused(tmp_path / "movie.tif", "expected pages (Y, X), got axes ZYX of shape (16, 32, 48)", error=AxesError)


def test_pages_of_different_shape_are_refused(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(frames[:4], metadata=None, photometric="minisblack")
        writer.write(frames[4:, :5], metadata=None)
    refused(tmp_path / "movie.tif", "page 4 is 5 x 17 px", "the first page is 13 x 17 px")


# -- movies that were cut off -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_tiff_cut_off_anywhere_is_refused(tmp_path, frames, options):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, **options)
    # tifffile may end a file with some bytes that no page refers to; every byte before them counts.
    whole = path.stat().st_size - 64
    for size in sorted({*range(1, whole, 173), whole // 2, whole - 1}, reverse=True):
        os.truncate(path, size)
        refused(path)


@pytest.mark.parametrize(
    ("compression", "strips"),
    [(1, [(440, 40)]), (1, [(440, 20), (460, 20)]), (1, [(460, 20), (440, 20)]), (8, [(440, 40)])],
    ids=["one strip", "strips in one piece", "strips apart", "deflate"],
)
def test_a_tiff_that_lacks_the_last_byte_of_its_last_page_is_refused_before_any_pixel_is_read(
    tmp_path, compression, strips
):
    path = tmp_path / "movie.tif"
    tags = [tag for tag in grey_page(4, 5, 0) if tag[0] not in (259, 273, 279)]
    tags += [(259, 3, [compression]), (273, 4, [offset for offset, _ in strips]), (279, 4, [n for _, n in strips])]
    path.write_bytes(tiff_bytes([grey_page(4, 5, 400), sorted(tags)]).ljust(480, b"\0"))
    open_stack(path).close()
    os.truncate(path, 479)
    with pytest.raises(InputError, match="pixels of page 1 should reach byte 480, the file ends at byte 479"):
        open_stack(path)


def test_a_cut_that_tifffile_only_logs_is_refused_before_any_pixel_is_read(tmp_path, frames):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in frames:
            writer.write(frame, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        sixth = tiff.pages[6].offset
    os.truncate(path, sixth + 30)
    with tifffile.TiffFile(path) as tiff:
        assert 0 < len(tiff.pages) < len(frames)
    with pytest.raises(InputError, match=r"movie\.tif: the file is cut off: page 6 at byte .* is incomplete"):
        open_stack(path)


@pytest.mark.parametrize("description", ["ImageJ=1.53t\nimages=12\nframes=12\n", '{"shape": [12, 13, 17]}'])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_description_that_announces_more_frames_than_there_are_is_refused(tmp_path, frames, description, options):
    tifffile.imwrite(tmp_path / "movie.tif", frames, description=description, metadata=None, **options)
    refused(tmp_path / "movie.tif", "cut off", "announces 12 frames", "9")


def test_contiguous_imagej_data_shorter_than_announced_is_refused_on_opening(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, imagej=True, truncate=True)
    os.truncate(path, path.stat().st_size - 2 * 13 * 17 * 2 - 1)
    with pytest.raises(InputError, match=r"announces 9 frames of 442 bytes, the bytes end after 6"):
        open_stack(path)


def test_a_movie_that_shrinks_while_it_is_read_is_noticed(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, imagej=True, truncate=True)
    with open_stack(path) as stack:
        stack[0]
        os.truncate(path, path.stat().st_size - 10)
        with pytest.raises(InputError, match=r"movie\.tif: the file became shorter"):
            stack[8]
        path.unlink()


def test_damaged_compressed_pixels_are_refused_on_reading(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[4].dataoffsets[0]
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes(40))
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[3], frames[3])
        with pytest.raises(InputError, match=r"movie\.tif: frame 4 cannot be read"):
            stack[4]


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (tiff_bytes([grey_page(4, 5, 0)]), "page 0 has no pixels"),
        (tiff_bytes([[t for t in grey_page(4, 5, 300) if t[0] != 273]]), "page 0 has no pixels"),
        (tiff_bytes([[t for t in grey_page(4, 5, 300) if t[0] != 256]]), "does not say its width"),
        (tiff_bytes([grey_page(4, 5, 8)] * 2, chain=[1, 0]), "circle after page 1"),
        (tiff_bytes([[(256, 3, [5])]])[:8] + b"\0\0" + bytes(40), "has 0 tags"),
        (b"II*\0\x10\0\0\0" + bytes(8) + b"\xff\xff" + bytes(99), "has 65535 tags"),
        (b"II*\0", "header is incomplete"),
        (b"II+\0\x08\0\0\0\x10\0\0\0", "header is incomplete"),
        (tiff_bytes([sorted([*grey_page(4, 5, 8), (270, 2, "x" * 9)])])[:124], "tag 270 of page 0 should be at"),
    ],
)
def test_damaged_tiffs_say_what_is_wrong(tmp_path, data, seen):
    (tmp_path / "movie.tif").write_bytes(data)
    refused(tmp_path / "movie.tif", seen)


def test_a_byte_count_of_zero_is_forgiven_where_the_size_is_known(tmp_path, frames):
    (tmp_path / "movie.tif").write_bytes(
        tiff_bytes([grey_page(13, 17, 300, count=0)]).ljust(300, b"\0") + frames[0].tobytes()
    )
    with open_stack(tmp_path / "movie.tif") as stack:
        np.testing.assert_array_equal(stack[0], frames[0])


def test_random_damage_never_ends_in_another_error(tmp_path, frames, rng):
    path = tmp_path / "movie.tif"
    for options in ({"metadata": None}, {"imagej": True}, {"ome": True}, {"rowsperstrip": 4, "bigtiff": True}):
        tifffile.imwrite(path, frames, **options)
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            # Half of the places are near the start, where the tags are.
            for place in (rng.integers(len(whole)), rng.integers(400)):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                with open_stack(path) as stack:
                    stack[0]
            except InputError:
                continue


# -- large movies -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sparse_movie(tmp_path, rng):
    """A movie of 6.5 GB of which only the last frame takes room on the disk, as ImageJ writes such."""
    n_frames, height, width = 50_000, 250, 260
    text = f"ImageJ=1.53t\nimages={n_frames}\nframes={n_frames}\0"
    path = tmp_path / "large.tif"
    last = rng.integers(0, 2**16, (height, width)).astype(np.uint16)
    with open(path, "wb") as file:
        file.write(tiff_bytes([grey_page(height, width, 400, more=[(270, 2, text)])]))
        file.seek(400 + (n_frames - 1) * last.nbytes)
        file.write(last.tobytes())
    yield path, (n_frames, height, width), last
    path.unlink()


def test_two_frames_of_a_huge_movie_cost_the_time_and_memory_of_two_frames(sparse_movie):
    path, shape, last = sparse_movie
    assert path.stat().st_size > 6e9
    open_stack(path).close()  # what Python imports on the way is not the movie's
    tracemalloc.start()
    start = time.perf_counter()
    with open_stack(path) as stack:
        assert stack.shape == shape
        part = stack.read(shape[0] - 2, shape[0])
    taken, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(part[1], last)
    assert not part[0].any()
    assert taken < 2
    assert peak < 16 * 2**20


def test_a_movie_of_many_pages_opens_quickly(tmp_path):
    path = tmp_path / "long.tif"
    tifffile.imwrite(path, np.zeros((20_000, 4, 5), np.uint16), metadata=None)
    start = time.perf_counter()
    with open_stack(path) as stack:
        assert len(stack) == 20_000
    # About 0.15 s on one slow core; the limit leaves room for a busy machine.
    assert time.perf_counter() - start < 5


# -- numbers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_number_that_is_not_finite_is_named_by_movie_frame_and_pixel(frames, value, dtype):
    part = np.zeros((3, 5, 6), dtype)
    check_finite(part, 100, "cell.tif")
    part[1, 2, 4] = value
    with pytest.raises(InputError, match=rf"cell\.tif: frame 101 holds {value} at row 2, column 4"):
        check_finite(part, 100, "cell.tif")


def test_whole_numbers_are_always_finite(frames):
    check_finite(frames, 0, "cell.tif")
    check_finite(frames > 3, 0, "cell.tif")


# -- real movies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "pixel_size_nm"),
    [
        ("deepstorm_demo1/train.tif", (20, 64, 64), 100),
        ("deepstorm_demo1/test.tif", (361, 64, 64), 100),
        ("nairr_2dgauss/validate_ld.tif", (500, 32, 32), None),
        ("nairr_2dgauss/validate_md.tif", (500, 32, 32), None),
        ("nairr_2dgauss/validate_hd.tif", (500, 32, 32), None),
        ("challenge2016_mt0_n1_ld/frames_1-64.tif", (64, 64, 64), None),
        ("real/tubulins_alexa647_400frames.tif", (400, 70, 70), None),
        ("real/astigmatism_bead_zstack.tif", (81, 32, 32), None),
    ],
)
def test_real_movies_open_as_tifffile_reads_them(data_folder, name, shape, pixel_size_nm):
    expected = tifffile.imread(data_folder / name)
    assert expected.shape == shape
    opens_as(data_folder / name, expected, pixel_size_nm=pixel_size_nm)


@pytest.mark.parametrize("name", ["real/tubulins_alexa647_400frames.tif", "nairr_2dgauss/validate_ld.tif"])
def test_real_movies_that_were_cut_off_are_refused(data_folder, tmp_path, name):
    path = tmp_path / "movie.tif"
    shutil.copyfile(data_folder / name, path)
    for part in (0.9, 0.5, 0.1):
        os.truncate(path, int(path.stat().st_size * part))
        refused(path, "cut off")
