"""Rows that are there twice are said when a table is read, in every format, and can be left out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.errors import TableWarning
from napari_subpixel.formats.copies import copies
from napari_subpixel.localizations import Localizations, concat


@pytest.fixture
def table() -> Localizations:
    rng = np.random.default_rng(0)
    columns = {"frame": rng.integers(0, 40, 500), "y": rng.uniform(0, 60, 500), "x": rng.uniform(0, 60, 500)}
    return Localizations(columns, pixel_size_nm=100.0, frame_shape=(60, 60), n_frames=40)


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_rows_that_are_there_twice_are_a_warning_when_read(table, tmp_path, suffix):
    path = tmp_path / f"twice.{suffix}"
    formats.write(path, concat([table, table[100:103]]))
    with pytest.warns(TableWarning, match=r"3 of 503 rows are copies of others, with the same frame, y and x"):
        formats.read(path)


def test_rows_of_one_place_in_other_frames_and_no_rows_are_no_copies(table, tmp_path):
    still = table.with_columns(y=np.full(500, 3.0), x=np.full(500, 4.0), frame=np.arange(500) % 40 + np.arange(500))
    formats.write(tmp_path / "none.parquet", table[:0])
    formats.write(tmp_path / "still.parquet", still.select(np.unique(still.frame, return_index=True)[1]))
    with warnings.catch_warnings(action="error"):
        formats.read(tmp_path / "none.parquet")
        formats.read(tmp_path / "still.parquet")


def test_the_first_of_each_row_is_kept(table):
    both = concat([table, table])
    assert copies(both).tolist() == [False] * 500 + [True] * 500
    assert not copies(table).any()
