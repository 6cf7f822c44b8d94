"""The table to read and copy from: numbers to the right, cells separated by tabs, as large as needed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_subpixel.widgets.controls.table import ReadOnlyTable

COLUMNS = ["movie", "molecules", "what came out"]
ROWS = [["a.tif", "1,234", "done"], ["b.tif", "-", "no such file"]]


@pytest.fixture
def table(qtbot):
    table = ReadOnlyTable()
    qtbot.addWidget(table)
    return table


def test_numbers_are_aligned_right_and_words_left(table):
    table.show_rows(COLUMNS, ROWS, stretch=2)
    to_the_right = [
        [bool(table.item(r, c).textAlignment() & Qt.AlignmentFlag.AlignRight) for c in range(3)] for r in (0, 1)
    ]
    assert to_the_right == [[False, True, False]] * 2
    table.set_cell(1, 1, "7")
    assert table.item(1, 1).text() == "7"


def test_nothing_selected_copies_all_with_headings(table):
    table.show_rows(COLUMNS, ROWS)
    table.copy_action.trigger()
    assert QApplication.clipboard().text() == "\n".join("\t".join(row) for row in (COLUMNS, *ROWS))


def test_a_selection_copies_its_cells(table):
    table.show_rows(COLUMNS, ROWS)
    for row in (0, 1):
        table.item(row, 1).setSelected(True)
    table.copy()
    assert QApplication.clipboard().text() == "1,234\n-"


def test_names_of_rows_are_copied_too_and_another_table_takes_the_place(table):
    table.show_rows(["25 nm"], [["0.3"], ["0.5"]], row_names=["Jaccard", "F1"], row_tips=["TP / all", "mean"])
    assert table.text() == "\t25 nm\nJaccard\t0.3\nF1\t0.5"
    assert table.verticalHeaderItem(0).toolTip() == "TP / all"
    table.show_rows(COLUMNS, ROWS[:1])
    assert table.text() == "\n".join("\t".join(row) for row in (COLUMNS, ROWS[0]))


def test_it_cannot_be_edited(table):
    table.show_rows(COLUMNS, ROWS)
    assert table.editTriggers() == ReadOnlyTable.EditTrigger.NoEditTriggers


def test_it_is_as_high_as_its_rows_up_to_a_limit_and_shows_a_bar_where_it_is_narrow(qtbot, table):
    table.resize(600, 100)
    table.show()
    heights = []
    for n in (1, 2, 12, 500):
        table.show_rows(COLUMNS, ROWS[:1] * n)
        heights.append(table.height())
    assert heights[0] < heights[1] < heights[2] == heights[3]
    table.show_rows(COLUMNS, ROWS)
    wide = table.height()
    table.resize(120, wide)
    qtbot.waitUntil(lambda: table.height() > wide)
    assert table.columnWidth(2) >= table.fontMetrics().horizontalAdvance("what came out")
