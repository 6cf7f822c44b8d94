"""Counting in windows: every window's points and molecules, exactly once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_subpixel.training.counting import counting, poisson_binomial_nll
from napari_subpixel.training.counting_windows import Windows, counting_in_windows

SHAPE = (11, 17)


@pytest.fixture
def p(rng) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(0.01, 0.4, (2, 2, 1, *SHAPE)))


@pytest.mark.parametrize(("side", "shift"), [(4, (0, 0)), (4, (3, 1)), (5, (2, 4)), (20, (0, 0)), (1, (0, 0))])
def test_every_pixel_is_in_its_window_and_in_no_other(p, side, shift):
    windows = Windows(SHAPE, side, shift)
    pixels = torch.cartesian_prod(*(torch.arange(size) for size in SHAPE))
    number = windows.of(pixels)
    assert number.max() < math.prod(windows.shape)
    gathered = windows.gather(p[:, :, 0])
    expected = torch.zeros(2, math.prod(windows.shape), dtype=p.dtype)
    expected.index_add_(1, number, p[:, :, 0].sum(dim=1).flatten(1))
    torch.testing.assert_close(gathered.sum(dim=2), expected)


def test_one_window_over_all_counts_as_the_whole_patch(p, rng):
    truth = torch.from_numpy(rng.uniform(-0.4, 10.4, (2, 9, 2)))
    weights = torch.ones(2, 9, 1, dtype=p.dtype)
    weights[1, 5:] = 0
    found = counting_in_windows(p, truth, weights, Windows(SHAPE, 17))
    torch.testing.assert_close(found, counting(p, weights))


def test_windows_say_where_a_molecule_is_missing(p):
    truth = torch.tensor([[[2.0, 3.0], [2.2, 12.0]], [[-3.0, 3.0], [2.2, 40.0]]], dtype=p.dtype)
    weights = torch.ones(2, 2, 1, dtype=p.dtype)
    found = counting_in_windows(p, truth, weights, Windows(SHAPE, 9, (0, 0)))
    for image in range(2):
        each = 0.0
        for rows, columns, n in ((slice(0, 9), slice(0, 9), 1), (slice(0, 9), slice(9, 17), 1)):
            each += poisson_binomial_nll(p[image, :, 0, rows, columns].reshape(1, -1), torch.tensor([n]))
        for rows, columns in ((slice(9, 11), slice(0, 9)), (slice(9, 11), slice(9, 17))):
            each += poisson_binomial_nll(p[image, :, 0, rows, columns].reshape(1, -1), torch.tensor([0]))
        assert float(found[image]) == pytest.approx(float(each), rel=1e-9)


def test_classes_are_counted_apart(p):
    both = torch.cat([p, p.flip(-1)], dim=2)
    truth = torch.from_numpy(np.array([[[1.0, 1.0], [8.0, 9.0]]] * 2))
    weights = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]] * 2, dtype=p.dtype)
    windows = Windows(SHAPE, 6, (1, 5))
    apart = [counting_in_windows(both[:, :, k : k + 1], truth, weights[..., k : k + 1], windows) for k in range(2)]
    torch.testing.assert_close(counting_in_windows(both, truth, weights, windows), apart[0] + apart[1])
