"""Which axis of a movie is time, which numbers it may hold, and how large its pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from napari_subpixel.coordinates import PLAUSIBLE_PIXEL_NM
from napari_subpixel.errors import AxesError, InputError

#: Lengths in nm that files name, in lower case; the two signs for micro are different characters.
NM_PER_UNIT = {
    **dict.fromkeys(("nm", "nanometer", "nanometre", "nanometers", "nanometres"), 1.0),
    **dict.fromkeys(("\u00b5m", "\u03bcm", "um", "micron", "microns"), 1e3),
    **dict.fromkeys(("micrometer", "micrometre", "micrometers", "micrometres"), 1e3),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1e6),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 1e7),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1e9),
    **dict.fromkeys(("\u00e5", "\u212b", "angstrom"), 0.1),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-3),
    **dict.fromkeys(("in", "inch", "inches"), 2.54e7),
}


class FrameAxes(NamedTuple):
    """Positions of the axes of a movie in an array; `time` is None where there is a single frame."""

    time: int | None
    y: int
    x: int


def frame_axes(name: str, axes: str, shape: Sequence[int]) -> FrameAxes:
    """Find time, y and x among named axes: the one further axis longer than 1, whatever its name, is time.

    Parameters
    ----------
    name : str
        The movie, for messages.
    axes : str
        A letter for every axis, in order; S are the samples of a pixel (RGB).
    shape : sequence of int
        Their lengths.

    Raises
    ------
    AxesError
        If the pixels have colours, or there are two further axes or more.
    InputError
        If y or x are missing, time is not the first axis, or there is nothing in one of them.

    Examples
    --------
    >>> frame_axes("movie", "TZCYX", (1, 50, 1, 30, 40))
    FrameAxes(time=1, y=3, x=4)
    """
    shape = tuple(int(n) for n in shape)
    described = f"axes {axes} of shape {shape}"
    further = [i for i, axis in enumerate(axes) if axis not in "YX" and shape[i] != 1]
    if any(axes[i] == "S" for i in further):
        raise AxesError(f"{name}: a colour (RGB) movie, expected one number per pixel (T, Y, X); got {described}")
    if len(further) > 1:
        raise AxesError(f"{name}: expected a (T, Y, X) movie, got {described}: save one movie per file")
    if axes.count("Y") != 1 or axes.count("X") != 1:
        raise InputError(f"{name}: expected a (T, Y, X) movie, got {described}")
    positions = FrameAxes(further[0] if further else None, axes.index("Y"), axes.index("X"))
    order = [i for i in positions if i is not None]
    if order != sorted(order):
        raise InputError(f"{name}: expected the order (T, Y, X), got {described}")
    check_not_empty(name, tuple(shape[i] for i in order))
    return positions


def check_not_empty(name: str, shape: Sequence[int]) -> None:
    """Raise `InputError` where a shape (T, Y, X) or (Y, X) has no frames or no pixels."""
    if 0 in shape[-2:]:
        raise InputError(f"{name}: the frames have no pixels: shape {tuple(shape)}")
    if 0 in shape:
        raise InputError(f"{name}: the movie has no frames: shape {tuple(shape)}")


def checked_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type in this machine's byte order, or raise `InputError` if it is not a real number."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf":
        raise InputError(f"{name}: pixels must be real numbers, got {dtype}")
    return dtype.newbyteorder("=")


def pixel_size_from(value: float | None, unit: str | None) -> float | None:
    """Convert a length in a file's unit to nm; None where the unit is unknown or it cannot be a camera's pixel.

    Examples
    --------
    >>> pixel_size_from(0.1, "micron")
    100.0
    >>> pixel_size_from(1 / 72, "inch") is None
    True
    """
    nm_per_unit = NM_PER_UNIT.get((unit or "").strip().lower())
    if value is None or nm_per_unit is None:
        return None
    # Twelve digits are kept, so that 0.1 micrometre is 100 nm and not the next number.
    size_nm = float(f"{value * nm_per_unit:.12g}")
    return size_nm if PLAUSIBLE_PIXEL_NM[0] <= size_nm <= PLAUSIBLE_PIXEL_NM[1] else None
