"""Poisson-binomial counting (Eq. 5 of the paper), and the other sparsity terms of its Table 3.

Counting is a pure function of probabilities and true points; exact, and with its analytic gradient.

Shapes: B images; n points per pixel; D spatial dimensions (1, 2 or 3) with the pixel grid ``*grid``; d classes; M true
points, padded to the same number for every image with points of weight 0.

References
----------
.. [1] Schroeter, Tuytelaars, Sidorov, Marshall, "Learning Multi-Instance Sub-pixel Point Localization", ACCV 2020,
   doi:10.1007/978-3-030-69541-5_41.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

#: The aliasing of the discrete Fourier transform stays below exp(-NEGLIGIBLE_EXPONENT) of the tilted distribution.
NEGLIGIBLE_EXPONENT = 28.0
#: Probabilities are kept this far from 0 and 1 in counting, so that an impossible count costs much, not infinity.
PROBABILITY_MARGIN = 1e-12


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
SPARSITY_TERMS = {"counting": counting, "l1": l1, "none": no_sparsity}


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
