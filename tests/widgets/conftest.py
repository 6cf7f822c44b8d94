"""What the tests of the widgets share: a viewer, what the user was told, and that no thread is left behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from napari.utils.notifications import notification_manager

from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.panel import Panel

if TYPE_CHECKING:
    from napari import Viewer


class ViewerWindow:
    """A napari viewer that one test after the other uses; opening one for each would take most of their time.

    It is opened as ``make_napari_viewer`` does it: with an application of its own, and without console and status
    thread.
    """

    def __init__(self) -> None:
        self._viewer: Viewer | None = None
        self._patches = ExitStack()
        self._as_new: list[tuple[Any, dict[str, Any]]] = []

    def emptied(self) -> Viewer:
        """Return the viewer, as new; another one where a test has closed it."""
        if self._viewer is not None and not hasattr(self._viewer.window, "_qt_window"):
            self.close()
        if self._viewer is None:
            self._open()
        assert self._viewer is not None
        return self._viewer

    def _open(self) -> None:
        import napari
        from app_model import Application
        from napari._app_model._app import NapariApplication, _napari_names
        from napari._qt.qt_viewer import QtViewer
        from napari._qt.threads.status_checker import StatusChecker
        from qtpy.QtWidgets import QWidget

        class NoConsole(QWidget):
            def _update_theme(self, **_: Any) -> None:
                pass

        self._forget_actions()
        application = NapariApplication("shared by tests")
        application.injection_store.namespace = _napari_names
        self._patches.callback(self._forget_actions)
        self._patches.callback(Application.destroy, "shared by tests")
        for owner, name, replacement in (
            (NapariApplication, "get_app_model", lambda: application),
            (QtViewer, "_get_console", lambda *_: NoConsole()),
            (StatusChecker, "start", lambda *_: None),
        ):
            self._patches.enter_context(patch.object(owner, name, replacement))
        self._viewer = napari.Viewer(show=False, show_welcome_screen=False)
        canvas, scene = self._viewer.canvas, self._viewer.scene
        parts = (self._viewer.dims, self._viewer.cursor, scene.camera, canvas.grid, canvas.overlays.scale_bar)
        self._as_new = [(part, part.model_dump()) for part in parts]
        gc.freeze()  # as `quick_collections` does: the viewer stays

    @staticmethod
    def _forget_actions() -> None:
        from napari._qt._qapp_model.qactions import init_qactions
        from napari.plugins import _initialize_plugins

        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()

    def empty(self) -> None:
        """Remove what a test has added."""
        from napari.settings import get_settings

        viewer = self._viewer
        if viewer is None or not hasattr(viewer.window, "_qt_window"):
            return
        widgets = [dock.widget() for dock in viewer.window._wrapped_dock_widgets.values()]
        viewer.window.remove_dock_widget("all")
        for widget in widgets:
            with suppress(RuntimeError):  # deleted already
                widget.close()
                widget.deleteLater()
        for panel in Panel.undeleted.values():  # never docked
            panel.deleteLater()
        viewer.layers.clear()
        for part, values in self._as_new:
            part.update(values)
        get_settings().reset()
        _delete_later()

    def close(self) -> None:
        """Close the viewer, so that another one can be opened."""
        if self._viewer is None:
            return
        if hasattr(self._viewer.window, "_qt_window"):
            self.empty()
            with patch.object(self._viewer.window._qt_window, "_save_current_window_settings"):
                self._viewer.close()
        self._viewer = None
        _delete_later()
        gc.unfreeze()
        gc.collect()
        self._patches.close()


def _delete_later() -> None:
    """Delete the widgets that are about to be deleted."""
    from qtpy.QtCore import QCoreApplication, QEvent

    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture(autouse=True, scope="session")
def no_preferences(tmp_path_factory) -> Iterator[None]:
    """Keep the preferences of plugins in a folder of their own, not in the user's."""
    from napari import settings

    with patch.object(settings, "_CFG_PATH", str(tmp_path_factory.mktemp("napari") / "settings.yaml")):
        settings._clear_plugin_settings_cache()
        yield
    settings._clear_plugin_settings_cache()


@pytest.fixture(scope="session")
def viewer_window(qapp) -> Iterator[ViewerWindow]:
    window = ViewerWindow()
    yield window
    window.close()


@pytest.fixture
def viewer(viewer_window: ViewerWindow, no_thread_is_left) -> Iterator[Viewer]:
    """Return an empty viewer, which other tests use as well."""
    yield viewer_window.emptied()
    viewer_window.empty()


@pytest.fixture
def no_other_viewer(viewer_window: ViewerWindow) -> None:
    """Nothing of another viewer is there."""
    viewer_window.close()


@pytest.fixture
def make_napari_viewer(no_other_viewer, make_napari_viewer) -> Callable[..., Viewer]:
    """Open a viewer that no other test uses: one that is shown, or closed."""
    return make_napari_viewer


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not Work.running
    names = ("napari-subpixel", "read-ahead")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(names)]


@pytest.fixture
def shown():
    """Return a function that gives what the user was told since the test began, as (severity, message)."""
    before = len(notification_manager.records)
    return lambda: [(n.severity.name, str(n.message)) for n in notification_manager.records[before:]]
