"""Frames for the tests of movies, which leave no file open."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from .movie_files import SHAPE, open_files


@pytest.fixture
def frames(rng) -> np.ndarray:
    return rng.integers(0, 2**16, SHAPE).astype(np.uint16)


@pytest.fixture(autouse=True)
def no_file_is_left_open():
    """Fail a test that leaves a file open, where the system tells which are."""
    folder = Path("/proc/self/fd")
    before = open_files(folder)
    yield
    gc.collect()
    assert open_files(folder) <= before
