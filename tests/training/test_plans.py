"""A request becomes a plan and the plan a model, from Python as from the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_subpixel import (
    Camera,
    GaussianPSF,
    InputError,
    Simulation,
    TrainingRequest,
    plan_training,
    simulate,
    train_model,
)
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.models import load_model
from napari_subpixel.training import held_out
from napari_subpixel.training.request import FINE_TUNING_SETTINGS, OF_CROPS, OF_RANGES, RequestError
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.train_model import BaseScore, TrainedModel, TrainingStart
from napari_subpixel.training.trainer import TrainingProgress

CAMERA = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5)
SHORT = {"iterations": 2, "batch_size": 2}
CROPS = {"held_out": 0.2, "crop_px": 16, "crops_per_frame": 3}
FROM_RANGES = TrainingRequest(
    base="fast", camera=CAMERA, psf=GaussianPSF(120), photons_range=(500, 1500), background_range=(5, 20),
    density_um2=(0.5, 2), crop_px=16, settings=SHORT,
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch):
    monkeypatch.setattr(held_out, "HELD_OUT_MOVIES", 2)


@pytest.fixture(scope="module")
def movie():
    sample = Simulation(frame_shape=(30, 34), n_frames=10, structure="uniform", emitters_per_frame=12, camera=CAMERA)
    return simulate(sample, np.random.default_rng(3))


def test_the_smallest_shipped_model_is_fine_tuned_on_ranges(tmp_path):
    plan = plan_training(FROM_RANGES, "cpu")
    assert plan.settings.iterations == 2
    assert plan.card["domain"]["density_per_px"] == [0.005, 0.02]
    assert not plan.warnings
    events = list(train_model(plan, tmp_path / "mine.safetensors"))
    kinds = [TrainingStart, BaseScore, TrainingProgress, TrainingProgress, TrainedModel]
    assert [type(event) for event in events] == kinds
    model = load_model(events[-1].path)
    assert (model.card.name, model.card.training["from"]["name"]) == ("mine", "fast")
    assert model.card.figures["jaccard_50_nm_held_out"] == events[-1].jaccard
    assert model.card.figures["jaccard_50_nm_held_out_before"] == events[1].jaccard
    assert events[0].examples.exists()


def test_a_closed_training_is_resumed(tmp_path):
    output, longer = tmp_path / "m.safetensors", replace(FROM_RANGES, settings={**SHORT, "iterations": 3})
    training = train_model(plan_training(longer, "cpu"), output)
    next(training)
    training.close()
    assert not output.exists()
    with pytest.raises(InputError, match="an earlier run left this"):
        next(train_model(plan_training(longer, "cpu"), output))
    assert list(train_model(plan_training(longer, "cpu"), output, resume=True))[-1].path == output


def test_a_model_in_memory_is_not_changed_by_its_fine_tuning(tmp_path):
    base = load_model("fast")
    before = [weights.clone() for weights in base.network.parameters()]
    list(train_model(plan_training(replace(FROM_RANGES, base=base), "cpu"), tmp_path / "m.safetensors"))
    assert all((a == b).all() for a, b in zip(before, base.network.parameters(), strict=True))


def test_a_method_is_trained_from_scratch_on_a_movie_in_memory(movie, tmp_path):
    frames, truth = movie
    request = TrainingRequest(
        method="dark", movie=frames, truth=truth, camera=CAMERA, held_out=0.2, crop_px=16, crops_per_frame=3,
        settings=SHORT, threshold=0.4, summary="mine",
    )  # fmt: skip
    plan = plan_training(request, "cpu")
    assert plan.card["training"]["data"] == "array with its truth"
    assert (plan.card["threshold"], plan.card["summary"]) == (0.4, "mine")
    assert [len(held_out.frames) for held_out in plan.held_out] == [2]
    *_, model = train_model(plan, tmp_path / "m.safetensors")
    assert model.is_better
    assert load_model(model.path).card.training["method"] == "dark"


def test_a_movie_with_truth_fine_tunes_with_the_last_tenth_held_out(movie):
    frames, truth = movie
    plan = plan_training(TrainingRequest(base="fast", movie=frames, truth=truth, camera=CAMERA, psf=GaussianPSF(110)))
    assert plan.card["training"]["held_out_frames"] == 1
    assert plan.card["domain"] == load_model("fast").card.domain


def test_ranges_that_the_base_was_not_trained_on_are_warnings():
    (warning,) = plan_training(replace(FROM_RANGES, photons_range=(500, 1e7)), "cpu").warnings
    assert warning.startswith("outside what fast was trained on: brightness: a median of 1e+07 photons is above")


def test_methods_are_simulated_with_the_camera_and_the_psf_that_are_given():
    request = TrainingRequest(camera=replace(CAMERA, em_gain=300), psf=GaussianPSF(90), settings=SHORT)
    about = plan_training(request, "cpu").card["training"]["simulation"]
    assert (about["camera"]["em_gain"], about["psf"]["sigma_nm"]) == (300, 90)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"movie": "m.tif"}, "training from a movie needs its truth"),
        ({"truth": "t.csv"}, "training from a truth needs its movie"),
        ({"like": "m.tif"}, "like is for fine-tuning a model that takes photons"),
        ({"held_out": 0.1}, "held_out is for a movie with truth"),
        ({"crops_per_frame": 5}, "crops_per_frame is for a movie with truth"),
        ({"base": "paper", "method": "dark"}, "method is for training from scratch"),
        ({"base": "fast", "method": "dark"}, "method is not for fine-tuning fast"),
        ({"base": "fast", "settings": {"kernel_px": 0.2}}, "kernel_px is not for fine-tuning fast"),
        ({"base": "fast", "simulation": Simulation()}, "simulation is not for fine-tuning fast"),
        ({"base": "fast", "held_out": 0.1}, "held_out is for a movie with truth"),
        ({"base": "fast"}, "needs the camera"),
        ({"base": "fast", "camera": CAMERA, "estimate_camera": True}, "needs the camera"),
        ({"base": "fast", "camera": CAMERA}, "needs the PSF"),
        ({"base": "fast", "camera": CAMERA, "psf": GaussianPSF(110), "density_um2": (0, 0)}, "density_um2"),
        ({"threshold": 2.0}, "threshold"),
        ({"method": "drak"}, "did you mean 'dark'"),
    ],
)
def test_fields_that_do_not_go_together_are_refused_by_name(fields, message):
    with pytest.raises(InputError, match=message) as refused:
        plan_training(TrainingRequest(**fields), "cpu")
    assert "--" not in str(refused.value)


def test_a_camera_without_a_pixel_size_is_refused():
    with pytest.raises(PixelSizeError, match="no pixel size"):
        plan_training(
            TrainingRequest(base="fast", camera=Camera(baseline=100, electrons_per_adu=0.5), psf=GaussianPSF(110)),
            "cpu",
        )


def test_a_refused_field_is_named():
    with pytest.raises(RequestError) as refused:
        plan_training(TrainingRequest(like="m.tif"), "cpu")
    assert refused.value.field == "like"


def test_names_of_fields_are_those_of_the_records():
    assert {*OF_CROPS, *OF_RANGES} <= TrainingRequest.__dataclass_fields__.keys()
    assert set(FINE_TUNING_SETTINGS) <= TrainingSettings.__dataclass_fields__.keys()


def test_a_misspelt_setting_is_refused_with_the_one_that_was_meant():
    with pytest.raises(InputError, match="unknown setting 'iteratons'; did you mean 'iterations'"):
        TrainingRequest(settings={"iteratons": 3})


def test_a_truth_that_does_not_fit_is_refused_with_the_names_of_both(movie):
    frames, truth = movie
    later = truth.with_columns(frame=truth.frame + 100)
    with pytest.raises(InputError, match=r"^array with its truth: the truth names frame"):
        plan_training(TrainingRequest(movie=frames, truth=later, camera=CAMERA), "cpu")


def test_of_a_file_with_several_movies_and_channels_one_is_learned_from(movie, tmp_path):
    frames, truth = movie
    path = tmp_path / "channels.ome.tif"
    tifffile.imwrite(path, np.stack([np.zeros_like(frames), frames], 1), ome=True, metadata={"axes": "TCYX"})
    request = TrainingRequest(
        movie=path, truth=truth, camera=CAMERA, held_out=0.2, crops_per_frame=3, crop_px=16, channel=1
    )
    (held,) = plan_training(request, "cpu").held_out
    np.testing.assert_array_equal(held.frames, frames[-len(held.frames) :])
    with pytest.raises(InputError, match="2 channels"):
        plan_training(replace(request, channel=None), "cpu")


def test_a_movie_in_parts_is_learned_from_as_one(movie, tmp_path):
    frames, truth = movie
    for number, part in enumerate(np.array_split(frames, 2)):
        tifffile.imwrite(tmp_path / f"part_{number}.tif", part, photometric="minisblack", metadata=None)
    request = TrainingRequest(
        movie=tmp_path, truth=truth, camera=CAMERA, held_out=0.2, crops_per_frame=3, crop_px=16, join=True
    )
    (held,) = plan_training(request, "cpu").held_out
    np.testing.assert_array_equal(held.frames, frames[-len(held.frames) :])
