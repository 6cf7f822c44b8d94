"""True positives, false positives and misses in the viewer: three coloured points layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.evaluation.scores import Match
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.points import PointNotes, points_layer
from napari_subpixel.widgets.layers.results import StandInMovie, movie_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer, Points


class MatchKind(NamedTuple):
    """One of the three kinds of points.

    Attributes
    ----------
    role : str
        Its name.
    colour, symbol : str
        How it looks in the viewer.
    sign : str
        The symbol as a character.
    """

    role: str
    colour: str
    symbol: str
    sign: str


# Colours that are distinct to people with any colour vision (Okabe and Ito 2008), and distinct symbols.
#: Localizations that match a molecule.
TRUE_POSITIVES = MatchKind("true positives", "#009E73", "disc", "●")
#: Localizations that match no molecule.
FALSE_POSITIVES = MatchKind("false positives", "#D55E00", "triangle_up", "▲")
#: Molecules that no localization matches.
MISSES = MatchKind("misses", "#56B4E9", "square", "■")
#: All three, in the order of the legend.
KINDS = (TRUE_POSITIVES, FALSE_POSITIVES, MISSES)


class MatchedRows(NamedTuple):
    """Some rows of a table, with the distance of each from its molecule where it has one.

    Attributes
    ----------
    table : Localizations
    rows : ndarray of int
    distances_nm : ndarray, optional
    """

    table: Localizations
    rows: NDArray[np.integer[Any]]
    distances_nm: NDArray[np.float64] | None = None


def matched_rows(found: Localizations, truth: Localizations, match: Match) -> dict[MatchKind, MatchedRows]:
    """Return the rows that a match counts: true and false positives of `found`, and misses of `truth`.

    Parameters
    ----------
    found, truth : Localizations
        The tables whose rows are numbered in the match.
    match : Match
    """
    return {
        TRUE_POSITIVES: MatchedRows(found, match.pairs[:, 0], match.distances_nm),
        FALSE_POSITIVES: MatchedRows(found, match.false_positive_rows),
        MISSES: MatchedRows(truth, match.missed_rows),
    }


def show_matches(
    viewer: Viewer, result: Points, found: Localizations, truth: Localizations, match: Match
) -> list[Points]:
    """Show a match as three layers on the movie of the result, in place of those shown before.

    Parameters
    ----------
    viewer : napari.Viewer
    result : napari.layers.Points
        The layer that was scored.
    found, truth : Localizations
        The tables whose rows are numbered in the match.
    match : Match
    """
    before = match_layers(viewer.layers)
    active = viewer.layers.selection.active
    place = movie_of(result, viewer.layers) or StandInMovie(result)
    shown = []
    # The first kind on top, as in the list of layers.
    for kind, (table, rows, distances_nm) in reversed(matched_rows(found, truth, match).items()):
        # Not the provenance of a result: a new threshold for the result must not act on this part of it.
        about = {"matched": kind.role, "tolerance_nm": match.tolerance_nm, "of": table.provenance}
        layer = points_layer(
            table.with_about(provenance=about),
            place,
            name=f"{kind.role}, {match.tolerance_nm:g} nm",
            rows=rows,
            extra={} if distances_nm is None else {"distance_nm": distances_nm},
            colour=kind.colour,
            symbol=kind.symbol,
        )
        layer.metadata[KEY].role = kind.role
        _put(viewer, layer, before.get(kind.role))
        shown.append(layer)
    viewer.layers.selection.active = active if active in viewer.layers else shown[0]
    return shown


def match_layers(layers: Iterable[Layer]) -> dict[str, Points]:
    """Return the layers of the shown match, by role."""
    roles = {kind.role for kind in KINDS}
    by_role: dict[str, Points] = {}
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if isinstance(notes, PointNotes) and notes.role in roles:
            by_role.setdefault(notes.role, layer)
    return by_role


def _put(viewer: Viewer, layer: Points, before: Points | None) -> None:
    """Put a layer in place of an earlier one, or on top."""
    layers = viewer.layers
    if before is None:
        layers.append(layer)
        return
    layer.visible, layer.opacity = before.visible, before.opacity
    place = layers.index(before)
    layers.remove(before)
    layers.insert(place, layer)
