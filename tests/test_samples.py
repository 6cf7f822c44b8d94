"""Training samples: crops with the points that lie on them, and simulated ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.samples import MovieSamples, SimulatedSamples, padded, turn
from napari_subpixel.simulate import Simulation


@pytest.fixture
def movie_and_truth(rng):
    """Three frames of 30 x 38 with bright molecules, well apart, and no noise."""
    y, x = rng.uniform(3, 26, 6), rng.uniform(3, 34, 6)
    frame = np.array([0, 0, 1, 1, 2, 2])
    movie = draw_gaussians((3, 30, 38), frame, y, x, np.full(6, 1000.0), 1.0) + 5
    return movie, Localizations({"frame": frame, "y": y, "x": x})


def brightest_is_near_a_point(frame, points) -> bool:
    brightest = np.argwhere(frame == frame.max())[0]
    return bool((np.abs(points - brightest) <= 0.75).all(axis=1).any())


@pytest.mark.parametrize("augment", [False, True])
def test_points_lie_on_the_spots_of_their_crop(movie_and_truth, augment, rng):
    samples = MovieSamples(*movie_and_truth, crops_per_frame=40, crop_px=24, augment=augment, rng=rng)
    frames, truth, weights = samples.batch(64, rng)[:3]
    assert frames.shape == (64, 1, 24, 24)
    assert (frames.amin((1, 2, 3)) == 0).all()
    assert (frames.amax((1, 2, 3)) == 1).all()
    with_points = weights[:, :, 0].sum(1) == 2  # both of the frame's molecules are on the crop
    assert with_points.any()
    for frame, points, weight in zip(frames[with_points], truth[with_points], weights[with_points], strict=True):
        assert brightest_is_near_a_point(frame[0].numpy(), points[weight[:, 0] > 0].numpy())


@pytest.mark.parametrize("way", range(8))
def test_all_eight_ways_to_turn_move_frame_and_points_together(way):
    frame, points = torch.zeros(7, 7), np.float32([[1, 4]])
    frame[1, 4] = 1
    turned, moved = turn(frame, points, way)
    assert np.argwhere(turned.numpy() == 1).tolist() == moved.tolist()


def test_the_eight_ways_differ():
    frame = torch.arange(9.0).reshape(3, 3)
    assert len({tuple(turn(frame, np.zeros((0, 2), np.float32), way)[0].flatten().tolist()) for way in range(8)}) == 8


def test_padding_has_no_weight():
    truth, weights = padded([np.float32([[1, 2]]), np.zeros((0, 2), np.float32), np.float32([[3, 4], [5, 6]])])
    assert truth.shape == (3, 2, 2)
    assert weights[:, :, 0].tolist() == [[1, 0], [0, 0], [1, 1]]


def test_the_same_generator_gives_the_same_batch(movie_and_truth):
    def draw():
        samples = MovieSamples(*movie_and_truth, crops_per_frame=5, augment=True, rng=np.random.default_rng(1))
        return samples.batch(8, np.random.default_rng(2))[:3]

    assert all(torch.equal(a, b) for a, b in zip(draw(), draw(), strict=True))


def test_input_moments_are_those_of_the_crops(movie_and_truth, rng):
    samples = MovieSamples(*movie_and_truth, crops_per_frame=5, rng=rng)
    assert samples.input_moments() == (float(samples.frames.mean()), float(samples.frames.std()))


@pytest.mark.parametrize(
    ("movie", "truth", "message"),
    [
        (np.zeros((2, 10, 40)), Localizations({"frame": [0], "y": [1], "x": [1]}), "at least 26 px a side"),
        (np.zeros((2, 40, 50)), Localizations.empty(), "no rows"),
        (np.zeros((2, 40, 50)), Localizations({"frame": [2], "y": [1], "x": [1]}), "frame 2, the movie has 2 frames"),
    ],
)
def test_a_movie_that_does_not_fit_is_refused(movie, truth, message, rng):
    with pytest.raises(InputError, match=message):
        MovieSamples(movie, truth, rng=rng)


def test_simulated_samples_have_the_density_asked_for_and_differ_from_batch_to_batch(rng):
    samples = SimulatedSamples(Simulation(frame_shape=(50, 60), structure="uniform", emitters_per_frame=90), crop_px=20)
    batches = [samples.batch(50, rng) for _ in range(2)]
    expected = 90 / 3000 * 400
    for frames, weights in ((b.frames, b.weights) for b in batches):
        assert frames.shape == (50, 1, 20, 20)
        assert weights.sum().item() / 50 == pytest.approx(expected, rel=0.15)
    assert not torch.equal(batches[0].frames, batches[1].frames)
    assert all(np.isfinite(samples.input_moments()))


def test_simulated_samples_cut_the_maps_of_a_camera(rng):
    camera = Camera(pixel_size_nm=100, baseline=np.full((30, 40), 100.0), electrons_per_adu=0.5)
    base = Simulation(structure="uniform", emitters_per_frame=20)
    samples = SimulatedSamples(replace(base, camera=camera, frame_shape=(30, 40)), crop_px=16)
    assert samples.batch(3, rng).frames.shape == (3, 1, 16, 16)


def test_dimming_darkens_each_draw_by_up_to_its_share(movie_and_truth, rng):
    samples = MovieSamples(*movie_and_truth, crops_per_frame=4, crop_px=24, dimming=0.5, rng=rng)
    brightest = samples.batch(400, rng).frames.amax((1, 2, 3))
    assert 0.5 <= brightest.min() < 0.55
    assert 0.95 < brightest.max() <= 1


def test_dimming_all_the_way_is_refused(movie_and_truth, rng):
    with pytest.raises(InputError, match="dimming must be at least 0 and below 1, got 1"):
        MovieSamples(*movie_and_truth, dimming=1.0, rng=rng)
