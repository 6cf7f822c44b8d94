"""The steps from a movie to a result: which are done among the layers, and what the others need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_subpixel.widgets.layers.drifted import has_drift_subtracted
from napari_subpixel.widgets.layers.filtering import n_above_threshold
from napari_subpixel.widgets.layers.matches import KINDS
from napari_subpixel.widgets.layers.movies import KEY, movies_among, n_frames_of
from napari_subpixel.widgets.layers.points import PointNotes
from napari_subpixel.widgets.layers.renderings import RenderingNotes
from napari_subpixel.widgets.layers.results import is_linked, is_measured, is_table, is_truth

if TYPE_CHECKING:
    from napari.layers import Layer, Points

NEEDS_MOVIE = "needs a movie"
NEEDS_TABLE = "needs a table"
NEEDS_TRUTH = "needs a truth"


class State(NamedTuple):
    """How far a step is.

    Attributes
    ----------
    done : bool
    words : str
        What was done, or what is missing; empty where nothing is.
    """

    done: bool
    words: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether it is done, or could be."""
        return self.done or not self.words


class Step(NamedTuple):
    """A step, and the panel that does it.

    Attributes
    ----------
    name : str
    command : str
        Of the panel, as the plugin's manifest has it.
    state : callable
        Takes the layers, the topmost first, and says how far the step is.
    """

    name: str
    command: str
    state: Callable[[Sequence[Layer]], State]


def _movie(layers: Sequence[Layer]) -> State:
    for layer, size in movies_among(layers):
        n_frames = n_frames_of(layer)
        return State(True, f"{n_frames:,} frame{'s'[: n_frames != 1]}" if size else "pixel size?")
    return State(False, "open a movie")


def _detect(layers: Sequence[Layer]) -> State:
    for layer in filter(is_measured, layers):
        return State(True, f"{len(layer.data):,} found")
    return State(False, "" if movies_among(layers) else NEEDS_MOVIE)


def _filter(layers: Sequence[Layer]) -> State:
    for layer in filter(is_table, layers):
        notes = layer.metadata.get(KEY)
        if isinstance(notes, PointNotes) and notes.keep is not None:
            n = n_above_threshold(layer)
            return State(True, f"{np.count_nonzero(layer.shown) / max(n, 1):.0%} kept")
    return _of_a_table(layers)


def _render(layers: Sequence[Layer]) -> State:
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if isinstance(notes, RenderingNotes):
            return State(True, f"{notes.grid.pixel_size_nm:.3g} nm pixels" if notes.grid else "")
    return _of_a_table(layers)


def _score(layers: Sequence[Layer]) -> State:
    roles = {kind.role for kind in KINDS}
    if any(getattr(layer.metadata.get(KEY), "role", "") in roles for layer in layers):
        return State(True)
    if not any(map(is_measured, layers)):
        return State(False, NEEDS_TABLE)
    return State(False, "" if any(map(is_truth, layers)) else NEEDS_TRUTH)


def _drift(layers: Sequence[Layer]) -> State:
    tables: list[Points] = list(filter(is_table, layers))
    return State(True, "subtracted") if any(map(has_drift_subtracted, tables)) else _of_a_table(layers)


def _link(layers: Sequence[Layer]) -> State:
    for layer in filter(is_linked, layers):
        return State(True, f"{len(layer.data):,} linked")
    return _of_a_table(layers)


def _figure(layers: Sequence[Layer]) -> State:
    return State(False, "" if movies_among(layers) or any(map(is_table, layers)) else NEEDS_MOVIE)


def _always(_: Sequence[Layer]) -> State:
    return State(False)


def _of_a_table(layers: Sequence[Layer]) -> State:
    return State(False, "" if any(map(is_table, layers)) else NEEDS_TABLE)


#: All steps, in the order in which they are taken.
STEPS = (
    Step("Movie", "napari-subpixel.load", _movie),
    Step("Detect", "napari-subpixel.detect", _detect),
    Step("Filter", "napari-subpixel.filter", _filter),
    Step("Render", "napari-subpixel.render", _render),
    Step("Score", "napari-subpixel.evaluate", _score),
    Step("Drift", "napari-subpixel.drift", _drift),
    Step("Link", "napari-subpixel.link", _link),
    Step("Resolution", "napari-subpixel.resolution", _of_a_table),
    Step("Figure", "napari-subpixel.figure", _figure),
    Step("Batch", "napari-subpixel.batch", _always),
    Step("Train", "napari-subpixel.train", _always),
)
