"""What the tests share: where the real movies are, and random numbers that do not change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel._util.user_folder import CONFIG

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_own_files(monkeypatch, tmp_path_factory) -> None:
    """Whoever runs the tests has kept no camera and no model of their own."""
    monkeypatch.setenv(CONFIG, str(tmp_path_factory.mktemp("own-files")))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20201130)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real movies with truth; a test that needs it is skipped where it is not there."""
    folder = Path(os.environ.get("NAPARI_SUBPIXEL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}: set NAPARI_SUBPIXEL_DATA")
    return folder
