"""What moves with the stage: the drift of a sample, and the fiducials on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_subpixel.coordinates import HALF_PIXEL

#: A stage drifts smoothly over this share of the movie.
SMOOTH_SHARE = 0.01
#: Fiducials lie this share of the frame's sides inside its edges.
EDGE_SHARE = 0.1


def random_drift(n_frames: int, rms: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a smooth random walk of a stage.

    Parameters
    ----------
    n_frames : int
    rms : float
        Standard deviation, along an axis and over movies, of the drift from the first frame to the last.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (n_frames, 2)
        Along y and x, in the unit of `rms`; 0 in the first frame.
    """
    walk = np.cumsum(rng.normal(scale=rms / np.sqrt(n_frames), size=(n_frames, 2)), axis=0)
    smooth = gaussian_filter1d(walk, max(SMOOTH_SHARE * n_frames, 1.0), axis=0, mode="nearest")
    return smooth - smooth[0]


def place_fiducials(n: int, frame_shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where fiducials lie: anywhere but near the edges.

    Parameters
    ----------
    n : int
    frame_shape : (int, int)
        (height, width) of the frames, in pixels.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Positions (y, x) in pixels.
    """
    return rng.uniform(EDGE_SHARE, 1 - EDGE_SHARE, (n, 2)) * np.array(frame_shape) - HALF_PIXEL
