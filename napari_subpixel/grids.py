"""The pixels of super-resolution images, over whole frames and over the part of them that is in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.coordinates import (
    HALF_PIXEL,
    PixelSize,
    checked_frame_shape,
    checked_length,
    checked_pixel_size,
    pixel_size_yx,
    yx_to_nm,
)


def whole_shape(frame_shape: tuple[int, int], zoom: tuple[float, float]) -> tuple[int, int]:
    """Return (height, width) of the image over frames, at this many of its pixels per camera pixel along y and x.

    Examples
    --------
    >>> whole_shape((64, 3), (10.0, 0.3))
    (640, 1)
    """
    # A relative tolerance keeps 64 px * 100 nm / 10 nm at 640, not 641, whatever the last bit says.
    height, width = (int(np.ceil(n * pixels * (1 - 1e-12))) for n, pixels in zip(frame_shape, zoom, strict=True))
    return max(height, 1), max(width, 1)


@dataclass(frozen=True)
class SuperResolutionGrid:
    """The pixels of a super-resolution image laid exactly over the frames of a movie, or over a part of them.

    The outer corner of the image's first pixel is the outer corner of the frame's first pixel, or the part's; the last
    row and column reach at least to the far edge.

    Attributes
    ----------
    frame_shape : tuple of int
        (height, width) of the frames, or of the part, in camera pixels.
    frame_pixel_size_nm : float or (float, float)
        Width of a camera pixel in nm, or height and width.
    pixel_size_nm : float
        Width of a pixel of the super-resolution image in nm; it is square.
    first_px : tuple of int
        The part's first camera pixel, (y, x).
    """

    frame_shape: tuple[int, int]
    frame_pixel_size_nm: PixelSize
    pixel_size_nm: float
    first_px: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "frame_shape", checked_frame_shape(self.frame_shape))
        set_field(self, "frame_pixel_size_nm", checked_pixel_size(self.frame_pixel_size_nm))
        set_field(self, "pixel_size_nm", checked_length(self.pixel_size_nm))

    @property
    def zoom_yx(self) -> tuple[float, float]:
        """Super-resolution pixels per camera pixel, along y and along x."""
        height, width = pixel_size_yx(self.frame_pixel_size_nm)
        return height / self.pixel_size_nm, width / self.pixel_size_nm

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image, in super-resolution pixels."""
        return whole_shape(self.frame_shape, self.zoom_yx)

    def from_frame(self, y: ArrayLike, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Convert coordinates in camera pixels from `first_px` on to super-resolution pixels (centres at integers)."""
        in_frame = (np.asarray(along, dtype=np.float64) for along in (y, x))
        pairs = zip(in_frame, self.zoom_yx, strict=True)
        in_y, in_x = ((along + HALF_PIXEL) * zoom - HALF_PIXEL for along, zoom in pairs)
        return in_y, in_x

    def to_frame(self, y: ArrayLike, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Convert super-resolution pixels to coordinates in camera pixels from `first_px` on."""
        in_image = (np.asarray(along, dtype=np.float64) for along in (y, x))
        pairs = zip(in_image, self.zoom_yx, strict=True)
        in_y, in_x = ((along + HALF_PIXEL) / zoom - HALF_PIXEL for along, zoom in pairs)
        return in_y, in_x

    @property
    def first_centre_px(self) -> tuple[float, float]:
        """Place of the image's first pixel centre in camera pixels of the whole frame."""
        y, x = self.to_frame(0.0, 0.0)
        return self.first_px[0] + float(y), self.first_px[1] + float(x)

    @property
    def translate_nm(self) -> tuple[float, float]:
        """Place of the image's first pixel centre in nm, where the frame's first pixel centre is at 0 nm."""
        y, x = yx_to_nm(self.first_centre_px, self.frame_pixel_size_nm).tolist()
        return y, x


@dataclass(frozen=True)
class ViewGrid:
    """A rectangle of the pixels of a super-resolution image over whole frames, such as the part that is in view.

    Attributes
    ----------
    zoom : (float, float)
        Pixels of the image per camera pixel, along y and along x.
    first : (int, int)
        Row and column of the rectangle's first pixel in the image of the whole frames.
    shape : (int, int)
        (height, width) of the rectangle, in pixels of the image.
    """

    zoom: tuple[float, float]
    first: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def covering(
        cls,
        low: Sequence[float],
        high: Sequence[float],
        *,
        zoom: tuple[float, float],
        frame_shape: tuple[int, int],
    ) -> ViewGrid | None:
        """Return the pixels that a rectangle of the frames touches; None if it lies outside.

        Parameters
        ----------
        low, high : sequence of float
            (y, x) of its corners, in camera pixels.
        zoom : (float, float)
            Pixels of the image per camera pixel, along y and along x.
        frame_shape : (int, int)
            (height, width) of the frames, in camera pixels.

        Examples
        --------
        >>> ViewGrid.covering((-9, 1.6), (0.4, 2.4), zoom=(10.0, 10.0), frame_shape=(30, 40))
        ViewGrid(zoom=(10.0, 10.0), first=(0, 21), shape=(9, 8))
        """
        first, shape = [], []
        whole_image = whole_shape(frame_shape, zoom)
        for start, stop, pixels, whole in zip(low, high, zoom, whole_image, strict=True):
            begin = max(int(np.floor((start + HALF_PIXEL) * pixels + 1e-9)), 0)
            end = min(int(np.ceil((stop + HALF_PIXEL) * pixels - 1e-9)), whole)
            if begin >= end:
                return None
            first.append(begin)
            shape.append(end - begin)
        return cls(zoom, (first[0], first[1]), (shape[0], shape[1]))

    @property
    def first_centre_px(self) -> tuple[float, float]:
        """Place of the centre of the first pixel, (y, x) in camera pixels."""
        return self.to_frame((0.0, 0.0))

    def to_frame(self, px: ArrayLike) -> tuple[float, float]:
        """Convert (y, x) in pixels of the rectangle, centres at integers, to camera pixels."""
        every = zip(np.asarray(px, dtype=np.float64).tolist(), self.first, self.zoom, strict=True)
        y, x = ((place + first + HALF_PIXEL) / zoom - HALF_PIXEL for place, first, zoom in every)
        return y, x

    @property
    def corners_px(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Outer corners of the first and of the last pixel, (y, x) in camera pixels."""
        ends = (self.first, self._end)
        low, high = (tuple(n / zoom - HALF_PIXEL for n, zoom in zip(end, self.zoom, strict=True)) for end in ends)
        return (low[0], low[1]), (high[0], high[1])

    def overlap(self, other: ViewGrid) -> ViewGrid | None:
        """Return the pixels that are also in another rectangle; None if there are none, or these are not as large.

        Examples
        --------
        >>> ViewGrid((2.0, 2.0), (0, 5), (9, 9)).overlap(ViewGrid((2.0, 2.0), (6, 0), (9, 9)))
        ViewGrid(zoom=(2.0, 2.0), first=(6, 5), shape=(3, 4))
        """
        if self.zoom != other.zoom:
            return None
        (top, left), (bottom, right) = self.first, self._end
        (other_top, other_left), (other_bottom, other_right) = other.first, other._end
        return self._between(
            (max(top, other_top), max(left, other_left)), (min(bottom, other_bottom), min(right, other_right))
        )

    def without(self, other: ViewGrid) -> list[ViewGrid]:
        """Return rectangles of the pixels that are not in another one: up to four that do not overlap.

        Examples
        --------
        >>> [part.shape for part in ViewGrid((2.0, 2.0), (0, 5), (9, 9)).without(ViewGrid((2.0, 2.0), (6, 0), (9, 9)))]
        [(6, 9), (3, 5)]
        """
        common = self.overlap(other)
        if common is None:
            return [self]
        (top, left), (bottom, right) = self.first, self._end
        (inner_top, inner_left), (inner_bottom, inner_right) = common.first, common._end
        parts = [
            self._between((top, left), (inner_top, right)),
            self._between((inner_top, left), (inner_bottom, inner_left)),
            self._between((inner_top, inner_right), (inner_bottom, right)),
            self._between((inner_bottom, left), (bottom, right)),
        ]
        return [part for part in parts if part is not None]

    def place_of(self, part: ViewGrid) -> tuple[slice, slice]:
        """Return the rows and columns of this rectangle that a part of it is."""
        (top, left), (height, width) = (part.first[0] - self.first[0], part.first[1] - self.first[1]), part.shape
        return slice(top, top + height), slice(left, left + width)

    @property
    def _end(self) -> tuple[int, int]:
        """Row and column after the last."""
        return self.first[0] + self.shape[0], self.first[1] + self.shape[1]

    def _between(self, first: tuple[int, int], end: tuple[int, int]) -> ViewGrid | None:
        """Return pixels of the same size; None if there are none."""
        height, width = end[0] - first[0], end[1] - first[1]
        return ViewGrid(self.zoom, first, (height, width)) if height > 0 and width > 0 else None
