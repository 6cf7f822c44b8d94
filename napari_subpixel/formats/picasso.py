"""Picasso's hdf5 and the yaml beside it: pixels with the first centre at 0, frames from 0."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write, open_input
from napari_subpixel._util.records import naming
from napari_subpixel._util.yaml_text import load_documents
from napari_subpixel.coordinates import (
    PixelSize,
    home_pixel,
    mean_pixel_size,
    pixel_length,
    pixel_size_text,
    pixel_size_yx,
)
from napari_subpixel.errors import InputError, TableWarning
from napari_subpixel.formats import notes
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.localizations import COLUMNS, LocalizationParts, Localizations

#: Picasso's columns, in its order, and the column of ours that each holds, for reading and writing; any other column is
#: kept under its name.
HOLDS = {
    "frame": "frame",
    "x": "x",
    "y": "y",
    "photons": "photons",
    "sx": "sigma",
    "sy": "sigma",
    "bg": "background",
    "lpx": "x_uncertainty",
    "lpy": "y_uncertainty",
    "net_gradient": "net_gradient",
    "z": "z_nm",
    "probability": "probability",
    "class_index": "class_index",
    "n": "n_frames",
    "first_frame": "first_frame",
    "last_frame": "last_frame",
}
#: Picasso's time on of a linked molecule, in frames, which follows from the first and the last.
TIME_ON = "len"
#: Columns that every Picasso file has.
ALWAYS_WRITTEN = ("frame", "x", "y", "photons", "sx", "sy", "bg", "lpx", "lpy", "net_gradient")
#: Columns in which Picasso does not show a row with a value below 0.
NOT_NEGATIVE = ("x", "y", "photons", "sx", "sy", "lpx", "lpy")
#: Precision, in pixels, that is written where neither it nor what it follows from was measured: Picasso draws each
#: point this wide.
PRECISION_STAND_IN = 0.1


def yaml_file(path: str | Path) -> Path:
    """Return the file beside an hdf5 table that describes it: ``<stem>.yaml``."""
    return Path(path).with_suffix(".yaml")


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
        info = _read_info(path, file)
    with naming(path):
        ours = notes.named_entries(_last_entry(info, notes.PROGRAM), notes.PROGRAM)
        about = notes.to_about(ours if ours else _foreign_notes(info))
        noted = about["pixel_size_nm"] if ours else None
        if pixel_size_nm is not None:
            about["pixel_size_nm"] = pixel_size_nm
        columns = _our_columns(rows, notes.named_entries(ours.get("stand_ins"), "stand_ins"))
        if isinstance(noted, tuple):
            columns = {name: _unsquared(name, values, noted) for name, values in columns.items()}
        if skip_invalid:
            columns = notes.finite_rows(path, columns, about)
        _round_frames(path, columns)
        extra = {name: columns.pop(name) for name in list(columns) if name not in COLUMNS}
        return Localizations(columns, extra=extra, **about)


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a table of ours says of itself besides its rows; of another program's, nothing."""
    path = Path(path)
    with open_hdf5(path) as file:
        info = _read_info(path, file)
    with naming(path):
        return notes.to_about(notes.named_entries(_last_entry(info, notes.PROGRAM), notes.PROGRAM))


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
    squared = _squared(parts)
    with atomic_output(table) as draft:
        info = _write_hdf5(draft, squared, _survey(squared), parts.about)
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
    squared = _squared(LocalizationParts.of(localizations))
    survey = _survey(squared)
    return sum(_count_hidden(_picasso_rows(part, survey.measured)[0], survey.frame_shape) for part in squared)


def precision_stand_in(localizations: Localizations) -> tuple[NDArray[np.float64], str]:
    """Return a precision in pixels where none was measured, and a description of it.

    It is the bound that photon noise alone sets, ``sqrt((sigma**2 + 1/12) / photons)`` (Thompson, Larson and Webb
    2002, doi:10.1016/S0006-3495(02)75618-X, Eq. 17 without background), where width and photons were measured, and
    else `PRECISION_STAND_IN`.
    """
    if "sigma" not in localizations or "photons" not in localizations:
        return np.full(len(localizations), PRECISION_STAND_IN), f"{PRECISION_STAND_IN} px, not measured"
    sigma, photons = (localizations[name].astype(np.float64) for name in ("sigma", "photons"))
    lit = photons > 0
    bound = np.full(len(localizations), PRECISION_STAND_IN)
    bound[lit] = np.sqrt((sigma[lit] ** 2 + 1 / 12) / photons[lit])
    return bound, f"sqrt((sigma^2 + 1/12) / photons) px, not measured; {PRECISION_STAND_IN} px without photons"


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


def _our_columns(rows: NDArray[Any], stand_ins: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Return our columns, where two of Picasso's hold one of ours their mean, and all others with numbers."""
    columns: dict[str, NDArray[Any]] = {}
    names = rows.dtype.names or ()
    for ours in dict.fromkeys([*COLUMNS, *HOLDS.values()]):
        there = [name for name, held in HOLDS.items() if held == ours and name in names]
        if there and not stand_ins.keys() & set(there):
            columns[ours] = rows[there[0]] if len(there) == 1 else np.mean([rows[name] for name in there], axis=0)
    for name in names:
        known = name in HOLDS or name in COLUMNS or name in stand_ins
        if not known and rows[name].ndim == 1 and rows[name].dtype.kind in "iufb":
            columns[name] = rows[name]
    return columns


def _round_frames(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Round frames that are means over several, keep them beside, and warn."""
    frames = columns["frame"]
    if frames.dtype.kind != "f" or not np.isfinite(frames).all() or (frames == np.floor(frames)).all():
        return
    row = int(np.argmax(frames != np.floor(frames)))
    columns["frame"], columns["mean_frame"] = np.rint(frames), frames
    message = f"{path}: frames are means over several ({frames[row]:g} in row {row}): rounded, and kept as 'mean_frame'"
    warnings.warn(message, TableWarning, stacklevel=5)


def _read_info(path: Path, file: Any) -> list[dict[str, Any]]:
    """Return the description: that of the yaml beside the file first, as Picasso does, else the JSON inside."""
    beside = yaml_file(path)
    if beside.exists():
        return _checked_info(beside, _read_yaml(beside))
    if "metadata" not in file:
        raise InputError(f"{path}: its description {beside.name} is not beside it, and there is no /metadata in it")
    try:
        return _checked_info(path, json.loads(file["metadata"][()]))
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: /metadata is not JSON: {error}") from None


def _read_yaml(path: Path) -> Any:
    try:
        with open_input(path) as file:
            return load_documents(file.read().decode(), _PlainLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not YAML: {error}") from None


def _checked_info(path: Path, documents: Any) -> list[dict[str, Any]]:
    if isinstance(documents, list) and all(isinstance(document, dict) for document in documents):
        return documents
    raise InputError(f"{path}: expected Picasso's description, documents with named entries such as 'Frames: 100'")


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that reads Python's own tags, which Picasso writes for tuples, as plain lists and strings."""


def _plain_node(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return node.value


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain_node)


def _last_entry(info: list[dict[str, Any]], key: str) -> Any:
    """Return the entry of the last document that has one, as Picasso looks it up."""
    return next((document[key] for document in reversed(info) if document.get(key)), None)


def _foreign_notes(info: list[dict[str, Any]]) -> dict[str, Any]:
    height, width = _last_entry(info, "Height"), _last_entry(info, "Width")
    made_by = [str(document["Generated by"]) for document in info if "Generated by" in document]
    return {
        "pixel_size_nm": _last_entry(info, "Pixelsize"),
        "frame_shape": None if height is None or width is None else (height, width),
        "n_frames": _last_entry(info, "Frames"),
        "provenance": {"generated_by": made_by} if made_by else {},
    }


class _Survey(NamedTuple):
    """What must be known of the whole table before its first row is written."""

    n_rows: int
    measured: set[str]
    frame_shape: tuple[int, int]
    n_frames: int


def _survey(parts: LocalizationParts) -> _Survey:
    """Go through a table once; a frame shape that is not known is the smallest that holds all points."""
    n_rows, last, measured, far = 0, 0, set[str](), np.zeros(2)
    for part in parts:
        n_rows += len(part)
        measured |= {name for name in part.columns if np.isfinite(part[name]).any()}
        far = np.maximum(far, [np.max(part.y, initial=0.0), np.max(part.x, initial=0.0)])
        last = max(last, int(np.max(part.frame, initial=0)))
    height, width = parts.about.get("frame_shape") or (int(home_pixel(v)) + 1 for v in far)
    # Picasso takes 0 frames as not given and refuses the file.
    n_frames = max(parts.about.get("n_frames") or last + 1, 1)
    return _Survey(n_rows, measured if n_rows else set(parts.columns), (height, width), n_frames)


def _picasso_rows(part: Localizations, measured: set[str]) -> tuple[NDArray[Any], dict[str, str]]:
    """Return the rows as Picasso's compound type, and the stand-ins among the columns."""
    names = [name for name, ours in HOLDS.items() if name in ALWAYS_WRITTEN or ours in measured]
    own = [name for name in part.extra if name in measured and name not in HOLDS]
    types = [(name, "<u4" if _is_count(name) else "<f4") for name in names]
    has_time_on = {"first_frame", "last_frame"} <= measured and TIME_ON not in own
    types += [(TIME_ON, "<u4")] if has_time_on else []
    rows = np.zeros(len(part), types + [(name, part[name].dtype) for name in own])
    stand_ins: dict[str, str] = {}
    if has_time_on:
        rows[TIME_ON] = part["last_frame"] - part["first_frame"] + 1
        stand_ins[TIME_ON] = "last_frame - first_frame + 1"
    for name in names:
        ours = HOLDS[name]
        if ours in measured:
            rows[name] = part[ours]
        elif name in ("lpx", "lpy"):
            rows[name], stand_ins[name] = precision_stand_in(part)
        else:
            stand_ins[name] = "0, not measured"
    for name in own:
        rows[name] = part[name]
    return rows, stand_ins


def _is_count(name: str) -> bool:
    ours = HOLDS[name]
    return ours in COLUMNS and COLUMNS[ours][0] is np.int64


def _count_hidden(rows: NDArray[Any], shape: tuple[int, int]) -> int:
    shown = (rows["y"] < shape[0]) & (rows["x"] < shape[1])
    for name in rows.dtype.names or ():
        shown &= np.isfinite(rows[name])
        if name in NOT_NEGATIVE:
            shown &= rows[name] >= 0
    return int(len(rows) - shown.sum())


def _squared(parts: LocalizationParts) -> LocalizationParts:
    """Return a table in square pixels, with the smallest frame of these that holds the whole one."""
    size, shape = parts.about.get("pixel_size_nm"), parts.about.get("frame_shape")
    if not isinstance(size, tuple):
        return parts
    about = {**parts.about, "pixel_size_nm": mean_pixel_size(size)}
    if shape is not None:
        lengths = zip(shape, pixel_size_yx(size), strict=True)
        about["frame_shape"] = tuple(int(np.ceil(n * length / mean_pixel_size(size))) for n, length in lengths)
    return LocalizationParts(lambda: (part.on_square_pixels()[0] for part in parts), about)


def _unsquared(name: str, values: NDArray[Any], size_nm: PixelSize) -> NDArray[Any]:
    """Return a column in the camera's pixels, from one in square pixels."""
    if name not in ("y", "x", "y_uncertainty", "x_uncertainty"):
        return values
    return values * (mean_pixel_size(size_nm) / pixel_length(name, size_nm))


def _info(
    about: Mapping[str, Any],
    survey: _Survey,
    stand_ins: dict[str, str],
    hidden: int,
    in_camera_pixels: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the description: what Picasso needs, then our own notes, of the table as it is in the camera's pixels."""
    height, width = survey.frame_shape
    movie = {"Generated by": notes.PROGRAM, "Frames": survey.n_frames, "Height": height, "Width": width}
    if about.get("pixel_size_nm") is not None:
        movie["Pixelsize"] = about["pixel_size_nm"]
    more: dict[str, Any] = {"rows_picasso_does_not_show": hidden}
    if isinstance(size := in_camera_pixels.get("pixel_size_nm"), tuple):
        more["pixels"] = f"of {pixel_size_text(size)}; those of this table are squares of the same area"
    ours = notes.from_about(in_camera_pixels, stand_ins=stand_ins, **more)
    return [movie, {"Generated by": notes.PROGRAM, notes.PROGRAM: ours}]


def _write_hdf5(
    path: Path, parts: LocalizationParts, survey: _Survey, in_camera_pixels: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Write rows and description, and return the description."""
    import h5py

    first_row, hidden, dataset = 0, 0, None
    with _FailureKeepingFile(path) as content, content.raising_its_failure(), h5py.File(content, "w") as file:
        for part in parts:
            rows, stand_ins = _picasso_rows(part, survey.measured)
            if dataset is None:
                dataset = file.create_dataset("locs", (survey.n_rows,), rows.dtype)
            dataset[first_row : first_row + len(rows)] = rows
            first_row += len(rows)
            hidden += _count_hidden(rows, survey.frame_shape)
        info = _info(parts.about, survey, stand_ins, hidden, in_camera_pixels)
        file.create_dataset("metadata", data=json.dumps(info))
    return info


class _FailureKeepingFile(io.BufferedRandom):
    """A file that keeps the error with which writing failed: HDF5 does not report a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "w+"))
        self.failure: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            written = super().write(content)
            self.flush()
        except OSError as error:
            self.failure = self.failure or error
            raise
        return written

    @contextmanager
    def raising_its_failure(self) -> Iterator[None]:
        """Raise the error that was kept in place of the one that HDF5 makes of it."""
        try:
            yield
        except Exception:
            if self.failure is not None:
                raise self.failure from None
            raise
