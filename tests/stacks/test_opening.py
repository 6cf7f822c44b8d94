"""What is opened, whatever it is stored in; what is no movie is named and shown."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import tifffile

from .movie_files import SHAPE, opens_as, refused, write_zarr


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "movie.tif", "no such file")


@pytest.mark.parametrize("name", ["movie.tif", "movie.csv"])
def test_a_text_file_is_shown_by_its_first_bytes(tmp_path, name):
    (tmp_path / name).write_text("frame,x,y\n1,2,3\n")
    refused(tmp_path / name, "not a", "'frame,x,y\\n1,")


def test_an_empty_file_is_refused(tmp_path):
    for name in ("movie.tif", "movie.zip", "movie.avi"):
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name, "0 bytes")


def test_a_name_that_leads_through_a_file_is_refused(tmp_path):
    (tmp_path / "movie.tif").write_bytes(b"II*\0")
    refused(tmp_path / "movie.tif" / "frame.tif")


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


def test_only_paths_and_arrays_are_movies():
    refused([[1, 2], [3, 4]], "got list")
    refused(None, "got NoneType")


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
