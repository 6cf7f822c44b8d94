"""What is drawn on a picture: its scale bar and its colour bar, with their numbers in a font of five by seven dots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel.errors import InputError

#: Pictures whose shorter side is less, in pixels, get no numbers and no colour bar.
LEAST_SIDE_PX = 200
#: A dot of the font is one pixel wide in pictures whose shorter side is up to twice this, and more in larger ones.
DOT_SHARE_PX = 320
#: Behind numbers the picture is this much darker.
DIMMED = 0.3
#: Width of the colour bar, as a share of the picture's.
COLOUR_BAR_SHARE = 0.2
#: Each sign: seven rows of five dots, the highest bit to the left.
FONT = {
    "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E", "4": "02060A121F0202",
    "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C",
    ".": "00000000000C0C", ",": "000000000C0408", "-": "0000001F000000", "+": "0004041F040400", "e": "00000E111F100E",
    "n": "00001619111111", "m": "00001A15151111", "\xb5": "00001111131D10", " ": "00000000000000",
}  # fmt: skip


def length_text(length_nm: float) -> str:
    """Return a length as a scale bar has it.

    Examples
    --------
    >>> length_text(500), length_text(2000)
    ('500 nm', '2 µm')
    """
    return f"{length_nm / 1000:g} \xb5m" if length_nm >= 1000 else f"{length_nm:g} nm"


def text_dots(text: str) -> NDArray[np.bool_]:
    """Return a text in dots, shape (7, 6 * len(text) - 1); signs that the font lacks are blank.

    Examples
    --------
    >>> for row in text_dots("17"):
    ...     print("".join(".#"[int(dot)] for dot in row))
    ..#...#####
    .##.......#
    ..#......#.
    ..#.....#..
    ..#....#...
    ..#....#...
    .###...#...
    """
    dots = np.zeros((7, 6 * len(text)), np.bool_)
    for k, sign in enumerate(text):
        rows = bytes.fromhex(FONT.get(sign, FONT[" "]))
        dots[:, 6 * k : 6 * k + 5] = [[bool(row >> (4 - bit) & 1) for bit in range(5)] for row in rows]
    return dots[:, :-1]


def draw_scale_bar(picture: NDArray[np.uint8], length_nm: float, pixel_size_nm: float) -> None:
    """Draw a white bar into the lower right corner, with its length where the picture is large enough.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
    length_nm, pixel_size_nm : float

    Raises
    ------
    InputError
        If the bar does not fit.
    """
    height, width, _ = picture.shape
    length = round(records.number("preview", "scale_bar_nm", length_nm) / pixel_size_nm)
    thickness = _thickness(picture)
    margin = _margin(picture)
    if length < 1 or length + 2 * margin > width or thickness + 2 * margin > height:
        raise InputError(f"a scale bar of {length_nm:g} nm does not fit a picture of {height} x {width} pixels")
    top, left = height - margin - thickness, width - margin - length
    if min(height, width) >= LEAST_SIDE_PX:
        text = length_text(length_nm)
        across = left + (length - _width(picture, text)) // 2
        _write(picture, text, top - thickness - _height(picture), min(across, width - margin - _width(picture, text)))
    picture[top : top + thickness, left : left + length] = 255


def draw_colour_bar(picture: NDArray[np.uint8], colours: NDArray[np.float64], value_range: tuple[float, float]) -> None:
    """Draw the colours into the lower left corner, with the numbers of the first and of the last.

    A picture that is too small for them stays as it is.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
    colours : ndarray of float64, shape (n, 3)
        From the first to the last, from 0 to 1.
    value_range : (float, float)
        Their quantities.
    """
    height, width, _ = picture.shape
    if min(height, width) < LEAST_SIDE_PX:
        return
    margin, thickness = _margin(picture), 2 * _thickness(picture)
    first, last = (f"{value:.4g}" for value in value_range)
    length = max(round(COLOUR_BAR_SHARE * width), _width(picture, f"{first} {last}"))
    top = height - margin - thickness
    over = top - thickness // 2 - _height(picture)
    _write(picture, first, over, margin)
    _write(picture, last, over, margin + length - _width(picture, last))
    shown = colours[np.arange(length) * (len(colours) - 1) // (length - 1)]
    picture[top : top + thickness, margin : margin + length] = np.rint(255 * shown).astype(np.uint8)


def _write(picture: NDArray[np.uint8], text: str, top: int, left: int) -> None:
    """Write a text in white on a darker ground."""
    dot = _dot(picture)
    dots = np.kron(text_dots(text), np.ones((dot, dot), np.bool_))
    ground: Any = picture[max(top - dot, 0) : top + len(dots) + dot, max(left - dot, 0) : left + dots.shape[1] + dot]
    ground[:] = (ground * DIMMED).astype(np.uint8)
    picture[top : top + len(dots), left : left + dots.shape[1]][dots] = 255


def _dot(picture: NDArray[np.uint8]) -> int:
    return max(1, min(picture.shape[:2]) // DOT_SHARE_PX)


def _thickness(picture: NDArray[np.uint8]) -> int:
    return max(1, min(picture.shape[:2]) // 100)


def _width(picture: NDArray[np.uint8], text: str) -> int:
    return (6 * len(text) - 1) * _dot(picture)


def _height(picture: NDArray[np.uint8]) -> int:
    return 7 * _dot(picture)


def _margin(picture: NDArray[np.uint8]) -> int:
    return max(2, min(picture.shape[:2]) // 40)
