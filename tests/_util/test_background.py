"""The rough background of frames."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel._util.background import rough_background
from napari_subpixel.psf import draw_gaussians


@pytest.mark.parametrize("shape", [(64, 90), (17, 16), (5, 40), (1, 1)])
def test_the_background_of_a_flat_frame_is_near_it(rng, shape):
    found = rough_background(rng.poisson(100.0, (40, *shape)))
    assert found.shape == (40, *shape)
    assert found.mean() == pytest.approx(98, abs=3)


def test_the_background_follows_slopes_and_not_molecules(rng):
    slope = np.linspace(50, 150, 96) * np.ones((80, 1))
    molecules = draw_gaussians(
        (1, 80, 96), [0] * 30, rng.uniform(0, 79, 30), rng.uniform(0, 95, 30), [4000.0] * 30, 1.2
    )
    found = rough_background(rng.poisson(slope + molecules))[0]
    assert np.abs(found / slope - 1).mean() < 0.1
