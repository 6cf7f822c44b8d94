"""A points layer over a table of any length, of which only the frames in view become markers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from napari.layers.points.points import _PointsSlicingState
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import ArrayLike, NDArray

from napari_subpixel.localizations import REQUIRED, Localizations
from napari_subpixel.widgets.layers.table_coordinates import (
    Axis,
    Coordinates,
    FrameOrder,
    TableIndex,
    bounds_of,
    numbers_of,
)
from napari_subpixel.widgets.layers.table_slices import TableSlicingState
from napari_subpixel.widgets.layers.uniform_points import LINE_SHARES, ON_SCREEN_PX, UniformPoints

#: A thumbnail shows at most this many points.
THUMBNAIL_POINTS = 1024


class TablePoints(UniformPoints):
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
    index : TableIndex, optional
        Of the table, where it was made on a thread; else it is made here when it is needed.
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

    def __init__(
        self,
        table: Localizations,
        *,
        time: int | None = 0,
        ndim: int = 3,
        rows: NDArray[np.integer[Any]] | None = None,
        extra: Mapping[str, NDArray[Any]] | None = None,
        index: TableIndex | None = None,
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
        self.set_table(table, rows=rows, extra=extra, index=index)

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
        index: TableIndex | None = None,
    ) -> None:
        """Show another table; the arguments are those of the layer.

        Parameters
        ----------
        table : Localizations
        rows : ndarray of int, optional
        extra : mapping of str to ndarray, optional
        shown : ndarray of bool, optional
            Which points are shown; all if not given.
        index : TableIndex, optional
        """
        columns = {name: table[name] for name in table.columns if name not in REQUIRED}
        axes: list[Axis] = [float(self._others.get(axis, 0.0)) for axis in range(self.ndim)]
        axes[-2:] = table.y, table.x
        if self._time is not None:
            axes[self._time] = table.frame
        n = len(table) if rows is None else len(rows)
        coordinates = Coordinates(axes, rows, n, table)
        order = bounds = None
        if index is not None and rows is None:
            names = {self._time: "frame", self.ndim - 2: "y", self.ndim - 1: "x"}
            ends = [index.bounds[names[n]] if n in names else (float(axes[n]),) * 2 for n in range(self.ndim)]
            order, bounds = index.order, np.array(ends, np.float64).T
        self._place(coordinates, columns, dict(extra or {}), shown, order=order, bounds=bounds)

    def _place(
        self,
        coordinates: Coordinates,
        columns: dict[str, NDArray[Any]],
        extra: dict[str, NDArray[Any]],
        shown: NDArray[np.bool_] | None = None,
        *,
        order: FrameOrder | None = None,
        bounds: NDArray[np.float64] | None = None,
    ) -> None:
        """Show these points, and say so."""
        n = len(coordinates)
        self._coordinates, self._columns, self._extra, self._own = coordinates, columns, extra, {}
        self._order = order
        self._shown = np.ones(n, np.bool_) if shown is None else shown
        self._bounds = bounds_of(coordinates) if bounds is None else bounds
        self._set_style()
        self._selected_data.clear()
        self._value = self._value_stored = None
        self._update_dims()
        self._reset_editable()
        self.events.data(value=self.data, action="changed", data_indices=(-1,), vertex_indices=((),))
        self.events.features()

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

    # -- what is in view ----------------------------------------------------------------------------------------------

    @property
    def _type_string(self) -> str:
        return "points"  # which writers and readers of this kind of layer take it for

    def in_view(self, frames: tuple[float, float] | None = None) -> NDArray[np.integer[Any]]:
        """Return the shown points of the frames from the first to the last of `frames`; of all frames if not given."""
        if frames is None or self._time is None:
            return np.flatnonzero(self._shown)
        if self._order is None:
            self._order = FrameOrder.of(numbers_of(self._coordinates, self._time))
        points = self._order.within(*frames)
        return points[self._shown[points]]

    def _get_layer_slicing_state(self, data: Any, cache: bool) -> _PointsSlicingState:
        return TableSlicingState(layer=self, data=data, cache=cache)

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
