"""The losses of the paper: continuous heatmap matching (Eq. 4) and Poisson-binomial counting (Eq. 5).

Both are pure functions of what a network predicts for every pixel and of the true points; both are exact, and both
return their analytic gradient, so that a training step costs little more than the network itself.

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
#: The aliasing of the discrete Fourier transform stays below exp(-NEGLIGIBLE_EXPONENT) of the tilted distribution.
NEGLIGIBLE_EXPONENT = 28.0
#: Probabilities are kept this far from 0 and 1 in counting, so that an impossible count costs much, not infinity.
PROBABILITY_MARGIN = 1e-12
#: True points are compared with one another in blocks of this many.
BLOCK = 1024


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


def poisson_binomial_nll(probabilities: Tensor, count: Tensor) -> Tensor:
    r"""Negative log-likelihood of a count under independent Bernoulli points (Eq. 5), exact and in one pass.

    For every tilt :math:`\theta`, with :math:`q_i = p_i e^\theta / (1 - p_i + p_i e^\theta)`,

    .. math:: P_p(c) = e^{-\theta c} \prod_i (1 - p_i + p_i e^\theta) \; P_q(c).

    The tilt that makes :math:`\sum_i q_i = c` puts c at the mean of the tilted distribution, where its probability
    cannot underflow, and which is narrow: a discrete Fourier transform of its characteristic function needs a length of
    some standard deviations, not N. Counts 0 and N have closed forms. All is computed in float64.

    Parameters
    ----------
    probabilities : Tensor, shape (B, N)
        Probabilities of the points.
    count : Tensor of integers, shape (B,)
        Observed counts, from 0 to N.

    Returns
    -------
    Tensor, shape (B,)
        -log P(count), in nats, in the type of `probabilities`.

    Raises
    ------
    ValueError
        If shapes do not fit or a count is below 0 or above N.
    """
    if probabilities.ndim != 2 or count.shape != probabilities.shape[:1]:
        raise ValueError(f"expected probabilities (B, N) and counts (B,), got {probabilities.shape}, {count.shape}")
    if count.numel() and (count.min() < 0 or count.max() > probabilities.shape[1]):
        raise ValueError(f"counts must lie between 0 and {probabilities.shape[1]}, got {count.tolist()}")
    return _PoissonBinomial.apply(probabilities, count)


def counting(probabilities: Tensor, weights: Tensor) -> Tensor:
    """Regularise by counting (Eq. 5): `poisson_binomial_nll` of the number of true points, summed over classes.

    Parameters
    ----------
    probabilities : Tensor, shape (B, n, d, *grid)
    weights : Tensor, shape (B, M, d)
        As in `heatmap_matching`.

    Returns
    -------
    Tensor, shape (B,)
        Loss of each image, in nats.
    """
    batch, n_classes = probabilities.shape[0], probabilities.shape[2]
    flat = probabilities.transpose(1, 2).reshape(batch * n_classes, -1)
    counts = (weights > 0).sum(dim=1).reshape(-1)
    return poisson_binomial_nll(flat, counts).reshape(batch, n_classes).sum(dim=1)


def l1(probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum of the probabilities of each image, the l1 norm of Table 3; shape (B, n, d, *grid) to (B,)."""
    return probabilities.flatten(1).sum(dim=1)


def no_sparsity(probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return no sparsity term at all (Table 3, first row): zeros of shape (B,)."""
    return probabilities.new_zeros(probabilities.shape[0])


#: The sparsity terms of Table 3, by name.
SPARSITY = {"counting": counting, "l1": l1, "none": no_sparsity}


# -- continuous heatmap matching ------------------------------------------------------------------------------------


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
    for rows, row_weights in zip(truth.split(BLOCK, 1), weights.split(BLOCK, 1), strict=True):
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


# -- Poisson-binomial counting --------------------------------------------------------------------------------------


class _PoissonBinomial(torch.autograd.Function):
    """Eq. 5 by tilting and a short Fourier transform, with its analytic gradient."""

    @staticmethod
    def forward(ctx: Any, probabilities: Tensor, count: Tensor) -> Tensor:
        p = probabilities.detach().double().clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        count = count.to(p.device).double()
        nll, grad = torch.empty_like(count), torch.empty_like(p)
        none, every = count == 0, count == p.shape[1]
        some = ~(none | every)
        nll[none], grad[none] = -torch.log1p(-p[none]).sum(dim=1), 1 / (1 - p[none])
        nll[every], grad[every] = -p[every].log().sum(dim=1), -1 / p[every]
        if some.any():
            nll[some], grad[some] = _tilted_nll(p[some], count[some])
        ctx.save_for_backward(grad.to(probabilities))
        return nll.to(probabilities)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * grad_output[:, None], None


def _tilted_nll(p: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """-log P(count) and its gradient, for counts strictly between 0 and N; shapes (B, N), (B,) to (B,), (B, N)."""
    theta = _tilt(p, count)[:, None]
    odds_gain = torch.expm1(theta)
    lift = 1 + p * odds_gain  # 1 - p + p e^theta
    q = p * torch.exp(theta) / lift
    at_mean, slope_q = _probability_at_mean(q, count)
    nll = count * theta[:, 0] - lift.log().sum(dim=1) - at_mean.log()
    # d/dp at a fixed tilt is the whole derivative: the value does not depend on the tilt. dq/dp = e^theta / lift^2.
    gradient = -odds_gain / lift - slope_q / at_mean[:, None] * torch.exp(theta) / lift.square()
    return nll, gradient


def _tilt(p: Tensor, count: Tensor) -> Tensor:
    """Find theta (B,) such that the tilted probabilities sum to the count, by bisected Newton steps."""
    logits = torch.logit(p)
    middle = torch.logit(count / p.shape[1])
    low, high = middle - logits.max(dim=1).values, middle - logits.min(dim=1).values
    theta = torch.minimum(torch.maximum(torch.log(count / p.sum(dim=1)), low), high)
    for _ in range(60):
        q = torch.sigmoid(logits + theta[:, None])
        excess, slope = q.sum(dim=1) - count, (q * (1 - q)).sum(dim=1)
        # Any tilt is exact; one within a hundredth of a standard deviation is as good as the best.
        if (excess.abs() <= 0.01 * slope.sqrt() + 1e-9).all():
            break
        low, high = torch.where(excess < 0, theta, low), torch.where(excess > 0, theta, high)
        newton = theta - excess / slope
        theta = torch.where((newton > low) & (newton < high), newton, (low + high) / 2)
    return theta


def _probability_at_mean(q: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """P_q(count) where count is the mean, (B,), and its derivative by each q, (B, N), by an inverse Fourier sum."""
    length = _transform_length((q * (1 - q)).sum(dim=1).max().item(), q.shape[1])
    k = torch.arange(length // 2 + 1, device=q.device, dtype=q.dtype)
    angle = 2 * math.pi / length * k
    turn, sine = 1 - torch.cos(angle), torch.sin(angle)
    # One factor 1 - q + q e^{i angle} per point and frequency, as real and imaginary part; the product over points.
    characteristic = _product(torch.complex(1 - q[..., None] * turn, q[..., None] * sine))
    # Frequencies k and -k are conjugate, so that twice the real part is the sum of both; k = 0 has no partner.
    share = torch.full_like(k, 2.0 / length)
    share[0] = 1.0 / length
    term = characteristic * torch.polar(share.expand(len(q), -1), -count[:, None] * angle)  # (B, K)
    # d/dq_i divides the product by point i's factor f and multiplies by e^{i angle} - 1, here as real arithmetic:
    # Re[term (e^{i angle} - 1) conj(f)] / |f|^2, linear in q above and quadratic below.
    step = term * torch.complex(-turn, sine)
    constant, linear = step.real, -step.real * turn + step.imag * sine
    above = torch.addcmul(constant[:, None], q[..., None], linear[:, None])
    below = 1 - 2 * (q * (1 - q))[..., None] * turn
    return term.real.sum(dim=1), (above / below).sum(dim=2)


def _transform_length(variance: float, n_points: int) -> int:
    """Length of the transform: odd, so that no factor vanishes, and long enough by Bernstein's inequality.

    P(abs(X - mean) >= t) <= 2 exp(-t^2 / (2 variance + 2 t / 3)); solved for t with the exponent `NEGLIGIBLE_EXPONENT`.
    """
    e = NEGLIGIBLE_EXPONENT
    reach = e / 3 + math.sqrt(e**2 / 9 + 2 * e * variance)
    return min(2 * math.ceil(reach / 2) + 1, 2 * (n_points // 2) + 3)


def _product(factors: Tensor) -> Tensor:
    """Product over axis 1 of (B, N, K), by halves: as many multiplications, but all of them vectorised."""
    while factors.shape[1] > 1:
        half = factors.shape[1] // 2
        rest = factors[:, 2 * half :]
        factors = factors[:, :half] * factors[:, half : 2 * half]
        if rest.shape[1]:
            factors = torch.cat([factors, rest], dim=1)
    return factors[:, 0]
