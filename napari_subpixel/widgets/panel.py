"""What the plugin's widgets share: forms in a dock, a choice of layers, and work that ends with the dock."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_subpixel.widgets.work import Work

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer


class Panel(QWidget):
    """A dock widget of the plugin: a column of forms, buttons and tables.

    Closing its dock cancels its work, which delivers what it found so far; closing the viewer stops it and waits.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer it belongs to; not kept alive by it.

    Attributes
    ----------
    column : QVBoxLayout
        Where its parts go, from top to bottom.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.column = QVBoxLayout(self)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._choices: list[ComboBox] = []
        self._was_docked = False
        self._works: list[Work] = []
        # The list, not the widget, is what the slot may touch: the widget is gone by then.
        works = self._works
        self.destroyed.connect(lambda *_: [work.abandon() for work in list(works)])
        for event in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, event).connect(self.reset_choices)

    @property
    def viewer(self) -> Viewer:
        """The viewer this widget belongs to."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer of this widget is gone")
        return viewer

    # -- forms --------------------------------------------------------------------------------------------------------

    def add_form(self, *widgets: Any) -> Container:
        """Add magicgui widgets as rows with their labels, and return the form."""
        form = Container(widgets=list(widgets), labels=True)
        form.margins = (0, 0, 0, 0)
        self.column.addWidget(form.native)
        return form

    def layer_choice(
        self, label: str, accepts: Callable[[Layer], bool], *, none: str | None = None, tooltip: str = ""
    ) -> ComboBox:
        """Return a choice among the viewer's layers that fit, kept up to date; `none` names the choice of no layer.

        It starts at the selected layer where that fits, else at the topmost that does.
        """
        panel = weakref.ref(self)

        def choices(_: Any = None) -> list[tuple[str, Layer | None]]:
            owner = panel()
            viewer = owner._viewer() if owner is not None else None
            layers = [layer for layer in reversed(viewer.layers) if accepts(layer)] if viewer is not None else []
            return [*([(none, None)] if none is not None else []), *((layer.name, layer) for layer in layers)]

        choice = ComboBox(label=label, choices=choices, nullable=False, tooltip=tooltip)
        active = self.viewer.layers.selection.active
        if active is not None and accepts(active):
            choice.value = active
        self._choices.append(choice)
        return choice

    def reset_choices(self, *_: Any) -> None:
        """Look again which layers there are; napari calls this when layers come and go."""
        for choice in self._choices:
            choice.reset_choices()

    # -- work ---------------------------------------------------------------------------------------------------------

    def begin(self, work: Work) -> Work:
        """Start work that ends with this widget; connect its signals before."""
        self._works.append(work)
        works = self._works
        work.finished.connect(lambda: works.remove(work) if work in works else None)
        work.start()
        return work

    def dock_closed(self) -> None:
        """Cancel what is going on; called when the dock is closed and the viewer stays."""
        for work in list(self._works):
            work.cancel()

    def event(self, event: QEvent) -> bool:
        """Notice that the dock is closed: napari takes the widget out of it then."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._was_docked:
                self.dock_closed()
            self._was_docked = self.parent() is not None
        return super().event(event)
