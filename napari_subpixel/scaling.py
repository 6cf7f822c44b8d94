"""What a model wants its input to be: photons, or every frame stretched from its own minimum to its maximum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def minmax(frames: NDArray) -> NDArray[np.float32]:
    """Scale every frame from its own minimum to its maximum, to 0..1; a constant frame becomes 0.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X)
        Whole frames: scale before cutting into tiles.

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
    """
    frames = np.asarray(frames)
    low = frames.min(axis=(1, 2), keepdims=True).astype(np.float64)
    span = frames.max(axis=(1, 2), keepdims=True) - low
    return ((frames - low) / np.where(span > 0, span, 1.0)).astype(np.float32)


def is_constant(frames: NDArray) -> NDArray[np.bool_]:
    """Say which frames hold one value only, and so no molecule; shape (T, Y, X) to (T,)."""
    return np.asarray(frames).max(axis=(1, 2)) == np.asarray(frames).min(axis=(1, 2))


#: What frames can be turned into, by the name that a model's card gives.
SCALINGS = {"minmax": minmax}
