"""The rows that drift is estimated from, in nm with what each is known to, and a curve reported for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.blinks import RADIUS_SIGMAS as SCATTER_SIGMAS
from napari_subpixel.analysis.blinks import linked_scatter, scatter_over_uncertainty
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.spans import spans
from napari_subpixel.analysis.stretches import Stretch, where_known
from napari_subpixel.analysis.traces import WORTH_WARNING
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

#: Rows this many times less certain than most are left out.
LEAST_CERTAIN = 3.0
#: Most frames that rows are merged over into one event, here or before.
LONGEST_EVENT = 20
#: Rows scatter this many times as much between frames as their uncertainties say: they are not believed.
NOT_BELIEVED = 1.5
#: How many times as uncertain as y and x z is, where too few molecules are in two frames to measure it.
AXIAL_RATIO = 2.5
#: What a row's standard deviation is taken for where nothing says, nm.
UNKNOWN_DEVIATION_NM = 15.0


@dataclass(frozen=True)
class Rows:
    """Rows of a table in nm, and what was assumed of them."""

    frame: NDArray[np.int64]
    place: NDArray[np.float64]
    deviation: NDArray[np.float64]
    warnings: tuple[str, ...]

    def select(self, rows: NDArray[np.bool_], *warnings: str) -> Rows:
        """Return some of the rows, and more to be said of them."""
        return Rows(self.frame[rows], self.place[rows], self.deviation[rows], (*self.warnings, *warnings))


def rows_of(localizations: Localizations, *, of_molecules: bool) -> Rows:
    """Return the rows in nm, with uncertainties that are there, measured or assumed.

    Fiducials keep the rows that are uncertain, and their own scatter says how far the uncertainties are right.
    """
    y, x = (float(along[0]) if len(along) else 0.0 for along in (localizations.y, localizations.x))
    localizations, size = localizations.on_square_pixels()
    if not len(localizations):
        raise InputError("there are no rows to estimate drift from")
    frame, place = localizations.frame, localizations.yx * size
    if frame.min() == frame.max():
        raise InputError(f"all {len(frame):,} rows are in frame {frame[0]}: drift needs several frames")
    if not np.ptp(place, axis=0).any():
        raise InputError(f"all {len(frame):,} rows are at one place, y {y:g}, x {x:g} px")
    first, last = spans(localizations)
    linked = last > first
    deviation, warnings = _deviation(localizations, frame, place, size, scaled=of_molecules and not linked.any())
    keep = (deviation <= LEAST_CERTAIN * np.median(deviation)).all(axis=1) | (not of_molecules)
    if linked.any():
        frame = _middles(first, last)
        keep &= last - first < LONGEST_EVENT
        warnings += (
            f"{int(linked.sum()):,} of {len(linked):,} rows are linked, and count in the middle of their frames: the "
            "table as it was detected gives a better curve",
        )
    frame, place, deviation = frame[keep], place[keep], deviation[keep]
    if "z_nm" in localizations and _varies(z := localizations["z_nm"][keep].astype(np.float64)):
        scatter = linked_scatter(frame, place, deviation, z)
        ratio = AXIAL_RATIO if not scatter else scatter / float(np.median(deviation))
        place = np.column_stack([place, z])
        deviation = np.column_stack([deviation, ratio * deviation.mean(axis=1)])
    return Rows(frame, place, deviation, warnings)


def _middles(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the middle of frames; of an even number, in turn the one before and the one after it."""
    return np.asarray((first + last + np.arange(len(first)) % 2) // 2)


def _varies(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)


def _deviation(
    localizations: Localizations,
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    size: float,
    *,
    scaled: bool,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the standard deviations of all rows in y and x, nm, and what had to be assumed."""
    names = [n for n in ("y_uncertainty", "x_uncertainty") if n in localizations]
    columns = [localizations[n].astype(np.float64) * size for n in names]
    good = np.all([np.isfinite(c) & (c > 0) for c in columns], axis=0) if columns else np.zeros(len(frame), bool)
    if not good.any():
        measured = scatter_over_uncertainty(frame, place, np.ones_like(place), size)
        assumed = UNKNOWN_DEVIATION_NM if measured is None else measured
        how = "assumed" if measured is None else "measured on molecules in consecutive frames"
        warning = (
            f"the table has no uncertainties: all rows count the same, with {assumed:.3g} nm, {how}; "
            "the curve would be more precise with them"
        )
        return np.full((len(frame), 2), assumed), (warning,)
    deviation = np.column_stack([columns[0], columns[-1]])
    median = float(np.median(deviation[good]))
    deviation[~good] = median
    warnings = []
    if not good.all():
        warnings.append(f"{int((~good).sum()):,} rows have no uncertainty and count as the median one, {median:.3g} nm")
    if not scaled:
        return deviation, tuple(warnings)
    certain = np.minimum(deviation, LEAST_CERTAIN * median)
    scatter = scatter_over_uncertainty(frame, place, certain, max(size / median, 2 * SCATTER_SIGMAS))
    if scatter is not None and scatter > NOT_BELIEVED:
        warnings.append(
            f"molecules scatter between frames by {scatter:.1f} times what the uncertainties say, which are taken that "
            "much larger"
        )
        deviation *= scatter
    return deviation, tuple(warnings)


def reported(
    values: NDArray[np.float64],
    error: NDArray[np.float64],
    jumps: tuple[int, ...],
    stretches: tuple[Stretch, ...],
    rows: Rows,
    method: str,
) -> DriftCurve:
    """Return a curve that is known by frame, with what is to be said of it."""
    known = where_known(stretches, len(values))
    rms, median = float(np.sqrt((error[known, :2] ** 2).mean())), float(np.median(rows.deviation))
    warnings = [*rows.warnings]
    if rms > WORTH_WARNING * median:
        warnings.append(f"the curve is known to {rms:.3g} nm only, and the localizations to {median:.3g} nm")
    values = values - values[0]
    z, z_error = (values[:, 2], error[:, 2]) if values.shape[1] == 3 else (None, None)
    return DriftCurve(
        x_nm=values[:, 1],
        y_nm=values[:, 0],
        z_nm=z,
        x_error_nm=error[:, 1],
        y_error_nm=error[:, 0],
        z_error_nm=z_error,
        method=method,
        jumps=jumps,
        stretches=stretches,
        warnings=tuple(warnings),
    )
