"""Rows that are there twice are counted, whatever the order of the table, and can be left out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.formats.copies import RUN_ROWS, copies, warning_of_copies
from napari_subpixel.localizations import Localizations, concat


@pytest.fixture
def table() -> Localizations:
    rng = np.random.default_rng(0)
    n = 3 * RUN_ROWS
    columns = {"frame": rng.integers(0, 400, n), "y": rng.uniform(0, 60, n), "x": rng.uniform(0, 60, n)}
    return Localizations(columns, pixel_size_nm=100.0)


@pytest.mark.parametrize("in_order", [False, True])
def test_rows_that_are_there_twice_are_counted(table, in_order):
    both = concat([table, table[100:103], table[-2:]])
    both = both.select(np.argsort(both.frame, kind="stable")) if in_order else both
    assert warning_of_copies(both).startswith(f"5 of {len(both):,} rows are copies of others, with the same frame, y")
    assert copies(both).sum() == 5


def test_rows_of_one_place_in_other_frames_and_no_rows_are_no_copies(table):
    still = table.with_columns(y=np.full(len(table), 3.0), x=np.zeros(len(table)), frame=np.arange(len(table)))
    assert [warning_of_copies(each) for each in (table, still, table[:0], table[:1])] == [""] * 4


def test_the_first_of_each_row_is_kept(table):
    table = table[:500]
    both = concat([table, table])
    assert copies(both).tolist() == [False] * 500 + [True] * 500
