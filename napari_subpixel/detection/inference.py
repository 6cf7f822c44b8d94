"""A network on its device: crops of scaled frames in, points out."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.detection.points import ClassifiedPoints, MeasuredPoints, Points

if TYPE_CHECKING:
    from napari_subpixel.detection.tiling import Crops
    from napari_subpixel.models.pixel_network import PixelNetwork, Predictions

#: One thread at a time uses a GPU: cuDNN's flags are global to the program, and MPS does not allow more.
_GPU = threading.Lock()


def predict_points(network: PixelNetwork, device: torch.device, crops: Crops, min_probability: float) -> Points:
    """Return the points of crops that reach a probability.

    Parameters
    ----------
    network : PixelNetwork
        On the device.
    device : torch.device
    crops : Crops
    min_probability : float

    Returns
    -------
    Points
        In coordinates of whole frames; `MeasuredPoints` of a network that measures them, `ClassifiedPoints` of one
        that knows several classes.

    Raises
    ------
    MemoryError
        If the device's memory is used up.
    """
    min_logit = math.log(min_probability / (1 - min_probability))
    with torch.inference_mode(), _full_precision(device):
        pixels = torch.from_numpy(np.ascontiguousarray(crops.pixels)).to(device)
        mask = None if crops.mask is None else torch.from_numpy(crops.mask).to(device)
        try:
            predicted = network.predictions_above(pixels, crops.rows, crops.columns, min_logit, mask)
            return _points(*predicted, min_logit, crops.origin)
        except torch.OutOfMemoryError:
            raise MemoryError from None


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Keep a GPU from TensorFloat-32, which would move points by more than 0.001 px against the CPU."""
    if device.type == "cpu":
        yield
        return
    with _GPU:
        if device.type != "cuda":
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield


def _points(pixels: Tensor, out: Predictions, min_logit: float, origin: NDArray[np.int64]) -> Points:
    """Return the points from a logit on.

    The pixels are (K, 3): crop, row and column; `out` is what they predict, (1, n, ..., K, 1); `origin` is (B, 3).
    """
    best, class_index = out.logits[0, ..., 0].max(dim=1)  # (n, K)
    n, k = torch.nonzero(best >= min_logit, as_tuple=True)
    crop, *pixel = pixels[k].cpu().numpy().T
    y, x = (
        pixel[axis].astype(np.float64) + _exact(out.offsets[0, n, axis, k, 0]) + origin[crop, 1 + axis]
        for axis in range(2)
    )
    frame, probability = origin[crop, 0], _exact(best[n, k], torch.sigmoid)
    if out.log_uncertainty is None or out.log_light is None or out.background is None:
        if out.logits.shape[2] == 1:
            return Points(frame, y, x, probability)
        return ClassifiedPoints(frame, y, x, probability, class_index[n, k].cpu().numpy())
    return MeasuredPoints(
        frame,
        y,
        x,
        probability,
        molecule_counts=_exact(out.log_light[0, n, 0, k, 0], torch.exp),
        background_counts=_exact(out.background[0, k, 0]),
        y_uncertainty=_exact(out.log_uncertainty[0, n, 0, k, 0], torch.exp),
        x_uncertainty=_exact(out.log_uncertainty[0, n, 1, k, 0], torch.exp),
    )


def _exact(numbers: Tensor, function: Callable[[Tensor], Tensor] | None = None) -> NDArray[np.float64]:
    """Return numbers, or a function of them, in double precision, which some GPUs do not have."""
    numbers = numbers.cpu().double()
    return (numbers if function is None else function(numbers)).numpy()
