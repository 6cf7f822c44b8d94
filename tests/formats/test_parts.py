"""A table that is written part by part is the file of the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_subpixel import formats
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import LocalizationParts, Localizations, concat

ABOUT = {"pixel_size_nm": 100.0, "frame_shape": (30, 40), "n_frames": 90, "provenance": {"model": "m"}}


def part(rng, first: int, n: int) -> Localizations:
    columns = {"frame": first + np.sort(rng.integers(0, 10, n)), "y": rng.uniform(0, 29, n), "x": rng.uniform(0, 39, n)}
    return Localizations({**columns, "photons": rng.uniform(100, 900, n), "sigma": np.full(n, np.nan)}, n_frames=1)


@pytest.fixture
def tables(rng) -> list[Localizations]:
    return [part(rng, 10 * k, n) for k, n in enumerate((0, 40, 1, 0, 25))]


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_parts_are_written_as_the_whole(tables, tmp_path, suffix):
    whole = concat(tables).with_about(**ABOUT)
    formats.write(tmp_path / f"whole.{suffix}", whole)
    formats.write(tmp_path / f"parts.{suffix}", LocalizationParts(lambda: iter(tables), ABOUT))
    for file in tmp_path.glob("parts*"):
        assert file.read_bytes() == file.with_name(file.name.replace("parts", "whole")).read_bytes()
    read = formats.read(tmp_path / f"parts.{suffix}")
    assert (len(read), read.about["n_frames"]) == (66, 90)


def test_a_parquet_of_many_parts_has_few_groups_of_rows_and_reads_as_the_whole(rng, tmp_path, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr(formats.parquet, "MIN_GROUP_ROWS", 100)
    tables = [part(rng, 10 * k, 30) for k in range(9)]
    formats.write(tmp_path / "parts.parquet", LocalizationParts(lambda: iter(tables), ABOUT))
    assert parquet.ParquetFile(tmp_path / "parts.parquet").num_row_groups == 3
    pd.testing.assert_frame_equal(formats.read(tmp_path / "parts.parquet").table, concat(tables).table)


def test_parts_of_other_columns_are_refused_and_nothing_is_left(tables, tmp_path):
    other = Localizations({"frame": [1], "y": [1.0], "x": [1.0]})
    for name in ("a.csv", "a.hdf5", "a.parquet"):
        with pytest.raises(InputError, match="cannot join tables with columns"):
            formats.write(tmp_path / name, LocalizationParts(lambda: iter([*tables, other]), ABOUT))
    assert not list(tmp_path.iterdir())


def test_no_part_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to join"):
        formats.write(tmp_path / "a.parquet", LocalizationParts(lambda: iter(()), ABOUT))
