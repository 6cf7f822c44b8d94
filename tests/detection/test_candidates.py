"""Candidates are found, also with a wrong background or noise, and covered by squares that share no pixel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.detection.candidates import INNER_PX, SIDE_PX, _maxima, cover_with_squares, find_candidates
from napari_subpixel.psf import draw_gaussians

SHAPE = (150, 203)
SIGMA_PX = 1.2
BACKGROUND = 20.0
AT = np.array([[20.2, 30.1], [75.0, 2.4], [148.6, 100.3], [90.7, 160.5], [0.1, 202.2]])


def frame(rng, photons=400.0, at=AT) -> np.ndarray:
    n = len(at)
    light = draw_gaussians((1, *SHAPE), np.zeros(n, np.int64), *at.T, np.full(n, photons), SIGMA_PX)
    return rng.poisson(light[0] + BACKGROUND).astype(np.float32)


def found_in(counts, background=BACKGROUND, read=0.0) -> np.ndarray:
    return find_candidates(counts, *(np.full(SHAPE, value, np.float32) for value in (background, read)), SIGMA_PX)


def test_molecules_are_found_also_at_the_border(rng):
    found = found_in(frame(rng))
    # The highest come first.
    assert all(np.abs(found[: len(AT)] - at).max(axis=1).min() < 1.6 for at in AT)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("end", ["first", "last"])
def test_dim_molecules_in_the_outermost_pixels_are_found(axis, end, rng):
    along = np.arange(10, SHAPE[1 - axis] - 10, 14.0)
    across = np.full(len(along), 0.0 if end == "first" else SHAPE[axis] - 1.0)
    at = np.column_stack([across, along] if axis == 0 else [along, across])
    nearest = []
    for _ in range(10):
        found = found_in(frame(rng, photons=100.0, at=at))
        nearest += [np.abs(found - place).max(axis=1).min() for place in at]
    assert np.mean(np.array(nearest) < 2.1) > 0.8


@pytest.mark.parametrize("second", [(9, 13), (10, 11), (10, 12), (10, 14), (11, 13)])
def test_of_two_equal_neighbours_the_first_is_the_candidate(second):
    signal = np.zeros((20, 25), np.float32)
    signal[9, 12] = signal[second] = 5.0
    assert _maxima(signal, np.float32(1.0)).tolist() == [[9, 12]]


def test_noise_alone_seldom_stands_out(rng):
    noise = [len(found_in(rng.poisson(BACKGROUND, SHAPE).astype(np.float32))) for _ in range(20)]
    assert 0 < np.mean(noise) < 4e-4 * SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize(("background", "read"), [(16.0, 0.0), (24.0, 0.0), (BACKGROUND, 60.0)])
def test_a_wrong_background_or_too_much_noise_hides_nothing(background, read, rng):
    dim = [len(found_in(frame(rng, photons=150.0), background, read)) for _ in range(10)]
    expected = [len(found_in(frame(rng, photons=150.0))) for _ in range(10)]
    assert np.mean(dim) == pytest.approx(np.mean(expected), rel=0.35)
    assert np.mean(dim) > len(AT) - 0.5


@pytest.mark.parametrize("grid_px", [1, 4])
def test_every_place_lies_well_within_a_square_and_every_pixel_in_one(grid_px, rng):
    found = np.column_stack([rng.integers(0, size, 60) for size in SHAPE])
    corners, masks = cover_with_squares(found, SHAPE, grid_px)
    assert not (corners % grid_px).any()
    times = np.zeros((SHAPE[0] + SIDE_PX, SHAPE[1] + SIDE_PX), np.int64)
    for (top, left), mask in zip(corners, masks, strict=True):
        times[top : top + SIDE_PX, left : left + SIDE_PX] += mask
    assert times.max() == 1
    assert not times[SHAPE[0] :].any()
    assert not times[:, SHAPE[1] :].any()
    for y, x in found:
        around = times[max(y - INNER_PX, 0) : y + INNER_PX + 1, max(x - INNER_PX, 0) : x + INNER_PX + 1]
        assert around[: SHAPE[0] - max(y - INNER_PX, 0), : SHAPE[1] - max(x - INNER_PX, 0)].all()


def test_a_pixel_belongs_to_the_square_whose_middle_is_nearest():
    corners, masks = cover_with_squares(np.array([[40, 40], [40, 48]]), SHAPE, 1)
    assert corners.tolist() == [[34, 34], [34, 42]]
    assert masks[0].all(axis=0).tolist() == [k < 10 for k in range(SIDE_PX)]
    assert masks[1].all(axis=0).tolist() == [k >= 2 for k in range(SIDE_PX)]


def test_nothing_gives_no_squares():
    corners, masks = cover_with_squares(np.empty((0, 2), np.int64), SHAPE, 4)
    assert corners.shape == (0, 2)
    assert masks.shape == (0, SIDE_PX, SIDE_PX)
