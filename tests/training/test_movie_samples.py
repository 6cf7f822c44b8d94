"""Training samples from a movie with truth: crops with the points that lie on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.training.movie_samples import MovieCounts, MovieSamples, check_movie_with_truth, turn

CAMERA = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5)


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


def crowded(rng, n_frames=8) -> tuple[np.ndarray, Localizations]:
    """Dim molecules in noise, on every frame others."""
    n = 12 * n_frames
    frame, y, x = np.repeat(np.arange(n_frames), 12), rng.uniform(2, 42, n), rng.uniform(2, 52, n)
    movie = rng.poisson(draw_gaussians((n_frames, 44, 56), frame, y, x, np.full(n, 150.0), 1.2) + 20)
    return movie, Localizations({"frame": frame, "y": y, "x": x})


@pytest.mark.parametrize("n_frames", [1, 8])
def test_a_truth_that_fits_is_taken(n_frames, rng):
    check_movie_with_truth(*crowded(rng, n_frames))


def test_so_is_one_of_molecules_that_stay(rng):
    movie, truth = crowded(rng, 1)
    stays = Localizations({"frame": np.repeat(np.arange(4), 12), "y": np.tile(truth.y, 4), "x": np.tile(truth.x, 4)})
    check_movie_with_truth(np.repeat(movie, 4, axis=0), stays)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda truth: truth.with_columns(frame=(truth.frame + 1) % 8),
        lambda truth: truth.with_columns(y=truth.y / 1.6, x=truth.x / 1.6),
        lambda truth: truth.with_columns(y=truth.x * 44 / 56, x=truth.y * 56 / 44),
    ],
    ids=["a frame late", "another pixel size", "axes exchanged"],
)
def test_a_truth_of_something_else_is_refused(wrong, rng):
    movie, truth = crowded(rng)
    with pytest.raises(InputError, match="not brighter where it has molecules"):
        check_movie_with_truth(movie, wrong(truth))


def test_a_truth_that_mostly_lies_outside_the_frames_is_refused(rng):
    movie, truth = crowded(rng)
    moved = truth.with_columns(y=truth.y + np.where(np.arange(len(truth)) > 3, 1000, 0))
    with pytest.raises(InputError, match=r"92 of its 96 points lie outside the frames.* 44 x 56"):
        check_movie_with_truth(movie, moved)


def test_dimming_darkens_each_draw_by_up_to_its_share(movie_and_truth, rng):
    samples = MovieSamples(*movie_and_truth, crops_per_frame=4, crop_px=24, dimming=0.5, rng=rng)
    brightest = samples.batch(400, rng).frames.amax((1, 2, 3))
    assert 0.5 <= brightest.min() < 0.55
    assert 0.95 < brightest.max() <= 1


def test_dimming_all_the_way_is_refused(movie_and_truth, rng):
    with pytest.raises(InputError, match="dimming must be at least 0 and below 1, got 1"):
        MovieSamples(*movie_and_truth, dimming=1.0, rng=rng)


# -- in counts ----------------------------------------------------------------------------------------------------


def in_counts(movie_and_truth, camera=CAMERA, **settings) -> MovieCounts:
    movie, truth = movie_and_truth
    return MovieCounts(camera.to_adu(movie), truth, camera, sigma_px=1.0, crop_px=24, **settings)


def test_crops_in_counts_hold_the_photons_and_the_points_of_their_part(movie_and_truth, rng):
    movie, truth = movie_and_truth
    truth = truth.with_columns(photons=np.arange(1.0, 7.0))
    batch = in_counts((movie, truth)).batch(64, rng)
    assert batch.frames.shape == (64, 5, 24, 24)
    assert batch.background is None
    for frame, points, weight, light in zip(*batch[:3], batch.light, strict=True):
        here = weight[:, 0] > 0
        assert frame[0].min() == pytest.approx(5, abs=0.01)
        assert set(light[here].tolist()) <= set(range(1, 7))
        assert (light[~here] == 1).all()
        if here.any():
            assert brightest_is_near_a_point(frame[0].numpy(), points[here].numpy())


def test_light_is_learned_only_where_the_truth_has_it(movie_and_truth, rng):
    assert in_counts(movie_and_truth).batch(2, rng).light is None


def test_most_crops_are_conditioned_on_the_typical_brightness(movie_and_truth, rng):
    conditions = in_counts(movie_and_truth, molecule_photons=700.0).batch(200, rng).frames[:, 4, 0, 0]
    assert set(conditions.tolist()) == {0.0, 700.0}
    assert 0.45 < (conditions > 0).float().mean() < 0.75


def test_a_crop_sees_its_own_part_of_the_cameras_maps(movie_and_truth, rng):
    baseline = 100 + np.arange(30 * 38.0).reshape(30, 38)
    camera = replace(CAMERA, baseline=baseline)
    assert in_counts(movie_and_truth, camera).batch(20, rng).frames[:, 0].amin((1, 2)) == pytest.approx(5, abs=0.01)


def test_a_movie_smaller_than_a_crop_is_taken_whole(movie_and_truth, rng):
    movie, truth = movie_and_truth
    samples = MovieCounts(movie, truth, Camera(), sigma_px=1.0, crop_px=48)
    assert samples.batch(2, rng).frames.shape == (2, 5, 30, 30)


@pytest.mark.parametrize(
    ("shape", "rows", "message"),
    [
        ((40, 50), {"frame": [0], "y": [1], "x": [1]}, "got shape"),
        ((2, 40, 50), {"frame": [], "y": [], "x": []}, "no rows"),
        ((2, 40, 50), {"frame": [2], "y": [1], "x": [1]}, "frame 2, the movie has 2 frames"),
        ((2, 40, 50), {"frame": [0], "y": [4000], "x": [2000]}, r"round \(4000, 2000\) px.*is the pixel size right"),
    ],
)
def test_a_movie_and_truth_that_do_not_fit_are_refused(shape, rows, message):
    with pytest.raises(InputError, match=message):
        MovieCounts(np.zeros(shape), Localizations(rows), Camera(), sigma_px=1.0)
