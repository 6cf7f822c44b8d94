"""Edges of the light that do not move: of a field stop, an image splitter, dirt or a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Levels on both sides of an edge are those this far from it, in pixels,
SIDES_PX = 5
#: and the edge itself is not wider than this in both directions.
EDGE_PX = 2
#: The levels differ by at least this many standard errors,
SURE_EDGE = 12.0
#: stay as they are for this many pixels more,
FARTHER_PX = 2
#: within this share of the difference,
LEVEL_WITHIN = 0.3
#: by this share of the whole range between them, so that a bright line is no edge,
EDGE_OF_RANGE = 0.7
#: and most of it within the edge itself, so that a slope is none.
EDGE_STEEPNESS = 0.6
#: Smaller ones, in pixels, are noise.
MIN_EDGE_AREA = 8
#: Pairs of frames at most that the noise is measured in.
NOISE_PAIRS = 8


def find_static_edges(frames: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where the median of a movie over time has steps, shape (Y, X); None where nowhere.

    Parameters
    ----------
    frames : ndarray, shape (N, Y, X)
        Some frames of the movie, as `napari_subpixel.calibration.frame_sample.sampled_frames` gives them, without bad
        pixels.
    """
    if len(frames) < 2 or min(frames.shape[1:]) <= 2 * SIDES_PX:
        return None
    image = np.median(frames, axis=0).astype(np.float32)
    some = frames[:: max(1, len(frames) // NOISE_PAIRS)].astype(np.float32)
    noise = 1.4826 * float(np.median(np.abs(np.diff(some, axis=0)))) / np.sqrt(2)
    error = 1.2533 * noise / np.sqrt(len(frames)) / 3  # of a median, averaged over 3 x 3 pixels
    edges = static_edges(image, max(error, 1e-6))
    return edges if edges.any() else None


def static_edges(image: NDArray[np.float32], error: float) -> NDArray[np.bool_]:
    """Return where an image has steps: levels that differ on both sides, and change within a few pixels.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        The median of a movie over time.
    error : float
        Standard error of a pixel.
    """
    from scipy import ndimage

    smooth = ndimage.uniform_filter(np.asarray(image, np.float64), 3, mode="nearest")
    found = np.zeros(image.shape, bool)
    far = SIDES_PX + FARTHER_PX
    for axis in (0, 1):
        before, after = (_shifted(smooth, sign * SIDES_PX, axis) for sign in (-1, 1))
        step = np.abs(after - before)
        within = LEVEL_WITHIN * step
        window = [2 * SIDES_PX + 1 if k == axis else 1 for k in (0, 1)]
        extent = ndimage.maximum_filter(smooth, window) - ndimage.minimum_filter(smooth, window)
        is_edge = (
            (step > SURE_EDGE * error)
            & (step > EDGE_OF_RANGE * extent)
            & (np.abs(_shifted(smooth, EDGE_PX, axis) - _shifted(smooth, -EDGE_PX, axis)) > EDGE_STEEPNESS * step)
            & (np.abs(_shifted(smooth, -far, axis) - before) < within)
            & (np.abs(_shifted(smooth, far, axis) - after) < within)
        )
        of_axis = np.moveaxis(is_edge, axis, 0)
        of_axis[:SIDES_PX] = of_axis[-SIDES_PX:] = False  # there is no level on one side
        found |= is_edge
    labels, n = ndimage.label(found, np.ones((3, 3), int))
    return np.isin(labels, np.flatnonzero(np.bincount(labels.ravel(), minlength=n + 1)[1:] >= MIN_EDGE_AREA) + 1)


def _shifted(image: NDArray[np.float64], distance: int, axis: int) -> NDArray[np.float64]:
    """Return the values that far after every pixel along an axis; those of the border beyond it."""
    n = image.shape[axis]
    return image.take((np.arange(n) + distance).clip(0, n - 1), axis)
