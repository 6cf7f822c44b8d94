"""A small movie, and the detector that these tests use."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.detection.detector import Detector
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector("paper", device="cpu")


@pytest.fixture(scope="session")
def thirty_frames() -> np.ndarray:
    """Frames that are not square, with 20 molecules in each; no test may change them."""
    movie = Simulation(frame_shape=(40, 52), n_frames=30, structure="uniform", emitters_per_frame=20, photons=2250)
    frames, _ = simulate(movie, np.random.default_rng(3))
    frames.flags.writeable = False
    return frames
