"""Elongation: round spots are round however bright, and a fifth of long ones is noticed, in whatever direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_subpixel.calibration.elongation import MAX_SHARE, Elongation, measure_elongation
from napari_subpixel.camera import Camera
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.stacks import open_stack

CAMERA = Camera(100.0, 100.0, 0.5, 0.9, read_noise_e=1.5)
EMCCD = Camera(100.0, 100.0, 40.0, 0.9, em_gain=300.0)


def spot(y: float, x: float, sigma: float, ratio: float, angle: float) -> NDArray[np.float64]:
    """Light of 1 photon on 41 by 41 pixels, sampled at 5 by 5 places in each."""
    fine = (np.arange(41 * 5) + 0.5) / 5 - 0.5 - 20
    v, u = fine[:, None] - y, fine[None] - x
    along, across = np.cos(angle) * u + np.sin(angle) * v, np.cos(angle) * v - np.sin(angle) * u
    light = np.exp(-0.5 * (along**2 / ratio + across**2 * ratio) / sigma**2)
    return light.reshape(41, 5, 41, 5).sum(axis=(1, 3)) / light.sum()


def elongation(
    rng: np.random.Generator, *, ratio: float, share: float, photons: float, sigma: float = 1.3, camera: Camera = CAMERA
) -> Elongation:
    """Of 120 spots, that share of which is long, in any direction."""
    light = np.full((6, 5 * 41, 4 * 41), 20.0)
    long = np.arange(120) % 20 < round(20 * share)
    for k, is_long in enumerate(rng.permutation(long)):
        frame, row, column = k // 20, k % 20 // 4, k % 4
        place = spot(*rng.uniform(-3, 3, 2), sigma, ratio if is_long else 1.0, rng.uniform(0, np.pi))
        light[frame, row * 41 : (row + 1) * 41, column * 41 : (column + 1) * 41] += photons * place
    measured = measure_elongation(open_stack(camera.expose(light, rng)), camera, sigma)
    assert measured is not None
    return measured


def of_one_shape(rng: np.random.Generator, ratio: float, photons: float, angle: float = 0.5) -> NDArray[np.uint16]:
    """A movie of 200 spots that are all long in one direction."""
    light = np.full((10, 5 * 41, 4 * 41), 20.0)
    for k in range(200):
        frame, row, column = k // 20, k % 20 // 4, k % 4
        place = spot(*rng.uniform(-3, 3, 2), 1.3, ratio, angle)
        light[frame, row * 41 : (row + 1) * 41, column * 41 : (column + 1) * 41] += photons * place
    return np.asarray(CAMERA.expose(light, rng))


@pytest.mark.parametrize(
    ("photons", "sigma", "camera"),
    [(800, 1.3, CAMERA), (2000, 0.9, CAMERA), (20_000, 1.3, CAMERA), (5000, 1.9, CAMERA), (2000, 1.3, EMCCD)],
)
def test_round_spots_are_round(rng, photons, sigma, camera):
    measured = elongation(rng, ratio=1.0, share=0.0, photons=photons, sigma=sigma, camera=camera)
    assert measured.is_round
    assert measured.share < 0.1
    assert measured.sigma_px == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("photons", [200, 500])
@pytest.mark.parametrize("sigma", [0.8, 1.3, 2.0])
def test_dim_round_spots_of_which_only_pairs_are_bright_are_round(rng, photons, sigma):
    n, shape = 1200, (20, 128, 120)
    frame, y, x = rng.integers(0, 20, n), rng.uniform(0, 127, n), rng.uniform(0, 119, n)
    light = draw_gaussians(shape, frame, y, x, photons * np.exp(0.2 * rng.normal(size=n)), sigma)
    background = 5.0 if photons == 200 else 200.0 if sigma == 0.8 else 50.0
    measured = measure_elongation(open_stack(CAMERA.expose(light + background, rng)), CAMERA, sigma)
    assert measured is None or measured.is_round


def test_a_fifth_of_little_elongation_is_noticed(rng):
    assert not elongation(rng, ratio=1.33, share=0.25, photons=20_000).is_round


@pytest.mark.parametrize(("ratio", "photons"), [(1.5, 2000), (2.0, 2000), (1.5, 20_000), (2.0, 13_500)])
@pytest.mark.parametrize("camera", [CAMERA, EMCCD])
def test_a_quarter_of_long_spots_among_round_ones_is_noticed(rng, ratio, photons, camera):
    measured = elongation(rng, ratio=ratio, share=0.25, photons=photons, camera=camera)
    assert not measured.is_round
    assert measured.share == pytest.approx(0.25, abs=0.07)
    assert measured.long_px / measured.short_px == pytest.approx(ratio, rel=0.12)


def test_a_tenth_is_not(rng):
    assert 0.05 < elongation(rng, ratio=2.0, share=0.1, photons=5000).share < MAX_SHARE


def test_spots_too_dim_to_count_singly_are_noticed_where_all_are_long(rng):
    measured = elongation(rng, ratio=1.6, share=1.0, photons=450)
    assert not measured.is_round
    assert f"of {measured.n_spots} isolated spots are not round, but typically" in measured.text


@pytest.mark.parametrize(("ratio", "photons"), [(1.25, 450), (1.25, 1000)])
def test_what_all_spots_have_in_common_is_noticed_however_dim(rng, ratio, photons):
    movie = of_one_shape(rng, ratio, photons)
    measured = measure_elongation(open_stack(movie), CAMERA, 1.3)
    assert measured is not None
    assert not measured.is_round_on_average
    assert np.exp(2 * measured.mean) == pytest.approx(ratio, abs=0.06)
    assert measured.angle_deg == pytest.approx(29, abs=8)
    words = "on average 1.2" if measured.few_are_long else f"of {measured.n_spots} isolated spots are not round"
    assert words in measured.text


def test_a_round_spot_on_oblong_pixels_is_round_on_average(rng):
    camera = replace(CAMERA, pixel_size_nm=(120.0, 100.0))
    movie = of_one_shape(rng, 1.2, 1000, angle=0.0)
    on_oblong, on_square = (measure_elongation(open_stack(movie), one, 1.3) for one in (camera, CAMERA))
    assert on_oblong is not None
    assert on_square is not None
    assert on_oblong.is_round_on_average
    assert not on_square.is_round_on_average


def test_nothing_is_said_of_too_few_spots(rng):
    empty = open_stack(CAMERA.expose(np.full((4, 64, 70), 20.0), rng))
    assert measure_elongation(empty, CAMERA, 1.3) is None
    assert measure_elongation(open_stack(np.zeros((2, 5, 6), np.uint16)), CAMERA, 1.3) is None
