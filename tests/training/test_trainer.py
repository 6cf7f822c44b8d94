"""Training: it learns, it resumes where it was killed, and it refuses what makes no sense."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.heatmap_networks import DeepStorm
from napari_subpixel.models.pixel_network import PointNetwork
from napari_subpixel.models.unet import UNet
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.simulated_samples import DomainSamples, SimulatedSamples
from napari_subpixel.training.trainer import kept_iterations, load_result, train

QUICK = TrainingSettings(iterations=12, batch_size=4, log_every=3, checkpoint_every=6)
SAMPLES = SimulatedSamples(Simulation(structure="uniform", emitters_per_frame=40), crop_px=16)


def new_network() -> PointNetwork:
    torch.manual_seed(5)
    network = PointNetwork(width=4)
    network.standardise(0.2, 0.2)
    return network


def weights_of(network: PointNetwork) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def logged_iterations(folder) -> list[int]:
    with (folder / "log.csv").open(newline="") as file:
        return [int(row["iteration"]) for row in csv.DictReader(file)]


def test_training_lowers_the_loss(tmp_path):
    reports = list(
        train(
            new_network(),
            SAMPLES,
            replace(QUICK, iterations=40, log_every=10, batch_size=8, learning_rate=5e-3),
            tmp_path,
        )
    )
    assert reports[-1].localization_loss < 0.9 * reports[0].localization_loss


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole, stopped = new_network(), new_network()
    list(train(whole, SAMPLES, QUICK, tmp_path / "whole"))
    for report in train(stopped, SAMPLES, QUICK, tmp_path / "stopped"):
        if report.iteration == 9:  # three steps after the checkpoint: they are done again
            break
    resumed = new_network()
    reports = list(train(resumed, SAMPLES, QUICK, tmp_path / "stopped"))
    assert [r.iteration for r in reports] == [9, 12]
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert logged_iterations(tmp_path / "stopped") == logged_iterations(tmp_path / "whole") == [3, 6, 9, 12]


def test_a_run_that_is_asked_to_stop_keeps_all_that_is_done(tmp_path):
    whole, stopped = new_network(), new_network()
    list(train(whole, SAMPLES, QUICK, tmp_path / "whole"))
    answers = iter([False] * 4 + [True])
    reports = list(train(stopped, SAMPLES, QUICK, tmp_path / "stopped", stopped=lambda: next(answers)))
    assert [report.iteration for report in reports] == [3]
    assert kept_iterations(tmp_path / "stopped") == 5  # between two checkpoints
    again = new_network()
    list(train(again, SAMPLES, QUICK, tmp_path / "stopped"))
    assert torch.equal(weights_of(again), weights_of(whole))


def test_the_log_has_a_row_for_every_report(tmp_path):
    reports = list(train(new_network(), SAMPLES, QUICK, tmp_path))
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["iteration"]) for r in rows] == [r.iteration for r in reports] == [3, 6, 9, 12]
    assert float(rows[-1]["localization_loss"]) == pytest.approx(reports[-1].localization_loss, rel=1e-4)


@pytest.mark.parametrize("sparsity", ["none", "l1", "counting"])
def test_every_sparsity_term_trains(tmp_path, sparsity):
    (report,) = train(new_network(), SAMPLES, replace(QUICK, iterations=2, sparsity=sparsity), tmp_path)
    assert np.isfinite([report.localization_loss, report.count_loss]).all()


def test_a_folder_of_other_settings_is_refused(tmp_path):
    list(train(new_network(), SAMPLES, QUICK, tmp_path))
    with pytest.raises(InputError, match=r"trained with kernel_px 0.2, not 0.3"):
        list(train(new_network(), SAMPLES, replace(QUICK, kernel_px=0.3), tmp_path))


def test_a_folder_of_other_samples_is_refused(tmp_path):
    list(train(new_network(), SAMPLES, QUICK, tmp_path, about={"data": "a"}))
    assert kept_iterations(tmp_path) == 12
    with pytest.raises(InputError, match="trained on other samples"):
        list(train(new_network(), SAMPLES, QUICK, tmp_path, about={"data": "b"}))


def test_checkpoints_come_when_asked_whether_or_not_a_row_is_logged(tmp_path):
    next(iter(train(new_network(), SAMPLES, replace(QUICK, log_every=5, checkpoint_every=2), tmp_path)))
    assert kept_iterations(tmp_path) == 4


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_checkpoint_that_is_not_one_is_refused(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint of this network"):
        list(train(new_network(), SAMPLES, QUICK, tmp_path))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    list(train(new_network(), SAMPLES, QUICK, tmp_path))
    with pytest.raises(InputError, match="not a checkpoint of this network"):
        list(train(PointNetwork(width=5), SAMPLES, QUICK, tmp_path))


def test_a_loss_that_explodes_is_reported(tmp_path):
    network = new_network()
    with torch.no_grad():
        network.head.weight.fill_(float("nan"))
    for sparsity in ("none", "l1", "counting"):
        with pytest.raises(InputError, match="no longer finite"):
            list(train(network, SAMPLES, replace(QUICK, sparsity=sparsity), tmp_path))


# -- the likelihood of many microscopes -------------------------------------------------------------------------------

MANY = replace(
    QUICK, objective="likelihood", sparsity_weight=1.0, weight_decay=1e-4, warm_up=4, clip_norm=5.0, averaging=0.9
)
SCENES = DomainSamples(Domain(), crop_px=16)


def new_unet() -> UNet:
    torch.manual_seed(5)
    return UNet(width=8)


def test_the_likelihood_rises(tmp_path):
    settings = replace(MANY, iterations=40, log_every=10, batch_size=8, learning_rate=5e-3)
    reports = list(train(new_unet(), SCENES, settings, tmp_path))
    assert reports[-1].localization_loss + reports[-1].count_loss < 0.7 * (
        reports[0].localization_loss + reports[0].count_loss
    )


def test_a_resumed_run_keeps_the_mean_of_the_weights(tmp_path):
    whole, stopped, resumed = new_unet(), new_unet(), new_unet()
    list(train(whole, SCENES, MANY, tmp_path / "whole"))
    for report in train(stopped, SCENES, MANY, tmp_path / "stopped"):
        if report.iteration == 9:
            break
    list(train(resumed, SCENES, MANY, tmp_path / "stopped"))
    assert torch.equal(weights_of(resumed), weights_of(whole))


def test_the_result_is_the_mean_of_the_weights(tmp_path):
    network, from_checkpoint = new_unet(), new_unet()
    list(train(network, SCENES, MANY, tmp_path))
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    assert not torch.equal(network.head.weight, last["head.weight"])
    load_result(from_checkpoint, tmp_path)
    assert torch.equal(weights_of(from_checkpoint), weights_of(network))


def test_the_mean_of_the_weights_starts_at_the_weights_of_the_first_steps(tmp_path):
    network, result = new_unet(), new_unet()
    start = weights_of(network)
    settings = replace(MANY, warm_up=0, averaging=0.999, iterations=3)
    list(train(network, SCENES, settings, tmp_path))
    load_result(result, tmp_path)
    latest = new_unet()
    latest.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"])
    assert (weights_of(result) - weights_of(latest)).norm() < 0.3 * (start - weights_of(latest)).norm()


SPIKES = replace(QUICK, objective="spikes", averaging=0.9, batch_size=2)


def new_deep_storm() -> DeepStorm:
    torch.manual_seed(5)
    return DeepStorm(upsampling=2)


def test_the_mean_includes_the_statistics_of_batch_normalisation(tmp_path):
    network = new_deep_storm()
    before = {name: value.clone() for name, value in network.named_buffers()}
    list(train(network, SAMPLES, SPIKES, tmp_path))
    latest = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    layers = [name for name, layer in network.named_modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert layers
    for name in layers:
        variance, count = f"{name}.running_var", f"{name}.num_batches_tracked"
        mean = network.state_dict()[variance]
        whole = (latest[variance] - before[variance]).norm()
        assert 0 < (mean - latest[variance]).norm() < 0.5 * whole
        assert network.state_dict()[count] == SPIKES.iterations


def test_a_resumed_run_keeps_the_mean_of_the_statistics(tmp_path):
    whole, resumed = new_deep_storm(), new_deep_storm()
    list(train(whole, SAMPLES, SPIKES, tmp_path / "whole"))
    next(iter(train(new_deep_storm(), SAMPLES, replace(SPIKES, checkpoint_every=2), tmp_path / "stopped")))
    assert kept_iterations(tmp_path / "stopped") == 2
    list(train(resumed, SAMPLES, SPIKES, tmp_path / "stopped"))
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_checkpoint_whose_mean_lacks_statistics_is_refused(tmp_path):
    list(train(new_unet(), SCENES, MANY, tmp_path))
    path = tmp_path / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    del state["averaged_steps"]
    torch.save(state, path)
    with pytest.raises(InputError, match=r"checkpoint.pt: was written by an older version"):
        list(train(new_unet(), SCENES, replace(MANY, iterations=14), tmp_path))


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_gradients_are_scaled_down_to_the_norm_asked(tmp_path, clip_norm):
    network = new_network()
    list(train(network, SAMPLES, replace(QUICK, iterations=1, clip_norm=clip_norm), tmp_path))
    norm = torch.stack([p.grad.norm() for p in network.parameters()]).norm().item()
    assert norm > 0.1 if clip_norm is None else norm == pytest.approx(clip_norm, rel=0.01)


def test_half_precision_trains_too(tmp_path):
    (report,) = train(new_unet(), SCENES, replace(MANY, iterations=2, half_precision=True), tmp_path)
    assert np.isfinite([report.localization_loss, report.count_loss]).all()


def test_the_likelihood_of_a_network_that_exploded_is_reported(tmp_path):
    network = new_unet()
    with torch.no_grad():
        network.head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="no longer finite"):
        list(train(network, SCENES, MANY, tmp_path))


def test_a_checkpoint_from_before_a_setting_was_there_is_resumed(tmp_path):
    list(train(new_network(), SAMPLES, QUICK, tmp_path))
    path = tmp_path / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    settings = {k: v for k, v in json.loads(state["settings"]).items() if k not in ("objective", "averaging")}
    torch.save({**state, "settings": json.dumps(settings)}, path)
    (report,) = train(new_network(), SAMPLES, replace(QUICK, iterations=14), tmp_path)
    assert report.iteration == 14


def test_without_a_checkpoint_there_is_no_result(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_result(new_unet(), tmp_path)
