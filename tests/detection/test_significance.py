"""Noise in sparse, bright movies is left out; dim molecules are not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import estimate_brightness
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.points import MeasuredPoints
from napari_subpixel.detection.significance import DIM, discounted, least_significance, significance
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

PAINT = Simulation(
    frame_shape=(256, 256), n_frames=12, camera=Camera(100.0, 100.0, 0.5, 0.9, read_noise_e=1.5),
    psf=GaussianPSF(130.0), structure="uniform", emitters_per_frame=3.0, photons=10_000.0, photons_spread=0.7,
    background=100.0, on_time_frames=0.0, molecules=2000,
)  # fmt: skip
DIM_MOVIE = Simulation(
    frame_shape=(96, 128), n_frames=5, camera=PAINT.camera, psf=PAINT.psf, structure="uniform",
    emitters_per_frame=20.0, photons=300.0, photons_spread=0.2, background=50.0, on_time_frames=0.0, molecules=2000,
)  # fmt: skip


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(device="cpu")


def n_false(found: Localizations, truth: Localizations) -> int:
    """Points further than 4 px from any molecule: beyond the frame there are some too, near its edge."""
    inside = (np.minimum(found.y, found.x) > 4) & (found.y < 251) & (found.x < 251)
    near = [
        np.hypot(truth.y - y, truth.x - x)[truth.frame == frame].min(initial=np.inf) < 4
        for frame, y, x in zip(found.frame, found.y, found.x, strict=True)
    ]
    return int((inside & ~np.array(near)).sum())


def points_at(y: np.ndarray, x: np.ndarray, photons: float) -> MeasuredPoints:
    some = np.ones(len(y))
    return MeasuredPoints(np.arange(len(y)), y, x, some, photons * some, 20 * some, 0.1 * some, 0.1 * some)


def test_noise_alone_is_standard_normal_and_light_as_far_above_as_it_should_be(rng):
    n, sigma, photons = 1500, 1.3, 150.0
    y, x = rng.uniform(9, 11, (2, n))
    light = draw_gaussians((n, 21, 22), np.arange(n), y, x, np.full(n, photons), sigma)
    read = np.full((n, 21, 22), 3.0, np.float32)
    for there, middle in ((0.0, 0.0), (1.0, photons / np.sqrt(4 * np.pi * sigma**2 * 23))):
        counts = (rng.poisson(20 + there * light) + rng.normal(0, np.sqrt(3), light.shape)).astype(np.float32)
        levels = significance(counts, read, sigma, points_at(y, x, photons))
        assert levels.std() == pytest.approx(1, abs=0.12)
        assert levels.mean() == pytest.approx(
            0.83 * middle, abs=0.4
        )  # its own noise, and the background's, cost the rest


def test_crowded_and_bright_points_are_not_judged(rng):
    counts = rng.poisson(20, (1, 40, 40)).astype(np.float32)
    y, x = np.array([10.0, 12.0, 30.0]), np.array([10.0, 10.0, 30.0])
    two = MeasuredPoints(np.zeros(3, np.int64), y, x, *np.ones((1, 3)), np.array([90, 90, 9e4]), *np.ones((3, 3)))
    assert np.isinf(significance(counts, np.zeros_like(counts), 1.3, two)).all()
    assert significance(counts, np.zeros_like(counts), 1.3, MeasuredPoints.empty()).shape == (0,)


def test_a_probability_falls_steadily_below_the_limit_and_with_the_distance_of_others():
    n, limit = 400, 5.0
    one, near = np.full(n, 20.0), np.linspace(5.0, 7.0, n)
    photons = np.linspace(60, 200, n)
    light = draw_gaussians((n, 41, 43), np.arange(n), one, one, photons, 1.3)
    read = np.zeros((n, 41, 43), np.float32)
    dim = {"read_variance": read, "sigma_px": 1.3, "limit": limit, "threshold": 0.1}
    counts = (20 + light).astype(np.float32)
    values = significance(counts, read, 1.3, points_at(one, one, 100.0))
    found = discounted(counts, points=points_at(one, one, 100.0), **dim)
    assert values[0] < limit - 1 < limit + 1 < values[-1]
    assert 0.3 * n < len(found) < n
    assert (found.probability[values[found.frame] >= limit] == 1).all()
    assert 0 <= np.diff(found.probability).min() <= np.diff(found.probability).max() < 0.05
    # One that is certain beside each of them, farther and farther away.
    weak = np.broadcast_to(counts[:1], counts.shape)
    pair = MeasuredPoints.concatenate([points_at(one, one, 60.0), points_at(one, one + near, 60.0)])
    left = discounted(np.array(weak), points=pair, **dim | {"threshold": 1e-6})
    first = np.zeros(n)
    here = left.x == 20
    first[left.frame[here]] = left.probability[here]
    assert first[0] == 1
    assert first[-1] == 0
    assert -0.05 < np.diff(first).min() <= np.diff(first).max() <= 0


def test_the_limit_is_high_for_sparse_bright_molecules_and_there_is_none_for_dim_ones():
    noise, pixels = np.full(10, 4.2), 12 * 256**2
    bright = np.concatenate([noise, np.full(36, np.inf)])
    assert 4.7 <= least_significance(bright, pixels, 1.3) <= 5.2
    assert least_significance(noise, pixels, 1.3) >= 5.2
    dim = np.concatenate([noise, np.linspace(*DIM, 12), np.full(24, 10.0)])
    assert least_significance(dim, pixels, 1.3) == 0
    crowded = np.full(4000, np.inf)
    assert least_significance(crowded, pixels, 1.3) < 4


@pytest.mark.parametrize("em_gain", [1.0, 300.0])
def test_what_is_found_in_a_sparse_bright_movie_is_no_noise(detector, em_gain):
    camera = Camera(100.0, 100.0, 0.5 if em_gain == 1 else 40.0, 0.9, em_gain=em_gain, read_noise_e=1.5)
    settings = Simulation(**{**vars(PAINT), "camera": camera, "n_frames": 8})
    movie, truth = simulate(settings, np.random.default_rng(5))
    brightness = estimate_brightness(open_stack(movie), detector, camera, 1.3)
    assert brightness.photons == 0  # they are not alike
    bare, found = (
        detector.detect(movie, camera=camera, sigma_px=1.3, min_significance=limit)
        for limit in (0.0, brightness.min_significance)
    )
    assert n_false(bare, truth) >= 4
    assert n_false(found, truth) <= 1
    assert len(bare) - len(found) == pytest.approx(n_false(bare, truth) - n_false(found, truth), abs=2)


def test_alike_molecules_that_are_sparse_give_an_estimate_in_spite_of_noise(detector):
    settings = Simulation(
        **{**vars(PAINT), "photons_spread": 0.15, "emitters_per_frame": 1.0, "n_frames": 36, "frame_shape": (160, 150)}
    )
    movie, _ = simulate(settings, np.random.default_rng(6))
    brightness = estimate_brightness(open_stack(movie), detector, settings.camera, 1.3)
    assert brightness.photons == pytest.approx(10_000, rel=0.1)


def test_dim_molecules_are_all_kept(detector):
    movie, _ = simulate(DIM_MOVIE, np.random.default_rng(7))
    limit = estimate_brightness(open_stack(movie), detector, DIM_MOVIE.camera, 1.3).min_significance
    bare, found = (
        detector.detect(movie, camera=DIM_MOVIE.camera, sigma_px=1.3, min_significance=value) for value in (0.0, limit)
    )
    assert len(found) >= 0.99 * len(bare) > 60


def test_photons_that_are_given_are_not_estimated(detector):
    movie, _ = simulate(DIM_MOVIE, np.random.default_rng(7))
    stack = open_stack(movie[:2])
    assert estimate_brightness(stack, detector, DIM_MOVIE.camera, 1.3, molecule_photons=777.0).photons == 777
