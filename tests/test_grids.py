"""The pixels of super-resolution images lie where they belong over the frames."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.errors import InputError
from napari_subpixel.grids import SuperResolutionGrid, ViewGrid

#: (frame shape, width of a camera pixel, width of a super-resolution pixel): some divide, some do not.
GRIDS = [
    ((64, 48), 100.0, 10.0),
    ((64, 48), 100.0, 12.5),
    ((31, 70), 65.0, 13.0),
    ((3, 30), 0.1, 0.3),
    ((64, 48), 100.0, 7.0),
    ((31, 70), 106.3, 9.7),
    ((31, 70), 65.0, 250.0),
    ((1, 2), 100.0, 1000.0),
]
grids = pytest.mark.parametrize("grid", [SuperResolutionGrid(*g) for g in GRIDS], ids=str)


@grids
@given(y=st.floats(-100, 1000), x=st.floats(-100, 1000))
def test_to_the_super_resolution_image_and_back_is_where_it_was(grid, y, x):
    assert grid.to_frame(*grid.from_frame(y, x)) == pytest.approx((y, x), rel=1e-12, abs=1e-11)
    assert grid.from_frame(*grid.to_frame(y, x)) == pytest.approx((y, x), rel=1e-12, abs=1e-11)


@grids
def test_the_first_outer_corners_coincide(grid):
    assert grid.from_frame(-0.5, -0.5) == (-0.5, -0.5)
    assert grid.to_frame(-0.5, -0.5) == (-0.5, -0.5)


@grids
def test_the_image_covers_the_frame_with_less_than_a_pixel_to_spare(grid):
    far_edges = grid.from_frame(*(np.array(grid.frame_shape) - 0.5))
    for far_edge, pixels in zip(far_edges, grid.shape, strict=True):
        assert pixels - 1.5 < far_edge <= pixels - 0.5 + 1e-9


@pytest.mark.parametrize(("n", "shape"), [(0, (640, 480)), (1, (512, 384)), (2, (155, 350)), (3, (1, 10))])
def test_where_the_pixels_divide_the_far_corners_coincide_too(n, shape):
    grid = SuperResolutionGrid(*GRIDS[n])
    assert grid.shape == shape
    np.testing.assert_allclose(grid.from_frame(*(np.array(grid.frame_shape) - 0.5)), np.array(shape) - 0.5, rtol=1e-12)


def test_where_the_pixels_do_not_divide_the_last_one_reaches_over():
    assert SuperResolutionGrid((64, 48), 100, 7).shape == (915, 686)  # 914.3 and 685.7
    assert SuperResolutionGrid((31, 70), 65, 250).shape == (9, 19)  # 8.06 and 18.2
    assert SuperResolutionGrid((1, 2), 100, 1000).shape == (1, 1)


def test_the_centre_of_a_camera_pixel_is_the_middle_of_its_super_resolution_pixels():
    grid = SuperResolutionGrid((8, 9), 100, 10)
    assert grid.zoom_yx == (10, 10)
    assert grid.from_frame(0.0, 2.0) == (4.5, 24.5)


def test_pixels_that_are_not_square_make_square_ones_of_the_image():
    grid = SuperResolutionGrid((8, 9), (120, 100), 10, (2, 3))
    assert grid.shape == (96, 90)
    assert grid.from_frame(1.0, 1.0) == (17.5, 14.5)
    assert grid.to_frame(17.5, 14.5) == pytest.approx((1, 1))
    assert grid.translate_nm == pytest.approx((2 * 120 - 60 + 5, 3 * 100 - 50 + 5))


@grids
def test_in_nanometres_the_image_starts_at_the_outer_corner_of_the_frame(grid):
    for place_nm in grid.translate_nm:
        assert place_nm - grid.pixel_size_nm / 2 == pytest.approx(-grid.frame_pixel_size_nm / 2)


def test_a_grid_is_frozen_and_comparable():
    grid = SuperResolutionGrid([8, 9], 100, 10)
    assert grid == SuperResolutionGrid((8, 9), 100.0, 10.0)
    assert hash(grid) == hash(SuperResolutionGrid((8, 9), 100.0, 10.0))
    with pytest.raises(FrozenInstanceError):
        grid.pixel_size_nm = 20


#: First pixel and shape of a rectangle, small enough that two often overlap.
rectangles = st.tuples(*(st.integers(0, 9) for _ in range(2)), *(st.integers(1, 9) for _ in range(2)))


@given(rectangles, rectangles)
def test_a_rectangle_is_what_it_shares_with_another_and_the_parts_that_it_does_not(one, other):
    one, other = (ViewGrid((2.0, 3.0), where[:2], where[2:]) for where in (one, other))
    count = np.zeros(one.shape, int)
    for part in one.without(other):
        count[one.place_of(part)] += 1
    if (common := one.overlap(other)) is not None:
        count[one.place_of(common)] += 1
        assert other.overlap(one) == common
    assert (count == 1).all()
    assert one.without(ViewGrid((2.0, 4.0), other.first, other.shape)) == [one]


@pytest.mark.parametrize("wrong", [0, np.nan, "wide"])
def test_an_impossible_pixel_size_is_refused(wrong):
    with pytest.raises(InputError, match="pixel size"):
        SuperResolutionGrid((8, 9), wrong, 10)
    with pytest.raises(InputError, match="pixel size"):
        SuperResolutionGrid((8, 9), 100, wrong)
    with pytest.raises(InputError, match="frame shape"):
        SuperResolutionGrid((0, 9), 100, 10)
