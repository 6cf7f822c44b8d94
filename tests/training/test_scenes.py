"""Scenes: within the ranges they are drawn from, and exposed as their cameras would."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.training.scenes import Scene, draw_scene, expose, precision_px
from napari_subpixel.training.simulated_samples import DomainSamples


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(2)
    return [draw_scene(Domain(), (30, 41), rng) for _ in range(400)]


def test_scenes_lie_within_the_domain(scenes):
    for scene in scenes:
        assert 0.7 < scene.sigma_px < 2.2
        assert scene.background.shape == (30, 41)
        assert 0.3 < scene.background.min() <= scene.background.max() < 50_000
        assert 0 <= scene.halo[0] <= 0.15


def test_scenes_span_the_domain(scenes):
    medians = np.array([np.median(s.molecules[:, 2]) for s in scenes if len(s.molecules) > 5])
    assert medians.min() < 600
    assert medians.max() > 10_000
    density = np.array([s.on_frame.sum() / s.background.size for s in scenes])
    assert density.min() < 0.002
    assert density.max() > 0.1
    assert {s.camera.em_gain > 1 for s in scenes} == {True, False}
    assert any(s.camera.map_shape for s in scenes)
    assert any(s.halo[0] == 0 for s in scenes)
    known = np.array([s.molecule_photons for s in scenes])
    assert 0.3 < (known == 0).mean() < 0.5
    assert any(np.ptp(s.sigma_yx) == 0 for s in scenes if len(s.molecules))
    assert any(np.ptp(s.sigma_yx[:, 0]) > 0.2 for s in scenes if len(s.molecules))


def test_some_scenes_are_hazy(scenes):
    """Light that belongs to no molecule varies within a frame by more than slopes do."""
    uneven = np.array([s.background.max() / s.background.min() for s in scenes])
    assert 0.1 < (uneven > 4).mean() < 0.5


def test_what_is_exposed_has_the_light_and_the_noise_of_its_camera(rng):
    camera = Camera(100.0, 100.0, 30.0, 0.8, 100.0, 20.0)
    molecules = np.array([[20.0, 25.0, 5000.0]])
    scene = Scene(molecules, np.full((40, 50), 20.0), camera, camera, 1.2, 0.0, np.array([[1.2, 1.2]]), (0.1, 2.0))
    frames, background = expose([scene] * 200, rng)
    assert frames.shape == (200, 5, 40, 50)
    factor = camera.variance_per_photon
    light = frames[:, 0].sum(axis=(1, 2)).mean() * factor - 20.0 * 2000
    assert light == pytest.approx(5000, rel=0.02)
    np.testing.assert_allclose(background, 20.0 / factor, rtol=1e-6)
    dark = frames[:, 0, :8, :8]
    assert dark.var() == pytest.approx(dark.mean() + frames[0, 2, 0, 0], rel=0.1)
    assert frames[0, 2, 0, 0] == pytest.approx((20.0 / 80 / factor) ** 2, rel=1e-5)
    assert (frames[:, 3] == np.float32(1.2)).all()


def test_a_camera_that_is_assumed_wrongly_changes_light_and_background_alike(rng):
    camera = Camera(100.0, 100.0, 0.5, 0.8)
    assumed = Camera(100.0, 90.0, 0.6, 0.8)
    scene = Scene(
        np.array([[20.0, 25.0, 5000.0]]),
        np.full((40, 50), 20.0),
        camera,
        assumed,
        1.2,
        1000.0,
        np.full((1, 2), 1.2),
        (0, 2),
    )
    frames, background = expose([scene] * 50, rng)
    assert scene.light == pytest.approx(5000 * 1.2 * 0.8)
    np.testing.assert_allclose(frames[:, 4], 1000 * 1.2 * 0.8, rtol=1e-6)
    np.testing.assert_allclose(background, (20.0 * 1.2 + 10 * 0.6 / 0.8) * 0.8, rtol=1e-6)
    seen = frames[:, 0].sum(axis=(1, 2)).mean() - background[0].sum()
    assert seen == pytest.approx(scene.light[0], rel=0.03)


def test_on_pixels_that_are_not_square_spots_are_round_in_nm(rng):
    drawn = [draw_scene(Domain(), (24, 24), rng, Camera((120.0, 100.0), 100.0)) for _ in range(12)]
    widths = np.concatenate([scene.sigma_yx for scene in drawn]) * (120, 100)
    assert np.median(widths[:, 0] / widths[:, 1]) == pytest.approx(1, abs=0.01)


def test_the_rough_precision_is_that_of_a_fit():
    """Against the Cramer-Rao bound in numbers, for shot noise alone and with an EMCCD's excess noise."""
    plain = precision_px(1.2, 1000, 1e-9, Camera())
    assert plain == pytest.approx(np.sqrt((1.2**2 + 1 / 12) / 1000), rel=1e-3)
    assert precision_px(1.2, 1000, 1e-9, Camera(em_gain=1e6)) == pytest.approx(np.sqrt(2) * plain, rel=1e-3)
    assert precision_px(1.2, 1000, 50, Camera()) > 1.3 * plain


def test_batches_hold_what_training_needs():
    samples = DomainSamples(Domain(), crop_px=24)
    batch = samples.batch(6, np.random.default_rng(1))
    size = batch.frames.shape[2:]
    assert all(18 <= n <= 30 for n in size)
    assert batch.frames.shape == (6, 5, *size)
    assert batch.background.shape == (6, *size)
    assert batch.light.shape == batch.truth.shape[:2] == batch.weights.shape[:2]
    there = batch.weights[..., 0] > 0
    assert there.any()
    assert (batch.light[there] > 0).all()
    assert (batch.truth[there] >= -0.5).all()
    assert all(torch.isfinite(t).all() for t in batch)
    again = samples.batch(6, np.random.default_rng(1))
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))


def test_samples_too_small_are_refused():
    with pytest.raises(InputError, match="crop_px must be at least 4, got 3"):
        DomainSamples(Domain(), crop_px=3)
