"""Single frames spread over a movie: what the state of its pixels is found from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack

#: Frames that are read at most,
MAX_FRAMES = 50
#: and at least, where they are large,
MIN_LARGE_FRAMES = 16
#: that is, where `MAX_FRAMES` of them have more than this many pixels.
MAX_PIXELS = 1 << 24


def sampled_frames(stack: Stack) -> NDArray[Any]:
    """Return some frames of a movie, spread evenly, shape (N, Y, X).

    Those that cannot be read, or hold values that are not finite, are left out: detection refuses them in its time.

    Parameters
    ----------
    stack : Stack
    """
    pixels = max(stack.frame_shape[0] * stack.frame_shape[1], 1)
    number = min(stack.n_frames, MAX_FRAMES, max(MAX_PIXELS // pixels, MIN_LARGE_FRAMES))
    frames = []
    for frame in ((np.arange(number) + 0.5) * stack.n_frames / max(number, 1)).astype(int).tolist():
        try:
            image = stack[frame]
        except InputError:
            continue
        if image.dtype.kind != "f" or np.isfinite(image).all():
            frames.append(image)
    return np.stack(frames) if frames else np.empty((0, *stack.frame_shape), stack.dtype)
