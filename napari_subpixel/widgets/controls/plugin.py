"""The plugin as its manifest has it: its panels, opened where they are not, and the keys of its commands."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDockWidget, QWidget

if TYPE_CHECKING:
    from napari import Viewer

#: The name of this plugin.
PLUGIN = "napari-subpixel"
#: Property of a window whose keys are bound.
BOUND = "subpixel_keys"


class PanelOfPlugin(NamedTuple):
    """A panel as the plugin's manifest has it: its class, and its name as napari's menus give it."""

    python_name: str
    dock_name: str


def panels_of_plugin() -> dict[str, PanelOfPlugin]:
    """Return the plugin's panels by their commands, as its manifest has them."""
    manifest = _manifest()
    names = {command.id: command.python_name for command in manifest.contributions.commands or ()}
    return {
        widget.command: PanelOfPlugin(str(names[widget.command]), f"{widget.display_name} ({manifest.display_name})")
        for widget in manifest.contributions.widgets or ()
    }


def open_panel(viewer: Viewer, about: PanelOfPlugin) -> QWidget:
    """Open a panel of the plugin, or bring it to the front, and return it.

    Parameters
    ----------
    viewer : napari.Viewer
    about : PanelOfPlugin
    """
    from npe2.manifest.utils import import_python_name

    panel_class = import_python_name(about.python_name)
    window = viewer.window
    docks = window._qt_window.findChildren(QDockWidget)
    dock = next((dock for dock in docks if type(dock.widget()) is panel_class), None)
    if dock is None:
        dock = window.add_dock_widget(panel_class(viewer), name=about.dock_name, area="right")
    dock.show()
    dock.raise_()
    return dock.widget()


def keys_of_plugin() -> dict[str, str]:
    """Return the keys of the plugin's commands, as its manifest has them."""
    return {binding.command: binding.key for binding in _manifest().contributions.keybindings or ()}


def with_key(text: str, command: str) -> str:
    """Return a tooltip with the key of a command, as this system writes it."""
    key = keys_of_plugin().get(command)
    return text if key is None else f"{text} ({QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)})"


def bind_keys(viewer: Viewer) -> None:
    """Let the keys of the plugin's commands act in the whole window: napari lists keys of plugins, but binds none."""
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    if window is None or window.property(BOUND):
        return
    window.setProperty(BOUND, True)
    reference = weakref.ref(viewer)
    commands = {command.id: str(command.python_name) for command in _manifest().contributions.commands or ()}
    for command, key in keys_of_plugin().items():
        shortcut = QShortcut(QKeySequence(key), window)
        shortcut.setObjectName(command)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(lambda name=commands[command]: _run(name, reference))


def _run(python_name: str, reference: weakref.ref[Viewer]) -> None:
    from npe2.manifest.utils import import_python_name

    viewer = reference()
    if viewer is not None:
        import_python_name(python_name)(viewer)


def _manifest() -> Any:
    from npe2 import PluginManager

    return PluginManager.instance().get_manifest(PLUGIN)
