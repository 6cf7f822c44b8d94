"""How many frames are read, detected and kept at once."""

from __future__ import annotations

from typing import NamedTuple

from napari_subpixel.localizations import Localizations

#: Pixels of a chunk of frames, the unit that is read and kept. How many frames that are follows from their shape
#: alone, so that every run over a movie has the same chunks.
CHUNK_PIXELS = 1 << 21
#: Pixels of a piece of a chunk, the unit that is detected.
PIECE_PIXELS = 1 << 18
#: Frames of a piece at least, where a chunk holds that many: sparse frames have few squares each.
MIN_PIECE_FRAMES = 8


class Chunk(NamedTuple):
    """The molecules of the frames `start` up to but without `stop`."""

    start: int
    stop: int
    table: Localizations


def chunk_frames(frame_shape: tuple[int, int], chunk_pixels: int | None = None) -> int:
    """Return how many frames make a chunk; `CHUNK_PIXELS` counts where `chunk_pixels` is not given."""
    height, width = frame_shape
    return max(1, (chunk_pixels or CHUNK_PIXELS) // (height * width))


def piece_frames(frame_shape: tuple[int, int], frames_of_chunk: int) -> int:
    """Return how many frames make a piece of a chunk of `frames_of_chunk` frames."""
    height, width = frame_shape
    return max(PIECE_PIXELS // (height * width), min(MIN_PIECE_FRAMES, frames_of_chunk))
