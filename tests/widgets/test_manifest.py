"""The plugin as napari finds it: every command is there, every widget opens from its menus."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from npe2 import PluginManager
from npe2.manifest.utils import import_python_name

from napari_subpixel.widgets.background.worker import Work

PLUGIN = "napari-subpixel"
#: Where each widget is found, besides the menu Plugins.
MENUS = {
    "Subpixel": "napari/file/io_utilities",
    "Load": "napari/file/io_utilities",
    "Detect": "napari/layers/measure",
    "Filter": "napari/layers/measure",
    "Render": "napari/layers/visualize",
    "Evaluate": "napari/layers/measure",
    "Batch": "napari/file/io_utilities",
    "Drift": "napari/layers/register",
    "Link": "napari/layers/measure",
    "Resolution": "napari/layers/measure",
    "Regions": "napari/layers/measure",
    "Figure": "napari/file/io_utilities",
    "Train": "napari/file/io_utilities",
    "About": "napari/layers/measure",
}


@pytest.fixture
def manifest():
    manager = PluginManager()
    manager.discover()
    return manager.get_manifest(PLUGIN)


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SUBPIXEL_CONFIG", str(tmp_path / "settings"))


def test_every_command_resolves_and_is_used(manifest) -> None:
    contributions = manifest.contributions
    used = {
        item.command
        for kind in ("readers", "writers", "sample_data", "widgets", "keybindings")
        for item in getattr(contributions, kind)
    }
    assert {command.id for command in contributions.commands} == used
    for command in contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id


def test_napari_s_own_check_passes(manifest) -> None:
    manifest.validate_imports()


def test_readme_and_architecture_name_every_widget(manifest) -> None:
    root = Path(__file__).parents[2]
    readme, architecture = (root.joinpath(name).read_text() for name in ("README.md", "docs/architecture.md"))
    modules = {
        command.id: command.python_name.partition(":")[0].rpartition(".")[2]
        for command in manifest.contributions.commands
    }
    for widget in manifest.contributions.widgets:
        assert f"*{widget.display_name}*" in readme
        assert f"`{modules[widget.command]}`" in architecture


def test_the_widgets_have_these_names(manifest) -> None:
    assert {widget.display_name for widget in manifest.contributions.widgets} == set(MENUS)


def test_widgets_are_in_the_menus_of_what_they_do(manifest) -> None:
    titles = {widget.command: widget.display_name for widget in manifest.contributions.widgets}
    places = {titles[item.command]: menu for menu, items in manifest.contributions.menus.items() for item in items}
    assert places == MENUS


@pytest.mark.parametrize("name", MENUS)
def test_every_widget_is_given_its_viewer(manifest, name: str) -> None:
    """By napari, which knows the viewer's parameter by its name or by its annotation."""
    from napari._qt._qplugins._qnpe2 import _get_widget_viewer_param

    (widget,) = [w for w in manifest.contributions.widgets if w.display_name == name]
    (command,) = [c for c in manifest.contributions.commands if c.id == widget.command]
    cls = import_python_name(command.python_name)
    assert _get_widget_viewer_param(cls, name), inspect.signature(cls.__init__)


@pytest.mark.parametrize("name", MENUS)
def test_every_widget_opens_from_its_menus(make_napari_viewer, qtbot, name: str) -> None:
    viewer = make_napari_viewer()
    title = f"{name} (Subpixel)"
    (plugins,) = [menu for menu in viewer.window.plugins_menu.actions() if menu.text() == "Subpixel"]
    for action in (action_in(plugins.menu(), title), action_in(menu_at(viewer, MENUS[name]), title)):
        action.trigger()
        assert title in viewer.window.dock_widgets
        viewer.window.remove_dock_widget(viewer.window._wrapped_dock_widgets[title])
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)  # such as the search for devices


def menu_at(viewer, menu_id: str):
    """Return the menu of this name, such as napari/layers/measure, two levels below the menu bar."""
    top = {"file": viewer.window.file_menu, "layers": viewer.window.layers_menu}[menu_id.split("/")[1]]
    return next(action.menu() for action in top.actions() if action.menu() and action.menu()._menu_id == menu_id)


def action_in(menu, title: str):
    return next(action for action in menu.actions() if action.text() == title)


def test_the_sample_is_in_the_menu_of_samples(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    samples = next(a.menu() for a in viewer.window.file_menu.actions() if a.text() == "Open Sample")
    action_in(samples, "Microtubules (simulated, with truth) (Subpixel)").trigger()
    assert [layer.name for layer in viewer.layers] == ["microtubules (simulated)", "truth"]
