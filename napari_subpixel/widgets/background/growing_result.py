"""The points layer of a run that is going on: it grows now and then, and is named at its end."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING

from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import fill, points_layer, set_threshold

if TYPE_CHECKING:
    from napari import Viewer

    from napari_subpixel.widgets.layers.table_points import TablePoints

#: The layer grows at most this often, in seconds.
PAUSE_S = 1.0
#: It pauses at least this many times as long as it took to grow: the run and the viewer keep the processor.
PAUSE_SHARE = 20.0


class GrowingResult:
    """Collects the tables of a run, and shows in the viewer what there is so far.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer is added; it is not kept alive.
    movie : MovieLayer
        What the points lie on, wherever its layer is meanwhile.
    name : str
        Of the layer while it grows.
    """

    def __init__(self, viewer: Viewer, movie: MovieLayer, name: str) -> None:
        self._viewer = weakref.ref(viewer)
        self._movie = movie
        self._name = self._name_of_layer = name
        self._tables: list[Localizations] = []
        self._layer: TablePoints | None = None
        self._shown: Localizations | None = None
        self._next = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether no table has arrived yet."""
        return not self._tables

    def add(self, table: Localizations, frames: tuple[int, int], threshold: float) -> None:
        """Add the table of further frames, and show it unless the layer has just grown, or was removed or edited.

        Parameters
        ----------
        table : Localizations
        frames : (int, int)
            The first frame of the run, and the one after the last that is done.
        threshold : float
            Minimum probability of the points that are shown.
        """
        self._tables.append(table)
        if time.perf_counter() < self._next:
            return
        began = time.perf_counter()
        viewer = self._viewer()
        if viewer is not None and (self._layer is None or self._grows_in(viewer)):
            self._show(viewer, self.table(frames), threshold)
        ended = time.perf_counter()
        self._next = ended + max(PAUSE_S, PAUSE_SHARE * (ended - began))

    def table(self, frames: tuple[int, int]) -> Localizations:
        """Return all rows so far, at the pixel size that the movie has now: its camera may have been set meanwhile."""
        table = concat(self._tables)
        self._tables = [table]
        provenance = {**table.provenance, "frames": list(frames)}
        pixel_size = self._movie.camera.pixel_size_nm or table.pixel_size_nm
        return table.with_about(provenance=provenance, pixel_size_nm=pixel_size)

    def finish(self, table: Localizations, name: str, threshold: float) -> TablePoints | None:
        """Show the whole table, and return its layer; None if the viewer is gone.

        A layer that the user has edited meanwhile stays as it is, and the whole table becomes another one.

        Parameters
        ----------
        table : Localizations
        name : str
            Of the layer, unless the user has renamed it.
        threshold : float
            Minimum probability of the points that are shown.
        """
        viewer = self._viewer()
        if viewer is None:
            return None
        if self._layer is not None and not self._grows_in(viewer):
            self._rename(self._layer, f"{name} (edited)")
        layer = self._show(viewer, table, threshold)
        self._rename(layer, name)
        return layer

    def _rename(self, layer: TablePoints, name: str) -> None:
        """Give a layer its name for good, unless the user has renamed it."""
        if layer.name == self._name_of_layer:
            layer.name = name

    def _grows_in(self, viewer: Viewer) -> bool:
        """Say whether the layer is still there, with the rows that it was given."""
        return self._layer is not None and self._layer in viewer.layers and self._layer.table is self._shown

    def _show(self, viewer: Viewer, table: Localizations, threshold: float) -> TablePoints:
        """Fill the layer, or add one where there is none to fill."""
        if self._layer is not None and self._grows_in(viewer):
            fill(self._layer, table)
        else:
            self._layer = points_layer(table, self._movie, name=self._name)
            viewer.add_layer(self._layer)
            self._name_of_layer = self._layer.name  # with a number where there is another of this name
            set_threshold(self._layer, threshold)
        self._shown = self._layer.table
        return self._layer
