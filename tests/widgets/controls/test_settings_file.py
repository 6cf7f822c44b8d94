"""Settings of a panel in a file: as they were when it is opened again, and as the command line takes them."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.movies import MovieLayer


@pytest.fixture
def detect(viewer, qtbot):
    """Return *Detect* on a movie of 30 frames, 64 x 80 pixels."""
    viewer.add_image(np.zeros((30, 64, 80)), name="tubes", scale=(1, 108.5, 108.5), units=("pixel", "nm", "nm"))
    panel = DetectMolecules(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Detect")
    yield panel
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)


def roi(panel):
    return panel.part.roi(MovieLayer(panel.movie.value))


def test_settings_come_back_from_their_file(detect, tmp_path):
    path = tmp_path / "tubes settings.yaml"
    path.write_text("link: {max-dark-frames: 2}\n")
    settings = {
        "pixel-size-nm": 108.5,
        "baseline": 98.0,
        "model": "fast",
        "device": "cpu",
        "threshold": 0.31,
        "frames": "3:20",
        "roi": "8:40,16:64",
    }
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({"detect": settings}))
    detect.settings.open(tmp_path / "given.yaml")
    assert "Not taken over" not in detect.status.text()
    assert (detect.form.model_name, detect.form.device_name) == ("fast", "cpu")
    assert detect.threshold.value() == pytest.approx(0.31)
    assert (detect.first.value(), detect.last.value()) == (3, 19)
    assert roi(detect) == ((8, 40), (16, 64))
    assert MovieLayer(detect.movie.value).camera.baseline == 98
    detect.settings.save(path)
    assert yaml.safe_load(path.read_text()) == {"link": {"max-dark-frames": 2}, "detect": settings}


def test_what_cannot_be_taken_over_is_named_and_the_rest_is_set(viewer, detect, tmp_path):
    path = tmp_path / "other.yaml"
    given = {"model": "gone", "frames": "10:900", "roi": "0:640,0:8", "threshold": 0.4, "bad_pixels": "keep"}
    path.write_text(yaml.safe_dump({"detect": given | {"device": "abacus"}}))
    detect.settings.open(path)
    words = detect.status.text()
    assert words.startswith("Set as in other.yaml: threshold. Not taken over: ")
    for part in ("bad_pixels", "model (gone: no such model", "device (", "frames (the movie has frames 0:30", "roi ("):
        assert part in words
    assert detect.form.model_name == "default"
    assert detect.threshold.value() == pytest.approx(0.4)
    assert roi(detect) is None
    assert [layer.name for layer in viewer.layers] == ["tubes"]


def test_a_file_without_a_part_of_the_movie_is_for_all_of_it(viewer, detect, tmp_path):
    path = tmp_path / "part.yaml"
    detect.first.setValue(5)
    detect.part.no_static.setChecked(True)
    detect.settings.save(path)
    detect.part.no_static.setChecked(False)
    detect.settings.open(path)
    assert detect.part.no_static.isChecked()
    path.write_text("detect: {threshold: 0.4}")
    detect.settings.open(path)
    assert (detect.first.value(), detect.last.value()) == (0, 29)
    assert not detect.part.no_static.isChecked()


@pytest.mark.parametrize(
    ("text", "words"),
    [("render: {sigma-nm: 8}", "no section 'detect:'"), ("detect: 3", "must list fields"), ("{", "not YAML")],
)
def test_a_file_without_settings_of_the_panel_is_refused_at_its_button(detect, tmp_path, shown, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    detect.settings.open(path)
    assert words in detect.refusal.words.text()
    assert detect.form.model_name == "default"
