"""Every kind of TIFF opens as the same frames, and what is no movie in it is refused."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import AxesError, ChannelsError, SeriesError
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.axes import pixel_size_from

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
    refused(tmp_path / "movie.tif", "0: 4 x 13 x 17 px, uint16; 1: 5 x 13 x 17 px", error=SeriesError)
    with open_stack(tmp_path / "movie.tif", series=0) as first:
        np.testing.assert_array_equal(first[:], frames[:4])
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
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "\\u00b5m"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "\\u03BCm"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "um\0"}}, 100),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "MICRONS"}}, 100),
        ({"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": "0,1", "PhysicalSizeY": "0,1"}}, 100),
        ({"metadata": None, "extratags": [(51123, 2, 0, '{"PixelSizeUm": 0.108, "Frame": 0}', True)]}, 108),
        ({"metadata": None, "extratags": [(51123, 2, 0, '{"PixelSizeUm": 0, "Frame": 0}', True)]}, None),
        ({"ome": True, "metadata": {"axes": "TYX"}, "extratags": [(51123, 2, 0, '{"PixelSizeUm": 0.108}', True)]}, 108),
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


def test_pages_of_different_shape_are_images_of_which_one_is_to_be_chosen(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(frames[:4], metadata=None, photometric="minisblack")
        writer.write(frames[4:, :5], metadata=None)
    refused(tmp_path / "movie.tif", "0: 4 x 13 x 17 px", "1: 5 x 5 x 17 px", error=SeriesError)
    with open_stack(tmp_path / "movie.tif", series=1) as second:
        np.testing.assert_array_equal(second[:], frames[4:, :5])


def test_a_preview_of_another_size_is_an_image_of_its_own(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(frames[0, :5, :6], metadata=None, photometric="minisblack")
        writer.write(frames, metadata=None, photometric="minisblack")
    refused(tmp_path / "movie.tif", "holds 2 images", "0: 1 x 5 x 6 px", "1: 9 x 13 x 17 px", error=SeriesError)
    with open_stack(tmp_path / "movie.tif", series=1) as movie:
        np.testing.assert_array_equal(movie[:], frames)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_of_a_movie_with_two_channels_one_is_chosen(tmp_path, rng, options):
    both = rng.integers(0, 2**16, (7, 2, 13, 17)).astype(np.uint16)
    about = {"axes": "TCYX", **({"Channel": {"Name": ["Cy3", "Cy5"]}} if "ome" in options else {})}
    tifffile.imwrite(tmp_path / "movie.tif", both, photometric="minisblack", metadata=about, **options)
    message = refused(tmp_path / "movie.tif", "2 channels, 0", error=ChannelsError)
    assert ("'Cy5'" in message) == ("ome" in options)
    for number in (0, 1):
        with open_stack(tmp_path / "movie.tif", channel=number) as one:
            np.testing.assert_array_equal(one[:], both[:, number])
            assert one.name == f"movie.tif (channel {number})"
    refused(tmp_path / "movie.tif", "channel 2 asked for", "the movie has 2", channel=2)
    if "ome" in options:
        with open_stack(tmp_path / "movie.tif", channel="cy5") as named:
            np.testing.assert_array_equal(named[:], both[:, 1])
    refused(tmp_path / "movie.tif", "channel 'GFP' asked for", channel="GFP")


def test_a_channel_of_a_movie_that_has_one_is_refused_unless_it_is_the_first(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames, metadata=None)
    open_stack(tmp_path / "movie.tif", channel=0).close()
    refused(tmp_path / "movie.tif", "channel 1 asked for, the movie has 1", channel=1)


NOT_SQUARE = {
    "ImageJ": {"imagej": True, "resolution": (10, 8), "metadata": {"axes": "TYX", "unit": "um"}},
    "OME": {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.125}},
    "plain": {"metadata": None, "resolution": (1e5, 8e4), "resolutionunit": "centimeter"},
}


@pytest.mark.parametrize("kind", NOT_SQUARE)
def test_pixels_that_are_not_square_have_height_and_width_and_are_said(tmp_path, frames, kind):
    tifffile.imwrite(tmp_path / "movie.tif", frames, **NOT_SQUARE[kind])
    opens_as(tmp_path / "movie.tif", frames, pixel_size_nm=(125.0, 100.0))
    with open_stack(tmp_path / "movie.tif") as stack:
        assert stack.warnings == ("its pixels are 125 nm high and 100 nm wide, not square",)


def test_the_size_of_pixels_that_metamorph_states_is_read(tmp_path, frames, cases):
    with open_stack(cases("metadata") / "meta.stk") as stack:
        assert stack.pixel_size_nm == 100
    with open_stack(cases("metadata") / "ij_aniso.tif") as stack:
        assert stack.pixel_size_nm == (125, 100)


@pytest.mark.parametrize(
    "unit",
    ["\u00b5m", "\u03bcm", "um", "UM", "Micron", "micrometres", "\\u00B5m", "\\u00b5m", "\\u03bcm", "&#181;m",
     "&micro;m", "\u00c2\u00b5m", "\u00ce\u00bcm", "\ufffdm", "mum", " um\0"],
)  # fmt: skip
@pytest.mark.parametrize("size", [0.1, "0.1", "0,1", " 0.1 "])
def test_a_micrometre_is_known_however_it_is_spelled(size, unit):
    assert pixel_size_from(size, unit) == 100


def test_a_size_that_is_no_number_is_none():
    for size in (None, "", "wide", "0,1,2", "nan", float("nan"), "inf", [1]):
        assert pixel_size_from(size, "um") is None
