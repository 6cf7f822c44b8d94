"""The one table of localizations: detections and ground truth alike, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util import records
from napari_subpixel.coordinates import (
    PixelSize,
    checked_frame_shape,
    checked_pixel_size,
    mean_pixel_size,
    pixel_length,
    pixel_size_text,
    same_pixel_size,
)
from napari_subpixel.errors import InputError, InvalidRowsError, PixelSizeError, suggest

#: Every standard column, with its type and meaning. The first three are always there.
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
    "n_frames": (np.int64, "of a linked molecule: frames in which it was detected"),
    "first_frame": (np.int64, "of a linked molecule: the first of them, counted from 0"),
    "last_frame": (np.int64, "of a linked molecule: the last of them, counted from 0"),
}
REQUIRED = ("frame", "y", "x")
#: Columns of a table that drift was subtracted from: how much of it, in nm, by the axis.
DRIFT_COLUMNS = {"y": "y_drift_nm", "x": "x_drift_nm", "z_nm": "z_drift_nm"}
#: A column whose name is at least this much like that of a standard one is taken for that one, misspelt.
MISSPELT_FROM = 0.8
#: The largest whole number in such a column; every one up to it is exact in a file's floating-point numbers too.
LARGEST_WHOLE = np.float64(2**53)


class Localizations:
    """Points in a movie: one row each, in camera pixels and frames, with whatever else was measured.

    Parameters
    ----------
    columns : DataFrame or mapping of str to array_like
        ``frame``, ``y`` and ``x`` are required, the other columns of `COLUMNS` are there only where really measured.
        Any other name is a column of your own; one that is nearly a standard name is refused as misspelt.
    extra : mapping of str to array_like, optional
        Further columns of your own, of any name that is not in `COLUMNS`.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, where known; height and width where they differ.
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
        extra: Mapping[str, ArrayLike] | None = None,
        pixel_size_nm: PixelSize | None = None,
        frame_shape: Sequence[int] | None = None,
        n_frames: int | None = None,
        provenance: Mapping[str, Any] | None = None,
        copy: bool = True,
    ) -> None:
        self._table = _checked_table(columns, extra or {}, copy)
        self._set_about(pixel_size_nm, frame_shape, n_frames, provenance)

    def _set_about(
        self,
        pixel_size_nm: PixelSize | None = None,
        frame_shape: Sequence[int] | None = None,
        n_frames: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.pixel_size_nm: PixelSize | None = None if pixel_size_nm is None else checked_pixel_size(pixel_size_nm)
        self.frame_shape = None if frame_shape is None else checked_frame_shape(frame_shape)
        self.n_frames = None if n_frames is None else _checked_count(n_frames)
        self.provenance: dict[str, Any] = dict(provenance or {})

    @classmethod
    def _of(cls, table: pd.DataFrame, **about: Any) -> Localizations:
        """Return a table of rows that were checked already."""
        localizations = cls.__new__(cls)
        localizations._table = table
        localizations._set_about(**about)
        return localizations

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
        """Names of the columns that are there, in the order of `COLUMNS`, and then your own."""
        return tuple(self._table.columns)

    @property
    def extra(self) -> tuple[str, ...]:
        """Names of the columns that are not in `COLUMNS`."""
        return tuple(name for name in self.columns if name not in COLUMNS)

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

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Sequence[bool] | NDArray[Any] | pd.Series) -> Localizations: ...
    def __getitem__(self, key: Any) -> NDArray[Any] | Localizations:
        """Return a column by its name, as an array of shape (len(self),), or rows as a table.

        Rows are given by a boolean mask, a slice or an array of indices, as in NumPy.

        Examples
        --------
        >>> found = Localizations({"frame": [0, 0, 1], "y": [1, 7, 2], "x": [3, 0, 4], "photons": [900, 500, 700]})
        >>> found[found["photons"] > 600].frame.tolist(), len(found[:2])
        ([0, 1], 2)
        """
        if isinstance(key, str):
            if key not in self._table.columns:
                raise KeyError(f"no column {key!r}; there are {', '.join(self.columns)}")
            return self._table[key].to_numpy()
        if isinstance(key, slice):
            return Localizations._of(self._table.iloc[key].reset_index(drop=True), **self.about)
        if np.ndim(key) == 0 or (isinstance(key, (list, tuple)) and any(isinstance(k, str) for k in key)):
            raise KeyError(f"expected the name of a column, or rows as a mask, slice or array of indices, got {key!r}")
        return self.select(key)

    def __repr__(self) -> str:
        size = "unknown" if self.pixel_size_nm is None else pixel_size_text(self.pixel_size_nm)
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
        chosen = self._table.iloc[_positions(rows, len(self))]
        return Localizations._of(chosen.reset_index(drop=True), **self.about)

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
        """Return the table with these columns added or replaced, row by row; a single number goes to every row.

        A name that is no standard one makes a column of your own; one that is nearly a standard name is refused as
        misspelt, unless the table has such a column already (`with_extra` takes it).
        """
        own = {name: columns.pop(name) for name in self.extra if name in columns}
        return self._with(columns, own)

    def with_extra(self, extra: Mapping[str, ArrayLike]) -> Localizations:
        """Return the table with columns of your own added or replaced, of any name that is not in `COLUMNS`.

        Parameters
        ----------
        extra : mapping of str to array_like
            One number for each row, or one for all.

        Raises
        ------
        InputError
            If a name is that of a standard column, or a column has another length or holds no numbers.
        """
        return self._with({}, extra)

    def _with(self, columns: Mapping[str, ArrayLike], extra: Mapping[str, ArrayLike]) -> Localizations:
        def filled(new: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
            return {name: np.full(len(self), v) if np.ndim(v) == 0 else np.asarray(v) for name, v in new.items()}

        standard = {name: self[name] for name in self.columns if name in COLUMNS}
        own = {name: self[name] for name in self.extra}
        return Localizations({**standard, **filled(columns)}, extra={**own, **filled(extra)}, **self.about)

    def with_about(self, **about: Any) -> Localizations:
        """Return the same rows with another pixel size, frame shape, number of frames or provenance."""
        return Localizations._of(self._table, **{**self.about, **about})

    def known_pixel_size_nm(self) -> PixelSize:
        """Return the pixel size, or raise `PixelSizeError` where it is not known."""
        if self.pixel_size_nm is None:
            raise PixelSizeError("the pixel size of the localizations is not known")
        return self.pixel_size_nm

    def on_square_pixels(self) -> tuple[Localizations, float]:
        """Return the table as if its pixels were squares of the same area, and their width in nm.

        All lengths in nm, areas, and photons per pixel are the same. The frames of such a table have no whole number of
        pixels: its frame shape is not known. A table of square pixels is returned as it is.

        Raises
        ------
        PixelSizeError
            If the pixel size is not known.

        Examples
        --------
        >>> table = Localizations({"frame": [0], "y": [30.0], "x": [40.0]}, pixel_size_nm=(160, 90))
        >>> square, size_nm = table.on_square_pixels()
        >>> size_nm, square.yx.tolist()
        (120.0, [[40.0, 30.0]])
        """
        size = self.known_pixel_size_nm()
        mean = mean_pixel_size(size)
        if not isinstance(size, tuple):
            return self, mean
        scaled = {
            name: self[name] * (pixel_length(name, size) / mean)
            for name in ("y", "x", "y_uncertainty", "x_uncertainty")
            if name in self
        }
        return self.with_columns(**scaled).with_about(pixel_size_nm=mean, frame_shape=None), mean


def concat(tables: Sequence[Localizations], *, frames: Literal["keep", "append"] = "keep") -> Localizations:
    """Join tables of the same columns.

    Parameters
    ----------
    tables : sequence of Localizations
        Parts of one movie, or tables of several.
    frames : {"keep", "append"}
        Whether frame numbers stay as they are, as for parts of one movie, or each table's frames follow those of the
        one before, as for movies that were recorded one after another; that needs their number of frames.

    Returns
    -------
    Localizations
        The pixel size and frame shape are the first table's. So is the provenance where all that have one have the
        same; else it has one entry, ``sources``, with the provenance of each. The number of frames is the sum where
        frames are appended, else the largest.

    Raises
    ------
    InputError
        If there is no table, their columns or pixel sizes differ, or frames are to be appended and the number of frames
        of a table is not known.

    Examples
    --------
    >>> first, second = (Localizations({"frame": [4], "y": [1], "x": [x]}, n_frames=5) for x in (1, 2))
    >>> joined = concat([first, second], frames="append")
    >>> joined.frame.tolist(), joined.n_frames
    ([4, 9], 10)
    """
    if not tables:
        raise InputError("nothing to join: no tables were given")
    if frames not in ("keep", "append"):
        raise InputError(f"frames must be 'keep' or 'append', got {frames!r}")
    first = tables[0]
    for other in tables[1:]:
        if other.columns != first.columns:
            raise InputError(f"cannot join tables with columns {first.columns} and {other.columns}")
        one, another = first.pixel_size_nm, other.pixel_size_nm
        if one is not None and another is not None and not same_pixel_size(one, another, within=1e-6):
            sizes = f"{pixel_size_text(one)} and {pixel_size_text(another)}"
            raise InputError(f"cannot join tables with pixels of {sizes}")
    counts = [table.n_frames for table in tables if table.n_frames is not None]
    known = len(counts) == len(tables)
    parts = [table.table for table in tables]
    n_frames = max(counts) if known else None
    if frames == "append":
        if not known:
            raise InputError("frames cannot be appended: the number of frames of a table is not known")
        starts = np.cumsum([0, *counts[:-1]])
        parts = [part.assign(frame=part["frame"] + start) for part, start in zip(parts, starts, strict=True)]
        n_frames = sum(counts)
    about = {**first.about, "n_frames": n_frames, "provenance": _joined_provenance(tables)}
    return Localizations._of(pd.concat(parts, ignore_index=True), **about)


def _joined_provenance(tables: Sequence[Localizations]) -> dict[str, Any]:
    known = [table.provenance for table in tables if table.provenance]
    return {"sources": known} if any(provenance != known[0] for provenance in known) else known[0] if known else {}


@dataclass(frozen=True)
class LocalizationParts:
    """A table in parts, of which one at a time has to be in memory.

    Attributes
    ----------
    tables : callable
        Returns the parts in their order, at every call; there is at least one, and all have the same columns.
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


def _checked_table(
    columns: pd.DataFrame | Mapping[str, ArrayLike], extra: Mapping[str, ArrayLike], copy: bool
) -> pd.DataFrame:
    names = list(columns.keys())
    for name in names:
        if name not in COLUMNS:
            _check_own_name(name)
    for name in extra:
        if name in COLUMNS or name in names or not isinstance(name, str):
            raise InputError(f"{name!r} cannot be a column of your own")
    for name in REQUIRED:
        if name not in names:
            raise InputError(f"missing column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    ordered = [name for name in COLUMNS if name in names] + [name for name in names if name not in COLUMNS]
    arrays = {name: _checked_column(name, np.asarray(columns[name])) for name in ordered}
    arrays |= {name: _checked_column(name, np.asarray(values)) for name, values in extra.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns differ in length: {lengths}")
    if (
        isinstance(columns, pd.DataFrame)
        and not extra
        and names == ordered
        and all(columns[name].dtype == arrays[name].dtype for name in names)
    ):
        return columns.reset_index(drop=True)  # which pandas copies when it is written to, and not before
    return pd.DataFrame(arrays, copy=copy)


def _check_own_name(name: object) -> None:
    """Refuse a name that is nearly that of a standard column, or no text."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"unknown column {name!r}")
    if meant := suggest(name.lower(), COLUMNS, MISSPELT_FROM):
        raise InputError(f"unknown column {name!r}{meant}")


def _checked_column(name: str, values: NDArray[Any]) -> NDArray[Any]:
    dtype = COLUMNS[name][0] if name in COLUMNS else None
    if values.ndim != 1:
        raise InputError(f"column {name!r} must be one-dimensional, got shape {values.shape}")
    if not values.size:
        return values.astype(dtype or (values.dtype if values.dtype.kind in "iufb" else np.float64))
    if values.dtype.kind == "O" and all(isinstance(cell, (int, float)) for cell in values.tolist()):
        values = np.array(values.tolist())
    if values.dtype.kind not in "iufb":
        cells = values.tolist()
        row = next((row for row, cell in enumerate(cells) if not _is_number(cell)), 0)
        raise InputError(f"column {name!r} must hold numbers, got {cells[row]!r} in row {row}")
    if name in REQUIRED or dtype is np.int64:
        _check_values(name, values, whole=dtype is np.int64)
    return values if dtype is None else values.astype(dtype, copy=False)


def _check_values(name: str, values: NDArray[Any], *, whole: bool) -> None:
    # The extremes show that most columns are good, without an array as long as they are.
    lowest, highest = values.min(), values.max()
    if name in REQUIRED and not (np.isfinite(lowest) and np.isfinite(highest)):
        _check_rows(name, values, np.isfinite(values), "be finite", InvalidRowsError)
    if whole and (values.dtype.kind == "f" or lowest < 0 or highest > LARGEST_WHOLE):
        good = (values == np.floor(values)) & (values >= 0) & (values <= LARGEST_WHOLE)
        _check_rows(name, values, good, "hold whole numbers from 0 to 2**53")


def _check_rows(
    name: str, values: NDArray[Any], good: NDArray[np.bool_], what: str, error: type[InputError] = InputError
) -> None:
    if not good.all():
        row, bad = int(good.argmin()), int(len(good) - good.sum())
        more = f" and {bad - 1:,} more" if bad > 1 and error is InvalidRowsError else ""
        raise error(f"column {name!r} must {what}, got {values[row]} in row {row}{more}")


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
