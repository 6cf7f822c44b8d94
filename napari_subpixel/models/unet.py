"""The network for many microscopes: counts, background, noise and PSF in; points that know their uncertainty out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_subpixel.models.pixel_network import INITIAL_LOGIT, PixelNetwork, Predictions

#: Times that frames are halved: tiles must start at multiples of 2**LEVELS.
LEVELS = 2
#: Variance that stabilising adds to counts, as in Anscombe's transform: no root of nothing.
ANSCOMBE = 0.375
#: Side of the neighbourhood over which the local light is averaged.
NEIGHBOURHOOD_PX = 7
#: A point lies at most this far from its pixel's centre along each axis: beyond its edge, so that a molecule there
#: belongs to one pixel instead of half to each of two.
MAX_OFFSET_PX = 0.85
#: Smallest and largest standard deviation of a position that can be predicted, in pixels.
UNCERTAINTY_PX = (0.004, 2.0)
#: Smallest and largest standard deviation of the light's logarithm that can be predicted.
LIGHT_SPREAD = (0.005, 2.0)
#: Standard deviation of positions that an untrained network predicts, in pixels.
INITIAL_UNCERTAINTY_PX = 0.4
#: Standard deviation of the light's logarithm that an untrained network predicts.
INITIAL_LIGHT_SPREAD = 0.6
#: Numbers predicted for each point: offset (y, x), logit, uncertainty (y, x), logarithm of the light, its spread.
PER_POINT = 7
#: Input planes of the layers: numbers for each pixel.
N_PLANES = 6
#: Conditioning inputs: numbers for the whole movie.
N_CONDITIONS = 3
#: Channels of the conditioning layer.
CONDITIONING_WIDTH = 64
#: Gain of the residual blocks at the start, relative to the standard initialisation.
INITIAL_RESIDUAL_GAIN = 0.3


class UNet(PixelNetwork):
    """A residual U-Net whose body works at a half and a quarter of the frame's resolution.

    A first layer at full resolution is folded, two by two pixels into channels; residual blocks of 3x3 convolutions,
    zero-padded, ReLU, follow; a quarter's resolution is an excursion between them; and the head unfolds again. So a
    layer reaches twice as far and touches a quarter of the places. Within each block the channels are scaled and
    shifted by conditioning on the whole movie: how wide its point spread function and how bright a molecule is [1]_.

    Its input is what `napari_subpixel.models.input_scaling.counts` makes. The layers' own inputs are the counts with
    stabilised variance above the background (as they are and in logarithm), the counts relative to the light near by,
    the noise, the width of the point spread function, and how far a typical molecule stands out: numbers of order 1
    for every brightness.

    Parameters
    ----------
    n_points : int
        Points per pixel, n.
    width : int
        Channels at half resolution; a quarter has 1.5 times as many.
    blocks : (int, int, int)
        Residual blocks at half resolution before, at a quarter, and at half after.

    References
    ----------
    .. [1] Perez et al., "FiLM: Visual reasoning with a general conditioning layer", 2018, arXiv:1709.07871.
    """

    n_classes = 1
    #: Tiles must start at multiples of this many pixels to give the same numbers as the whole frame.
    grid_px = 2**LEVELS

    def __init__(self, n_points: int = 2, width: int = 128, blocks: Sequence[int] = (2, 2, 3)) -> None:
        super().__init__()
        if len(blocks) != 3 or width % 4 or width < 4:
            raise ValueError(f"expected a width that is a multiple of 4, and three blocks, got {width} and {blocks}")
        self.n_points, self.width, self.blocks = n_points, width, tuple(blocks)
        deep = width * 3 // 2
        self.condition = nn.Sequential(nn.Linear(N_CONDITIONS, CONDITIONING_WIDTH), nn.ReLU())
        self.stem = _convolution(N_PLANES, width // 4)
        self.enter = _convolution(width, width)
        self.before = nn.ModuleList(_Block(width) for _ in range(self.blocks[0]))
        self.down = nn.Conv2d(width, deep, 1)
        self.bottom = nn.ModuleList(_Block(deep) for _ in range(self.blocks[1]))
        self.up = nn.Conv2d(deep, width, 1)
        self.after = nn.ModuleList(_Block(width) for _ in range(self.blocks[2]))
        self.head = nn.Conv2d(width, 4 * (PER_POINT * n_points + 1), 1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.weight.mul_(0.1)
            bias = torch.zeros(PER_POINT * n_points + 1)
            points = bias[:-1].view(n_points, PER_POINT)
            points[:, 2] = INITIAL_LOGIT
            points[:, 3:5], points[:, 6] = math.log(INITIAL_UNCERTAINTY_PX), math.log(INITIAL_LIGHT_SPREAD)
            # Points that start alike would stay alike.
            points[:, :2] = torch.linspace(-1, 1, n_points)[:, None] * torch.tensor([0.4, 0.4])
            self.head.bias.copy_(bias.repeat_interleave(4))

    @property
    def config(self) -> dict[str, Any]:
        """Kind and arguments, from which `napari_subpixel.models` builds this network again."""
        return {"kind": "unet", "n_points": self.n_points, "width": self.width, "blocks": list(self.blocks)}

    @property
    def reach_px(self) -> int:
        """How far from a pixel the input can change its output: half the receptive field, at most."""
        half, quarter = 2, 4
        layers = 1 + half * (1 + 2 * (self.blocks[0] + self.blocks[2])) + quarter * 2 * self.blocks[1]
        return NEIGHBOURHOOD_PX // 2 + layers + (half - 1) + (quarter - half)

    def numbers(self, frames: Tensor) -> Tensor:
        """Return what the layers give for frames in counts.

        Parameters
        ----------
        frames : Tensor, shape (B, 5, H, W)
            Counts, their rough background, variance of the read noise, sigma of the point spread function, and a
            typical molecule's light; the last two are the same for all pixels of a frame.

        Returns
        -------
        Tensor, shape (B, C, H, W)
        """
        height, width = frames.shape[2:]
        conditioning = self.condition(_conditions(frames))
        planes = functional.pad(_planes(frames), (0, -width % self.grid_px, 0, -height % self.grid_px))
        x = self.stem(planes.contiguous(memory_format=torch.channels_last)).relu_()
        x = self.enter(functional.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last))
        for block in self.before:
            x = block(x, conditioning)
        deep = self.down(functional.avg_pool2d(x, 2))
        for block in self.bottom:
            deep = block(deep, conditioning)
        x = functional.interpolate(self.up(deep), scale_factor=2, mode="nearest").add_(x)
        for block in self.after:
            x = block(x, conditioning)
        return functional.pixel_shuffle(self.head(x.relu_()).float(), 2)[..., :height, :width]

    def logits(self, numbers: Tensor) -> Tensor:
        """Return the logits among the numbers, (B, C, H, W) to (B, n, 1, H, W)."""
        return self._by_point(numbers)[:, :, 2:3]

    def predictions(self, numbers: Tensor, frames: Tensor) -> Predictions:
        """Turn the numbers of pixels into their points, and background from units of the noise into counts."""
        point = self._by_point(numbers)
        _, background, read, sigma, _ = frames.unbind(1)
        noise = _noise(background, read)
        # Light is predicted relative to what would just stand out of the noise, so that the layers give small numbers.
        unit = torch.log(_just_seen(sigma, noise))[:, None]
        light = torch.stack([point[:, :, 5] + unit, _bounded_log(point[:, :, 6], LIGHT_SPREAD)], dim=2)
        return Predictions(
            MAX_OFFSET_PX * torch.tanh(point[:, :, :2]),
            point[:, :, 2:3],
            _bounded_log(point[:, :, 3:5], UNCERTAINTY_PX),
            light,
            background + noise * numbers[:, -1],
        )

    def _by_point(self, numbers: Tensor) -> Tensor:
        return numbers[:, :-1].unflatten(1, (self.n_points, PER_POINT))


class _Block(nn.Module):
    """Two convolutions and a skip connection; the conditioning scales and shifts what is between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(channels, channels), _convolution(channels, channels)
        self.film = nn.Linear(CONDITIONING_WIDTH, 2 * channels)
        with torch.no_grad():
            self.second.weight.mul_(INITIAL_RESIDUAL_GAIN)
            self.film.weight.zero_()
            self.film.bias.zero_()

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        scale, shift = self.film(conditioning)[..., None, None].chunk(2, dim=1)
        between = torch.addcmul(shift, self.first(functional.relu(x)), 1 + scale).relu_()
        return self.second(between).add_(x)


def _conditions(frames: Tensor) -> Tensor:
    """Return the conditioning inputs: what is known of whole movies, (B, 5, H, W) to (B, N_CONDITIONS)."""
    sigma, light = frames[:, 3:, 0, 0].unbind(1)
    known = light > 0
    brightness = torch.where(known, torch.log(light.clamp(min=1.0)) / 2 - 3.5, 0.0)
    return torch.stack([3 * torch.log(sigma / 1.25), known.to(sigma), brightness], dim=1)


def _planes(frames: Tensor) -> Tensor:
    """Turn counts and what is known of them into the layers' input planes; (B, 5, H, W) to (B, N_PLANES, H, W)."""
    counts, background, read, sigma, light = frames.unbind(1)
    noise = _noise(background, read)
    above = 2 * ((counts + read + ANSCOMBE).clamp(min=0).sqrt() - noise)
    excess = counts - background
    around = excess.clamp(min=0)[:, None]
    for side in ((NEIGHBOURHOOD_PX, 1), (1, NEIGHBOURHOOD_PX)):  # one axis after the other: 14 terms for 49
        reach = (side[0] // 2, side[1] // 2)
        around = functional.avg_pool2d(around, side, 1, reach, count_include_pad=False)
    return torch.stack(
        [
            above / 8,
            _asinh(above) / 2,
            excess / (3 * around[:, 0] + 3 * noise),
            torch.log(noise) / 2 - 0.5,
            3 * torch.log(sigma / 1.25),
            _asinh(light / _just_seen(sigma, noise)) / 2,
        ],
        dim=1,
    )


def _asinh(x: Tensor) -> Tensor:
    """Return `torch.asinh` up to the last digits, several times as fast on a CPU."""
    size = x.abs()
    return torch.log1p(size + size.square() / (1 + (size.square() + 1).sqrt())) * x.sign()


def _noise(background: Tensor, read: Tensor) -> Tensor:
    """Return the standard deviation of background and read noise, in counts."""
    return (background.clamp(min=0) + read + ANSCOMBE).sqrt()


def _just_seen(sigma: Tensor, noise: Tensor) -> Tensor:
    """Return the light, in counts, of a molecule whose brightest pixel exceeds the background by the noise."""
    return 2 * math.pi * sigma.square() * noise


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution


def _bounded_log(x: Tensor, span: tuple[float, float]) -> Tensor:
    return x.clamp(math.log(span[0]), math.log(span[1]))
