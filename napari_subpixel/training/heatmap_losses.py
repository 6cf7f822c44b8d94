"""What networks that predict heatmaps minimise: squared errors of heatmaps, Deep-STORM's loss, and DSNT's."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.models.heatmap_codecs import encode
from napari_subpixel.models.heatmap_networks import NO_POINT, HeatmapPredictor
from napari_subpixel.training.simulated_samples import Batch

#: Standard deviation of the Gaussian with which Deep-STORM blurs images before it compares them, in pixels of its grid.
SPIKE_WIDTH_PX = 1.0
#: How far this Gaussian is computed, in pixels of Deep-STORM's grid.
SPIKE_REACH_PX = 3
#: Probability that DSNT's cross-entropy asks of the brightest pixel of a point.
PEAK = 0.95
#: Halvings of the interval in which the slope of a shifted Gaussian lies: to the precision of single-precision numbers.
BISECTIONS = 32


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


class DsntTerms(NamedTuple):
    """DSNT's terms of the loss, a value per image; all are smallest for the same logits.

    Attributes
    ----------
    presence : Tensor, shape (B,)
        Cross-entropy of the pixels, which teaches where maxima are, summed over the image.
    distance : Tensor, shape (B,)
        Sum over the points of the distance between point and expectation, in pixels (Eq. 5 of DSNT).
    divergence : Tensor, shape (B,)
        Sum over the points of the Jensen-Shannon divergence between the window's softmax and its target (Eq. 8).
    """

    presence: Tensor
    distance: Tensor
    divergence: Tensor


def dsnt_terms(logits: Tensor, truth: Tensor, weights: Tensor, *, width_px: float, reach_px: int) -> DsntTerms:
    """Return the terms of DSNT's loss, in the window round the pixel of each true point.

    A Gaussian round the point, cut off by a small window, has its expectation elsewhere: in 3 x 3 pixels, up to a third
    of a pixel away. A regulariser that pulls towards it would work against the distance. The target here is shifted
    until its expectation is the point (`shifted_gaussian`), and the cross-entropy's is made from the same target, so
    that all terms agree. Points outside the frame have no window and count nothing; of a point beyond the centres of
    the outermost pixels, the nearest place that an expectation can reach is asked.

    Parameters
    ----------
    logits : Tensor, shape (B, H, W)
    truth : Tensor, shape (B, M, 2)
        y and x in pixels.
    weights : Tensor, shape (B, M, 1)
        1 for a point, 0 for padding.
    width_px : float
        Standard deviation of the target, in pixels.
    reach_px : int
        A window has 2 reach_px + 1 pixels a side.

    Returns
    -------
    DsntTerms

    References
    ----------
    .. [1] Nibali, He, Morgan, Prendergast, "Numerical coordinate regression with convolutional neural networks", 2018,
       arXiv:1801.07372.
    """
    home = torch.floor(truth + HALF_PIXEL).long()
    last = home.new_tensor(logits.shape[1:]) - 1
    weight = weights[..., 0].to(logits) * ((home >= 0) & (home <= last)).all(dim=2)
    home = torch.minimum(home.clamp(min=0), last)
    axis = torch.arange(-reach_px, reach_px + 1, device=logits.device)
    places = home[..., None] + axis  # (B, M, 2, n)
    in_frame = (places >= 0) & (places <= last[:, None])
    rows, columns = shifted_gaussian((truth - home).to(logits), in_frame, width_px=width_px).unbind(2)
    target = (rows[..., :, None] * columns[..., None, :]).flatten(2)  # (B, M, n * n)

    y, x = torch.minimum(places.clamp(min=0), last[:, None]).unbind(2)
    pixel = (y[..., :, None] * logits.shape[2] + x[..., None, :]).flatten(2)
    inside = (in_frame[:, :, 0, :, None] & in_frame[:, :, 1, None, :]).flatten(2)
    image = torch.arange(len(logits), device=logits.device)[:, None, None]
    p = torch.softmax(logits.flatten(1)[image, pixel].where(inside, NO_POINT), dim=2)

    grid = torch.cartesian_prod(axis, axis).to(logits)  # (n * n, 2)
    distance = ((p - target) @ grid).square().sum(dim=2).add(1e-12).sqrt()
    middle = (p + target) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(target, middle)) / 2
    odds = PEAK / (1 - PEAK) * target / target.amax(dim=2, keepdim=True)
    shown = torch.zeros_like(logits).flatten(1)
    shown.scatter_reduce_(1, pixel.flatten(1), (weight[..., None] * odds / (1 + odds)).flatten(1), "amax")
    presence = functional.binary_cross_entropy_with_logits(logits.flatten(1), shown, reduction="none").sum(dim=1)
    return DsntTerms(presence, (weight * distance).sum(dim=1), (weight * divergence).sum(dim=1))


def shifted_gaussian(offsets: Tensor, in_frame: Tensor, *, width_px: float) -> Tensor:
    """Return Gaussians on the pixels of an axis of a window, centred so that their expectations are the offsets.

    Parameters
    ----------
    offsets : Tensor, shape (...)
        Wanted expectations, in pixels from the middle of the window; where no weights of the pixels in the frame have
        it, the nearest is taken.
    in_frame : Tensor of bool, shape (..., n)
        Which of the n pixels of the axis, n odd, lie in the frame; others get a weight of 0. The middle one does.
    width_px : float
        Standard deviation of the Gaussians, in pixels.

    Returns
    -------
    Tensor, shape (..., n)
        Weights, of sum 1.
    """
    reach = in_frame.shape[-1] // 2
    axis = torch.arange(-reach, reach + 1, device=offsets.device).to(offsets)
    still = (-0.5 * (axis / width_px).square()).where(in_frame, -torch.inf)
    # A Gaussian that is shifted by s has its logarithm changed by s / width^2 for every pixel along the axis: a slope,
    # with which the expectation grows. Bisection is safe where the expectation cannot be reached.
    high = torch.full_like(offsets, 20 + 1 / width_px**2)
    low = -high
    for _ in range(BISECTIONS):
        slope = (low + high) / 2
        too_far = (torch.softmax(still + slope[..., None] * axis, dim=-1) @ axis) > offsets
        low, high = torch.where(too_far, low, slope), torch.where(too_far, slope, high)
    return torch.softmax(still + ((low + high) / 2)[..., None] * axis, dim=-1)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    return (p * (torch.log(p + 1e-24) - torch.log(q + 1e-24))).sum(dim=2)


def target_for(network: HeatmapPredictor, batch: Batch, shape: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Draw the heatmaps that a network is to predict of a batch.

    Parameters
    ----------
    network : HeatmapPredictor
        Its encoder, width and upsampling are used.
    batch : Batch
    shape : (int, int)
        Height and width of a heatmap, on the network's own grid.
    rng : numpy.random.Generator
        Seeds randomised rounding.

    Returns
    -------
    Tensor, shape (B, *shape)
    """
    upsampling = network.upsampling
    truth = (batch.truth + HALF_PIXEL) * upsampling - HALF_PIXEL
    generator = torch.Generator(truth.device).manual_seed(int(rng.integers(2**62)))
    return encode(truth, batch.weights, shape, width_px=network.width_px, encoder=network.encoder, generator=generator)


def spikes_for(network: HeatmapPredictor, batch: Batch, shape: tuple[int, int]) -> Tensor:
    """Return the images of spikes that Deep-STORM is to predict of a batch.

    Parameters
    ----------
    network : HeatmapPredictor
        Its upsampling and the height of its spikes are used.
    batch : Batch
    shape : (int, int)
        Height and width of an image, on the network's own grid.

    Returns
    -------
    Tensor, shape (B, *shape)
    """
    place = torch.floor((batch.truth + HALF_PIXEL) * network.upsampling).long()
    place = torch.minimum(place.clamp(min=0), place.new_tensor(shape) - 1)
    spikes = batch.frames.new_zeros(len(place), math.prod(shape))
    spikes.scatter_add_(1, place[..., 0] * shape[1] + place[..., 1], network.full_value * batch.weights[..., 0])
    return spikes.view(-1, *shape)
