"""A folder of single frames is one movie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.folders import natural_key
from napari_subpixel.stacks.tiff_frames import MAX_OPEN_FILES

from .movie_files import open_files, opens_as, refused


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


def test_names_are_in_the_order_in_which_people_number_them():
    names = ["b1", "B2", "b10", "b10a", "img2", "img2\u00b2", "img10"]  # a superscript is a digit and no number
    assert [p.name for p in sorted(map(Path, reversed(names)), key=natural_key)] == names


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
        assert len(open_files(Path("/proc/self/fd"))) <= MAX_OPEN_FILES


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
