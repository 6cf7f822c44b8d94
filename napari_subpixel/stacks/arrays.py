"""Movies that are already arrays: numpy, dask, Zarr, HDF5, or anything with a shape that can be sliced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_subpixel.errors import AxesError
from napari_subpixel.stacks.axes import checked_dtype, frame_axes


class ArraySource:
    """Frames of an array-like with named axes.

    Parameters
    ----------
    array : array-like
        Has ``shape`` and ``dtype`` and can be indexed by one slice or number per axis.
    name : str
        The movie, for messages.
    axes : str, optional
        A letter for every axis; by default (Y, X) or (T, Y, X).
    files : sequence of Path
        Files whose size and time show whether the array has changed, where it is in files.
    closing : closeable, optional
        What to close with the movie.
    fixed : (int, int), optional
        An axis of which one place only is part of the movie, such as that of channels, and that place.
    """

    def __init__(
        self,
        array: Any,
        name: str,
        *,
        axes: str | None = None,
        files: Sequence[Path] = (),
        closing: Any = None,
        fixed: tuple[int, int] | None = None,
    ) -> None:
        shape = tuple(int(n) for n in array.shape)
        kept = tuple(1 if fixed is not None and axis == fixed[0] else n for axis, n in enumerate(shape))
        self._axes = frame_axes(name, axes or _default_axes(name, shape, array.dtype), kept)
        self._fixed = fixed
        self._array = array
        self._ndim = len(shape)
        self._closing = closing
        n_frames = 1 if self._axes.time is None else shape[self._axes.time]
        self.shape = (n_frames, shape[self._axes.y], shape[self._axes.x])
        self.dtype = checked_dtype(name, array.dtype)
        self.files = files

    def read(self, frames: range, rows: range) -> NDArray[Any]:
        """Return these rows of these frames, shape (len(frames), len(rows), X)."""
        key: list[int | slice] = [0] * self._ndim
        if self._fixed is not None:
            key[self._fixed[0]] = self._fixed[1]
        if self._axes.time is not None:
            key[self._axes.time] = slice(frames.start, frames.stop)
        key[self._axes.y] = slice(rows.start, rows.stop)
        key[self._axes.x] = slice(None)
        taken = self._array[tuple(key)]
        if hasattr(taken, "__dask_graph__"):
            # Without the callbacks that are registered for the process: napari's cache of dask arrays takes a chunk
            # that another thread has just dropped from it for one that is there.
            taken = taken.compute(callbacks=())
        part = np.asarray(taken).astype(self.dtype, copy=False)
        return part if self._axes.time is not None else part[np.newaxis]

    @property
    def time(self) -> int | None:
        """Which axis of the array is time; None where there is a single frame."""
        return self._axes.time

    def close(self) -> None:
        """Close the file that the array is in, where there is one."""
        if self._closing is not None:
            self._closing.close()


def _default_axes(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> str:
    """Letters for an array that does not name its axes: y and x come last, of the others one may be longer than 1."""
    outer = shape[:-2]
    colours = len(shape) > 2 and shape[-1] in (3, 4) and (len(shape) > 3 or np.dtype(dtype) == np.uint8)
    if len(shape) < 2 or sum(n != 1 for n in outer) > 1 or colours:
        hint = "; it looks like a colour image" if colours else ""
        raise AxesError(f"{name}: expected a (T, Y, X) stack, got shape {shape}{hint}")
    time = time_axis(outer)
    return "".join("T" if axis == time else "Q" for axis in range(len(outer))) + "YX"


def time_axis(outer: Sequence[int]) -> int | None:
    """Which axis before y and x is time: the one that is longer than 1, else the last one; None where there is none.

    Examples
    --------
    >>> time_axis((50,)), time_axis((1, 50, 1)), time_axis((1, 1)), time_axis(())
    (0, 1, 1, None)
    """
    longer = [axis for axis, n in enumerate(outer) if n != 1]
    return longer[0] if longer else len(outer) - 1 if outer else None
