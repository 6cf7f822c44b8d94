"""Filters: which rows of a table an expression keeps, such as ``uncertainty < 20 & photons > 500``.

A number without a unit is in nm where a length is meant, for positions too, which count from the centre of the first
pixel as everywhere in the program; frames count from 0. A row without the value (NaN) never passes, negated or not. A
column in single precision is compared in single precision, so that what a file gives as 0.7 is not below 0.7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.conditions import ConditionOnTable
from napari_subpixel.analysis.expressions import (
    Column,
    Comparison,
    Condition,
    Logical,
    Number,
    Quantity,
    Sign,
    columns_of,
    numbers_of,
    parse,
    to_text,
)
from napari_subpixel.analysis.quantities import QUANTITIES, canonical_name, source_of
from napari_subpixel.errors import FilterError
from napari_subpixel.localizations import Localizations

#: Lowest and highest value of a quantity, ends included; None leaves an end open.
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of a table, which fits any table that has its columns.

    Attributes
    ----------
    text : str
        The expression in its canonical form.
    condition : Comparison, Not or Logical
        Its tree.

    Examples
    --------
    >>> from napari_subpixel import Localizations
    >>> table = Localizations(
    ...     {"frame": [0, 1, 2], "y": [1, 2, 3], "x": [1, 2, 3], "photons": [400, 600, float("nan")]}
    ... )
    >>> Filter.of("intensity > 500 or Frame=0").mask(table).tolist()
    [True, True, False]
    """

    text: str
    condition: Condition

    @classmethod
    def of(cls, expression: str | Filter) -> Filter:
        """Return the filter that an expression states, and a filter as it is.

        Raises
        ------
        FilterError
            If the expression cannot be read; the message has ``^`` in front of the place of the mistake.
        """
        if isinstance(expression, Filter):
            return expression
        # Names stay as they are written: in a table with a column of just this name, it is no alias.
        # From its own text, so that places in messages are those in the text.
        text = to_text(parse(expression))
        return cls(text, parse(text))

    @classmethod
    def from_ranges(cls, ranges: Mapping[str, Range], *, lengths_in: str = "") -> Filter | None:
        """Return the filter that keeps the rows within all ranges, ends included; None where no range has an end.

        Parameters
        ----------
        ranges : mapping of str to (float or None, float or None)
            Lowest and highest value by the name of the quantity.
        lengths_in : {"", "nm", "px"}
            Unit of lengths that is written; without one they are in nm.

        Raises
        ------
        FilterError
            If an end is no finite number, or the unit is no length.

        Examples
        --------
        >>> Filter.from_ranges({"photons": (500, None), "uncertainty": (2.5, 20)}).text
        'photons >= 500 & 2.5 <= uncertainty <= 20'
        """
        if lengths_in not in ("", "nm", "px"):
            raise FilterError(f"lengths are in nm or px, got {lengths_in!r}")
        conditions: list[Condition] = []
        for name, (low, high) in ranges.items():
            about = QUANTITIES.get(canonical_name(name))
            unit = lengths_in if about is not None and (about.in_pixels or about.parts) else ""
            column = Column(name, 0)
            ends = [_signed(name, end, unit) for end in (low, high) if end is not None]
            if low is not None and high is not None:
                conditions.append(Comparison((ends[0], column, ends[1]), ("<=", "<="), 0))
            elif ends:
                conditions.append(Comparison((column, ends[0]), (">=" if high is None else "<=",), 0))
        if not conditions:
            return None
        return cls.of(to_text(conditions[0] if len(conditions) == 1 else Logical("&", tuple(conditions), 0)))

    @property
    def ranges(self) -> dict[str, Range] | None:
        """The ranges that the filter amounts to, as `from_ranges` takes them; None where it is more than ranges."""
        parts = self.condition.operands if isinstance(self.condition, Logical) else (self.condition,)
        if isinstance(self.condition, Logical) and self.condition.operator != "&":
            return None
        ranges: dict[str, Range] = {}
        for part in parts:
            found = _range_of(part)
            if found is None or (name := canonical_name(found[0])) in ranges:
                return None
            ranges[name] = found[1]
        return ranges

    @cached_property
    def parts(self) -> tuple[Filter, ...]:
        """The filters of which a row must pass all.

        Examples
        --------
        >>> [part.text for part in Filter.of("photons > 500 & (x < 9 | y < 9)").parts]
        ['photons > 500', 'x < 9 | y < 9']
        """
        if isinstance(self.condition, Logical) and self.condition.operator == "&":
            return tuple(Filter.of(to_text(part)) for part in self.condition.operands)
        return (self,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the expression uses, as they are written, each once."""
        return tuple(dict.fromkeys(column.name for column in columns_of(self.condition)))

    def check(self, table: Localizations) -> None:
        """Raise the error that `mask` would raise for a table, without evaluating its rows."""
        ConditionOnTable(self.text, self.condition, table, aggregates=False).mask(slice(0, 0))

    def in_pixels(self, table: Localizations) -> bool:
        """Say whether it has a number in px, or a column of the table's own that is in pixels.

        Raises
        ------
        FilterError
            If the table has no such column.
        """
        sources = [source_of(table, name) for name in self.columns]
        own = any(source.in_pixels and source.columns[0] in table.extra for source in sources)
        return own or any(number.unit == "px" for number in numbers_of(self.condition))

    def mask(self, table: Localizations) -> NDArray[np.bool_]:
        """Say which rows of a table pass.

        Parameters
        ----------
        table : Localizations

        Returns
        -------
        ndarray of bool, shape (len(table),)

        Raises
        ------
        FilterError
            If the table has no such column, or quantities are compared that have nothing in common.
        PixelSizeError
            If a length is compared with a number in nm, and the pixel size of the table is not known.
        """
        self.check(table)
        return ConditionOnTable(self.text, self.condition, table).mask_of_all()

    def keep(self, table: Localizations) -> Localizations:
        """Return the rows that pass; the expression is added to ``filters`` in the provenance."""
        return noted(table, table.select(self.mask(table)), keep=self.text)


def mask(table: Localizations, expression: str | Filter) -> NDArray[np.bool_]:
    """Say which rows of a table pass an expression.

    Parameters
    ----------
    table : Localizations
    expression : str or Filter
        Comparisons such as ``uncertainty < 20 & photons > 500``.

    Returns
    -------
    ndarray of bool, shape (len(table),)

    Raises
    ------
    InputError
        If the expression cannot be read or does not fit the table.
    """
    return Filter.of(expression).mask(table)


def keep(table: Localizations, expression: str | Filter) -> Localizations:
    """Return the rows of a table that pass an expression.

    Parameters
    ----------
    table : Localizations
    expression : str or Filter
        Comparisons such as ``uncertainty < 20 & photons > 500``.

    Returns
    -------
    Localizations
        The expression is added to ``filters`` in its provenance.

    Raises
    ------
    InputError
        If the expression cannot be read or does not fit the table.

    Examples
    --------
    >>> table = Localizations({"frame": [0, 0], "y": [1.0, 7.0], "x": [2.0, 3.0]}, pixel_size_nm=100)
    >>> kept = keep(table, "y < 0.5 um")
    >>> kept.y.tolist(), kept.provenance
    ([1.0], {'filters': [{'keep': 'y < 500 nm', 'rows': 2, 'kept': 1}]})
    """
    return Filter.of(expression).keep(table)


def noted(before: Localizations, after: Localizations, **how: Any) -> Localizations:
    """Return the rows that were kept, with how they were chosen added to ``filters`` in the provenance.

    Parameters
    ----------
    before, after : Localizations
        The table, and what was kept of it.
    **how
        What describes the choice, as plain numbers, texts and lists.
    """
    return after.with_about(provenance=provenance_with(before.provenance, len(before), len(after), **how))


def provenance_with(provenance: Mapping[str, Any], n_rows: int, n_kept: int, **how: Any) -> dict[str, Any]:
    """Return the provenance of a table with a choice of rows added to its ``filters``.

    Parameters
    ----------
    provenance : mapping
        Of the table that the rows were chosen from.
    n_rows, n_kept : int
        How many rows there were, and how many were kept.
    **how
        What describes the choice, as plain numbers, texts and lists.
    """
    filters = [*provenance.get("filters", []), {**how, "rows": n_rows, "kept": n_kept}]
    return {**provenance, "filters": filters}


def _signed(name: str, value: float, unit: str) -> Quantity:
    """Return the node of a number, which may be negative."""
    value = float(value)
    if not math.isfinite(value):
        raise FilterError(f"the range of {name!r} ends in {value}, expected a finite number")
    number = Number(abs(value), unit, 0)
    return Sign(number, 0) if value < 0 else number


def _range_of(part: Condition) -> tuple[str, Range] | None:
    """Return the quantity and its range where a condition is one."""
    if not isinstance(part, Comparison):
        return None
    names = [node.name for node in part.operands if isinstance(node, Column)]
    values = [None if isinstance(node, Column) else _plain_number(node) for node in part.operands]
    if len(names) != 1:
        return None
    shape = tuple("column" if isinstance(node, Column) else "number" for node in part.operands)
    numbers = [value for value in values if value is not None]
    if len(numbers) != len(part.operands) - 1:
        return None
    if shape == ("column", "number") and part.operators in ((">=",), ("<=",)):
        return names[0], (numbers[0], None) if part.operators == (">=",) else (None, numbers[0])
    if shape == ("number", "column", "number") and part.operators == ("<=", "<="):
        return names[0], (numbers[0], numbers[1])
    return None


def _plain_number(node: Quantity) -> float | None:
    if isinstance(node, Sign) and isinstance(node.operand, Number):
        return -node.operand.value if node.operand.unit in ("", "nm") else None
    return node.value if isinstance(node, Number) and node.unit in ("", "nm") else None
