"""The losses against slow, obvious versions written from the paper's equations."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate

from napari_subpixel.training.losses import SPARSITY, counting, heatmap_matching, l1, poisson_binomial_nll

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


# -- counting -------------------------------------------------------------------------------------------------------


def recursion(probabilities: list[float], count: int) -> mpmath.mpf:
    """-log P(count) by adding one point after another, in high precision."""
    with mpmath.workdps(60):
        distribution = [mpmath.mpf(1)]
        for p in map(mpmath.mpf, probabilities):
            more = [mpmath.mpf(0), *(p * d for d in distribution)]
            distribution = [a + b for a, b in zip([(1 - p) * d for d in distribution] + [0], more, strict=True)]
        return -mpmath.log(distribution[count])


@pytest.mark.parametrize(
    ("n", "count", "level"),
    [(1, 0, 0), (1, 1, 0), (2, 1, 0), (7, 3, 0), (60, 20, -1), (60, 59, -1), (200, 2, -6), (200, 120, -6), (300, 5, 2)],
)
def test_counting_equals_the_recursion_in_high_precision(n, count, level):
    """Also where the count is hundreds of standard deviations away and its probability underflows any float."""
    logits = np.random.default_rng(n + count).normal(level, 1.5, n)
    p = torch.sigmoid(torch.tensor(logits, dtype=torch.float64))
    exact = float(recursion(p.tolist(), count))
    assert poisson_binomial_nll(p[None], torch.tensor([count])).item() == pytest.approx(exact, abs=1e-6, rel=1e-9)


@pytest.mark.parametrize(("n", "count", "level"), [(5, 2, 0), (40, 13, -1), (40, 35, -4), (40, 0, -1), (40, 40, 1)])
def test_gradient_of_counting_equals_that_of_the_recursion(n, count, level):
    logits = np.random.default_rng(n).normal(level, 1.0, n)
    p = torch.sigmoid(torch.tensor(logits, dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(poisson_binomial_nll(p[None], torch.tensor([count])).sum(), p)
    values, step = p.tolist(), mpmath.mpf(10) ** -25
    for i in range(0, n, max(1, n // 7)):
        with mpmath.workdps(60):
            above, below = ([*values[:i], values[i] + s, *values[i + 1 :]] for s in (step, -step))
            slope = (recursion(above, count) - recursion(below, count)) / (2 * step)
        assert gradient[i].item() == pytest.approx(float(slope), rel=1e-6, abs=1e-6)


def test_counting_passes_gradcheck():
    p = (torch.rand(3, 12, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: poisson_binomial_nll(q, torch.tensor([0, 5, 12])), (p,))


def test_all_counts_of_an_image_are_certain_together():
    p = torch.sigmoid(torch.randn(1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))
    every = poisson_binomial_nll(p.expand(51, -1), torch.arange(51))
    assert torch.exp(-every).sum().item() == pytest.approx(1, abs=1e-9)


def test_thousands_of_points_stay_finite_with_finite_gradients():
    p = torch.full((2, 8192), 0.047, requires_grad=True)
    loss = poisson_binomial_nll(p, torch.tensor([3, 4000]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(p.grad).all()


def test_points_that_are_certain_stay_finite():
    p = torch.tensor([[1.0, 1.0, 0.0, 0.5]], requires_grad=True)
    loss = poisson_binomial_nll(p, torch.tensor([1]))
    loss.sum().backward()
    assert 20 < loss.item() < 40
    assert torch.isfinite(p.grad).all()


def test_one_certain_point_costs_nothing_and_two_of_one_half_cost_ln_2():
    """The example of section 3.3, whose text gives ln 2 in base 10."""
    certain = poisson_binomial_nll(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    halves = poisson_binomial_nll(torch.tensor([[0.5, 0.5]]), torch.tensor([1]))
    assert certain.item() == pytest.approx(0, abs=1e-6)
    assert halves.item() == pytest.approx(math.log(2), abs=1e-6)
    assert halves.item() / math.log(10) == pytest.approx(0.3, abs=0.002)


def two_points(p1: float, p2: float, weight: float) -> tuple[float, float]:
    """Gradients by the probabilities of two points that both lie on the one true point (Fig. 2)."""
    offsets = torch.zeros(1, 2, 2, 1, 1, dtype=torch.float64)
    p = torch.tensor([p1, p2], dtype=torch.float64).reshape(1, 2, 1, 1, 1).requires_grad_()
    truth, weights = torch.zeros(1, 1, 2), torch.ones(1, 1, 1)
    loss = heatmap_matching(offsets, p, truth, weights) + weight * counting(p, weights)
    (gradient,) = torch.autograd.grad(loss.sum(), p)
    return tuple(gradient.flatten().tolist())


@pytest.mark.parametrize(("p1", "p2"), [(0.7, 0.3), (0.55, 0.45), (0.95, 0.05)])
def test_counting_parts_two_points_that_share_one_molecule(p1, p2):
    """Fig. 2: without counting nothing moves along p1 + p2 = 1; with it the likelier point grows, the other fades."""
    assert two_points(p1, p2, 0.0) == pytest.approx((0, 0), abs=1e-12)
    first, second = two_points(p1, p2, 0.1)
    assert first < 0 < second
    assert two_points(p2, p1, 0.1) == pytest.approx((second, first))


def test_both_points_grow_where_both_are_faint_and_fade_where_both_are_sure():
    assert max(two_points(0.1, 0.1, 0.1)) < 0
    assert min(two_points(0.9, 0.9, 0.1)) > 0


def test_classes_are_counted_apart():
    p = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64).reshape(1, 3, 2, 1, 1)
    one_each = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    both_first = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert counting(p, one_each).item() == pytest.approx(0, abs=1e-9)
    assert counting(p, both_first).item() > 40


@pytest.mark.parametrize("count", [-1, 4])
def test_impossible_counts_are_refused(count):
    with pytest.raises(ValueError, match="between 0 and 3"):
        poisson_binomial_nll(torch.full((1, 3), 0.5), torch.tensor([count]))


def test_counts_that_do_not_fit_the_images_are_refused():
    with pytest.raises(ValueError, match=r"expected probabilities \(B, N\)"):
        poisson_binomial_nll(torch.full((2, 3), 0.5), torch.tensor([1]))


def test_the_sparsity_terms_of_table_3_are_there_by_name():
    _, p, _, weights = scene(2)
    assert set(SPARSITY) == {"none", "l1", "counting"}
    assert SPARSITY["none"](p, weights).tolist() == [0, 0]
    torch.testing.assert_close(l1(p), p.flatten(1).sum(1))
