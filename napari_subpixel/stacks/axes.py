"""Which axis of a movie is time, which numbers it may hold, and how large its pixels are."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from napari_subpixel.coordinates import PLAUSIBLE_PIXEL_NM
from napari_subpixel.errors import AxesError, ChannelsError, InputError

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


#: Pixels that a frame can have: more than of any camera.
MAX_FRAME_PIXELS = 1 << 28


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
    check_shape(name, tuple(shape[i] for i in order))
    return positions


def check_shape(name: str, shape: Sequence[int]) -> None:
    """Raise `InputError` where a shape (T, Y, X) or (Y, X) has no frames, no pixels, or more than any camera."""
    if 0 in shape[-2:]:
        raise InputError(f"{name}: the frames have no pixels: shape {tuple(shape)}")
    if 0 in shape:
        raise InputError(f"{name}: the movie has no frames: shape {tuple(shape)}")
    height, width = shape[-2:]
    if height * width > MAX_FRAME_PIXELS:
        raise InputError(f"{name}: frames of {height:,} x {width:,} pixels, which no camera takes: the file is damaged")


def checked_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Return the type in this machine's byte order, or raise `InputError` if it is not a real number."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf":
        raise InputError(f"{name}: pixels must be real numbers, got {dtype}")
    return dtype.newbyteorder("=")


def pixel_size_from(value: float | str | None, unit: str | None) -> float | None:
    r"""Convert a length in a file's unit to nm; None where the unit is unknown or it cannot be a camera's pixel.

    Parameters
    ----------
    value : float or str or None
        The length; as text it may have a decimal comma.
    unit : str or None
        However programs spell it, escapes such as ``\\u00b5m`` included.

    Examples
    --------
    >>> pixel_size_from(0.1, "micron")
    100.0
    >>> pixel_size_from("0,108", "um")
    108.0
    >>> pixel_size_from(1 / 72, "inch") is None
    True
    """
    nm_per_unit = NM_PER_UNIT.get(_plain_unit(unit or ""))
    number = _number(value)
    if number is None or nm_per_unit is None:
        return None
    # Twelve digits are kept, so that 0.1 micrometre is 100 nm and not the next number.
    size_nm = float(f"{number * nm_per_unit:.12g}")
    return size_nm if PLAUSIBLE_PIXEL_NM[0] <= size_nm <= PLAUSIBLE_PIXEL_NM[1] else None


def pixel_sizes_from(
    y: float | str | None, y_unit: str | None, x: float | str | None, x_unit: str | None
) -> tuple[float, float] | float | None:
    """Convert height and width of a pixel to nm as `pixel_size_from` does.

    Parameters
    ----------
    y, x : float or str or None
        Its height and width.
    y_unit, x_unit : str or None
        Their units.

    Returns
    -------
    (float, float) or float or None
        Both in nm; one number where the width alone is known, None where it is not.
    """
    height, width = pixel_size_from(y, y_unit), pixel_size_from(x, x_unit)
    return (height, width) if height is not None and width is not None else width


def _number(value: float | str | None) -> float | None:
    if isinstance(value, str):
        value = value.strip()
        value = value.replace(",", ".") if "." not in value else value
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _plain_unit(unit: str) -> str:
    """Return a unit in lower case with its micro sign mended, which files escape or store in the wrong encoding."""
    unit = re.sub(
        r"\\+u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), unit.strip().strip("\0"), flags=re.IGNORECASE
    )
    unit = html.unescape(unit).strip().lower()
    # UTF-8 that was read as Latin-1, a sign that could not be read, and its spelling in words.
    return re.sub("^(\u00e2\u00b5|\u00ee\u00bc|\ufffd+|\u03bc|mu)(?=m$)", "\u00b5", unit)


# -- channels ---------------------------------------------------------------------------------------------------------


def channel_axis(axes: str, shape: Sequence[int]) -> int | None:
    """Return which axis counts channels; None where there is one channel, or channels are the only axis, thus time."""
    c = axes.find("C")
    others = any(n > 1 for axis, n in zip(axes, shape, strict=True) if axis not in "CYX")
    return c if c >= 0 and shape[c] > 1 and others else None


def chosen_channel(
    name: str, axes: str, shape: Sequence[int], channel: int | str | None, names: Sequence[str] = ()
) -> tuple[int, int] | None:
    """Return the axis of channels and which of them is meant; None where there is only one and none was chosen.

    Parameters
    ----------
    name : str
        The movie, for messages.
    axes : str
        A letter for every axis.
    shape : sequence of int
        Their lengths.
    channel : int or str or None
        Number of the channel, counted from 0, or its name.
    names : sequence of str
        Names of the channels, as far as the file has them.

    Raises
    ------
    ChannelsError
        If there are several and none was chosen.
    InputError
        If there is no such channel.
    """
    axis = channel_axis(axes, shape)
    if channel is None:
        if axis is None:
            return None
        raise ChannelsError(
            f"{name}: expected a (T, Y, X) movie, got axes {axes} of shape {tuple(shape)}: "
            f"{shape[axis]} channels, {_listed(shape[axis], names)}"
        )
    axis = axis if axis is not None else axes.find("C")
    n = shape[axis] if axis >= 0 else 1
    number = channel_number(name, channel, n, names)
    return (axis, number) if axis >= 0 else None


def channel_number(name: str, channel: int | str, n: int, names: Sequence[str]) -> int:
    """Return the number of a channel that was given as a number, or as text: its name or its number.

    Parameters
    ----------
    name : str
        The movie, for messages.
    channel : int or str
    n : int
        How many there are.
    names : sequence of str
        Their names, as far as they are known.
    """
    known = [each.lower() for each in names]
    if isinstance(channel, str) and known.count(channel.strip().lower()) == 1:
        return known.index(channel.strip().lower())
    number = int(channel) if str(channel).strip().isdecimal() else -1
    if not 0 <= number < n:
        many = f"the movie has {n}, {_listed(n, names)}" if n > 1 else "the movie has 1, counted from 0"
        raise InputError(f"{name}: channel {channel!r} asked for, {many}")
    return number


def _listed(n: int, names: Sequence[str]) -> str:
    """List channels by number, and name where they have one."""
    return ", ".join(f"{i} {names[i]!r}" if i < len(names) and names[i] else str(i) for i in range(n))
