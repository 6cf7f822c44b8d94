"""A points layer whose points have one size, line, symbol and colour, described once for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from napari.layers import Points
from napari.layers.points._points_utils import coerce_symbols
from napari.utils.colormaps.standardize_color import rgb_to_hex, transform_color
from numpy.typing import ArrayLike, NDArray

#: Least and greatest diameter of a marker on the screen, in its pixels.
ON_SCREEN_PX = (7.0, 10_000.0)
#: Width of the line of a marker on the screen, in its pixels.
LINE_PX = 1.4
#: Least and greatest width of the line, as a share of the diameter.
LINE_SHARES = (0.05, 0.25)
#: Markers are drawn anew where the zoom changes their diameter by this factor.
SIZE_STEP = 1.25


class UniformPoints(Points):
    """A points layer that keeps no array of sizes, widths, symbols or colours.

    A size, symbol or colour that is set in the layer's controls holds for all points; a column can colour them, and
    then the colours of the points in view are computed. Where points and columns are kept is up to the derived class.
    """

    #: Whether napari's part is made and the points are those of the table.
    _has_rows = False
    # What napari reads before there is a first point.
    _size = _border_width = np.empty(0)
    _symbol = np.empty(0, object)
    #: The one colour of the lines, and the column that colours them instead; empty where none does.
    _plain: NDArray[Any]
    _colour_by = ""
    # The diameter and the width of the line at the present zoom, and whether the width follows it.
    _drawn_size = 1.0
    _drawn_line = LINE_SHARES[1]
    _line_follows = True

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns."""
        raise NotImplementedError

    def values(self, name: str, points: Any = slice(None)) -> NDArray[Any]:
        """Return a column of the points that an index, a slice or a mask names."""
        raise NotImplementedError

    def _set_style(self) -> None:
        """Give every point the layer's size, width and symbol, without an array of them."""
        n = len(self.data)
        self._size = np.broadcast_to(np.float64(self._drawn_size), n)
        self._border_width = np.broadcast_to(np.float64(self._drawn_line), n)
        self._symbol = np.broadcast_to(np.array(self._current_symbol), n)

    def _fit_to_zoom(self) -> bool:
        """Keep markers and their lines visible at the present zoom; say whether they are others than before.

        napari clamps diameters itself, but then fills the markers with their lines.
        """
        if not self._has_rows:
            return False
        pixel = self.scale_factor / abs(float(self.scale[-1]) or 1.0)  # of the screen, in the layer's own
        least = self.canvas_size_limits[0] * pixel
        size = float(self._current_size)
        if size < least:
            size = SIZE_STEP ** math.ceil(math.log(least, SIZE_STEP) - 1e-9)
        steps = round(math.log(LINE_PX * pixel / size, SIZE_STEP)) if size and self._current_border_width else 0
        line = min(max(SIZE_STEP**steps, LINE_SHARES[0]), LINE_SHARES[1]) if self._current_border_width else 0.0
        if not self._line_follows:
            line = self._current_border_width
        changed = (size, line) != (self._drawn_size, self._drawn_line)
        self._drawn_size, self._drawn_line = size, line
        return changed

    def _update_draw(self, scale_factor: float, corner_pixels_displayed: Any, shape_threshold: Any) -> None:
        super()._update_draw(scale_factor, corner_pixels_displayed, shape_threshold)
        if self._fit_to_zoom():
            self._show_style()

    def _show_style(self) -> None:
        """Draw the points in view with the present size and width."""
        if not self._has_rows:
            return
        self._set_style()
        self._slicing_state._view_size = self._size[self._view_indices]
        self.events.border_width(value=self._border_width)

    @property
    def size(self) -> NDArray[np.float64]:
        """Diameters of the markers, all the same."""
        return self._size

    @size.setter
    def size(self, size: ArrayLike) -> None:
        self.current_size = float(np.ravel(size)[0]) if np.size(size) else self._current_size

    @property
    def current_size(self) -> float:
        """Diameter of every marker."""
        return self._current_size

    @current_size.setter
    def current_size(self, size: float) -> None:
        if float(size) < 0:
            raise ValueError(f"the size of points must not be negative, got {size}")
        self._current_size = float(size)
        self._fit_to_zoom()
        self._show_style()
        self.events.size()
        self.events.current_size()

    @property
    def border_width(self) -> NDArray[np.float64]:
        """Widths of the lines, all the same."""
        return self._border_width

    @border_width.setter
    def border_width(self, border_width: ArrayLike) -> None:
        if np.size(border_width):
            self.current_border_width = float(np.ravel(border_width)[0])

    @property
    def current_border_width(self) -> float:
        """Width of every line."""
        return self._current_border_width

    @current_border_width.setter
    def current_border_width(self, border_width: float) -> None:
        self._current_border_width = float(border_width)
        self._line_follows = False
        self._fit_to_zoom()
        self._show_style()
        self.events.current_border_width()

    @property
    def symbol(self) -> NDArray[Any]:
        """Shapes of the markers, all the same."""
        return self._symbol

    @symbol.setter
    def symbol(self, symbol: Any) -> None:
        if np.size(symbol):
            self.current_symbol = np.ravel(np.array(symbol, dtype=object))[0]

    @property
    def current_symbol(self) -> Any:
        """Shape of every marker."""
        return self._current_symbol

    @current_symbol.setter
    def current_symbol(self, symbol: Any) -> None:
        self._current_symbol = coerce_symbols(np.array([symbol]))[0]
        if self._has_rows:
            self._set_style()
        self.events.symbol()
        self.events.highlight()
        self.events.current_symbol()

    @property
    def border_color(self) -> NDArray[np.float32]:
        """Colours of all points, shape (N, 4), computed when asked for."""
        return self._colours(slice(None)) if self._has_rows else self._border.colors

    @border_color.setter
    def border_color(self, border_color: Any) -> None:
        if isinstance(border_color, str) and border_color in self.feature_names:
            self._colour_by = border_color
            values = self.values(border_color)
            if len(values):
                self._border.contrast_limits = float(np.nanmin(values)), float(np.nanmax(values))
        else:
            self._colour_by = ""
            self._plain = transform_color(border_color)[0]
        self.events.border_color()

    @property
    def current_border_color(self) -> str:
        """Colour of every marker that no column colours."""
        return str(rgb_to_hex(self._plain)[0])

    @current_border_color.setter
    def current_border_color(self, border_color: Any) -> None:
        if self._update_properties:
            self.border_color = border_color
        self.events.current_border_color()

    @property
    def face_color(self) -> NDArray[np.float32]:
        """Colours of the inside of the markers, shape (N, 4), all the same."""
        return np.broadcast_to(np.asarray(self._face.current_color, np.float32), (len(self.data), 4))

    @face_color.setter
    def face_color(self, face_color: Any) -> None:
        self._face.current_color = transform_color(face_color)[0]
        self.events.face_color()

    @property
    def current_face_color(self) -> str:
        """Colour of the inside of every marker."""
        return str(Points.current_face_color.fget(self))

    @current_face_color.setter
    def current_face_color(self, face_color: Any) -> None:
        if self._update_properties:
            self.face_color = face_color
        self.events.current_face_color()

    def _colours(self, points: Any) -> NDArray[np.float32]:
        """Return the colours of some points, shape (n, 4)."""
        if not self._colour_by or self._colour_by not in self.feature_names:
            n = len(self._shown[points])
            return np.broadcast_to(np.asarray(self._plain, np.float32), (n, 4))
        values = np.asarray(self.values(self._colour_by, points), np.float64)
        low, high = self.border_contrast_limits or (0.0, 1.0)
        return np.asarray(self.border_colormap.map((values - low) / (high - low or 1.0)), np.float32)

    @property
    def border_colormap(self) -> Any:
        """Colours of the column that colours the markers."""
        return Points.border_colormap.fget(self)

    @border_colormap.setter
    def border_colormap(self, colormap: Any) -> None:
        Points.border_colormap.fset(self, colormap)
        self.events.border_color()

    @property
    def border_contrast_limits(self) -> tuple[float, float] | None:
        """Numbers at the ends of the colours."""
        limits: tuple[float, float] | None = Points.border_contrast_limits.fget(self)
        return limits

    @border_contrast_limits.setter
    def border_contrast_limits(self, limits: tuple[float, float] | None) -> None:
        Points.border_contrast_limits.fset(self, limits)
        self.events.border_color()
