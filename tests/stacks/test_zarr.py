"""Zarr: arrays and OME-Zarr groups, in folders and zip files."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_subpixel.errors import ChannelsError, IncompleteMovieError, InputError, SeriesError
from napari_subpixel.stacks import open_stack

from .movie_files import SHAPE, opens_as, refused, write_zarr


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
    refused(path, "0: 4x13x17; 1: 5x13x17", error=SeriesError)
    with open_stack(path, series=0) as first:
        np.testing.assert_array_equal(first[:], frames[:4])
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


def test_time_as_the_last_axis_is_refused(tmp_path, frames):
    write_zarr(tmp_path / "movie.zarr", frames, dimension_names=("x", "y", "t"))
    refused(tmp_path / "movie.zarr", "(T, Y, X)", "XYT")


def test_of_an_ome_zarr_with_two_channels_one_is_chosen_by_number_or_name(tmp_path, rng):
    both = rng.integers(0, 255, (5, 2, 7, 8)).astype(np.uint8)
    path = tmp_path / "movie.zarr"
    write_ome_zarr(path, both, version=2, axes=[{"name": n} for n in "tcyx"], scale=(1, 1, 1, 1))
    group = zarr.open_group(str(path), mode="a")
    group.attrs["omero"] = {"channels": [{"label": "Cy3"}, {"label": "Cy5"}]}
    refused(path, "2 channels, 0 'Cy3', 1 'Cy5'", error=ChannelsError)
    for channel in (1, "cy5", "1"):
        with open_stack(path, channel=channel) as stack:
            np.testing.assert_array_equal(stack[:], both[:, 1])


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_whose_last_frames_were_never_written_is_a_stopped_acquisition(tmp_path, frames, version):
    path = tmp_path / "movie.zarr"
    made = zarr.create_array(str(path), shape=(40, 13, 17), dtype="u2", chunks=(3, 8, 8), zarr_format=version)
    made[:9] = frames
    message = refused(path, "announces 40 frames, but nothing was written after frame 8", error=IncompleteMovieError)
    assert "9 whole frames are there" in message
    with open_stack(path, stop=9) as stack:
        np.testing.assert_array_equal(stack[:], frames)


def test_a_zarr_without_some_of_its_chunks_opens_with_a_warning(tmp_path, frames):
    write_zarr(tmp_path / "movie.zarr", frames, chunks=(3, 13, 17))
    (tmp_path / "movie.zarr" / "c" / "1" / "0" / "0").unlink()
    with open_stack(tmp_path / "movie.zarr") as stack:
        assert stack.warnings == ("1 of its 3 chunks are not there, and read as 0",)
        assert not stack[3:6].any()


def test_a_whole_zarr_has_no_warning(tmp_path, frames):
    write_zarr(tmp_path / "a.zarr", frames)
    write_zarr(tmp_path / "b.zarr", frames, version=2)
    write_zarr(tmp_path / "c.zarr", frames, chunks=(3, 13, 17), shards=(9, 13, 17))
    write_ome_zarr(tmp_path / "d.zarr", frames[:, None, None], version=3, axes=TCZYX, scale=[1] * 5)
    for name in "abcd":
        with open_stack(tmp_path / f"{name}.zarr") as stack:
            assert stack.warnings == ()


@pytest.mark.parametrize(
    "attributes",
    [
        {"multiscales": 3},
        {"multiscales": [{}]},
        {"multiscales": [{"datasets": []}]},
        {"multiscales": [{"datasets": [{"path": 3}]}]},
        {"ome": 4},
        {"ome": {"multiscales": "x"}},
    ],
)
def test_ome_zarr_with_damaged_attributes_is_refused(tmp_path, frames, attributes):
    path = tmp_path / "movie.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    group.create_array("0", shape=(9, 13, 17), dtype="u2", chunks=(9, 13, 17))[...] = frames
    group.attrs.update(attributes)
    refused(path)


def test_attributes_of_an_array_that_are_no_names_are_refused(tmp_path, frames):
    write_zarr(tmp_path / "movie.zarr", frames)
    file = tmp_path / "movie.zarr" / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "attributes": [1]}))
    refused(tmp_path / "movie.zarr", "not a Zarr that can be read")


def test_frames_larger_than_of_any_camera_are_refused(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(3, 10**6, 10**6), dtype="u2", chunks=(1, 1000, 1000))[0, 0] = 1
    refused(tmp_path / "a.zarr", "frames of 1,000,000 x 1,000,000 pixels, which no camera takes")
