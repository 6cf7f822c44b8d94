"""The pixel convention: conversions and their inverses, and whose pixel is whose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.coordinates import (
    CENTRE_AT_ZERO,
    CENTRE_FROM_CORNER,
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
