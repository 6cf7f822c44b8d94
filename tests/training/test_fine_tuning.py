"""A model of one's own: what it learns from, what it is measured on, and what it looks like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import load_model
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.unet import UNet
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.training import held_out
from napari_subpixel.training.fine_tuning_plans import runs_half_precision_fast
from napari_subpixel.training.fine_tuning_settings import fine_tuning_settings
from napari_subpixel.training.held_out import (
    HELD_OUT_FRAMES,
    HELD_OUT_MOVIES,
    HeldOut,
    held_out_simulation,
    held_out_simulations,
    measuring,
    split_movie,
    thinned,
)
from napari_subpixel.training.imitation import EXAMPLES, domain_like, example_frames
from napari_subpixel.training.request import EXAMPLES_GAP_PX
from napari_subpixel.training.simulated_samples import DomainSamples
from napari_subpixel.training.trainer import train

CAMERA = Camera(pixel_size_nm=110, baseline=100, electrons_per_adu=0.5)
DOMAIN = Domain(sigma_px=(1.1, 1.2), photons=(800, 1200), background=(10, 20), density_per_px=(0.005, 0.02))
SAMPLE = Simulation(
    frame_shape=(48, 56),
    n_frames=16,
    camera=CAMERA,
    psf=GaussianPSF(1.2 * 110),
    structure="uniform",
    emitters_per_frame=12.0,
    photons=2000.0,
    photons_spread=0.2,
    min_photons=0.0,
    background=15.0,
    on_time_frames=0.0,
    molecules=5000,
)


@pytest.fixture(scope="module")
def movie():
    return simulate(SAMPLE, np.random.default_rng(3))


@pytest.fixture(scope="module")
def job(movie):
    detector = Detector("default", device="cpu")
    return job_for(open_stack(movie[0]), detector, DetectionOptions(CAMERA, psf=SAMPLE.psf, estimate_camera=False))


def test_the_ranges_of_a_movie_are_round_what_it_shows(job, movie):
    domain = domain_like(job)
    assert domain.sigma_px[0] < 1.2 < domain.sigma_px[1] < 1.3
    for name, true, factor in (("photons", 2000, 2.5), ("background", 15, 4)):
        low, high = getattr(domain, name)
        assert true / factor < low < true < high < true * factor
    average = 12 / (48 * 56)
    assert domain.density_per_px[0] == 0
    assert 1.5 * average < domain.density_per_px[1] < 10 * average


def test_a_movie_without_molecules_is_like_nothing():
    dark = 100 + np.random.default_rng(0).poisson(30, (4, 40, 44)).astype(np.uint16)
    job = job_for(
        open_stack(dark),
        Detector("default", device="cpu"),
        DetectionOptions(CAMERA, psf=SAMPLE.psf, estimate_camera=False),
    )
    with pytest.raises(InputError, match="no molecules are found in 4 frames"):
        domain_like(job)


def test_a_model_that_measures_no_photons_cannot_say_what_a_movie_is_like(movie):
    job = job_for(open_stack(movie[0]), Detector("paper", device="cpu"), DetectionOptions(CAMERA))
    with pytest.raises(InputError, match="paper does not measure photons"):
        domain_like(job)


def test_held_out_movies_lie_within_the_ranges(rng):
    movies = held_out_simulations(DOMAIN, CAMERA, rng)
    assert len(movies) == HELD_OUT_MOVIES
    for movie in movies:
        assert movie.frames.shape == (HELD_OUT_FRAMES, 64, 64)
        assert DOMAIN.outside(sigma_px=movie.sigma_px, photons=movie.molecule_photons) == []
        assert 0.003 < len(movie.truth) / movie.frames.size < 0.03
    assert len({movie.sigma_px for movie in movies}) == HELD_OUT_MOVIES


def test_held_out_movies_of_a_camera_with_maps_see_parts_of_them(rng):
    camera = Camera(pixel_size_nm=110, baseline=np.full((40, 80), 100.0), electrons_per_adu=0.5)
    (first, *_) = held_out_simulations(DOMAIN, camera, rng)
    assert first.frames.shape[1:] == first.camera.map_shape == (40, 64)


def test_a_measurement_is_the_jaccard_index_over_all_molecules(movie):
    model = load_model("default")
    parts = [HeldOut(movie[0][:6], movie[1].in_frames(0, 6), CAMERA, 1.2, 2000.0)]
    measure = measuring(model.card, parts, "cpu")
    assert 0.8 < measure(model.network) <= 1
    blind = load_model("default").network
    with torch.no_grad():
        blind.head.weight.zero_()
        blind.head.bias.fill_(-20.0)
    assert measure(blind) == 0


def test_detections_in_frames_without_truth_are_all_wrong(movie):
    model = load_model("default")
    first = movie[1].in_frames(0, 1)
    dark = np.median(movie[0]).astype(np.uint16)
    frames = np.stack([np.full_like(movie[0][0], dark), movie[0][1]])
    assert measuring(model.card, [HeldOut(frames, first, CAMERA, 1.2, 2000.0)], "cpu")(model.network) == 0


def test_a_long_movie_is_measured_on_frames_spread_over_it(movie, monkeypatch):
    whole = HeldOut(*movie, CAMERA)
    assert len(thinned(whole).frames) == 16
    monkeypatch.setattr(held_out, "MAX_MEASURED_PIXELS", 4 * 48 * 56)
    few = thinned(whole)
    kept = [int(np.flatnonzero([np.array_equal(frame, own) for own in movie[0]])[0]) for frame in few.frames]
    assert kept == [2, 6, 10, 14]
    for k, number in enumerate(kept):
        np.testing.assert_array_equal(few.truth.y[few.truth.frame == k], movie[1].y[movie[1].frame == number])


def test_a_part_of_a_large_simulation_is_as_dense_as_the_whole(rng):
    large = replace(SAMPLE, frame_shape=(200, 300), emitters_per_frame=120.0)
    movie = held_out_simulation(large, rng)
    assert movie.frames.shape[1:] == (64, 64)
    assert len(movie.truth) / movie.frames.size == pytest.approx(120 / (200 * 300), rel=0.3)


@pytest.mark.parametrize("sigma_px", [1.0, 2.0])
def test_samples_are_as_dense_as_asked_for_however_wide_the_psf(sigma_px, rng):
    domain = replace(DOMAIN, sigma_px=(sigma_px, sigma_px), density_per_px=(0.015, 0.02))
    batch = DomainSamples(domain, crop_px=64, camera=CAMERA).batch(12, rng)
    assert 0.012 < float(batch.weights.sum()) / (12 * 64**2) < 0.023


def test_a_model_learns_from_samples_of_one_microscope(tmp_path):
    torch.manual_seed(0)
    network = UNet(width=8, blocks=(1, 1, 1))
    settings = fine_tuning_settings(half_precision=False, iterations=40, batch_size=4, log_every=10, learning_rate=4e-3)
    samples = DomainSamples(DOMAIN, crop_px=24, camera=CAMERA)
    first, *_, last = train(network, samples, settings, tmp_path)
    assert last.localization_loss < 0.8 * first.localization_loss


def test_a_movie_is_split_into_its_first_and_its_last_frames(movie):
    learned, held_out = split_movie(HeldOut(*movie, CAMERA), 0.25)
    assert (len(learned.frames), len(held_out.frames)) == (12, 4)
    assert len(learned.truth) + len(held_out.truth) == len(movie[1])
    assert held_out.truth.frame.min() == 0
    np.testing.assert_array_equal(held_out.truth.y, movie[1].y[movie[1].frame >= 12])


@pytest.mark.parametrize(("share", "message"), [(0.0, "between 0 and 1"), (1.0, "between 0 and 1"), (0.01, "too few")])
def test_a_share_that_leaves_nothing_is_refused(movie, share, message):
    with pytest.raises(InputError, match=message):
        split_movie(HeldOut(*movie, CAMERA), share)


def test_nothing_is_held_out_where_the_last_frames_have_no_molecules():
    movie = HeldOut(np.zeros((10, 20, 30)), Localizations({"frame": [1], "y": [3], "x": [4]}), CAMERA)
    with pytest.raises(InputError, match=r"1 molecules in the others and 0 in these: too few"):
        split_movie(movie, 0.2)


def test_example_frames_are_next_to_the_users_own(movie, rng):
    assert example_frames(DOMAIN, CAMERA, rng).shape == (EXAMPLES, 128, 128)
    pairs = example_frames(DOMAIN, CAMERA, rng, open_stack(movie[0]))
    assert pairs.shape == (EXAMPLES, 48, 2 * 56 + EXAMPLES_GAP_PX)
    own = {frame.tobytes() for frame in movie[0]}
    assert all(np.ascontiguousarray(pair[:, :56]).tobytes() in own for pair in pairs)
    assert np.median(pairs[:, :, 56 + EXAMPLES_GAP_PX :]) == pytest.approx(np.median(movie[0]), rel=0.2)


def test_settings_may_be_changed_one_by_one():
    settings = fine_tuning_settings(half_precision=False, iterations=300, learning_rate=2e-3)
    assert (settings.cooldown, settings.learning_rate, settings.objective) == (150, 2e-3, "likelihood")


def test_half_precision_is_fast_where_the_processor_has_units_for_it():
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        pytest.skip("only Linux lists the units of its processor")
    assert runs_half_precision_fast("cpu") == ("amx_bf16" in flags.read_text().split())
    assert not runs_half_precision_fast("mps")
