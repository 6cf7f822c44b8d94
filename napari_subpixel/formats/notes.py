"""What a file says of its table besides the rows, as plain JSON: pixel size, frames, provenance, stand-ins."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import checked_pixel_size
from napari_subpixel.errors import InputError, TableWarning, shown
from napari_subpixel.localizations import REQUIRED

#: The key, in a file's metadata, under which this program's own notes lie.
PROGRAM = "napari-subpixel"


def from_about(about: Mapping[str, Any], *, stand_ins: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return the notes on a table, ready for JSON or YAML.

    Parameters
    ----------
    about : mapping
        What is known besides the rows: the keyword arguments of `Localizations`.
    stand_ins : mapping of str to str, optional
        Columns that the format demands and that were not measured, with what was written in their place.
    **more
        Further notes.

    Returns
    -------
    dict
        Plain strings, numbers, lists and mappings.
    """
    return plain({**about, "stand_ins": dict(stand_ins or {}), **more})


def to_about(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `Localizations` that notes hold; missing ones are None.

    Raises
    ------
    InputError
        If the number of frames, the pixel size, the frame shape or the provenance is of another kind.
    """
    n_frames, provenance = notes.get("n_frames"), notes.get("provenance") or {}
    size = notes.get("pixel_size_nm")
    if n_frames is not None and not _is_count(n_frames):
        raise InputError(f"n_frames must be a whole number, got {shown(n_frames)[:80]}")
    return {
        "pixel_size_nm": checked_pixel_size(size) if isinstance(size, list) else size,
        "frame_shape": checked_shape(notes.get("frame_shape")),
        "n_frames": n_frames,
        "provenance": named_entries(provenance, "provenance"),
    }


def named_entries(value: Any, name: str) -> dict[str, Any]:
    """Return what a file holds under a name, empty where there is nothing.

    Raises
    ------
    InputError
        If it is anything but entries with names.
    """
    if not isinstance(value or {}, dict):
        raise InputError(f"{name} must hold named entries, got {shown(value)[:80]}")
    return dict(value or {})


def with_left_out(
    path: str | Path, provenance: Mapping[str, Any] | None, finite: NDArray[np.bool_], *, stacklevel: int = 3
) -> dict[str, Any]:
    """Warn of the rows of a file that are left out, and return the provenance with their number.

    Parameters
    ----------
    path : path-like
        The file.
    provenance : mapping, optional
        That of the table.
    finite : ndarray of bool, shape (N,)
        Which rows are kept.
    stacklevel : int
        How far up the reader of the table was called.
    """
    n_left_out = int(len(finite) - finite.sum())
    message = f"{path}: {n_left_out:,} of {len(finite):,} rows without a finite frame, x or y left out"
    warnings.warn(message, TableWarning, stacklevel=stacklevel)
    return {**(provenance or {}), "rows_left_out": n_left_out}


def finite_rows(
    path: str | Path, columns: Mapping[str, NDArray[Any]], about: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    """Return columns without the rows whose frame, y or x is not finite; a warning and the provenance count those.

    Parameters
    ----------
    path : path-like
        The file.
    columns : mapping of str to ndarray, shape (N,)
        What it holds.
    about : dict
        What is known besides the rows; its provenance is replaced where rows are left out.
    """
    needed = [np.asarray(columns[name]) for name in REQUIRED if name in columns]
    if not all(values.dtype.kind in "iuf" and len(values) == len(needed[0]) for values in needed):
        return dict(columns)  # which is refused as it is
    finite = np.all([np.isfinite(values) for values in needed], axis=0)
    if finite.all():
        return dict(columns)
    about["provenance"] = with_left_out(path, about.get("provenance"), finite, stacklevel=5)
    return {name: np.asarray(values)[finite] for name, values in columns.items()}


def checked_shape(shape: Any) -> tuple[int, int] | None:
    """Return (height, width), or None where it is not known; raise `InputError` for what is neither."""
    if shape is None:
        return None
    if not isinstance(shape, list | tuple) or len(shape) != 2 or not all(_is_count(n) for n in shape):
        raise InputError(f"frame_shape must be two whole numbers (height, width), got {shown(shape)[:80]}")
    return shape[0], shape[1]


def plain(value: Any) -> Any:
    """Return the value as JSON would give it back: strings, numbers, lists and mappings."""
    return json.loads(json.dumps(value, default=_plain_leaf))


def to_json(notes: Any) -> str:
    """Write notes as text that a person can read."""
    return json.dumps(notes, indent=2) + "\n"


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot be noted in a file: {value!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
