"""A filter on a layer of localizations: points that do not pass are hidden, and come back without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from napari_subpixel.analysis.filters import Filter
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.points import column_of, notes_of, shown_by, table_of

if TYPE_CHECKING:
    from napari.layers import Points
    from napari.utils.events import Event

#: Events of a points layer after which other points may pass a filter: a length in nm depends on the pixel size.
CHANGES = ("data", "scale", "units")


def table_to_filter(layer: Points) -> Localizations:
    """Return the table of all points of a layer, hidden ones included; of a layer over a table nothing is copied.

    Raises
    ------
    InputError
        If the points are no localizations.
    """
    return table_of(layer, shown_only=False)


def set_filter(layer: Points, keep: Filter | None, passing: NDArray[np.bool_] | None = None) -> None:
    """Show the points that pass a filter and are above the layer's threshold; others are kept, but hidden.

    Parameters
    ----------
    layer : napari.layers.Points
    keep : Filter, optional
        None shows all points above the threshold.
    passing : ndarray of bool, shape (N,), optional
        Which points pass, where that is known; evaluated again where it is of a different number of points.

    Raises
    ------
    InputError
        If the filter does not fit the points.
    """
    if keep is not None and (passing is None or len(passing) != len(layer.data)):
        passing = keep.mask(table_to_filter(layer))
    notes = notes_of(layer)
    notes.keep, notes.passing = keep, passing if keep is not None else None
    layer.shown = shown_by(layer, notes)
    notes.follow_filter = _follow if keep is not None else None
    for name in CHANGES:
        getattr(layer.events, name).disconnect(_filter_again)
    if keep is not None:
        _follow(layer)
    notes.filter_changed.emit()


def n_above_threshold(layer: Points) -> int:
    """Return how many points the layer's threshold shows, whatever its filter hides."""
    threshold, probabilities = notes_of(layer).threshold, column_of(layer, "probability")
    if threshold is None or probabilities is None:
        return len(layer.data)
    return int(np.count_nonzero(probabilities >= threshold))


def about_to_change(event: Event) -> bool:
    """Say whether an event on the data of a layer comes before the change, and another one after it."""
    return str(getattr(event, "action", "")).endswith("ing")


def all_hidden(layer: Points) -> InputError:
    """Return the error that a layer of which no point is shown is refused with: what hides them."""
    notes = notes_of(layer)
    causes = []
    if notes.threshold is not None and n_above_threshold(layer) < len(layer.data):
        causes.append("the threshold")
    if notes.keep is not None and n_above_threshold(layer):
        causes.append("the filter")
    by = f" by {' and '.join(causes)}" if causes else ""
    return InputError(f"{layer.name}: all points are hidden{by}")


def _follow(layer: Points) -> None:
    """Filter a layer again whenever its points or the size of its pixels change."""
    for name in CHANGES:
        getattr(layer.events, name).connect(_filter_again)


def _filter_again(event: Event) -> None:
    """Filter other points than before: some were removed, moved or added, or their pixels have another size."""
    layer: Points = event.source
    keep = notes_of(layer).keep
    if keep is None or about_to_change(event):
        return
    try:
        set_filter(layer, keep)
    except InputError as error:  # the other table does not have the columns
        set_filter(layer, None)
        show_warning(f"{layer.name}: not filtered any more, {error}")
