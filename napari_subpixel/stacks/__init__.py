"""Movies: lazy (T, Y, X) frames from TIFF of every kind, folders of single frames, Zarr, and arrays."""

from __future__ import annotations

from napari_subpixel.stacks.arrays import time_axis
from napari_subpixel.stacks.growing import GrowthSnapshot, watch_growth
from napari_subpixel.stacks.opening import open_stack
from napari_subpixel.stacks.stack import Stack, check_finite

__all__ = ["GrowthSnapshot", "Stack", "check_finite", "open_stack", "time_axis", "watch_growth"]
