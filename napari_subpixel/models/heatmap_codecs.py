"""Discrete heatmaps: points drawn on the grid of pixels, and read off it again, in each of the published ways.

Encoders draw points as Gaussians on the grid; they differ in where the Gaussian's centre lies. Decoders find the local
maxima of a heatmap and place each to a part of a pixel from the window round it.

Shapes: B images, M true points, K maxima; a window has 2 r + 1 pixels a side, r its reach.

References
----------
.. [1] Zhang, Zhu, Dai, Ye, Zhu, "Distribution-aware coordinate representation for human pose estimation" (DARK), CVPR
   2020; Chatzitofis et al., "On coordinate decoding for keypoint estimation tasks", ReScience 2021: Eq. 1 to 4.
.. [2] Yu, Tao, "Heatmap regression via randomized rounding" (H3R), IEEE TPAMI 2021, arXiv:2009.00225.
.. [3] Nibali, He, Morgan, Prendergast, "Numerical coordinate regression with convolutional neural networks" (DSNT),
   2018, arXiv:1801.07372.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_subpixel.coordinates import HALF_PIXEL

#: Values are raised to this before their logarithm is taken or they divide.
TINY = 1e-10
#: A decoder's point is at most this far from the middle of the brightest pixel along each axis, in pixels.
MAX_DECODED_OFFSET_PX = 1.0
#: Gaussians are drawn up to this many standard deviations: to one part in 60 million of their height.
DRAWN_WIDTHS = 6.0
#: Levenberg-Marquardt steps of the fit of a Gaussian.
N_FIT_STEPS = 20
#: Damping of the first of them.
INITIAL_DAMPING = 1e-3


# -- encoders -----------------------------------------------------------------------------------------------------


def quantised(truth: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return the centres of the nearest pixels, as standard encoding takes them; (B, M, 2) to the same."""
    return torch.floor(truth + HALF_PIXEL)


def unbiased(truth: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return the points themselves: DARK's second claim."""
    return truth


def randomised(truth: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Round each coordinate up with the probability of its fraction, else down: H3R's encoding."""
    low = torch.floor(truth)
    draw = torch.rand(truth.shape, generator=generator, device=truth.device, dtype=truth.dtype)
    return low + (draw < truth - low).to(truth)


#: Where the centre of a point's Gaussian lies, by name.
ENCODERS: dict[str, Callable[[Tensor, torch.Generator | None], Tensor]] = {
    "quantised": quantised, "unbiased": unbiased, "randomised": randomised,
}  # fmt: skip


def encode(
    truth: Tensor,
    weights: Tensor,
    shape: tuple[int, int],
    *,
    width_px: float,
    encoder: str = "unbiased",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw points as Gaussians of height 1; where several overlap, the highest counts.

    Parameters
    ----------
    truth : Tensor, shape (B, M, 2)
        y and x in pixels.
    weights : Tensor, shape (B, M, 1)
        1 for a point, 0 for padding.
    shape : (int, int)
        Height and width of the heatmap.
    width_px : float
        Standard deviation of the Gaussians; 0 lights the one pixel at the centre, which then must be a whole number.
    encoder : {"quantised", "unbiased", "randomised"}
        Where the centres lie.
    generator : Generator, optional
        Source of randomised rounding.

    Returns
    -------
    Tensor, shape (B, *shape)
    """
    centre = ENCODERS[encoder](truth, generator)
    reach = math.ceil(DRAWN_WIDTHS * width_px)
    step = torch.arange(-reach, reach + 1, device=truth.device)
    places = torch.floor(centre + HALF_PIXEL).long()[..., None] + step  # (B, M, 2, n)
    rows, columns = _profile(places - centre[..., None], width_px).unbind(2)
    drawn = rows[..., :, None] * columns[..., None, :] * weights[..., None]
    size = places.new_tensor(shape)[:, None]
    y, x = torch.minimum(places.clamp(min=0), size - 1).unbind(2)
    inside_y, inside_x = ((places >= 0) & (places < size)).unbind(2)
    drawn = drawn * (inside_y[..., :, None] & inside_x[..., None, :])
    pixel = (y[..., :, None] * shape[1] + x[..., None, :]).flatten(1)
    heatmap = drawn.new_zeros(len(truth), math.prod(shape))
    return heatmap.scatter_reduce_(1, pixel, drawn.flatten(1), "amax").view(-1, *shape)


def _profile(distance: Tensor, width_px: float) -> Tensor:
    return torch.exp(-0.5 * (distance / width_px).square()) if width_px else (distance.abs() < HALF_PIXEL).to(distance)


# -- decoders -----------------------------------------------------------------------------------------------------


class Peaks(NamedTuple):
    """Local maxima of heatmaps.

    Attributes
    ----------
    image : Tensor of int64, shape (K,)
        Number of the image.
    pixel : Tensor of int64, shape (K, 2)
        Row and column.
    value : Tensor, shape (K,)
        The heatmap there.
    windows : Tensor, shape (K, 2 r + 1, 2 r + 1)
        The heatmap round it.
    """

    image: Tensor
    pixel: Tensor
    value: Tensor
    windows: Tensor


def peaks(heatmaps: Tensor, threshold: float, reach_px: int, *, beyond: float = 0.0) -> Peaks:
    """Find the pixels that are brighter than their neighbours and a threshold.

    Of equal neighbours the first, in reading order, is the maximum.

    Parameters
    ----------
    heatmaps : Tensor, shape (B, H, W)
    threshold : float
        Smallest value of a maximum.
    reach_px : int
        How far the windows reach, in pixels.
    beyond : float
        Value of windows beyond the border.

    Returns
    -------
    Peaks
    """
    height, width = heatmaps.shape[1:]
    # A tiny slope makes the first of equals the highest.
    order = torch.arange(height * width, 0, -1, device=heatmaps.device, dtype=torch.float64).view(height, width)
    ranked = heatmaps.double() + 1e-12 * order / (height * width)
    highest = functional.max_pool2d(ranked[:, None], 3, 1, 1)[:, 0]
    image, row, column = torch.nonzero((ranked == highest) & (heatmaps >= threshold), as_tuple=True)
    padded = functional.pad(heatmaps, (reach_px,) * 4, value=beyond)
    step = torch.arange(2 * reach_px + 1, device=heatmaps.device)
    windows = padded[image[:, None, None], row[:, None, None] + step[:, None], column[:, None, None] + step]
    return Peaks(image, torch.stack([row, column], dim=1), heatmaps[image, row, column], windows)


def argmax(windows: Tensor) -> Tensor:
    """Stay at the middle of the brightest pixel (DARK, Eq. 1); (K, 2 r + 1, 2 r + 1) to offsets (K, 2)."""
    return windows.new_zeros(len(windows), 2)


def standard(windows: Tensor) -> Tensor:
    """Go a quarter of a pixel towards the second brightest of the neighbours (DARK, Eq. 2)."""
    near = _part(windows, 1).flatten(1).clone()
    near[:, 4] = -torch.inf
    second = near.argmax(dim=1)
    step = torch.stack([second // 3 - 1, second % 3 - 1], dim=1).to(windows)
    return 0.25 * step / step.norm(dim=1, keepdim=True)


def taylor(windows: Tensor, *, smoothing_px: float = 0.0) -> Tensor:
    """Go where the second-order expansion of the logarithm has its maximum (DARK, Eq. 3).

    Parameters
    ----------
    windows : Tensor, shape (K, 2 r + 1, 2 r + 1)
    smoothing_px : float
        Standard deviation of the Gaussian that the heatmap is low-passed with first, in DARK that of the encoding; its
        reach must be in the window.
    """
    if smoothing_px:
        windows = _smooth(windows, smoothing_px)
    log = torch.log(_part(windows, 1).clamp(min=TINY))
    gradient = torch.stack([log[:, 2, 1] - log[:, 0, 1], log[:, 1, 2] - log[:, 1, 0]], dim=1) / 2
    yy = log[:, 2, 1] - 2 * log[:, 1, 1] + log[:, 0, 1]
    xx = log[:, 1, 2] - 2 * log[:, 1, 1] + log[:, 1, 0]
    yx = (log[:, 2, 2] - log[:, 2, 0] - log[:, 0, 2] + log[:, 0, 0]) / 4
    determinant = yy * xx - yx**2
    sound = (determinant > TINY) & (yy < 0)
    by = torch.where(sound, determinant, 1.0)
    step = torch.stack([xx * gradient[:, 0] - yx * gradient[:, 1], yy * gradient[:, 1] - yx * gradient[:, 0]], dim=1)
    return torch.where(sound[:, None], -step / by[:, None], 0.0).clamp(-MAX_DECODED_OFFSET_PX, MAX_DECODED_OFFSET_PX)


def centre_of_mass(windows: Tensor) -> Tensor:
    """Return the centre of mass of the window (DARK, Eq. 4)."""
    return _mean_place(windows.clamp(min=0))


def activation_points(windows: Tensor, *, number: int = 9) -> Tensor:
    """Return the mean place of the brightest pixels of the window, weighted by their values: H3R's decoding."""
    flat = windows.clamp(min=0).flatten(1)
    faintest = flat.topk(min(number, flat.shape[1]), dim=1).values[:, -1:]
    return _mean_place(torch.where(flat >= faintest, flat, 0.0).view_as(windows))


def expectation(windows: Tensor) -> Tensor:
    """Return the expectation of the place under the softmax of the window's values, which are logits: DSNT."""
    return _mean_place(torch.softmax(windows.flatten(1), dim=1).view_as(windows))


def gaussian_fit(windows: Tensor) -> Tensor:
    """Return the centre of the Gaussian that fits best, by least squares: height, width, centre; no background."""
    reach = windows.shape[1] // 2
    axis = torch.arange(-reach, reach + 1, device=windows.device, dtype=torch.float64)
    data = windows.double()
    # Logarithm of the height, y, x, logarithm of the width.
    at = torch.zeros(len(windows), 4, dtype=torch.float64, device=windows.device)
    at[:, 0], at[:, 1:3] = torch.log(data[:, reach, reach].clamp(min=TINY)), taylor(windows).double()
    at[:, 3] = math.log(max(reach / 2.5, 0.5))
    damping = torch.full((len(windows),), INITIAL_DAMPING, dtype=torch.float64, device=windows.device)
    cost = _residuals(at, data, axis)[0].square().sum(dim=(1, 2))
    for _ in range(N_FIT_STEPS):
        residual, slopes = _residuals(at, data, axis)
        flat = slopes.flatten(2)  # (K, 4, n)
        normal = flat @ flat.transpose(1, 2)
        damped = normal + damping[:, None, None] * torch.diag_embed(normal.diagonal(dim1=1, dim2=2) + TINY)
        step = torch.linalg.solve(damped, (flat @ residual.flatten(1)[..., None]))[..., 0]
        trial = at + step.clamp(-1, 1)
        new_cost = _residuals(trial, data, axis)[0].square().sum(dim=(1, 2))
        better = new_cost <= cost
        at, cost = torch.where(better[:, None], trial, at), torch.where(better, new_cost, cost)
        damping = torch.where(better, damping / 10, damping * 10).clamp(1e-12, 1e6)
    return at[:, 1:3].clamp(-MAX_DECODED_OFFSET_PX, MAX_DECODED_OFFSET_PX).to(windows)


#: Functions from a maximum's window to its offset, a part of a pixel, by name.
DECODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "argmax": argmax,
    "standard": standard,
    "taylor": taylor,
    "centre of mass": centre_of_mass,
    "activation points": activation_points,
    "expectation": expectation,
    "Gaussian fit": gaussian_fit,
}


def decode(
    heatmaps: Tensor, decoder: Callable[[Tensor], Tensor], *, threshold: float, reach_px: int, beyond: float = 0.0
) -> Tensor:
    """Read the points off heatmaps.

    Parameters
    ----------
    heatmaps : Tensor, shape (B, H, W)
    decoder : callable
        One of `DECODERS`, or a `functools.partial` of one.
    threshold : float
        Smallest value of a maximum that is a point.
    reach_px : int
        How far the decoder's window reaches, in pixels.
    beyond : float
        Value of the window beyond the border.

    Returns
    -------
    Tensor of float64, shape (K, 4)
        Number of the image, y, x, value.
    """
    found = peaks(heatmaps, threshold, reach_px, beyond=beyond)
    place = found.pixel + decoder(found.windows).double()
    return torch.column_stack([found.image.double(), place, found.value.double()])


def dark(width_px: float) -> Callable[[Tensor], Tensor]:
    """Return DARK's decoder for heatmaps encoded with this width: low-pass filter, then `taylor`."""
    return partial(taylor, smoothing_px=width_px)


def _part(windows: Tensor, reach: int) -> Tensor:
    """Return the middle of windows."""
    middle = windows.shape[1] // 2
    return windows[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def _mean_place(mass: Tensor) -> Tensor:
    """Return the mean place under masses, relative to the middle of the window; (K, n, n) to (K, 2)."""
    reach = mass.shape[1] // 2
    axis = torch.arange(-reach, reach + 1, device=mass.device, dtype=mass.dtype)
    total = mass.sum(dim=(1, 2)).clamp(min=TINY)
    return (
        torch.stack([(mass.sum(dim=2) * axis).sum(dim=1), (mass.sum(dim=1) * axis).sum(dim=1)], dim=1) / total[:, None]
    )


def _smooth(windows: Tensor, width_px: float) -> Tensor:
    """Filter windows with a Gaussian; their ends count as dark."""
    reach = math.ceil(3 * width_px)
    axis = torch.arange(-reach, reach + 1, device=windows.device, dtype=windows.dtype)
    kernel = torch.exp(-0.5 * (axis / width_px).square())
    kernel = kernel / kernel.sum()
    smooth = functional.conv2d(windows[:, None], kernel[:, None][None, None], padding=(reach, 0))
    return functional.conv2d(smooth, kernel[None][None, None], padding=(0, reach))[:, 0]


def _residuals(at: Tensor, data: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Return data less the Gaussians, (K, n, n), and the Gaussians' slopes by their parameters, (K, 4, n, n)."""
    inverse = torch.exp(-2 * at[:, 3])[:, None, None]
    dy, dx = axis[:, None] - at[:, 1, None, None], axis - at[:, 2, None, None]
    square = dy.square() + dx.square()
    model = torch.exp(at[:, 0, None, None] - 0.5 * square * inverse)
    slopes = [model, model * dy * inverse, model * dx * inverse, model * square * inverse]
    return data - model, torch.stack(slopes, dim=1)
