"""The numbers of a text table, by column, and its first fault where they cannot be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.errors import InputError
from napari_subpixel.formats.flavours import Column, Flavour, Place, Unit
from napari_subpixel.formats.text_table import TextTable

#: How a missing value is written, by various programs.
MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "-"]


def is_number(text: str, decimal: str) -> bool:
    """Say whether a text is a number.

    Parameters
    ----------
    text : str
    decimal : str
        The decimal sign, a point or a comma.
    """
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def read_numbers(
    text: TextTable, places: Mapping[str, Place], own_places: Mapping[str, int]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the understood columns by the flavour's names, and the others by theirs.

    Rows are parsed as they lie in the file if possible; else without comments and quotes, then without columns that are
    not understood, then with decimal commas.

    Parameters
    ----------
    text : TextTable
        The table.
    places : mapping of str to Place
        Where the understood columns are, by the flavour's names of them.
    own_places : mapping of str to int
        Where the others are, by their own names.

    Returns
    -------
    dict of str to ndarray of float64, shape (N,)
        Twice: the understood columns, and the others. A missing value is NaN.

    Raises
    ------
    InputError
        If an understood column holds what is not a number; the message has its line.
    """
    import pyarrow as pa

    known = {name: place.column for name, place in places.items()}
    if not text.first_row:
        return {name: np.empty(0) for name in known}, {name: np.empty(0) for name in own_places}
    attempts = [(text, False, own_places)] if text.is_plain else []
    attempts += [(text, True, own_places), (text, True, {})]
    if text.decimal == "." and text.separator != ",":
        attempts += [(replace(text, decimal=","), True, own_places), (replace(text, decimal=","), True, {})]
    errors = []
    for attempt, cleaned, others in attempts:
        try:
            numbers = _parsed(attempt, [*known.values(), *others.values()], cleaned=cleaned)
        except (pa.ArrowInvalid, OSError) as error:
            errors.append(" ".join(str(error).split()))
            continue
        return (
            {name: numbers[index] for name, index in known.items()},
            {name: numbers[index] for name, index in others.items()},
        )
    raise InputError(f"{text.path}: {first_fault(text, places, ()) or errors[0]}")


def _parsed(text: TextTable, indices: Sequence[int], *, cleaned: bool) -> dict[int, NDArray[np.float64]]:
    """Return columns by their places."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(index) for index in range(len(text.header))]
    included = [names[index] for index in indices]
    table = arrow_csv.read_csv(
        pa.BufferReader(text.clean_rows()) if cleaned else text.path,
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=0 if cleaned else text.n_lines_before),
        parse_options=arrow_csv.ParseOptions(delimiter=text.separator),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=included,
            column_types=dict.fromkeys(included, pa.float64()),
            null_values=MISSING,
            decimal_point=text.decimal,
        ),
    )
    numbers = {}
    for index in indices:
        numbers[index] = table[names[index]].to_numpy()
        table = table.drop_columns(names[index])  # since memory may not hold a large table twice
    return numbers


def first_fault(
    text: TextTable,
    places: Mapping[str, Place],
    needed: Sequence[Column],
    flavour: Flavour | None = None,
    *,
    skip_invalid: bool = False,
) -> str | None:
    """Go through a table cell by cell, slowly, and say what is wrong at the first fault.

    Parameters
    ----------
    text : TextTable
        The table.
    places : mapping of str to Place
        Where the understood columns are.
    needed : sequence of Column
        Those of them whose cells must be finite.
    flavour : Flavour, optional
        Frames must be whole numbers from its first.
    skip_invalid : bool
        Whether cells without a value are no fault.

    Returns
    -------
    str or None
        The line and what was found in it; None where nothing is wrong.
    """
    finite = {column.name for column in needed}
    for number, cells in text.rows():
        if len(cells) != len(text.header):
            return f"line {number} has {len(cells)} values, the header has {len(text.header)}"
        for name, place in places.items():
            cell = cells[place.column].strip()
            value = _value(cell, text.decimal)
            if value is None and not (cell in MISSING and name not in finite):
                if not (skip_invalid and cell in MISSING):
                    return f"line {number}, column {text.header[place.column]!r}: expected a number, got {cell!r}"
            elif name in finite and not math.isfinite(value or 0.0) and not skip_invalid:
                return f"line {number}, column {text.header[place.column]!r}: expected a finite number, got {cell!r}"
            elif (
                flavour is not None
                and place.unit is Unit.FRAME
                and math.isfinite(value or 0.0)
                and (fault := _frame_fault(value or 0.0, cell, flavour))
            ):
                return f"line {number}, column {text.header[place.column]!r}: {fault}"
    return None


def _value(cell: str, decimal: str) -> float | None:
    """Return the number in a cell, NaN for an empty one, None for what is no number."""
    try:
        return float(cell.replace(decimal, ".")) if cell else math.nan
    except ValueError:
        return None


def _frame_fault(value: float, cell: str, flavour: Flavour) -> str | None:
    if value != math.floor(value):
        return f"expected a whole number, got {cell!r}"
    if value < flavour.first_frame:
        return f"frame {cell}, but a {flavour.title} counts frames from {flavour.first_frame}"
    return None
