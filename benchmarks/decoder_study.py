"""How far from the truth every pair of an encoder and a decoder ends, on heatmaps that a perfect network would predict.

Single points at random places are drawn by an encoder, with and without noise, and read off by a decoder: Gaussians,
but for randomised rounding, which lights single pixels, as published, and of which a network learns the mean. The
error is the root mean square along an axis, in pixels. A decoder that stays at the brightest pixel is off by
1/sqrt(12) = 0.289 px; an encoder that rounds to the nearest pixel loses the same, whatever the decoder.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.models import heatmap_codecs

STUDY = "decoders.json"
#: Standard deviation of the drawn Gaussians, side of the heatmaps, reach of the decoders' windows, all in pixels.
WIDTH_PX, SIDE_PX, REACH_PX = 1.0, 17, 3
#: Standard deviations of the noise of the heatmaps, whose height is 1.
NOISE = (0.0, 0.02, 0.1)
SEED = 5


def study(draws: int) -> dict[str, Any]:
    """Return errors by noise, encoder and decoder."""
    generator = torch.Generator().manual_seed(SEED)
    truth = SIDE_PX // 2 + torch.rand((draws, 1, 2), generator=generator, dtype=torch.float64) - HALF_PIXEL
    decoders = {**heatmap_codecs.DECODERS, "dark": heatmap_codecs.dark(WIDTH_PX)}
    errors: dict[str, Any] = {}
    for noise in NOISE:
        rows = errors[f"{noise:g}"] = {}
        for encoder in heatmap_codecs.ENCODERS:
            drawn = learned_from(truth, encoder)
            drawn = drawn + noise * torch.randn(drawn.shape, generator=generator, dtype=drawn.dtype)
            rows[encoder] = {name: error_px(drawn, truth[:, 0], name, decoder) for name, decoder in decoders.items()}
    return {"draws": draws, "width_px": WIDTH_PX, "seed": SEED, "errors_px": errors}


def learned_from(truth: torch.Tensor, encoder: str) -> torch.Tensor:
    """Return the heatmaps that a perfect network learns: of randomised rounding, the mean over all draws."""
    shape, weights = (SIDE_PX, SIDE_PX), torch.ones(len(truth), 1, 1, dtype=truth.dtype)
    if encoder != "randomised":
        return heatmap_codecs.encode(truth, weights, shape, width_px=WIDTH_PX, encoder=encoder)
    low, mean = torch.floor(truth), torch.zeros(len(truth), *shape, dtype=truth.dtype)
    for corner in itertools.product((0.0, 1.0), repeat=2):
        up = torch.tensor(corner, dtype=truth.dtype)
        share = (1 - (truth - low - up).abs()).prod(dim=2)[..., None]
        mean += share * heatmap_codecs.encode(low + up, weights, shape, width_px=0.0, encoder="unbiased")
    return mean


def error_px(drawn: torch.Tensor, truth: torch.Tensor, name: str, decoder: Any) -> float:
    """Return the root mean square error along an axis of the highest maximum of each heatmap."""
    # The expectation is one under a softmax: the heatmap of its network is of logits.
    scores = torch.log(drawn.clamp(min=heatmap_codecs.TINY)) if name == "expectation" else drawn
    highest = scores.flatten(1).argmax(dim=1)
    pixel = torch.stack([highest // SIDE_PX, highest % SIDE_PX], dim=1)
    step = torch.arange(-REACH_PX, REACH_PX + 1)
    rows, columns = (pixel[:, k, None] + step for k in range(2))
    image = torch.arange(len(scores))[:, None, None]
    windows = scores[image, rows.clamp(0, SIDE_PX - 1)[:, :, None], columns.clamp(0, SIDE_PX - 1)[:, None]]
    return round(float((pixel + decoder(windows) - truth).square().mean().sqrt()), 4)
