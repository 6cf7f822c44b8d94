"""Arrays as movies."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.stacks import open_stack

from .movie_files import SHAPE, refused, write_zarr


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
