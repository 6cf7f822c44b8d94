"""How likely the true molecules are under what a network predicts: their count in windows, their places and light.

Every point is a molecule that exists with its probability, at a place and with a light that are known to the predicted
uncertainty. In a window of the frame the number of molecules then has a Poisson-binomial distribution (Eq. 5 of the
paper, asked of every window instead of the whole frame), and each of them comes from the mixture of the points'
Gaussians. Both are proper scores, so probabilities and uncertainties that minimise them are calibrated.

Shapes as in `napari_subpixel.training.heatmap_matching`; w windows in a frame.

References
----------
.. [1] Schroeter, Tuytelaars, Sidorov, Marshall, "Learning Multi-Instance Sub-pixel Point Localization", ACCV 2020,
   doi:10.1007/978-3-030-69541-5_41. Eq. 5.
.. [2] Speiser et al., "Deep learning enables fast and dense single-molecule localization with high accuracy", Nature
   Methods 18, 1082 (2021), doi:10.1038/s41592-021-01236-x. The mixture of Gaussians.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.models.pixel_network import Predictions
from napari_subpixel.training.counting_windows import Windows, counting_nll

#: Density, per pixel and unit of the light's logarithm, that a molecule has where no point accounts for it.
CLUTTER = 1e-5


class Likelihood(NamedTuple):
    """Negative log-likelihoods of each image, in nats, each of shape (B,): of places and light, and of counts."""

    places: Tensor
    counts: Tensor


def likelihood(
    predicted: Predictions,
    truth: Tensor,
    light: Tensor | None,
    weights: Tensor,
    windows: Windows,
) -> Likelihood:
    """Negative log-likelihood of the true molecules.

    Parameters
    ----------
    predicted : Predictions
        With uncertainties and light; one class.
    truth : Tensor, shape (B, M, 2)
        True positions in pixels, on the frame.
    light : Tensor, shape (B, M), optional
        Their light, in the units of the prediction; left out of the likelihood where it is not known.
    weights : Tensor, shape (B, M, 1)
        1 for a molecule, 0 for padding.
    windows : Windows
        In which molecules are counted.

    Returns
    -------
    Likelihood
    """
    there = weights[..., 0] > 0
    p = predicted.probabilities[:, :, 0]
    density, cell = _mixture(predicted, truth, light)
    window, in_windows = windows.of(cell), windows.gather(p)  # (B, M), (B, w, points)
    sums = torch.logsumexp(torch.log(in_windows + 1e-12), dim=2).gather(1, window)
    places = torch.where(there, sums - torch.logaddexp(density, density.new_tensor(math.log(CLUTTER))), 0.0).sum(dim=1)
    return Likelihood(places, counting_nll(in_windows, window, there))


def background_error(predicted: Predictions, frames: Tensor, background: Tensor) -> Tensor:
    """Mean squared error of the background in units of the noise, compressed.

    Parameters
    ----------
    predicted : Predictions
        With background.
    frames : Tensor, shape (B, planes, H, W)
        In counts, as the network got them; plane 2 is the variance of the read noise.
    background : Tensor, shape (B, H, W)
        The true one, in counts.

    Returns
    -------
    Tensor, shape (B,)
    """
    assert predicted.background is not None
    noise = (background + frames[:, 2] + 1).sqrt()
    return torch.log1p(((predicted.background - background) / noise).square()).mean(dim=(1, 2))


def _mixture(predicted: Predictions, truth: Tensor, light: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return log sum_i p_i N_i of each molecule over the points round it, and the pixel of the one most responsible.

    Shapes (B, M) and (B, M, 2). The points are those of the molecule's pixel and its eight neighbours.
    """
    assert predicted.log_uncertainty is not None
    assert predicted.log_light is not None
    grid = predicted.offsets.shape[-2:]
    around = torch.cartesian_prod(*[torch.arange(-1, 2, device=truth.device)] * 2)
    cells = torch.floor(truth + HALF_PIXEL).long()[:, :, None] + around  # (B, M, 9, 2)
    size = cells.new_tensor(grid)
    inside = ((cells >= 0) & (cells < size)).all(dim=-1)
    cells = torch.minimum(cells.clamp(min=0), size - 1)
    field = torch.cat(
        [
            predicted.offsets,
            predicted.log_uncertainty,
            predicted.log_light,
            functional.logsigmoid(predicted.logits),
        ],
        dim=2,
    )  # (B, n, 7, H, W)
    batch, n, k = field.shape[:3]
    place = (cells[..., 0] * grid[1] + cells[..., 1]).flatten(1)
    near = field.flatten(3).gather(3, place[:, None, None].expand(batch, n, k, -1))
    values = near.reshape(batch, n, k, *cells.shape[1:3]).unbind(2)  # each (B, n, M, 9)
    dy, dx = ((cells[..., a] - truth[..., a : a + 1])[:, None] + values[a] for a in (0, 1))
    log_density = (
        values[6]
        - 0.5 * ((dy * torch.exp(-values[2])).square() + (dx * torch.exp(-values[3])).square())
        - values[2] - values[3] - math.log(2 * math.pi)
    )  # fmt: skip
    if light is not None:
        dlight = values[4] - torch.log(light.clamp(min=1e-3))[:, None, :, None]
        log_density = (
            log_density
            - 0.5 * (dlight * torch.exp(-values[5])).square()
            - values[5] - 0.5 * math.log(2 * math.pi)
        )  # fmt: skip
    log_density = log_density.masked_fill(~inside[:, None], -1e4).transpose(1, 2).flatten(2)  # (B, M, n * 9)
    best = log_density.detach().argmax(dim=2) % len(around)
    cell = cells.gather(2, best[..., None, None].expand(-1, -1, 1, 2))[:, :, 0]
    return torch.logsumexp(log_density, dim=2), cell
