"""The pixel convention: the one place where half pixels, pixels and nanometres are converted.

Inside the program the centre of the first pixel is (0, 0) and its outer corner (-0.5, -0.5); axes are (y, x). Files
have other conventions, each described by one number: the coordinate, in pixels, that the file gives to the centre of
the first pixel (0.5 where positions are measured from the outer corner, 1 where pixels are counted from one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.errors import InputError, shown

#: Half the width of a pixel: the distance from its centre to its edge, in pixels.
HALF_PIXEL = 0.5
#: First pixel's centre, in pixels, where a file measures from the outer corner (ThunderSTORM, SMLM challenge).
CENTRE_FROM_CORNER = HALF_PIXEL
#: First pixel's centre, in pixels, where a file counts pixels from zero at their centres (Picasso, napari).
CENTRE_AT_ZERO = 0.0
#: Range of a camera pixel in the sample, in nm; metadata outside of it are a printer's resolution or a default.
PLAUSIBLE_PIXEL_NM = (1.0, 10_000.0)
#: A given pixel size that differs by more than this share from the known one is reported.
MAX_SIZE_DIFFERENCE = 0.05
#: What a length that is too small or too large was perhaps meant to be multiplied by, to be in nm: um, m and pm.
OTHER_UNITS = (1e3, 1e9, 1e-3)
#: Most that a camera's pixels, binned or not, are longer one way than the other; beyond, the pair is a decimal comma.
PLAUSIBLE_PIXEL_RATIO = 3.5
#: Width of a square pixel in nm, or (height, width) of one that is not square.
PixelSize = float | tuple[float, float]
#: A rectangle of the frame, ((y0, y1), (x0, x1)) in whole pixels, the ends excluded.
Roi = tuple[tuple[int, int], tuple[int, int]]


def px_to_nm(px: ArrayLike, pixel_size_nm: float, *, first_centre_px: float) -> NDArray[np.float64]:
    """Convert positions along an axis in pixels to a file's nanometres.

    Parameters
    ----------
    px : array_like
        Positions in pixels, the first pixel's centre at 0.
    pixel_size_nm : float
        Length of a pixel along this axis, in nm.
    first_centre_px : float
        Where the file puts the centre of the first pixel, in pixels.

    Returns
    -------
    ndarray of float64
        Positions in nm.

    Raises
    ------
    InputError
        If the pixel size is not positive and finite.

    Examples
    --------
    >>> float(px_to_nm(0, 100, first_centre_px=CENTRE_FROM_CORNER))
    50.0
    """
    return (np.asarray(px, dtype=np.float64) + first_centre_px) * checked_length(pixel_size_nm)


def nm_to_px(nm: ArrayLike, pixel_size_nm: float, *, first_centre_px: float) -> NDArray[np.float64]:
    """Convert a file's nanometres to positions along an axis in pixels; the inverse of `px_to_nm`.

    Parameters
    ----------
    nm : array_like
        Positions in nm.
    pixel_size_nm : float
        Length of a pixel along this axis, in nm.
    first_centre_px : float
        Where the file puts the centre of the first pixel, in pixels.

    Returns
    -------
    ndarray of float64
        Positions in pixels, the first pixel's centre at 0.

    Raises
    ------
    InputError
        If the pixel size is not positive and finite.

    Examples
    --------
    >>> float(nm_to_px(50, 100, first_centre_px=CENTRE_FROM_CORNER))
    0.0
    """
    return np.asarray(nm, dtype=np.float64) / checked_length(pixel_size_nm) - first_centre_px


def home_pixel(px: ArrayLike) -> NDArray[np.int64]:
    """Return the index of the pixel in which each position lies; a pixel owns its lower edge.

    Examples
    --------
    >>> home_pixel([-0.5, 0.49, 0.5]).tolist()
    [0, 0, 1]
    """
    return whole_pixel(np.asarray(px, dtype=np.float64)).astype(np.int64)


def whole_pixel(px: Any) -> Any:
    """Return the index of the pixel in which a position lies as a floating-point number; compiled loops use it too."""
    whole = np.floor(px)
    # Not floor(px + 1/2), whose sum rounds the last number below 1/2 up to 1.
    return whole + (px - whole >= HALF_PIXEL)


def within_frame(
    y: ArrayLike, x: ArrayLike, shape: tuple[int, int], *, border_px: float | tuple[float, float] = 0.0
) -> NDArray[np.bool_]:
    """Say which positions lie on the frame.

    Parameters
    ----------
    y, x : array_like, shape (N,)
        Positions in pixels.
    shape : (int, int)
        (height, width) of the frame, in pixels.
    border_px : float or (float, float)
        How far inside the frame's outer edge they must lie, in pixels; along y and x where these differ.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    y, x = np.asarray(y), np.asarray(x)
    border_y, border_x = border_px if isinstance(border_px, tuple) else (border_px, border_px)
    in_rows = (y >= border_y - HALF_PIXEL) & (y < shape[0] - HALF_PIXEL - border_y)
    return in_rows & (x >= border_x - HALF_PIXEL) & (x < shape[1] - HALF_PIXEL - border_x)


def within_roi(y: ArrayLike, x: ArrayLike, roi: Roi) -> NDArray[np.bool_]:
    """Say which positions lie on the pixels of a region.

    Parameters
    ----------
    y, x : array_like, shape (N,)
        Positions in pixels.
    roi : Roi
        ((y0, y1), (x0, x1)) in whole pixels, the ends excluded.

    Returns
    -------
    ndarray of bool, shape (N,)

    Examples
    --------
    >>> within_roi([1.4, 1.6, 3.6], [0.0, 0.0, 0.0], ((2, 4), (0, 9))).tolist()
    [False, True, False]
    """
    (y0, y1), (x0, x1) = roi
    row, column = home_pixel(y), home_pixel(x)
    return (row >= y0) & (row < y1) & (column >= x0) & (column < x1)


def checked_pixel_size(pixel_size_nm: Any) -> PixelSize:
    """Return a pixel size, a pair of equal numbers as one; raise `InputError` if it is not positive and finite.

    Examples
    --------
    >>> checked_pixel_size(100), checked_pixel_size([120, 100]), checked_pixel_size((100, 100))
    (100.0, (120.0, 100.0), 100.0)
    """
    if isinstance(pixel_size_nm, (list, tuple, np.ndarray)) and np.shape(pixel_size_nm) == (2,):
        height, width = (checked_length(length) for length in pixel_size_nm)
        return width if height == width else (height, width)
    return checked_length(pixel_size_nm)


def checked_length(length_nm: Any) -> float:
    """Return the length of a pixel in nm as a number; raise `InputError` if it is not positive and finite."""
    try:
        if isinstance(length_nm, (bool, np.bool_, str, bytes)):
            raise TypeError
        value = float(length_nm)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"pixel size must be a number in nm, got {shown(length_nm)}") from None
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"pixel size must be positive and finite, got {value:g} nm")
    return value


def pixel_size_yx(pixel_size_nm: PixelSize) -> tuple[float, float]:
    """Return height and width of a pixel in nm.

    Examples
    --------
    >>> pixel_size_yx(100.0), pixel_size_yx((120.0, 100.0))
    ((100.0, 100.0), (120.0, 100.0))
    """
    return pixel_size_nm if isinstance(pixel_size_nm, tuple) else (pixel_size_nm, pixel_size_nm)


def mean_pixel_size(pixel_size_nm: PixelSize) -> float:
    """Return the side, in nm, of the square pixel of the same area.

    Examples
    --------
    >>> mean_pixel_size(100.0), mean_pixel_size((160.0, 90.0))
    (100.0, 120.0)
    """
    return math.sqrt(math.prod(pixel_size_nm)) if isinstance(pixel_size_nm, tuple) else pixel_size_nm


def pixel_length(axis: str, pixel_size_nm: PixelSize) -> float:
    """Return the length of a pixel in nm along ``"y"`` or ``"x"``; for a length in no direction, the mean.

    Parameters
    ----------
    axis : str
        An axis, or the name of a column that begins with it, such as ``"x_uncertainty"``; any other is no direction.
    pixel_size_nm : float or (float, float)

    Examples
    --------
    >>> [pixel_length(name, (160.0, 90.0)) for name in ("y", "x_uncertainty", "sigma")]
    [160.0, 90.0, 120.0]
    """
    height, width = pixel_size_yx(pixel_size_nm)
    if axis in ("y", "x") or axis[:2] in ("y_", "x_"):
        return height if axis[0] == "y" else width
    return mean_pixel_size(pixel_size_nm)


def pixel_ratio(pixel_size_nm: PixelSize) -> float:
    """Return the longer side of a pixel over the shorter one: 1 for a square."""
    low, high = sorted(pixel_size_yx(pixel_size_nm))
    return high / low


def pixel_size_text(pixel_size_nm: PixelSize) -> str:
    """Return a pixel size for messages, one that is not square as height and width.

    Examples
    --------
    >>> pixel_size_text(100.0), pixel_size_text((120.0, 100.0))
    ('100 nm', '120 x 100 nm (height x width)')
    """
    if isinstance(pixel_size_nm, tuple):
        return "{:g} x {:g} nm (height x width)".format(*pixel_size_nm)
    return f"{pixel_size_nm:g} nm"


def same_pixel_size(one: PixelSize, other: PixelSize, *, within: float) -> bool:
    """Say whether two pixel sizes differ by at most this share of the larger, in height and in width."""
    pairs = zip(pixel_size_yx(one), pixel_size_yx(other), strict=True)
    return all(abs(a - b) <= within * max(a, b) for a, b in pairs)


def pixel_size_misfit(given: PixelSize | None, known: PixelSize | None, of: str) -> str:
    """Return that a given pixel size is not the known one, or an empty string where both are alike or not there.

    Parameters
    ----------
    given, known : float or (float, float), optional
        In nm.
    of : str
        What the known one is that of.

    Examples
    --------
    >>> pixel_size_misfit(100.0, 160.0, "the table")
    'the given pixel size is 100 nm, that of the table 160 nm'
    """
    if given is None or known is None or same_pixel_size(given, known, within=MAX_SIZE_DIFFERENCE):
        return ""
    return f"the given pixel size is {pixel_size_text(given)}, that of {of} {pixel_size_text(known)}"


def yx_to_nm(yx: ArrayLike, pixel_size_nm: PixelSize) -> NDArray[np.float64]:
    """Convert positions or lengths (y, x) in pixels, shape (..., 2), to nm; the first pixel's centre is at 0.

    Examples
    --------
    >>> yx_to_nm([[1.0, 2.0]], (120.0, 100.0)).tolist()
    [[120.0, 200.0]]
    """
    return np.asarray(yx, dtype=np.float64) * pixel_size_yx(pixel_size_nm)


def yx_to_px(yx_nm: ArrayLike, pixel_size_nm: PixelSize) -> NDArray[np.float64]:
    """Convert positions or lengths (y, x) in nm to pixels; the inverse of `yx_to_nm`."""
    return np.asarray(yx_nm, dtype=np.float64) / pixel_size_yx(pixel_size_nm)


def meant_nm(value_nm: float, plausible_nm: tuple[float, float]) -> str:
    """Return ``": did you mean 108?"`` for a length that is plausible in another unit, or an empty string.

    Examples
    --------
    >>> meant_nm(0.108, PLAUSIBLE_PIXEL_NM), meant_nm(1e20, PLAUSIBLE_PIXEL_NM)
    (': did you mean 108?', '')
    """
    low, high = plausible_nm
    meant = next((value_nm * factor for factor in OTHER_UNITS if low <= value_nm * factor <= high), None)
    return "" if meant is None else f": did you mean {meant:.6g}?"


def checked_frame_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) as two integers, or raise `InputError` if they are not positive whole numbers."""
    try:
        height, width = (int(n) for n in shape)
        good = (height, width) == tuple(shape) and min(height, width) >= 1
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise InputError(f"frame shape must be two positive whole numbers (height, width), got {shape}")
    return height, width


def checked_roi(roi: Roi | None, frame_shape: tuple[int, int]) -> Roi:
    """Return the region, or the whole frame for None; raise `InputError` if it is empty or leaves the frame."""
    if roi is None:
        return (0, frame_shape[0]), (0, frame_shape[1])
    for (start, stop), size, axis in zip(roi, frame_shape, "yx", strict=True):
        if not 0 <= start < stop <= size:
            raise InputError(f"region of interest: {axis} {start}:{stop} does not lie within 0:{size}")
    return roi
