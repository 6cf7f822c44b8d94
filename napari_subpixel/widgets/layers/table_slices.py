"""The points in view of a table: those of a range of frames, found without going through all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers.points._slice import _PointSliceResponse
from napari.layers.points.points import _PointsSlicingState
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers.utils._slice_input import _SliceInput, _ThickNDSlice

    from napari_subpixel.widgets.layers.table_points import TablePoints


class TableSlicingState(_PointsSlicingState):
    """The points in view of a table: those of a range of frames, without going through all others."""

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
