"""Pixels that are not square, on which a model takes an elongated PSF for round, are reported where that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import PixelSize
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.models import Model, load_model
from napari_subpixel.stacks import open_stack

FRAMES = np.random.default_rng(5).poisson(100, (12, 24, 30)).astype(np.uint16)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("paper")


def cautions(model: Model, size: PixelSize) -> tuple[str, ...]:
    detector = Detector(model, device="cpu")
    return job_for(open_stack(FRAMES), detector, DetectionOptions(Camera(pixel_size_nm=size))).cautions


@pytest.mark.parametrize("size", [100.0, (100.0, 108.0), (108.0, 100.0)])
def test_pixels_that_are_nearly_square_are_no_matter(model: Model, size: PixelSize) -> None:
    assert cautions(model, size) == ()


@pytest.mark.parametrize("size", [(100.0, 120.0), (120.0, 100.0)])
def test_others_are_reported_with_what_they_cost(model: Model, size: PixelSize) -> None:
    (line,) = cautions(model, size)
    assert "make a round PSF 1.20 times as long one way as the other" in line
    assert "at 1.2 positions are about an eighth less precise" in line


def test_a_model_for_such_pixels_knows_them(model: Model) -> None:
    known = Model(replace(model.card, camera={"pixel_size_nm": [120, 100]}), model.network)
    assert cautions(known, (144.0, 120.0)) == ()
    assert cautions(known, 100.0) != ()
