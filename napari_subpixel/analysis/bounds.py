"""The lowest and the highest value of a quantity that a filter lets pass, read from it and put into it.

A filter may state more than ranges; what is more stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from napari_subpixel.analysis.expressions import Column, Comparison, Condition, Logical, Number, Quantity, Sign, to_text
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.quantities import Source, canonical_name, source_of
from napari_subpixel.localizations import Localizations

#: The comparisons of a lower value with a higher one.
_ASCENDING = {"<", "<="}
#: The comparisons of a higher value with a lower one.
_DESCENDING = {">", ">="}


@dataclass(frozen=True)
class Bound:
    """An end of a range.

    Attributes
    ----------
    value : float
        In the unit of the quantity: nm for a length, or pixels where the pixel size is not known.
    strict : bool
        Whether the value itself does not pass.
    """

    value: float
    strict: bool = False


#: The lowest and the highest value; None leaves an end open.
Bounds: TypeAlias = tuple[Bound | None, Bound | None]


def bounds_in(rows_filter: Filter | None, name: str, table: Localizations) -> Bounds:
    """Return the bounds that a filter puts on a quantity of a table, whatever else it asks for.

    Parameters
    ----------
    rows_filter : Filter, optional
        One that fits the table.
    name : str
        Of the quantity.
    table : Localizations

    Raises
    ------
    FilterError
        If the table has no such quantity.

    Examples
    --------
    >>> table = Localizations({"frame": [0], "y": [1.0], "x": [2.0], "photons": [700.0]}, pixel_size_nm=100)
    >>> bounds_in(Filter.of("photons > 500 & y < 3 px"), "y", table)
    (None, Bound(value=300.0, strict=True))
    """
    source = source_of(table, name)
    lows, highs = [], []
    for part in () if rows_filter is None else rows_filter.parts:
        low, high = _bounds_of(part.condition, source, table) or (None, None)
        lows.append(low)
        highs.append(high)
    # Of two equal values the strict one is the tighter.
    low = max((end for end in lows if end), key=lambda end: (end.value, end.strict), default=None)
    high = min((end for end in highs if end), key=lambda end: (end.value, not end.strict), default=None)
    return low, high


def with_bounds(rows_filter: Filter | None, name: str, bounds: Bounds, table: Localizations) -> Filter | None:
    """Return a filter with these bounds of a quantity in place of those that it has; None where nothing is left.

    Parameters
    ----------
    rows_filter : Filter, optional
        One that fits the table.
    name : str
        Of the quantity.
    bounds : (Bound or None, Bound or None)
    table : Localizations

    Raises
    ------
    FilterError
        If the table has no such quantity.

    Examples
    --------
    >>> table = Localizations({"frame": [0], "y": [1.0], "x": [2.0], "photons": [700.0]}, pixel_size_nm=100)
    >>> with_bounds(Filter.of("photons > 500 & x < y"), "photons", (None, Bound(900)), table).text
    'photons <= 900 & x < y'
    """
    source = source_of(table, name)
    parts = [] if rows_filter is None else [part.condition for part in rows_filter.parts]
    place = next((n for n, part in enumerate(parts) if _bounds_of(part, source, table)), len(parts))
    kept = [part for part in parts if not _bounds_of(part, source, table)]
    known = name if name in table.extra else canonical_name(name)
    if new := _condition(known, bounds, "px" if source.unit == "px" else ""):
        kept.insert(place, new)
    if not kept:
        return None
    return Filter.of(to_text(kept[0] if len(kept) == 1 else Logical("&", tuple(kept), 0)))


def _condition(name: str, bounds: Bounds, unit: str) -> Comparison | None:
    """Return the condition that a quantity is within bounds; None where both ends are open."""
    (low, high), column = bounds, Column(name, 0)
    if low and high:
        operators = tuple("<" if end.strict else "<=" for end in (low, high))
        return Comparison((_quantity(low.value, unit), column, _quantity(high.value, unit)), operators, 0)
    if end := low or high:
        sign = ">" if low else "<"
        return Comparison((column, _quantity(end.value, unit)), (sign if end.strict else f"{sign}=",), 0)
    return None


def _quantity(value: float, unit: str) -> Quantity:
    number = Number(abs(float(value)), unit, 0)
    return Sign(number, 0) if value < 0 else number


def _bounds_of(part: Condition, source: Source, table: Localizations) -> Bounds | None:
    """Return the bounds that a condition is, where it bounds this quantity and does nothing else."""
    if not isinstance(part, Comparison):
        return None
    operands, operators = part.operands, part.operators
    if set(operators) <= _DESCENDING:
        operands, operators = operands[::-1], tuple(operator.replace(">", "<") for operator in operators[::-1])
    columns = [n for n, node in enumerate(operands) if isinstance(node, Column)]
    if not set(operators) <= _ASCENDING or len(columns) != 1 or columns[0] > 1 or len(operands) > columns[0] + 2:
        return None
    at = columns[0]
    column = operands[at]
    assert isinstance(column, Column)
    if source_of(table, column.name).columns != source.columns:
        return None
    ends: list[Bound | None] = [None, None]
    for end, place, operator in ((0, at - 1, at - 1), (1, at + 1, at)):
        if 0 <= place < len(operands):
            value = _number_in(operands[place], source, table)
            if value is None:
                return None
            ends[end] = Bound(value, operators[operator] == "<")
    return ends[0], ends[1]


def _number_in(node: Quantity, source: Source, table: Localizations) -> float | None:
    """Return a plain number in the unit of a quantity; None where it is anything else."""
    sign = 1.0
    if isinstance(node, Sign):
        sign, node = -1.0, node.operand
    if not isinstance(node, Number):
        return None
    if node.unit in ("", source.unit):
        return sign * node.value
    size = table.pixel_size_nm
    if (node.unit, source.unit) != ("px", "nm") or size is None or isinstance(size, tuple):
        return None
    return sign * node.value * size
