"""The one table of localizations: detections and ground truth alike, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util import records
from napari_subpixel.coordinates import checked_frame_shape, checked_pixel_size
from napari_subpixel.errors import InputError, PixelSizeError, suggest

#: Every column the table may have, with its type and meaning. The first three are always there.
COLUMNS: dict[str, tuple[type, str]] = {
    "frame": (np.int64, "frame number, counted from 0"),
    "y": (np.float64, "row, pixels; the first pixel's centre is 0"),
    "x": (np.float64, "column, pixels; the first pixel's centre is 0"),
    "probability": (np.float32, "probability that the molecule exists"),
    "photons": (np.float32, "detected photons"),
    "background": (np.float32, "background, photons per pixel"),
    "y_uncertainty": (np.float32, "one standard deviation of y, pixels"),
    "x_uncertainty": (np.float32, "one standard deviation of x, pixels"),
    "sigma": (np.float32, "standard deviation of the point spread function, pixels"),
    "z_nm": (np.float32, "axial position, nm"),
    "class_index": (np.int64, "class of the point, where a model knows several, counted from 0"),
}
REQUIRED = ("frame", "y", "x")
#: The largest whole number in such a column; every one up to it is exact in a file's floating-point numbers too.
LARGEST_WHOLE = np.float64(2**53)


class Localizations:
    """Points in a movie: one row each, in camera pixels and frames, with whatever else was measured.

    Parameters
    ----------
    columns : DataFrame or mapping of str to array_like
        Columns named in `COLUMNS`; ``frame``, ``y`` and ``x`` are required, the others are there only where really
        measured.
    pixel_size_nm : float, optional
        Width of a camera pixel in nm, where known.
    frame_shape : (int, int), optional
        (height, width) of the frames that the points came from, in pixels, where known.
    n_frames : int, optional
        Number of frames of the movie, where known.
    provenance : mapping, optional
        Where the table came from: program version, model, camera, threshold, movie. Plain strings, numbers, lists and
        mappings.
    copy : bool
        False keeps arrays of the right types as they are; do not write to them afterwards. A data frame in which all
        types are right is never copied; pandas does so when it is written to.

    Raises
    ------
    InputError
        If a column is missing, misspelt, of unequal length, or holds what it may not.

    Examples
    --------
    >>> found = Localizations({"frame": [0, 0, 1], "y": [1.5, 7.0, 2.0], "x": [3.25, 0.0, 4.0]}, pixel_size_nm=100)
    >>> len(found), found.columns
    (3, ('frame', 'y', 'x'))
    """

    def __init__(
        self,
        columns: pd.DataFrame | Mapping[str, ArrayLike],
        *,
        pixel_size_nm: float | None = None,
        frame_shape: Sequence[int] | None = None,
        n_frames: int | None = None,
        provenance: Mapping[str, Any] | None = None,
        copy: bool = True,
    ) -> None:
        self._table = _checked_table(columns, copy)
        self.pixel_size_nm = None if pixel_size_nm is None else checked_pixel_size(pixel_size_nm)
        self.frame_shape = None if frame_shape is None else checked_frame_shape(frame_shape)
        self.n_frames = None if n_frames is None else _checked_count(n_frames)
        self.provenance: dict[str, Any] = dict(provenance or {})

    @classmethod
    def empty(cls, columns: Iterable[str] = REQUIRED, **about: Any) -> Localizations:
        """Return a table with these columns and no rows."""
        return cls({name: [] for name in columns}, **about)

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a data frame; a copy is not made, so do not write to it."""
        return self._table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are there, in the order of `COLUMNS`."""
        return tuple(self._table.columns)

    @property
    def about(self) -> dict[str, Any]:
        """Everything that is known besides the rows, as keyword arguments for a new table."""
        return {
            "pixel_size_nm": self.pixel_size_nm,
            "frame_shape": self.frame_shape,
            "n_frames": self.n_frames,
            "provenance": self.provenance,
        }

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, column: str) -> bool:
        return column in self._table.columns

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return one column as an array of shape (len(self),)."""
        try:
            return self._table[column].to_numpy()
        except KeyError:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}") from None

    def __repr__(self) -> str:
        size = "unknown" if self.pixel_size_nm is None else f"{self.pixel_size_nm:g} nm"
        return f"<Localizations: {len(self)} rows ({', '.join(self.columns)}), pixel size {size}>"

    @property
    def frame(self) -> NDArray[np.int64]:
        """Frame numbers, counted from 0."""
        return self["frame"]

    @property
    def y(self) -> NDArray[np.float64]:
        """Rows, in pixels."""
        return self["y"]

    @property
    def x(self) -> NDArray[np.float64]:
        """Columns, in pixels."""
        return self["x"]

    @property
    def yx(self) -> NDArray[np.float64]:
        """Positions in pixels, shape (len(self), 2)."""
        return np.column_stack([self.y, self.x])

    def select(self, rows: ArrayLike) -> Localizations:
        """Return the rows named by a boolean mask or an index array, with everything else kept."""
        return Localizations(self._table.iloc[_positions(rows, len(self))], **self.about)

    def in_frames(self, start: int | None = None, stop: int | None = None) -> Localizations:
        """Return the rows of frames `start` up to but without `stop`; None leaves that end open."""
        keep = np.ones(len(self), bool)
        if start is not None:
            keep &= self.frame >= start
        if stop is not None:
            keep &= self.frame < stop
        return self.select(keep)

    def above(self, probability: float) -> Localizations:
        """Return the rows of at least this probability, which becomes the ``threshold`` of the provenance.

        The result is what a detection with this threshold would have given. One with a lower threshold would have
        given rows that this table never had, so a threshold below the table's own is refused.

        Raises
        ------
        InputError
            If the table has no probabilities, or the threshold is below the one it was made with.
        """
        threshold = records.number("localizations", "probability", probability)
        if "probability" not in self:
            raise InputError(f"there is no column 'probability' to choose rows by; there are {', '.join(self.columns)}")
        made_with = self.provenance.get("threshold")
        # Compared as the column holds it, so that the threshold it was made with is not below itself.
        if isinstance(made_with, (int, float)) and np.float32(threshold) < np.float32(made_with):
            raise InputError(
                f"points of a probability below {made_with:g} were never reported, so there are none from "
                f"{threshold:g} on: detect again with this threshold"
            )
        rows = self.select(self["probability"] >= np.float32(threshold))
        return rows.with_about(provenance={**self.provenance, "threshold": threshold})

    def with_columns(self, **columns: ArrayLike) -> Localizations:
        """Return the table with these columns added or replaced, row by row; a single number goes to every row."""
        new = {name: np.full(len(self), v) if np.ndim(v) == 0 else np.asarray(v) for name, v in columns.items()}
        return Localizations({**{name: self[name] for name in self.columns}, **new}, **self.about)

    def with_about(self, **about: Any) -> Localizations:
        """Return the same rows with another pixel size, frame shape, number of frames or provenance."""
        return Localizations(self._table, **{**self.about, **about})

    def known_pixel_size_nm(self) -> float:
        """Return the pixel size, or raise `InputError` where it is not known."""
        if self.pixel_size_nm is None:
            raise PixelSizeError("the pixel size of the localizations is not known")
        return self.pixel_size_nm


def concat(tables: Sequence[Localizations]) -> Localizations:
    """Join tables of the same columns; what is known besides the rows comes from the first.

    Raises
    ------
    InputError
        If there is no table, or their columns differ.
    """
    if not tables:
        raise InputError("nothing to join: no tables were given")
    first = tables[0]
    for other in tables[1:]:
        if other.columns != first.columns:
            raise InputError(f"cannot join tables with columns {first.columns} and {other.columns}")
    return Localizations(pd.concat([t.table for t in tables], ignore_index=True), **first.about)


@dataclass(frozen=True)
class LocalizationParts:
    """A table in parts, of which one at a time has to be in memory.

    Attributes
    ----------
    tables : callable
        Returns the parts in their order, anew each time; there is at least one, and all have the same columns.
    about : mapping
        What is known of the whole besides its rows, as keyword arguments of `Localizations`.

    Examples
    --------
    >>> parts = LocalizationParts.of(Localizations({"frame": [0, 3], "y": [1.0, 2.0], "x": [3.0, 4.0]}, n_frames=5))
    >>> [len(part) for part in parts], parts.columns, parts.about["n_frames"]
    ([2], ('frame', 'y', 'x'), 5)
    """

    tables: Callable[[], Iterable[Localizations]]
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Localizations | LocalizationParts) -> LocalizationParts:
        """Return a table as the only part of itself, and parts as they are."""
        return table if isinstance(table, LocalizationParts) else cls(lambda: (table,), table.about)

    def __iter__(self) -> Iterator[Localizations]:
        """Yield the parts, each knowing what is known of the whole.

        Raises
        ------
        InputError
            If there are no parts, or their columns differ.
        """
        columns: tuple[str, ...] | None = None
        for part in self.tables():
            if columns is not None and part.columns != columns:
                raise InputError(f"cannot join tables with columns {columns} and {part.columns}")
            columns = part.columns
            yield part.with_about(**self.about)
        if columns is None:
            raise InputError("nothing to join: no tables were given")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return next(iter(self)).columns


def _checked_table(columns: pd.DataFrame | Mapping[str, ArrayLike], copy: bool) -> pd.DataFrame:
    names = list(columns.keys())
    for name in names:
        if name not in COLUMNS:
            raise InputError(f"unknown column {name!r}{suggest(str(name), COLUMNS)}")
    for name in REQUIRED:
        if name not in names:
            raise InputError(f"missing column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    ordered = [name for name in COLUMNS if name in names]
    arrays = {name: _checked_column(name, np.asarray(columns[name])) for name in ordered}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns differ in length: {lengths}")
    if isinstance(columns, pd.DataFrame) and names == ordered and all(_has_its_type(columns[name]) for name in names):
        return columns.reset_index(drop=True)  # which pandas copies when it is written to, and not before
    return pd.DataFrame(arrays, copy=copy)


def _has_its_type(column: pd.Series) -> bool:
    return bool(column.dtype == COLUMNS[str(column.name)][0])


def _checked_column(name: str, values: NDArray[Any]) -> NDArray[Any]:
    dtype = COLUMNS[name][0]
    if values.ndim != 1:
        raise InputError(f"column {name!r} must be one-dimensional, got shape {values.shape}")
    if not values.size:
        return values.astype(dtype)
    if values.dtype.kind == "O" and all(isinstance(cell, (int, float)) for cell in values.tolist()):
        values = np.array(values.tolist())
    if values.dtype.kind not in "iufb":
        cells = values.tolist()
        row = next((row for row, cell in enumerate(cells) if not _is_number(cell)), 0)
        raise InputError(f"column {name!r} must hold numbers, got {cells[row]!r} in row {row}")
    if name in REQUIRED or dtype is np.int64:
        _check_values(name, values, whole=dtype is np.int64)
    return values.astype(dtype, copy=False)


def _check_values(name: str, values: NDArray[Any], *, whole: bool) -> None:
    # The extremes show that most columns are good, without an array as long as they are.
    lowest, highest = values.min(), values.max()
    if name in REQUIRED and not (np.isfinite(lowest) and np.isfinite(highest)):
        _check_rows(name, values, np.isfinite(values), "be finite")
    if whole and (values.dtype.kind == "f" or lowest < 0 or highest > LARGEST_WHOLE):
        good = (values == np.floor(values)) & (values >= 0) & (values <= LARGEST_WHOLE)
        _check_rows(name, values, good, "hold whole numbers from 0 to 2**53")


def _check_rows(name: str, values: NDArray[Any], good: NDArray[np.bool_], what: str) -> None:
    if not good.all():
        row = int(good.argmin())
        raise InputError(f"column {name!r} must {what}, got {values[row]} in row {row}")


def _is_number(value: Any) -> bool:
    """Say whether a value is a number, or text that reads as one: a reader that met one bad cell keeps all as text."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _checked_count(n_frames: int) -> int:
    try:
        count = int(n_frames)
    except (TypeError, ValueError, OverflowError):
        count = -1
    if count != n_frames or count < 0:
        raise InputError(f"number of frames must be a whole number from 0, got {n_frames!r}")
    return count


def _positions(rows: ArrayLike, length: int) -> NDArray[Any]:
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "biu"):
        raise ValueError(f"rows must be a mask or an array of indices, got {rows.dtype} of shape {rows.shape}")
    if rows.dtype == bool:
        if rows.shape != (length,):
            raise ValueError(f"a mask must have shape ({length},), got {rows.shape}")
        return np.flatnonzero(rows)
    return rows.astype(np.int64, copy=False)
