"""The form of *Batch*: which movies, what to write, and how to detect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_subpixel import formats
from napari_subpixel.widgets.background.batch import Places
from napari_subpixel.widgets.controls.advice import REFUSE, REPLACE, SKIP
from napari_subpixel.widgets.controls.camera_choice import CameraChoice
from napari_subpixel.widgets.controls.folders import folder_edit, typed_in
from napari_subpixel.widgets.controls.model_form import ModelForm
from napari_subpixel.widgets.controls.panel import Panel

if TYPE_CHECKING:
    from napari import Viewer

#: Folder of the tables, in that of the movies, unless another is given.
TABLES_FOLDER = "localizations"


class BatchForm(Panel):
    """A panel that begins with the choices of a batch.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._build_form()

    def _build_form(self) -> None:
        self.folder = folder_edit("Movies", "The folder of the movies")
        self.pattern = QLineEdit("*")
        self.pattern.setToolTip(
            "Names of the movies: * for all of them, cell*.tif, or **/*.tif to include folders inside the folder"
        )
        self.find_button = QPushButton("Find movies")
        self.find_button.setToolTip("Search again for movies, and for those that have a table")
        self.output = folder_edit("Tables", "The folder of the tables; created if it does not exist")
        titles = [(f"{format_.title} ({format_.suffixes[0]})", name) for name, format_ in formats.FORMATS.items()]
        self.format = ComboBox(label="Format", choices=titles, tooltip="Of the tables, each named after its movie")
        self.existing = ComboBox(
            label="If tables exist",
            choices=[REFUSE, SKIP, REPLACE],
            tooltip=f"{SKIP!r} resumes a batch that was stopped, even in the middle of a movie; "
            f"a table that exists is kept, whatever model and threshold made it",
        )
        self.camera = CameraChoice(self)
        self.form = ModelForm(self, threshold_tip="Minimum probability of the molecules that are written to the table")
        names = QWidget()
        row = QHBoxLayout(names)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.pattern, stretch=1)
        row.addWidget(self.find_button)
        rows = (self.folder, ("Names", names), self.output, self.format, self.existing)
        self._inputs = self.add_form(*rows, *self.camera.rows, *self.form.rows)

    @property
    def places(self) -> Places:
        """Where the movies are, and where the tables go."""
        folder = Path(typed_in(self.folder)).expanduser()
        output = Path(typed_in(self.output)).expanduser() if typed_in(self.output) else folder / TABLES_FOLDER
        return Places(folder, self.pattern.text().strip(), output, self.format.value)
