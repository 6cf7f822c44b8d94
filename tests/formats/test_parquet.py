"""The native parquet: exact to the last bit, with its provenance inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as arrow_parquet

from napari_subpixel import formats
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations


def test_the_table_comes_back_to_the_last_bit(many: Localizations, tmp_path: Path) -> None:
    table = many.with_columns(z_nm=np.where(np.arange(len(many)) % 2, np.nan, 1 / 3))
    formats.write(tmp_path / "a.parquet", table)
    pd.testing.assert_frame_equal(formats.read(tmp_path / "a.parquet").table, table.table, check_exact=True)


def test_other_programs_see_our_columns(emitter: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / "a.parquet", emitter)
    assert pd.read_parquet(tmp_path / "a.parquet").iloc[0].to_dict() == emitter.table.iloc[0].to_dict()


def test_a_parquet_of_another_program_is_read_where_its_columns_are_ours(tmp_path: Path) -> None:
    pd.DataFrame({"x": [7.5], "y": [2.25], "frame": [3]}).to_parquet(tmp_path / "a.parquet")
    back = formats.read(tmp_path / "a.parquet")
    assert (back.table.iloc[0].tolist(), back.pixel_size_nm) == ([3, 2.25, 7.5], None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frame": [1], "y": [1.0]}, "missing column 'x'"),
        ({"frame": [1], "y": [1.0], "x": [1.0], "photon": [2]}, "unknown column 'photon'; did you mean 'photons'"),
        ({"frame": [1], "y": [1.0], "x": ["a"]}, "column 'x' must hold numbers"),
        ({"frame": [1], "y": [1.0], "x": [None]}, "column 'x' must hold numbers"),
        ({"frame": [1, None], "y": [1.0, 1.0], "x": [1.0, 1.0]}, "column 'frame' must be finite"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    arrow_parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message) as error:
        formats.read(tmp_path / "a.parquet")
    assert str(error.value).startswith(f"{tmp_path / 'a.parquet'}: ")


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_notes_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    table = pa.table({"frame": [1], "y": [1.0], "x": [1.0]}).replace_schema_metadata({"napari-subpixel": text})
    arrow_parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: its notes under 'napari-subpixel' are not JSON"):
        formats.read(tmp_path / "a.parquet")


def test_a_file_whose_name_looks_like_a_partition_gets_no_column(emitter: Localizations, tmp_path: Path) -> None:
    (tmp_path / "day=1").mkdir()
    formats.write(tmp_path / "day=1" / "a.parquet", emitter)
    assert formats.read(tmp_path / "day=1" / "a.parquet").columns == emitter.columns


def test_a_table_does_not_change_when_its_file_does(many: Localizations, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    formats.write(file, many)
    back = formats.read(file)
    file.write_bytes(bytes(file.stat().st_size))
    pd.testing.assert_frame_equal(back.table, many.table, check_exact=True)


def test_a_file_that_allows_missing_numbers_is_read_as_before(many: Localizations, tmp_path: Path) -> None:
    many.table.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(formats.read(tmp_path / "a.parquet").table, many.table, check_exact=True)
