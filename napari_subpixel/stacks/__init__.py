"""Movies: lazy (T, Y, X) frames from TIFF of every kind, folders of single frames, Zarr, and arrays."""

from __future__ import annotations

from napari_subpixel.stacks.arrays import time_axis
from napari_subpixel.stacks.growing import Look, looks_at
from napari_subpixel.stacks.opening import open_stack
from napari_subpixel.stacks.stack import Stack, check_finite

__all__ = ["Look", "Stack", "check_finite", "looks_at", "open_stack", "time_axis"]
