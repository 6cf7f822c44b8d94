"""The part of a movie that is detected: its frames, a region of them, and whether with points that never move."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSpinBox, QWidget
from superqt import QCollapsible

from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.advice import NO_STATIC
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.regions import is_shapes, rectangle_layer


class PartOfMovie(QObject):
    """Controls that choose frames and a region, for a panel to lay out.

    Parameters
    ----------
    panel : Panel
        The widget that they are part of.

    Attributes
    ----------
    first, last : QSpinBox
        The first and the last frame.
    region : magicgui.widgets.ComboBox
        A shapes layer with a rectangle, or the whole frame.
    no_static : QCheckBox
        Whether points that never move are left out.
    box : QCollapsible
        All of them.
    frames_changed : Signal()
        Other frames were chosen.
    region_changed : Signal()
        Another region was chosen, or it was moved.
    """

    frames_changed = Signal()
    region_changed = Signal()

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._links = panel.new_links()
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, what in ((self.first, "First"), (self.last, "Last")):
            box.setToolTip(f"{what} frame of the run, counted from 0 as on the viewer's slider")
            box.valueChanged.connect(lambda _: self.frames_changed.emit())
        self.region = panel.layer_choice(
            "Region", is_shapes, none="whole frame", tooltip="A shapes layer with a rectangle: detect only within it"
        )
        self.region.changed.connect(self._region_chosen)
        frames = QHBoxLayout()
        frames.addWidget(self.first, stretch=1)
        frames.addWidget(QLabel("to"))
        frames.addWidget(self.last, stretch=1)
        inner = QWidget()
        self.no_static = QCheckBox(NO_STATIC)
        self.no_static.setToolTip("At fiducial beads, dirt, the edge of a field stop or of an image splitter")
        panel.add_form(("Frames", frames), self.region, ("", self.no_static), to=inner)
        self.box = QCollapsible("Part of the movie", collapsedIcon="\u25b6", expandedIcon="\u25bc")
        self.box.addWidget(inner)

    def reset(self, n_frames: int) -> None:
        """Choose all of so many frames."""
        for box, value in ((self.first, 0), (self.last, n_frames - 1)):
            box.setRange(0, max(n_frames - 1, 0))
            box.setValue(value)

    def extend(self, n_frames: int) -> None:
        """Offer the frames that the movie has by now, all of them if all were chosen before."""
        to_the_end = self.last.value() == self.last.maximum()
        for box in (self.first, self.last):
            box.setMaximum(n_frames - 1)
        if to_the_end:
            self.last.setValue(n_frames - 1)

    @property
    def n_frames(self) -> int:
        """How many frames are chosen; less than 1 where the first comes after the last."""
        return self.last.value() - self.first.value() + 1

    def frames(self) -> tuple[int, int]:
        """Return the first frame, and the one after the last.

        Raises
        ------
        InputError
            If the first comes after the last.
        """
        first, last = self.first.value(), self.last.value()
        if first > last:
            raise InputError(f"the first frame, {first}, comes after the last, {last}")
        return first, last + 1

    def choose_static(self, left_out: object) -> None:
        """Leave out points that never move, or not."""
        self.no_static.setChecked(bool(left_out))

    def roi(self, movie: MovieLayer) -> Roi | None:
        """Return the region in the pixels of a movie; None for the whole frame.

        Raises
        ------
        InputError
            If the layer does not hold one rectangle, or this lies outside the frames.
        """
        return None if self.region.value is None else movie.region(self.region.value)

    def choose_frames(self, text: Any) -> None:
        """Choose frames as the command line takes them, ``A:B``; an open end is that of the movie.

        Raises
        ------
        InputError
            If the movie does not have these frames.
        """
        ends = str(text).split(":")
        if len(ends) != 2:
            raise InputError(f"expected frames as A:B, got {text}")
        n_frames = self.last.maximum() + 1
        first, stop = int(ends[0] or 0), int(ends[1] or n_frames)
        if not 0 <= first < stop <= n_frames:
            raise InputError(f"the movie has frames 0:{n_frames}, not {text}")
        self.first.setValue(first)
        self.last.setValue(stop - 1)

    def choose_region(self, movie: MovieLayer, text: Any) -> None:
        """Choose a region as the command line takes it, ``Y0:Y1,X0:X1``: it becomes a shapes layer.

        Raises
        ------
        InputError
            If the movie does not have this region.
        """
        sides = [[int(end) for end in side.split(":")] for side in str(text).split(",")]
        (y0, y1), (x0, x1) = sides
        before = self.region.value
        layer = rectangle_layer(movie, ((y0, y1), (x0, x1)), "region of the settings")
        self._panel.viewer.add_layer(layer)
        self.region.value = layer
        try:
            fits = self.roi(movie) == ((y0, y1), (x0, x1))
        except InputError:
            fits = False
        if not fits:
            self.region.value = before
            self._panel.viewer.layers.remove(layer)
            raise InputError(f"the frames, {movie.frame_shape[0]} x {movie.frame_shape[1]} px, have no such region")

    def _region_chosen(self, _: object = None) -> None:
        self._links.clear()
        if self.region.value is not None:
            self._links.connect(self.region.value.events.data, self._region_moved)
        self.region_changed.emit()

    def _region_moved(self, _: object = None) -> None:
        self.region_changed.emit()
