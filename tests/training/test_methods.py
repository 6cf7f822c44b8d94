"""Every method of the papers trains and detects, through the one loop and the one detector."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from napari_subpixel.detection.detector import Detector
from napari_subpixel.errors import InputError
from napari_subpixel.models import load_model, save_model
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.training.methods import METHODS, method
from napari_subpixel.training.settings import OBJECTIVES, TrainingSettings
from napari_subpixel.training.simulated_samples import SimulatedSamples
from napari_subpixel.training.trainer import train

SAMPLES = SimulatedSamples(Simulation(structure="uniform", emitters_per_frame=40), crop_px=16)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_is_saved_and_detects(name, tmp_path):
    chosen = method(name)
    torch.manual_seed(0)
    network = chosen.network()
    network.standardise(*SAMPLES.input_moments())
    quick = {**chosen.settings, "batch_size": 2}
    settings = TrainingSettings(iterations=3, objective=chosen.objective, **quick)
    (report,) = train(network, SAMPLES, settings, tmp_path / "run")
    assert np.isfinite(report.localization_loss)
    path = tmp_path / "m.safetensors"
    save_model(path, network, name="m", summary=chosen.title, input_scaling="minmax", threshold=0.02)
    model = load_model(path)
    frames = np.random.default_rng(0).random((2, 20, 24))
    found = Detector(model, device="cpu").detect(frames)
    assert found.columns == ("frame", "y", "x", "probability")
    assert ((found.y > -1) & (found.y < 20) & (found.x > -1) & (found.x < 24)).all()


@pytest.mark.parametrize("name", ["points", "dark", "dsnt"])
def test_learning_lowers_the_loss(name, tmp_path):
    chosen = method(name)
    torch.manual_seed(0)
    network = chosen.network()
    network.standardise(*SAMPLES.input_moments())
    settings = TrainingSettings(iterations=60, batch_size=8, log_every=20, objective=chosen.objective)
    reports = list(train(network, SAMPLES, settings, tmp_path / "run"))
    assert reports[-1].localization_loss < reports[0].localization_loss


def test_every_method_names_what_there_is():
    known = {field.name for field in fields(TrainingSettings)}
    for chosen in METHODS.values():
        assert chosen.objective in OBJECTIVES
        assert set(chosen.settings) <= known


def test_an_unknown_method_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"no method 'drak'; did you mean 'dark'\?; there are points, argmax"):
        method("drak")
