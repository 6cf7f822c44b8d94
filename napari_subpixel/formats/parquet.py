"""The native parquet: our columns as they are, and everything else as JSON in the schema's metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write, first_bytes
from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import InputError
from napari_subpixel.formats import notes
from napari_subpixel.localizations import COLUMNS, REQUIRED, LocalizationParts, Localizations

#: Key of our notes in the schema's metadata.
KEY = notes.PROGRAM.encode()
#: What a parquet file begins and ends with.
MAGIC = b"PAR1"
#: Parts are written together until they have at least this many rows.
MIN_GROUP_ROWS = 1 << 20
#: Columns of whole numbers, of which many rows have the same.
WHOLE = [name for name, (kind, _) in COLUMNS.items() if kind is np.int64]


def outputs(path: str | Path) -> tuple[Path, ...]:
    """Return the files that a table is written to."""
    return (Path(path),)


def recognises(path: str | Path) -> bool:
    """Say whether a parquet file has our columns and no others, or notes of ours."""
    with _opened(Path(path)) as file:
        schema = file.schema_arrow
        return KEY in (schema.metadata or {}) or set(REQUIRED) <= set(schema.names) <= set(COLUMNS)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None, skip_invalid: bool = False) -> Localizations:
    """Read a native table.

    Parameters
    ----------
    path : path-like
        The parquet file.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width, in place of the one in the file.
    skip_invalid : bool
        Whether rows without a finite frame, y or x are left out, with a warning.

    Returns
    -------
    Localizations
        The table exactly as it was written.
    """
    path = Path(path)
    with _opened(path) as file:
        names = file.schema_arrow.names
        for name in names:
            if (n := names.count(name)) > 1:
                raise InputError(f"{path}: column {name!r} is there {n} times")
        text = (file.schema_arrow.metadata or {}).get(KEY)
        # One at a time: the parts of a column are joined by a copy, and those of all columns would double the memory.
        columns = {name: file.read(columns=[name])[name].to_numpy() for name in names}
    with naming(path):
        about = notes.to_about(_notes(text))
        if pixel_size_nm is not None:
            about["pixel_size_nm"] = pixel_size_nm
        if skip_invalid:
            columns = notes.finite_rows(path, columns, about)
        # The names in another program's file may be misspelt ones of ours.
        extra = {name: columns.pop(name) for name in list(columns) if text is not None and name not in COLUMNS}
        return Localizations(columns, extra=extra, **about, copy=False)


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a table says of itself besides its rows, as keyword arguments of `Localizations`."""
    path = Path(path)
    with _opened(path) as file, naming(path):
        return notes.to_about(_notes((file.schema_arrow.metadata or {}).get(KEY)))


def write(path: str | Path, localizations: Localizations | LocalizationParts, *, overwrite: bool = False) -> None:
    """Write a native table; reading it gives the same table, to the last bit.

    Parameters
    ----------
    path : path-like
        The parquet file.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If a file exists and may not be replaced, or it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    check_can_write(path, overwrite=overwrite)
    parts = LocalizationParts.of(localizations)
    about = {KEY: json.dumps(notes.from_about(parts.about))}
    with atomic_output(path) as draft, draft.open("wb") as file, ExitStack() as open_until_the_end:
        writer: Any = None
        for group in _row_groups(parts):
            arrays = {name: pa.array(values) for name, values in group.items()}
            # Declared as never missing (NaN is a number), columns are read twice as fast; measured numbers hardly
            # repeat, and neither a dictionary nor compression makes them smaller.
            fields = [pa.field(name, array.type, nullable=False) for name, array in arrays.items()]
            table = pa.table(list(arrays.values()), schema=pa.schema(fields, metadata=about))
            if writer is None:
                writer = open_until_the_end.enter_context(
                    parquet.ParquetWriter(file, table.schema, use_dictionary=WHOLE, compression="none")
                )
            writer.write_table(table)


def _row_groups(parts: LocalizationParts) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the columns of some parts together, as small groups of rows are slow to read."""
    waiting: list[Localizations] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= MIN_GROUP_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(tables: list[Localizations]) -> dict[str, NDArray[Any]]:
    if len(tables) == 1:
        return {name: tables[0][name] for name in tables[0].columns}
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0].columns}


def _is_cut_off(path: str | Path) -> bool:
    """Say whether a file begins as a parquet file does, and does not end as one."""
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
        file.seek(-len(MAGIC), os.SEEK_END)
        return start == MAGIC != file.read()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a parquet file, with a clear message for one that cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    first_bytes(path)
    try:
        with _mapped(path) as file:
            yield parquet.ParquetFile(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if _is_cut_off(path):
            raise InputError(f"{path}: not a whole parquet file: it is cut off") from None
        raise InputError(f"{path}: not a whole parquet file: {' '.join(str(error).split())}") from None


def _mapped(path: Path) -> Any:
    """Open a file so that it is decoded where it lies in the system's cache: twice as fast as copied first."""
    import pyarrow as pa

    try:
        return pa.memory_map(str(path))
    except OSError:  # some drives cannot be mapped
        return pa.OSFile(str(path))


def _notes(text: bytes | None) -> dict[str, Any]:
    try:
        values: Any = json.loads(text or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InputError(f"its notes under {notes.PROGRAM!r} are not JSON that names entries: {text!r}")
    return values
