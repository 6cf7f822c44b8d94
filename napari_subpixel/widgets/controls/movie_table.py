"""The table of a batch: a row for every movie, and how far it is."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QResizeEvent
from qtpy.QtWidgets import QHeaderView, QSizePolicy

from napari_subpixel.runs.batch import Outcome, Progress
from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.controls.table import ReadOnlyTable

COLUMNS = ("Movie", "State", "Frames", "Localizations", "Time [s]", "Frames/s", "Remarks")
STATE, FRAMES, REMARKS = (COLUMNS.index(name) for name in ("State", "Frames", "Remarks"))
#: The longest that is written while a movie is at work, by column: no column changes its width meanwhile.
WIDEST = {"State": "working 100 %", "Frames": "100,000", "Localizations": "10,000,000", "Time [s]": "1,000.0"}
#: Names are cut in their middle where they are longer than this, in pixels: what tells movies apart is at their ends.
NAME_PX = 130
#: Room beside the text of a cell, in pixels.
MARGIN = 12
FAILED = "#E69F00"
#: As many rows are always to be seen; more where there is room.
LEAST_ROWS = 4


class MovieTable(ReadOnlyTable):
    """Rows of movies with their state, numbers and remarks.

    Attributes
    ----------
    opened : Signal(int)
        A row was double-clicked.
    """

    opened = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._widest_remark = 0
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionBehavior(self.SelectionBehavior.SelectRows)
        self.cellDoubleClicked.connect(lambda row, _: self.opened.emit(row))

    def show_movies(self, names: Sequence[str], tips: Sequence[str], remarks: Sequence[str]) -> None:
        """Show movies that wait, in the place of others."""
        rows = [[name, "waiting", "", "", "", "", remark] for name, remark in zip(names, remarks, strict=True)]
        self.show_rows(COLUMNS, rows, stretch=REMARKS)
        for row, tip in enumerate(tips):
            self.cell(row, 0).setToolTip(tip)
        self._set_widths()

    def show_progress(self, row: int, progress: Progress) -> None:
        """Show how far a movie is."""
        share = progress.n_done / progress.n_frames if progress.n_frames else 0.0
        self._show(row, f"working {100 * share:.0f} %", frames=progress.n_frames)

    def show_outcome(self, row: int, outcome: Outcome) -> None:
        """Show what became of a movie."""
        remarks = (*filter(None, [outcome.own_settings]), *outcome.warnings)
        self._show(row, outcome.status, "; ".join(remarks), frames=outcome.n_frames or None)
        if outcome.n_frames:
            numbers = (f"{outcome.n_molecules:,}", f"{outcome.seconds:.1f}", _rate(outcome.frames_per_second))
            for column, text in enumerate(numbers, start=FRAMES + 1):
                self.set_cell(row, column, text)
        if outcome.error is not None:
            error = advised(outcome.error, "batch")
            self._show(row, "failed", error.removeprefix(f"{outcome.movie}: "), tip=error)

    def show_stopped(self, row: int, remark: str) -> None:
        """Show that a movie was stopped."""
        self._show(row, "stopped", remark)

    def show_waiting(self) -> None:
        """Let every movie wait, with no numbers and no remarks."""
        for row in range(self.rowCount()):
            self._show(row, "waiting")
            for column in range(FRAMES, REMARKS):
                self.set_cell(row, column, "")

    def scroll_to(self, row: int) -> None:
        """Bring a movie into view."""
        self.scrollToItem(self.cell(row, 0))

    def state_of(self, row: int) -> str:
        """Return the state of a movie as it is shown."""
        return self.cell(row, STATE).text()

    def _show(self, row: int, state: str, remark: str = "", *, tip: str = "", frames: int | None = None) -> None:
        self.set_cell(row, STATE, state)
        self.set_cell(row, REMARKS, remark)
        for column in (STATE, REMARKS):
            # A tooltip of plain text would be one line, however long.
            self.cell(row, column).setToolTip(f"<p>{html.escape(tip or remark)}</p>" if tip or remark else "")
        colour = QBrush(QColor(FAILED)) if state == "failed" else QBrush()
        self.cell(row, STATE).setForeground(colour)
        if frames is not None:
            self.set_cell(row, FRAMES, f"{frames:,}")
        self._fit_remarks(remark)

    # -- its size -----------------------------------------------------------------------------------------------------

    def _set_widths(self) -> None:
        """Give every column the width of the longest that it will hold, to be changed by hand."""
        header = self.horizontalHeader()
        for column, name in enumerate(COLUMNS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.resizeColumnToContents(column)
            longest = self.fontMetrics().horizontalAdvance(WIDEST.get(name, "")) + MARGIN
            self.setColumnWidth(column, max(self.columnWidth(column), longest))
        self.setColumnWidth(0, min(self.columnWidth(0), NAME_PX))
        self._widest_remark = self.sizeHintForColumn(REMARKS)
        self._fit_remarks()

    def _fit_remarks(self, remark: str = "") -> None:
        """Let the last column be as wide as the remarks, and no narrower than what is left to the right."""
        self._widest_remark = max(self._widest_remark, self.fontMetrics().horizontalAdvance(remark) + MARGIN)
        left = self.viewport().width() - sum(self.columnWidth(column) for column in range(REMARKS))
        self.setColumnWidth(REMARKS, max(left, self._widest_remark))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Fill the width."""
        super().resizeEvent(event)
        self._fit_remarks()

    def _fit_height(self) -> None:
        """Take the room that there is, but none that stays empty."""
        bar = self.horizontalScrollBar().sizeHint().height()
        around = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + bar
        n_least = min(self.rowCount(), LEAST_ROWS)
        self.setMinimumHeight(around + sum(self.rowHeight(row) for row in range(n_least)))
        self.setMaximumHeight(around + self.verticalHeader().length())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for no more than the least, so that nothing above is cut for the sake of rows that can be scrolled."""
        return QSize(super().sizeHint().width(), self.minimumHeight())


def _rate(frames_per_second: float | None) -> str:
    return "" if frames_per_second is None else f"{frames_per_second:,.{0 if frames_per_second >= 10 else 1}f}"


def tip_of(movie: Path, table: Path) -> str:
    """Return what is said of a movie when the mouse rests on its name."""
    return f"<p>{html.escape(str(movie))}</p><p>becomes {html.escape(str(table))}</p>"
