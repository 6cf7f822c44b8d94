"""The camera as a form: presets, camera files, typed values, and the last camera used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMessageBox,
    QPushButton,
)

from napari_subpixel._util import records
from napari_subpixel._util.files import make_folder
from napari_subpixel._util.user_folder import user_root
from napari_subpixel.camera import MAPS, Camera
from napari_subpixel.cameras import presets
from napari_subpixel.coordinates import PixelSize, checked_pixel_size, pixel_size_text, pixel_size_yx, same_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.camera_list import CameraList, ask_camera_file
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.number_box import Field, NumberBox
from napari_subpixel.widgets.controls.words import Words

#: The entry of the list for values that belong to no camera of that list.
OWN_VALUES = "own values"
#: The user typed the pixel size. It is kept for a movie that gives none, as those below are.
TYPED = "as typed"
#: The pixel size is that of the last session.
LAST = "as used last"
#: The pixel size is that of a camera of the list.
OF_CAMERA = "from the camera"
#: Pixel sizes that differ by at most this share are the same to a user.
SAME_SIZE_WITHIN = 1e-5
#: The pixel size is that of a camera file.
OF_CAMERA_FILE = "from the camera file"


#: The numbers of a camera, by the names of `Camera`'s fields.
FIELDS = {
    "pixel_size_nm": Field(
        "Pixel size [nm]",
        0.0,
        1e5,
        "Width of a camera pixel in the sample: the camera's pixel divided by the magnification. Without it results "
        "stay in pixels",
        "not known",
    ),
    "baseline": Field("Baseline [ADU]", -1e6, 1e6, "Counts that the camera reports without light, also called offset"),
    "electrons_per_adu": Field(
        "Electrons per ADU", 1e-6, 1e6, "Electrons (after the EM gain) per count; 1 takes counts as electrons"
    ),
    "quantum_efficiency": Field(
        "Quantum efficiency", 1e-3, 1.0, "Electrons per photon, up to 1; 1 takes photoelectrons as photons"
    ),
    "em_gain": Field("EM gain", 1.0, 1e5, "Actual electron multiplication of an EMCCD; 1 if there is none"),
    "read_noise_e": Field(
        "Read noise [e\u207b]",
        0.0,
        1e6,
        "Standard deviation of the read noise, in electrons after the gain",
    ),
}


class CameraForm(QObject):
    """A camera to choose or to type in, remembered from one session to the next.

    Attributes
    ----------
    choice : QComboBox
        The cameras by name.
    boxes : dict of str to NumberBox
        The camera's numbers, by the names of `Camera`'s fields.
    maps : dict of str to QLabel
        Shown in place of a number where the camera has a map, which is kept and cannot be edited.
    note : QLabel
        Where the pixel size comes from.
    """

    def __init__(self) -> None:
        super().__init__()
        self._base = Camera()
        self._cameras = CameraList()
        self._file: Path | None = None
        #: Pixel size that the movie reports, and what reports it.
        self._reported: tuple[PixelSize | None, str] = (None, "")
        self._origin = ""
        #: Height and width of the pixels where they differ; the box shows the width.
        self._pixel_shape: tuple[float, float] | None = None
        self.choice = QComboBox()
        self.choice.setToolTip("Cameras that come with the program (typical values) and your own")
        self.choice.setMinimumContentsLength(22)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.activated.connect(self._chosen)
        self.open_button = _button("Open camera...", "Read the camera from a YAML file", self._open_dialog)
        self.save_button = _button("Save camera...", "Save these values under a name in the list", self._save_dialog)
        self.boxes = {name: NumberBox(field) for name, field in FIELDS.items()}
        self.maps = {name: QLabel() for name in MAPS}
        for name, label in self.maps.items():
            label.setToolTip(FIELDS[name].tooltip)
            label.hide()
        self.note = Words()
        self.note.hide()
        for name, box in self.boxes.items():
            box.show_value(getattr(self._base, name) or 0.0)
            box.valueChanged.connect(lambda _, name=name: self._edited(name))
        self.refresh()

    def add_to(self, form: QFormLayout) -> None:
        """Add the rows of the camera to a form."""
        choice, buttons = QHBoxLayout(), QHBoxLayout()
        choice.addWidget(QLabel("Camera"))
        choice.addWidget(self.choice, stretch=1)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.save_button)
        form.addRow(choice)
        form.addRow(buttons)
        for name, box in self.boxes.items():
            field = QHBoxLayout()
            field.addWidget(box)
            if name in self.maps:
                field.addWidget(self.maps[name])
            form.addRow(FIELDS[name].label, field)
            if name == "pixel_size_nm":
                form.addRow(self.note)

    # -- the camera ---------------------------------------------------------------------------------------------------

    @property
    def camera(self) -> Camera:
        """The camera as the form shows it."""
        typed = {
            name: box.exact for name, box in self.boxes.items() if not isinstance(getattr(self._base, name), np.ndarray)
        }
        changes: dict[str, Any] = {**typed, "pixel_size_nm": self.pixel_size_nm}
        return replace(self._base, **changes)

    @property
    def pixel_size_nm(self) -> PixelSize | None:
        """The pixel size as the form shows it: one that is typed is that of square pixels."""
        typed = self.boxes["pixel_size_nm"].exact
        return self._pixel_shape or typed or None

    def _show_pixel_size(self, size_nm: PixelSize) -> None:
        self._pixel_shape = size_nm if isinstance(size_nm, tuple) else None
        self.boxes["pixel_size_nm"].show_value(pixel_size_yx(size_nm)[1])

    def show_camera(self, camera: Camera, source: str) -> None:
        """Show a camera, and name `source` as that of its pixel size if it has one."""
        self._base = camera
        self._show_values(camera)
        if camera.pixel_size_nm is not None:
            self._set_origin(source)

    def _show_values(self, camera: Camera) -> None:
        for name, box in self.boxes.items():
            value = getattr(camera, name)
            is_map = isinstance(value, np.ndarray)
            if is_map:
                height, width = value.shape
                self.maps[name].setText(f"map {height} x {width}, mean {np.mean(value):.6g}")
            elif name == "pixel_size_nm" and value is not None:
                self._show_pixel_size(value)
            elif value is not None:  # a camera without a pixel size leaves the one that is shown
                box.show_value(value)
            box.setVisible(not is_map)
            if name in self.maps:
                self.maps[name].setVisible(is_map)

    def show_reported_pixel_size(self, size_nm: PixelSize | None, source: str) -> None:
        """Fill in the pixel size that a movie reports, or note that it reports none.

        If it reports none, that of an earlier movie is cleared, and the user is asked to check one of their own.

        Parameters
        ----------
        size_nm : float or (float, float), optional
        source : str
            What reports it, such as "the file"; empty if there is no movie.
        """
        self._reported = size_nm, source
        if size_nm is not None:
            self._fill_in(size_nm, f"from {source}")
        elif source:
            self._report_none(source)
        else:
            self._note("")

    def _fill_in(self, size_nm: PixelSize, origin: str) -> None:
        if self._origin != TYPED or self.pixel_size_nm != size_nm:  # a typed value stays the user's, even where a
            self._origin = origin  # movie agrees
        self._show_pixel_size(size_nm)
        self._note(origin)

    def _report_none(self, source: str) -> None:
        if self._origin not in (TYPED, LAST, OF_CAMERA, OF_CAMERA_FILE):
            self._show_pixel_size(0.0)
        if (size := self.pixel_size_nm) is not None:
            self._note(f"{source} gives none: {pixel_size_text(size)} {self._origin}, check it")
        else:
            self._note(f"{source} gives no pixel size")

    def _set_origin(self, origin: str) -> None:
        """Record where the pixel size in the box comes from, and show it."""
        self._origin = origin
        self._note(origin)

    def _note(self, text: str) -> None:
        """Show where the pixel size comes from, and what the movie reports where that differs."""
        (size_nm, source), shown = self._reported, self.pixel_size_nm
        if text and isinstance(shown, tuple):
            text += f", {pixel_size_text(shown)}; what is typed is that of square ones"
        if size_nm is not None and (shown is None or not same_pixel_size(shown, size_nm, within=SAME_SIZE_WITHIN)):
            text += f"; {source} gives {pixel_size_text(size_nm)}"
        self.note.setText(f"Pixel size: {text}")
        self.note.setVisible(bool(text))

    def _edited(self, name: str) -> None:
        if name == "pixel_size_nm":
            self._pixel_shape = None
            self._set_origin(TYPED)
        else:
            self._base, self._file = replace(self._base, name=""), None
            self.choice.setCurrentIndex(0)

    # -- cameras by name ----------------------------------------------------------------------------------------------

    def refresh(self, chosen: str = OWN_VALUES) -> None:
        """List the cameras again, presets first, then opened files, and select the one named `chosen`."""
        self._cameras.refresh()
        self.choice.clear()
        self.choice.addItems([OWN_VALUES, *self._cameras.names])
        self.choice.setCurrentText(chosen)

    def _chosen(self, index: int) -> None:
        name = self.choice.itemText(index)
        file = self._cameras.file(name)
        with reported():
            if file is not None:
                self.open_file(file)
            elif index > 0:
                self._file = None
                self.show_camera(presets.preset(name), OF_CAMERA)

    def open_file(self, path: str | Path) -> None:
        """Show the camera of a YAML file.

        Raises
        ------
        InputError
            If the file holds no camera.
        """
        camera = self._cameras.open_file(path)
        self._file = self._cameras.file(camera.name)
        self.show_camera(camera, OF_CAMERA_FILE)
        self.refresh(camera.name)

    def save(self, name: str) -> None:
        """Save the camera as a preset of this name.

        Raises
        ------
        InputError
            If the name cannot be used, or the camera cannot be written.
        """
        camera = replace(self.camera, name=name.strip())
        self._cameras.save(camera)
        self._base, self._file = camera, None
        self.refresh(camera.name)

    def _open_dialog(self) -> None:
        if path := ask_camera_file(self.choice):
            with reported():
                self.open_file(path)

    def _save_dialog(self) -> None:
        name, given = QInputDialog.getText(self.choice, "Save camera", "Name of the camera", text=self._base.name)
        if given and self._may_replace(name.strip()):
            with reported():
                self.save(name)

    def _may_replace(self, name: str) -> bool:
        """Ask before a saved camera of this name is replaced."""
        self._cameras.refresh()
        if not self._cameras.is_preset(name):
            return True
        question = f"Replace the camera {name!r}?"
        return QMessageBox.question(self.choice, "Save camera", question) == QMessageBox.StandardButton.Yes

    # -- the last camera used -----------------------------------------------------------------------------------------

    def remember(self) -> None:
        """Record the camera for the next session; one with maps is recorded only by its name or file."""
        camera = self.camera
        self._origin = LAST if self._origin == TYPED else self._origin
        named = self._file is not None or self.choice.currentIndex() > 0
        if camera.map_shape is not None and not named:
            return
        last: dict[str, Any] = {"pixel_size_nm": camera.pixel_size_nm}
        if self._file is not None:
            last["file"] = str(self._file)
        elif named:
            last["preset"] = self.choice.currentText()
        else:
            last["camera"] = camera.to_dict()
        path = last_used_file()
        with reported():
            make_folder(path.parent)
            records.write_section(path, "last_used", last)

    def recall(self) -> None:
        """Show the last camera used, if there was one and it still exists."""
        if not last_used_file().is_file():
            return
        try:
            last = records.read_section(last_used_file(), "last_used")
            if "file" in last:
                self.open_file(str(last["file"]))
            elif "preset" in last:
                self.show_camera(presets.preset(str(last["preset"])), LAST)
                self.refresh(self._base.name)
            else:
                self.show_camera(Camera.from_dict(last["camera"]), LAST)
            if last.get("pixel_size_nm") is not None:
                self._show_pixel_size(checked_pixel_size(last["pixel_size_nm"]))
                self._set_origin(LAST)
        except (InputError, LookupError, TypeError):
            pass  # the camera is gone, or somebody edited the file: start as in the first session


def last_used_file() -> Path:
    """Return the file that records the last camera used."""
    return user_root() / "last-camera.yaml"


def _button(text: str, tooltip: str, clicked: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.clicked.connect(clicked)
    return button
