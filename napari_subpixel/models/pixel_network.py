"""The networks: frames in, a few points with offsets and probabilities for every pixel out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_subpixel.coordinates import HALF_PIXEL

#: Logit at which every probability starts, so that an untrained network predicts few points.
INITIAL_LOGIT = -3.0
#: Sides of the kernels of the paper's hidden layers.
BODY_SIZES = (7, 5, 5)
#: Side of the kernel of its head.
HEAD_SIZE = 3


class Predictions(NamedTuple):
    """What a network predicts for every pixel (Eq. 1).

    Attributes
    ----------
    offsets : Tensor, shape (B, n, 2, H, W)
        (dy, dx) from the pixel's centre, in pixels; each network has its own limit.
    logits : Tensor, shape (B, n, d, H, W)
        Logit of the probability of each point, for each class.
    log_uncertainty : Tensor, shape (B, n, 2, H, W), optional
        Logarithm of the standard deviation of each point's y and x, in pixels.
    log_light : Tensor, shape (B, n, 2, H, W), optional
        Logarithm of each point's light, in the units of the input, and the standard deviation of that logarithm.
    background : Tensor, shape (B, H, W), optional
        Background of each pixel, in the units of the input.
    """

    offsets: Tensor
    logits: Tensor
    log_uncertainty: Tensor | None = None
    log_light: Tensor | None = None
    background: Tensor | None = None

    @property
    def probabilities(self) -> Tensor:
        """Probability of each point, for each class; shape (B, n, d, H, W)."""
        return torch.sigmoid(self.logits)


def lay_out(network: nn.Module) -> None:
    """Put the weights of two-dimensional convolutions in the layout that is faster on CPUs, in place."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)


def paper_body(width: int) -> tuple[nn.Sequential, int]:
    """Return the hidden layers of the paper's network (section 4.1), and how far they reach, in pixels."""
    layers: list[nn.Module] = []
    for k, size in enumerate(BODY_SIZES):
        layers += [nn.Conv2d(width if k else 1, width, size, padding=size // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers), sum(size // 2 for size in BODY_SIZES)


class PixelNetwork(nn.Module):
    """The common part of the networks that predict points for every pixel.

    Layers give numbers, from which each pixel's points follow without regard to other pixels.
    """

    #: Pixels of the grid that it works on per pixel of the frame, along an axis.
    upsampling: int = 1

    def numbers(self, frames: Tensor) -> Tensor:
        """Return what the layers give for scaled frames, (B, planes, H, W) to (B, C, H, W)."""
        raise NotImplementedError

    def logits(self, numbers: Tensor) -> Tensor:
        """Return the logits among the numbers, (B, C, H, W) to (B, n, d, H, W)."""
        raise NotImplementedError

    def predictions(self, numbers: Tensor, frames: Tensor) -> Predictions:
        """Turn the numbers of pixels into their points; `frames` are the same pixels as they were given."""
        raise NotImplementedError

    def forward(self, frames: Tensor) -> Predictions:
        """Predict points for scaled frames.

        Parameters
        ----------
        frames : Tensor, shape (B, planes, H, W)
            Frames as the scaling of the model's card makes them.

        Returns
        -------
        Predictions
        """
        return self.predictions(self.numbers(frames), frames)

    def predictions_above(
        self, frames: Tensor, rows: slice, columns: slice, min_logit: float, mask: Tensor | None = None
    ) -> tuple[Tensor, Predictions]:
        """Predict only for pixels that hold a probable point: most hold none, and need no more than their logit.

        Parameters
        ----------
        frames : Tensor, shape (B, planes, H, W)
        rows, columns : slice
            The part of the frames to predict for.
        min_logit : float
            A point is probable where its logit, in any class, reaches this.
        mask : Tensor of bool, shape (B, rows, columns), optional
            Pixels of the part to predict for; all if not given.

        Returns
        -------
        pixels : Tensor of int64, shape (K, 3)
            Image, row and column of each pixel, within the part.
        predictions : Predictions
            Of these pixels, shape (1, n, ..., K, 1).
        """
        numbers, frames = self.numbers(frames)[..., rows, columns], frames[..., rows, columns]
        probable = (self.logits(numbers) >= min_logit).flatten(1, 2).any(dim=1)
        pixels = torch.nonzero(probable if mask is None else probable & mask)
        image, row, column = pixels.unbind(1)
        at = (image, slice(None), row, column)
        return pixels, self.predictions(numbers[at].T[None, :, :, None], frames[at].T[None, :, :, None])


class StandardisedNetwork(PixelNetwork):
    """A network whose input is standardised by two fixed numbers, which travel with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.input_mean: Tensor
        self.input_std: Tensor
        self.register_buffer("input_mean", torch.zeros(()))
        self.register_buffer("input_std", torch.ones(()))

    def standardise(self, mean: float, std: float) -> None:
        """Set the two fixed numbers that standardise the scaled input; they are saved with the weights."""
        self.input_mean.fill_(mean)
        self.input_std.fill_(std)

    def standardised(self, frames: Tensor) -> Tensor:
        """Return scaled frames as the input of the layers."""
        return (frames - self.input_mean) / self.input_std


class PointNetwork(StandardisedNetwork):
    """The network of the paper, section 4.1 and Eq. 1: one-to-one with the input's pixels.

    Three convolutions (7x7, 5x5, 5x5) with ReLU and a 3x3 head, all zero-padded, none strided: 54,496
    multiply-adds a pixel at the default size. Input is standardised by two fixed numbers that travel with the weights.

    Parameters
    ----------
    n_points : int
        Points per pixel, n.
    n_classes : int
        Classes, d.
    width : int
        Channels of the hidden layers.
    """

    #: Tiles may start anywhere.
    grid_px = 1

    def __init__(self, n_points: int = 2, n_classes: int = 1, width: int = 32) -> None:
        super().__init__()
        self.n_points, self.n_classes, self.width = n_points, n_classes, width
        self.body, reach = paper_body(width)
        self.head = nn.Conv2d(width, n_points * (2 + n_classes), HEAD_SIZE, padding=HEAD_SIZE // 2)
        #: How far from a pixel the input can change its output: half the receptive field.
        self.reach_px = reach + HEAD_SIZE // 2
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.zero_()
            self.head.bias[2 * n_points :] = INITIAL_LOGIT

    @property
    def config(self) -> dict[str, int]:
        """The arguments that build this network again."""
        return {"n_points": self.n_points, "n_classes": self.n_classes, "width": self.width}

    def numbers(self, frames: Tensor) -> Tensor:
        """Return what the layers give for frames scaled to 0..1, not yet standardised; (B, 1, H, W) to (B, C, H, W)."""
        out: Tensor = self.head(self.body(self.standardised(frames)))
        return out.float()

    def logits(self, numbers: Tensor) -> Tensor:
        """Return the logits among the numbers, (B, C, H, W) to (B, n, d, H, W)."""
        batch, _, height, width = numbers.shape
        return numbers[:, 2 * self.n_points :].reshape(batch, self.n_points, self.n_classes, height, width)

    def predictions(self, numbers: Tensor, frames: Tensor) -> Predictions:
        """Turn the numbers of pixels into their points (Eq. 1)."""
        batch, _, height, width = numbers.shape
        offsets = numbers[:, : 2 * self.n_points].reshape(batch, self.n_points, 2, height, width)
        return Predictions(HALF_PIXEL * torch.tanh(offsets), self.logits(numbers))
