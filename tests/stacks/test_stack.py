"""Frames of a stack are those of numpy, read only when asked for."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
import warnings

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite, open_stack

from .movie_files import write_zarr

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


def test_a_file_is_let_go_once_nobody_uses_the_movie(tmp_path, frames):
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    stack = open_stack(tmp_path / "movie.tif").close_when_unused()
    np.testing.assert_array_equal(stack[1], frames[1])
    del stack  # the fixture sees that no file is left open
