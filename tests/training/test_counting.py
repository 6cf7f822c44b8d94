"""Counting and the other sparsity terms, against a slow, obvious version written from the paper's equation."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch

from napari_subpixel.training.counting import SPARSITY_TERMS, counting, l1, poisson_binomial_nll
from napari_subpixel.training.heatmap_matching import heatmap_matching


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
    p, weights = torch.rand((2, 2, 1, 5, 7), dtype=torch.float64), torch.ones(2, 9, 1, dtype=torch.float64)
    assert set(SPARSITY_TERMS) == {"none", "l1", "counting"}
    assert SPARSITY_TERMS["none"](p, weights).tolist() == [0, 0]
    torch.testing.assert_close(l1(p), p.flatten(1).sum(1))
