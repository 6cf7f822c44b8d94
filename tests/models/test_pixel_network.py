"""The paper's network: its size, its reach and how it starts."""

from __future__ import annotations

import pytest
import torch

from napari_subpixel.models.pixel_network import PointNetwork


@pytest.fixture
def network() -> PointNetwork:
    torch.manual_seed(0)
    return PointNetwork().eval()


def test_it_has_the_layers_of_section_4_1(network):
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (1, 32, (7, 7)), (32, 32, (5, 5)), (32, 32, (5, 5)), (32, 6, (3, 3)),
    ]  # fmt: skip
    assert sum(c.weight.numel() for c in convolutions) == 54_496  # multiply-adds a pixel


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (26, 26), (33, 64)])
def test_output_is_one_to_one_with_the_input_of_any_size(network, shape):
    predicted = network(torch.rand(2, 1, *shape))
    assert predicted.offsets.shape == (2, 2, 2, *shape)
    assert predicted.logits.shape == (2, 2, 1, *shape)


def test_points_and_classes_are_configurable():
    predicted = PointNetwork(n_points=3, n_classes=4, width=8)(torch.rand(1, 1, 6, 7))
    assert predicted.offsets.shape == (1, 3, 2, 6, 7)
    assert predicted.probabilities.shape == (1, 3, 4, 6, 7)


def test_offsets_stay_within_half_a_pixel_whatever_the_input(network):
    assert network(torch.randn(1, 1, 20, 30) * 1e4).offsets.abs().max() <= 0.5


def test_probabilities_start_low(network):
    p = network(torch.rand(4, 1, 26, 26)).probabilities
    assert p.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(-3.0)).item(), abs=0.02)


def test_a_pixel_reaches_as_far_as_it_says_and_no_further(network):
    image = torch.rand(1, 1, 41, 43)
    other = image.clone()
    other[0, 0, 20, 21] += 1
    with torch.no_grad():
        changed = (network(image).logits != network(other).logits)[0, :, 0].any(dim=0).nonzero()
    reach = (changed - torch.tensor([20, 21])).abs().max().item()
    assert reach == network.reach_px == 8


def test_standardisation_travels_with_the_weights(network):
    network.standardise(0.25, 0.5)
    copy = PointNetwork()
    copy.load_state_dict(network.state_dict())
    image = torch.rand(1, 1, 8, 9)
    assert torch.equal(copy(image).logits, network(image).logits)
    assert not torch.equal(PointNetwork().input_std, copy.input_std)
