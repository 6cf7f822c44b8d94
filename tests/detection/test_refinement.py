"""Fisher scoring: it reaches the bound where molecules stand clear, and keeps away elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.detection.points import MeasuredPoints
from napari_subpixel.detection.refinement import _spot, refine
from napari_subpixel.detection.slopes import background_slopes
from napari_subpixel.psf import draw_gaussians

SIGMA = 1.2
LIGHT = 2000.0
BACKGROUND = 10.0


def points_of(
    yx: np.ndarray,
    frame: np.ndarray,
    light: float = LIGHT,
    *,
    background: float = BACKGROUND,
    uncertainty: float = 0.06,
) -> MeasuredPoints:
    certain, counts, background, sy, sx = (
        np.full(len(yx), value) for value in (1.0, light, background, uncertainty, uncertainty)
    )
    return MeasuredPoints(frame.astype(np.int64), *yx.T.copy(), certain, counts, background, sy, sx)


def yx_of(points: MeasuredPoints) -> np.ndarray:
    return np.column_stack([points.y, points.x])


def same(first: MeasuredPoints, second: MeasuredPoints) -> None:
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(values, second.arrays[name])


@pytest.fixture
def isolated(rng) -> tuple[np.ndarray, np.ndarray, MeasuredPoints]:
    """Frames, true positions and points that are off by about 0.03 px, one molecule a frame."""
    yx = np.array([12.0, 16.0]) + rng.uniform(-0.5, 0.5, (300, 2))
    mean = draw_gaussians((300, 25, 33), np.arange(300), yx[:, 0], yx[:, 1], np.full(300, LIGHT), SIGMA) + BACKGROUND
    return rng.poisson(mean).astype(np.float32), yx, points_of(yx + rng.normal(0, 0.03, yx.shape), np.arange(300))


def test_it_reaches_the_bound_and_says_so(isolated):
    counts, yx, points = isolated
    refined = refine(counts, np.zeros_like(counts), SIGMA, points)
    error = yx_of(refined) - yx
    # Mortensen et al. 2010, doi:10.1038/nmeth.1447, for this light and background
    spread = SIGMA**2 + 1 / 12
    tau = 2 * np.pi * spread * BACKGROUND / LIGHT
    bound = np.sqrt(spread / LIGHT * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau))))
    assert error.std() < 1.1 * bound
    uncertainty = np.column_stack([refined.y_uncertainty, refined.x_uncertainty])
    assert (error / uncertainty).std() == pytest.approx(1, abs=0.1)
    assert refined.molecule_counts.mean() == pytest.approx(LIGHT, rel=0.01)
    assert refined.background_counts.mean() == pytest.approx(BACKGROUND, rel=0.05)
    np.testing.assert_array_equal(refined.frame, points.frame)
    np.testing.assert_array_equal(refined.probability, points.probability)


def test_a_slope_of_the_background_moves_nothing(rng):
    """Fitted on an even background, molecules are up to 0.06 px too far up the slope, as far as they are uncertain."""
    shape, n = (300, 33, 41), np.arange(300)
    yx = np.array([16.0, 20.0]) + rng.uniform(-0.5, 0.5, (300, 2))
    slope = 50.0 + np.array([-1.0, 0.5]) @ (np.indices(shape[1:]) - np.array([16, 20])[:, None, None]).reshape(2, -1)
    mean = draw_gaussians(shape, n, *yx.T, np.full(300, 1000.0), SIGMA) + slope.reshape(shape[1:])
    points = points_of(yx + rng.normal(0, 0.05, yx.shape), n, light=1000.0, background=50.0, uncertainty=0.1)
    counts = rng.poisson(mean).astype(np.float32)
    refined = refine(counts, np.zeros_like(counts), SIGMA, points)
    assert np.abs((yx_of(refined) - yx).mean(axis=0)).max() < 0.012
    assert refined.background_counts.mean() == pytest.approx(50, rel=0.03)


def test_slopes_are_those_of_a_wide_window_unless_the_background_is_no_plane(rng):
    y, x = np.indices((41, 43))
    points, n = points_of(np.tile([20.0, 21.0], (200, 1)), np.arange(200), background=100.0), (200, 1, 1)
    dark = np.zeros((200, 41, 43), np.float32)
    for light, slope, spread in (
        (100 + 2.0 * y - 1.0 * x, (2.0, -1.0), 0.15),
        (np.where(x < 27, 100, 250), (0, 0), 0.5),
    ):
        counts = rng.poisson(np.tile(light, n)).astype(np.float32)
        found = background_slopes(counts, dark, dark, SIGMA, points)
        np.testing.assert_allclose(found.mean(axis=0), slope, atol=0.12)
        assert (found.std(axis=0) < spread).all()


def test_light_is_found_from_a_wrong_start(isolated):
    counts, _, points = isolated
    points = replace(points, molecule_counts=0.8 * points.molecule_counts)
    refined = refine(counts, np.zeros_like(counts), SIGMA, points)
    assert refined.molecule_counts.mean() == pytest.approx(LIGHT, rel=0.01)


def test_light_that_vanishes_in_the_fit_is_not_believed(rng):
    """Noise that was taken for a dim molecule, by a network that is unsure of its place."""
    counts = rng.poisson(50.0, (200, 25, 27)).astype(np.float32)
    points = points_of(np.tile([12.0, 13.0], (200, 1)), np.arange(200), light=200.0, background=50, uncertainty=2.0)
    refined = refine(counts, np.zeros_like(counts), SIGMA, points)
    assert (refined.molecule_counts > 90).all()
    assert (refined.molecule_counts < 410).all()


def test_the_uncertainty_of_the_network_bounds_that_of_the_fit(isolated):
    """Two molecules that cannot be resolved would look like one to the fit."""
    counts, _, points = isolated
    half = np.full(len(points), 0.5)
    refined = refine(counts, np.zeros_like(counts), SIGMA, replace(points, y_uncertainty=half, x_uncertainty=half))
    assert (refined.y_uncertainty == 0.25).all()
    assert (refined.x_uncertainty == 0.25).all()


def test_slopes_are_derivatives():
    at, step = np.array([[0.3, -0.2, 500.0, 10.0]]), 1e-5
    _, slopes = _spot(at, SIGMA, 5)
    for k in range(3):
        move = np.eye(4)[k] * step
        numeric = (_spot(at + move, SIGMA, 5)[0] - _spot(at - move, SIGMA, 5)[0]) / (2 * step)
        np.testing.assert_allclose(slopes[0, k], numeric[0], atol=1e-4)


def test_crowded_molecules_stay_where_they_are(rng):
    yx = np.array([[10.0, 10.0], [12.0, 11.0]])
    counts = rng.poisson(draw_gaussians((1, 20, 21), [0, 0], *yx.T, [LIGHT] * 2, SIGMA) + 10).astype(np.float32)
    points = points_of(yx + 0.05, np.zeros(2))
    same(refine(counts, np.zeros_like(counts), SIGMA, points), points)


def test_the_light_of_neighbours_is_taken_off(rng):
    yx = np.array([[12.0, 8.3], [12.2, 14.1]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [LIGHT] * 2, SIGMA) + BACKGROUND
    points = points_of(yx + 0.05, np.zeros(2))
    refined = refine(mean.astype(np.float32), np.zeros(mean.shape, np.float32), SIGMA, points)
    assert np.abs(yx_of(refined) - yx).max() < 0.015


def test_at_the_border_the_part_on_the_frame_is_fitted(rng):
    yx = np.array([[0.2, -0.3], [24.3, 26.1]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [LIGHT] * 2, SIGMA) + BACKGROUND
    refined = refine(
        mean.astype(np.float32), np.zeros(mean.shape, np.float32), SIGMA, points_of(yx + 0.05, np.zeros(2))
    )
    assert np.abs(yx_of(refined) - yx).max() < 0.01


def test_what_is_only_suspected_is_crowded_too_and_is_no_molecule(isolated):
    counts, _, points = isolated
    ghosts = replace(points, y=points.y + 2, probability=np.where(np.arange(300) < 150, 0.2, 0.05))
    both = MeasuredPoints.concatenate([points, ghosts])
    refined = refine(counts, np.zeros_like(counts), SIGMA, both, threshold=0.5)
    assert len(refined) == 300
    same(refined.take(np.arange(150)), points.take(np.arange(150)))
    assert (refined.y_uncertainty[150:] != points.y_uncertainty[150:]).mean() > 0.9


def test_a_fit_that_leaves_more_than_noise_is_dropped(rng):
    """Two molecules that the network took for one."""
    yx = np.array([[12.0, 13.0], [12.0, 14.5]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [20 * LIGHT] * 2, SIGMA) + BACKGROUND
    points = points_of(yx.mean(axis=0, keepdims=True), np.zeros(1), light=40 * LIGHT)
    counts = rng.poisson(mean).astype(np.float32)
    same(refine(counts, np.zeros_like(counts), SIGMA, points), points)


def test_a_fit_that_goes_astray_is_dropped(rng):
    counts = rng.poisson(10.0, (1, 25, 27)).astype(np.float32)
    points = points_of(np.array([[12.0, 10.0]]), np.zeros(1), light=30.0, uncertainty=0.01)
    same(refine(counts, np.zeros_like(counts), SIGMA, points), points)


def test_nothing_stays_nothing():
    frames = np.zeros((2, 5, 6), np.float32)
    assert len(refine(frames, frames, 1.0, MeasuredPoints.empty())) == 0
