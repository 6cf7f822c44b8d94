"""How bright a typical molecule is: near the truth where molecules are apart, roughly in crowds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import MIN_MOLECULES, estimate_brightness, spread
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

APART = Simulation(
    frame_shape=(48, 52), n_frames=30, camera=Camera(100.0, 100.0, 0.5, 0.9), psf=GaussianPSF(130.0),
    structure="uniform", emitters_per_frame=10.0, photons=1500.0, photons_spread=0.2, background=20.0,
    on_time_frames=0.0, molecules=2000,
)  # fmt: skip


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(device="cpu")


def estimate(settings: Simulation, detector: Detector) -> float:
    movie, _ = simulate(settings, np.random.default_rng(4))
    return estimate_brightness(open_stack(movie), detector, settings.camera, settings.sigma_px).photons


def test_photons_of_molecules_apart_are_estimated(detector):
    assert estimate(APART, detector) == pytest.approx(1500, rel=0.1)


def test_those_of_crowds_are_estimated_roughly(detector):
    crowded = replace(APART, emitters_per_frame=120.0, molecules=20_000)
    assert estimate(crowded, detector) == pytest.approx(1500, rel=0.25)


@pytest.mark.parametrize("emitters", [10.0, 60.0])
def test_molecules_that_are_not_alike_give_no_estimate(detector, emitters):
    assert estimate(replace(APART, photons_spread=0.9, min_photons=200.0, emitters_per_frame=emitters), detector) == 0


def test_a_bright_isolated_molecule_stays_one(detector):
    uneven = replace(APART, photons_spread=0.9, min_photons=400.0, emitters_per_frame=3.0, n_frames=60)
    movie, truth = simulate(uneven, np.random.default_rng(8))
    job = job_for(open_stack(movie), detector, DetectionOptions(uneven.camera, psf=uneven.psf, estimate_camera=False))
    found = detect_all(job)
    bright = truth["photons"] > 2 * np.median(truth["photons"])
    alone = np.array([near(truth, *point, 10) == 1 for point in zip(truth.frame, truth.y, truth.x, strict=True)])
    some = truth.select(bright & alone)
    number = np.array([near(found, *point, 4) for point in zip(some.frame, some.y, some.x, strict=True)])
    assert len(some) > 10
    assert (number > 1).mean() < 0.1


def near(table: Localizations, frame: int, y: float, x: float, distance_px: float) -> int:
    return int((np.hypot(table.y - y, table.x - x)[table.frame == frame] < distance_px).sum())


def test_the_threshold_of_the_detector_does_not_matter():
    strict, loose = (estimate(APART, Detector(device="cpu", threshold=t)) for t in (0.9, 0.1))
    assert strict == loose > 0


def test_few_molecules_give_no_estimate(detector):
    assert estimate(replace(APART, emitters_per_frame=0.5, n_frames=MIN_MOLECULES // 2), detector) == 0


def test_conditioning_on_the_brightness_changes_what_crowds_are_taken_for(detector):
    movie, _ = simulate(replace(APART, emitters_per_frame=120.0, molecules=20_000), np.random.default_rng(4))
    dim, bright = (
        detector.detect(movie, camera=APART.camera, sigma_px=1.3, molecule_photons=photons) for photons in (700, 3000)
    )
    assert len(dim) > 1.1 * len(bright)
    assert np.median(dim["photons"]) < np.median(bright["photons"])


@pytest.mark.parametrize("n", [1, 3, 12, 1000])
def test_frames_are_spread_and_none_is_seen_twice(n):
    frames = spread(n, 12)
    assert len(set(frames)) == len(frames) == min(n, 12)
    assert all(0 <= frame < n for frame in frames)
    if n == 1000:
        assert np.ptp(frames[:4]) > 600
