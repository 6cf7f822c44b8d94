"""The table of a batch: a row per movie, with its progress."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QResizeEvent
from qtpy.QtWidgets import QHeaderView, QSizePolicy

from napari_subpixel.runs.batch import MovieProgress, Outcome
from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.controls.table import ReadOnlyTable
from napari_subpixel.widgets.controls.words import Colour, background_now

#: Headings of the columns.
HEADINGS = ("Movie", "State", "Frames", "Localizations", "Time [s]", "Frames/s", "Remarks")
#: Number of the column of the state.
STATE_COLUMN = HEADINGS.index("State")
#: Number of the first column of numbers.
FRAMES_COLUMN = HEADINGS.index("Frames")
#: Number of the column of remarks, the last.
REMARKS_COLUMN = HEADINGS.index("Remarks")
#: The longest text while a movie is processed, by column, so that no column changes its width meanwhile.
WIDEST = {"State": "working 100 %", "Frames": "100,000", "Localizations": "10,000,000", "Time [s]": "1,000.0"}
#: Names longer than this, in screen pixels, are elided in the middle: names of movies differ at their ends.
NAME_WIDTH = 130
#: Width of a cell beyond its text, in screen pixels.
CELL_MARGIN = 12
#: At least this many rows are visible; more if there is room.
MIN_ROWS = 4


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
        """Show waiting movies in place of the previous ones.

        Parameters
        ----------
        names, tips, remarks : sequence of str
            One for each movie: its name, the tooltip of the name, and a remark.
        """
        rows = [[name, "waiting", "", "", "", "", remark] for name, remark in zip(names, remarks, strict=True)]
        self.show_rows(HEADINGS, rows, stretch=REMARKS_COLUMN)
        for row, tip in enumerate(tips):
            self.cell(row, 0).setToolTip(tip)
        self._set_widths()

    def show_progress(self, row: int, progress: MovieProgress) -> None:
        """Show the progress of a movie."""
        share = progress.n_done / progress.n_frames if progress.n_frames else 0.0
        self._show(row, f"working {100 * share:.0f} %", frames=progress.n_frames)

    def show_outcome(self, row: int, outcome: Outcome) -> None:
        """Show the outcome of a movie."""
        remarks = (*filter(None, [outcome.own_settings]), *outcome.warnings)
        self._show(row, outcome.status, "; ".join(remarks), frames=outcome.n_frames or None)
        if outcome.n_frames:
            numbers = (f"{outcome.n_molecules:,}", f"{outcome.seconds:.1f}", _rate(outcome.frames_per_second))
            for column, text in enumerate(numbers, start=FRAMES_COLUMN + 1):
                self.set_cell(row, column, text)
        if outcome.error is not None:
            error = advised(outcome.error, "batch")
            self._show(row, "failed", error.removeprefix(f"{outcome.movie}: "), tip=error)

    def show_stopped(self, row: int, remark: str) -> None:
        """Show that a movie was stopped."""
        self._show(row, "stopped", remark)

    def show_waiting(self) -> None:
        """Show every movie as waiting, without numbers and remarks."""
        for row in range(self.rowCount()):
            self._show(row, "waiting")
            for column in range(FRAMES_COLUMN, REMARKS_COLUMN):
                self.set_cell(row, column, "")

    def scroll_to(self, row: int) -> None:
        """Bring a movie into view."""
        self.scrollToItem(self.cell(row, 0))

    def state_of(self, row: int) -> str:
        """Return the state that is shown for a movie."""
        return self.cell(row, STATE_COLUMN).text()

    def _show(self, row: int, state: str, remark: str = "", *, tip: str = "", frames: int | None = None) -> None:
        self.set_cell(row, STATE_COLUMN, state)
        self.set_cell(row, REMARKS_COLUMN, remark)
        for column in (STATE_COLUMN, REMARKS_COLUMN):
            # Plain text would make a tooltip of one line, however long.
            self.cell(row, column).setToolTip(f"<p>{html.escape(tip or remark)}</p>" if tip or remark else "")
        colour = QBrush(QColor(Colour.WARNING.on(background_now()))) if state == "failed" else QBrush()
        self.cell(row, STATE_COLUMN).setForeground(colour)
        if frames is not None:
            self.set_cell(row, FRAMES_COLUMN, f"{frames:,}")
        self._fit_remarks(remark)

    # -- its size -----------------------------------------------------------------------------------------------------

    def _set_widths(self) -> None:
        """Make every column as wide as the longest text it will hold; the user can resize it."""
        header = self.horizontalHeader()
        for column, name in enumerate(HEADINGS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.resizeColumnToContents(column)
            longest = self.fontMetrics().horizontalAdvance(WIDEST.get(name, "")) + CELL_MARGIN
            self.setColumnWidth(column, max(self.columnWidth(column), longest))
        self.setColumnWidth(0, min(self.columnWidth(0), NAME_WIDTH))
        self._widest_remark = self.sizeHintForColumn(REMARKS_COLUMN)
        self._fit_remarks()

    def _fit_remarks(self, remark: str = "") -> None:
        """Make the last column as wide as the remarks, and at least as wide as the remaining room."""
        self._widest_remark = max(self._widest_remark, self.fontMetrics().horizontalAdvance(remark) + CELL_MARGIN)
        left = self.viewport().width() - sum(self.columnWidth(column) for column in range(REMARKS_COLUMN))
        self.setColumnWidth(REMARKS_COLUMN, max(left, self._widest_remark))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Fill the width."""
        super().resizeEvent(event)
        self._fit_remarks()

    def _fit_height(self) -> None:
        """Take the available room, but not more than the rows need."""
        bar = self.horizontalScrollBar().sizeHint().height()
        around = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + bar
        n_visible = min(self.rowCount(), MIN_ROWS)
        self.setMinimumHeight(around + sum(self.rowHeight(row) for row in range(n_visible)))
        self.setMaximumHeight(around + self.verticalHeader().length())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the minimum height only, so that rows that can be scrolled do not cut off what is above."""
        return QSize(super().sizeHint().width(), self.minimumHeight())


def _rate(frames_per_second: float | None) -> str:
    return "" if frames_per_second is None else f"{frames_per_second:,.{0 if frames_per_second >= 10 else 1}f}"


def tip_of(movie: Path, table: Path) -> str:
    """Return the tooltip of a movie's name."""
    return f"<p>{html.escape(str(movie))}</p><p>becomes {html.escape(str(table))}</p>"
