"""Heatmaps: what is drawn is read off again, and the quantised ways err as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_subpixel.models.heatmap_codecs import (
    DECODERS,
    ENCODERS,
    activation_points,
    argmax,
    centre_of_mass,
    dark,
    decode,
    encode,
    expectation,
    gaussian_fit,
    peaks,
    quantised,
    randomised,
    standard,
    taylor,
)

SHAPE, WIDTH, REACH = (21, 23), 1.0, 6


def single(yx, *, encoder: str = "unbiased", width_px: float = WIDTH, seed: int = 0) -> torch.Tensor:
    """Heatmaps of one point each, (K, 2) to (K, *SHAPE)."""
    truth = torch.as_tensor(yx)[:, None]
    generator = torch.Generator().manual_seed(seed)
    return encode(truth, torch.ones(len(truth), 1, 1), SHAPE, width_px=width_px, encoder=encoder, generator=generator)


def read(heatmaps, decoder, *, reach_px: int = REACH) -> np.ndarray:
    """The one point of each heatmap, (K, 2)."""
    rows = decode(heatmaps, decoder, threshold=0.3, reach_px=reach_px)
    assert rows[:, 0].tolist() == list(range(len(heatmaps)))
    return rows[:, 1:3].numpy()


@pytest.fixture
def anywhere(rng) -> np.ndarray:
    return rng.uniform([8, 8], [13, 15], (400, 2))


@pytest.mark.parametrize("decoder", [taylor, gaussian_fit, centre_of_mass, dark(0.7)])
def test_unbiased_encoding_is_read_to_a_thousandth_of_a_pixel(anywhere, decoder):
    assert np.abs(read(single(anywhere), decoder) - anywhere).max() < 1.2e-3


def test_the_expectation_under_the_softmax_reads_a_gaussian_of_logits(anywhere):
    logits = torch.log(single(anywhere).clamp(min=1e-30))
    rows = decode(logits, expectation, threshold=-2.0, reach_px=REACH)
    assert np.abs(rows[:, 1:3].numpy() - anywhere).max() < 1e-3


@pytest.mark.parametrize("decoder", [argmax, taylor, gaussian_fit, centre_of_mass])
def test_quantised_encoding_errs_evenly_over_a_pixel(anywhere, decoder):
    error = read(single(anywhere, encoder="quantised"), decoder) - anywhere
    assert np.abs(error).max() < 0.501
    assert error.std() == pytest.approx(1 / math.sqrt(12), rel=0.08)
    assert np.quantile(error, [0.25, 0.75]) == pytest.approx([-0.25, 0.25], abs=0.05)


def test_a_quarter_pixel_halves_the_error_along_the_nearer_neighbour(anywhere):
    error = np.abs(read(single(anywhere), standard) - anywhere)
    fraction = np.abs(anywhere - np.round(anywhere))
    farther = fraction.argmax(axis=1)
    moved, stayed = (error[np.arange(len(error)), axis] for axis in (farther, 1 - farther))
    assert moved == pytest.approx(np.abs(fraction.max(axis=1) - 0.25), abs=1e-6)
    assert stayed == pytest.approx(fraction.min(axis=1), abs=1e-6)


def test_randomised_rounding_is_unbiased_over_many_draws():
    where = torch.tensor([[[3.25, 7.9]]], dtype=torch.float64).expand(1, 200_000, 2)
    drawn = randomised(where, torch.Generator().manual_seed(1))
    assert set(drawn[..., 0].unique().tolist()) == {3.0, 4.0}
    assert drawn.mean(dim=1)[0].tolist() == pytest.approx([3.25, 7.9], abs=0.004)


def test_randomised_rounding_and_activation_points_are_lossless_in_expectation(anywhere):
    """What a network that minimises the squared error learns is the mean of the drawn heatmaps."""
    for where in anywhere[:20]:
        draws = single(np.repeat(where[None], 4000, 0), encoder="randomised", width_px=0)
        mean = draws.mean(dim=0, keepdim=True)
        found = decode(mean, lambda w: activation_points(w, number=4), threshold=0.2, reach_px=1)
        best = found[found[:, 3].argmax(), 1:3].numpy()
        assert np.abs(best - where).max() < 0.03


def test_the_low_pass_filter_steadies_taylors_expansion(anywhere, rng):
    heatmaps = single(anywhere)
    noisy = heatmaps + 0.05 * torch.from_numpy(rng.normal(size=heatmaps.shape))
    errors = []
    for decoder in (taylor, dark(WIDTH)):
        rows = decode(noisy, decoder, threshold=0.7, reach_px=REACH).numpy()
        errors.append(np.median(np.linalg.norm(rows[:, 1:3] - anywhere[rows[:, 0].astype(int)], axis=1)))
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_bears_windows_that_are_no_peak(name, rng):
    windows = torch.from_numpy(rng.normal(size=(50, 7, 7)))
    windows[:5], windows[5] = 0.0, 1.0
    offsets = DECODERS[name](windows)
    assert offsets.shape == (50, 2)
    assert torch.isfinite(offsets).all()
    assert offsets.abs().max() <= 3
    assert DECODERS[name](windows[:0]).shape == (0, 2)


def test_of_overlapping_points_the_higher_counts_and_padding_draws_nothing():
    truth = torch.tensor([[[5.0, 5.0], [5.0, 8.0], [0.0, 0.0]]])
    weights = torch.tensor([[[1.0], [1.0], [0.0]]])
    heatmap = encode(truth, weights, SHAPE, width_px=1.5)
    assert heatmap.max() == 1
    assert heatmap[0, 0, 0] < 1e-4
    assert heatmap[0, 5, 6] == pytest.approx(math.exp(-0.5 / 1.5**2))
    assert encode(truth[:, :0], weights[:, :0], SHAPE, width_px=1.5).abs().max() == 0


def test_maxima_are_found_at_borders_and_once_on_a_plateau():
    heatmap = torch.zeros(2, 6, 7)
    heatmap[0, 0, 0], heatmap[1, 3:5, 3:5] = 0.9, 0.5
    found = peaks(heatmap, 0.3, 2)
    assert found.image.tolist() == [0, 1]
    assert found.pixel.tolist() == [[0, 0], [3, 3]]
    assert found.windows.shape == (2, 5, 5)
    assert found.windows[0, 2, 2] == found.value[0]
    assert found.windows[0, :2].abs().max() == 0


def test_rounding_is_to_the_pixel_that_holds_the_point():
    assert quantised(torch.tensor([[[1.49, 1.51], [-0.4, 2.5]]])).tolist() == [[[1, 2], [0, 3]]]
    assert set(ENCODERS) == {"quantised", "unbiased", "randomised"}
