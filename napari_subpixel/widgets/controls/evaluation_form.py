"""The form of *Evaluate*: what is scored, against what, and how."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FileEdit, FloatSpinBox, LineEdit
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSpinBox

from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.matching import PAIRINGS
from napari_subpixel.widgets.controls.panel import NARROW, Panel
from napari_subpixel.widgets.controls.scores import parsed_tolerances
from napari_subpixel.widgets.layers.results import is_result, is_table, is_truth

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

#: The choice of no layer.
FROM_FILE = "from a file"
#: Filter of the dialog for files.
TABLE_FILTER = "Tables (*.csv *.hdf5 *.h5 *.parquet)"
#: Largest frame number that can be typed.
MAX_FRAME = 99_999_999


class EvaluationForm(Panel):
    """A panel that begins with the choices of an evaluation.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._build_form()

    def _build_form(self) -> None:
        self.result = self.layer_choice(
            "Result", is_table, prefers=is_result, tooltip="The points layer to score; hidden points are left out"
        )
        self.truth = self.layer_choice(
            "Truth",
            is_table,
            prefers=self._prefers_as_truth(),
            none=FROM_FILE,
            tooltip="The points layer of the true molecules, or a file",
        )
        self.truth_file = FileEdit(
            label="Truth file",
            filter=TABLE_FILTER,
            tooltip="A table in any supported format: ThunderSTORM, SMLM challenge, SMAP, Picasso, DECODE, ...",
        )
        frames = self._build_settings()
        self._form = self.add_form(
            self.result,
            self.truth,
            self.truth_file,
            self.tolerances,
            self.pairing,
            self.border_nm,
            ("Frames", frames),
            self.remove_offset,
            self.follow,
        )
        self.truth.changed.connect(self._truth_changed)
        self.result.changed.connect(self.reset_choices)

    def _build_settings(self) -> QHBoxLayout:
        """Make the controls of how to score, and return the row of the frames."""
        self.tolerances = LineEdit(
            label="Tolerances [nm]",
            value="25, 50",
            tooltip="Largest distance of a localization from its molecule; several, separated by commas, give several "
            "columns. The SMLM challenge uses 250",
        )
        self.pairing = ComboBox(
            label="Pairing",
            choices=PAIRINGS,
            tooltip="optimal: the most pairs, then the least total distance; greedy: all pairs within the tolerance, "
            "shortest first, as in the SMLM challenge",
        )
        self.border_nm = FloatSpinBox(
            label="Border [nm]",
            min=0.0,
            max=1e6,
            step=50.0,
            tooltip="Leave out what is closer to the edge of the frames; 0 counts all, the SMLM challenge uses 450",
        )
        self.border_nm.native.setDecimals(1)
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip(
            "First frame that counts, from 0 as on the viewer's slider; 0 starts at the first that was detected"
        )
        self.last.setToolTip("Last frame that counts; 'last' is the last that was detected")
        self.last.setSpecialValueText("last")
        self.first.setRange(0, MAX_FRAME)
        self.last.setRange(-1, MAX_FRAME)
        self.last.setValue(-1)
        for box in (self.first, self.last):
            box.setStyleSheet(NARROW)
        frames = QHBoxLayout()
        frames.addWidget(self.first, stretch=1)
        frames.addWidget(QLabel("to"))
        frames.addWidget(self.last, stretch=1)
        self.remove_offset = CheckBox(
            text="Remove constant offset",
            tooltip="First subtract the mean shift between result and truth, as between two programs that place the "
            "first pixel's centre differently",
        )
        self.follow = CheckBox(
            text="Follow the threshold", value=True, tooltip="Score again when the threshold of the result changes"
        )
        return frames

    def reset_choices(self, *_: object) -> None:
        """List the layers again; no layer is its own truth."""
        super().reset_choices()
        if self.truth.value is self.result.value:
            self.truth.value = None

    def _prefers_as_truth(self) -> Callable[[Layer], bool]:
        panel = weakref.ref(self)

        def prefers(layer: Layer) -> bool:
            owner = panel()
            return owner is not None and is_truth(layer) and layer is not owner.result.value

        return prefers

    def _truth_changed(self, _: object = None) -> None:
        self._form.setRowVisible(self.truth_file.native, self.truth.value is None)

    @property
    def settings(self) -> dict[str, Any]:
        """How to score: keyword arguments of `napari_subpixel.evaluation.evaluate.evaluate`.

        Raises
        ------
        InputError
            If the first frame comes after the last, or a tolerance is not a number.
        """
        first, last = self.first.value(), self.last.value()
        if 0 <= last < first:
            raise InputError(f"the first frame, {first}, comes after the last, {last}")
        whole = first == 0 and last < 0
        return {
            "tolerances_nm": parsed_tolerances(self.tolerances.value),
            "pairing": self.pairing.value,
            "border_nm": self.border_nm.value,
            # An open end reaches as far as was detected.
            "frames": None if whole else (first or None, None if last < 0 else last + 1),
            "remove_offset": self.remove_offset.value,
        }

    def _truth_path(self) -> Path:
        if not self.truth_file.line_edit.value.strip():
            raise InputError("no truth to score against: choose a points layer or a file of the molecules")
        return Path(str(self.truth_file.value))
