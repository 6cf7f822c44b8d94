"""What to export of a rendering, and where to: asked in a dialog."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QMessageBox,
    QWidget,
)

from napari_subpixel.rendering.render import PIXEL_SIZE_NM
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.render_form import IN_VIEW, WHOLE_FIELD

#: Names of files with values.
VALUES = (".tif", ".tiff")
#: Names of pictures.
PICTURES = (".png",)
#: Endings of names, by the kind of file as the dialog names it.
KINDS = {
    "PNG: picture with scale bar and bar of colours (*.png)": PICTURES,
    "OME-TIFF: molecules per pixel (*.tif *.tiff)": VALUES,
}


class ExportChoice(NamedTuple):
    """What was chosen.

    Attributes
    ----------
    path : Path
    pixel_size_nm : float
    whole : bool
        Whether to write the whole field.
    """

    path: Path
    pixel_size_nm: float
    whole: bool


class ExportDialog(QDialog):
    """Asks for the part of the frames and for the pixels.

    Parameters
    ----------
    parent : QWidget
    screen_pixel_nm : float, optional
        Width of a pixel of the screen; None where nothing is drawn of what is in view.
    """

    def __init__(self, parent: QWidget, screen_pixel_nm: float | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export picture")
        self._screen_pixel_nm = screen_pixel_nm
        self.part = QComboBox()
        self.part.addItems([WHOLE_FIELD] if screen_pixel_nm is None else [IN_VIEW, WHOLE_FIELD])
        self.part.setToolTip("what is in view: the camera pixels in view, in part or whole")
        self.pixel_size_nm = QDoubleSpinBox()
        self.pixel_size_nm.setRange(0.01, 10_000.0)
        self.pixel_size_nm.setSuffix(" nm")
        self.pixel_size_nm.setToolTip("Width of a pixel of the picture")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow("Part", self.part)
        form.addRow("Pixel size", self.pixel_size_nm)
        form.addRow(buttons)
        self.part.currentTextChanged.connect(self._part_changed)
        self._part_changed()

    @property
    def whole(self) -> bool:
        """Whether the whole field is chosen."""
        return self.part.currentText() == WHOLE_FIELD

    def _part_changed(self, _: object = None) -> None:
        size = PIXEL_SIZE_NM if self.whole or self._screen_pixel_nm is None else self._screen_pixel_nm
        self.pixel_size_nm.setValue(size)


def ask_export(parent: QWidget, screen_pixel_nm: float | None, name: str) -> ExportChoice | None:
    """Ask what to export, and for the name of a file; None if it is not to be.

    Parameters
    ----------
    parent : QWidget
    screen_pixel_nm : float, optional
        As for `ExportDialog`.
    name : str
        Of the file, without its suffix.
    """
    dialog = ExportDialog(parent, screen_pixel_nm)
    if dialog.exec() != QDialog.DialogCode.Accepted:
        return None
    proposed = results_path(f"{name}.png")
    typed, kind = QFileDialog.getSaveFileName(parent, "Export picture", proposed, ";;".join(KINDS))
    if not typed:
        return None
    path = path_of_kind(typed, kind)
    if path != Path(typed) and path.exists() and not _replaces(parent, path):
        return None
    return ExportChoice(path, dialog.pixel_size_nm.value(), dialog.whole)


def _replaces(parent: QWidget, path: Path) -> bool:
    """Ask whether to replace a file: the file dialog asked only about the name as it was typed."""
    question = f"{path.name} exists already. Replace it?"
    return QMessageBox.question(parent, "Export picture", question) == QMessageBox.StandardButton.Yes


def path_of_kind(path: str, kind: str) -> Path:
    """Return the path from a dialog with an ending of the chosen kind; one of values is kept whatever the kind.

    Parameters
    ----------
    path : str
    kind : str
        One of `KINDS`.
    """
    chosen, endings = Path(path), KINDS.get(kind, PICTURES)
    if chosen.suffix.lower() in (*endings, *VALUES):
        return chosen
    stem = chosen.stem if chosen.suffix.lower() in PICTURES else chosen.name
    return chosen.with_name(stem + endings[0])
