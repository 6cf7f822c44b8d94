"""Conditions of a filter on the rows of a table: which of them pass, with the units of all that is compared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.expressions import (
    TABLE_FUNCTIONS,
    Arithmetic,
    Column,
    Condition,
    Function,
    Logical,
    Not,
    Number,
    Power,
    Quantity,
    Sign,
    mistake,
)
from napari_subpixel.analysis.quantities import UNKNOWN, Source, source_of, values_in
from napari_subpixel.coordinates import pixel_length, pixel_size_text
from napari_subpixel.errors import FilterError, PixelSizeError
from napari_subpixel.localizations import Localizations

#: Rows evaluated at a time.
CHUNK_ROWS = 1 << 18
#: Each comparison, and the one that holds where it does not; with NaN neither does, but for the last.
OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
#: What each comparison does.
_COMPARE = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
#: What each arithmetic operator does.
_COMBINE = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}
#: What each function of all rows does.
_AGGREGATES: Mapping[str, Callable[[NDArray[Any]], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "std": np.std,
    "min": np.min,
    "max": np.max,
}
#: A function that gives a quantity of some rows, and whether the table has it in single precision.
ValuesOf: TypeAlias = Callable[[Localizations, Source, slice], tuple[NDArray[Any], bool]]
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
    #: Of a length in nm: that of a pixel in its direction, where it has one.
    pixel_nm: float | None = None

    def changed(self, values: Any, units: _Units) -> _Measured:
        """Return what a function of the values is, in no direction unless it has the same units."""
        return replace(self, values=values, units=units, pixel_nm=self.pixel_nm if units == self.units else None)


class ConditionOnTable:
    """A condition on one table: its sources, and its numbers of all rows.

    Parameters
    ----------
    text : str
        The expression, for messages.
    condition : Comparison, Not or Logical
        Its tree.
    table : Localizations
    aggregates : bool
        Whether numbers of all rows, such as a mean, are computed; without them units are checked, and no row passes.
    values_of : callable
        Gives a quantity of some rows, as `values_in` does.
    """

    def __init__(
        self,
        text: str,
        condition: Condition,
        table: Localizations,
        *,
        aggregates: bool = True,
        values_of: ValuesOf = values_in,
    ) -> None:
        self._text, self._condition, self._table = text, condition, table
        self._aggregates, self._values_of = aggregates, values_of
        self._known: dict[Function, _Measured] = {}

    def mask(self, rows: slice) -> NDArray[np.bool_]:
        """Say which of some rows pass.

        Raises
        ------
        FilterError
            If the table has no such column, or quantities are compared that have nothing in common.
        PixelSizeError
            If a length is compared with a number in nm, and the pixel size of the table is not known.
        """
        n = len(range(*rows.indices(len(self._table))))
        with np.errstate(all="ignore"):
            return np.broadcast_to(self._passes(self._condition, rows, True), n)

    def mask_of_all(self, chunk_rows: int | None = None) -> NDArray[np.bool_]:
        """Say which rows of the table pass, as `mask` does, some rows at a time."""
        step = chunk_rows or CHUNK_ROWS
        passing = np.empty(len(self._table), np.bool_)
        for start in range(0, len(passing), step):
            passing[start : start + step] = self.mask(slice(start, start + step))
        return passing

    def _passes(self, node: Condition, rows: slice, holds: bool) -> Any:
        """Say which rows are known to meet a condition or, where `holds` is off, known not to."""
        if isinstance(node, Not):
            return self._passes(node.operand, rows, not holds)
        if isinstance(node, Logical):
            all_of = (node.operator == "&") == holds
            masks = [self._passes(operand, rows, holds) for operand in node.operands]
            return (np.logical_and if all_of else np.logical_or).reduce(np.broadcast_arrays(*masks))
        measured = [self._measured(operand, rows) for operand in node.operands]
        masks = []
        for (first, second), operator, place in zip(
            itertools.pairwise(measured), node.operators, node.operands[1:], strict=True
        ):
            left, right = _in_one_unit(first, second)
            self._check_comparable(left, right, node.start, place.start)
            masks.append(_compared(left, operator if holds else OPPOSITE[operator], right))
        return (np.logical_and if holds else np.logical_or).reduce(np.broadcast_arrays(*masks))

    def _measured(self, node: Quantity, rows: slice) -> _Measured:
        if isinstance(node, Number):
            return self._number(node)
        if isinstance(node, Column):
            return self._column(node, rows)
        if isinstance(node, Sign):
            operand = self._measured(node.operand, rows)
            return operand.changed(-_doubled(operand), operand.units)
        if isinstance(node, Power):
            base = self._measured(node.base, rows)
            units = {unit: power * node.exponent for unit, power in base.units.items() if node.exponent}
            return base.changed(_doubled(base) ** node.exponent, units)
        if isinstance(node, Function):
            return self._function(node, rows)
        return self._arithmetic(node, rows)

    def _number(self, node: Number) -> _Measured:
        if node.unit == "px" and (size := self._table.pixel_size_nm) is not None:
            if isinstance(size, tuple):  # in which direction, what it is compared with says
                return _Measured(node.value, {"px": 1})
            return _Measured(node.value * size, {"nm": 1})
        return _Measured(node.value, {node.unit: 1} if node.unit else {}, bare=not node.unit)

    def _column(self, node: Column, rows: slice) -> _Measured:
        try:
            source = source_of(self._table, node.name)
        except FilterError as error:
            raise error.with_message(mistake(self._text, node.start, str(error))) from None
        values, single = self._values_of(self._table, source, rows)
        if source.unit == UNKNOWN:
            return _Measured(values, {}, single, unknown=True)
        return _Measured(values, {source.unit: 1} if source.unit else {}, single, pixel_nm=self._pixel_nm(source))

    def _pixel_nm(self, source: Source) -> float | None:
        """Return the length of a pixel in the direction of a quantity; that of several directions is their mean."""
        if not source.in_pixels or self._table.pixel_size_nm is None:
            return None
        axis = source.columns[0] if len(source.columns) == 1 else ""
        return pixel_length(axis, self._table.pixel_size_nm)

    def _function(self, node: Function, rows: slice) -> _Measured:
        if node.name not in TABLE_FUNCTIONS:
            argument = self._measured(node.argument, rows)
            values, units = np.abs(_doubled(argument)), argument.units
            if node.name == "sqrt":
                values, units = np.sqrt(_doubled(argument)), {unit: power / 2 for unit, power in units.items()}
            return argument.changed(values, units)
        if node not in self._known:
            argument = self._measured(node.argument, slice(None) if self._aggregates else slice(0, 0))
            values = np.atleast_1d(_doubled(argument))
            values = values[np.isfinite(values)]
            value = float(_AGGREGATES[node.name](values)) if len(values) else math.nan
            self._known[node] = argument.changed(value, argument.units)
        return self._known[node]

    def _arithmetic(self, node: Arithmetic, rows: slice) -> _Measured:
        left, right = _in_one_unit(self._measured(node.left, rows), self._measured(node.right, rows))
        values = _COMBINE[node.operator](_doubled(left), _doubled(right))
        single, bare = left.single or right.single, left.bare and right.bare
        if node.operator in "+-":
            self._check_comparable(left, right, node.start, node.right.start, "be added to or subtracted from")
            units = right.units if left.bare or left.unknown else left.units
            unknown = left.unknown and (right.unknown or right.bare)
            return _Measured(values, units, single, bare, unknown, _common_direction(left, right))
        sign = 1 if node.operator == "*" else -1
        powers = {u: left.units.get(u, 0) + sign * right.units.get(u, 0) for u in {*left.units, *right.units}}
        units = {unit: power for unit, power in powers.items() if power}
        along = left.pixel_nm if units == left.units else None
        along = right.pixel_nm if units == right.units and along is None else along
        return _Measured(values, units, single, bare, left.unknown or right.unknown, along)

    def _check_comparable(
        self, left: _Measured, right: _Measured, start: int, place: int, what: str = "be compared with"
    ) -> None:
        """Raise an error unless two quantities have the same units, or one takes those of the other."""
        if left.units == right.units:
            return
        units = {*left.units, *right.units}
        if "px" in units and isinstance(self._table.pixel_size_nm, tuple):
            size = pixel_size_text(self._table.pixel_size_nm)
            words = f"a length in no one direction must be in nm where pixels are of {size}"
            raise FilterError(mistake(self._text, place, words))
        if "px" in units and (left.bare or right.bare or "nm" in units):
            raise PixelSizeError(
                mistake(self._text, start, "a number is in nm unless it says px, and the pixel size is not known")
            )
        if left.bare or right.bare or ((left.unknown or right.unknown) and not units & {"nm", "px"}):
            return
        names = [_unit_text(left), _unit_text(right)]
        raise FilterError(mistake(self._text, place, f"{names[1]} cannot {what} {names[0]}"))


def _in_one_unit(left: _Measured, right: _Measured) -> tuple[_Measured, _Measured]:
    """Return two quantities, lengths in px as nm where those of the other one say in which direction."""
    for one, other in ((left, right), (right, left)):
        if one.units == {"px": 1} and other.pixel_nm is not None and "nm" in other.units:
            in_nm = _Measured(_doubled(one) * other.pixel_nm, {"nm": 1}, one.single, pixel_nm=other.pixel_nm)
            return (in_nm, other) if one is left else (other, in_nm)
    return left, right


def _common_direction(left: _Measured, right: _Measured) -> float | None:
    """Return the length of a pixel in the direction of a sum: that of both, or of the one that has a direction."""
    if left.bare or right.bare:
        return right.pixel_nm if left.bare else left.pixel_nm
    return left.pixel_nm if left.pixel_nm == right.pixel_nm else None


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
