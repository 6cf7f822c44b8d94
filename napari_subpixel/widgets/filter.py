"""The widget *Filter*: ranges of the columns of a table, acting at once on its points and on what is made from them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout

from napari_subpixel.analysis.bounds import Bounds, bounds_in, with_bounds
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.masks import RowMasks
from napari_subpixel.analysis.quantities import UNKNOWN, names_in, source_of
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.filtering import Counted, FilterRequest, count
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.table_files import TABLE_FILTER, write_table
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.panel import Panel, elide
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.range_row import RangeRow
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.saving import ask_and_save
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.files import table_file
from napari_subpixel.widgets.layers.filtering import (
    CHANGES,
    about_to_change,
    n_above_threshold,
    set_filter,
    table_to_filter,
)
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.results import ground_of, is_result, is_table, nothing_to, snapshot

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points
    from napari.utils.events import Event

#: Quantities whose ranges are shown from the start, where a table has them; they are first in the list, too.
FIRST = ("photons", "uncertainty", "probability", "sigma", "frame")
#: An expression is applied once it was not typed at for this long, in milliseconds.
REST_MS = 300
#: Histograms are counted again once the points did not change for this long, in milliseconds.
COUNT_MS = 300
#: Shown where the viewer has no table.
NO_TABLE = "Open a table of localizations, or detect molecules first."
#: The choice that adds none.
ADD = "add a column ..."


class FilterMolecules(Panel):
    """Hides the localizations of any table that are out of range; they are kept, and come back.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    points : magicgui.widgets.ComboBox
        The points layer that is filtered.
    text : QLineEdit
        The filter as an expression, in the grammar of the command `filter`.
    rows : dict of str to RangeRow
        The ranges that are shown, by the name of the quantity.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.rows: dict[str, RangeRow] = {}
        self._keep: Filter | None = None
        self._masks: RowMasks | None = None
        self._counting: Work | None = None
        self._above: tuple[object, int] | None = None
        self._links = self.new_links()
        self._rest = self.rest_timer(REST_MS, self._text_rests)
        self._settle = self.rest_timer(COUNT_MS, self._count_again)
        self._build_form()
        self._build_actions()
        self._points_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_form(self) -> None:
        self.points = self.layer_choice(
            "Localizations", is_table, prefers=is_result, tooltip="The points layer to filter, whatever it comes from"
        )
        self.text = QLineEdit(placeholderText="uncertainty < 20 & photons > 500")
        self.text.setToolTip(
            "What is kept: comparisons of columns and numbers, joined by & and |, as the command line takes them. "
            "Lengths are in nm"
        )
        self.text.textEdited.connect(self._rest.start)
        self.text.editingFinished.connect(self._text_finished)
        self.add_form(self.points, ("Keep", self.text))
        self.points.changed.connect(self._points_changed)
        self.refusal = Refusal()
        self.count = Words()
        self._ranges = QVBoxLayout()
        self.add = QComboBox()
        self.add.setToolTip("Show the range of another column")
        elide(self.add)
        self.add.activated.connect(self._add_chosen)
        for widget in (self.refusal, self.count):
            self.column.addWidget(widget)
        self.column.addLayout(self._ranges)
        self.column.addWidget(self.add)

    def _build_actions(self) -> None:
        self.reset_button = QPushButton("Reset")
        self.reset_button.setToolTip("Show all points above the threshold again")
        self.reset_button.clicked.connect(self.reset)
        self.save_button = QPushButton("Save table...")
        self.save_button.setToolTip("Write the points that are shown, with the filter in their provenance")
        self.save_button.clicked.connect(self.ask_and_save)
        row = QHBoxLayout()
        row.addWidget(self.reset_button)
        row.addWidget(self.save_button)
        self.column.addLayout(row)
        self.progress = ProgressRow()
        self.latest: LatestWork[FilterRequest] = LatestWork(self, self.progress)
        self.latest.returned.connect(self._deliver)
        self.status = Words()
        self.command_row = CommandLineRow(self.command_line)
        for widget in (self.command_row, self.progress, self.status):
            self.column.addWidget(widget)

    # -- the table ----------------------------------------------------------------------------------------------------

    @property
    def keep(self) -> Filter | None:
        """The filter that the panel shows; that of the layer follows as soon as it is evaluated."""
        return self._keep

    def reset_choices(self, *_: object) -> None:
        """List the layers again; say where none of them is a table."""
        super().reset_choices()
        if hasattr(self, "status"):
            self._say_count()

    def _points_changed(self, _: object = None) -> None:
        """Show another table, or the same one with other columns."""
        self._above = None
        self.latest.cancel()
        self._stop_counting()
        self._links.clear()
        self.refusal.clear()
        self.status.setText("")
        layer, self._masks = self.points.value, None
        if layer is not None:
            with self.refusal.shown(lambda _: None):
                self._masks = RowMasks(table_to_filter(layer))
            notes = notes_of(layer)
            self._links.connect(notes.filter_changed, self._filter_set)
            self._links.connect(notes.threshold_changed, self._say_count)
            for name in CHANGES:
                self._links.connect(getattr(layer.events, name), self._data_changed)
        for part in (self.text, self.add, self.reset_button, self.save_button):
            part.setEnabled(self._masks is not None)
        self._keep = notes_of(layer).keep if layer is not None and self._masks is not None else None
        self._list_rows()
        self._show_filter()

    def _data_changed(self, event: Event) -> None:
        """Go on with the present points of the same layer; what is being typed, dragged or computed is kept."""
        layer = self.points.value
        if layer is None or event.source is not layer or about_to_change(event):
            return
        before = None if self._table is None else _columns_in(self._table)
        with suppress(InputError):
            table = table_to_filter(layer)
            if _columns_in(table) == before:
                self._masks, self._above = RowMasks(table), None
                if self.latest.request is not None:  # its rows are those of before
                    self.latest.cancel()
                    if self._keep is not None:
                        self.latest.ask(FilterRequest(layer, self._masks, self._keep))
                self._say_count()
                self._settle.start()
                return
        self._points_changed()

    @property
    def _table(self) -> Localizations | None:
        return None if self._masks is None else self._masks.table

    # -- the ranges ---------------------------------------------------------------------------------------------------

    def _list_rows(self) -> None:
        """Show the ranges of the first columns and of those in the filter, and offer the others."""
        before = list(self.rows)
        for name in before:
            self._drop_row(name)
        table = self._table
        if table is not None:
            there = names_in(table)
            self._add_rows(list(dict.fromkeys(name for name in (*FIRST, *before) if name in there)))
        self._list_columns()

    def _list_columns(self) -> None:
        table = self._table
        there = () if table is None else names_in(table)
        names = sorted(there, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
        names = [name for name in names if name not in self.rows]
        self.add.clear()
        self.add.addItems([ADD, *names])
        self.add.setVisible(bool(names))

    def _add_rows(self, names: list[str]) -> None:
        table = self._table
        assert table is not None
        for name in names:
            unit = source_of(table, name).unit
            self.rows[name] = row = RangeRow(name, "" if unit in (UNKNOWN, "frame", "photon") else unit)
            row.changed.connect(self._range_changed)
            row.closed.connect(self._close_row)
            self._ranges.addWidget(row)
        self._count(names)

    def _drop_row(self, name: str) -> None:
        row = self.rows.pop(name)
        self._ranges.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _add_chosen(self, number: int) -> None:
        if number > 0:
            self.add_column(self.add.itemText(number))

    def add_column(self, name: str) -> None:
        """Show the range of a column."""
        if name not in self.rows:
            self._add_rows([name])
            self._list_columns()
            self._show_ranges()

    def _close_row(self, name: str) -> None:
        self._drop_row(name)
        self._list_columns()
        self._range_changed(name, (None, None))

    # -- histograms ---------------------------------------------------------------------------------------------------

    def _count(self, names: list[str]) -> None:
        """Count the values of these columns, after those that are being counted."""
        if self._masks is None or not names:
            return
        if self._counting is not None:
            names = [name for name, row in self.rows.items() if row.bar.histogram is None]
            self._stop_counting()
        work = Work(count, self._masks, names)
        work.yielded.connect(self._counted)
        self._counting = work
        self.begin(work)

    def _count_again(self) -> None:
        self._stop_counting()
        self._count(list(self.rows))

    def _stop_counting(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None

    def _counted(self, counted: Counted) -> None:
        if counted.masks is self._masks and counted.name in self.rows:
            self.rows[counted.name].show_histogram(counted.histogram)

    # -- the filter ---------------------------------------------------------------------------------------------------

    def _range_changed(self, name: str, bounds: Bounds) -> None:
        table = self._table
        if table is not None:
            self._choose(with_bounds(self._keep, name, bounds, table))

    def _text_rests(self) -> None:
        """Apply what is being typed, if it can be read."""
        self._take_text(finished=False)

    def _text_finished(self) -> None:
        self._rest.stop()
        self._take_text(finished=True)

    def _take_text(self, *, finished: bool) -> None:
        table, text = self._table, self.text.text().strip()
        if table is None:
            return
        try:
            keep = Filter.of(text) if text else None
            if keep is not None:
                keep.check(table)
        except InputError as error:
            if finished:
                self.refusal.say(reason_first(error))
            return
        self._choose(keep, show_text=finished)

    def reset(self) -> None:
        """Keep all points."""
        self._choose(None)

    def _choose(self, keep: Filter | None, *, show_text: bool = True) -> None:
        """Show a filter in text and handles, and apply it."""
        layer, masks = self.points.value, self._masks
        self.refusal.clear()
        changed = (keep and keep.text) != (self._keep and self._keep.text)
        self._keep = keep
        # First, so that it is evaluated while text and handles are drawn.
        if keep is not None and layer is not None and masks is not None and changed:
            self.latest.ask(FilterRequest(layer, masks, keep))
        self._show_filter(show_text=show_text)
        if keep is None and layer is not None and masks is not None and changed:
            self.latest.cancel()
            set_filter(layer, None)

    def _deliver(self, request: FilterRequest, passing: NDArray[np.bool_]) -> None:
        if request.masks is self._masks:  # else the points are others by now
            set_filter(request.layer, request.keep, passing)

    def _filter_set(self) -> None:
        """Show a filter that was set elsewhere, and how many points pass."""
        keep = notes_of(self.points.value).keep
        if self.latest.request is None and (keep and keep.text) != (self._keep and self._keep.text):
            self._keep = keep
            self._show_filter()
        self._say_count()

    def _show_filter(self, *, show_text: bool = True) -> None:
        if show_text:
            self.text.setText("" if self._keep is None else self._keep.text)
            self.text.setCursorPosition(0)
        self._show_ranges()
        self._say_count()

    def _show_ranges(self) -> None:
        table = self._table
        if table is None:
            return
        bounds = {name: bounds_in(self._keep, name, table) for name in names_in(table)}
        missing = [name for name, ends in bounds.items() if name not in self.rows and any(ends)]
        if missing:
            self._add_rows(missing)
            self._list_columns()
        for name, row in self.rows.items():
            row.show_bounds(bounds[name])

    def _say_count(self, _: object = None) -> None:
        """Show how many points are kept."""
        layer = self.points.value
        if layer is None or self._masks is None:
            self.count.setText(NO_TABLE if layer is None else "")
            return
        n_kept, n = int(np.count_nonzero(layer.shown)), self._n_above(layer)
        share = f" ({n_kept / n:.1%})" if n else ""
        hidden = len(layer.data) - n
        below = f"; {hidden:,} more are below the threshold" if hidden else ""
        self.count.setText(f"{n_kept:,} of {n:,} localizations are kept{share}{below}.")

    def _n_above(self, layer: Points) -> int:
        """Return how many points the threshold alone shows, counted once for each threshold."""
        key = layer.unique_id, len(layer.data), notes_of(layer).threshold
        if self._above is None or self._above[0] != key:
            self._above = key, n_above_threshold(layer)
        return self._above[1]

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the points that are shown to it."""
        if self.points.value is not None:
            file = notes_of(self.points.value).file
            name = results_path(f"{self.points.value.name}.csv", None if file is None else file.path)
            ask_and_save(self, "Save table", name, TABLE_FILTER, self.save)

    def save(self, path: str | Path) -> None:
        """Write the points that are shown, in the format that the suffix names; the filter is in the provenance."""
        layer: Points | None = self.points.value
        if layer is None:
            return
        with reported():
            work = Work(write_table, snapshot(layer), Path(path))
            work.returned.connect(self._saved)
            self.begin(work)

    def command_line(self) -> CommandLine:
        """Return the call of the command `filter` that writes the points that are shown.

        Raises
        ------
        InputError
            If there are no points, or all are shown.
        """
        layer: Points | None = self.points.value
        if layer is None:
            raise nothing_to("filter")
        file = table_file(layer, ground_of(layer, self.viewer.layers))
        if file.flags["keep"] is None:
            raise InputError(f"{layer.name}: nothing to filter by: give a range or an expression")
        return CommandLine("filter", (file,), {"output": file.output("filtered")})

    def _saved(self, path: Path) -> None:
        self.status.setText(f"Saved {path.name}.")

    def dock_closed(self) -> None:
        """Stop counting and filtering; the filter of the layer stays."""
        super().dock_closed()
        self.latest.cancel()


def _columns_in(table: Localizations) -> dict[str, str]:
    """Return the unit of every quantity of a table."""
    return {name: source_of(table, name).unit for name in names_in(table)}
