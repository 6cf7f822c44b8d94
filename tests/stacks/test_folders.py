"""A folder of single frames is one movie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import ChannelsError
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.numbering import natural_key
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
        ours = [file for file in open_files(Path("/proc/self/fd")) if file.startswith(str(folder))]
        assert len(ours) <= MAX_OPEN_FILES


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


def write_named(folder: Path, names, frames) -> Path:
    folder.mkdir()
    for name, frame in zip(names, frames, strict=True):
        tifffile.imwrite(folder / name, frame, metadata=None)
    return folder


def warnings_of(folder: Path, **options) -> tuple[str, ...]:
    with open_stack(folder, **options) as stack:
        return stack.warnings


@pytest.mark.parametrize(
    ("pattern", "numbers", "missing"),
    [
        ("img_{}.tif", [0, 1, 2, 3, 5, 6, 7, 8, 9], ["img_3.tif is followed by img_5.tif", "1 missing"]),
        (
            "t{:04d}_z0.TIF",
            [10, 20, 30, 60, 70, 80, 90, 100, 120],
            ["t0030_z0.TIF is followed", "there is 1 more gap", "3 missing"],
        ),
        ("img_channel000_time{:09d}.tif", [0, 1, 2, 3, 4, 5, 6, 7, 9], ["time000000009"]),
    ],
)
def test_a_gap_in_the_numbers_is_said_and_frames_are_counted_on(tmp_path, frames, pattern, numbers, missing):
    folder = write_named(tmp_path / "cell", [pattern.format(n) for n in numbers], frames)
    opens_as(folder, frames)
    (warning,) = warnings_of(folder)
    assert all(part in warning for part in [*missing, "frames are counted on"])


@pytest.mark.parametrize(
    "names",
    [
        [f"frame_2026-01-05_12-30-{s:02d}.{ms}.tif" for s in range(3) for ms in ("000", "333", "667")],
        [f"{n}_2026-01-05T12:{n // 4:02d}:{n % 4:02d}.tif" for n in range(9)],
        [f"img_{t}.tif" for t in (1704458123456, 1704458123489, 1704458123521, 1704458123555, 1704458123587,
                                  1704458123622, 1704458123654, 1704458123687, 1704458123721)],
        ["frame.tif", *(f"frame_{n}.tif" for n in range(1, 9))],
        [f"IMG_{n}.tif" if n % 2 else f"img_{n}.TIF" for n in range(9)],
        [f"488nm_{n}.tif" for n in range(20, 29)],
        [f"{n:03d}_{n * 33}ms.tif" for n in range(9)],
    ],
)  # fmt: skip
def test_time_stamps_and_constant_numbers_are_no_gaps_and_no_channels(tmp_path, frames, names):
    folder = write_named(tmp_path / "cell", names, frames)
    opens_as(folder, frames)
    assert warnings_of(folder) == ()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("img_{:03d}_Cy{}.tif", (3, 5)),
        ("img_{:03d}_{}.tif", ("DAPI", "GFP")),
        ("img_{:03d}_{}.tif", (488, 561)),
        ("{1}_img_{0}.tif", ("dapi", "gfp")),
        ("img_channel{1:03d}_position000_time{0:09d}_z000.tif", (0, 1)),
    ],
)
@pytest.mark.parametrize("stopped", [False, True])
def test_two_channels_in_a_folder_are_refused_by_name_and_can_be_chosen(tmp_path, rng, name, values, stopped):
    both = rng.integers(0, 255, (9, 2, 5, 6)).astype(np.uint8)
    names = [name.format(t, value) for t in range(9) for value in values]
    kept = len(names) - stopped
    folder = write_named(tmp_path / "cell", names[:kept], both.reshape(18, 5, 6)[:kept])
    refused(folder, names[0], names[1], error=ChannelsError)
    with open_stack(folder, channel=1) as second:
        np.testing.assert_array_equal(second[:], both[: 9 - stopped, 1])
    if name.startswith("img_{:03d}"):
        with open_stack(folder, channel=str(values[0])) as first:
            np.testing.assert_array_equal(first[:], both[:, 0])
    refused(folder, "channel 'Cy7' asked for", channel="Cy7")


def test_a_projection_among_the_frames_is_left_out_by_name(tmp_path, frames):
    folder = write_folder(tmp_path / "cell", frames, name="frame{:03d}.tif")
    tifffile.imwrite(folder / "MAX_frame.tif", frames.max(axis=0))
    opens_as(folder, frames)
    (warning,) = warnings_of(folder)
    assert "MAX_frame.tif: left out" in warning


def test_a_stray_image_among_the_frames_is_refused_by_name(tmp_path, frames):
    folder = write_folder(tmp_path / "cell", frames)
    tifffile.imwrite(folder / "brightfield.tif", frames[0])
    refused(folder, "brightfield.tif", "img_0.tif", error=ChannelsError)


def test_two_files_of_one_number_are_refused(tmp_path, frames):
    folder = write_folder(tmp_path / "cell", frames)
    tifffile.imwrite(folder / "img_01.tif", frames[0])
    refused(folder, "img_1.tif", "img_01.tif", "have the same number")


def test_single_frames_open_though_the_description_of_the_first_is_damaged(tmp_path):
    frames = np.random.default_rng(0).integers(0, 99, (3, 20, 24)).astype(np.uint16)
    for number, frame in enumerate(frames):
        description = "<OME " if number == 0 else None
        tifffile.imwrite(tmp_path / f"f{number}.ome.tif", frame, ome=False, description=description, metadata=None)
    with open_stack(tmp_path) as stack:
        np.testing.assert_array_equal(stack[:], frames)
