"""The widget that loads movies: in nm, with their camera, lazily, and with a word on what cannot be loaded."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

from napari_subpixel._util import user_folder
from napari_subpixel.camera import Camera
from napari_subpixel.cameras import presets
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets import load
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.layers.renderings import rendering_layer_data
from napari_subpixel.widgets.load import LoadStack, describe_stack

MOVIE = np.random.default_rng(0).poisson(20, (5, 12, 18)).astype(np.uint16)
EMCCD = Camera(baseline=200, electrons_per_adu=5.2, em_gain=300, name="EMCCD")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv(user_folder.CONFIG, str(tmp_path / "settings"))


@pytest.fixture
def widget(viewer):
    return docked(viewer)


def docked(viewer) -> LoadStack:
    widget = LoadStack(viewer)
    viewer.window.add_dock_widget(widget, name="Load")
    return widget


@pytest.fixture
def movie_file(tmp_path) -> Path:
    write_movie(tmp_path / "movie.tif", [MOVIE], shape=MOVIE.shape, pixel_size_nm=110)
    return tmp_path / "movie.tif"


@pytest.fixture
def done(qtbot):
    """Return a function that waits until no work is under way."""
    return lambda: qtbot.waitUntil(lambda: not Work.running, timeout=10_000)


def type_camera(widget: LoadStack, camera: Camera) -> None:
    for name, box in widget.form.boxes.items():
        if (value := getattr(camera, name)) is not None:
            box.setValue(value)


# -- from a file --------------------------------------------------------------------------------------------------


def test_the_pixel_size_of_the_file_is_found_and_the_layer_is_in_nm(viewer, widget, movie_file, done) -> None:
    assert not widget.button.isEnabled()
    widget.choose(movie_file)
    done()
    assert widget.about.text() == "5 frames of 12 x 18 px, uint16, 2.2 kB"
    assert widget.form.camera.pixel_size_nm == 110
    assert widget.form.note.text() == "Pixel size: from the file"
    assert not viewer.layers
    widget.button.click()
    done()
    (layer,) = viewer.layers
    assert type(layer.data).__module__.startswith("dask")
    assert layer.scale.tolist() == pytest.approx([1, 110, 110])
    assert str(layer.units[-1]) == "nanometer"
    assert viewer.canvas.overlays.scale_bar.visible
    assert viewer.dims.current_step[0] == 0
    assert widget.status.text() == "movie.tif: 110 nm per pixel"


def test_the_camera_travels_on_the_layer(viewer, widget, movie_file, done) -> None:
    widget.choose(movie_file)
    done()
    type_camera(widget, EMCCD)
    widget.button.click()
    done()
    camera = MovieLayer(viewer.layers[0]).camera
    assert camera == Camera(pixel_size_nm=110, baseline=200, electrons_per_adu=5.2, em_gain=300)


def test_a_pixel_size_that_is_typed_goes_before_the_file_s(viewer, widget, movie_file, done) -> None:
    widget.choose(movie_file)
    done()
    widget.form.boxes["pixel_size_nm"].setValue(160)
    widget.button.click()
    done()
    assert viewer.layers[0].scale.tolist() == [1, 160, 160]


def test_a_movie_without_pixel_size_loads_in_pixels(viewer, widget, tmp_path, done) -> None:
    tifffile.imwrite(tmp_path / "bare.tif", MOVIE)
    widget.choose(tmp_path / "bare.tif")
    done()
    assert "gives no pixel size" in widget.form.note.text()
    widget.button.click()
    done()
    assert viewer.layers[0].scale.tolist() == [1, 1, 1]
    assert widget.status.text() == "bare.tif: pixel size not known"


@pytest.mark.parametrize("loaded", [True, False])
def test_the_pixel_size_of_an_earlier_movie_is_not_taken_for_one_that_says_none(
    viewer, widget, movie_file, tmp_path, done, loaded: bool
) -> None:
    tifffile.imwrite(tmp_path / "bare.tif", MOVIE)
    widget.choose(movie_file)
    done()
    if loaded:
        widget.button.click()
        done()
    widget.choose(tmp_path / "bare.tif")
    done()
    assert widget.form.note.text() == "Pixel size: the file gives no pixel size"
    widget.button.click()
    done()
    assert viewer.layers[-1].scale.tolist() == [1, 1, 1]


def test_the_pixel_size_of_another_layer_is_not_taken_for_one_that_has_none(viewer, widget) -> None:
    known = viewer.add_image(MOVIE, scale=(1, 65, 65), units=("pixel", "nm", "nm"))
    bare = viewer.add_image(MOVIE)
    widget.source.value = known
    widget.source.value = bare
    assert widget.form.camera.pixel_size_nm is None
    assert widget.form.note.text() == "Pixel size: the layer gives no pixel size"


def test_a_pixel_size_used_for_one_layer_is_offered_for_the_next_and_is_to_be_checked(viewer, widget) -> None:
    first, second = viewer.add_image(MOVIE), viewer.add_image(MOVIE)
    widget.source.value = first
    widget.form.boxes["pixel_size_nm"].setValue(117)
    widget.button.click()
    widget.source.value = second
    assert widget.form.note.text() == "Pixel size: the layer gives none: 117 nm as used last, check it"
    assert widget.form.camera.pixel_size_nm == 117


def test_the_camera_and_pixel_size_that_were_used_last_are_there_again(viewer, widget, tmp_path, done) -> None:
    tifffile.imwrite(tmp_path / "bare.tif", MOVIE)
    widget.choose(tmp_path / "bare.tif")
    done()
    type_camera(widget, EMCCD)
    widget.form.boxes["pixel_size_nm"].setValue(117)
    widget.button.click()
    done()
    again = docked(viewer)
    assert again.form.camera == widget.form.camera
    assert again.form.camera.pixel_size_nm == 117


def test_zarr_and_folders_of_frames_load_by_the_folder_button(viewer, widget, tmp_path, done, monkeypatch) -> None:
    array = zarr.create_array(tmp_path / "movie.zarr", shape=MOVIE.shape, dtype=MOVIE.dtype)
    array[:] = MOVIE
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(MOVIE):
        tifffile.imwrite(tmp_path / "frames" / f"{number}.tif", frame)
    for name in ("movie.zarr", "frames"):
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, name=name: str(tmp_path / name))
        widget.folder_button.click()
        done()
        widget.button.click()
        done()
        np.testing.assert_array_equal(viewer.layers[-1].data, MOVIE)


def test_the_file_button_and_a_path_that_is_typed_lead_to_the_same(
    widget, movie_file, done, qtbot, monkeypatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(movie_file), ""))
    widget.file_button.click()
    done()
    assert widget.button.isEnabled()
    widget.choose("")
    assert not widget.button.isEnabled()
    qtbot.keyClicks(widget.path, f'"{movie_file}"\r')
    done()
    assert widget.button.isEnabled()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    widget.file_button.click()
    assert widget.path.text() == str(movie_file)


def test_a_preset_with_maps_that_do_not_fit_is_refused_in_words(viewer, widget, movie_file, done, shown) -> None:
    presets.save_preset(Camera(baseline=np.full((7, 9), 100.0), name="chip"))
    widget.choose(movie_file)
    done()
    widget.form.show_camera(presets.preset("chip"), "from the camera")
    widget.button.click()
    done()
    assert not viewer.layers
    assert "the camera's maps have shape (7, 9)" in shown()[0][1]
    assert widget.button.isEnabled()


def write_wrong_files(folder: Path, movie_file: Path) -> dict[str, str]:
    (folder / "empty.tif").touch()
    (folder / "text.tif").write_text("no movie at all")
    tifffile.imwrite(folder / "colour.tif", np.zeros((5, 12, 18, 3), np.uint8), photometric="rgb")
    (folder / "cut.tif").write_bytes(movie_file.read_bytes()[:-700])
    (folder / "nothing").mkdir()
    return {
        "missing.tif": "no such file",
        "empty.tif": r"the file is empty (0 bytes)",
        "text.tif": "not a TIFF file",
        "colour.tif": "a colour (RGB) movie",
        "cut.tif": "the file is cut off",
        "nothing": "no TIFF files and no Zarr in this folder",
    }


def test_wrong_files_are_refused_in_words_and_give_no_layer(viewer, widget, movie_file, tmp_path, done, shown) -> None:
    for name, words in write_wrong_files(tmp_path, movie_file).items():
        widget.choose(tmp_path / name)
        done()
        severity, message = shown()[-1]
        assert (severity, words in message, name in message) == ("ERROR", True, True), message
        assert not widget.button.isEnabled()
        assert widget.about.text() == message
        widget.act()
    assert len(shown()) == 6
    assert not viewer.layers


def test_a_movie_that_breaks_off_while_it_is_loaded_is_refused(viewer, widget, movie_file, done, shown) -> None:
    widget.choose(movie_file)
    done()
    os.truncate(movie_file, 300)
    widget.button.click()
    done()
    assert "became shorter" in shown()[0][1]
    assert not viewer.layers


def test_a_file_that_was_refused_is_not_refused_again_when_the_cursor_leaves(widget, tmp_path, done, shown) -> None:
    widget.choose(tmp_path / "missing.tif")
    done()
    widget.path.editingFinished.emit()
    done()
    assert len(shown()) == 1


# -- on a slow disk -----------------------------------------------------------------------------------------------


@pytest.fixture
def slow_disk(monkeypatch):
    """Let opening a movie take until the event is set; the event that comes back says that it began."""
    gate, began, really_open = threading.Event(), threading.Event(), load.open_stack

    def open_slowly(path):
        began.set()
        gate.wait(10)
        return really_open(path)

    monkeypatch.setattr(load, "open_stack", open_slowly)
    yield gate, began
    gate.set()


def test_a_slow_disk_holds_up_nothing_but_the_button(widget, movie_file, done, qtbot, slow_disk) -> None:
    gate, began = slow_disk
    start = time.perf_counter()
    widget.choose(movie_file)
    assert time.perf_counter() - start < 1
    qtbot.waitUntil(began.is_set)
    assert not widget.button.isEnabled()
    assert widget.about.text() == "reading the file ..."
    gate.set()
    done()
    assert widget.button.isEnabled()


def test_another_file_chosen_meanwhile_is_the_one_that_counts(widget, movie_file, done, qtbot, slow_disk) -> None:
    gate, began = slow_disk
    other = movie_file.with_name("other.tif")
    write_movie(other, [MOVIE[:2]], shape=(2, 12, 18), pixel_size_nm=65)
    widget.choose(movie_file)
    qtbot.waitUntil(began.is_set)
    widget.choose(other)
    gate.set()
    done()
    assert widget.about.text().startswith("2 frames")
    assert widget.form.camera.pixel_size_nm == 65


@pytest.mark.parametrize("close", ["dock", "viewer"])
def test_closing_while_a_file_is_opened_leaves_no_thread(
    viewer, widget, movie_file, done, qtbot, slow_disk, close: str
) -> None:
    gate, began = slow_disk
    widget.choose(movie_file)
    qtbot.waitUntil(began.is_set)
    threading.Timer(0.2, gate.set).start()
    if close == "dock":
        viewer.window.remove_dock_widget(widget)
    else:
        viewer.close()
    done()
    qtbot.waitUntil(lambda: widget not in Panel.undeleted.values())


def test_closing_the_dock_waits_for_nothing(viewer, movie_file, done, qtbot, slow_disk) -> None:
    gate, began = slow_disk
    widget = docked(viewer)
    widget.choose(movie_file)
    qtbot.waitUntil(began.is_set)
    reference, disk = weakref.ref(widget), threading.Timer(8, gate.set)
    disk.start()
    viewer.window.remove_dock_widget(widget)
    del widget
    gc.collect()
    assert not gate.is_set()
    disk.cancel()
    gate.set()
    done()
    assert collected(reference, qtbot)


def test_while_a_movie_loads_no_other_can_be_chosen(viewer, widget, movie_file, done, qtbot, monkeypatch) -> None:
    gate, really_make = threading.Event(), load.movie_layer_data
    monkeypatch.setattr(load, "movie_layer_data", lambda *arguments: gate.wait(10) and really_make(*arguments))
    widget.choose(movie_file)
    done()
    widget.button.click()
    widget.act()
    assert (widget.file_button.isEnabled(), widget.source.enabled, widget.button.isEnabled()) == (False, False, False)
    gate.set()
    done()
    assert (widget.file_button.isEnabled(), widget.source.enabled) == (True, True)
    assert len(viewer.layers) == 1


# -- what is let go -----------------------------------------------------------------------------------------------


@pytest.fixture
def closed(monkeypatch):
    """Return the names of the movies whose files were closed."""
    names, really_open = [], load.open_stack

    def open_and_note(path):
        stack = really_open(path)
        close = stack._source.close
        stack._source.close = lambda: (names.append(Path(path).name), close())
        return stack

    monkeypatch.setattr(load, "open_stack", open_and_note)
    return names


def collected(reference: weakref.ref, qtbot) -> bool:
    qtbot.wait(20)
    gc.collect()
    return reference() is None


@pytest.mark.parametrize("use", ["nothing", "opened", "loaded"])
def test_a_widget_whose_dock_is_closed_lives_no_longer(viewer, movie_file, done, qtbot, use: str) -> None:
    widget = docked(viewer)
    if use != "nothing":
        widget.choose(movie_file)
        done()
    if use == "loaded":
        widget.button.click()
        done()
    viewer.window.remove_dock_widget(widget)
    references = weakref.ref(widget), weakref.ref(widget.form)
    del widget
    assert [collected(reference, qtbot) for reference in references] == [True, True]


def test_a_file_that_was_opened_is_closed_with_the_dock(viewer, widget, movie_file, done, closed) -> None:
    widget.choose(movie_file)
    done()
    assert closed == []
    viewer.window.remove_dock_widget(widget)
    gc.collect()
    assert closed == ["movie.tif"]
    assert not widget.button.isEnabled()


def test_a_file_is_closed_when_another_is_chosen_or_its_layer_is_gone(
    viewer, widget, movie_file, done, closed, qtbot
) -> None:
    other = Path(shutil.copy(movie_file, movie_file.with_name("other.tif")))
    widget.choose(movie_file)
    done()
    widget.choose(other)
    done()
    gc.collect()
    assert closed == ["movie.tif"]
    widget.button.click()
    done()
    assert viewer.layers[0].data.max().compute() == MOVIE.max()
    assert closed == ["movie.tif"]


# -- on a layer that is open --------------------------------------------------------------------------------------


def test_a_camera_is_given_to_a_layer_that_napari_opened(viewer, widget, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "bare.tif", MOVIE)
    (layer,) = viewer.open(tmp_path / "bare.tif")
    assert widget.source.value is None
    widget.source.value = layer
    assert widget.button.text() == "Apply to layer"
    assert widget.path.isHidden() or widget.path.parentWidget().isHidden()
    type_camera(widget, Camera(pixel_size_nm=117, baseline=99))
    widget.button.click()
    assert MovieLayer(layer).camera == Camera(pixel_size_nm=117, baseline=99)
    assert layer.scale.tolist() == [1, 117, 117]
    assert str(layer.units[-1]) == "nanometer"
    assert widget.status.text() == "bare: 117 nm per pixel"


def test_points_and_images_of_the_movie_follow(viewer, widget) -> None:
    table = Localizations({"frame": [2], "y": [3.25], "x": [10.0]}, pixel_size_nm=100, frame_shape=(12, 18))
    movie = viewer.add_image(MOVIE, scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    points = viewer.add_layer(points_layer(table, MovieLayer(movie), name="found"))
    image = viewer.add_layer(Layer.create(*rendering_layer_data(render(table, pixel_size_nm=10), points, name="image")))
    widget.source.value = movie
    assert image not in widget.source.choices
    widget.form.boxes["pixel_size_nm"].setValue(200)
    widget.button.click()
    assert points.data_to_world(points.data[0]) == pytest.approx((2, 650, 2000))
    assert movie.world_to_data(points.data_to_world(points.data[0])) == pytest.approx((2, 3.25, 10))
    np.testing.assert_allclose(image.extent.world[0] - np.array(image.scale) / 2, [-100, -100])


def test_the_form_shows_the_camera_of_the_layer_that_is_chosen(viewer, widget) -> None:
    known = viewer.add_image(MOVIE, name="known")
    MovieLayer(known).set_camera(Camera(pixel_size_nm=65, baseline=123))
    scaled = viewer.add_image(MOVIE, name="scaled", scale=(1, 0.1, 0.1), units=("pixel", "um", "um"))
    widget.source.value = known
    assert (widget.form.camera.pixel_size_nm, widget.form.camera.baseline) == (65, 123)
    assert widget.form.note.text() == "Pixel size: from the layer"
    widget.source.value = scaled
    assert (widget.form.camera.pixel_size_nm, widget.form.camera.baseline) == (100, 123)
    widget.source.value = None
    assert widget.button.text() == "Load"
    assert widget.about.text() == ""


def test_a_file_that_was_opened_is_still_there_after_a_layer_was_chosen(viewer, widget, movie_file, done) -> None:
    widget.choose(movie_file)
    done()
    widget.source.value = viewer.add_image(MOVIE, scale=(1, 65, 65), units=("pixel", "nm", "nm"))
    assert widget.form.camera.pixel_size_nm == 65
    widget.source.value = None
    assert (widget.form.camera.pixel_size_nm, widget.button.isEnabled()) == (110, True)
    assert widget.about.text().startswith("5 frames")


def test_pixels_that_are_not_square_are_said_and_stay_unless_others_are_typed(viewer, widget) -> None:
    layer = viewer.add_image(MOVIE, scale=(1, 100, 120), units=("pixel", "nm", "nm"))
    widget.source.value = layer
    assert "100 x 120 nm (height x width)" in widget.form.note.text()
    widget.button.click()
    assert layer.scale.tolist() == [1, 100, 120]
    widget.form.boxes["pixel_size_nm"].setValue(110)
    widget.button.click()
    assert layer.scale.tolist() == pytest.approx([1, 110, 110])


def test_an_unknown_pixel_size_leaves_the_layer_its_own(viewer, widget) -> None:
    layer = viewer.add_image(MOVIE, scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    widget.source.value = layer
    widget.form.boxes["pixel_size_nm"].setValue(0)
    widget.form.boxes["baseline"].setValue(5)
    widget.button.click()
    assert MovieLayer(layer).camera == Camera(pixel_size_nm=100, baseline=5)


def test_what_was_typed_stays_when_other_layers_come_and_go(viewer, widget) -> None:
    layer = viewer.add_image(MOVIE)
    widget.source.value = layer
    widget.form.boxes["pixel_size_nm"].setValue(117)
    viewer.add_image(MOVIE, name="other")
    viewer.layers.remove("other")
    assert widget.source.value is layer
    assert widget.form.camera.pixel_size_nm == 117
    viewer.layers.remove(layer)
    assert widget.source.value is None
    assert widget.button.text() == "Load"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 12, 18), "1 frame of 12 x 18 px, uint16, 432 bytes"),
        ((4000, 512, 512), "4,000 frames of 512 x 512 px, uint16, 2.1 GB"),
        ((250_000, 2048, 2048), "250,000 frames of 2048 x 2048 px, uint16, 2.1 TB"),
    ],
)
def test_a_movie_in_words(shape: tuple[int, ...], words: str) -> None:
    assert describe_stack(open_stack(np.broadcast_to(np.uint16(0), shape))) == words
