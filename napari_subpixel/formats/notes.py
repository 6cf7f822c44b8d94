"""What a file says of its table besides the rows, as plain JSON: pixel size, frames, provenance, stand-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_subpixel.errors import InputError

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
        If the number of frames, the frame shape or the provenance is of another kind.
    """
    n_frames, provenance = notes.get("n_frames"), notes.get("provenance") or {}
    if n_frames is not None and not _is_count(n_frames):
        raise InputError(f"n_frames must be a whole number, got {n_frames!r}")
    if not isinstance(provenance, dict):
        raise InputError(f"provenance must hold named entries, got {provenance!r}")
    return {
        "pixel_size_nm": notes.get("pixel_size_nm"),
        "frame_shape": checked_shape(notes.get("frame_shape")),
        "n_frames": n_frames,
        "provenance": provenance,
    }


def checked_shape(shape: Any) -> tuple[int, int] | None:
    """Return (height, width), or None where it is not known; raise `InputError` for what is neither."""
    if shape is None:
        return None
    if not isinstance(shape, list | tuple) or len(shape) != 2 or not all(_is_count(n) for n in shape):
        raise InputError(f"frame_shape must be two whole numbers (height, width), got {shape!r}")
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
