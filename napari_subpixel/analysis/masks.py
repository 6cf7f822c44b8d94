"""Which rows of one table pass, for one filter after the other: what did not change is not evaluated again."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.conditions import CHUNK_ROWS, ConditionOnTable
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.quantities import Source, source_of, values_in
from napari_subpixel.localizations import Localizations

#: Rows evaluated at a time: a busy viewer takes its turn between two parts, which a slider waits for.
PART_ROWS = 1 << 22
#: So many quantities are kept that a table has in other units, or not as a column.
KEPT_QUANTITIES = 2


class RowMasks:
    """The rows of a table that pass a filter, as a slider asks for them.

    The conditions of the latest filter are remembered with the rows that pass each, so that only one that changed is
    evaluated; quantities that have to be computed, such as an uncertainty in nm, are computed once. Threads may share
    it.

    Parameters
    ----------
    table : Localizations
    """

    def __init__(self, table: Localizations) -> None:
        self.table = table
        self._passing: dict[str, NDArray[np.bool_]] = {}
        self._computed: dict[Source, tuple[NDArray[Any], bool]] = {}
        self._lock = threading.RLock()

    def mask(self, rows_filter: Filter) -> NDArray[np.bool_]:
        """Say which rows pass, shape (len(table),).

        Raises
        ------
        FilterError
            If the table has no such column, or quantities are compared that have nothing in common.
        PixelSizeError
            If a length is compared with a number in nm, and the pixel size of the table is not known.
        """
        rows_filter.check(self.table)
        with self._lock:
            before, self._passing = self._passing, {}
            for part in rows_filter.parts:
                known = before.get(part.text)
                self._passing[part.text] = self._evaluated(part) if known is None else known
            masks = list(self._passing.values())
        passing = masks[0].copy()
        for mask in masks[1:]:
            passing &= mask
        return passing

    def values(self, name: str) -> NDArray[Any]:
        """Return a quantity of all rows in its unit, shape (len(table),); it may be the table's own array.

        Raises
        ------
        FilterError
            If the table has no such quantity.
        """
        return self._values(source_of(self.table, name))[0]

    def _evaluated(self, part: Filter) -> NDArray[np.bool_]:
        condition = ConditionOnTable(part.text, part.condition, self.table, values_of=self._values_of)
        return condition.mask_of_all(PART_ROWS)

    def _values_of(self, _: Localizations, source: Source, rows: slice) -> tuple[NDArray[Any], bool]:
        values, single = self._values(source)
        return values[rows], single

    def _values(self, source: Source) -> tuple[NDArray[Any], bool]:
        if len(source.columns) == 1 and not (source.in_pixels and source.unit == "nm"):
            return values_in(self.table, source)
        with self._lock:
            known = self._computed.pop(source, None) or self._compute(source)
            self._computed[source] = known  # the latest is the last to go
            while len(self._computed) > KEPT_QUANTITIES:
                self._computed.pop(next(iter(self._computed)))
        return known

    def _compute(self, source: Source) -> tuple[NDArray[Any], bool]:
        """Compute a quantity part by part, so that nothing else as long is in memory."""
        values: NDArray[Any] = np.empty(0)
        single = False
        for start in range(0, len(self.table), CHUNK_ROWS):
            some, single = values_in(self.table, source, slice(start, start + CHUNK_ROWS))
            if not start:
                values = np.empty(len(self.table), some.dtype)
            values[start : start + CHUNK_ROWS] = some
        return values, single
