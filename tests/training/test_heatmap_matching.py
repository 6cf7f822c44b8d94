"""Heatmap matching against a slow, obvious version written from the paper's equations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate

from napari_subpixel.training.counting import counting
from napari_subpixel.training.heatmap_matching import heatmap_matching

GRIDS = {1: (9,), 2: (5, 7), 3: (2, 3, 4)}


def scene(dims: int, *, n: int = 2, classes: int = 1, truths: int = 9, seed: int = 0, spread: float = 2.0):
    """Random predictions on a small grid, and true points on it and up to `spread` pixels beside it."""
    rng = torch.Generator().manual_seed(seed)
    grid = GRIDS[dims]
    offsets = torch.rand(2, n, dims, *grid, dtype=torch.float64, generator=rng) - 0.5
    p = torch.rand(2, n, classes, *grid, dtype=torch.float64, generator=rng)
    size = torch.tensor(grid, dtype=torch.float64)
    truth = torch.rand(2, truths, dims, dtype=torch.float64, generator=rng) * (size + 2 * spread) - spread
    label = torch.randint(0, classes, (2, truths), generator=rng)
    weights = torch.nn.functional.one_hot(label, classes).double()
    weights[1, truths // 2 :] = 0
    return offsets.requires_grad_(), p.requires_grad_(), truth, weights


def full_double_sum(offsets, p, truth, weights, kernel_px):
    """Eq. 4 with every pair of points, one image and one class at a time."""
    dims, grid = offsets.shape[2], offsets.shape[3:]
    centres = torch.stack(torch.meshgrid(*[torch.arange(s) for s in grid], indexing="ij"))
    positions = (offsets + centres).movedim(2, -1).flatten(1, -2)
    losses = []
    for r, q, t, w in zip(positions, p.movedim(2, -1).flatten(1, -2), truth, weights, strict=True):
        loss = 0
        for c in range(p.shape[2]):
            for sign, (a, u), (b, v) in [(1, (t, w), (t, w)), (1, (r, q), (r, q)), (-2, (r, q), (t, w))]:
                kernel = torch.exp(
                    -(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / (2 * kernel_px**2)
                )
                loss = loss + sign * (u[:, c] @ kernel @ v[:, c])
        losses.append((math.pi * kernel_px**2 / 2) ** (dims / 2) * loss)
    return torch.stack(losses)


@pytest.mark.parametrize("kernel_px", [0.05, 0.2, 0.45, 1.3, 6.0])
@pytest.mark.parametrize(("dims", "classes"), [(1, 1), (2, 1), (2, 3), (3, 1)])
def test_local_sums_equal_the_full_double_sum_in_value_and_gradient(dims, classes, kernel_px):
    offsets, p, truth, weights = scene(dims, classes=classes)
    each = torch.tensor([1.0, -2.5], dtype=torch.float64)
    local = heatmap_matching(offsets, p, truth, weights, kernel_px=kernel_px)
    full = full_double_sum(offsets, p, truth, weights, kernel_px)
    torch.testing.assert_close(local, full, atol=1e-6, rtol=0)
    for mine, theirs in zip(
        torch.autograd.grad(local @ each, (offsets, p)), torch.autograd.grad(full @ each, (offsets, p)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kernel_px", [0.2, 0.6])
def test_closed_form_equals_numerical_integration_of_equation_3_in_one_dimension(kernel_px):
    offsets, p, truth, weights = (t.detach()[:1] for t in scene(1, n=1, truths=4, spread=0.8))
    positions = (offsets[0, 0, 0] + torch.arange(9)).numpy()

    def difference(x: float) -> float:
        label = np.exp(-((truth[0, :, 0].numpy() - x) ** 2) / kernel_px**2) @ weights[0, :, 0].numpy()
        predicted = np.exp(-((positions - x) ** 2) / kernel_px**2) @ p[0, 0, 0].numpy()
        return (label - predicted) ** 2

    points = np.linspace(-6, 15, 400)
    integral = sum(integrate.quad(difference, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(points))
    assert heatmap_matching(offsets, p, truth, weights, kernel_px=kernel_px).item() == pytest.approx(integral, abs=1e-6)


def test_closed_form_equals_numerical_integration_of_equation_3_in_two_dimensions():
    offsets, p, truth, weights = (t.detach()[:1] for t in scene(2, n=1, truths=5, spread=0.5))
    kernel_px, step = 0.5, 0.02
    y, x = (np.arange(-4, size + 4, step) for size in GRIDS[2])
    difference = np.zeros((len(y), len(x)))
    centres = np.stack(np.meshgrid(*map(np.arange, GRIDS[2]), indexing="ij"))
    found = (offsets[0, 0].numpy() + centres).reshape(2, -1).T
    signed = [(t, w) for t, w in zip(truth[0].numpy(), weights[0, :, 0].numpy(), strict=True)]
    signed += [(r, -q) for r, q in zip(found, p[0, 0, 0].numpy().ravel(), strict=True)]
    for (y0, x0), weight in signed:
        difference += weight * np.outer(*(np.exp(-((a - c) ** 2) / kernel_px**2) for a, c in ((y, y0), (x, x0))))
    # The trapezoidal rule converges faster than any power of the step for such a function.
    integral = (difference**2).sum() * step**2
    assert heatmap_matching(offsets, p, truth, weights, kernel_px=kernel_px).item() == pytest.approx(integral, abs=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_heatmap_matching_passes_gradcheck(dims):
    offsets, p, truth, weights = scene(dims, n=1, truths=3)
    offsets = (offsets.detach() * 0.9).requires_grad_()  # room for the finite differences within half a pixel
    assert torch.autograd.gradcheck(
        lambda o, q: heatmap_matching(o, q, truth, weights, kernel_px=0.4), (offsets, p), atol=1e-6
    )


def test_matching_perfect_points_costs_nothing_and_missing_one_costs_its_energy():
    offsets = torch.full((1, 1, 2, 4, 6), 0.25, dtype=torch.float64)
    p = torch.zeros(1, 1, 1, 4, 6, dtype=torch.float64)
    p[0, 0, 0, 2, 3] = 1
    truth, weights = torch.tensor([[[2.25, 3.25]]]), torch.ones(1, 1, 1)
    assert heatmap_matching(offsets, p, truth, weights).item() == pytest.approx(0, abs=1e-12)
    missed = heatmap_matching(offsets, torch.zeros_like(p), truth, weights).item()
    assert missed == pytest.approx(math.pi * 0.2**2 / 2)


def test_no_true_points_at_all_leaves_the_energy_of_the_predictions():
    offsets, p, truth, weights = scene(2)
    none = heatmap_matching(offsets, p, truth[:, :0], weights[:, :0])
    torch.testing.assert_close(none, full_double_sum(offsets, p, truth[:, :0], weights[:, :0], 0.2))


def test_many_true_points_are_compared_in_blocks():
    truth = torch.rand(1, 2500, 2, dtype=torch.float64) * 40
    nothing = torch.zeros(1, 1, 2, 3, 3, dtype=torch.float64), torch.zeros(1, 1, 1, 3, 3, dtype=torch.float64)
    weights = torch.ones(1, 2500, 1, dtype=torch.float64)
    assert heatmap_matching(*nothing, truth, weights).item() == pytest.approx(
        full_double_sum(*nothing, truth, weights, 0.2).item()
    )


def test_loss_follows_the_type_of_its_input():
    offsets, p, truth, weights = scene(2)
    loss = heatmap_matching(offsets.float(), p.float(), truth, weights)
    assert loss.dtype == torch.float32
    assert counting(p.float(), weights).dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o, p, t, w: (o * 1.2 + 0.3, p, t, w), "within half a pixel"),
        (lambda o, p, t, w: (o[:, :, :1], p, t, w), "1 to 3 dimensions"),
        (lambda o, p, t, w: (o, p[:, :1], t, w), "do not fit"),
        (lambda o, p, t, w: (o, p, t[:, :, :1], w), "expected truth"),
        (lambda o, p, t, w: (o, p, t, w[:, :2]), "expected weights"),
    ],
)
def test_shapes_and_offsets_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        heatmap_matching(*change(*scene(2)))


def test_a_kernel_without_width_is_refused():
    with pytest.raises(ValueError, match="wider than 0 px, got 0"):
        heatmap_matching(*scene(2), kernel_px=0)
