"""Networks that predict discrete heatmaps, on the grid of pixels or an upsampled one, and the points read off them.

The paper's networks are compared with them. They give the same `Predictions` as those: each maximum of the heatmap is a
point of the pixel that it lies in, so that detector, cards and scores need not know of heatmaps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.models import heatmap_codecs
from napari_subpixel.models.pixel_network import Predictions, StandardisedNetwork, paper_body

#: Logit where there is no point.
NO_POINT = -30.0
#: How near to 0 and 1 a maximum's value may come as a probability.
PROBABILITY_MARGIN = 1e-6
#: Maxima below this are ignored, whatever the threshold of a detector.
MIN_PEAK_VALUE = 0.01
#: The same for heatmaps of logits.
MIN_PEAK_LOGIT = math.log(MIN_PEAK_VALUE / (1 - MIN_PEAK_VALUE))
#: Maxima of an upsampled heatmap that one pixel of the frame can hold.
POINTS_PER_PIXEL = 4
#: Channels of Deep-STORM, from its input to its narrowest layer.
DEEP_STORM_CHANNELS = (32, 64, 128, 512)


class HeatmapPredictor(StandardisedNetwork):
    """The common part of the networks that predict heatmaps."""

    n_classes = 1
    n_points = 1
    #: Value of a perfect prediction at a molecule.
    full_value = 1.0
    #: How the heatmaps that it learns from are drawn.
    encoder = "quantised"
    #: Standard deviation of their Gaussians, in pixels of their own grid.
    width_px = 1.0

    def heatmap(self, frames: Tensor) -> Tensor:
        """Predict the raw heatmap of scaled frames, (B, 1, H, W) to (B, u H, u W), u the upsampling."""
        raise NotImplementedError

    def points(self, raw: Tensor) -> Tensor:
        """Read image, y, x on the heatmap's grid, and probability off a raw heatmap; (B, u H, u W) to (K, 4)."""
        raise NotImplementedError

    def numbers(self, frames: Tensor) -> Tensor:
        """Return offset (y, x) and logit of each pixel's maxima in the heatmap, (B, 1, H, W) to (B, 3 n, H, W).

        Pixels that hold no maximum have a logit of a probability of practically 0.
        """
        rows = self.points(self.heatmap(frames).float())
        return _by_pixel(rows, frames, self.upsampling, self.n_points)

    def logits(self, numbers: Tensor) -> Tensor:
        """Return the logits among the numbers, (B, 3 n, H, W) to (B, n, 1, H, W)."""
        return numbers.unflatten(1, (self.n_points, 3))[:, :, 2:]

    def predictions(self, numbers: Tensor, frames: Tensor) -> Predictions:
        """Split the numbers of pixels into offsets and logits."""
        return Predictions(numbers.unflatten(1, (self.n_points, 3))[:, :, :2], self.logits(numbers))


class HeatmapNetwork(HeatmapPredictor):
    """The paper's network with one number for each pixel in place of points: a heatmap, decoded to parts of a pixel.

    Parameters
    ----------
    encoder : str
        How the heatmaps that it learns from are drawn: one of `napari_subpixel.models.heatmap_codecs.ENCODERS`.
    decoder : str
        How points are read off: one of `napari_subpixel.models.heatmap_codecs.DECODERS`, or ``dark``, which is
        ``taylor`` behind a low-pass filter. ``expectation`` makes it a DSNT: its heatmap is one of logits.
    width_px : float
        Standard deviation of the drawn Gaussians.
    reach_px : int
        How far round a maximum the decoder reads.
    width : int
        Channels of the hidden layers.
    """

    grid_px = 1

    def __init__(
        self,
        encoder: str = "unbiased",
        decoder: str = "dark",
        width_px: float = 1.0,
        reach_px: int = 3,
        width: int = 32,
    ) -> None:
        super().__init__()
        if encoder not in heatmap_codecs.ENCODERS or decoder not in (*heatmap_codecs.DECODERS, "dark"):
            raise ValueError(f"no encoder {encoder!r} or no decoder {decoder!r}")
        self.encoder, self.decoder, self.width_px, self.window_px, self.width = (
            encoder,
            decoder,
            width_px,
            reach_px,
            width,
        )
        self.body, reach = paper_body(width)
        self.head = nn.Conv2d(width, 1, 3, padding=1)
        self.reach_px = reach + 1 + reach_px

    @property
    def config(self) -> dict[str, Any]:
        """Kind and arguments, from which `napari_subpixel.models` builds this network again."""
        return {
            "kind": "heatmap", "encoder": self.encoder, "decoder": self.decoder, "width_px": self.width_px,
            "reach_px": self.window_px, "width": self.width,
        }  # fmt: skip

    @property
    def of_logits(self) -> bool:
        """Whether the heatmap is one of logits."""
        return self.decoder == "expectation"

    def heatmap(self, frames: Tensor) -> Tensor:
        """Predict the raw heatmap of scaled frames, (B, 1, H, W) to (B, H, W)."""
        out: Tensor = self.head(self.body(self.standardised(frames)))
        return out[:, 0]

    def points(self, raw: Tensor) -> Tensor:
        """Read image, y, x and probability off a raw heatmap."""
        threshold, beyond = (MIN_PEAK_LOGIT, NO_POINT) if self.of_logits else (MIN_PEAK_VALUE, 0.0)
        rows = heatmap_codecs.decode(raw, self._decoder(), threshold=threshold, reach_px=self.window_px, beyond=beyond)
        if self.of_logits:
            rows[:, 3] = torch.sigmoid(rows[:, 3])
        return rows

    def _decoder(self) -> Callable[[Tensor], Tensor]:
        if self.decoder == "dark":
            return heatmap_codecs.dark(self.width_px)
        if self.decoder == "activation points" and self.width_px == 0:
            return partial(heatmap_codecs.activation_points, number=4)
        return heatmap_codecs.DECODERS[self.decoder]


class DeepStorm(HeatmapPredictor):
    """Deep-STORM [1]_: the frame upsampled 8-fold, an encoder and a decoder of convolutions, an image of spikes out.

    Every convolution is 3x3 with batch normalisation and ReLU; the encoder pools three times, the decoder repeats
    pixels three times; the last layer is a 1x1 convolution.

    Parameters
    ----------
    upsampling : int
        Pixels of the image per pixel of the frame, along an axis.
    full_value : float
        Height of a molecule's spike in the image that it learns from: 100 in [1]_; 1 for heatmaps (the paper's
        UPSAMPLING row).

    References
    ----------
    .. [1] Nehme, Weiss, Michaeli, Shechtman, "Deep-STORM: super-resolution single-molecule microscopy by deep
       learning", Optica 5, 458 (2018), doi:10.1364/OPTICA.5.000458.
    """

    n_points = POINTS_PER_PIXEL
    #: The frame is upsampled by as much as the network pools, so that tiles may start anywhere.
    grid_px = 1

    def __init__(self, upsampling: int = 8, full_value: float = 100.0) -> None:
        super().__init__()
        self.upsampling, self.full_value = upsampling, full_value
        down = [_layer(i, o) for i, o in zip((1, *DEEP_STORM_CHANNELS), DEEP_STORM_CHANNELS, strict=False)]
        up = DEEP_STORM_CHANNELS[::-1]
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(_layer(i, o) for i, o in itertools.pairwise(up))
        self.head = nn.Conv2d(up[-1], 1, 1, bias=False)

    @property
    def config(self) -> dict[str, Any]:
        """Kind and arguments, from which `napari_subpixel.models` builds this network again."""
        return {"kind": "deep-storm", "upsampling": self.upsampling, "full_value": self.full_value}

    @property
    def reach_px(self) -> int:
        """How far from a pixel the input can change its output, in pixels of the frame."""
        steps = range(len(DEEP_STORM_CHANNELS))
        fine = sum(2**k for k in steps) + sum(2**k for k in steps[:-1]) + 2 ** len(DEEP_STORM_CHANNELS)
        return -(-fine // self.upsampling) + 1

    def heatmap(self, frames: Tensor) -> Tensor:
        """Predict the image of spikes of scaled frames, (B, 1, H, W) to (B, u H, u W)."""
        x = self.standardised(frames)
        x = functional.interpolate(x, scale_factor=self.upsampling, mode="nearest")
        size = x.shape[2:]
        pooled = 2 ** len(self.up)
        x = functional.pad(x, (0, -size[1] % pooled, 0, -size[0] % pooled))
        x = self.down[0](x)
        for layer in self.down[1:]:
            x = layer(functional.max_pool2d(x, 2))
        for layer in self.up:
            x = layer(functional.interpolate(x, scale_factor=2, mode="nearest"))
        out: Tensor = self.head(x)
        return out[:, 0, : size[0], : size[1]]

    def points(self, raw: Tensor) -> Tensor:
        """Read image, y, x and height, as a share of a whole spike's, off an image of spikes."""
        return heatmap_codecs.decode(raw / self.full_value, heatmap_codecs.argmax, threshold=MIN_PEAK_VALUE, reach_px=1)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def _by_pixel(rows: Tensor, frames: Tensor, upsampling: int, n_points: int) -> Tensor:
    """Assign each maximum to the pixel of the frame that it lies in, at most `n_points` to each, the highest first."""
    batch, _, height, width = frames.shape
    image, p = rows[:, 0].long(), rows[:, 3].clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    place = (rows[:, 1:3] + HALF_PIXEL) / upsampling - HALF_PIXEL
    pixel = torch.floor(place + HALF_PIXEL).long()
    pixel = torch.minimum(pixel.clamp(min=0), pixel.new_tensor([height - 1, width - 1]))
    cell = (image * height + pixel[:, 0]) * width + pixel[:, 1]
    # Sorted by pixel, the highest first, the place in the pixel's own row of maxima is the distance from its first.
    order = torch.argsort(p, descending=True, stable=True)
    order = order[torch.argsort(cell[order], stable=True)]
    cell, pixel, place, p, image = cell[order], pixel[order], place[order], p[order], image[order]
    index = torch.arange(len(cell), device=cell.device)
    first = torch.ones_like(cell, dtype=torch.bool)
    first[1:] = cell[1:] != cell[:-1]
    rank = index - torch.cummax(torch.where(first, index, 0), dim=0).values if len(cell) else index
    kept = rank < n_points
    at = (image[kept], rank[kept], slice(None), pixel[kept, 0], pixel[kept, 1])
    numbers = frames.new_zeros(batch, n_points, 3, height, width)
    numbers[:, :, 2] = NO_POINT
    predicted = torch.column_stack([place - pixel, torch.logit(p)])
    numbers[at] = predicted[kept].to(numbers)
    return numbers.flatten(1, 2)
