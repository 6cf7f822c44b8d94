"""Keys and preferences in a real viewer: what each key does, and that each preference acts."""

from __future__ import annotations

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QFileDialog

from napari_subpixel.detection.torch_threads import n_threads
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.detector_cache import DetectorChoice
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.last_used import remember
from napari_subpixel.widgets.controls.plugin import PLUGIN, keys_of_plugin
from napari_subpixel.widgets.controls.preferences import Preferences, preferences, results_path
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import points_layer


@pytest.fixture
def preferred():
    """Set a preference as napari's dialog does; all are as by default at the end."""
    settings = get_plugin_settings(PLUGIN)
    yield settings
    settings.reset()


@pytest.fixture
def detect(viewer, qtbot):
    """Return *Detect* on a movie with a result in frames 2 and 5."""
    movie = viewer.add_image(np.zeros((8, 16, 20)), name="tubes", scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    panel = DetectMolecules(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Detect")
    columns = {"frame": [2, 5, 6], "y": [3.0, 4, 5], "x": [6.0, 7, 8], "probability": [0.9, 0.8, 0.3]}
    table = Localizations(columns, pixel_size_nm=100.0, provenance={"model": panel.form.card.provenance})
    viewer.add_layer(points_layer(table, MovieLayer(movie), name="tubes localizations"))
    panel.threshold.setValue(0.6)
    qtbot.waitUntil(lambda: not panel.results.settling.isActive() and not Work.running, timeout=30_000)
    yield panel
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)


def test_each_key_does_what_its_tooltip_says(viewer, detect):
    shortcuts = {s.objectName(): s for s in viewer.window._qt_window.findChildren(QShortcut) if s.objectName()}
    assert shortcuts.keys() == keys_of_plugin().keys()

    def press(name):
        shortcuts[f"{PLUGIN}.{name}"].activated.emit()

    frames = []
    viewer.dims.set_current_step(0, 0)
    for name in ("next_molecules", "next_molecules", "next_molecules", "previous_molecules"):
        press(name)
        frames.append(viewer.dims.current_step[0])
    assert frames == [2, 5, 5, 2]  # what is in frame 6 is below the threshold
    press("raise_threshold")
    assert detect.threshold.value() == pytest.approx(0.65)
    press("lower_threshold")
    press("lower_threshold")
    assert detect.threshold.value() == pytest.approx(0.55)
    press("toggle_preview")
    assert detect.preview.value
    press("toggle_preview")
    assert not detect.preview.value
    native = QKeySequence.SequenceFormat.NativeText
    assert QKeySequence("Ctrl+Shift+D").toString(native) in detect.preview.tooltip
    assert QKeySequence("Ctrl+Shift+Up").toString(native) in detect.threshold.toolTip()


def test_keys_are_bound_once_for_any_number_of_panels(viewer, detect):
    keys = [QKeySequence(key) for key in keys_of_plugin().values()]
    DetectMolecules(viewer).deleteLater()
    assert sorted(s.key().toString() for s in viewer.window._qt_window.findChildren(QShortcut) if s.objectName()) == \
        sorted(key.toString() for key in keys)  # fmt: skip


def test_a_preferred_model_and_device_are_those_of_a_new_panel(viewer, preferred, qtbot):
    remember("detect", {"model": "default", "device": "automatic"})
    preferred.detection.model, preferred.detection.device = "fast", "CPU"
    panel = DetectMolecules(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Detect")
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)
    assert (panel.form.model_name, panel.form.device_name) == ("fast", "cpu")
    viewer.window.remove_dock_widget(dock)


def test_a_preferred_model_that_is_not_there_is_reported(viewer, preferred, shown, qtbot):
    preferred.detection.model = "gone"
    panel = DetectMolecules(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Detect")
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)
    assert panel.form.model_name == "default"
    assert any(message.startswith("gone: no such model") for _, message in shown())
    viewer.window.remove_dock_widget(dock)


def test_preferred_threads_are_those_of_a_run(preferred, qtbot):
    def used():
        yield
        DetectorChoice("fast", "cpu", 0.1).load()
        return n_threads()

    counts = []
    for number in (3, 0):
        preferred.detection.threads = number
        assert preferences().threads == number
        work = Work(used)
        work.returned.connect(counts.append)
        with qtbot.waitSignal(work.finished, timeout=30_000):
            work.start()
    assert counts[0] == 3
    assert counts[1] == n_threads()


def test_preferred_folders_are_where_dialogs_begin(viewer, detect, preferred, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: (asked.append(given[2]), ("", ""))[1])
    detect.ask_and_save()
    preferred.folders.results = str(tmp_path)
    detect.ask_and_save()
    assert asked == ["tubes localizations.csv", str(tmp_path / "tubes localizations.csv")]
    preferred.folders.results = ""
    assert results_path("a/b.csv", tmp_path / "tubes.tif") == str(tmp_path / "a_b.csv")


def test_every_preference_is_in_the_manifest_with_its_default(preferred):
    assert preferences() == Preferences()
