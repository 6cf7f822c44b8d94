"""A scale bar on a picture, and next to it a bar of its colours with their numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QBuffer, QIODevice, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from napari_subpixel.errors import InputError
from napari_subpixel.rendering.marks import length_text

#: Height of letters, as a share of the picture's shorter side,
LETTERS_SHARE = 1 / 36
#: and at least, in pixels.
LEAST_LETTERS_PX = 11
#: Height of a picture with marks, at least, in pixels: a lower one is drawn on black.
LEAST_HEIGHT_PX = 96
#: Numbers along a bar of colours.
N_NUMBERS = 5


class ColourBar(NamedTuple):
    """What the colours of a picture mean.

    Attributes
    ----------
    label : str
    colours : ndarray of uint8, shape (256, 3)
        From the first to the last.
    ends : (float, float)
        The numbers of these.
    gamma : float
        Colours follow the number to this power.
    """

    label: str
    colours: NDArray[np.uint8]
    ends: tuple[float, float]
    gamma: float = 1.0


def with_marks(picture: NDArray[np.uint8], scale_bar_nm: float | None, pixel_size_nm: float, bar: ColourBar) -> bytes:
    """Return a picture with its marks as PNG.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        It is not changed but where the scale bar and its label are.
    scale_bar_nm : float, optional
        Length of the scale bar.
    pixel_size_nm : float
        Width of a pixel.
    bar : ColourBar

    Raises
    ------
    InputError
        If the picture is larger than a PNG may be.
    """
    height, width, _ = picture.shape
    font = QFont()
    font.setPixelSize(max(LEAST_LETTERS_PX, round(min(height, width) * LETTERS_SHARE)))
    metrics = QFontMetricsF(font)
    numbers = [short(number) for number in np.linspace(*bar.ends, N_NUMBERS)]
    letter = metrics.height()
    strip = round(letter)
    text_px = max(metrics.horizontalAdvance(number) for number in numbers)
    room = round(0.5 * letter + strip + 0.4 * letter + text_px + 0.6 * letter + letter)
    whole = QImage(width + room, max(height, LEAST_HEIGHT_PX), QImage.Format.Format_RGB32)
    whole.fill(QColor("black"))
    painter = QPainter(whole)
    painter.setFont(font)
    painter.setPen(QColor("white"))
    rows = np.ascontiguousarray(picture)
    painter.drawImage(0, 0, QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888))
    if scale_bar_nm is not None:
        _draw_scale_bar(painter, width, height, scale_bar_nm, pixel_size_nm, letter)
    _draw_colour_bar(painter, QRectF(width + 0.5 * letter, letter, strip, whole.height() - 2 * letter), bar, numbers)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not whole.save(buffer, "PNG"):  # type: ignore[call-overload]
        raise InputError(f"a picture of {height} x {width} pixels cannot be written as PNG: choose larger pixels")
    return bytes(buffer.data().data())


def short(number: float) -> str:
    """Return a number of about three digits, without an exponent where it has no more than nine.

    Examples
    --------
    >>> short(2628.3), short(12.345), short(0.00123), short(0)
    ('2,628', '12.3', '0.00123', '0')
    """
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.3g}"


def _draw_scale_bar(
    painter: QPainter, width: int, height: int, length_nm: float, pixel_size_nm: float, letter: float
) -> None:
    """Draw a bar in the lower right corner, and its length above."""
    long, thick, margin = round(length_nm / pixel_size_nm), max(2, round(letter / 4)), round(letter)
    left, top = width - margin - long, height - margin - thick
    painter.fillRect(left, top, long, thick, QColor("white"))
    label = length_text(length_nm)
    around = max(long, painter.fontMetrics().horizontalAdvance(label))
    place = QRectF(left + long - around, top - 1.2 * letter, around, 1.2 * letter)
    painter.drawText(place, int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter), label)


def _draw_colour_bar(painter: QPainter, strip: QRectF, bar: ColourBar, numbers: list[str]) -> None:
    """Draw the colours from the lowest number below to the highest above, the numbers, and what they are."""
    letter = strip.width()
    shares = np.linspace(1, 0, max(round(strip.height()), 2)) ** bar.gamma
    colours = np.ascontiguousarray(bar.colours[np.rint(shares * (len(bar.colours) - 1)).astype(int)][:, None])
    painter.drawImage(strip, QImage(colours.data, 1, len(colours), 3, QImage.Format.Format_RGB888).copy())
    painter.drawRect(strip)
    centre = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
    widest = 0.0
    for share, number in zip(np.linspace(1, 0, len(numbers)), numbers, strict=True):
        y, wide = strip.top() + share * strip.height(), painter.fontMetrics().horizontalAdvance(number)
        painter.drawText(QRectF(strip.right() + 0.4 * letter, y - letter, wide + 2, 2 * letter), centre, number)
        widest = max(widest, wide)
    painter.save()
    painter.translate(strip.right() + 0.4 * letter + widest + 0.6 * letter, strip.bottom())
    painter.rotate(-90)
    around = QRectF(0, 0, strip.height(), letter)
    painter.drawText(around, int(Qt.AlignmentFlag.AlignCenter), bar.label)
    painter.restore()
