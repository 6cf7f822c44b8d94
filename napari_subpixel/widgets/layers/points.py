"""Localizations in the viewer: a points layer over its movie, its threshold, and the way back to a table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_subpixel.analysis.filters import Filter, provenance_with
from napari_subpixel.coordinates import pixel_size_yx, same_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import COLUMNS, REQUIRED, Localizations
from napari_subpixel.widgets.layers.movies import AXES, KEY, SAME_SCALE_WITHIN, UNITS, MovieLayer, pixel_size_of
from napari_subpixel.widgets.layers.table_coordinates import Coordinates, TableIndex
from napari_subpixel.widgets.layers.table_points import TablePoints

if TYPE_CHECKING:
    from napari.layers import Points

#: Diameter of a marker, in camera pixels.
MARKER_PX = 0.9
#: Colours of the probabilities.
COLORMAP = "plasma"
#: Probabilities at its ends: the darkest quarter, invisible on a dark movie, is left out.
COLORMAP_LIMITS = (-0.3, 1.0)
#: Colour of points without a probability.
PLAIN_COLOUR = "yellow"


class ReadTable(NamedTuple):
    """A table as it was read from a file.

    Attributes
    ----------
    path : str
    table : Localizations
    size_is_given : bool
        Whether the pixel size was given when it was read, as the file has none.
    """

    path: str
    table: Localizations
    size_is_given: bool


@dataclass
class PointNotes:
    """The notes on a points layer that holds localizations.

    Attributes
    ----------
    about : dict
        Pixel size, frame shape, number of frames and provenance, as in `Localizations.about`.
    movie : str, optional
        Key of the movie that the points belong to.
    threshold, floor : float, optional
        Minimum probability of the points that are shown, and of those that were kept at detection.
    time : int, optional
        The axis of the layer that is the frame, if known.
    layer : hashable, optional
        ``unique_id`` of the layer: napari's copies of a layer share its metadata.
    uncorrected : (Localizations, Localizations), optional
        The table before drift was subtracted, and the one after, which it belongs to.
    role : str
        Purpose of points that are not a table of their own: a preview, or the true positives of a score.
    nominal_file : str, optional
        The file that the points were read from, where its pixel size had to be assumed.
    file : ReadTable, optional
        The file that the points were read from, and its table, which they are unless they were changed since.
    keep : Filter, optional
        What points must also pass to be shown.
    passing : ndarray of bool, optional
        Which points pass it, hidden ones included.
    follow_filter : callable, optional
        Has the layer that it is given filtered again whenever its points change; also copies by napari, which do not
        have the connections of the layer.
    threshold_changed : psygnal.Signal
        Emitted with the new threshold.
    filter_changed : psygnal.Signal
        Emitted where other points pass the filter than before.
    """

    about: dict[str, Any] = field(default_factory=dict)
    movie: str | None = None
    threshold: float | None = None
    floor: float | None = None
    time: int | None = None
    layer: Hashable = None
    uncorrected: tuple[Localizations, Localizations] | None = None
    role: str = ""
    nominal_file: str | None = None
    file: ReadTable | None = None
    keep: Filter | None = None
    passing: NDArray[np.bool_] | None = None
    follow_filter: Callable[[Points], None] | None = None

    threshold_changed = Signal(float)
    filter_changed = Signal()


class PointArrays(NamedTuple):
    """A points layer as it is at one moment, for a thread that must not touch the layer itself.

    Attributes
    ----------
    name : str
    data : ndarray or Coordinates, shape (N, axes)
    shown : ndarray of bool, shape (N,)
    columns : mapping of str to ndarray
        Further columns, N numbers each; of points of a table only those that are not in it.
    """

    name: str
    data: NDArray[np.float64] | Coordinates
    shown: NDArray[np.bool_]
    columns: Mapping[str, NDArray[Any]]


def points_layer(
    table: Localizations,
    movie: MovieLayer | None = None,
    *,
    name: str,
    rows: NDArray[np.integer[Any]] | None = None,
    extra: Mapping[str, NDArray[Any]] | None = None,
    index: TableIndex | None = None,
    colour: str | None = None,
    symbol: str = "disc",
) -> TablePoints:
    """Return localizations as a points layer on their movie, coloured by probability.

    Parameters
    ----------
    table : Localizations
        Columns other than frame, y and x become features.
    movie : MovieLayer, optional
        Without it, the layer is (frame, y, x), in nm if the table knows its pixel size.
    name : str
        Of the layer.
    rows : ndarray of int, optional
        Which rows of the table the points are; all if not given.
    extra : mapping of str to ndarray, optional
        Further features, one number for each point.
    index : TableIndex, optional
        Of the table, where it was made on a thread.
    colour : str, optional
        One colour for all points.
    symbol : str
        Shape of the markers, one of napari's.
    """
    floor = table.provenance.get("threshold")
    key, time = (None, 0) if movie is None else (movie.notes.key, movie.time)
    by_probability = colour is None and "probability" in table
    return TablePoints(
        table,
        rows=rows,
        extra=extra,
        index=index,
        time=time,
        ndim=3 if movie is None else movie.layer.ndim,
        others={} if movie is None else movie.other_places(),
        colour_by="probability" if by_probability else "",
        name=name,
        metadata={KEY: PointNotes(table.about, key, floor, floor, time)},
        size=MARKER_PX,
        symbol=symbol,
        face_color="transparent",
        border_color=colour or PLAIN_COLOUR,
        border_colormap=COLORMAP,
        border_contrast_limits=COLORMAP_LIMITS,
        **(_placement(table) if movie is None else movie.placement()),
    )


def fill(layer: TablePoints, table: Localizations) -> None:
    """Replace the localizations of a layer made by `points_layer` by others of the same columns.

    Parameters
    ----------
    layer : TablePoints
    table : Localizations
    """
    notes = notes_of(layer)
    notes.about = table.about
    above = None
    if notes.threshold is not None and "probability" in table:
        above = np.asarray(table["probability"] >= notes.threshold)
    layer.set_table(table, shown=above)


def column_of(layer: Points, name: str) -> NDArray[Any] | None:
    """Return a column of a points layer, hidden points included; None if it has no such column."""
    if isinstance(layer, TablePoints):
        return layer.values(name) if name in layer.feature_names else None
    return layer.features[name].to_numpy() if name in layer.features else None


def has_column(layer: Points, name: str) -> bool:
    """Say whether the points have a column."""
    return name in (layer.feature_names if isinstance(layer, TablePoints) else layer.features)


def notes_of(layer: Points) -> PointNotes:
    """Return the notes on a points layer, made from its scale if the layer is not the plugin's.

    The pixel size is that of scale and units where these are lengths: they may have been set by hand.
    """
    notes = layer.metadata.get(KEY)
    if not isinstance(notes, PointNotes):
        notes = PointNotes()
    elif notes.layer not in (None, layer.unique_id):
        # A copy by napari: from now on the two layers have thresholds and filters of their own.
        notes = replace(notes, about=dict(notes.about))
        if not _is_shown_by(layer, notes):
            notes = replace(notes, threshold=notes.floor, keep=None, passing=None)
        if notes.keep is not None and notes.follow_filter is not None:
            notes.follow_filter(layer)
    notes.layer = layer.unique_id
    size, known = pixel_size_of(layer), notes.about.get("pixel_size_nm")
    if size is not None and (known is None or not same_pixel_size(size, known, within=SAME_SCALE_WITHIN)):
        notes.about = {**notes.about, "pixel_size_nm": size}
    layer.metadata[KEY] = notes
    return notes


def _is_shown_by(layer: Points, notes: PointNotes) -> bool:
    """Say whether a layer shows the points that threshold and filter of these notes show, and no others."""
    if notes.passing is not None and len(notes.passing) != len(layer.data):
        return False
    return np.array_equal(layer.shown, np.broadcast_to(shown_by(layer, notes), layer.shown.shape))


def arrays_of(layer: Points) -> PointArrays:
    """Return a layer as it is now; nothing long is copied."""
    if isinstance(layer, TablePoints):
        return PointArrays(layer.name, layer.data, layer.shown.copy(), layer.columns_beyond_table)
    columns = {str(name): layer.features[name].to_numpy() for name in layer.features.columns}
    return PointArrays(layer.name, np.asarray(layer.data, dtype=np.float64), layer.shown.copy(), columns)


def table_of(layer: Points, *, shown_only: bool = True) -> Localizations:
    """Return the present points of a layer as localizations, also of a layer made or edited by hand.

    Parameters
    ----------
    layer : napari.layers.Points
        Its last axes are y and x in pixels; the other axis along which points differ is the frame.
    shown_only : bool
        Leave out the points that threshold and filter hide.

    Raises
    ------
    InputError
        If points differ along two other axes, or lie between frames or before the first.
    """
    return table_from(arrays_of(layer), notes_of(layer), shown_only=shown_only)


def table_from(points: PointArrays, notes: PointNotes, *, shown_only: bool = True) -> Localizations:
    """Return the table of a points layer from its arrays; nothing is copied where all rows of a table are shown.

    Parameters
    ----------
    points : PointArrays
    notes : PointNotes
        The notes on the layer.
    shown_only : bool
        Leave out the points that threshold and filter hide.

    Raises
    ------
    InputError
        As from `table_of`.
    """
    about = {**notes.about, "provenance": dict(notes.about.get("provenance") or {})}
    if notes.threshold is not None and shown_only:
        # Points below the floor were not kept, so a lower threshold shows no more.
        about["provenance"]["threshold"] = max(notes.threshold, notes.floor or 0.0)
    if shown_only and notes.keep is not None and _only_passing(points.shown, notes.passing):
        n_kept = int(np.count_nonzero(points.shown))
        about["provenance"] = provenance_with(about["provenance"], len(points.shown), n_kept, keep=notes.keep.text)
    keep = points.shown if shown_only and not points.shown.all() else None
    data = points.data
    if isinstance(data, Coordinates) and data.table is not None:
        table = data.table
        if data.rows is not None or keep is not None:
            rows = np.arange(len(table)) if data.rows is None else data.rows
            table = table.select(rows if keep is None else rows[keep])
        if points.columns:
            table = table.with_extra({name: v if keep is None else v[keep] for name, v in points.columns.items()})
        return table.with_about(**{"pixel_size_nm": None, "frame_shape": None, "n_frames": None, **about})
    every = np.asarray(data, dtype=np.float64).reshape(-1, data.shape[1])
    places = every if keep is None else every[keep]
    time = notes.time if notes.time is not None else _moving_axis(points.name, every)
    columns: dict[str, Any] = {"frame": _frames(points.name, places, time), "y": places[:, -2], "x": places[:, -1]}
    extra: dict[str, Any] = {}
    for name, column in points.columns.items():
        values = column if keep is None else column[keep]
        if name in COLUMNS and name not in REQUIRED:
            columns[name] = values
        elif name not in REQUIRED and values.dtype.kind in "iufb":
            extra[name] = values
    return Localizations(columns, extra=extra, **about)


def _only_passing(shown: NDArray[np.bool_], passing: NDArray[np.bool_] | None) -> bool:
    """Say whether only points that pass the filter are shown: others may have been shown by hand."""
    return passing is not None and len(passing) == len(shown) and not (shown & ~passing).any()


def set_threshold(layer: Points, threshold: float) -> None:
    """Show the points of at least this probability that pass the layer's filter; others are kept, but hidden."""
    notes = notes_of(layer)
    if not has_column(layer, "probability") or notes.threshold == threshold:
        return
    notes.threshold = threshold
    layer.shown = shown_by(layer, notes)
    notes.threshold_changed.emit(threshold)


def shown_by(layer: Points, notes: PointNotes) -> NDArray[np.bool_]:
    """Say which points of a layer its threshold and its filter show, shape (N,), or (1,) where there is neither.

    A filter that was evaluated on a different number of points hides none: it is about to be evaluated again.
    """
    probabilities = column_of(layer, "probability") if notes.threshold is not None else None
    shown = np.ones(1, np.bool_) if probabilities is None else np.asarray(probabilities >= notes.threshold)
    passing = notes.passing
    return shown if passing is None or len(passing) != len(layer.data) else passing & shown


def _placement(table: Localizations) -> dict[str, Any]:
    size = table.pixel_size_nm
    return {"axis_labels": AXES, **({"scale": (1.0, *pixel_size_yx(size)), "units": UNITS} if size else {})}


def time_axis_of(layer: Points) -> int | None:
    """Return the axis of a points layer that is the frame; None if it has only y and x."""
    notes = notes_of(layer)
    if notes.time is not None:
        return notes.time
    return _moving_axis(layer.name, np.asarray(layer.data, dtype=np.float64).reshape(-1, layer.ndim))


def _moving_axis(name: str, places: NDArray[np.float64]) -> int | None:
    """Return the axis besides y and x along which points differ, the last one if they do not differ."""
    outer = places[:, :-2]
    moving = np.flatnonzero((outer != outer[:1]).any(axis=0))
    if len(moving) > 1:
        raise InputError(f"{name}: points differ along {len(moving)} axes besides y and x; only one can be the frame")
    return int(moving[0]) if len(moving) else outer.shape[1] - 1 if outer.shape[1] else None


def _frames(name: str, places: NDArray[np.float64], time: int | None) -> NDArray[np.int64]:
    """Return the frame number of every point."""
    if time is None or not len(places):
        return np.zeros(len(places), np.int64)
    numbers = places[:, time]
    frames = np.rint(numbers).astype(np.int64)
    if (np.abs(numbers - frames) > 1e-6).any() or (frames < 0).any():
        raise InputError(f"{name}: frame numbers must be whole numbers from 0, got {numbers.min():g}")
    return frames
