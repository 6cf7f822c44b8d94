"""The methods of others that are shipped as models do what their cards say."""

from __future__ import annotations

import pytest

from napari_subpixel import formats
from napari_subpixel.detection.detector import Detector
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.stacks import open_stack

#: Frames of the test movie that are looked at: a quick method sees all of them.
FRAMES = {"heatmap-dark": 361, "deep-storm": 12}
NAMES = ("jaccard_25_nm", "f1_25_nm", "jaccard_50_nm", "f1_50_nm")


@pytest.mark.parametrize("model", ["heatmap-dark", pytest.param("deep-storm", marks=pytest.mark.slow)])
def test_the_figures_of_the_card_are_those_of_the_weights(model, data_folder):
    folder = data_folder / "deepstorm_demo1"
    n = FRAMES[model]
    truth = formats.read(folder / "test_truth.csv", pixel_size_nm=100).in_frames(0, n)
    detector = Detector(model, device="cpu")
    with open_stack(folder / "test.tif") as stack:
        found = detector.detect(stack.read(0, n)).with_about(pixel_size_nm=100.0)
    at_25, at_50 = evaluate(found, truth, (25, 50))
    measured = dict(zip(NAMES, (at_25.jaccard, at_25.f1, at_50.jaccard, at_50.f1), strict=True))
    figures = {name: detector.card.figures[name] for name in NAMES}
    assert measured == pytest.approx(figures, abs=0.002 if n == 361 else 0.06)


@pytest.mark.parametrize("model", FRAMES)
def test_the_card_names_the_method_and_its_limits(model):
    card = Detector(model, device="cpu").card
    assert card.training["method"] in ("taylor", "deep-storm")
    assert "knows one PSF" in card.limits
    assert card.camera["pixel_size_nm"] == 100
