"""The likelihood of the true molecules, against versions written point by point."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from napari_subpixel.models.pixel_network import Predictions
from napari_subpixel.training.counting_windows import Windows
from napari_subpixel.training.likelihood import CLUTTER, background_error, likelihood

HEIGHT, WIDTH, N = 6, 7, 2


@pytest.fixture
def predicted(rng) -> Predictions:
    """Two images of 6 x 7 pixels with two points each."""
    shape = (2, N, 2, HEIGHT, WIDTH)
    return Predictions(
        torch.from_numpy(rng.uniform(-0.5, 0.5, shape)),
        torch.from_numpy(rng.normal(-1, 2, (2, N, 1, HEIGHT, WIDTH))),
        torch.from_numpy(rng.uniform(-3, -1, shape)),
        torch.from_numpy(np.stack([rng.normal(6, 0.5, shape)[:, :, 0], rng.uniform(-2, 0, shape)[:, :, 0]], axis=2)),
        torch.from_numpy(rng.uniform(5, 9, (2, HEIGHT, WIDTH))),
    )


TRUTH = torch.tensor(
    [[[0.2, 3.4], [4.9, 5.1], [2.45, 2.6]], [[5.3, -0.4], [0.0, 0.0], [0.0, 0.0]]], dtype=torch.float64
)
LIGHT = torch.tensor([[400.0, 300.0, 500.0], [250.0, 1.0, 1.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)[..., None]


def gaussian_log(value: float, mean: float, spread: float) -> float:
    return -0.5 * ((value - mean) / spread) ** 2 - math.log(spread) - 0.5 * math.log(2 * math.pi)


def over(predicted: Predictions, side_px: int, shift: tuple[int, int] = (0, 0)) -> Windows:
    return Windows((predicted.logits.shape[-2], predicted.logits.shape[-1]), side_px, shift)


def point_by_point(predicted: Predictions, image: int, window_px: int, shift: tuple[int, int]) -> tuple[float, float]:
    """Return both terms of one image, from the definitions."""
    p = predicted.probabilities[image, :, 0].numpy()
    cells = list(itertools.product(range(HEIGHT), range(WIDTH)))
    window = {c: tuple((c[a] + shift[a]) // window_px for a in (0, 1)) for c in cells}
    numbers, places = dict.fromkeys(window.values(), 0), 0.0
    for (y, x), light, weight in zip(TRUTH[image].tolist(), LIGHT[image].tolist(), WEIGHTS[image, :, 0], strict=True):
        if weight == 0:
            continue
        densities = {}
        for n, (r, c) in itertools.product(range(N), cells):
            if abs(r - math.floor(y + 0.5)) > 1 or abs(c - math.floor(x + 0.5)) > 1:
                continue
            offset, spread, glow = (t[image, n, :, r, c].tolist() for t in predicted[:1] + predicted[2:4])
            log_density = gaussian_log(y, r + offset[0], math.exp(spread[0])) + gaussian_log(
                x, c + offset[1], math.exp(spread[1])
            )
            densities[n, r, c] = p[n, r, c] * math.exp(
                log_density + gaussian_log(math.log(light), glow[0], math.exp(glow[1]))
            )
        _, r, c = max(densities, key=densities.__getitem__)
        numbers[window[r, c]] += 1
        sum_p = sum(p[:, k[0], k[1]].sum() for k in cells if window[k] == window[r, c])
        places -= math.log((sum(densities.values()) + CLUTTER) / sum_p)
    count_terms = 0.0
    for which, number in numbers.items():
        distribution = np.ones(1)
        for q in [q for k in cells if window[k] == which for q in p[:, k[0], k[1]]]:
            distribution = np.convolve(distribution, [1 - q, q])
        count_terms -= math.log(distribution[number])
    return places, count_terms


@pytest.mark.parametrize(("window_px", "shift"), [(4, (0, 0)), (4, (3, 1)), (3, (1, 2)), (8, (5, 7)), (12, (0, 11))])
def test_both_terms_are_those_of_the_definition(predicted, window_px, shift):
    found = likelihood(predicted, TRUTH, LIGHT, WEIGHTS, over(predicted, window_px, shift))
    for image in range(2):
        expected = point_by_point(predicted, image, window_px, shift)
        assert (found.places[image].item(), found.counts[image].item()) == pytest.approx(expected, rel=1e-6)


def test_gradients_are_those_of_the_values(predicted):
    parts = [t.clone().requires_grad_() for t in predicted[:4]]

    def both(*tensors):
        found = likelihood(Predictions(*tensors), TRUTH, LIGHT, WEIGHTS, over(predicted, 4, (1, 2)))
        return found.places + found.counts

    assert torch.autograd.gradcheck(both, parts, eps=1e-6, atol=1e-4)


def test_the_true_uncertainty_is_the_likeliest(rng):
    """A point that is off by 0.1 px on average does best to say so."""
    truth = torch.from_numpy(rng.normal(2, 0.1, (400, 1, 2)))
    totals = {}
    for spread in (0.05, 0.1, 0.2):
        fields = [torch.zeros(400, 1, k, 5, 5, dtype=torch.float64) for k in (2, 1, 2, 2)]
        fields[1] -= 20
        fields[1][:, 0, 0, 2, 2] = 5
        fields[2] += math.log(spread)
        found = likelihood(
            Predictions(*fields), truth, torch.ones(400, 1), torch.ones(400, 1, 1), over(Predictions(*fields), 8)
        )
        totals[spread] = found.places.mean().item()
    assert min(totals, key=totals.__getitem__) == 0.1


def test_images_without_molecules_cost_only_what_is_predicted(predicted):
    none = torch.zeros(2, 0, 2), torch.zeros(2, 0), torch.zeros(2, 0, 1)
    found = likelihood(predicted, *none, over(predicted, 4))
    assert found.places.tolist() == [0, 0]
    expected = -torch.log1p(-predicted.probabilities).flatten(1).sum(dim=1)
    assert found.counts.tolist() == pytest.approx(expected.tolist())


def test_the_background_is_measured_in_units_of_its_noise(predicted):
    frames = torch.zeros(2, 4, HEIGHT, WIDTH, dtype=torch.float64)
    assert background_error(predicted, frames, predicted.background).tolist() == [0, 0]
    off = background_error(predicted, frames, predicted.background * 0 + 99)
    assert off.tolist() == pytest.approx(torch.log1p((predicted.background - 99) ** 2 / 100).mean(dim=(1, 2)).tolist())
