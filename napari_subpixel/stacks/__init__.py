"""Movies: lazy (T, Y, X) frames from TIFF of every kind, folders of single frames, Zarr, and arrays.

opening        `open_stack`: the one way to a movie, whatever it is stored in
stack          `Stack`: frames that are read only when asked for
axes           which axis is time, which types of pixels there are, and how large pixels are
selection      which image and which channel of a file
arrays         arrays of numpy, dask, Zarr or the like
tiffs          a movie in a TIFF
tiff_pages     the pages of a TIFF file, checked against its length
tiff_frames    frames read from the pages of one or many TIFF files
ome            which page of which file is which frame of an OME-TIFF
devices        what a movie's file says of the camera
folders        a folder of single-frame TIFF files
numbering      what the names of files say of their order: numbers, gaps, channels
joined         a movie that was split into several files
zarrs          Zarr arrays and OME-Zarr groups
zarr_chunks    which chunks of a Zarr array are there
growing        a movie that is still being written
writing        a movie written as OME-TIFF
"""

from __future__ import annotations

from napari_subpixel.stacks.arrays import time_axis
from napari_subpixel.stacks.growing import GrowthSnapshot, watch_growth
from napari_subpixel.stacks.joined import SplitMovie
from napari_subpixel.stacks.opening import open_stack
from napari_subpixel.stacks.stack import Stack, check_finite

__all__ = ["GrowthSnapshot", "SplitMovie", "Stack", "check_finite", "open_stack", "time_axis", "watch_growth"]
