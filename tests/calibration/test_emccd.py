"""What says that a camera is an EMCCD, and what only sounds like it."""

from __future__ import annotations

import pytest

from napari_subpixel.calibration.emccd import em_gain_warning
from napari_subpixel.camera import Camera

GAINS = (
    "EMGain", "Andor-EMGain", "AndorEMGain", "EM Gain", "em-gain", "EM CCD Gain", "Evolve-MultiplierGain",
    "Multiplication Gain", "Electron Multiplying Gain", "Camera-Multiplier", "Multiplier", "EM Gain Multiplier",
)  # fmt: skip
OTHERS = (
    "Emission Filter Gain", "Exposure multiplier", "Display Gain Multiplier", "Time-lapse Multiplier", "System Gain",
    "Gain", "Preamplifier-Gain", "Item gain",
)  # fmt: skip


@pytest.mark.parametrize("entry", GAINS)
def test_the_gain_of_an_emccd_is_known_by_its_names(entry: str) -> None:
    warning = em_gain_warning(Camera(), {entry: "300"}, ())
    assert f"the movie's metadata have {entry} 300), and no EM gain above 1 is given" in warning
    assert not em_gain_warning(Camera(), {entry: "1"}, ())
    assert not em_gain_warning(Camera(em_gain=300), {entry: "300"}, ())


@pytest.mark.parametrize("entry", OTHERS)
def test_other_settings_are_not_that_gain(entry: str) -> None:
    assert not em_gain_warning(Camera(), {entry: "300"}, ())


def test_a_gain_of_1_that_is_given_is_not_doubted_but_compared_with_the_metadata() -> None:
    named = Camera(name="Andor iXon 897")
    assert em_gain_warning(named, {"Camera": "iXon"}, ())
    assert not em_gain_warning(named, {"Camera": "iXon", "EMGain": "1"}, (), em_gain_given=True)
    warning = em_gain_warning(named, {"Camera": "iXon", "EMGain": "300"}, (), em_gain_given=True)
    assert warning == "the movie's metadata have EMGain 300, and an EM gain of 1 is given"
