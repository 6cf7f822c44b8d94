"""The widget *Subpixel*: all steps in a row, with what is done and what is missing, and a button to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow

from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.plugin import bind_keys, open_panel, panels_of_plugin
from napari_subpixel.widgets.controls.step_button import StepButton
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.points import PointNotes
from napari_subpixel.widgets.layers.workflow import STEPS, State, Step

if TYPE_CHECKING:
    from napari import Viewer

#: The steps are looked at again once nothing changed for this long, in milliseconds.
REST_MS = 150


class StepsOfWork(Panel):
    """The steps from a movie to a result, in a row over the viewer.

    A step whose panel the plugin does not have is not shown.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    steps : dict of str to StepButton
        By the name of the step.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._is_on_top = False
        super().__init__(napari_viewer)
        self._panels = panels_of_plugin()
        bind_keys(self.viewer)
        self._links = self.new_links()
        self._rest = self.rest_timer(REST_MS, self.update_steps)
        self.steps: dict[str, StepButton] = {}
        row = QHBoxLayout()
        for step in STEPS:
            if step.command in self._panels:
                self.steps[step.name] = part = StepButton(step.name)
                part.button.clicked.connect(lambda _=False, step=step: self.open(step))
                row.addWidget(part, stretch=1)
        self.column.addLayout(row)
        self.column.setContentsMargins(4, 4, 4, 4)
        self.update_steps()

    def states(self) -> dict[str, State]:
        """Return how far each step is, by its name."""
        layers = list(reversed(self.viewer.layers))
        return {step.name: step.state(layers) for step in STEPS if step.name in self.steps}

    def open(self, step: Step) -> None:
        """Open the panel of a step, or bring it to the front."""
        open_panel(self.viewer, self._panels[step.command])

    def reset_choices(self, *_: object) -> None:
        """Look at the layers again; napari calls this when layers come and go."""
        super().reset_choices()
        if hasattr(self, "_rest"):
            self._rest.start()

    def update_steps(self) -> None:
        """Show how far each step is, and follow what changes that."""
        self._links.clear()
        if self._viewer() is None:
            return  # its window is about to be deleted
        for layer in self.viewer.layers:
            self._links.connect(layer.events.data, self._changed)
            self._links.connect(layer.events.scale, self._changed)
            notes = layer.metadata.get(KEY)
            if isinstance(notes, PointNotes):
                self._links.connect(notes.filter_changed, self._changed)
                self._links.connect(notes.threshold_changed, self._changed)
        for name, state in self.states().items():
            self.steps[name].show_state(state)

    def _changed(self, _: object = None) -> None:
        self._rest.start()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for no width before it is on top: at the side, where napari puts it first, it would widen the window."""
        hint = super().sizeHint()
        return hint if self._is_on_top else QSize(1, hint.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the width of all steps once it is on top."""
        hint = super().minimumSizeHint()
        return hint if self._is_on_top else QSize(1, hint.height())

    def _join_tabs(self) -> None:
        """Go to the top of the window, so that the panels that are opened do not hide the steps."""
        dock = self.parent()
        window = dock.parent() if isinstance(dock, QDockWidget) else None
        if isinstance(window, QMainWindow) and isinstance(dock, QDockWidget) and not dock.isFloating():
            dock.setWindowTitle(dock.windowTitle().partition(" (")[0])
            window.addDockWidget(Qt.DockWidgetArea.TopDockWidgetArea, dock)
            self._is_on_top = True
            self.updateGeometry()
