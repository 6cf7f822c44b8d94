"""What a run takes the microscope for, as a table, and a button that gives the camera of the table to the movie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_subpixel.coordinates import mean_pixel_size
from napari_subpixel.widgets.controls.table import ReadOnlyTable

if TYPE_CHECKING:
    from napari_subpixel.camera import Camera
    from napari_subpixel.detection.job import DetectionJob

#: Source of a number that the user gave.
GIVEN = "given"
#: Source of a number that was estimated.
FROM_MOVIE = "the movie"
#: Source of a number that differs from what was given.
MISFIT = "the movie looks like"
#: Headings of the table.
COLUMNS = ("", "Value", "From")


class _Row(NamedTuple):
    name: str
    value: str
    source: str


class MicroscopeTable(QWidget):
    """Baseline, gain, PSF and brightness of a run, each with where it comes from; hidden until there are any.

    Attributes
    ----------
    table : ReadOnlyTable
    use_button : QPushButton
        Shown where the movie says another camera than it has.
    camera_chosen : Signal(object)
        The `Camera` of the table, when the button is clicked.
    """

    camera_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._camera: Camera | None = None
        self.table = ReadOnlyTable()
        self.use_button = QPushButton("Use this camera")
        self.use_button.setToolTip(
            "Give these numbers to the movie: its runs and previews then agree, and nothing is estimated again"
        )
        self.use_button.clicked.connect(self._clicked)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.table)
        rows.addWidget(self.use_button)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._camera = None
        self.hide()

    def show_job(self, job: DetectionJob, given: Camera) -> None:
        """Show what a run takes the microscope for.

        Parameters
        ----------
        job : DetectionJob
        given : Camera
            That of the movie when the run began.
        """
        if not job.detector.measures:
            self.clear()
            return
        from napari_subpixel.detection.options import DetectionOptions

        estimated = DetectionOptions(given).estimated
        self._camera = job.suggested_camera
        if estimated and not job.camera_is_assumed:
            self._camera = job.camera
        rows = [*_camera_rows(job.camera, dict.fromkeys(estimated, FROM_MOVIE), GIVEN), *_spot_rows(job)]
        if job.suggested_camera is not None:
            rows += _camera_rows(job.suggested_camera, {}, MISFIT)
        self.table.show_rows(COLUMNS, rows)
        for number, row in enumerate(rows):
            self.table.cell(number, 1).setToolTip(_tip(row, job))
        self.use_button.setVisible(self._camera is not None)
        self.show()

    def _clicked(self) -> None:
        if self._camera is not None:
            self.camera_chosen.emit(replace(self._camera, name=""))
            self.use_button.hide()


def _camera_rows(camera: Camera, sources: Mapping[str, str], else_from: str) -> list[_Row]:
    """Return the numbers of a camera that decide on photons."""
    rows = [
        _Row("Baseline", f"{np.mean(camera.baseline):.4g} ADU", sources.get("baseline", else_from)),
        _Row("Gain", f"{np.mean(camera.electrons_per_adu):.3g} e/ADU", sources.get("electrons_per_adu", else_from)),
    ]
    if camera.em_gain > 1:
        rows.append(_Row("EM gain", f"{camera.em_gain:g}", else_from))
    return rows


def _spot_rows(job: DetectionJob) -> list[_Row]:
    """Return the width and the brightness of molecules, as far as they are known."""
    rows = []
    if job.sigma_px is not None:
        size = job.pixel_size_nm
        in_nm = f" = {job.sigma_px * mean_pixel_size(size):.0f} nm" if size is not None else ""
        rows.append(_Row("PSF sigma", f"{job.sigma_px:.2f} px{in_nm}", FROM_MOVIE))
    if job.molecule_photons:
        rows.append(_Row("Molecule", f"{job.molecule_photons:,.0f} photons", FROM_MOVIE))
    return rows


def _tip(row: _Row, job: DetectionJob) -> str:
    """Return what the run says of a row in full."""
    words = {"Baseline": "camera", "Gain": "camera", "PSF sigma": "PSF", "Molecule": "molecule"}.get(row.name, "")
    return "; ".join(line for line in job.assumed if words and words in line) if row.source == FROM_MOVIE else ""
