"""Simulated frames next to the user's own, in the same grey levels, to compare by eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QSlider, QVBoxLayout, QWidget

from napari_subpixel.training.request import EXAMPLES_GAP_PX
from napari_subpixel.widgets.controls.words import Words

#: Shares of the pixels that are darker than black, and darker than white.
QUANTILES = (0.002, 0.998)
#: What is shown, where there is a movie to imitate.
OF_A_MOVIE = (
    "Left: the movie. Right: simulated, to learn from. Spots and background should be alike; how dense the "
    "molecules are, and how they lie, varies."
)
#: What is shown, where there is none.
ALONE = "Simulated, to learn from. Spots and background should be as in your movies."
#: Room between the two frames, in screen pixels.
GAP_PX = 6.0
#: Height that is asked for, in screen pixels.
HEIGHT_PX = 150


class FramePairs(QWidget):
    """Pairs of frames, one at a time: the user's own on the left, a simulated one on the right; hidden without any.

    Attributes
    ----------
    words : Words
        Which is which.
    picture : FramePicture
    slider : QSlider
        Which pair is shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self._frames: NDArray | None = None
        self._are_pairs = False
        self.words, self.picture = Words(), FramePicture()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Another frame")
        self.slider.valueChanged.connect(lambda _: self._show())
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        for part in (self.words, self.picture, self.slider):
            rows.addWidget(part)
        self.hide()

    def show_frames(self, frames: NDArray | None, *, are_pairs: bool) -> None:
        """Show frames, shape (T, Y, X); each is a pair where `are_pairs`, with `EXAMPLES_GAP_PX` between."""
        self._frames, self._are_pairs = frames, are_pairs
        self.setVisible(frames is not None)
        if frames is None:
            return
        self.words.setText(OF_A_MOVIE if are_pairs else ALONE)
        self.slider.setRange(0, len(frames) - 1)
        self.slider.setValue(0)
        self._show()

    def parts(self, number: int) -> list[NDArray]:
        """Return the frames of a pair, or the one that there is."""
        assert self._frames is not None
        frame = self._frames[number]
        if not self._are_pairs:
            return [frame]
        width = (frame.shape[1] - EXAMPLES_GAP_PX) // 2
        return [frame[:, :width], frame[:, -width:]]

    def _show(self) -> None:
        self.picture.show_parts(self.parts(self.slider.value()))


class FramePicture(QWidget):
    """Frames next to each other, as large as there is room, in the same grey levels."""

    def __init__(self) -> None:
        super().__init__()
        self._images: list[QImage] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("frames of the movie and simulated frames")

    def show_parts(self, parts: list[NDArray]) -> None:
        """Show frames, shape (Y, X) each."""
        low, high = np.quantile(np.concatenate([part.ravel() for part in parts]), QUANTILES)
        self._images = [_grey(part, low, high) for part in parts]
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a height; any width will do."""
        return QSize(2 * HEIGHT_PX, HEIGHT_PX)

    def places(self) -> list[QRectF]:
        """Return where each frame is drawn, in screen pixels: in the middle of an equal share of the width."""
        n = len(self._images)
        share = (self.width() - GAP_PX * (n - 1)) / max(n, 1)
        places = []
        for k, image in enumerate(self._images):
            scale = min(share / image.width(), self.height() / image.height())
            width, height = image.width() * scale, image.height() * scale
            left = k * (share + GAP_PX) + (share - width) / 2
            places.append(QRectF(left, (self.height() - height) / 2, width, height))
        return places

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the frames, pixel by pixel."""
        painter = QPainter(self)
        for image, place in zip(self._images, self.places(), strict=True):
            painter.drawImage(place, image, QRectF(QPointF(0, 0), image.size().toSizeF()))
        painter.end()


def _grey(frame: NDArray, low: float, high: float) -> QImage:
    """Return a frame as an image that goes from black at `low` to white at `high`."""
    share = (np.asarray(frame, np.float64) - low) / max(high - low, 1e-9)
    grey = np.ascontiguousarray(np.clip(np.round(255 * share), 0, 255).astype(np.uint8))
    height, width = grey.shape
    return QImage(grey.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
