"""Writing text tables of any flavour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel.coordinates import PixelSize, pixel_length
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.formats import notes
from napari_subpixel.formats.flavours import Flavour
from napari_subpixel.formats.protocol import outputs
from napari_subpixel.localizations import LocalizationParts, Localizations


def write_csv(
    path: str | Path, localizations: Localizations | LocalizationParts, flavour: Flavour, *, overwrite: bool = False
) -> None:
    """Write a csv table, and its protocol file beside it.

    Parameters
    ----------
    path : path-like
        The csv file.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    flavour : Flavour
        What its columns are called and measured in.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If the pixel size is not known, a file exists and may not be replaced, or it cannot be written.
    """
    table, protocol = outputs(path)
    for file in (table, protocol):
        check_can_write(file, overwrite=overwrite)
    parts = LocalizationParts.of(localizations)
    size = parts.about.get("pixel_size_nm")
    if size is None:
        raise PixelSizeError(f"{table}: positions are written in nm and the pixel size is not known")
    with atomic_output(table) as draft:
        n_rows = 0
        with draft.open("wb") as content:
            for part in parts:
                columns, stand_ins = _file_columns(part, flavour, size, first_row=n_rows + 1)
                if not content.tell():
                    content.write(_header(columns, flavour))
                _write_numbers(content, columns)
                n_rows += len(part)
        about = notes.from_about(parts.about, stand_ins=stand_ins)
        with atomic_output(protocol) as beside:  # in place before the table, which alone makes the result look whole
            beside.write_text(notes.to_json({"program": notes.PROGRAM, **about}), encoding="utf-8")


def _file_columns(
    localizations: Localizations, flavour: Flavour, pixel_size_nm: PixelSize, first_row: int
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the columns to write, by their names in the file, and the stand-ins among them."""
    columns: dict[str, NDArray[Any]] = {}
    stand_ins: dict[str, str] = {}
    if flavour.row_number:
        columns[flavour.row_number] = np.arange(first_row, first_row + len(localizations))
    for column in flavour.columns:
        if all(name in localizations for name in column.ours):
            values = _joined(
                [
                    flavour.to_file(_doubled(localizations[name]), column.unit, pixel_length(name, pixel_size_nm))
                    for name in column.ours
                ]
            )
            columns[column.name] = values if values.dtype.kind == "i" else np.round(values, column.digits)
        elif column.always_written:
            columns[column.name] = np.zeros(len(localizations), np.int64)
            stand_ins[column.name] = "0, not measured"
    if flavour.holds_extra:
        columns |= {name: localizations[name] for name in localizations.extra if name not in columns}
    return columns, stand_ins


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the root mean square of several columns, or the only one as it is."""
    return parts[0] if len(parts) == 1 else np.sqrt(np.mean(np.square(parts), axis=0))


def _doubled(values: NDArray[Any]) -> NDArray[Any]:
    """Return a column in double precision, whole numbers as they are."""
    return values if values.dtype.kind == "i" else values.astype(np.float64)


def _header(columns: Mapping[str, NDArray[Any]], flavour: Flavour) -> bytes:
    quote = '"' if flavour.quoted else ""
    names = (name.replace('"', '""') for name in columns)
    return (",".join(f"{quote}{name}{quote}" for name in names) + flavour.header_end + "\n").encode()


def _write_numbers(file: BinaryIO, columns: Mapping[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    table = pa.table({name: _written(values) for name, values in columns.items()})
    arrow_csv.write_csv(table, file, arrow_csv.WriteOptions(include_header=False, quoting_style="none"))


def _written(values: NDArray[Any]) -> Any:
    """Return an arrow array in which a missing value is spelt NaN, as Java and Python read it."""
    import pyarrow as pa

    if values.dtype.kind == "f" and np.isnan(values).any():
        return pa.array(values, from_pandas=True).cast(pa.string()).fill_null("NaN")
    return pa.array(values)
