"""Fisher scoring: it reaches the bound where molecules stand clear, and keeps away elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.detection.refinement import _spot, refine
from napari_subpixel.psf import draw_gaussians

SIGMA, LIGHT, BACKGROUND = 1.2, 2000.0, 10.0


def rows_of(yx: np.ndarray, frame: np.ndarray, light: float = LIGHT) -> np.ndarray:
    each = np.ones(len(yx))
    return np.column_stack([frame, yx, each, light * each, BACKGROUND * each, 0.06 * each, 0.06 * each])


@pytest.fixture
def isolated(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, true positions and rows that are off by about 0.03 px, one molecule a frame."""
    yx = np.array([12.0, 16.0]) + rng.uniform(-0.5, 0.5, (300, 2))
    mean = draw_gaussians((300, 25, 33), np.arange(300), yx[:, 0], yx[:, 1], np.full(300, LIGHT), SIGMA) + BACKGROUND
    return rng.poisson(mean).astype(np.float32), yx, rows_of(yx + rng.normal(0, 0.03, yx.shape), np.arange(300))


def test_it_reaches_the_bound_and_says_so(isolated):
    counts, yx, rows = isolated
    refined = refine(counts, np.zeros_like(counts), SIGMA, rows)
    error = refined[:, 1:3] - yx
    # Mortensen et al. 2010, doi:10.1038/nmeth.1447, for this light and background
    spread = SIGMA**2 + 1 / 12
    tau = 2 * np.pi * spread * BACKGROUND / LIGHT
    bound = np.sqrt(spread / LIGHT * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau))))
    assert error.std() < 1.1 * bound
    assert (error / refined[:, 6:8]).std() == pytest.approx(1, abs=0.1)
    assert refined[:, 4].mean() == pytest.approx(LIGHT, rel=0.01)
    assert refined[:, 5].mean() == pytest.approx(BACKGROUND, rel=0.05)
    np.testing.assert_array_equal(refined[:, [0, 3]], rows[:, [0, 3]])


def test_light_is_found_from_a_wrong_start(isolated):
    counts, _, rows = isolated
    rows[:, 4] *= 0.8
    assert refine(counts, np.zeros_like(counts), SIGMA, rows)[:, 4].mean() == pytest.approx(LIGHT, rel=0.01)


def test_light_that_vanishes_in_the_fit_is_not_believed(rng):
    """Noise that was taken for a dim molecule, by a network that is unsure of its place."""
    counts = rng.poisson(50.0, (200, 25, 27)).astype(np.float32)
    rows = rows_of(np.tile([12.0, 13.0], (200, 1)), np.arange(200.0), light=200.0)
    rows[:, 5], rows[:, 6:8] = 50, 2.0
    refined = refine(counts, np.zeros_like(counts), SIGMA, rows)
    assert (refined[:, 4] > 90).all()
    assert (refined[:, 4] < 410).all()


def test_the_doubts_of_the_network_stay(isolated):
    """Two molecules that nobody can tell apart would look like one to the fit."""
    counts, _, rows = isolated
    rows[:, 6:8] = 0.5
    assert (refine(counts, np.zeros_like(counts), SIGMA, rows)[:, 6:8] == 0.25).all()


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
    rows = rows_of(yx + 0.05, np.zeros(2))
    np.testing.assert_array_equal(refine(counts, np.zeros_like(counts), SIGMA, rows), rows)


def test_the_light_of_neighbours_is_taken_off(rng):
    yx = np.array([[12.0, 8.3], [12.2, 14.1]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [LIGHT] * 2, SIGMA) + BACKGROUND
    rows = rows_of(yx + 0.05, np.zeros(2))
    refined = refine(mean.astype(np.float32), np.zeros(mean.shape, np.float32), SIGMA, rows)
    assert np.abs(refined[:, 1:3] - yx).max() < 0.015


def test_at_the_border_the_seen_part_is_fitted(rng):
    yx = np.array([[0.2, -0.3], [24.3, 26.1]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [LIGHT] * 2, SIGMA) + BACKGROUND
    refined = refine(mean.astype(np.float32), np.zeros(mean.shape, np.float32), SIGMA, rows_of(yx + 0.05, np.zeros(2)))
    assert np.abs(refined[:, 1:3] - yx).max() < 0.01


def test_what_is_only_suspected_is_crowded_too_and_is_no_molecule(isolated):
    counts, _, rows = isolated
    ghosts = rows.copy()
    ghosts[:, 1] += 2
    ghosts[:150, 3], ghosts[150:, 3] = 0.2, 0.05
    refined = refine(counts, np.zeros_like(counts), SIGMA, np.concatenate([rows, ghosts]), threshold=0.5)
    assert len(refined) == 300
    np.testing.assert_array_equal(refined[:150], rows[:150])
    assert (refined[150:, 6] != rows[150:, 6]).mean() > 0.9


def test_a_fit_that_leaves_more_than_noise_is_dropped(rng):
    """Two molecules that the network took for one."""
    yx = np.array([[12.0, 13.0], [12.0, 14.5]])
    mean = draw_gaussians((1, 25, 27), [0, 0], *yx.T, [20 * LIGHT] * 2, SIGMA) + BACKGROUND
    rows = rows_of(yx.mean(axis=0, keepdims=True), np.zeros(1), light=40 * LIGHT)
    counts = rng.poisson(mean).astype(np.float32)
    np.testing.assert_array_equal(refine(counts, np.zeros_like(counts), SIGMA, rows), rows)


def test_a_fit_that_goes_astray_is_dropped(rng):
    counts = rng.poisson(10.0, (1, 25, 27)).astype(np.float32)
    rows = rows_of(np.array([[12.0, 10.0]]), np.zeros(1), light=30.0)
    rows[:, 6:8] = 0.01
    np.testing.assert_array_equal(refine(counts, np.zeros_like(counts), SIGMA, rows), rows)


def test_nothing_stays_nothing():
    assert refine(np.zeros((2, 5, 6), np.float32), np.zeros((2, 5, 6), np.float32), 1.0, np.empty((0, 8))).shape == (
        0,
        8,
    )
