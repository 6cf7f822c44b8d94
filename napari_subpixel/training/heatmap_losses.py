"""What networks that predict heatmaps minimise: squared errors of heatmaps, Deep-STORM's loss, and DSNT's."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.models.heatmap_codecs import encode
from napari_subpixel.models.heatmap_networks import HeatmapPredictor
from napari_subpixel.training.simulated_samples import Batch

#: Standard deviation of the Gaussian that Deep-STORM compares images behind, in pixels of its grid, and its reach.
SPIKE_WIDTH_PX, SPIKE_REACH_PX = 1.0, 3


def heatmap_error(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of heatmaps, summed over a heatmap, as heatmap matching has it; (B, H, W) twice to (B,)."""
    return (raw - target).square().sum(dim=(1, 2))


def spikes_error(raw: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
    """Return Deep-STORM's two terms: the squared error behind a Gaussian, and the l1 norm; means over an image.

    Parameters
    ----------
    raw, spikes : Tensor, shape (B, H, W)
        The image of spikes as predicted, and the true one.

    Returns
    -------
    tuple of Tensor, shape (B,)
    """
    axis = torch.arange(-SPIKE_REACH_PX, SPIKE_REACH_PX + 1, device=raw.device, dtype=raw.dtype)
    profile = torch.exp(-0.5 * (axis / SPIKE_WIDTH_PX).square())
    kernel = (profile / profile.sum())[:, None] * (profile / profile.sum())
    blurred = functional.conv2d((raw - spikes)[:, None], kernel[None, None], padding=SPIKE_REACH_PX)[:, 0]
    return blurred.square().mean(dim=(1, 2)), raw.abs().mean(dim=(1, 2))


def dsnt_error(
    logits: Tensor, truth: Tensor, weights: Tensor, *, width_px: float, reach_px: int
) -> tuple[Tensor, Tensor]:
    """Return DSNT's two terms, in the window round the pixel of each true point.

    Parameters
    ----------
    logits : Tensor, shape (B, H, W)
    truth : Tensor, shape (B, M, 2)
    weights : Tensor, shape (B, M, 1)
    width_px : float
        Standard deviation of the Gaussian that the regulariser pulls towards.
    reach_px : int
        How far windows reach.

    Returns
    -------
    distance : Tensor, shape (B,)
        Sum over the points of the distance of the window's expectation from the point, in pixels (Eq. 5 of [1]_).
    divergence : Tensor, shape (B,)
        Sum of the Jensen-Shannon divergences of the window's softmax from the Gaussian round the point (Eq. 8).

    References
    ----------
    .. [1] Nibali, He, Morgan, Prendergast, "Numerical coordinate regression with convolutional neural networks", 2018,
       arXiv:1801.07372.
    """
    size = 2 * reach_px + 1
    home = torch.floor(truth + HALF_PIXEL).long()
    padded = functional.pad(logits, (reach_px,) * 4, value=-30.0)
    step = torch.arange(size, device=logits.device)
    limit = home.new_tensor(logits.shape[1:]) - 1
    home = torch.minimum(home.clamp(min=0), limit)
    image = torch.arange(len(logits), device=logits.device)[:, None, None, None]
    rows, columns = home[..., 0, None, None] + step[:, None], home[..., 1, None, None] + step
    p = torch.softmax(padded[image, rows, columns].flatten(2), dim=2)  # (B, M, n * n)
    axis = step.to(logits) - reach_px
    grid = torch.cartesian_prod(axis, axis)  # (n * n, 2)
    wanted = truth - home
    distance = ((p @ grid) - wanted).square().sum(dim=2).add(1e-12).sqrt()
    gaussian = torch.softmax(-0.5 * ((grid - wanted[:, :, None]) / width_px).square().sum(dim=3), dim=2)
    middle = (p + gaussian) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(gaussian, middle)) / 2
    weight = weights[..., 0]
    return (weight * distance).sum(dim=1), (weight * divergence).sum(dim=1)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    return (p * (torch.log(p + 1e-24) - torch.log(q + 1e-24))).sum(dim=2)


def target_for(network: HeatmapPredictor, batch: Batch, shape: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Draw the heatmap that a network is to predict of a batch, (B, *shape) on the network's own grid."""
    upsampling = network.upsampling
    truth = (batch.truth + HALF_PIXEL) * upsampling - HALF_PIXEL
    generator = torch.Generator(truth.device).manual_seed(int(rng.integers(2**62)))
    return encode(truth, batch.weights, shape, width_px=network.width_px, encoder=network.encoder, generator=generator)


def spikes_for(network: HeatmapPredictor, batch: Batch, shape: tuple[int, int]) -> Tensor:
    """Return the image of spikes that Deep-STORM is to predict of a batch, (B, *shape)."""
    place = torch.floor((batch.truth + HALF_PIXEL) * network.upsampling).long()
    place = torch.minimum(place.clamp(min=0), place.new_tensor(shape) - 1)
    spikes = batch.frames.new_zeros(len(place), math.prod(shape))
    spikes.scatter_add_(1, place[..., 0] * shape[1] + place[..., 1], network.full_value * batch.weights[..., 0])
    return spikes.view(-1, *shape)
