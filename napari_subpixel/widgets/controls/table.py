"""A read-only table to copy from, no larger than it needs to be."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QKeySequence, QResizeEvent
from qtpy.QtWidgets import QApplication, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

#: A table with more rows than this scrolls.
ROWS_IN_VIEW = 12
#: Shown in place of a number that is not defined.
UNDEFINED = "-"


class ReadOnlyTable(QTableWidget):
    """Rows of text, numbers aligned right; Copy (Ctrl-C or the context menu) takes cells separated by tabs.

    Parameters
    ----------
    parent : QWidget, optional
    rows_in_view : int
        How many rows are shown without scrolling.
    """

    def __init__(self, parent: QWidget | None = None, *, rows_in_view: int = ROWS_IN_VIEW) -> None:
        super().__init__(parent)
        self._rows_in_view = rows_in_view
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        self.copy_action = QAction("Copy", self)
        self.copy_action.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        self.copy_action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.copy_action.triggered.connect(self.copy)
        self.addAction(self.copy_action)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def show_rows(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        row_names: Sequence[str] = (),
        row_tips: Sequence[str] = (),
        stretch: int | None = None,
    ) -> None:
        """Show these rows in place of the previous ones.

        Parameters
        ----------
        columns : sequence of str
            Their headings.
        rows : sequence of sequence of str
            One text per column.
        row_names, row_tips : sequence of str
            Headings of the rows, and their tooltips.
        stretch : int, optional
            The column that takes the remaining width; all columns share it if not given.
        """
        self.setColumnCount(len(columns))
        self.setHorizontalHeaderLabels(list(columns))
        self.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                self.set_cell(row, column, text)
        self.verticalHeader().setVisible(bool(row_names))
        for row, name in enumerate(row_names):
            heading = QTableWidgetItem(name)
            heading.setTextAlignment(_aligned("left"))
            if row_tips:
                heading.setToolTip(row_tips[row])
            self.setVerticalHeaderItem(row, heading)
        self._fit(stretch)

    def set_cell(self, row: int, column: int, text: str) -> None:
        """Write one cell; a long text is its tooltip too.

        Parameters
        ----------
        row, column : int
            Counted from 0.
        text : str
        """
        cell = self.cell(row, column)
        cell.setText(text)
        cell.setToolTip(text if len(text) > 20 else "")
        cell.setTextAlignment(_aligned("right" if is_number(text) else "left"))

    def cell(self, row: int, column: int) -> QTableWidgetItem:
        """Return one cell, created if there is none yet."""
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        return item

    def text(self, *, selected_only: bool = False) -> str:
        """Return the cells separated by tabs, one row per line, with headings if it is the whole table."""
        rows, columns = list(range(self.rowCount())), list(range(self.columnCount()))
        chosen = {(index.row(), index.column()) for index in self.selectedIndexes()}
        if selected_only and chosen and len(chosen) < len(rows) * len(columns):
            rows, columns = (sorted({place[axis] for place in chosen}) for axis in (0, 1))
            lines = [[self._text(r, c) if (r, c) in chosen else "" for c in columns] for r in rows]
        else:
            lines = [self._with_name(None, [self._heading(c) for c in columns])]
            lines += [self._with_name(r, [self._text(r, c) for c in columns]) for r in rows]
        return "\n".join("\t".join(line) for line in lines)

    def copy(self) -> None:
        """Copy the selected cells to the clipboard, or the whole table if none is selected."""
        QApplication.clipboard().setText(self.text(selected_only=True))

    def _text(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return item.text() if item is not None else ""

    def _heading(self, column: int) -> str:
        item = self.horizontalHeaderItem(column)
        return item.text() if item is not None else ""

    def _with_name(self, row: int | None, cells: list[str]) -> list[str]:
        """Put the heading of a row before its cells, if rows have headings."""
        if not self.verticalHeader().isVisibleTo(self):
            return cells
        return ["" if row is None else self.verticalHeaderItem(row).text(), *cells]

    def _fit(self, stretch: int | None) -> None:
        """Make columns at least as wide as their text, and share the remaining width."""
        header = self.horizontalHeader()
        modes = QHeaderView.ResizeMode
        if stretch is None:
            widths = [max(self.sizeHintForColumn(c), header.sectionSizeHint(c)) for c in range(self.columnCount())]
            header.setMinimumSectionSize(max(widths, default=0))
            header.setSectionResizeMode(modes.Stretch)
        else:
            header.setSectionResizeMode(modes.ResizeToContents)
            header.setSectionResizeMode(stretch, modes.Stretch)
        self.resizeRowsToContents()
        self._fit_height()

    def _fit_height(self) -> None:
        """Make the table as high as its rows, and the scroll bar if they are wider than it."""
        heights = sum(self.rowHeight(row) for row in range(min(self.rowCount(), self._rows_in_view)))
        wide = self.horizontalHeader().length() > self.viewport().width()
        bar = self.horizontalScrollBar().sizeHint().height() if wide else 0
        self.setFixedHeight(heights + self.horizontalHeader().sizeHint().height() + bar + 2 * self.frameWidth() + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Leave room for the scroll bar if there is one now."""
        super().resizeEvent(event)
        self._fit_height()


def is_number(text: str) -> bool:
    """Say whether a text is a number as people write it, or the sign for an undefined one.

    Examples
    --------
    >>> [is_number(text) for text in ("1,234", "+3.2", "-", "no file", "12 s")]
    [True, True, True, False, False]
    """
    if text == UNDEFINED:
        return True
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _aligned(side: str) -> Qt.AlignmentFlag:
    horizontal = Qt.AlignmentFlag.AlignRight if side == "right" else Qt.AlignmentFlag.AlignLeft
    return horizontal | Qt.AlignmentFlag.AlignVCenter
