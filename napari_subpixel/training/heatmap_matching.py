"""Continuous heatmap matching (Eq. 4 of the paper): predicted points and true points compared as sums of Gaussians.

A pure function of what a network predicts for every pixel and of the true points; exact, and with its analytic
gradient, so that a training step costs little more than the network itself.

Shapes: B images; n points per pixel; D spatial dimensions (1, 2 or 3) with the pixel grid ``*grid``; d classes; M true
points, padded to the same number for every image with points of weight 0.

References
----------
.. [1] Schroeter, Tuytelaars, Sidorov, Marshall, "Learning Multi-Instance Sub-pixel Point Localization", ACCV 2020,
   doi:10.1007/978-3-030-69541-5_41.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from napari_subpixel.coordinates import HALF_PIXEL

#: Kernel values below this are left out of the local sums: far under the accuracy that the tests demand (1e-6).
NEGLIGIBLE = 1e-9
#: Probabilities and kernel values below this count as 0. Their products would fall below 1e-38, where processors work
#: with denormal numbers, some ten times slower.
VANISHING = 1e-12
#: True points are compared with one another in blocks of this many.
TRUTH_BLOCK = 1024


def heatmap_matching(
    offsets: Tensor, probabilities: Tensor, truth: Tensor, weights: Tensor, *, kernel_px: float = 0.2
) -> Tensor:
    r"""Integrated squared difference between the continuous heatmaps of predicted and true points (Eqs. 3 and 4).

    With K(a, b) = exp(-\|a - b\|^2 / (2 lambda^2)), positions r and probabilities p of the predictions, positions t and
    weights w of the truth,

    .. math:: (\pi\lambda^2/2)^{D/2} \Big[ \sum_{jj'} w_j w_{j'} K(t_j, t_{j'}) + \sum_{ii'} p_i p_{i'} K(r_i, r_{i'})
              - 2 \sum_{ij} p_i w_j K(r_i, t_j) \Big],

    summed over classes. Offsets are bounded by half a pixel, so only points of nearby pixels interact: the sums run
    over neighbours whose distance can leave more than `NEGLIGIBLE` of the kernel.

    Parameters
    ----------
    offsets : Tensor, shape (B, n, D, *grid)
        Offsets from the pixel centres, each within [-0.5, 0.5] pixels, in the order of the grid's axes.
    probabilities : Tensor, shape (B, n, d, *grid)
        Probability of each point, for each class.
    truth : Tensor, shape (B, M, D)
        True positions in pixels, the first pixel's centre at 0; they may lie outside the grid. They get no gradient.
    weights : Tensor, shape (B, M, d)
        1 for the class of each true point and 0 for the others; all 0 for padding.
    kernel_px : float
        Width lambda of the kernel, in pixels.

    Returns
    -------
    Tensor, shape (B,)
        The loss of each image, in pixels**D.

    Raises
    ------
    ValueError
        If shapes do not fit, an offset exceeds half a pixel, or the kernel is not positive.
    """
    _check_matching(offsets, probabilities, truth, weights, kernel_px)
    truth, weights = truth.to(offsets).detach(), weights.to(probabilities).detach()
    return _HeatmapMatching.apply(offsets, probabilities, truth, weights, float(kernel_px))


class _HeatmapMatching(torch.autograd.Function):
    """Eq. 4 with its analytic gradient: one sweep over neighbours yields both."""

    @staticmethod
    def forward(ctx: Any, offsets: Tensor, p: Tensor, truth: Tensor, weights: Tensor, kernel_px: float) -> Tensor:
        scale = (math.pi * kernel_px**2 / 2) ** (offsets.shape[2] / 2)
        cutoff = kernel_px * math.sqrt(2 * math.log(1 / NEGLIGIBLE))
        sums = _Sums(offsets, p, kernel_px)
        within = [size - 1 for size in offsets.shape[3:]]
        for shift in _neighbours(offsets.shape[2], cutoff, within):
            if shift >= (0,) * len(within):  # each pair of pixels once
                sums.add_predictions(shift)
        sums.add_truth(truth, weights, _neighbours(offsets.shape[2], cutoff))
        ctx.save_for_backward(sums.grad_offsets * scale, sums.grad_p * scale)
        return scale * (sums.value + _truth_energy(truth, weights, kernel_px))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        grad_offsets, grad_p = ctx.saved_tensors
        each = grad_output.reshape(-1, *[1] * (grad_p.ndim - 1))
        return grad_offsets * each, grad_p * each, None, None, None


class _Sums:
    """The double sums of Eq. 4 that involve predictions, and their derivatives, gathered shift by shift."""

    def __init__(self, offsets: Tensor, p: Tensor, kernel_px: float) -> None:
        self.offsets, self.p, self.kernel_px = offsets, torch.threshold(p, VANISHING, 0.0), kernel_px
        self.dims = offsets.shape[2]
        self.value = p.new_zeros(p.shape[0])
        self.grad_offsets, self.grad_p = torch.zeros_like(offsets), torch.zeros_like(p)

    def add_predictions(self, shift: tuple[int, ...]) -> None:
        """Add all pairs of a point in a pixel and one in the pixel `shift` away, in both orders."""
        here, there = _overlap(shift, self.offsets.shape[3:])
        move = self.offsets.new_tensor(shift).reshape(-1, *[1] * self.dims)
        difference = (self.offsets[there] + move)[:, None] - self.offsets[here][:, :, None]  # (B, n, n', D, *grid)
        kernel = _kernel(difference, self.kernel_px, axis=3)
        p_here, p_there = self.p[here], self.p[there]
        # Within one pixel the pairs (i, i') and (i', i) are both in `kernel`; elsewhere each pair is there once.
        orders = 2.0 if any(shift) else 1.0
        pull = kernel * _class_product(p_here, p_there) * orders
        self.value += pull.flatten(1).sum(dim=1)
        force = pull.unsqueeze(3) * difference / self.kernel_px**2
        self.grad_offsets[here] += force.sum(dim=2)
        self.grad_offsets[there] -= force.sum(dim=1)
        self.grad_p[here] += orders * (kernel.unsqueeze(3) * p_there[:, None]).sum(dim=2)
        self.grad_p[there] += orders * (kernel.unsqueeze(3) * p_here[:, :, None]).sum(dim=1)

    def add_truth(self, truth: Tensor, weights: Tensor, shifts: list[tuple[int, ...]]) -> None:
        """Subtract twice the sum over pairs of a true point and a prediction in a pixel near it."""
        grid = self.offsets.shape[3:]
        home = torch.floor(truth + HALF_PIXEL).long()
        cells = home[:, :, None] + home.new_tensor(shifts)  # (B, M, S, D)
        size = cells.new_tensor(grid)
        inside = ((cells >= 0) & (cells < size)).all(dim=-1)
        cells = torch.minimum(cells.clamp(min=0), size - 1)
        place = _flat_index(cells, grid).flatten(1)  # (B, M * S)
        difference = cells.to(truth) - truth[:, :, None]
        near_offsets, near_p = _gather(self.offsets, place), _gather(self.p, place)  # (B, n, D or d, M * S)
        difference = near_offsets + difference.flatten(1, 2).transpose(1, 2)[:, None]
        kernel = _kernel(difference, self.kernel_px, axis=2) * inside.flatten(1)[:, None]
        weight = weights.repeat_interleave(len(shifts), dim=1).transpose(1, 2)[:, None]  # (B, 1, d, M * S)
        pull = kernel * (near_p * weight).sum(dim=2)
        self.value -= 2 * pull.flatten(1).sum(dim=1)
        _scatter(self.grad_offsets, place, 2 * pull.unsqueeze(2) * difference / self.kernel_px**2)
        _scatter(self.grad_p, place, -2 * kernel.unsqueeze(2) * weight)


def _kernel(difference: Tensor, kernel_px: float, *, axis: int) -> Tensor:
    """Return exp(-distance^2 / (2 lambda^2)) of differences with components along `axis`; vanishing values as 0."""
    exponent = difference.square().sum(dim=axis).mul_(-0.5 / kernel_px**2).clamp_(min=math.log(VANISHING) - 1)
    return torch.threshold_(exponent.exp_(), VANISHING, 0.0)


def _neighbours(dims: int, cutoff: float, within: Sequence[int] | None = None) -> list[tuple[int, ...]]:
    """Grid steps, at most `within` along each axis, whose pixels may hold points nearer than `cutoff` to each other."""
    reach = math.floor(cutoff) + 1
    ends = [min(reach, most) for most in within] if within else [reach] * dims
    steps = itertools.product(*(range(-end, end + 1) for end in ends))
    return [s for s in steps if sum(max(abs(k) - 1, 0) ** 2 for k in s) < cutoff**2]


def _overlap(shift: tuple[int, ...], grid: torch.Size) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Index the pixels that have a neighbour `shift` away, and those neighbours."""
    here = tuple(slice(max(-s, 0), max(size - max(s, 0), 0)) for s, size in zip(shift, grid, strict=True))
    there = tuple(slice(max(s, 0), max(size - max(-s, 0), 0)) for s, size in zip(shift, grid, strict=True))
    return (..., *here), (..., *there)


def _class_product(p_here: Tensor, p_there: Tensor) -> Tensor:
    """Sum over classes of the products of probabilities; (B, n, d, *grid) twice to (B, n, n', *grid)."""
    return (p_here[:, :, None] * p_there[:, None]).sum(dim=3)


def _flat_index(cells: Tensor, grid: torch.Size) -> Tensor:
    """Turn grid indices (..., D) into indices of the flattened grid (...)."""
    flat = cells[..., 0]
    for axis, size in enumerate(grid[1:], start=1):
        flat = flat * size + cells[..., axis]
    return flat


def _gather(field: Tensor, place: Tensor) -> Tensor:
    """Take the values (B, n, k, *grid) at flat places (B, P), as (B, n, k, P)."""
    field = field.flatten(3)
    return field.gather(3, place[:, None, None].expand(*field.shape[:3], -1))


def _scatter(field: Tensor, place: Tensor, values: Tensor) -> None:
    """Add values (B, n, k, P) to a field (B, n, k, *grid) at flat places (B, P)."""
    field.view(*field.shape[:3], -1).scatter_add_(3, place[:, None, None].expand_as(values), values)


def _truth_energy(truth: Tensor, weights: Tensor, kernel_px: float) -> Tensor:
    """Return the first double sum of Eq. 4, over pairs of true points; a constant for training, shape (B,)."""
    energy = truth.new_zeros(truth.shape[0])
    for rows, row_weights in zip(truth.split(TRUTH_BLOCK, 1), weights.split(TRUTH_BLOCK, 1), strict=True):
        kernel = torch.exp(-0.5 / kernel_px**2 * (rows[:, :, None] - truth[:, None]).square().sum(dim=3))
        energy += (kernel * (row_weights @ weights.transpose(1, 2))).sum(dim=(1, 2))
    return energy


def _check_matching(offsets: Tensor, p: Tensor, truth: Tensor, weights: Tensor, kernel_px: float) -> None:
    dims = offsets.ndim - 3
    if not 1 <= dims <= 3 or offsets.shape[2] != dims:
        raise ValueError(f"expected offsets (B, n, D, *grid) with 1 to 3 dimensions, got shape {tuple(offsets.shape)}")
    if p.shape[:2] != offsets.shape[:2] or p.shape[3:] != offsets.shape[3:]:
        raise ValueError(f"offsets and probabilities do not fit: {tuple(offsets.shape)}, {tuple(p.shape)}")
    if truth.ndim != 3 or truth.shape[0] != offsets.shape[0] or truth.shape[2] != dims:
        raise ValueError(f"expected truth ({offsets.shape[0]}, M, {dims}), got {tuple(truth.shape)}")
    if weights.shape != (*truth.shape[:2], p.shape[2]):
        raise ValueError(f"expected weights {(*truth.shape[:2], p.shape[2])}, got {tuple(weights.shape)}")
    if not kernel_px > 0:
        raise ValueError(f"the kernel must be wider than 0 px, got {kernel_px}")
    if offsets.numel() and offsets.detach().abs().max() > HALF_PIXEL + 1e-6:
        raise ValueError(f"offsets must lie within half a pixel, got {float(offsets.detach().abs().max()):g}")
