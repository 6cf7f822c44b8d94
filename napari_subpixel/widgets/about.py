"""The widget *About*: how a result was made, from its provenance; also of a table that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QPushButton

from napari_subpixel._util.words import settings_in_words
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.table import ReadOnlyTable
from napari_subpixel.widgets.controls.words import Colour, Words
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.results import is_table

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

#: Shown where a table says nothing of how it was made.
UNKNOWN = "This table does not say how it was made."
#: What a table knows besides how it was made.
FACTS = ("pixel_size_nm", "frame_shape", "n_frames")
#: Rows of the table that are shown without scrolling.
ROWS_IN_VIEW = 24


class AboutResult(Panel):
    """Shows how the localizations of a layer were made: program, model, camera, settings, warnings, steps since.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._links = self.new_links()
        self.points = self.layer_choice("Localizations", is_table, tooltip="The points layer to describe")
        self.summary, self.warnings = Words(), Words(colour=Colour.WARNING)
        self.table = ReadOnlyTable(rows_in_view=ROWS_IN_VIEW)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy all rows, separated by tabs, as a spreadsheet takes them")
        self.copy_button.clicked.connect(self.copy)
        self.add_form(self.points)
        for widget in (self.summary, self.warnings, self.table, self.copy_button):
            self.column.addWidget(widget)
        self.points.changed.connect(self.update_rows)
        self.update_rows()

    def update_rows(self, _: object = None) -> None:
        """Describe the chosen layer as it is now."""
        layer: Points | None = self.points.value
        self._links.clear()
        rows: list[tuple[str, str]] = []
        warnings: tuple[str, ...] = ()
        summary = "Open a table, or detect molecules."
        if layer is not None:
            notes = notes_of(layer)
            for event in (layer.events.data, notes.threshold_changed, notes.filter_changed):
                self._links.connect(event, self.update_rows)
            provenance: dict[str, Any] = dict(notes.about.get("provenance") or {})
            warnings = tuple(provenance.pop("warnings", None) or ())
            summary = f"{int(layer.shown.sum()):,} of {len(layer.data):,} rows are shown."
            if not provenance:
                summary += f" {UNKNOWN}"
            shown: dict[str, Any] = {"threshold now": notes.threshold} if notes.threshold is not None else {}
            if notes.keep is not None:
                shown["filter now"] = notes.keep.text
            known = {name: notes.about[name] for name in FACTS if notes.about.get(name) is not None}
            rows = list(settings_in_words({**shown, **known, **provenance}).items())
        self.summary.setText(summary)
        self.warnings.setText("\n".join(warnings))
        self.warnings.setVisible(bool(warnings))
        self.table.show_rows(("", "Value"), rows, stretch=1)
        self.table.setVisible(bool(rows))
        self.copy_button.setVisible(bool(rows))

    def copy(self) -> None:
        """Copy the rows, separated by tabs."""
        QApplication.clipboard().setText(self.table.text())
