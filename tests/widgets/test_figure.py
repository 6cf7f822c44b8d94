"""*Figure* in a real viewer: its files and layers, what is kept when it is stopped, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QInputDialog

from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.figure import DETECTED, FILES
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background import figure as background
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE
from napari_subpixel.widgets.figure import CONTINUE, REPLACE, START_AGAIN, MakeFigure
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer, table_of

SHAPE = (32, 40)
PIXEL_NM = 100.0


@pytest.fixture(scope="module")
def frames():
    """A molecule or two in each frame, as a camera with an offset of 100 sees them."""
    rng = np.random.default_rng(5)
    psf = GaussianPSF(sigma_nm=130.0)
    light = np.full((60, *SHAPE), 5.0)
    for frame in light:
        for y, x in rng.uniform(5, np.array(SHAPE) - 6, (rng.integers(1, 3), 2)):
            rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
            width = psf.sigma_px(PIXEL_NM)
            spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))
            frame += 900 * spot / spot.sum()
    return (rng.poisson(light) + 100).astype(np.uint16)


@pytest.fixture
def movie(viewer, frames):
    camera = Camera(pixel_size_nm=PIXEL_NM, baseline=100)
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames), camera, name="cell")))


@pytest.fixture
def widget(viewer, qtbot):
    panel = MakeFigure(viewer)
    viewer.window.add_dock_widget(panel, name="Figure")
    qtbot.waitUntil(lambda: panel.form.device_text.text().startswith("Runs on"), timeout=30_000)
    return panel


def table():
    rng = np.random.default_rng(1)
    n = 400
    columns = {
        "frame": np.sort(rng.integers(0, 60, n)),
        "y": rng.uniform(3, 28, n),
        "x": rng.uniform(3, 36, n),
        "probability": np.linspace(0.3, 1, n),
        "y_uncertainty": np.full(n, 0.1),
        "x_uncertainty": np.full(n, 0.1),
    }
    return Localizations(columns, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE, n_frames=60)


def ended(qtbot, widget):
    qtbot.waitUntil(lambda: widget._work is None, timeout=120_000)


def test_a_movie_becomes_files_and_layers_and_is_continued(widget, qtbot, viewer, movie, tmp_path, monkeypatch):
    widget.run()
    assert "no folder is given" in widget.refusal.words.text()
    folder = tmp_path / "figure"
    widget.folder.value = folder
    widget.form.model.value = "fast"
    widget.run()
    ended(qtbot, widget)
    assert (folder / DETECTED).is_file()
    assert {FILES[name] for name in ("localizations", "image", "picture", "report")} <= {
        p.name for p in folder.iterdir()
    }
    assert "detection: " in widget.status.text()
    names = ["cell", "cell, figure", "cell, figure, linked", "cell, figure, super-resolution"]
    assert [layer.name for layer in viewer.layers] == names
    assert [layer.visible for layer in viewer.layers] == [False, False, False, True]
    rows = table_of(viewer.layers["cell, figure"])
    assert len(rows)
    assert rows.provenance["camera"]["baseline"] == 100
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    widget.report_button.click()
    assert opened == [str(folder / FILES["report"])]

    widget.run()
    ended(qtbot, widget)
    assert "exists already; choose another folder, or replace it" in widget.refusal.words.text()
    assert widget.refusal.button.text() == REPLACE
    written = (folder / DETECTED).stat().st_mtime_ns
    widget.refusal.button.click()
    ended(qtbot, widget)
    assert widget.report_button.isVisibleTo(widget)
    assert (folder / DETECTED).stat().st_mtime_ns == written  # the detection is kept

    widget.form.threshold.setValue(0.61)
    widget.run(resume=True)
    ended(qtbot, widget)
    assert widget.refusal.button.text() == START_AGAIN


def test_a_run_that_is_stopped_can_be_continued(widget, qtbot, viewer, movie, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "CHUNK_PIXELS", 8 * SHAPE[0] * SHAPE[1])
    folder = widget.folder.value = tmp_path / "figure"
    widget.form.model.value = "fast"
    widget.keep.setText("brightness_of_no_model > 3")
    widget.run()
    ended(qtbot, widget)
    assert "brightness_of_no_model" in widget.refusal.words.text()
    assert not folder.exists()  # refused before anything was detected
    widget.keep.clear()
    widget.run()
    widget._work.yielded.connect(lambda event: widget.cancel() if getattr(event, "done", 0) else None)
    ended(qtbot, widget)
    assert "Stopped. The frames that are detected are kept." in widget.status.text()
    assert not widget.report_button.isVisibleTo(widget)
    assert len(viewer.layers) == 1
    assert not (folder / DETECTED).exists()
    assert widget.refusal.button.text() == CONTINUE
    widget.refusal.button.click()
    ended(qtbot, widget)
    assert (folder / FILES["report"]).is_file()
    assert table_of(viewer.layers["cell, figure"]).n_frames == 60


def test_each_movie_has_a_folder_of_its_own(widget, viewer, frames, tmp_path):
    stem = "2024.05.12_"
    for name in (f"{stem}a.tif", f"{stem}b.ome.tif", "frames.1/0.tif", "frames.1/1.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, frames[0] if "/" in name else frames[:2])
    folders = []
    for name in (f"{stem}a.tif", f"{stem}b.ome.tif", "frames.1"):
        stack = open_stack(tmp_path / name)
        widget.movie.value = viewer.add_layer(Layer.create(*movie_layer_data(stack, name=name)))
        folders.append(widget._default_folder())
    assert folders == [tmp_path / f"{name} figure" for name in (f"{stem}a", f"{stem}b", "frames.1")]


def test_localizations_that_are_there_are_not_detected_again(widget, qtbot, viewer, movie, tmp_path, monkeypatch):
    points = viewer.add_layer(points_layer(table(), MovieLayer(movie), name="found"))
    widget.points.value = points
    assert not widget.form.model.native.isVisibleTo(widget)
    widget.folder.value = tmp_path
    widget.keep.setText("probability >")
    widget.run()
    assert widget.refusal.words.text()
    widget.keep.setText("probability > 0.5")
    widget.run()
    ended(qtbot, widget)
    assert "filter: probability > 0.5: " in widget.status.text()
    assert not (tmp_path / DETECTED).exists()
    assert (tmp_path / FILES["report"]).is_file()
    assert viewer.layers[-1].name == "found, figure, super-resolution"
    assert "drift: left out" in widget.status.text()  # too few molecules
    widget.run()
    ended(qtbot, widget)
    widget.refusal.button.click()
    ended(qtbot, widget)
    assert widget.report_button.isVisibleTo(widget)

    widget.points.value = None  # a figure of the movie in place of that of a table, which has no detection
    widget.form.model.value = "fast"
    widget.keep.clear()
    for press in (widget.button, widget.refusal.button):
        press.click()
        ended(qtbot, widget)
    assert widget.report_button.isVisibleTo(widget)
    assert (tmp_path / DETECTED).is_file()


def test_what_cannot_be_made_is_refused_under_the_button(widget, qtbot, viewer, frames, tmp_path, monkeypatch):
    widget.run()
    assert "there is no movie to make a figure of" in widget.refusal.words.text()
    viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames), name="in pixels")))
    widget.folder.value = tmp_path
    asked = []
    monkeypatch.setattr(QInputDialog, "getDouble", lambda *_: (asked.append(1), (0.0, False))[1])
    widget.run()
    assert "pixel size of the camera is not known" in widget.refusal.words.text()
    assert widget.refusal.button.text() == SET_PIXEL_SIZE
    widget.refusal.button.click()
    assert asked
    assert list(tmp_path.iterdir()) == []
    assert CONTINUE not in widget.refusal.button.text()
