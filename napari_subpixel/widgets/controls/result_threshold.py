"""The threshold of a movie's results: it acts on all of one model, and follows where another panel sets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_subpixel.widgets.controls.model_form import ModelForm
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.probability_bar import ProbabilityBar
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, belongs_to
from napari_subpixel.widgets.layers.points import PointNotes, column_of, notes_of, set_threshold
from napari_subpixel.widgets.layers.results import is_linked

if TYPE_CHECKING:
    from napari.layers import Layer, Points

#: A threshold is applied once the slider has not moved for this long, in milliseconds.
SETTLE_MS = 40


class ResultThreshold(QObject):
    """Ties the slider of a form to the results of the chosen model on the chosen movie.

    Parameters
    ----------
    panel : Panel
        The widget that it is part of.
    form : ModelForm
        With the model and the slider.
    movie : callable
        Returns the movie that is chosen, or None.
    preview : callable
        Returns the layer of the preview, or None.

    Attributes
    ----------
    bar : ProbabilityBar
        The probabilities of what the threshold acts on.
    settling : QTimer
        Runs while the slider moves.
    applied : Signal(float)
        The results show the points above this threshold.
    listed : Signal(bool)
        The results are others than before; whether there are any.
    """

    applied = Signal(float)
    listed = Signal(bool)

    def __init__(
        self,
        panel: Panel,
        form: ModelForm,
        movie: Callable[[], MovieLayer | None],
        preview: Callable[[], Points | None],
    ) -> None:
        super().__init__(panel)
        self._panel, self._form, self._movie, self._preview = panel, form, movie, preview
        self._applying = False
        self._links = panel.new_links()
        self.bar = ProbabilityBar()
        self.settling = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self.settling.timeout.connect(self._apply)
        form.threshold.valueChanged.connect(self._moved)

    def layers(self) -> list[Points]:
        """Return the results of the chosen model on the chosen movie, the topmost first."""
        movie = self._movie()
        key = movie.notes.key if movie is not None else None
        layers = reversed(self._panel.viewer.layers)
        return [layer for layer in layers if key and belongs_to(layer, key) and self._fits(layer)]

    def _fits(self, layer: Layer) -> bool:
        notes = layer.metadata.get(KEY)
        if not isinstance(notes, PointNotes) or notes.role:
            return False
        model = notes.about.get("provenance", {}).get("model")
        return model == self._form.card.provenance and not is_linked(layer)

    def adopt(self) -> None:
        """Set the slider to the threshold of the topmost result."""
        self.follow()
        threshold = next((notes_of(layer).threshold for layer in self.layers()), None)
        if threshold is not None:
            self._form.threshold.setValue(threshold)

    def follow(self, _: object = None) -> None:
        """Follow thresholds that are set elsewhere, by a second panel of this kind."""
        self._links.clear()
        layers = self.layers()
        self.show_probabilities()
        for layer in layers:
            self._links.connect(notes_of(layer).threshold_changed, self._set_elsewhere)
        self.listed.emit(bool(layers))

    def show_probabilities(self) -> None:
        """Show the probabilities of what the threshold acts on: the topmost result, else the preview."""
        layer = next(iter(self.layers()), None) or self._preview()
        self.bar.show_probabilities(None if layer is None else column_of(layer, "probability"))
        self.bar.show_threshold(self._form.threshold.value())

    def _moved(self, threshold: float) -> None:
        self.bar.show_threshold(threshold)
        self.settling.start()

    def _apply(self) -> None:
        threshold = self._form.threshold.value()
        self._applying = True
        for layer in self.layers():
            set_threshold(layer, threshold)
        self._applying = False
        self.applied.emit(threshold)

    def _set_elsewhere(self, threshold: float) -> None:
        if not self._applying:
            self._form.threshold.setValue(threshold)
