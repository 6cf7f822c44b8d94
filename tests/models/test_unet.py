"""The network for many microscopes: its shape, its reach, and how its input is made comparable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_subpixel.models.input_scaling import Optics, counts
from napari_subpixel.models.unet import MAX_OFFSET_PX, UNet


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    return UNet(width=8).eval()


def frames(rng: np.random.Generator, shape: tuple[int, int], n: int = 1) -> torch.Tensor:
    return torch.from_numpy(counts(rng.poisson(50.0, (n, *shape)), Optics(1.2)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (26, 26), (33, 62)])
def test_output_is_one_to_one_with_the_input_of_any_size(network, rng, shape):
    predicted = network(frames(rng, shape, 2))
    assert predicted.offsets.shape == predicted.log_uncertainty.shape == predicted.log_light.shape == (2, 2, 2, *shape)
    assert predicted.logits.shape == (2, 2, 1, *shape)
    assert predicted.background.shape == (2, *shape)
    assert predicted.offsets.abs().max() <= MAX_OFFSET_PX


def test_a_pixel_reaches_no_further_than_it_says(network, rng):
    image = frames(rng, (80, 84))
    far = 0
    for y, x in ((40, 40), (41, 42), (43, 43), (42, 41)):
        other = image.clone()
        other[0, 0, y, x] += 30
        with torch.no_grad():
            changed = (network(image).logits != network(other).logits)[0].flatten(0, 1).any(dim=0).nonzero()
        far = max(far, (changed - torch.tensor([y, x])).abs().max().item())
    assert 10 < far <= network.reach_px


def test_nothing_is_too_bright_or_too_dark(network):
    for level in (0.0, -5.0, 1e-3, 1e6):
        image = torch.from_numpy(counts(np.full((1, 12, 13), level), Optics(1.2, 2.0, 0.5)))
        image[0, 0, 6, 6] += 1e5
        assert all(torch.isfinite(t).all() for t in network(image))


def test_an_untrained_network_predicts_few_points_near_the_background(network, rng):
    predicted = network(frames(rng, (40, 44)))
    assert predicted.probabilities.mean() < 0.1
    assert predicted.background.mean().item() == pytest.approx(50, rel=0.2)


def test_config_builds_it_again(network):
    config = network.config
    assert config.pop("kind") == "unet"
    UNet(**config).load_state_dict(network.state_dict())


def test_conditioning_on_the_movie_reaches_the_blocks(network, rng):
    """With the planes as they are, and only what scales and shifts the blocks made to matter."""
    photons = rng.poisson(50.0, (1, 20, 20))
    torch.nn.init.normal_(network.before[0].film.weight)
    conditioning = []
    network.before[0].register_forward_hook(lambda module, inputs, output: conditioning.append(module.film(inputs[1])))
    for sigma, typical in ((1.2, 0.0), (1.2, 500.0), (1.2, 2000.0), (1.5, 0.0)):
        network(torch.from_numpy(counts(photons, Optics(sigma, 1.0, 0.0, typical))))
    for k, one in enumerate(conditioning):
        assert all((one - other).abs().max() > 1e-2 for other in conditioning[:k])


@pytest.mark.parametrize("wrong", [{"width": 6}, {"width": 0}, {"blocks": (2, 2)}])
def test_a_body_that_cannot_be_built_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a width that is a multiple of 4, and three blocks"):
        UNet(**wrong)
