"""Every kind of TIFF opens as the same frames, and what is no movie in it is refused."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import AxesError
from napari_subpixel.stacks import open_stack

from .movie_files import KINDS, SHAPE, grey_page, opens_as, refused, tiff_bytes


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
