"""Networks that predict heatmaps give points as the others do, whatever the grid and the tiles."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from napari_subpixel.detection.tiling import crops_of_tiles
from napari_subpixel.models.heatmap_codecs import encode
from napari_subpixel.models.heatmap_networks import (
    MIN_PEAK_VALUE,
    NO_POINT,
    POINTS_PER_PIXEL,
    DeepStorm,
    HeatmapNetwork,
)

DECODERS = (
    "argmax", "standard", "taylor", "dark", "centre of mass", "activation points", "Gaussian fit", "expectation",
)  # fmt: skip


def points(predictions) -> list[list[float]]:
    """Image, y, x, probability of every point."""
    b, n, _, y, x = torch.nonzero(predictions.logits > NO_POINT / 2, as_tuple=True)
    offsets = predictions.offsets[b, n, :, y, x]
    p = torch.sigmoid(predictions.logits[b, n, 0, y, x])
    return sorted(torch.column_stack([b, y + offsets[:, 0], x + offsets[:, 1], p]).tolist())


class Fixed(HeatmapNetwork):
    """Predicts the heatmap that it is given."""

    def heatmap(self, frames):
        return frames[:, 0]


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_maximum_is_a_point_of_its_pixel(decoder):
    truth = torch.tensor([[[4.2, 6.3], [12.0, 15.9]], [[8.4, 3.4], [8.4, 3.4]]])
    weights = torch.tensor([[[1.0], [1.0]], [[1.0], [0.0]]])
    heatmap = encode(truth, weights, (17, 20), width_px=1.0)
    network = Fixed(decoder=decoder, reach_px=4).eval()
    if network.of_logits:
        heatmap = torch.log(heatmap.clamp(min=1e-12))
    found = points(network(heatmap[:, None]))
    within = {"argmax": 0.5, "standard": 0.4, "activation points": 0.2}.get(decoder, 0.02)
    assert len(found) == 3
    for (image, y, x, p), (true_image, true_y, true_x) in zip(
        found, [(0, 4.2, 6.3), (0, 12.0, 15.9), (1, 8.4, 3.4)], strict=True
    ):
        assert image == true_image
        assert [y, x] == pytest.approx([true_y, true_x], abs=within + 1e-3)
        assert p > (0.4 if network.of_logits else 0.7)


def test_an_upsampled_pixel_is_a_part_of_its_pixel_and_the_highest_stay():
    class Spikes(DeepStorm):
        def heatmap(self, frames):
            raw = torch.zeros(len(frames), 8 * frames.shape[2], 8 * frames.shape[3])
            raw[0, 8 * 3 + 1, 8 * 5 + 6] = 90.0
            raw[0, 8 * 3 + 6, 8 * 5 + 1] = 50.0
            for k in range(6):  # more than a pixel holds
                raw[1, 8 * 2 + 2 * (k // 3), 8 * 2 + 2 * (k % 3)] = 10.0 * (k + 1)
            return raw

    found = points(Spikes()(torch.zeros(2, 1, 7, 9)))
    assert found[0] == pytest.approx([0, 3 + 1.5 / 8 - 0.5, 5 + 6.5 / 8 - 0.5, 0.9])
    assert found[1] == pytest.approx([0, 3 + 6.5 / 8 - 0.5, 5 + 1.5 / 8 - 0.5, 0.5])
    assert sorted(round(row[3], 2) for row in found[2:]) == [0.3, 0.4, 0.5, 0.6]
    assert len(found) == 2 + POINTS_PER_PIXEL


@pytest.mark.parametrize("make", [partial(HeatmapNetwork, width=4), partial(DeepStorm, upsampling=4)])
def test_what_lies_beyond_the_reach_does_not_change_a_point(make, rng):
    torch.manual_seed(1)
    network = make().eval()
    frames = torch.from_numpy(rng.random((1, 1, 90, 48))).float()
    if isinstance(network, DeepStorm):
        network.full_value = 0.05
        network.head.weight.data.abs_()
    else:
        network.head.bias.data.fill_(0.5)
    reach = network.reach_px
    with torch.no_grad():
        whole = network(frames).logits[..., :20, :]
        part = network(frames[:, :, : 20 + reach]).logits[..., :20, :]
    assert (whole > NO_POINT).any()
    torch.testing.assert_close(whole, part, atol=1e-4, rtol=0)


def test_frames_that_a_network_upsamples_pass_through_it_in_smaller_tiles_one_at_a_time():
    frames = np.zeros((3, 1, 150, 64), np.float32)
    crops = list(
        crops_of_tiles(frames, np.arange(3), ((0, 150), (0, 64)), tile_px=256, reach_px=4, grid_px=1, upsampling=8)
    )
    assert {crop.pixels.shape for crop in crops} == {(1, 1, 54, 64), (1, 1, 58, 64)}
    assert len(crops) == 9


def test_a_dark_heatmap_has_no_point():
    predictions = Fixed()(torch.full((2, 1, 6, 7), MIN_PEAK_VALUE / 2))
    assert (predictions.logits == NO_POINT).all()
    assert predictions.offsets.shape == (2, 1, 2, 6, 7)


def test_a_misspelt_decoder_is_refused():
    with pytest.raises(ValueError, match="no decoder 'drak'"):
        HeatmapNetwork(decoder="drak")
