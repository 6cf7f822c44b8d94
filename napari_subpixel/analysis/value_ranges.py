"""What values a table has of the quantities of a filter, in words, for one that keeps all rows or none."""

from __future__ import annotations

import numpy as np

from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.quantities import source_of, values_in
from napari_subpixel.localizations import Localizations

#: Units as they are written after a number; others are not.
WRITTEN = {"nm": " nm", "px": " px", "photon": " photons"}


def value_ranges(rows_filter: Filter, table: Localizations) -> str:
    """Return the lowest and highest value of every quantity of a filter, each with its unit.

    Parameters
    ----------
    rows_filter : Filter
    table : Localizations
        The rows before they are filtered.

    Raises
    ------
    FilterError
        If the table has no such column.
    PixelSizeError
        If a quantity is in nm, the table in pixels, and their size is not known.

    Examples
    --------
    >>> table = Localizations(
    ...     {"frame": [0, 0], "y": [1, 2], "x": [3, 4], "photons": [500, 900], "x_uncertainty": [0.04, 0.25]},
    ...     pixel_size_nm=100,
    ... )
    >>> value_ranges(Filter.of("uncertainty < 0.05 | photons > 2000"), table)
    'uncertainty is 4 to 25 nm in the table, photons is 500 to 900 photons'
    """
    words = [_range_of(name, table) for name in rows_filter.columns]
    return ", ".join([f"{words[0]} in the table", *words[1:]]) if words else ""


def _range_of(name: str, table: Localizations) -> str:
    source = source_of(table, name)
    values, _ = values_in(table, source)
    values = values[np.isfinite(values)]
    if not len(values):
        return f"{name} has no value"
    unit = WRITTEN.get(source.unit, "")
    low, high = (f"{float(end):.4g}" for end in (values.min(), values.max()))
    return f"{name} is {low}{unit}" if low == high else f"{name} is {low} to {high}{unit}"
