"""The pixel convention: conversions and their inverses, whose pixel is whose, and a super-resolution image's place."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.coordinates import (
    CENTRE_AT_ZERO,
    CENTRE_FROM_CORNER,
    SuperResolutionGrid,
    checked_frame_shape,
    checked_pixel_size,
    home_pixel,
    nm_to_px,
    pixel_ratio,
    px_to_nm,
    same_pixel_size,
    within_frame,
    yx_to_nm,
    yx_to_px,
)
from napari_subpixel.errors import InputError

positions = st.floats(-1e6, 1e6)
sizes = st.floats(0.01, 1e4)
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


# -- pixels and nanometres ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("px", "pixel_size_nm", "first_centre_px", "nm"),
    [
        (0, 100, CENTRE_FROM_CORNER, 50),  # ThunderSTORM: the first centre is half a pixel from the corner
        (-0.5, 100, CENTRE_FROM_CORNER, 0),
        (0, 100, CENTRE_AT_ZERO, 0),  # Picasso
        (0, 65, 1.0, 65),  # programs that count pixels from one
        (2.25, 160, CENTRE_FROM_CORNER, 440),
    ],
)
def test_a_position_has_its_place_in_each_custom(px, pixel_size_nm, first_centre_px, nm):
    assert px_to_nm(px, pixel_size_nm, first_centre_px=first_centre_px) == nm
    assert nm_to_px(nm, pixel_size_nm, first_centre_px=first_centre_px) == px


@given(positions, sizes, st.sampled_from([0.0, 0.5, 1.0]))
def test_to_nanometres_and_back_is_where_it_was(px, pixel_size_nm, first_centre_px):
    nm = px_to_nm(px, pixel_size_nm, first_centre_px=first_centre_px)
    assert nm_to_px(nm, pixel_size_nm, first_centre_px=first_centre_px) == pytest.approx(px, rel=1e-12, abs=1e-12)


def test_single_precision_positions_are_converted_in_double_precision():
    nm = px_to_nm(np.array([0.1, 200.7], np.float32), 100, first_centre_px=CENTRE_FROM_CORNER)
    assert nm.dtype == np.float64
    np.testing.assert_allclose(nm, [60, 20120], rtol=1e-6)


@pytest.mark.parametrize(
    "wrong", [0, -100, np.nan, np.inf, -np.inf, "100", "wide", None, True, [1, 2, 3], np.ones((2, 2)), 10**400]
)
def test_an_impossible_pixel_size_is_refused_and_shown(wrong):
    with pytest.raises(InputError, match=r"pixel size must be .*, got "):
        checked_pixel_size(wrong)
    with pytest.raises(InputError, match="pixel size"):
        px_to_nm(1.0, wrong, first_centre_px=CENTRE_AT_ZERO)
    with pytest.raises(InputError, match="pixel size"):
        nm_to_px(1.0, wrong, first_centre_px=CENTRE_AT_ZERO)
    with pytest.raises(InputError, match="pixel size"):
        SuperResolutionGrid((8, 9), wrong, 10)
    with pytest.raises(InputError, match="pixel size"):
        SuperResolutionGrid((8, 9), 100, wrong)


@pytest.mark.parametrize("size", [100, 100.0, np.float32(100), np.int64(100), np.array(100.0)])
def test_a_pixel_size_may_be_any_number(size):
    assert checked_pixel_size(size) == 100.0
    assert type(checked_pixel_size(size)) is float


# -- pixels and the frame -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("px", "pixel"),
    [
        (0.0, 0),
        (-0.5, 0),  # a pixel owns its lower edge
        (0.5, 1),
        (np.nextafter(-0.5, -1), -1),
        (np.nextafter(0.5, 0), 0),  # which floor(px + 0.5) would call 1
        (-1e-20, 0),
        (6.4999, 6),
        (-3.2, -3),
    ],
)
def test_a_position_has_its_home_pixel(px, pixel):
    assert home_pixel(px) == pixel
    assert home_pixel(px).dtype == np.int64


@given(positions)
def test_a_home_pixel_spans_half_a_pixel_each_way(px):
    pixel = int(home_pixel(px))
    assert pixel - 0.5 <= px < pixel + 0.5


@given(
    y=st.floats(-2, 8) | st.sampled_from([-0.5, 4.5, np.nextafter(4.5, 0), np.nextafter(-0.5, -1)]),
    x=st.floats(-2, 4) | st.sampled_from([-0.5, 0.5, np.nextafter(0.5, 0), np.nextafter(-0.5, -1)]),
)
def test_a_position_is_on_the_frame_exactly_when_its_home_pixel_is(y, x):
    shape = (5, 1)
    at_home = 0 <= home_pixel(y) < shape[0] and 0 <= home_pixel(x) < shape[1]
    assert within_frame(y, x, shape) == at_home


@pytest.mark.parametrize(
    ("y", "x", "border_px", "inside"),
    [
        (-0.5, -0.5, 0, True),  # the outer corner of the first pixel
        (-0.6, 3, 0, False),
        (3, -0.6, 0, False),
        (9.4, 19.4, 0, True),
        (9.5, 5, 0, False),  # the far edge belongs to the next pixel
        (5, 19.5, 0, False),
        (5, 12, 0, True),  # a column that exists, a row that would not
        (12, 5, 0, False),
        (1.5, 1.5, 2, True),  # two pixels inside the edge
        (1.4, 5, 2, False),
        (5, 1.4, 2, False),
        (7.4, 17.4, 2, True),
        (7.5, 5, 2, False),
        (5, 17.5, 2, False),
        (5, 10, 5, False),  # a border that leaves nothing
    ],
)
def test_a_position_is_inside_the_border_or_not(y, x, border_px, inside):
    assert within_frame(y, x, (10, 20), border_px=border_px) == inside


def test_many_positions_are_checked_at_once():
    assert within_frame([0, 10, 5], [0, 0, 19], (10, 20)).tolist() == [True, False, True]
    assert within_frame([], [], (10, 20)).tolist() == []


def test_a_frame_shape_becomes_two_plain_integers():
    shape = checked_frame_shape(np.array([31, 70]))
    assert shape == (31, 70)
    assert [type(n) for n in shape] == [int, int]


@pytest.mark.parametrize("wrong", [(64,), (64, 64, 3), (0, 64), (64, -1), (64.5, 64), (np.nan, 64), "ab", 64, None])
def test_an_impossible_frame_shape_is_refused_and_shown(wrong):
    with pytest.raises(InputError, match=r"frame shape must be two positive whole numbers \(height, width\), got "):
        checked_frame_shape(wrong)
    with pytest.raises(InputError, match="frame shape"):
        SuperResolutionGrid(wrong, 100, 10)


# -- the super-resolution image over the frames -------------------------------------------------------------------


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


def test_a_pixel_size_is_a_number_or_height_and_width():
    assert checked_pixel_size([100, 120]) == (100, 120)
    assert checked_pixel_size(np.array([65.0, 65.0])) == 65
    assert yx_to_nm([[1, 2], [3, 4]], (100, 120)).tolist() == [[100, 240], [300, 480]]
    assert yx_to_px([[100, 240]], (100, 120)).tolist() == [[1, 2]]
    assert pixel_ratio((100, 120)) == pixel_ratio((120, 100)) == 1.2
    assert same_pixel_size((100, 120), (100, 121), within=0.01)
    assert not same_pixel_size(100, (100, 120), within=0.01)
    for wrong in ((100, 0), (100, np.nan), ("100", 100)):
        with pytest.raises(InputError, match="pixel size must be"):
            checked_pixel_size(wrong)


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
