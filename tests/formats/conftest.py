"""The tables that the tests of the formats write: one known emitter, and many random ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.localizations import Localizations


@pytest.fixture
def emitter() -> Localizations:
    """One molecule at row 2.25 and column 7.5 of the first frame, everything measured; frames that are not square."""
    return Localizations(
        {
            "frame": [0],
            "y": [2.25],
            "x": [7.5],
            "probability": [0.75],
            "photons": [1500.5],
            "background": [12.25],
            "y_uncertainty": [0.125],
            "x_uncertainty": [0.125],
            "sigma": [1.25],
            "z_nm": [-40.5],
            "class_index": [1],
        },
        pixel_size_nm=100,
        frame_shape=(20, 33),
        n_frames=5,
        provenance={"model": "paper", "threshold": 0.1, "movie": {"name": "a.tif", "frames": [0, 5]}},
    )


@pytest.fixture
def positions_only() -> Localizations:
    return Localizations(
        {"frame": [0, 3], "y": [2.25, 11.0], "x": [7.5, 0.125]}, pixel_size_nm=100, frame_shape=(20, 33), n_frames=5
    )


@pytest.fixture
def many(rng: np.random.Generator) -> Localizations:
    n = 200_000
    return Localizations(
        {
            "frame": np.sort(rng.integers(0, 1000, n)),
            "y": rng.uniform(-0.5, 63.5, n),
            "x": rng.uniform(-0.5, 95.5, n),
            "probability": rng.random(n),
            "photons": rng.uniform(10, 5000, n),
            "background": rng.uniform(0, 50, n),
            "y_uncertainty": rng.uniform(0.01, 0.5, n),
            "x_uncertainty": rng.uniform(0.01, 0.5, n),
        },
        pixel_size_nm=108.3,
        frame_shape=(64, 96),
        n_frames=1000,
    )
