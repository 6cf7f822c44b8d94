"""Drift subtracted from the points of a layer and taken back, and fiducials picked in other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.drift_curve import DRIFT_COLUMNS, DriftCurve, is_corrected, undo_drift
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import REQUIRED, Localizations
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import has_column, notes_of, table_of
from napari_subpixel.widgets.layers.results import Ground
from napari_subpixel.widgets.layers.table_points import TablePoints

if TYPE_CHECKING:
    from napari.layers import Layer, Points, Shapes


class DriftSource(NamedTuple):
    """The points that a drift was estimated from: their layer and its name, and their movie as the notes have it."""

    layer: object
    name: str
    key: str | None
    movie: str | None

    @classmethod
    def of(cls, points: Points) -> DriftSource:
        """Return what identifies these points."""
        notes = notes_of(points)
        return cls(points.unique_id, points.name, notes.movie, (notes.about.get("provenance") or {}).get("movie"))

    def check(self, points: Points) -> None:
        """Raise `InputError` unless other points are known to be of the same movie."""
        other = DriftSource.of(points)
        names = self.key is None or other.key is None
        same = self.movie == other.movie is not None if names else self.key == other.key
        if other.layer != self.layer and not same:
            raise InputError(
                f"{points.name}: the drift was estimated from {self.name}, which is not known to be of the same movie; "
                f"estimate it from {points.name}"
            )


def has_drift_subtracted(points: Points) -> bool:
    """Say whether drift was subtracted from the points of a layer."""
    return all(has_column(points, DRIFT_COLUMNS[axis]) for axis in ("y", "x"))


def without_correction(table: Localizations) -> Localizations:
    """Return a table at its original positions, whether or not drift was subtracted from it."""
    return undo_drift(table) if is_corrected(table) else table


def subtract_drift(points: Points, curve: DriftCurve, ground: Ground) -> None:
    """Subtract drift from all points of a layer, hidden ones included, in place of what was subtracted before.

    Of a layer over a table the notes keep the table as it was, so that the original positions come back to the last
    bit; those of other layers, and of files, come back to the precision of the columns of drift.

    Parameters
    ----------
    points : napari.layers.Points
    curve : DriftCurve
    ground : Ground
        What the points lie on.

    Raises
    ------
    InputError
        If the pixel size is not known, or there are frames beyond the curve's last.
    """
    original = _original(points, ground)
    corrected = curve.correct(original)
    _replace(points, corrected)
    notes_of(points).uncorrected = original, corrected


def take_drift_back(points: Points, ground: Ground) -> None:
    """Put all points of a layer back to where they were before drift was subtracted.

    Parameters
    ----------
    points : napari.layers.Points
    ground : Ground
        What the points lie on.

    Raises
    ------
    InputError
        If no drift was subtracted, or the pixel size is not known.
    """
    if not has_drift_subtracted(points):
        raise InputError(f"{points.name}: no drift was subtracted from these points")
    _replace(points, _original(points, ground))
    notes_of(points).uncorrected = None


def picked_places(layer: Points | Shapes, movie: MovieLayer) -> list[tuple[float, float]]:
    """Return the places of points, or of the middles of shapes, in pixels of a movie: the selected ones, else all.

    Parameters
    ----------
    layer : napari.layers.Points or napari.layers.Shapes
    movie : MovieLayer
        Whose pixels the places are in.

    Raises
    ------
    InputError
        If there are none.
    """
    chosen = sorted(layer.selected_data) or range(len(layer.data))
    middles = [np.atleast_2d(np.asarray(layer.data[i], np.float64)).mean(axis=0) for i in chosen]
    if not middles:
        raise InputError(f"{layer.name}: no fiducial is picked: add a point or a shape on each")
    places = [movie.to_pixels(layer, middle) for middle in middles]
    return [(float(y), float(x)) for y, x in places]


def can_hold_picks(layer: Layer) -> bool:
    """Say whether fiducials can be picked in a layer: points or shapes, but not those of a result."""
    from napari.layers import Points, Shapes

    return isinstance(layer, Shapes) or (isinstance(layer, Points) and not isinstance(layer, TablePoints))


def _original(points: Points, ground: Ground) -> Localizations:
    """Return all rows of a layer at their original positions."""
    kept = notes_of(points).uncorrected
    if kept is not None and isinstance(points, TablePoints) and points.table is kept[1]:
        return kept[0]
    table = table_of(points, shown_only=False)
    return without_correction(table.with_about(pixel_size_nm=ground.pixel_size_nm or table.pixel_size_nm))


def _replace(points: Points, table: Localizations) -> None:
    """Show a table of the same rows at other positions; a filter is evaluated again, other hidden rows stay hidden."""
    notes = notes_of(points)
    notes.about = {**table.about, "pixel_size_nm": notes.about.get("pixel_size_nm") or table.pixel_size_nm}
    shown: NDArray[np.bool_] = points.shown.copy()
    if isinstance(points, TablePoints):
        points.set_table(table, shown=shown)
        return
    features = points.features.copy()
    for axis, name in DRIFT_COLUMNS.items():
        if name in table:
            features[name] = table[name]
        elif name in features:
            del features[name]
        if axis in features and axis in table and axis not in REQUIRED:
            features[axis] = table[axis]
    points.features = features
    places = np.array(points.data, np.float64)
    places[:, -2:] = table.yx
    points.data = places
    if notes.keep is None:
        points.shown = shown
