"""A points layer over a table of any length, of which only the frames in view become markers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Points
from napari.layers.points._points_utils import coerce_symbols
from napari.layers.points._slice import _PointSliceResponse
from napari.layers.points.points import _PointsSlicingState
from napari.utils.colormaps.standardize_color import rgb_to_hex, transform_color
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.localizations import REQUIRED, Localizations
from napari_subpixel.widgets.layers.table_coordinates import Axis, Coordinates, FrameOrder, bounds_of, numbers_of

if TYPE_CHECKING:
    from napari.layers.utils._slice_input import _SliceInput, _ThickNDSlice

#: A thumbnail shows at most this many points.
THUMBNAIL_POINTS = 1024
#: Least and greatest diameter of a marker on the screen, in its pixels.
ON_SCREEN_PX = (7.0, 10_000.0)
#: Width of the line of a marker on the screen, in its pixels.
LINE_PX = 1.4
#: Least and greatest width of the line, as a share of the diameter.
LINE_SHARES = (0.05, 0.25)
#: Markers are drawn anew where the zoom changes their diameter by this factor.
SIZE_STEP = 1.25


class TablePoints(Points):
    """A napari points layer over a table, which it does not copy.

    It is a points layer to everybody: `data`, `features` and `shown` are those of all points. But napari makes an array
    for each property of each point and goes through all of them at every step; here size, symbol and colours have one
    description for all points, frames are searched in order, and colours are computed for the points in view.
    A size, symbol or colour that is set in the layer's controls holds for all points.

    Parameters
    ----------
    table : Localizations
        What `data` and `features` are read from.
    time : int, optional
        Which axis the frame is; None for a still image.
    ndim : int
        Number of axes; y and x are the last two.
    rows : ndarray of int, optional
        Which rows of the table are shown, if not all: several layers can share a table.
    extra : mapping of str to ndarray, optional
        Further features, one number for each point.
    others : mapping of int to float
        Where the points lie along other axes, 0 if not given.
    colour_by : str
        The column that colours the markers; empty for one colour.
    border_color : str
        Their colour otherwise.
    size : float
        Diameter of the markers in pixels of the frames; on the screen it is never less than `canvas_size_limits` say.
    **arguments
        Of `napari.layers.Points`.
    """

    #: Whether napari's part is made and the points are those of the table.
    _has_rows = False
    # What napari reads before there is a first point.
    _size = _border_width = np.empty(0)
    _symbol = np.empty(0, object)

    def __init__(
        self,
        table: Localizations,
        *,
        time: int | None = 0,
        ndim: int = 3,
        rows: NDArray[np.integer[Any]] | None = None,
        extra: Mapping[str, NDArray[Any]] | None = None,
        others: Mapping[int, float] | None = None,
        colour_by: str = "",
        border_color: str = "yellow",
        size: float = 1.0,
        canvas_size_limits: tuple[float, float] = ON_SCREEN_PX,
        **arguments: Any,
    ) -> None:
        self._drag_start: Any = None
        self._plain = transform_color(border_color)[0]
        self._time, self._others, self._colour_by = time, dict(others or {}), colour_by
        self._coordinates = Coordinates([0.0] * ndim, None, 0)
        self._columns: dict[str, NDArray[Any]] = {}
        self._extra: dict[str, NDArray[Any]] = {}
        self._own: dict[int, NDArray[Any]] = {}
        self._order: FrameOrder | None = None
        # Made without points: what napari makes for each of them is not wanted.
        start = pd.DataFrame({colour_by: np.empty(0, np.float32)}) if colour_by else None
        self._drawn_size, self._drawn_line, self._line_follows = size, LINE_SHARES[1], True
        super().__init__(
            np.empty((0, ndim)),
            ndim=ndim,
            features=start,
            border_color=colour_by or border_color,
            border_width=LINE_SHARES[1],
            canvas_size_limits=canvas_size_limits,
            size=size,
            **arguments,
        )
        self._current_size, self._line_follows = float(size), True
        self._has_rows = True
        self.set_table(table, rows=rows, extra=extra)

    # -- the table ----------------------------------------------------------------------------------------------------

    @property
    def table(self) -> Localizations | None:
        """The table that the points are, hidden ones included; None if they were changed by hand since.

        Where the layer shows some rows of a table, they are copied.
        """
        table, rows = self._coordinates.table, self._coordinates.rows
        return table.select(rows) if table is not None and rows is not None else table

    def set_table(
        self,
        table: Localizations,
        *,
        rows: NDArray[np.integer[Any]] | None = None,
        extra: Mapping[str, NDArray[Any]] | None = None,
        shown: NDArray[np.bool_] | None = None,
    ) -> None:
        """Show another table; the arguments are those of the layer.

        Parameters
        ----------
        table : Localizations
        rows : ndarray of int, optional
        extra : mapping of str to ndarray, optional
        shown : ndarray of bool, optional
            Which points are shown; all if not given.
        """
        columns = {name: table[name] for name in table.columns if name not in REQUIRED}
        axes: list[Axis] = [float(self._others.get(axis, 0.0)) for axis in range(self.ndim)]
        axes[-2:] = table.y, table.x
        if self._time is not None:
            axes[self._time] = table.frame
        n = len(table) if rows is None else len(rows)
        self._place(Coordinates(axes, rows, n, table), columns, dict(extra or {}), shown)

    def _place(
        self,
        coordinates: Coordinates,
        columns: dict[str, NDArray[Any]],
        extra: dict[str, NDArray[Any]],
        shown: NDArray[np.bool_] | None = None,
    ) -> None:
        """Show these points, and say so."""
        n = len(coordinates)
        self._coordinates, self._columns, self._extra, self._own = coordinates, columns, extra, {}
        self._order = None
        self._shown = np.ones(n, np.bool_) if shown is None else shown
        self._bounds = bounds_of(coordinates)
        self._set_style()
        self._selected_data.clear()
        self._value = self._value_stored = None
        self._update_dims()
        self._reset_editable()
        self.events.data(value=self.data, action="changed", data_indices=(-1,), vertex_indices=((),))
        self.events.features()

    def _set_style(self) -> None:
        """Give every point the layer's size, width and symbol, without an array of them."""
        n = len(self._coordinates)
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

    def values(self, name: str, points: Any = slice(None)) -> NDArray[Any]:
        """Return a column of the points that an index, a slice or a mask names."""
        if name in self._extra:
            return self._extra[name][points]
        rows = self._coordinates.rows
        return self._columns[name][points] if rows is None else self._columns[name][rows[points]]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features; asking for the features of all points would copy them where they are some rows."""
        return (*self._columns, *self._extra)

    @property
    def columns_beyond_table(self) -> dict[str, NDArray[Any]]:
        """The features that are not in the table, or all of them where there is none."""
        return dict(self._extra) if self._coordinates.table is not None else {**self._columns, **self._extra}

    # -- as napari has it ---------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """Coordinates of all points, shape (N, axes); an array to numpy, made where it is asked for."""
        return self._coordinates if self._has_rows else self._data

    @data.setter
    def data(self, data: ArrayLike) -> None:
        places = np.asarray(data, dtype=np.float64).reshape(-1, self.ndim)
        before, n = len(self._coordinates), len(places)
        features = self.features
        if n > before:
            defaults = self.feature_defaults if before == 0 else features.iloc[[-1]]
            features = pd.concat([features, *[defaults] * (n - before)], ignore_index=True)
        shown = np.concatenate([self._shown[:n], np.ones(max(n - before, 0), np.bool_)])
        columns = {str(name): features[name].to_numpy()[:n] for name in features.columns}
        self._place(Coordinates(list(places.T), None, n), columns, {}, shown)

    @property
    def features(self) -> pd.DataFrame:
        """The features of all points; without a copy where the layer shows a whole table."""
        if not self._has_rows:
            return self._feature_table.values
        columns = {name: self.values(name) for name in self.feature_names}
        return pd.DataFrame(columns, index=range(len(self._coordinates)), copy=False)

    @features.setter
    def features(self, features: Mapping[str, ArrayLike] | pd.DataFrame) -> None:
        frame = pd.DataFrame(features)
        if len(frame) != len(self._coordinates):
            raise ValueError(f"expected {len(self._coordinates)} rows of features, got {len(frame)}")
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
        axes = [self._coordinates.axis(axis) for axis in range(self.ndim)]
        self._place(Coordinates(axes, None, len(frame)), columns, {}, self._shown)

    @property
    def properties(self) -> dict[str, NDArray[Any]]:
        """The features as arrays."""
        return {name: self.values(name) for name in self.feature_names}

    def add(self, coords: ArrayLike) -> None:
        """Add points, with the features of the last one."""
        before = len(self._coordinates)
        self.data = np.append(np.asarray(self.data), np.atleast_2d(np.asarray(coords)), axis=0)
        self.selected_data = set(range(before, len(self._coordinates)))

    def remove(self, indices: Iterable[int]) -> None:
        """Remove points."""
        keep = np.ones(len(self._coordinates), np.bool_)
        keep[list(indices)] = False
        if keep.all():
            return
        places, table = self._coordinates, self.table
        extra = {name: values[keep] for name, values in self._extra.items()}
        if table is not None:
            self.set_table(table.select(keep), extra=extra, shown=self._shown[keep])
            return
        columns = {name: self.values(name, keep) for name in self._columns}
        axes = [places.axis(axis, keep) for axis in range(self.ndim)]
        self._place(Coordinates(axes, None, int(keep.sum())), columns, extra, self._shown[keep])

    def _move(self, selection_indices: Iterable[int], position: Sequence[float]) -> None:
        moved = list(selection_indices)
        if not moved:
            return
        self._set_drag_start(set(moved), position)
        displayed = list(self._slice_input.displayed)
        centre = self.data[np.ix_(moved, displayed)].mean(axis=0)
        shift = np.array(position)[displayed] - centre - self._drag_start
        if not self._own:  # the first move: from now on the coordinates are the layer's own
            columns = {name: self.values(name) for name in self._columns}
            axes = [np.array(self._coordinates.axis(axis)) for axis in range(self.ndim)]
            selected, start = set(moved), self._drag_start
            self._place(Coordinates(axes, None, len(self._shown)), columns, self._extra, self._shown)
            self._own = dict(enumerate(axes))
            self._selected_data.replace_selection(selected)
            self._drag_start = start
        for axis, by in zip(displayed, shift, strict=True):
            self._own[axis][moved] += by
        self._order = None
        self.refresh()
        self.events.data(value=self.data, action="changed", data_indices=tuple(moved), vertex_indices=((),))

    def _paste_data(self) -> None:
        if self._clipboard:
            places = np.array(self._clipboard["data"])
            for axis in self._slice_input.not_displayed:
                places[:, axis] += self._data_slice[axis] - self._clipboard["indices"][axis]
            self.add(places)

    # -- one look for all points --------------------------------------------------------------------------------------

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

    @property
    def _type_string(self) -> str:
        return "points"  # which writers and readers of this kind of layer take it for

    # -- what is in view ----------------------------------------------------------------------------------------------

    def in_view(self, frames: tuple[float, float] | None = None) -> NDArray[np.integer[Any]]:
        """Return the shown points of the frames from the first to the last of `frames`; of all frames if not given."""
        if frames is None or self._time is None:
            return np.flatnonzero(self._shown)
        if self._order is None:
            self._order = FrameOrder.of(numbers_of(self._coordinates, self._time))
        points = self._order.within(*frames)
        return points[self._shown[points]]

    def _get_layer_slicing_state(self, data: Any, cache: bool) -> _PointsSlicingState:
        return _TableSlicingState(layer=self, data=data, cache=cache)

    @property
    def _view_data(self) -> NDArray[np.float64]:
        return self.data[np.ix_(self._view_indices, self._slice_input.displayed)]

    @property
    def _view_border_color(self) -> NDArray[np.float32]:
        return self._colours(self._view_indices)

    @property
    def _view_text(self) -> NDArray[Any]:
        return self.text.view_text(self._view_indices)

    @property
    def _view_text_color(self) -> NDArray[Any]:
        return self.text._view_color(self._view_indices)

    @property
    def _extent_data(self) -> NDArray[np.float64]:
        return self._bounds.copy() if self._has_rows else np.full((2, self.ndim), np.nan)

    @property
    def _extent_data_augmented(self) -> NDArray[np.float64]:
        half = float(self._current_size) / 2
        return self._extent_data + np.array([[-half], [half]])

    def _get_properties(self, position: Any, **options: Any) -> list[str]:
        """Return the features of the point under the cursor, for the status line."""
        point = self.get_value(position, **options) if self.feature_names else None
        if point is None:
            return []
        values = {name: self.values(name, np.array([point]))[0] for name in self.feature_names}
        return [f"{name}: {value:.4g}" for name, value in values.items() if np.isfinite(value)]

    def _update_thumbnail(self) -> None:
        """Draw the points in view as single pixels."""
        picture = np.zeros(self._thumbnail_shape)
        picture[..., 3] = self.opacity
        if self._has_rows and len(self._view_indices):
            points = self._view_indices[:: -(-len(self._view_indices) // THUMBNAIL_POINTS)]
            displayed = list(self._slice_input.displayed)[-2:]
            low, high = self._bounds[:, displayed]
            room = np.array(self._thumbnail_shape[:2]) - 1
            zoom = float((room / np.maximum(high - low, 1e-9)).min())
            places = np.clip(np.rint((self.data[np.ix_(points, displayed)] - low) * zoom).astype(int), 0, room)
            picture[places[:, 0], places[:, 1], :3] = self._colours(points)[:, :3]
        self.thumbnail = picture

    def _get_state(self) -> dict[str, Any]:
        """Return the layer's description, with one colour, or the column that colours the points."""
        has_rows, self._has_rows = self._has_rows, False
        try:  # napari's own, of a layer without points: an array for each property would be long
            state: dict[str, Any] = super()._get_state()
        finally:
            self._has_rows = has_rows
        coloured = bool(self._colour_by)
        state |= {
            "data": self.data,
            "features": self.features,
            "properties": self.properties,
            "shown": self._shown,
            "size": self._current_size,
            "symbol": str(self._current_symbol),
            "border_width": self._current_border_width,
            "border_color": self._colour_by if coloured else self._plain,
            "face_color": np.asarray(self._face.current_color),
        }
        state.pop("feature_defaults", None)
        return state


class _TableSlicingState(_PointsSlicingState):
    """The points in view of a table: those of a range of frames, without a look at all others."""

    layer: TablePoints

    def make_slice_request_internal(self, slice_input: _SliceInput, data_slice: _ThickNDSlice) -> _Answer:
        """Return the points in view; they are found at once."""
        layer = self.layer
        if not layer._has_rows:
            return _Answer(_PointSliceResponse(np.empty(0, int), np.empty(0), slice_input, 0))
        hidden = list(slice_input.not_displayed)
        low, high = _range_in_view(data_slice, hidden)
        places = layer.data
        frames = None
        if layer._time in hidden:
            frames = float(low[hidden.index(layer._time)]), float(high[hidden.index(layer._time)])
        points = layer.in_view(frames)
        for axis, start, stop in zip(hidden, low, high, strict=True):
            if axis != layer._time and len(points):
                at = places.axis(axis, points)
                points = points[(at >= start) & (at <= stop)]
        return _Answer(_PointSliceResponse(points, layer.size[points], slice_input, 0))


@dataclass(frozen=True)
class _Answer:
    """A slice that is there already, as a request that returns it."""

    response: _PointSliceResponse

    def __call__(self) -> _PointSliceResponse:
        return self.response

    @property
    def id(self) -> int:
        """The number of the request."""
        return int(self.response.request_id)


def _range_in_view(data_slice: _ThickNDSlice, hidden: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and last coordinate in view of the axes that are not displayed: one frame at least."""
    if not hidden:
        return np.empty(0), np.empty(0)
    point, left, right = data_slice[hidden].as_array()
    low, high = np.array(point - left, dtype=float), np.array(point + right, dtype=float)
    thin = np.isclose(high, low)
    low[thin] -= 0.5
    high[thin] += 0.5
    return low, high
