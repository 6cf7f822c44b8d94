"""The super-resolution layer of what is in view: drawn anew, in the background, as one pans and zooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QGuiApplication

from napari_subpixel.coordinates import pixel_length
from napari_subpixel.grids import ViewGrid
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.view_pictures import (
    GAMMA,
    QUANTITIES,
    Appearance,
    Drawn,
    Picture,
    ViewRequest,
    common_rows,
)
from napari_subpixel.widgets.background.worker import Work, WorkGroup
from napari_subpixel.widgets.controls.links import Links
from napari_subpixel.widgets.controls.picture_marks import short
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.points import arrays_of, notes_of, table_from
from napari_subpixel.widgets.layers.renderings import RenderingNotes, movie_key_of
from napari_subpixel.widgets.layers.results import Ground
from napari_subpixel.widgets.layers.view_image import InView, ViewImage

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: The picture is sharp once the view has not changed for this long, in milliseconds.
REST_MS = 250
#: The molecules are read again once they have not changed for this long, in milliseconds.
CHANGED_MS = 300


class ViewDrawing(QObject):
    """Keeps an image layer drawn for what is in view, from the molecules of a points layer that are shown.

    While the view moves, pictures are drawn as fast as they come, with larger pixels where there is too much to draw;
    once it rests, with those of the screen. It ends when the layer is removed, and with the window.

    Parameters
    ----------
    viewer : napari.Viewer
    points : napari.layers.Points
    ground : callable
        Returns what the points lie on.
    appearance : Appearance
    colormap : str
        Colours of the density.

    Attributes
    ----------
    layer : ViewImage
        The layer, to be put into the viewer.
    picture : Picture, optional
        What it shows.
    ground : callable
    appearance : Appearance
    follows : bool
        Whether molecules that are hidden or shown are drawn without or with them at once.
    drawn : Signal(object)
        A picture that it shows from now on.
    failed : Signal(object)
        Why it could not be drawn.
    """

    drawn = Signal(object)
    failed = Signal(object)

    def __init__(
        self, viewer: Viewer, points: Points, ground: Callable[[], Ground], appearance: Appearance, *, colormap: str
    ) -> None:
        super().__init__(viewer.window._qt_window)
        self.points, self.ground, self.appearance = points, ground, appearance
        self.follows = True
        self.picture: Picture | None = None
        self._prepared = Drawn()
        self._rows: ArrayLike | None = None
        self._last_shown: Any = None
        self._limit: float | None = None
        self._own_contrast = True
        self._stopped = False
        self._works = WorkGroup()
        works = self._works
        # The group, not this object, is what the slot may touch: the object is gone by then.
        self.destroyed.connect(lambda *_: works.abandon())
        self.latest: LatestWork[ViewRequest] = LatestWork(self)
        self.latest.returned.connect(self._deliver)
        self.latest.failed.connect(self.failed)
        self._moved = self._timer(0, self._draw_quickly)
        self._rest = self._timer(REST_MS, self._draw_sharply)
        self._changed = self._timer(CHANGED_MS, self._read)
        self._links = Links()
        self._in_view = self._whole(viewer)
        self.layer = self._new_layer(viewer, colormap)
        self._read()

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self, singleShot=True, interval=milliseconds)
        timer.timeout.connect(slot)
        return timer

    def begin(self, work: Work) -> Work:
        """Start work that ends with this."""
        return self._works.begin(work)

    # -- the layer ----------------------------------------------------------------------------------------------------

    def _whole(self, viewer: Viewer) -> InView:
        """Return a view of all of the frames on the canvas."""
        shape = self._frame_shape
        zoom = min(size / length for size, length in zip(viewer.canvas.size, shape, strict=True))
        return InView((-0.5, -0.5), (shape[0] - 0.5, shape[1] - 0.5), (float(zoom), float(zoom)))

    @property
    def _frame_shape(self) -> tuple[int, int]:
        shape = self.ground().frame_shape
        assert shape is not None, "checked where the drawing was asked for"
        return shape

    def _new_layer(self, viewer: Viewer, colormap: str) -> ViewImage:
        """Return a layer without molecules, and listen to it."""
        ground, coloured = self.ground(), bool(self.appearance.colour_by)
        grid = ViewGrid.covering((-1, -1), self._frame_shape, zoom=(1.0, 1.0), frame_shape=self._frame_shape)
        assert grid is not None
        notes = RenderingNotes({}, movie_key_of(ground.layer) or movie_key_of(self.points), self.points.unique_id)
        own = {"rgb": True} if coloured else {"colormap": colormap, "contrast_limits": (0.0, 1.0), "gamma": GAMMA}
        layer = ViewImage(
            np.zeros((*grid.shape, 3), np.uint8) if coloured else np.zeros(grid.shape, np.float32),
            grid,
            self._frame_shape,
            ground.layer,
            name=f"{self.points.name}, super-resolution",
            metadata={KEY: notes},
            blending="additive",
            **own,
        )
        layer.drawing = self
        self._links.connect(layer.view_changed, self._view_changed)
        self._links.connect(layer.events.contrast_limits, self._contrast_changed)
        self._links.connect(viewer.layers.events.removed, self._removed)
        points_notes = notes_of(self.points)
        for signal in (points_notes.threshold_changed, points_notes.filter_changed):
            self._links.connect(signal, self._rows_changed)
        for event in ("data", "scale", "translate"):
            self._links.connect(getattr(self.points.events, event), self._points_changed)
        self._links.connect(self.points.events.set_data, self._rows_changed)
        return layer

    def stop(self) -> None:
        """Draw no more; what the layer shows stays."""
        self._stopped = True
        self._links.clear()
        for timer in (self._moved, self._rest, self._changed):
            timer.stop()
        self._works.abandon()

    def _removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.stop()
            self.layer.drawing = None
            self._prepared = Drawn()  # the window would keep this, and with it the molecules
            self.deleteLater()

    # -- what is drawn ------------------------------------------------------------------------------------------------

    def set_appearance(self, appearance: Appearance) -> None:
        """Draw in another way; density and colours of a quantity need layers of their own."""
        self.appearance, self._limit, self._own_contrast = appearance, None, True
        self._ask_again()

    def set_ground(self, ground: Callable[[], Ground]) -> None:
        """Draw the points where they lie on other frames of the same shape."""
        self.ground = ground
        if not ground().is_same_as(self._read_on):
            self._read()

    def set_follows(self, follows: bool) -> None:
        """Say whether to draw the molecules that are shown, as they are hidden and shown."""
        self.follows = follows
        self._rows_changed()

    def set_rows(self, rows: ArrayLike | None) -> None:
        """Draw only molecules of the rows that a mask or an array of indices names; None: all that are shown."""
        self._rows = None if rows is None else np.array(rows)
        self._ask_again()

    def _points_changed(self, _: object = None) -> None:
        self._changed.start()

    def _rows_changed(self, _: object = None) -> None:
        if len(self.points.data) != len(self._shown):  # other molecules, which have not been read yet
            self._changed.start()
        elif self.follows and self.points.shown is not self._last_shown:
            self._note_shown()
            self._ask_again()

    def _note_shown(self) -> None:
        self._last_shown = self.points.shown
        self._shown, self._notes = self._last_shown.copy(), replace(notes_of(self.points))

    def _read(self) -> None:
        """Take the molecules of the points layer as they are now."""
        self._note_shown()
        arrays, notes, ground = arrays_of(self.points), self._notes, self.ground()

        def source() -> Localizations:
            return ground.table(table_from(arrays, notes, shown_only=False))

        self._arrays, self._source, self._read_on = arrays, source, ground
        self._ask_again()

    def snapshot(self) -> Callable[[], Localizations]:
        """Return a function that makes the table of the molecules that are drawn, for a thread to call."""
        shown = common_rows((self._shown, self._rows), len(self._shown))
        assert shown is not None, "a mask is among them"
        arrays, notes = self._arrays._replace(shown=shown), self._notes
        return lambda: table_from(arrays, notes)

    # -- drawing ------------------------------------------------------------------------------------------------------

    @property
    def in_view(self) -> InView:
        """The part of the frames that is in view."""
        return self._in_view

    @property
    def is_drawing(self) -> bool:
        """Whether another picture is on its way."""
        if self._stopped:
            return False
        timers = (self._moved, self._rest, self._changed)
        return self.latest.request is not None or any(timer.isActive() for timer in timers)

    def _view_changed(self, in_view: InView) -> None:
        if in_view.zoom != self._in_view.zoom and self._own_contrast:
            self._limit = None
        self._in_view = in_view
        self._rest.start()
        # At once, while the canvas shows the old picture in the new view: no layer is touched until it is drawn.
        self._draw_quickly()

    def _ask_again(self) -> None:
        """Draw soon, and better once nothing has changed for a while; not now, as the canvas may be being drawn."""
        self._moved.start()
        self._rest.start()

    def _draw_quickly(self) -> None:
        self._ask(sharp=False)

    def _draw_sharply(self) -> None:
        self._ask(sharp=True)

    def _ask(self, *, sharp: bool) -> None:
        ground, running = self.ground(), self.latest.request
        if ground.frame_shape is None or ground.pixel_size_nm is None:
            return
        if running is not None and running.sharp:
            self.latest.cancel()
        request = ViewRequest(
            self._prepared,
            self._source,
            (self._shown, self._rows),
            ground,
            ground.frame_shape,
            ground.pixel_size_nm,
            _on_screen(self._in_view),
            self.appearance,
            self._limit,
            sharp,
        )
        self.latest.ask(request)

    def _deliver(self, request: ViewRequest, picture: Picture | None) -> None:
        if picture is None or bool(request.appearance.colour_by) != self.layer.rgb:
            return
        self.picture = picture
        is_sharp = picture.view.is_sharp
        self.layer.show(picture.values, picture.view.grid, request.ground.layer, with_thumbnail=is_sharp)
        if self._own_contrast:
            # The first sharp picture of a zoom sets its contrast; until then every one may.
            if is_sharp:
                self._limit = picture.limit
            if not self.layer.rgb and self.layer.contrast_limits[1] != picture.limit:
                with self.layer.events.contrast_limits.blocker(self._contrast_changed):
                    self.layer.contrast_limits = (0.0, picture.limit)
        if is_sharp and request.in_view == _on_screen(self._in_view):
            self._rest.stop()
        self.drawn.emit(picture)

    def _contrast_changed(self, _: object = None) -> None:
        self._own_contrast = False


def _on_screen(in_view: InView) -> InView:
    """Return a view in the pixels of a screen that has several to one of a window."""
    ratio = QGuiApplication.primaryScreen().devicePixelRatio()
    return in_view._replace(zoom=(in_view.zoom[0] * ratio, in_view.zoom[1] * ratio))


def described_picture(picture: Picture, drawing: ViewDrawing) -> str:
    """Return what a layer shows, in words."""
    width_nm = pixel_length("x", picture.pixel_size_nm) / picture.view.grid.zoom[1]
    words = f"{drawing.points.name} in pixels of {width_nm:.3g} nm"
    if not picture.view.is_sharp:
        words += ", for now"
    quantity = QUANTITIES.get(drawing.appearance.colour_by)
    if quantity is not None and picture.value_range is not None:
        low, high = picture.value_range
        return f"{words}; colours: {quantity.label} from {short(low)} (blue) to {short(high)} (red)."
    return f"{words}; full brightness at {short(picture.limit)} molecules per µm²."
