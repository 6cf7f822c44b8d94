"""Pairs of neighbouring frames, spread over a movie: what its microscope is estimated from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.saturation import saturated_pixels
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames read at most, in pairs spread over the movie,
MAX_FRAMES = 1000
#: and pixels of these frames.
MAX_PIXELS = 1 << 24
#: Shortest side of frames that the filters fit on, in pixels.
MIN_SIDE_PX = 8


def sampled_pairs(n_frames: int, max_frames: int = MAX_FRAMES) -> NDArray[np.int64]:
    """Return the numbers of neighbouring frames to read, spread over a movie of two or more, shape (K, 2).

    They are at most `max_frames` frames, or `MAX_FRAMES`, or a single pair.
    """
    pairs = max(1, min(n_frames, max_frames, MAX_FRAMES) // 2)
    step = max(2, n_frames // pairs)
    first = np.arange(0, n_frames - 1, step)
    return np.column_stack([first, first + 1])[:pairs]


def sample_pairs(stack: Stack, max_pixels: int = MAX_PIXELS) -> tuple[NDArray, NDArray[np.int64]]:
    """Read pairs of neighbouring frames, or the one that there is, shape (2 K or 1, Y, X), with their numbers."""
    max_frames = max_pixels // (stack.frame_shape[0] * stack.frame_shape[1])
    numbers = sampled_pairs(stack.n_frames, max_frames) if stack.n_frames > 1 else np.zeros((1, 1), np.int64)
    parts = []
    for first in numbers[:, 0].tolist():
        parts.append(stack.read(first, min(first + 2, stack.n_frames)))
        check_finite(parts[-1], first, stack.name)
    return np.concatenate(parts), numbers.ravel()


def changes_and_light(frames: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what changes from frame to frame, with the noise of one, and the light there, both (K, Y, X)."""
    frames = np.asarray(frames)
    if (
        frames.ndim != 3
        or not (len(frames) == 1 or (len(frames) and len(frames) % 2 == 0))
        or min(frames.shape[1:]) < MIN_SIDE_PX
    ):
        raise InputError(f"expected pairs of frames of at least 8 x 8 pixels, or one, got shape {frames.shape}")
    frames = frames.astype(np.float64)
    if len(frames) == 1:
        return frames, frames
    first, second = frames[::2], frames[1::2]
    if np.array_equal(first, second):  # a movie of copies of a frame is that frame
        return first, first
    return (second - first) / np.sqrt(2), (first + second) / 2


def saturated_in_pairs(frames: NDArray, n_pairs: int) -> NDArray[np.bool_]:
    """Return which pixels are saturated in a frame of a pair, shape (K, Y, X)."""
    high = saturated_pixels(np.asarray(frames))
    return high if n_pairs == len(frames) else (high[::2] | high[1::2])[:n_pairs]
