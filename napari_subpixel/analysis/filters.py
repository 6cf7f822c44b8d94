"""Filters: which rows of a table an expression keeps, such as ``uncertainty < 20 & photons > 500``.

A number without a unit is in nm where a length is meant, for positions too, which count from the centre of the first
pixel as everywhere in the program; frames count from 0. A row without the value (NaN) never passes, negated or not. A
column in single precision is compared in single precision, so that what a file gives as 0.7 is not below 0.7.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.expressions import (
    TABLE_FUNCTIONS,
    Arithmetic,
    Column,
    Comparison,
    Condition,
    Function,
    Logical,
    Not,
    Number,
    Power,
    Quantity,
    Sign,
    columns_of,
    mistake,
    numbers_of,
    parse,
    to_text,
)
from napari_subpixel.analysis.quantities import QUANTITIES, UNKNOWN, canonical_name, source_of, values_in
from napari_subpixel.errors import FilterError, PixelSizeError
from napari_subpixel.localizations import Localizations

#: Rows evaluated at a time.
CHUNK_ROWS = 1 << 18
#: Each comparison, and the one that holds where it does not; with NaN neither does, but for the last.
OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_COMPARE = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_COMBINE = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}
_AGGREGATES: Mapping[str, Callable[[NDArray[Any]], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "std": np.std,
    "min": np.min,
    "max": np.max,
}

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
        condition = _canonical(parse(expression))
        # From its own text, so that places in messages are those in the text.
        text = to_text(condition)
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
            if found is None or found[0] in ranges:
                return None
            ranges[found[0]] = found[1]
        return ranges

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the quantities that the expression uses, each once."""
        return tuple(dict.fromkeys(column.name for column in columns_of(self.condition)))

    def check(self, table: Localizations) -> None:
        """Raise the error that `mask` would raise for a table, without evaluating its rows."""
        _Evaluation(self, table, aggregates=False).mask(slice(0, 0))

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
        evaluation = _Evaluation(self, table)
        passes = np.empty(len(table), bool)
        for start in range(0, len(table), CHUNK_ROWS):
            passes[start : start + CHUNK_ROWS] = evaluation.mask(slice(start, start + CHUNK_ROWS))
        return passes

    def keep(self, table: Localizations) -> Localizations:
        """Return the rows that pass; the expression is added to ``filters`` in the provenance."""
        return _noted(table, table.select(self.mask(table)), {"keep": self.text})


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
    return _noted(before, after, how)


def _noted(before: Localizations, after: Localizations, how: Mapping[str, Any]) -> Localizations:
    filters = [*before.provenance.get("filters", []), {**how, "rows": len(before), "kept": len(after)}]
    return after.with_about(provenance={**before.provenance, "filters": filters})


def _canonical(node: Any) -> Any:
    """Return the tree with our names in place of other programs'."""
    if isinstance(node, Column):
        return Column(canonical_name(node.name), node.start)
    if isinstance(node, Sign | Not):
        return type(node)(_canonical(node.operand), node.start)
    if isinstance(node, Arithmetic):
        return Arithmetic(node.operator, _canonical(node.left), _canonical(node.right), node.start)
    if isinstance(node, Power):
        return Power(_canonical(node.base), node.exponent, node.start)
    if isinstance(node, Function):
        return Function(node.name, _canonical(node.argument), node.start)
    if isinstance(node, Comparison):
        return Comparison(tuple(map(_canonical, node.operands)), node.operators, node.start)
    if isinstance(node, Logical):
        return Logical(node.operator, tuple(map(_canonical, node.operands)), node.start)
    return node


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


#: Exponents of units, such as {"nm": 1}; what is in none has none.
_Units = dict[str, float]


@dataclass(frozen=True)
class _Measured:
    """A quantity of some rows."""

    values: Any
    units: _Units
    single: bool = False
    #: A number without a unit, which takes that of what it is compared with.
    bare: bool = False
    #: A column of the table's own, whose unit is not known.
    unknown: bool = False


class _Evaluation:
    """A filter on one table: its sources, and its numbers of all rows."""

    def __init__(self, rows_filter: Filter, table: Localizations, *, aggregates: bool = True) -> None:
        self.text = rows_filter.text
        self.condition = rows_filter.condition
        self.table = table
        self.aggregates = aggregates
        self.known: dict[Function, _Measured] = {}

    def mask(self, rows: slice) -> NDArray[np.bool_]:
        n = len(range(*rows.indices(len(self.table))))
        with np.errstate(all="ignore"):
            return np.broadcast_to(self.passes(self.condition, rows, True), n)

    def passes(self, node: Condition, rows: slice, holds: bool) -> Any:
        """Say which rows are known to meet a condition or, where `holds` is off, known not to."""
        if isinstance(node, Not):
            return self.passes(node.operand, rows, not holds)
        if isinstance(node, Logical):
            all_of = (node.operator == "&") == holds
            masks = [self.passes(operand, rows, holds) for operand in node.operands]
            return (np.logical_and if all_of else np.logical_or).reduce(np.broadcast_arrays(*masks))
        measured = [self.measured(operand, rows) for operand in node.operands]
        masks = []
        for (left, right), operator, place in zip(
            itertools.pairwise(measured), node.operators, node.operands[1:], strict=True
        ):
            self.check_comparable(left, right, node.start, place.start)
            masks.append(_compared(left, operator if holds else OPPOSITE[operator], right))
        return (np.logical_and if holds else np.logical_or).reduce(np.broadcast_arrays(*masks))

    def measured(self, node: Quantity, rows: slice) -> _Measured:
        if isinstance(node, Number):
            return self.number(node)
        if isinstance(node, Column):
            return self.column(node, rows)
        if isinstance(node, Sign):
            operand = self.measured(node.operand, rows)
            return _Measured(-_doubled(operand), operand.units, operand.single, operand.bare, operand.unknown)
        if isinstance(node, Power):
            base = self.measured(node.base, rows)
            units = {unit: power * node.exponent for unit, power in base.units.items() if node.exponent}
            return _Measured(_doubled(base) ** node.exponent, units, base.single, base.bare, base.unknown)
        if isinstance(node, Function):
            return self.function(node, rows)
        return self.arithmetic(node, rows)

    def number(self, node: Number) -> _Measured:
        if node.unit == "px" and self.table.pixel_size_nm is not None:
            return _Measured(node.value * self.table.pixel_size_nm, {"nm": 1})
        return _Measured(node.value, {node.unit: 1} if node.unit else {}, bare=not node.unit)

    def column(self, node: Column, rows: slice) -> _Measured:
        try:
            source = source_of(self.table, node.name)
        except FilterError as error:
            raise error.with_message(mistake(self.text, node.start, str(error))) from None
        values, single = values_in(self.table, source, rows)
        if source.unit == UNKNOWN:
            return _Measured(values, {}, single, unknown=True)
        return _Measured(values, {source.unit: 1} if source.unit else {}, single)

    def function(self, node: Function, rows: slice) -> _Measured:
        if node.name not in TABLE_FUNCTIONS:
            argument = self.measured(node.argument, rows)
            values, units = np.abs(_doubled(argument)), argument.units
            if node.name == "sqrt":
                values, units = np.sqrt(_doubled(argument)), {unit: power / 2 for unit, power in units.items()}
            return _Measured(values, units, argument.single, argument.bare, argument.unknown)
        if node not in self.known:
            argument = self.measured(node.argument, slice(None) if self.aggregates else slice(0, 0))
            values = np.atleast_1d(_doubled(argument))
            values = values[np.isfinite(values)]
            value = float(_AGGREGATES[node.name](values)) if len(values) else math.nan
            self.known[node] = _Measured(value, argument.units, argument.single, argument.bare, argument.unknown)
        return self.known[node]

    def arithmetic(self, node: Arithmetic, rows: slice) -> _Measured:
        left, right = self.measured(node.left, rows), self.measured(node.right, rows)
        values = _COMBINE[node.operator](_doubled(left), _doubled(right))
        single, bare = left.single or right.single, left.bare and right.bare
        if node.operator in "+-":
            self.check_comparable(left, right, node.start, node.right.start, "be added to or subtracted from")
            units = right.units if left.bare or left.unknown else left.units
            return _Measured(values, units, single, bare, left.unknown and (right.unknown or right.bare))
        sign = 1 if node.operator == "*" else -1
        powers = {u: left.units.get(u, 0) + sign * right.units.get(u, 0) for u in {*left.units, *right.units}}
        units = {unit: power for unit, power in powers.items() if power}
        return _Measured(values, units, single, bare, left.unknown or right.unknown)

    def check_comparable(
        self, left: _Measured, right: _Measured, start: int, place: int, what: str = "be compared with"
    ) -> None:
        """Raise an error unless two quantities have the same units, or one takes those of the other."""
        if left.units == right.units:
            return
        units = {*left.units, *right.units}
        if "px" in units and (left.bare or right.bare or "nm" in units):
            raise PixelSizeError(
                mistake(self.text, start, "a number is in nm unless it says px, and the pixel size is not known")
            )
        if left.bare or right.bare or ((left.unknown or right.unknown) and not units & {"nm", "px"}):
            return
        names = [_unit_text(left), _unit_text(right)]
        raise FilterError(mistake(self.text, place, f"{names[1]} cannot {what} {names[0]}"))


def _doubled(measured: _Measured) -> Any:
    return np.asarray(measured.values, np.float64)


def _compared(left: _Measured, operator: str, right: _Measured) -> Any:
    a, b = left.values, right.values
    if left.single or right.single:
        a, b = np.asarray(a).astype(np.float32, copy=False), np.asarray(b).astype(np.float32, copy=False)
    result = _COMPARE[operator](a, b)
    # Of all comparisons this alone holds for NaN.
    return result & (a == a) & (b == b) if operator == "!=" else result


def _unit_text(measured: _Measured) -> str:
    """Return what a quantity is measured in, for messages."""
    if measured.unknown:
        return "a column of unknown unit"
    if not measured.units:
        return "a number without unit"
    names = {"photon": "photons", "frame": "frames"}
    return " ".join(
        names.get(unit, unit) + ("" if power == 1 else f"^{power:g}") for unit, power in sorted(measured.units.items())
    )
