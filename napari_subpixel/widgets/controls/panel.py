"""What the plugin's widgets share: forms in a dock, a choice of layers, and work that ends with the dock."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from magicgui.widgets import ComboBox, Widget
from qtpy.QtCore import QEvent, QMargins, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFormLayout,
    QFrame,
    QLayout,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_subpixel.widgets.background.worker import Work, WorkGroup
from napari_subpixel.widgets.controls.links import Links

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

#: A panel is at least so high, in screen pixels; what is beyond scrolls.
LEAST_HEIGHT = 92
#: What the choices of layers follow; napari connects `reset_choices` of every dock widget with the same events.
LAYER_EVENTS = ("inserted", "removed", "reordered", "renamed")
#: A choice is as wide as so many letters at least; longer names are elided.
LEAST_LETTERS = 12
#: Style of boxes next to each other, or for long numbers: napari's own are too wide for a panel.
NARROW = "min-width: 40px"
#: A row of a form: a magicgui widget, or a label and a Qt widget or layout.
Row: TypeAlias = Widget | tuple[str, QWidget | QLayout]


class Panel(QWidget):
    """A dock widget of the plugin: a column of forms, buttons and tables.

    Closing its dock cancels its work, which delivers what it has, and then deletes it; closing the viewer stops its
    work, waits and deletes it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer it belongs to, which it does not keep alive.

    Attributes
    ----------
    column : QVBoxLayout
        Where its parts go, from top to bottom.
    """

    #: All that Qt has not deleted. A panel is full of reference cycles, and Python would collect one that nothing else
    #: refers to on whatever thread runs then, where no widget may be deleted.
    undeleted: ClassVar[dict[int, Panel]] = {}

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        number, undeleted = id(self), Panel.undeleted
        undeleted[number] = self
        self.destroyed.connect(lambda *_: undeleted.pop(number, None))
        # From its menus napari passes a proxy, which nothing keeps alive.
        self._viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inner = QWidget()
        self._inner.setObjectName("subpixel_panel")
        self._area.setWidget(self._inner)
        self._inner.installEventFilter(self)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._area)
        self.column = QVBoxLayout()
        # Room is left below. A column that is aligned at the top would cut texts that wrap.
        below = QVBoxLayout(self._inner)
        below.addLayout(self.column)
        below.addStretch()
        self._choices: list[ComboBox] = []
        self._preferences: dict[ComboBox, _Preference] = {}
        self._was_docked = False
        self._works = WorkGroup()
        # The group, not the widget, is what the slot may touch: the widget is gone by then.
        works = self._works
        self.destroyed.connect(lambda *_: works.abandon())
        self._timers: list[QTimer] = []
        self._links_made: list[Links] = []
        self._docked = QTimer(self, singleShot=True, interval=0)
        self._docked.timeout.connect(self._join_tabs)
        self._leaving = QTimer(self, singleShot=True, interval=0)
        self._leaving.timeout.connect(self._leave)
        for event in LAYER_EVENTS:
            getattr(viewer.layers.events, event).connect(self.reset_choices)
        window = getattr(self.viewer, "window", None)
        if window is not None:  # one that was never docked goes with the window
            window._qt_window.destroyed.connect(self.deleteLater)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for room for all parts; they scroll where there is less."""
        return self._inner.sizeHint().grownBy(QMargins(0, 0, self._bar_width, 0))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the width of all parts, which do not scroll sideways, and for a few rows."""
        hint = self._inner.minimumSizeHint()
        return QSize(hint.width() + self._bar_width, min(hint.height(), LEAST_HEIGHT))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Ask for room again where rows come and go: the area that scrolls does not pass that on to the dock."""
        if watched is self._inner and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    @property
    def _bar_width(self) -> int:
        return self._area.verticalScrollBar().sizeHint().width()

    @property
    def viewer(self) -> Viewer:
        """The viewer this widget belongs to."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer of this widget is gone")
        return viewer

    # -- connections and timers ---------------------------------------------------------------------------------------

    def new_links(self) -> Links:
        """Return connections with objects that outlive this widget; they end with it, or with its dock."""
        links = Links()
        self._links_made.append(links)
        self.destroyed.connect(lambda *_: links.clear())
        return links

    def rest_timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        """Return a timer that calls `slot` once it was not restarted for `milliseconds`, unless the dock is closed."""
        timer = QTimer(self, singleShot=True, interval=milliseconds)
        timer.timeout.connect(slot)
        self._timers.append(timer)
        return timer

    # -- forms --------------------------------------------------------------------------------------------------------

    def add_form(self, *rows: Row, to: QWidget | None = None) -> QFormLayout:
        """Add rows with aligned labels: magicgui widgets, or pairs of a label and a Qt widget or layout.

        Parameters
        ----------
        *rows : magicgui.widgets.Widget, or (str, QWidget or QLayout)
        to : QWidget, optional
            Where the form goes; at the end of the panel's column if not given.
        """
        form = QFormLayout(to)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for row in rows:
            label, field = row if isinstance(row, tuple) else (row.label, row.native)
            if isinstance(field, QComboBox):
                elide(field)
            form.addRow(label, field)
        if to is None:
            self.column.addLayout(form)
        return form

    def layer_choice(
        self,
        label: str,
        accepts: Callable[[Layer], bool],
        *,
        prefers: Callable[[Layer], bool] | None = None,
        none: str | None = None,
        tooltip: str = "",
    ) -> ComboBox:
        """Return a choice among the viewer's layers, kept up to date.

        It starts at the selected layer if that fits, else at the topmost that does.

        Parameters
        ----------
        label : str
        accepts : callable
            Whether a layer can be chosen.
        prefers : callable, optional
            Whether a layer is listed first, and chosen when it appears unless the user has chosen another by hand.
        none : str, optional
            Name of the choice of no layer, which is not offered if not given.
        tooltip : str
        """
        panel = weakref.ref(self)

        def choices(_: object = None) -> list[tuple[str, Layer]]:
            owner = panel()
            viewer = owner._viewer() if owner is not None else None
            layers = [layer for layer in reversed(viewer.layers) if accepts(layer)] if viewer is not None else []
            if prefers is not None:
                layers.sort(key=prefers, reverse=True)
            return [(layer.name, layer) for layer in layers]

        # magicgui does not signal a change to None unless that is its own null choice.
        choice = ComboBox(label=label, choices=choices, nullable=none is not None, tooltip=tooltip)
        elide(choice.native)
        if none is not None:
            choice.null_string = none
            choice.reset_choices()
        active = self.viewer.layers.selection.active
        if active is not None and accepts(active) and (prefers is None or prefers(active)):
            choice.value = active
        self.keep_listed(choice)
        if prefers is not None:
            preferences = self._preferences
            preferences[choice] = _Preference(choice, prefers)
            preferences[choice].choose()
            choice.native.activated.connect(lambda _: preferences.pop(choice, None))
        return choice

    def keep_listed(self, choice: ComboBox) -> None:
        """List the entries of this choice again when layers come and go."""
        self._choices.append(choice)

    def reset_choices(self, *_: object) -> None:
        """List the layers again; napari calls this when layers come and go."""
        for choice in self._choices:
            chosen = choice.value
            with choice.changed.blocked():
                choice.reset_choices()
                if chosen in choice.choices:  # magicgui compares names, and a layer may have been renamed
                    choice.value = chosen
                if choice in self._preferences:
                    self._preferences[choice].choose()
            if choice.value != chosen:
                choice.changed.emit(choice.value)

    # -- work ---------------------------------------------------------------------------------------------------------

    def begin(self, work: Work) -> Work:
        """Start work that ends with this widget; connect its signals first."""
        return self._works.begin(work)

    def dock_closed(self) -> None:
        """Cancel running work and disconnect; called when the dock is closed and the viewer stays."""
        for timer in self._timers:
            timer.stop()
        for links in self._links_made:
            links.clear()
        for work in self._works:
            work.cancel()
            work.finished.connect(self._leaving.start)
        self._leaving.start()

    def _leave(self) -> None:
        """Delete the panel, unless its work has not ended yet or it is in a dock again."""
        if self.parent() is not None or any(self._works):
            return
        viewer = self._viewer()
        if viewer is not None:  # what is left of the panel in Python may live a little longer
            for event in LAYER_EVENTS:
                getattr(viewer.layers.events, event).disconnect(self.reset_choices)
        self.deleteLater()

    def event(self, event: QEvent) -> bool:
        """Notice that the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._was_docked:
                self.dock_closed()
            if self.parent() is not None and not self._was_docked:
                self._docked.start()
            self._was_docked = self.parent() is not None
        return super().event(event)

    def _join_tabs(self) -> None:
        """Become a tab with the panels that are there already, in front of them."""
        dock = self.parent()
        window = dock.parent() if isinstance(dock, QDockWidget) else None
        if not isinstance(window, QMainWindow) or not isinstance(dock, QDockWidget) or dock.isFloating():
            return
        dock.setWindowTitle(dock.windowTitle().partition(" (")[0])
        others = [other for other in window.findChildren(QDockWidget) if isinstance(other.widget(), Panel)]
        area = window.dockWidgetArea(dock)
        beside = [other for other in others if other is not dock and window.dockWidgetArea(other) == area]
        docked = [other for other in beside if not other.isFloating() and other.isVisible()]
        if docked:
            window.tabifyDockWidget(docked[-1], dock)
            dock.raise_()


#: A program may end without closing its viewer; Qt then deletes what Python refers to no longer.
atexit.register(Panel.undeleted.clear)


def elide(box: QComboBox) -> None:
    """Keep a choice from being as wide as its longest entry."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(LEAST_LETTERS)


class _Preference:
    """The layers of a choice that are preferred, and which of them were there before."""

    def __init__(self, choice: ComboBox, prefers: Callable[[Layer], bool]) -> None:
        self._choice, self._prefers = choice, prefers
        self._before: list[Layer] = []

    def choose(self) -> None:
        """Choose a preferred layer that is new in place of one that is not preferred."""
        choice = self._choice
        preferred = [layer for layer in choice.choices if layer is not None and self._prefers(layer)]
        new = [layer for layer in preferred if layer not in self._before]
        if new and choice.value not in preferred:
            choice.value = new[0]
        self._before = preferred
