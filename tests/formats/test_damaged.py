"""Damaged files of tables: whatever a library makes of them, the answer is one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.errors import InputError, TableWarning
from napari_subpixel.localizations import Localizations


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)
    assert str(path.parent) in str(caught.value)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("napari-subpixel: [1]\n", r"napari-subpixel must hold named entries, got \[1\]"),
        ("napari-subpixel: {stand_ins: [x]}\n", r"stand_ins must hold named entries, got \['x'\]"),
        ("Recorded: 2026-02-30\n", r"a\.yaml: not YAML: a value cannot be read"),
        ("a: " + "[" * 3000, r"a\.yaml: not YAML: it is nested too deeply"),
    ],
)
def test_a_damaged_description_of_an_hdf5_is_refused(
    description: str, message: str, emitter: Localizations, tmp_path: Path
) -> None:
    formats.write(tmp_path / "a.hdf5", emitter)
    (tmp_path / "a.yaml").write_text(description)
    refused(tmp_path / "a.hdf5", message)


def test_texts_in_an_hdf5_that_have_no_end_are_refused(emitter: Localizations, tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    formats.write(path, emitter)
    (tmp_path / "a.yaml").unlink()
    assert len(formats.read(path)) == 1
    content = bytearray(path.read_bytes())
    # The text is the first object of its heap; of the free space that follows it, the size becomes 0.
    heap = content.index(b"GCOL")
    size = int.from_bytes(content[heap + 24 : heap + 32], "little")
    free = heap + 32 + (size + 7) // 8 * 8
    assert content[free : free + 2] == b"\0\0"
    content[free + 8 : free + 16] = bytes(8)
    path.write_bytes(content)
    refused(path, "a damaged HDF5 file: the texts at byte")


def test_the_notes_of_a_csv_must_name_entries(emitter: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / "a.csv", emitter)
    protocol = tmp_path / "a-protocol.txt"
    protocol.write_text(json.dumps({**json.loads(protocol.read_text()), "stand_ins": 2**64 - 1}))
    refused(tmp_path / "a.csv", r"a-protocol\.txt: stand_ins must hold named entries")


def test_a_csv_whose_first_row_has_no_end_is_refused_rather_than_taken_for_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"frame","x [nm]","y [nm]"\n1,' + "9" * 200_000 + ",3\n")
    refused(path, "no row ends within the first 131,072 bytes")


def test_a_parquet_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    values = pa.array([1.0, 2.0])
    frames = pa.array([0, 1])
    parquet.write_table(pa.table([frames, values, values, values], ["frame", "y", "x", "x"]), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "column 'x' is there 2 times")


def test_a_parquet_whose_names_are_no_text_is_refused(positions_only: Localizations, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    formats.write(path, positions_only.with_columns(zzzz=np.arange(2.0)))
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\xff\xfezz"))
    refused(path, "not a whole parquet file")


@pytest.mark.parametrize(
    ("meta", "data", "message"),
    [
        ({"xy_unit": ["px", "nm"]}, {}, "xy_unit 'px' or 'nm', got an array"),
        ({"xy_unit": "px", "px_size": "abc"}, {}, "px_size must be the height and width in nm, got .abc"),
        ({"xy_unit": "px"}, {"bg": None}, "/data/bg must be an array, got a group"),
    ],
)
def test_a_damaged_table_of_decode_is_refused(
    meta: dict[str, Any], data: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("meta").attrs.update(meta)
        group = file.create_group("data")
        group["xyz"], group["frame_ix"] = np.zeros((2, 3)), np.arange(2)
        for name in data:
            group.create_group(name)
    refused(tmp_path / "a.h5", message)


def test_the_damaged_tables_that_were_found_are_refused(cases: Any) -> None:
    damaged = cases("damaged")
    tables = [*damaged.glob("h5/**/*.h*5"), *damaged.glob("parquet/*"), damaged / "csv" / "hugefield.csv"]
    assert len(tables) > 10
    for path in [*tables, damaged / "csv" / "protocol" / "t.csv"]:
        with pytest.raises(InputError):
            formats.read(path, pixel_size_nm=100)


def test_a_csv_whose_last_line_has_no_end_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"frame","x [nm]","y [nm]"\n1,200,300\n2,200,30')
    with pytest.warns(TableWarning, match="its last line has no end"):
        assert len(formats.read(path, pixel_size_nm=100)) == 2
    path.write_bytes('"frame","x [nm]","y [nm]"\r\n1,200,300\r\n'.encode("utf-16"))
    assert len(formats.read(path, pixel_size_nm=100)) == 1
