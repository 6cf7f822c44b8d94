"""`Localizations`: rows of points, what is known of them, and selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

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
)
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations.columns import COLUMNS, REQUIRED, checked_table


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
        self._table = checked_table(columns, extra or {}, copy)
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
    def of_checked(cls, table: pd.DataFrame, **about: Any) -> Localizations:
        """Return a table of rows that were checked already, as a part of another table is."""
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
            return Localizations.of_checked(self._table.iloc[key].reset_index(drop=True), **self.about)
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
        return Localizations.of_checked(chosen.reset_index(drop=True), **self.about)

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
        return Localizations.of_checked(self._table, **{**self.about, **about})

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
