"""One camera for many movies: a preset, a camera file, that of a movie that is open, or what the files say."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QComboBox

from napari_subpixel.camera import MAPS, Camera
from napari_subpixel.widgets.controls.camera_form import FIELDS
from napari_subpixel.widgets.controls.camera_list import CameraList, ask_camera_file
from napari_subpixel.widgets.controls.choices import OrderedChoice
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.number_box import NumberBox
from napari_subpixel.widgets.controls.panel import Panel, Row
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie

if TYPE_CHECKING:
    from napari.layers import Image

#: What can be chosen: the name of a camera, or the layer of a movie.
Choice: TypeAlias = "str | Image"
#: The choice of no camera: each movie's own metadata count.
AS_FILES_SAY = "as the files say"
#: The choice that asks for a camera file.
FROM_FILE = "from file ..."
TIP = (
    "The camera of all the movies: one of the list, that of an open movie, or a YAML file. "
    "The model 'paper' needs only its pixel size; models that count photons estimate a camera that is not given"
)
PIXEL_SIZE_TIP = (
    "Width of a camera pixel in the sample, for all the movies. At 0 the camera's is used, "
    "or, if it has none, that in the metadata of each file"
)


class CameraChoice(QObject):
    """Controls that choose a camera, for a panel to lay out.

    Parameters
    ----------
    panel : Panel
        The widget that they are part of; cameras of the movies in its viewer can be chosen too.

    Attributes
    ----------
    choice : OrderedChoice
        Its value is the name of a camera, or a layer.
    pixel_size : NumberBox
        Overrides the camera's own, unless it is 0.
    """

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._cameras = CameraList()
        self._before: Choice = AS_FILES_SAY
        self.pixel_size = NumberBox(replace(FIELDS["pixel_size_nm"], tooltip=PIXEL_SIZE_TIP))
        self.choice = OrderedChoice(label="Camera", choices=self._listing(), nullable=False, tooltip=TIP)
        # A long name in the list does not widen the dock.
        self.choice.native.setMinimumContentsLength(12)
        self.choice.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.changed.connect(self._chosen)
        panel.keep_listed(self.choice)
        self.refresh()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The controls as `Panel.add_form` takes them."""
        return self.choice, ("Pixel size [nm]", self.pixel_size)

    @property
    def camera(self) -> Camera:
        """The chosen camera, with the pixel size that is typed."""
        camera = self._camera()
        self.pixel_size.interpretText()  # includes a number that is still being typed
        typed = self.pixel_size.exact
        return replace(camera, pixel_size_nm=typed) if typed else camera

    @property
    def file(self) -> Path | None:
        """The camera file, if one is chosen."""
        chosen = self.choice.value
        return self._cameras.file(chosen) if isinstance(chosen, str) else None

    def refresh(self) -> None:
        """List the cameras again."""
        self._cameras.refresh()
        self._panel.reset_choices()
        self._describe()

    def open_file(self, path: str | Path) -> None:
        """Choose the camera of a YAML file.

        Raises
        ------
        InputError
            If the file holds no camera.
        """
        camera = self._cameras.open_file(path)
        self.choice.reset_choices()
        self.choice.value = camera.name
        self._describe()

    # -- what can be chosen -------------------------------------------------------------------------------------------

    def _listing(self) -> Callable[[object], list[tuple[str, Choice]]]:
        """Return a function that lists the choices without keeping this object alive."""
        reference = weakref.ref(self)

        def choices(_: object = None) -> list[tuple[str, Choice]]:
            owner = reference()
            if owner is None:
                return []
            movies = [layer for layer in reversed(owner._panel.viewer.layers) if is_movie(layer)]
            listed: list[tuple[str, Choice]] = [(AS_FILES_SAY, AS_FILES_SAY)]
            listed += [(f"of {layer.name}", layer) for layer in movies]
            listed += [(name, name) for name in owner._cameras.names]
            return [*listed, (FROM_FILE, FROM_FILE)]

        return choices

    def _camera(self) -> Camera:
        chosen = self.choice.value
        if isinstance(chosen, str):
            return self._cameras.camera(chosen) or Camera()
        return MovieLayer(chosen).camera

    def _chosen(self, _: object = None) -> None:
        if self.choice.value == FROM_FILE:
            path = ask_camera_file(self._panel)
            self.choice.value = self._before
            if path:
                with reported():
                    self.open_file(path)
            return
        self._before = self.choice.value
        self._describe()

    def _describe(self) -> None:
        """Show what applies where no pixel size is typed, and the camera's numbers in the tooltip."""
        with reported():
            camera = self._camera()
            size = camera.pixel_size_nm
            lengths = size if isinstance(size, tuple) else filter(None, (size,))
            own = " x ".join(f"{length:g}" for length in lengths)
            self.pixel_size.setSpecialValueText(f"{own}, the camera's" if own else "from the files")
            self.pixel_size.show_value(self.pixel_size.exact)
            self.choice.tooltip = f"{TIP}. {describe_camera(camera)}"


def describe_camera(camera: Camera) -> str:
    """Describe how a camera converts photons, on one line.

    Examples
    --------
    >>> describe_camera(Camera(baseline=100, electrons_per_adu=0.46, quantum_efficiency=0.8, read_noise_e=1.6))
    'Baseline 100 ADU, 0.46 electrons per ADU, quantum efficiency 0.8, EM gain 1, read noise 1.6 electrons'
    """
    mean = {name: float(np.mean(getattr(camera, name))) for name in MAPS}
    return (
        f"Baseline {mean['baseline']:g} ADU, {mean['electrons_per_adu']:.4g} electrons per ADU, quantum efficiency "
        f"{camera.quantum_efficiency:g}, EM gain {camera.em_gain:g}, read noise {mean['read_noise_e']:g} electrons"
    )
