"""A curve of drift with its errors: a record, its file, and a table corrected by it and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write, open_input, reading
from napari_subpixel._util.records import set_field
from napari_subpixel.analysis.spans import spans
from napari_subpixel.analysis.stretches import Stretch, where_known
from napari_subpixel.analysis.traces import read_notes, trace_outputs, write_notes
from napari_subpixel.coordinates import pixel_length
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import DRIFT_COLUMNS, Localizations

#: Columns of a trace's file, in order; those of z only where there is one.
TRACE_COLUMNS = ("frame", "x_nm", "y_nm", "z_nm", "x_error_nm", "y_error_nm", "z_error_nm")
#: Decimals of a trace's file.
TRACE_DECIMALS = 4


@dataclass(frozen=True, eq=False)
class DriftCurve:
    """How far the sample had moved in every frame, by one number for each frame from 0 on, nm.

    Attributes
    ----------
    x_nm, y_nm : ndarray of float64, shape (T,)
        Drift, 0 in the first frame.
    x_error_nm, y_error_nm : ndarray of float64, shape (T,)
        One standard deviation of the drift less its mean over the movie: a shift of the whole movie blurs nothing.
    z_nm, z_error_nm : ndarray of float64, shape (T,), optional
        The same along the optical axis.
    method : str
        ``molecules``, ``fiducials``, or ``trace`` of a curve that was read from a file.
    jumps : tuple of int
        The first frames after a jump.
    fiducials : tuple of (float, float)
        Where the fiducials that were followed are, y and x in pixels: the median over the movie.
    stretches : tuple of (int, int)
        Stretches of the movie with rows: the first frame of each and the one after its last; none where it is not
        known which. In the other frames the curve goes on as a straight line, and its errors grow.
    source : mapping of str to object
        The provenance of the table that it was estimated from: above all its ``movie``.
    warnings : tuple of str
        What the result should be taken with.
    """

    x_nm: NDArray[np.float64]
    y_nm: NDArray[np.float64]
    x_error_nm: NDArray[np.float64]
    y_error_nm: NDArray[np.float64]
    z_nm: NDArray[np.float64] | None = None
    z_error_nm: NDArray[np.float64] | None = None
    method: str = "molecules"
    jumps: tuple[int, ...] = ()
    fiducials: tuple[tuple[float, float], ...] = ()
    stretches: tuple[Stretch, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.name.endswith("_nm") and getattr(self, each.name) is not None:
                values = np.array(getattr(self, each.name), np.float64)
                values.setflags(write=False)
                set_field(self, each.name, values)
        shapes = {values.shape for values in self.columns().values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise InputError(f"a curve of drift has one number for each frame, got shapes {sorted(shapes)}")
        if not all(np.isfinite(values).all() for values in self.columns().values()):
            raise InputError("a curve of drift must be finite")

    def __len__(self) -> int:
        return len(self.x_nm)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the numbers by frame that there are, in the order of a trace's file."""
        named = {name: getattr(self, name) for name in TRACE_COLUMNS[1:]}
        return {name: values for name, values in named.items() if values is not None}

    @property
    def rms_error_nm(self) -> float:
        """Root mean square of the errors in x and y over all frames in stretches with rows, along an axis."""
        return self.rms_error_in_nm(np.flatnonzero(where_known(self.stretches, len(self))))

    def rms_error_in_nm(self, frame: NDArray[np.int64]) -> float:
        """Return the root mean square of the errors in x and y over some frames, shape (N,), along an axis."""
        error = np.concatenate([self.x_error_nm[frame], self.y_error_nm[frame]])
        return float(np.sqrt((error**2).mean())) if len(error) else 0.0

    @property
    def extent_nm(self) -> tuple[float, float]:
        """How far the drift ranges in y and in x."""
        return (float(np.ptp(self.y_nm)), float(np.ptp(self.x_nm))) if len(self) else (0.0, 0.0)

    def correct(self, localizations: Localizations) -> Localizations:
        """Subtract the drift from a table, and keep what was subtracted in columns of its own.

        A row that is linked has the mean drift of its molecule's frames.

        Parameters
        ----------
        localizations : Localizations
            With a pixel size, and no frame beyond the curve's last.

        Returns
        -------
        Localizations
            With the columns ``y_drift_nm`` and ``x_drift_nm``, and ``z_drift_nm`` where both have z; what an earlier
            correction subtracted is in their sum.

        Raises
        ------
        InputError
            If the pixel size is not known, or there are later frames.
        """
        frame = localizations.frame
        if len(frame) and frame.max() >= len(self):
            raise InputError(f"frame {frame.max()} is beyond the curve of drift, which has {len(self)} frames")
        drift = {"y": self._mean_of(self.y_nm, localizations), "x": self._mean_of(self.x_nm, localizations)}
        if self.z_nm is not None and "z_nm" in localizations:
            drift["z_nm"] = self._mean_of(self.z_nm, localizations)
        moved = _moved(localizations, drift, -1.0)
        before = {axis: _drift_column(localizations, axis) for axis in drift}
        rms = self.rms_error_in_nm(np.unique(frame))
        about = {"method": self.method, "rms_error_nm": round(rms, TRACE_DECIMALS), "frames": len(self)}
        return moved.with_extra({DRIFT_COLUMNS[axis]: before[axis] + drift[axis] for axis in drift}).with_about(
            provenance={**localizations.provenance, "drift": about}
        )

    def _mean_of(self, values: NDArray[np.float64], localizations: Localizations) -> NDArray[np.float64]:
        """Return the mean of values by frame over the frames of each row: several where it is linked."""
        first, last = spans(localizations)
        if (last == first).all():
            return values[first]
        last = np.minimum(last, len(self) - 1)
        total = np.append(0.0, np.cumsum(values))
        return np.asarray(np.where(last > first, (total[last + 1] - total[first]) / (last + 1 - first), values[first]))

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a trace: a csv with a row for each frame, from 0, and beside it of what movie it is.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        for file in trace_outputs(path):
            check_can_write(file, overwrite=overwrite)
        table = pd.DataFrame({"frame": np.arange(len(self)), **self.columns()})
        with atomic_output(path) as draft:
            table.to_csv(draft, index=False, float_format=f"%.{TRACE_DECIMALS}f", lineterminator="\n")
            write_notes(Path(path), self)

    @classmethod
    def read(cls, path: str | Path) -> DriftCurve:
        """Read a trace.

        Raises
        ------
        InputError
            If the file is no trace with a row for each frame from 0.
        """
        with reading(path), open_input(path) as file:
            try:
                table = pd.read_csv(file)
            except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
                raise InputError(f"{path}: not a trace of drift: {' '.join(str(error).split())}") from None
        needed = {"frame", "x_nm", "y_nm", "x_error_nm", "y_error_nm"}
        if missing := sorted(needed - set(table.columns)):
            raise InputError(f"{path}: not a trace of drift: no column {missing[0]!r}")
        if not np.array_equal(table["frame"], np.arange(len(table))):
            raise InputError(f"{path}: a trace has a row for each frame in order, from 0")
        try:
            columns = {name: table[name].to_numpy(np.float64) for name in TRACE_COLUMNS[1:] if name in table}
            return cls(**columns, method="trace", **read_notes(path, len(table)))
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: {error}") from None


def is_corrected(localizations: Localizations) -> bool:
    """Say whether drift was subtracted from a table, which kept what it was."""
    return all(DRIFT_COLUMNS[axis] in localizations for axis in ("y", "x"))


def undo_drift(localizations: Localizations) -> Localizations:
    """Return a corrected table with its original positions, without the columns that a correction adds.

    Raises
    ------
    InputError
        If the table has no such columns.
    """
    if not is_corrected(localizations):
        raise InputError(f"no drift was subtracted from the table: there is no column {DRIFT_COLUMNS['x']!r}")
    drift = {axis: _drift_column(localizations, axis) for axis, name in DRIFT_COLUMNS.items() if name in localizations}
    moved = _moved(localizations, drift, 1.0)
    kept = {name: moved[name] for name in moved.columns if name not in DRIFT_COLUMNS.values()}
    own = {name: kept.pop(name) for name in moved.extra if name in kept}
    about = dict(moved.about)
    about["provenance"] = {name: value for name, value in about["provenance"].items() if name != "drift"}
    return Localizations(kept, extra=own, **about)


def _moved(localizations: Localizations, drift: Mapping[str, NDArray[np.float64]], sign: float) -> Localizations:
    size = localizations.known_pixel_size_nm()
    scale = {"y": pixel_length("y", size), "x": pixel_length("x", size), "z_nm": 1.0}
    return localizations.with_columns(**{a: localizations[a] + sign * d / scale[a] for a, d in drift.items()})


def _drift_column(localizations: Localizations, axis: str) -> NDArray[np.float64]:
    name = DRIFT_COLUMNS[axis]
    return localizations[name].astype(np.float64) if name in localizations else np.zeros(len(localizations))
