"""Counting in windows: Eq. 5 of the paper, asked of every window of a frame in place of the whole frame.

It is as exact there, and says where a molecule is missing and where there is one too many.

Shapes as in `napari_subpixel.training.heatmap_matching`; w windows in a frame.

References
----------
.. [1] Schroeter, Tuytelaars, Sidorov, Marshall, "Learning Multi-Instance Sub-pixel Point Localization", ACCV 2020,
   doi:10.1007/978-3-030-69541-5_41. Eq. 5.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.training.counting import poisson_binomial_nll


class Windows(NamedTuple):
    """A grid of square windows over frames.

    Attributes
    ----------
    frame_shape : (int, int)
        Height and width of the frames.
    side_px : int
        Side of a window.
    shift : (int, int)
        How far the grid is shifted, from 0 to `side_px` - 1 along each axis.
    """

    frame_shape: tuple[int, int]
    side_px: int
    shift: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Windows down and across."""
        down, across = (-(-(size + s) // self.side_px) for size, s in zip(self.frame_shape, self.shift, strict=True))
        return down, across

    def of(self, pixels: Tensor) -> Tensor:
        """Return the number of the window of each pixel, (..., 2) to (...)."""
        which = (pixels + pixels.new_tensor(self.shift)) // self.side_px
        return which[..., 0] * self.shape[1] + which[..., 1]

    def gather(self, p: Tensor) -> Tensor:
        """Gather the points of each window, 0 where a window leaves the frame: (B, n, H, W) to (B, w, points)."""
        batch, n, height, width = p.shape
        (down, across), side, shift = self.shape, self.side_px, self.shift
        bottom, right = down * side - height - shift[0], across * side - width - shift[1]
        padded = functional.pad(p, (shift[1], right, shift[0], bottom))
        parts = padded.reshape(batch, n, down, side, across, side)
        return parts.permute(0, 2, 4, 1, 3, 5).reshape(batch, down * across, n * side**2)


def counting_nll(p: Tensor, window: Tensor, there: Tensor) -> Tensor:
    """Negative log-likelihood of the numbers of molecules in windows, summed over these.

    Parameters
    ----------
    p : Tensor, shape (B, w, points)
        Probabilities of the points of each window.
    window : Tensor of int64, shape (B, M)
        Number of the window of each molecule.
    there : Tensor of bool, shape (B, M)
        False for padding.

    Returns
    -------
    Tensor, shape (B,)
        In nats.
    """
    number = p.new_zeros(p.shape[:2]).scatter_add_(1, window, there.to(p)).long()
    # A window has no more points than it has; what is beyond cannot be counted.
    number = number.clamp(max=p.shape[2])
    return poisson_binomial_nll(p.flatten(0, 1), number.flatten()).reshape(number.shape).sum(dim=1)


def counting_in_windows(probabilities: Tensor, truth: Tensor, weights: Tensor, windows: Windows) -> Tensor:
    """Regularise by counting in windows; a molecule is in the window of its pixel, or of the nearest of the frame.

    Parameters
    ----------
    probabilities : Tensor, shape (B, n, d, H, W)
    truth : Tensor, shape (B, M, 2)
        y and x in pixels.
    weights : Tensor, shape (B, M, d)
        As in `napari_subpixel.training.heatmap_matching.heatmap_matching`.
    windows : Windows

    Returns
    -------
    Tensor, shape (B,)
        Loss of each image, in nats, summed over classes.
    """
    pixel = (truth + HALF_PIXEL).floor().long().clamp(min=0)
    window = windows.of(pixel.minimum(pixel.new_tensor(windows.frame_shape) - 1))
    loss = probabilities.new_zeros(len(probabilities))
    for k in range(weights.shape[2]):
        loss = loss + counting_nll(windows.gather(probabilities[:, :, k]), window, weights[..., k] > 0)
    return loss
