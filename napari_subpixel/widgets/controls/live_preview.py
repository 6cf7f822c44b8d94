"""The preview in the viewer: a tick box, a line of text, and a points layer that follows the frame in view."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox
from qtpy.QtCore import QObject, Signal

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.preview import Preview, PreviewRequest
from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.controls.messages import REFUSALS, report
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.movies import MovieLayer, belongs_to
from napari_subpixel.widgets.layers.points import fill, notes_of, points_layer, set_threshold

if TYPE_CHECKING:
    from napari.layers import Points


class LivePreview(QObject):
    """Shows the molecules of the frame in view: of the frames asked for, the latest counts.

    Parameters
    ----------
    panel : Panel
        The widget that it is part of and ends with.
    movie : callable
        Returns the movie that is chosen, or None.
    request : callable
        Returns what to detect in a movie at the moment; may raise `InputError`.
    threshold : callable
        Returns the probability from which molecules are shown.

    Attributes
    ----------
    timed : Signal(object, float)
        A `PreviewRequest` and the seconds that its frame took.
    changed : Signal()
        The layer shows other molecules, or is gone.
    layer : TablePoints, optional
        The molecules of the frame in view.
    switch : magicgui.widgets.CheckBox
        Turns it on and off.
    text : QLabel
        How many molecules were detected, or why none were.
    """

    timed = Signal(object, float)
    changed = Signal()

    def __init__(
        self,
        panel: Panel,
        movie: Callable[[], MovieLayer | None],
        request: Callable[[MovieLayer], PreviewRequest],
        threshold: Callable[[], float],
    ) -> None:
        super().__init__(panel)
        self._panel, self._movie, self._request, self._threshold = panel, movie, request, threshold
        self._latest: LatestWork[PreviewRequest] = LatestWork(self._panel)
        self._latest.said.connect(self._say_stage)
        self._latest.returned.connect(self._show)
        self._on = False
        self._layer: Points | None = None
        self.switch = CheckBox(
            text="Preview on the frame in view", tooltip="Detect the molecules of each frame that you go to"
        )
        self.text = Words()
        self.text.hide()
        self.switch.changed.connect(self._switched)

    def _say_stage(self, words: str) -> None:
        """Show what the preview is at, unless it was turned off meanwhile."""
        if self._on:
            self._say(words)

    @property
    def layer(self) -> Points | None:
        """The molecules of the frame in view, if they are shown."""
        return self._layer

    def ask(self, *_: object) -> None:
        """Detect the frame in view, unless the preview is off."""
        movie = self._movie() if self._on else None
        if movie is None:
            return
        try:
            self._latest.ask(self._request(movie))
        except InputError as error:
            self._say(advised(error))

    def stop(self) -> None:
        """Stop the preview and remove its layer."""
        self._on = False
        self._latest.cancel()
        self._say("")
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._panel.viewer.layers:
            self._panel.viewer.layers.remove(layer)
        self.changed.emit()

    def forget(self, layer: object) -> None:
        """Note that a layer was removed from the viewer."""
        if layer is self._layer:
            self._layer = None

    def _switched(self, on: bool) -> None:
        if on:
            self._on = True
            self.ask()
        else:
            self.stop()

    def _show(self, request: PreviewRequest, preview: Preview) -> None:
        movie = self._movie()
        if movie is None or request.key != movie.notes.key:
            return  # another movie was chosen meanwhile
        if preview.table is None:
            self._refuse(preview)
            return
        self.timed.emit(request, preview.seconds)
        layer = self._fill_layer(preview.table, movie)
        self.changed.emit()
        n_shown, milliseconds = int(layer.shown.sum()), max(1, round(1000 * preview.seconds))
        molecules = f"{n_shown:,} molecule{'s'[: n_shown != 1]}"
        self._say(f"{molecules} in frame {request.frame} ({milliseconds:,} ms)")

    def _refuse(self, preview: Preview) -> None:
        """Show the reason in the widget: one notification per frame would be too many."""
        error = preview.error or InputError("nothing was detected")
        if isinstance(error, REFUSALS):
            self._say(advised(error))
        else:
            report(error)
            self.switch.value = False

    def _fill_layer(self, table: Localizations, movie: MovieLayer) -> Points:
        """Put the molecules into the preview's layer, which is created if there is none."""
        viewer = self._panel.viewer
        if self._layer is not None and not belongs_to(self._layer, movie.notes.key):
            viewer.layers.remove(self._layer)
        if self._layer is None:
            active = viewer.layers.selection.active
            layer = points_layer(table, movie, name=f"preview of {movie.name}")
            notes_of(layer).role = "preview"
            self._layer = viewer.add_layer(layer)
            viewer.layers.selection.active = active
        else:
            fill(self._layer, table)
        set_threshold(self._layer, self._threshold())
        return self._layer

    def _say(self, words: str) -> None:
        self.text.setText(words)
        self.text.setVisible(bool(words))
