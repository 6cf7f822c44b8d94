"""The camera's form: presets, files, typed values, and the memory of what was used last."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QFormLayout, QInputDialog, QMessageBox, QWidget

from napari_subpixel._util import user_folder
from napari_subpixel.camera import Camera
from napari_subpixel.cameras import presets
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.camera_form import OWN_VALUES, CameraForm, last_used_file

PRESET = "Hamamatsu ORCA-Flash4.0 V3"
MAPS = Camera(pixel_size_nm=65, baseline=np.full((7, 9), 100.0), read_noise_e=np.full((7, 9), 1.5), name="mine")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv(user_folder.CONFIG, str(tmp_path / "settings"))


@pytest.fixture
def form(qtbot):
    return laid_out(qtbot)


def laid_out(qtbot) -> CameraForm:
    window, form = QWidget(), CameraForm()
    form.add_to(QFormLayout(window))
    qtbot.addWidget(window)
    form.window = window
    return form


def choose(form: CameraForm, name: str) -> None:
    form.choice.setCurrentText(name)
    form.choice.activated.emit(form.choice.currentIndex())


def test_it_starts_with_a_camera_that_changes_nothing(form) -> None:
    assert form.camera == Camera()
    assert form.boxes["pixel_size_nm"].text() == "not known"
    assert form.choice.currentText() == OWN_VALUES


def test_a_preset_fills_the_fields_and_leaves_the_pixel_size(form) -> None:
    form.show_reported_pixel_size(108.3, "the file")
    choose(form, PRESET)
    assert [form.boxes[name].text() for name in ("baseline", "electrons_per_adu", "em_gain")] == ["100", "0.46", "1"]
    assert form.camera == Camera(**{**presets.preset(PRESET).to_dict(), "pixel_size_nm": 108.3})
    assert form.note.text() == "Pixel size: from the file"


def test_numbers_that_are_not_edited_are_kept_to_the_last_bit(form) -> None:
    camera = Camera(pixel_size_nm=100 / 3, electrons_per_adu=300 / 2.065, em_gain=300, bit_depth=14, name="EMCCD")
    form.show_camera(camera, "from the test")
    assert form.camera == camera
    form.boxes["baseline"].setValue(99.5)
    assert form.camera.electrons_per_adu == 300 / 2.065
    assert (form.camera.baseline, form.camera.bit_depth, form.camera.name) == (99.5, 14, "")


def test_a_number_that_is_being_typed_counts(form, qtbot) -> None:
    box = form.boxes["baseline"]
    box.lineEdit().selectAll()
    qtbot.keyClicks(box, "123")
    assert form.camera.baseline == 123


def test_editing_a_preset_makes_it_one_s_own(form) -> None:
    choose(form, PRESET)
    form.boxes["quantum_efficiency"].setValue(0.7)
    assert form.choice.currentText() == OWN_VALUES
    assert form.camera.quantum_efficiency == 0.7


def test_where_the_pixel_size_comes_from_is_said(form) -> None:
    form.show_reported_pixel_size(None, "the file")
    assert form.note.text() == "Pixel size: the file gives no pixel size"
    form.show_reported_pixel_size(100, "the file")
    form.boxes["pixel_size_nm"].setValue(160)
    assert form.note.text() == "Pixel size: as typed; the file gives 100 nm"
    form.show_camera(Camera(pixel_size_nm=65), "from the camera")
    assert form.note.text() == "Pixel size: from the camera; the file gives 100 nm"
    assert form.camera.pixel_size_nm == 65


@pytest.mark.parametrize("origin", ["as typed", "from the camera", "from the camera file"])
def test_a_pixel_size_of_the_user_s_is_to_be_checked_for_a_movie_that_says_none(form, origin: str, tmp_path) -> None:
    form.show_reported_pixel_size(110, "the file")
    if origin == "as typed":
        form.boxes["pixel_size_nm"].setValue(65)
    elif origin == "from the camera":
        presets.save_preset(Camera(pixel_size_nm=65, name="mine"))
        form.refresh()
        choose(form, "mine")
    else:
        Camera(pixel_size_nm=65).to_yaml(tmp_path / "mine.yaml")
        form.open_file(tmp_path / "mine.yaml")
    form.show_reported_pixel_size(None, "the file")
    assert form.note.text() == f"Pixel size: the file gives none: 65 nm {origin}, check it"
    assert form.camera.pixel_size_nm == 65


def test_the_pixel_size_of_an_earlier_movie_is_forgotten(form) -> None:
    form.show_reported_pixel_size(110, "the file")
    form.show_reported_pixel_size(None, "")
    form.show_reported_pixel_size(None, "the file")
    assert form.camera.pixel_size_nm is None
    assert form.boxes["pixel_size_nm"].text() == "not known"


def test_maps_are_named_kept_and_not_edited(form, tmp_path) -> None:
    MAPS.to_yaml(tmp_path / "mine.yaml")
    form.window.show()
    form.open_file(tmp_path / "mine.yaml")
    assert form.camera == MAPS
    assert form.maps["baseline"].text() == "map 7 x 9, mean 100"
    assert [form.boxes[n].isVisible() for n in ("baseline", "electrons_per_adu", "read_noise_e")] == [
        False,
        True,
        False,
    ]
    assert form.maps["read_noise_e"].isVisible()
    choose(form, PRESET)
    assert form.boxes["baseline"].isVisible()
    assert form.camera.map_shape is None
    choose(form, "mine")
    assert form.camera == MAPS


def test_a_camera_is_opened_and_saved_by_dialogs(form, tmp_path, monkeypatch) -> None:
    Camera(baseline=77).to_yaml(tmp_path / "other.yaml")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "other.yaml"), ""))
    form.open_button.click()
    assert (form.camera.baseline, form.choice.currentText()) == (77, "other")
    form.boxes["baseline"].setValue(78)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: (" my camera ", True))
    form.save_button.click()
    assert presets.preset("my camera").baseline == 78
    assert form.choice.currentText() == "my camera"


@pytest.mark.parametrize(("answer", "baseline"), [("Yes", 2), ("No", 1)])
def test_a_saved_camera_is_replaced_after_a_question(form, answer: str, baseline: int, monkeypatch) -> None:
    presets.save_preset(Camera(baseline=1, name="mine"))
    form.boxes["baseline"].setValue(2)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("mine", True))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: getattr(QMessageBox.StandardButton, answer))
    form.save_button.click()
    assert presets.preset("mine").baseline == baseline


def test_dialogs_that_are_cancelled_change_nothing(form, monkeypatch, shown) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("name", False))
    form.open_button.click()
    form.save_button.click()
    assert form.camera == Camera()
    assert shown() == []
    assert "name" not in presets.all_presets()


def test_what_cannot_be_opened_or_saved_is_said_in_words(form, tmp_path, monkeypatch, shown) -> None:
    (tmp_path / "bad.yaml").write_text("camera: {baselin: 3}")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "bad.yaml"), ""))
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("a/b", True))
    form.open_button.click()
    form.save_button.click()
    assert ["did you mean 'baseline'" in shown()[0][1], "cannot be in a file's name" in shown()[1][1]] == [True, True]
    assert form.camera == Camera()


def test_a_camera_file_of_one_s_own_that_is_broken_is_named_and_left_out(qtbot) -> None:
    presets.save_preset(Camera(name="good"))
    (user_folder.user_folder("cameras") / "bad.yaml").write_text("camera: {baselin: 3}")
    with pytest.warns(UserWarning, match="baselin"):
        form = laid_out(qtbot)
    assert form.choice.findText("good") > 0
    assert form.choice.findText("bad") < 0


# -- what was used last -------------------------------------------------------------------------------------------


def again(qtbot) -> CameraForm:
    form = laid_out(qtbot)
    form.recall()
    return form


def test_the_first_time_nothing_is_recalled(qtbot) -> None:
    assert again(qtbot).camera == Camera()


def test_typed_values_are_recalled(form, qtbot) -> None:
    form.boxes["pixel_size_nm"].setValue(117)
    form.boxes["em_gain"].setValue(200)
    form.remember()
    later = again(qtbot)
    assert later.camera == Camera(pixel_size_nm=117, em_gain=200)
    assert later.note.text() == "Pixel size: as used last"
    later.show_reported_pixel_size(None, "the file")
    assert later.note.text() == "Pixel size: the file gives none: 117 nm as used last, check it"
    later.show_reported_pixel_size(110, "the file")
    later.show_reported_pixel_size(None, "the file")
    assert later.camera.pixel_size_nm is None


def test_a_preset_is_recalled_by_its_name_with_the_pixel_size_that_was_typed(form, qtbot) -> None:
    choose(form, PRESET)
    form.boxes["pixel_size_nm"].setValue(117)
    form.remember()
    later = again(qtbot)
    assert later.choice.currentText() == PRESET
    assert later.camera == form.camera


def test_a_camera_file_with_maps_is_recalled_by_its_path(form, qtbot, tmp_path) -> None:
    MAPS.to_yaml(tmp_path / "mine.yaml")
    form.open_file(tmp_path / "mine.yaml")
    form.remember()
    assert again(qtbot).camera == MAPS
    assert not list(last_used_file().parent.glob("*.npy"))


def test_maps_that_are_in_no_file_are_not_recalled(form, qtbot) -> None:
    form.show_camera(MAPS, "from the layer")
    form.remember()
    assert not last_used_file().exists()


@pytest.mark.parametrize(
    "text", ["nonsense", "last_used: {preset: gone}", "last_used: {file: gone.yaml}", "last_used: {camera: {x: 1}}", ""]
)
def test_a_memory_that_is_no_longer_true_is_passed_over(qtbot, text: str, shown) -> None:
    last_used_file().parent.mkdir(parents=True)
    last_used_file().write_text(text)
    assert again(qtbot).camera == Camera()
    assert shown() == []


def test_settings_that_cannot_be_written_are_said_in_words(form, tmp_path, shown) -> None:
    (tmp_path / "settings").write_text("no folder")
    form.remember()
    assert "cannot make this folder" in shown()[0][1]


def test_a_file_without_camera_is_refused(form, tmp_path) -> None:
    (tmp_path / "psf.yaml").write_text("psf: {sigma_nm: 100}")
    with pytest.raises(InputError, match="no section 'camera:'"):
        form.open_file(tmp_path / "psf.yaml")


def test_the_enter_key_in_a_field_that_was_not_edited_changes_nothing(form, qtbot) -> None:
    camera = Camera(electrons_per_adu=300 / 2.065, name="EMCCD")
    form.show_camera(camera, "from the test")
    qtbot.keyClick(form.boxes["electrons_per_adu"], Qt.Key.Key_Return)
    assert form.camera == camera
