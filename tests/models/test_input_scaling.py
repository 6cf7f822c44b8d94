"""The input of networks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.models.input_scaling import Optics, counts


def test_counts_have_the_noise_of_pure_light_whatever_the_camera(rng):
    camera = Camera(100.0, 200.0, 20.0, 0.9, 200.0, 30.0)
    photons = camera.to_photons(camera.expose(np.full((50, 40, 44), 80.0), rng))
    scaled = counts(photons, Optics.of(camera, 1.3))
    assert scaled.shape == (50, 5, 40, 44)
    assert scaled[:, 0].var() == pytest.approx(scaled[:, 0].mean() + scaled[0, 2, 0, 0], rel=0.03)
    assert (scaled[:, 3] == np.float32(1.3)).all()
    assert (scaled[:, 4] == 0).all()
    bright = counts(photons, Optics.of(camera, 1.3, 1000.0))
    np.testing.assert_allclose(bright[:, 4], 1000 / camera.variance_per_photon, rtol=1e-6)


def test_the_maps_of_a_camera_reach_the_network(rng):
    camera = Camera(100.0, read_noise_e=rng.uniform(1, 2, (20, 30)))
    scaled = counts(np.zeros((2, 20, 30)), Optics.of(camera, 1.0))
    np.testing.assert_allclose(scaled[1, 2], camera.read_noise_e**2, rtol=1e-6)
