"""Losses of heatmaps are least where they should be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
from napari_subpixel.training.heatmap_losses import (
    dsnt_terms,
    heatmap_error,
    shifted_gaussian,
    spikes_error,
    spikes_for,
    target_for,
)
from napari_subpixel.training.methods import method
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


def test_deep_storms_loss_tolerates_a_shifted_spike_better_than_none(batch):
    spikes = spikes_for(DeepStorm(), batch, (80, 96))
    beside = torch.roll(spikes, 1, dims=2)
    right, shifted, none = (spikes_error(raw, spikes)[0] for raw in (spikes, beside, torch.zeros_like(spikes)))
    assert right.tolist() == [0, 0]
    assert (shifted < 0.6 * none).all()
    assert spikes_error(spikes, spikes)[1] == pytest.approx([200 / 7680, 100 / 7680])


def test_dsnts_terms_vanish_at_the_target_round_the_point(batch):
    truth, weights = batch.truth[:, :1], batch.weights[:, :1]
    logits = torch.full((2, 10, 12), -100.0)
    for image, (y, x) in enumerate(truth[:, 0]):
        rows, columns = (shifted_gaussian(v - v.round(), torch.ones(3, dtype=bool), width_px=0.8) for v in (y, x))
        pixel = slice(int(y.round()) - 1, int(y.round()) + 2), slice(int(x.round()) - 1, int(x.round()) + 2)
        logits[(image, *pixel)] = torch.log(rows[:, None] * columns)
    terms = dsnt_terms(logits, truth, weights, width_px=0.8, reach_px=1)
    assert terms.distance.abs().max() < 1e-5
    assert terms.divergence.abs().max() < 1e-5
    flat = dsnt_terms(0 * logits, truth, weights, width_px=0.8, reach_px=1)
    assert flat.distance.tolist() == pytest.approx([0.1**0.5, 0], abs=1e-5)
    assert (flat.divergence > 0.02).all()


@pytest.mark.parametrize(("width_px", "reach_px"), [(0.5, 1), (1.0, 1), (1.0, 3), (0.3, 2)])
def test_a_shifted_gaussian_has_its_expectation_at_the_point(width_px, reach_px):
    offsets = torch.linspace(-0.5, 0.5, 41)
    axis = torch.arange(-reach_px, reach_px + 1.0)
    profile = shifted_gaussian(offsets, torch.ones(41, len(axis), dtype=bool), width_px=width_px)
    assert (profile @ axis - offsets).abs().max() < 1e-5
    centred = torch.exp(-0.5 * (axis / width_px).square())
    torch.testing.assert_close(profile[20], centred / centred.sum())


def test_an_expectation_that_the_frame_does_not_allow_is_the_nearest():
    profile = shifted_gaussian(torch.tensor([-0.3, 0.3]), torch.tensor([False, True, True]), width_px=0.5)
    assert profile[0].tolist() == pytest.approx([0, 1, 0], abs=1e-5)
    assert profile[1].tolist() == pytest.approx([0, 0.7, 0.3], abs=1e-5)


def random_points(number: int) -> torch.Tensor:
    """Return points of which the last have their coordinates at the edges of pixels, or nearly."""
    offsets = torch.rand(number, 1, 2, generator=torch.Generator().manual_seed(1)) - 0.5
    offsets[-8:] = 0.495 * offsets[-8:].sign()
    return torch.tensor([4.0, 6.0]) + offsets


def at_the_minimum(loss: Callable[[torch.Tensor], torch.Tensor], number: int) -> torch.Tensor:
    """Return the logits that have the smallest loss, by a descent whose steps shrink to nothing."""
    logits = torch.zeros(number, 9, 12, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logits])
    for k in range(400):
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - k / 400) ** 2
        optimiser.zero_grad()
        loss(logits).sum().backward()
        optimiser.step()
    return logits.detach()


@pytest.mark.parametrize("term", ["distance", "divergence", "all"])
def test_every_term_of_dsnts_leads_logits_to_the_point(term):
    truth, weights = random_points(40).double(), torch.ones(40, 1, 1)
    network = method("dsnt").network()
    window = {"width_px": network.width_px, "reach_px": network.window_px}

    def loss(logits: torch.Tensor) -> torch.Tensor:
        terms = dsnt_terms(logits, truth, weights, **window)
        return sum(terms) if term == "all" else getattr(terms, term)

    logits = at_the_minimum(loss, 40)
    assert dsnt_terms(logits, truth, weights, **window).distance.max() < 0.01
    if term == "all":
        decoded = network.points(logits)
        assert decoded[:, 0].tolist() == list(range(40))
        assert (decoded[:, 1:3] - truth[:, 0]).abs().max() < 0.01
        assert (decoded[:, 3] > 0.75).all()


def test_points_outside_the_frame_do_not_count_for_dsnt():
    logits, weights = torch.zeros(1, 6, 7), torch.ones(1, 1, 1)
    outside = dsnt_terms(logits, torch.tensor([[[-0.6, 3.0]]]), weights, width_px=0.5, reach_px=1)
    padding = dsnt_terms(logits, torch.tensor([[[2.0, 3.0]]]), 0 * weights, width_px=0.5, reach_px=1)
    assert outside == padding
    assert outside.distance == outside.divergence == 0
    border = dsnt_terms(logits, torch.tensor([[[-0.4, 3.0]]]), weights, width_px=0.5, reach_px=1)
    assert 0 < border.distance < 1
