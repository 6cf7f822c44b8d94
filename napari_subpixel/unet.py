"""The network for many microscopes: counts, background, noise and PSF in; points that know their uncertainty out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.network import INITIAL_LOGIT, Predictions

#: Frames are halved this often, so that tiles must start at multiples of 2**LEVELS.
LEVELS = 2
#: Variance that stabilising adds to counts, as in Anscombe's transform: no root of nothing.
ANSCOMBE = 0.375
#: Side of the neighbourhood over which the local light is averaged.
NEIGHBOURHOOD_PX = 7
#: Smallest and largest standard deviation that can be predicted: of positions, in pixels, and of the light's logarithm.
UNCERTAINTY_PX, LIGHT_SPREAD = (0.004, 2.0), (0.005, 2.0)
#: Where uncertainties start.
INITIAL_UNCERTAINTY_PX, INITIAL_LIGHT_SPREAD = 0.4, 0.6
#: Numbers predicted for each point: offset (y, x), logit, uncertainty (y, x), logarithm of the light, its spread.
PER_POINT = 7


class UNet(nn.Module):
    """A small U-Net: two halvings, added skips, ReLU; all convolutions 3x3 and zero-padded.

    Its input is what `napari_subpixel.scaling.counts` makes. What the layers see of it are the counts with stabilised
    variance above the background (as they are, and their logarithm), the counts relative to the light round about, the
    noise and the width of the point spread function: numbers of order 1 for every brightness.

    Parameters
    ----------
    n_points : int
        Points per pixel, n.
    width : int
        Channels at full resolution; half and a quarter of it have 1.5 and 2 times as many.
    """

    n_classes = 1
    #: Tiles must start at multiples of this many pixels, to be seen as in the whole frame.
    grid_px = 2**LEVELS

    def __init__(self, n_points: int = 2, width: int = 64) -> None:
        super().__init__()
        self.n_points, self.width = n_points, width
        middle, deep = width * 3 // 2, width * 2
        self.enter = _layers(5, width, width)
        self.down = _layers(width, middle, middle)
        self.bottom = _layers(middle, deep, deep)
        self.from_bottom = nn.Conv2d(deep, middle, 1)
        self.up = _layers(middle, middle)
        self.from_up = nn.Conv2d(middle, width, 1)
        self.leave = _layers(width, width, width)
        self.head = nn.Conv2d(width, PER_POINT * n_points + 1, 1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            points = self.head.bias[:-1].view(n_points, PER_POINT)
            points[:, 2] = INITIAL_LOGIT
            points[:, 3:5], points[:, 6] = math.log(INITIAL_UNCERTAINTY_PX), math.log(INITIAL_LIGHT_SPREAD)
            # Points that start alike would stay alike.
            points[:, :2] = torch.linspace(-1, 1, n_points)[:, None] * torch.tensor([0.5, 0.5])

    @property
    def config(self) -> dict[str, Any]:
        """Kind and arguments, from which `napari_subpixel.models` builds this network again."""
        return {"kind": "unet", "n_points": self.n_points, "width": self.width}

    @property
    def reach_px(self) -> int:
        """How far from a pixel the input can change its output: half the receptive field, at most."""
        half, quarter = 2, 4
        layers = 2 + 2 * half + 2 * quarter + half + 2
        return NEIGHBOURHOOD_PX // 2 + layers + (half - 1) + (quarter - half)

    def forward(self, frames: Tensor) -> Predictions:
        """Predict points for frames in counts.

        Parameters
        ----------
        frames : Tensor, shape (B, 4, H, W)
            Counts, their rough background, variance of the read noise, sigma of the point spread function.

        Returns
        -------
        Predictions
        """
        height, width = frames.shape[2:]
        planes = functional.pad(_planes(frames), (0, -width % self.grid_px, 0, -height % self.grid_px))
        x = self.enter(planes.contiguous(memory_format=torch.channels_last))
        half = self.down(functional.avg_pool2d(x, 2))
        half = half + _doubled(self.from_bottom(self.bottom(functional.avg_pool2d(half, 2))))
        x = x + _doubled(self.from_up(self.up(half)))
        out = self.head(self.leave(x)).float()[..., :height, :width]
        return self._predictions(out, frames)

    def _predictions(self, out: Tensor, frames: Tensor) -> Predictions:
        """Turn the numbers of the head into points, and background from units of the noise into counts."""
        batch, _, height, width = out.shape
        point = out[:, :-1].reshape(batch, self.n_points, PER_POINT, height, width)
        _, background, read, sigma = frames.unbind(1)
        noise = (background.clamp(min=0) + read + ANSCOMBE).sqrt()
        # Light is told relative to what would just be seen over the noise, so that the layers predict small numbers.
        unit = torch.log(2 * math.pi * sigma.square() * noise)[:, None]
        light = torch.stack([point[:, :, 5] + unit, _bounded_log(point[:, :, 6], LIGHT_SPREAD)], dim=2)
        return Predictions(
            HALF_PIXEL * torch.tanh(point[:, :, :2]),
            point[:, :, 2:3],
            _bounded_log(point[:, :, 3:5], UNCERTAINTY_PX),
            light,
            background + noise * out[:, -1],
        )


def _planes(frames: Tensor) -> Tensor:
    """Turn counts and what is known of them into what the layers see; (B, 4, H, W) to (B, 5, H, W)."""
    counts, background, read, sigma = frames.unbind(1)
    offset = read + ANSCOMBE
    noise = (background.clamp(min=0) + offset).sqrt()
    above = 2 * ((counts + offset).clamp(min=0).sqrt() - noise)
    excess = counts - background
    light = functional.avg_pool2d(
        excess.clamp(min=0)[:, None], NEIGHBOURHOOD_PX, 1, NEIGHBOURHOOD_PX // 2, count_include_pad=False
    )[:, 0]
    return torch.stack(
        [
            above / 8,
            torch.asinh(above) / 2,
            excess / (3 * light + 3 * noise),
            torch.log(noise) / 2 - 0.5,
            3 * torch.log(sigma / 1.25),
        ],
        dim=1,
    )


def _layers(*channels: int) -> nn.Sequential:
    """Build 3x3 convolutions with ReLU from these channels to these."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(channels):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _bounded_log(x: Tensor, span: tuple[float, float]) -> Tensor:
    return x.clamp(math.log(span[0]), math.log(span[1]))
