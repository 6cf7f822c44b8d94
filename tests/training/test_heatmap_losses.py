"""Losses of heatmaps are least where they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
from napari_subpixel.training.heatmap_losses import dsnt_error, heatmap_error, spikes_error, spikes_for, target_for
from napari_subpixel.training.simulated_samples import Batch


@pytest.fixture
def batch() -> Batch:
    truth = torch.tensor([[[3.3, 5.1], [6.0, 2.75]], [[4.0, 4.0], [0.0, 0.0]]])
    return Batch(torch.zeros(2, 1, 10, 12), truth, torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]]))


def test_a_target_has_the_networks_encoding(batch, rng):
    target = target_for(HeatmapNetwork("quantised", width_px=1.2), batch, (10, 12), rng)
    assert target[0, 3, 5] == target[0, 6, 3] == target[1, 4, 4] == 1
    assert target[1, 0, 0] < 0.01
    assert target_for(HeatmapNetwork("unbiased"), batch, (10, 12), rng)[0, 3, 5] < 1
    assert heatmap_error(target, target).tolist() == [0, 0]


def test_the_draws_of_randomised_rounding_follow_the_generator(batch):
    network = HeatmapNetwork("randomised", width_px=0)
    draws = [target_for(network, batch, (10, 12), np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not all(torch.equal(draws[0], draw) for draw in draws[2:])


def test_spikes_stand_on_the_part_of_the_pixel_that_holds_the_molecule(batch):
    spikes = spikes_for(DeepStorm(upsampling=8, full_value=100.0), batch, (80, 96))
    assert spikes[0].sum() == 200
    assert spikes[0, int(3.8 * 8), int(5.6 * 8)] == 100
    assert spikes[1].sum() == 100


def test_deep_storms_loss_bears_a_spike_beside_better_than_none(batch):
    spikes = spikes_for(DeepStorm(), batch, (80, 96))
    beside = torch.roll(spikes, 1, dims=2)
    right, shifted, none = (spikes_error(raw, spikes)[0] for raw in (spikes, beside, torch.zeros_like(spikes)))
    assert right.tolist() == [0, 0]
    assert (shifted < 0.6 * none).all()
    assert spikes_error(spikes, spikes)[1] == pytest.approx([200 / 7680, 100 / 7680])


def test_dsnts_terms_vanish_at_the_gaussian_round_the_point(batch):
    y, x = torch.arange(10.0)[:, None], torch.arange(12.0)
    truth, weights = batch.truth[:, :1], batch.weights[:, :1]
    logits = -0.5 * ((y - truth[:, :, :1]) ** 2 + (x - truth[:, :, 1:]) ** 2) / 0.8**2
    distance, divergence = dsnt_error(logits, truth, weights, width_px=0.8, reach_px=3)
    assert distance.abs().max() < 0.01
    assert divergence.abs().max() < 1e-5
    flat_distance, flat_divergence = dsnt_error(0 * logits, truth, weights, width_px=0.8, reach_px=3)
    assert (flat_distance[:1] > 0.25).all()
    assert (flat_divergence > 0.2).all()


def test_dsnts_terms_lead_logits_to_the_point(batch):
    logits = torch.zeros(2, 10, 12, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(150):
        optimiser.zero_grad()
        distance, divergence = dsnt_error(logits, batch.truth, batch.weights, width_px=0.8, reach_px=3)
        (distance + divergence).sum().backward()
        optimiser.step()
    distance, _ = dsnt_error(logits, batch.truth, batch.weights, width_px=0.8, reach_px=3)
    assert distance.max() < 0.1
