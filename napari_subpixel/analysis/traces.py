"""Traces, the files of curves of drift: what lies beside them, and whether one belongs to a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_subpixel._util.files import atomic_output, protocol_file
from napari_subpixel.analysis.stretches import listed_stretches, where_known
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import DRIFT_COLUMNS, Localizations

if TYPE_CHECKING:
    from napari_subpixel.analysis.drift_curve import DriftCurve

#: What the file beside a trace says that it is.
KIND = "trace of drift"
#: What of a table's provenance a curve that is estimated from it keeps.
SOURCE = ("program", "movie", "movie_bytes", "movie_frames_sha256", "frames", "roi")
#: Frames that a trace may go on for after the last row, as a part of those up to it, where nothing says how long the
#: movie is.
FRAMES_AFTER = 0.1
#: Most stretches of frames that a warning names one by one.
MOST_NAMED = 3
#: Difference in nm from which on a trace is not what was subtracted from a table.
SUBTRACTED_WITHIN_NM = 0.01
#: An error of the curve larger than this part of the median uncertainty is worth a warning.
WORTH_WARNING = 0.5


def trace_outputs(path: str | Path) -> tuple[Path, Path]:
    """Return the files that a trace is written to: the csv, and what it cannot hold beside it."""
    return Path(path), protocol_file(path)


def source_of_table(table: Localizations) -> dict[str, Any]:
    """Return what of a table's provenance a curve keeps that is estimated from it."""
    return {name: table.provenance[name] for name in SOURCE if table.provenance.get(name) is not None}


def write_notes(path: Path, curve: DriftCurve) -> None:
    """Write what a trace cannot hold beside it: of what movie it is, by what, and in which frames there were rows."""
    notes = {
        "kind": KIND,
        "method": curve.method,
        "n_frames": len(curve),
        "frames_with_rows": [list(stretch) for stretch in curve.stretches] or None,
        "jumps": list(curve.jumps),
        "source": dict(curve.source),
    }
    with atomic_output(protocol_file(path)) as draft:
        draft.write_text(json.dumps(notes, indent=2, default=str) + "\n", encoding="utf-8")


def read_notes(path: str | Path, n_frames: int) -> dict[str, Any]:
    """Return the stretches, jumps and source of a trace that was written here; nothing of another one.

    Parameters
    ----------
    path : path-like
        The trace.
    n_frames : int
        Frames that it has: notes on a trace of other length are of one that was replaced.
    """
    try:
        notes = json.loads(protocol_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(notes, dict) or notes.get("kind") != KIND or notes.get("n_frames") != n_frames:
        return {}
    try:
        stretches = tuple((int(start), int(stop)) for start, stop in notes.get("frames_with_rows") or ())
        jumps = tuple(int(frame) for frame in notes.get("jumps") or ())
    except (TypeError, ValueError):
        return {}
    source = notes.get("source")
    return {"stretches": stretches, "jumps": jumps, "source": source if isinstance(source, dict) else {}}


def check_fits(curve: DriftCurve, table: Localizations, trace: str | Path, name: str | Path) -> list[str]:
    """Refuse a trace of a movie of another length than a table's, and return what makes it doubtful.

    Parameters
    ----------
    curve : DriftCurve
        As it was read.
    table : Localizations
    trace, name : path-like
        Names of both.

    Returns
    -------
    list of str
        Warnings: a trace of another movie, rows in frames of which the trace knows nothing, and an error that is large
        for the rows; empty where all is well.

    Raises
    ------
    InputError
        If the trace has a different number of frames from the table's movie.
    """
    of_trace, of_table = _movie_of(curve.source), _movie_of(table.provenance)
    if table.n_frames is not None and table.n_frames != len(curve):
        raise InputError(
            f"{trace}: a trace of {len(curve):,} frames{of_trace}, and {name} is of a movie of {table.n_frames:,} "
            f"frames{of_table}"
        )
    warnings = []
    if _is_other_movie(curve.source, table.provenance):
        warnings.append(f"{trace}: the drift is that{of_trace}, and {name} is a table{of_table}")
    if not len(table):
        return warnings
    frame = table.frame
    last = int(frame.max())
    if table.n_frames is None and len(curve) - 1 - last > FRAMES_AFTER * (last + 1):
        warnings.append(
            f"{trace}: a trace of {len(curve):,} frames, and the last row of {name} is in frame {last:,}: is it of "
            "this movie?"
        )
    return [*warnings, *_where_not_known(curve, table, trace, name), *_if_large(curve, table, trace, name)]


def check_was_subtracted(curve: DriftCurve, table: Localizations, trace: str | Path, name: str | Path) -> list[str]:
    """Return a warning where the drift that was subtracted from a table is not that of a trace; it may have no rows."""
    pairs = [(DRIFT_COLUMNS[axis], along) for axis, along in (("y", curve.y_nm), ("x", curve.x_nm))]
    if not len(table) or not all(column in table for column, _ in pairs) or table.frame.max() >= len(curve):
        return []
    if "n_frames" in table and (table["n_frames"] > 1).any():  # molecules of several frames
        return []
    off = max(
        float(np.abs(np.asarray(table[column], np.float64) - along[table.frame]).max()) for column, along in pairs
    )
    if off <= SUBTRACTED_WITHIN_NM:
        return []
    return [f"{trace}: is not the drift that was subtracted from {name}: they differ by up to {off:.3g} nm"]


def _movie_of(provenance: Mapping[str, Any]) -> str:
    movie = provenance.get("movie")
    return f" of {movie}" if movie else ""


def _is_other_movie(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two provenances are of different movies: by their frames, else by their names; not where unknown."""
    for name in ("movie_frames_sha256", "movie"):
        if one.get(name) and other.get(name):
            return bool(one[name] != other[name])
    return False


def _where_not_known(curve: DriftCurve, table: Localizations, trace: str | Path, name: str | Path) -> list[str]:
    """Warn of rows in frames in which the trace had none."""
    known = where_known(curve.stretches, len(curve))
    frame = table.frame[table.frame < len(curve)]
    outside = frame[~known[frame]]
    if not len(outside):
        return []
    there = np.unique(outside)
    cut = np.flatnonzero(np.diff(there) > 1)
    runs = tuple(zip(there[[0, *(cut + 1)]].tolist(), (there[[*cut, -1]] + 1).tolist(), strict=True))
    where = listed_stretches(runs if len(runs) <= MOST_NAMED else ((int(there[0]), int(there[-1]) + 1),))
    return [
        f"{trace}: {len(outside):,} of {len(table):,} rows of {name} are in {where}, where the trace had none: its "
        f"error there is {curve.rms_error_in_nm(there):.3g} nm RMS"
    ]


def _if_large(curve: DriftCurve, table: Localizations, trace: str | Path, name: str | Path) -> list[str]:
    """Warn of an error that is large compared with the uncertainty of the rows."""
    if "x_uncertainty" not in table or table.pixel_size_nm is None:
        return []
    square, size_nm = table.on_square_pixels()
    median = float(np.nanmedian(np.asarray(square["x_uncertainty"], np.float64))) * size_nm
    frames = np.unique(table.frame)
    error = curve.rms_error_in_nm(frames[frames < len(curve)])
    if not error > WORTH_WARNING * median:
        return []
    return [
        f"{trace}: in the frames of {name} the curve is known to {error:.3g} nm only, and the rows to {median:.3g} nm"
    ]
