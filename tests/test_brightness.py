"""How bright a usual molecule is: near the truth where molecules stand apart, roughly in crowds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.brightness import LEAST, estimate_molecule_photons, spread
from napari_subpixel.camera import Camera
from napari_subpixel.detector import Detector
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulate import Simulation, simulate
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
    return estimate_molecule_photons(open_stack(movie), detector, settings.camera, settings.sigma_px)


def test_molecules_that_stand_apart_tell_their_photons(detector):
    assert estimate(APART, detector) == pytest.approx(1500, rel=0.1)


def test_crowds_tell_them_roughly(detector):
    crowded = replace(APART, emitters_per_frame=120.0, molecules=20_000)
    assert estimate(crowded, detector) == pytest.approx(1500, rel=0.25)


def test_the_threshold_of_the_detector_does_not_matter():
    strict, loose = (estimate(APART, Detector(device="cpu", threshold=t)) for t in (0.9, 0.1))
    assert strict == loose > 0


def test_few_molecules_tell_nothing(detector):
    assert estimate(replace(APART, emitters_per_frame=0.5, n_frames=LEAST // 2), detector) == 0


def test_what_is_told_of_the_brightness_changes_what_crowds_are_taken_for(detector):
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
