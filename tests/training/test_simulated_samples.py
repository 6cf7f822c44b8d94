"""Training samples, simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.training.simulated_samples import DomainSamples, SimulatedSamples, padded


def test_padding_has_no_weight():
    truth, weights = padded([np.float32([[1, 2]]), np.zeros((0, 2), np.float32), np.float32([[3, 4], [5, 6]])])
    assert truth.shape == (3, 2, 2)
    assert weights[:, :, 0].tolist() == [[1, 0], [0, 0], [1, 1]]


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


def test_samples_of_one_camera_see_parts_of_its_maps(rng):
    maps = {"baseline": np.full((40, 44), 100.0), "electrons_per_adu": np.full((40, 44), 0.5)}
    samples = DomainSamples(Domain(), crop_px=24, camera=Camera(pixel_size_nm=100, **maps))
    assert samples.batch(2, rng).frames.shape[:2] == (2, 5)
    with pytest.raises(InputError, match=r"maps \(40, 44\) are smaller than .*: 60 px"):
        DomainSamples(Domain(), crop_px=48, camera=samples.camera)


def test_samples_of_one_camera_need_its_pixel_size():
    with pytest.raises(InputError, match="no pixel size"):
        DomainSamples(Domain(), camera=Camera())


def test_samples_within_narrow_ranges_are_like_each_other(rng):
    narrow = Domain(sigma_px=(1.2, 1.2), photons=(900, 1000), background=(20, 21), density_per_px=(0.01, 0.01))
    camera = Camera(pixel_size_nm=100, electrons_per_adu=0.5, baseline=100)
    batch = DomainSamples(narrow, crop_px=40, camera=camera).batch(32, rng)
    assert batch.background.median() == pytest.approx(20.5, rel=0.25)
    assert batch.frames[:, 3, 0, 0].log().std() == pytest.approx(0.02, rel=0.5)
