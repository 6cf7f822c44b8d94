"""Density: how many rows of a table lie near each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.analysis.filters import noted
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

#: Rows counted by one thread at a time.
BLOCK_ROWS = 1 << 14
#: Cells of the search have at least this share of the field's width, so that their numbers stay exact.
SMALLEST_CELL = 2.0**-30


def count_neighbours(table: Localizations, radius_nm: float, *, at_most: int | None = None) -> NDArray[np.int64]:
    """Count the other rows within a distance of each, of all frames.

    Parameters
    ----------
    table : Localizations
        Its pixel size must be known.
    radius_nm : float
        The distance in nm, itself included.
    at_most : int, optional
        Stop counting here, which is quicker where rows are dense.

    Returns
    -------
    ndarray of int64, shape (len(table),)

    Raises
    ------
    InputError
        If the radius is not positive, or the pixel size is not known.

    Examples
    --------
    >>> table = Localizations({"frame": [0, 1, 2], "y": [0, 0, 0], "x": [0, 0.5, 3]}, pixel_size_nm=100)
    >>> count_neighbours(table, 50).tolist()
    [1, 1, 0]
    """
    radius = records.number("neighbours", "radius_nm", radius_nm)
    if radius <= 0:
        raise InputError(f"the radius must be positive, got {radius:g} nm")
    table, size_nm = table.on_square_pixels()
    counts = np.zeros(len(table), np.int64)
    if not len(table):
        return counts
    y, x = (values - values.min() for values in (table.y * size_nm, table.x * size_nm))
    cell = max(radius * (1 + 1e-9), SMALLEST_CELL * max(y.max(), x.max()))
    columns = int(x.max() / cell) + 3
    key = (y / cell).astype(np.int64) * columns + (x / cell).astype(np.int64) + 1
    order = np.argsort(key, kind="stable")
    key, y, x = key[order], y[order], x[order]
    limit = len(table) if at_most is None else int(at_most)
    sorted_counts = np.zeros(len(table), np.int64)

    def count(start: int) -> None:
        _count(key, y, x, columns, radius, limit, start, min(start + BLOCK_ROWS, len(key)), sorted_counts)

    on_all_processors(count, range(0, len(key), BLOCK_ROWS))
    counts[order] = sorted_counts
    return counts


def keep_dense(table: Localizations, *, min_neighbours: int, radius_nm: float) -> Localizations:
    """Return the rows with at least so many others near them.

    Parameters
    ----------
    table : Localizations
        Its pixel size must be known.
    min_neighbours : int
        Least number of other rows, of all frames, within the radius.
    radius_nm : float
        The radius in nm.

    Returns
    -------
    Localizations
        Number and radius are added to ``filters`` in its provenance.

    Raises
    ------
    InputError
        If the number is negative, the radius is not positive, or the pixel size is not known.
    """
    if isinstance(min_neighbours, bool) or int(min_neighbours) != min_neighbours or min_neighbours < 0:
        raise InputError(f"the least number of neighbours is a whole number from 0, got {min_neighbours!r}")
    counts = count_neighbours(table, radius_nm, at_most=min_neighbours)
    kept = table.select(counts >= min_neighbours)
    return noted(table, kept, min_neighbours=int(min_neighbours), radius_nm=float(radius_nm))


@compiled
def _count(
    key: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    columns: int,
    radius: float,
    at_most: int,
    first: int,
    stop: int,
    counts: NDArray[np.int64],
) -> None:
    for i in range(first, stop):
        n = 0
        for row in range(-1, 2):
            middle = key[i] + row * columns
            start = np.searchsorted(key, middle - 1)
            for j in range(start, len(key)):
                if key[j] > middle + 1 or n >= at_most:
                    break
                if j != i and (y[j] - y[i]) ** 2 + (x[j] - x[i]) ** 2 <= radius * radius:
                    n += 1
        counts[i] = n
