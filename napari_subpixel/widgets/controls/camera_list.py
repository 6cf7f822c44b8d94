"""The cameras that can be chosen by name: presets, and camera files that were opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_subpixel.camera import Camera
from napari_subpixel.cameras import presets


class CameraList:
    """Cameras by name, the presets first, once `refresh` was called.

    A file that was opened hides a preset of the same name.
    """

    def __init__(self) -> None:
        self._presets: dict[str, Camera] = {}
        self._files: dict[str, tuple[Path, Camera]] = {}

    def refresh(self) -> None:
        """Read the presets again: one may have been saved meanwhile."""
        self._presets = presets.all_presets()

    @property
    def names(self) -> list[str]:
        """The names, each once."""
        return list(dict.fromkeys([*self._presets, *self._files]))

    def camera(self, name: str) -> Camera | None:
        """Return the camera of this name, or None if there is none."""
        return self._files[name][1] if name in self._files else self._presets.get(name)

    def file(self, name: str) -> Path | None:
        """Return the file that the camera of this name was opened from; None for a preset."""
        return self._files[name][0] if name in self._files else None

    def is_preset(self, name: str) -> bool:
        """Say whether there is a preset of this name."""
        return name in self._presets

    def open_file(self, path: str | Path) -> Camera:
        """Read a camera file and list its camera, which is named after the file if it has no name.

        Raises
        ------
        InputError
            If the file holds no camera.
        """
        path = Path(path).absolute()
        camera = Camera.from_yaml(path)
        camera = replace(camera, name=camera.name or path.stem)
        self._files[camera.name] = path, camera
        return camera

    def save(self, camera: Camera) -> None:
        """Save a camera as a preset, in place of a file of the same name.

        Raises
        ------
        InputError
            If its name cannot be that of a preset, or the preset cannot be written.
        """
        presets.save_preset(camera)
        self._files.pop(camera.name, None)


def ask_camera_file(parent: QWidget) -> str:
    """Ask for a camera file; return its path, empty if the dialog was cancelled."""
    path, _ = QFileDialog.getOpenFileName(parent, "Camera file", "", "Camera files (*.yaml *.yml);;All files (*)")
    return path
