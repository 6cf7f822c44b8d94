"""Points drawn by compiled loops are where and what the plain way says, on however many processors."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from napari_subpixel.coordinates import home_pixel
from napari_subpixel.psf import TRUNCATE_SIGMA, add_gaussians
from napari_subpixel.rendering.kernels import BLOCK_POINTS, add_counts, add_unit_gaussians


def somewhere(rng, shape, n, narrowest=0.1, widest=8.0):
    """Return y, x and the widths of points on an image."""
    places = [rng.uniform(-0.5, side - 0.5, n) for side in shape]
    return *places, *np.exp(rng.uniform(np.log(narrowest), np.log(widest), (2, n)))


def painted(shape, *points):
    image = np.zeros(shape, np.float32)
    add_unit_gaussians(image, *points)
    return image


def plain(shape, y, x, sigma_y, sigma_x):
    image = np.zeros(shape)
    add_gaussians(image[None], np.zeros(len(y), np.int64), y, x, np.ones(len(y)), sigma_y, sigma_x)
    return image


@pytest.mark.parametrize("shape", [(300, 700), (1, 900), (333, 3), (7, 5), (1, 1)])
def test_gaussians_are_those_of_the_plain_way(rng, shape):
    points = somewhere(rng, shape, 400)
    image = painted(shape, *points)
    assert image.dtype == np.float32
    assert image == pytest.approx(plain(shape, *points), rel=1e-5, abs=3e-6)


def test_gaussians_wider_than_the_image_are_cut_at_its_edges(rng):
    points = somewhere(rng, (20, 30), 50, 20.0, 60.0)
    assert painted((20, 30), *points) == pytest.approx(plain((20, 30), *points), rel=1e-5, abs=3e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 3.0, 20.0])
def test_a_gaussian_that_is_wholly_on_the_image_has_the_sum_1(sigma):
    alone = np.full(1, sigma)
    image = painted((301, 299), np.full(1, 150.3), np.full(1, 149.8), alone, alone)
    assert image.sum(dtype=float) == pytest.approx(1, abs=1e-6)
    reach = int(TRUNCATE_SIGMA * sigma) + 2
    image[150 - reach : 151 + reach, 150 - reach : 151 + reach] = 0
    assert not image.any()


def test_the_image_is_the_same_whatever_the_number_of_processors(rng, monkeypatch):
    points = somewhere(rng, (2000, 400), 20_000, 0.3, 5.0)
    images = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        images.append(painted((2000, 400), *points))
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])


def test_points_are_counted_in_their_pixels(rng):
    y, x, _, _ = somewhere(rng, (30, 50), 3 * BLOCK_POINTS + 77)
    image, expected = np.zeros((30, 50), np.float32), np.zeros((30, 50))
    add_counts(image, y, x)
    np.add.at(expected, (home_pixel(y), home_pixel(x)), 1)
    assert np.array_equal(image, expected)


def test_a_point_that_rounding_put_behind_the_far_edge_counts_in_the_last_pixel():
    image = np.zeros((3, 4), np.float32)
    add_counts(image, np.array([2.5]), np.array([3.5]))
    assert np.argwhere(image).tolist() == [[2, 3]]


def test_nothing_is_drawn_of_no_points():
    none = np.empty(0)
    image = painted((5, 6), none, none, none, none)
    add_counts(image, none, none)
    assert not image.any()
