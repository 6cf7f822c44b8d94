"""Picasso's hdf5 and the yaml beside it: pixels with the first centre at 0, frames from 0."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import InputError, TableWarning
from napari_subpixel.formats import notes
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.formats.picasso_columns import (
    ALWAYS_WRITTEN,
    HOLDS,
    count_hidden,
    our_columns,
    picasso_rows,
    precision_stand_in,
    squared,
    unsquared,
)
from napari_subpixel.formats.picasso_description import foreign_notes, last_entry, read_description, yaml_file
from napari_subpixel.formats.picasso_writing import survey, write_hdf5
from napari_subpixel.localizations import COLUMNS, LocalizationParts, Localizations

__all__ = ["ALWAYS_WRITTEN", "HOLDS", "hidden_rows", "outputs", "precision_stand_in", "read", "read_about", "write"]


def outputs(path: str | Path) -> tuple[Path, ...]:
    """Return the files that a table is written to, the table first."""
    return Path(path), yaml_file(path)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None, skip_invalid: bool = False) -> Localizations:
    """Read a table that Picasso or this program wrote.

    Parameters
    ----------
    path : path-like
        The hdf5 file; its description is the yaml beside it or, without one, the JSON inside it.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width, in place of the one in the file.
    skip_invalid : bool
        Whether rows without a finite frame, y or x are left out, with a warning.

    Returns
    -------
    Localizations
        Its rows; ``sigma`` is the mean of ``sx`` and ``sy``. Columns that this program filled with stand-ins are left
        out again. Of molecules, whose frame is the mean of those that they were in, it is rounded, with a warning, and
        kept as it is in the column ``mean_frame``.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        rows = _rows(path, file)
        info = read_description(path, file)
    with naming(path):
        ours = notes.named_entries(last_entry(info, notes.PROGRAM), notes.PROGRAM)
        about = notes.to_about(ours if ours else foreign_notes(info))
        noted = about["pixel_size_nm"] if ours else None
        if pixel_size_nm is not None:
            about["pixel_size_nm"] = pixel_size_nm
        columns = our_columns(rows, notes.named_entries(ours.get("stand_ins"), "stand_ins"))
        if isinstance(noted, tuple):
            columns = {name: unsquared(name, values, noted) for name, values in columns.items()}
        if skip_invalid:
            columns = notes.finite_rows(path, columns, about)
        _round_frames(path, columns)
        extra = {name: columns.pop(name) for name in list(columns) if name not in COLUMNS}
        return Localizations(columns, extra=extra, **about)


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a table of ours says of itself besides its rows; of another program's, nothing."""
    path = Path(path)
    with open_hdf5(path) as file:
        info = read_description(path, file)
    with naming(path):
        return notes.to_about(notes.named_entries(last_entry(info, notes.PROGRAM), notes.PROGRAM))


def write(path: str | Path, localizations: Localizations | LocalizationParts, *, overwrite: bool = False) -> None:
    """Write a table that ``picasso.io.load_locs`` opens, and its yaml.

    Columns that Picasso requires and that were not measured get stand-ins, which the description lists: 0, except
    ``lpx`` and ``lpy``, which Picasso draws with (see `precision_stand_in`). An unknown frame shape is written as the
    smallest that holds all points. Picasso knows square pixels alone: a table of others is written in squares of the
    same area, so that all is right in nm, which the description says and `read` undoes.

    Parameters
    ----------
    path : path-like
        The hdf5 file; ``<stem>.yaml`` comes beside it.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If a file exists and may not be replaced, or it cannot be written.
    """
    table, description = outputs(path)
    for file in (table, description):
        check_can_write(file, overwrite=overwrite)
    parts = LocalizationParts.of(localizations)
    in_squares = squared(parts)
    with atomic_output(table) as draft:
        info = write_hdf5(draft, in_squares, survey(in_squares), parts.about)
        with atomic_output(description) as beside:  # in place before the table, which alone makes it look whole
            # In ASCII: Picasso reads it in whatever encoding the machine prefers.
            beside.write_text(yaml.safe_dump_all(info, sort_keys=False), encoding="ascii")


def hidden_rows(localizations: Localizations) -> int:
    """Return how many rows of a table Picasso will not show.

    Picasso skips a row in which any value is not finite, ``x`` or ``y`` is below 0 or not below the frame's
    width or height, or photons, widths or precisions are below 0. So it does not show the outer half of the first row
    and the first column of pixels.

    Examples
    --------
    >>> hidden_rows(Localizations({"frame": [0, 0], "y": [3.0, -0.25], "x": [7.5, 2.0]}))
    1
    """
    in_squares = squared(LocalizationParts.of(localizations))
    whole = survey(in_squares)
    return sum(count_hidden(picasso_rows(part, whole.measured)[0], whole.frame_shape) for part in in_squares)


def _rows(path: Path, file: Any) -> NDArray[Any]:
    """Return the compound dataset ``/locs``."""
    if "locs" not in file:
        raise InputError(f"{path}: no /locs in it; there are {', '.join(map(repr, file)) or 'no entries'}")
    names = getattr(getattr(file["locs"], "dtype", None), "names", None)
    if names is None:
        raise InputError(f"{path}: /locs must be a table with named columns")
    missing = [name for name in ("frame", "x", "y") if name not in names]
    if missing:
        raise InputError(f"{path}: missing column {', '.join(map(repr, missing))}; there are {', '.join(names)}")
    return file["locs"][()]


def _round_frames(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Round frames that are means over several, keep them beside, and warn."""
    frames = columns["frame"]
    if frames.dtype.kind != "f" or not np.isfinite(frames).all() or (frames == np.floor(frames)).all():
        return
    row = int(np.argmax(frames != np.floor(frames)))
    columns["frame"], columns["mean_frame"] = np.rint(frames), frames
    message = f"{path}: frames are means over several ({frames[row]:g} in row {row}): rounded, and kept as 'mean_frame'"
    warnings.warn(message, TableWarning, stacklevel=5)
