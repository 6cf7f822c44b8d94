"""The points of a table as they are scored: positions in nm, and which of them count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize, Roi, pixel_size_yx, within_frame, within_roi, yx_to_nm, yx_to_px
from napari_subpixel.evaluation.scores import Match
from napari_subpixel.localizations import Localizations


@dataclass(frozen=True)
class Area:
    """The part of the frames whose molecules count.

    Attributes
    ----------
    pixel_nm : float or (float, float)
        Width of a pixel in nm, or height and width.
    border_nm : float
        Width of the border that is left out, in nm.
    frame_shape : (int, int) or None
        (height, width) of the frames in pixels; needed for a border.
    roi : Roi or None
        The region, in pixels.
    """

    pixel_nm: PixelSize
    border_nm: float = 0.0
    frame_shape: tuple[int, int] | None = None
    roi: Roi | None = None

    @property
    def border_px(self) -> tuple[float, float]:
        """Height and width of the border in pixels."""
        height, width = pixel_size_yx(self.pixel_nm)
        return self.border_nm / height, self.border_nm / width

    def holds(self, yx_nm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Mark the positions, shape (N, 2) in nm, that lie in it."""
        y, x = yx_to_px(yx_nm, self.pixel_nm).T
        inside = np.ones(len(yx_nm), bool)
        if self.border_nm and self.frame_shape is not None:
            inside &= within_frame(y, x, self.frame_shape, border_px=self.border_px)
        if self.roi is not None:
            inside &= within_roi(y, x, self.roi)
        return inside


@dataclass(frozen=True, eq=False)
class Points:
    """Rows of a table in the scored frames.

    Attributes
    ----------
    table : Localizations
    row : ndarray of int64, shape (N,)
        Numbers of the rows in the table.
    frame : ndarray of int64, shape (N,)
    yx_nm : ndarray of float64, shape (N, 2)
    area : Area
    """

    table: Localizations
    row: NDArray[np.int64]
    frame: NDArray[np.int64]
    yx_nm: NDArray[np.float64]
    area: Area

    @classmethod
    def of(cls, table: Localizations, start: int, stop: int | None, area: Area) -> Points:
        """Return the points of the frames from `start` up to but without `stop`."""
        keep = table.frame >= start
        if stop is not None:
            keep &= table.frame < stop
        row = np.flatnonzero(keep)
        yx_nm = yx_to_nm(table.yx[row], area.pixel_nm)
        return cls(table, row, table.frame[row], yx_nm, area)

    def moved(self, by_nm: NDArray[np.float64]) -> Points:
        """Return the points at other positions."""
        return replace(self, yx_nm=self.yx_nm + by_nm)

    def later(self, by_frames: int) -> Points:
        """Return the points in other frames."""
        return replace(self, frame=self.frame + by_frames)

    def transposed(self) -> Points:
        """Return the points with y and x swapped."""
        return replace(self, yx_nm=self.yx_nm[:, ::-1])

    def select(self, rows: NDArray[Any]) -> Points:
        """Return some of the points, by a mask or by their numbers."""
        return replace(self, row=self.row[rows], frame=self.frame[rows], yx_nm=self.yx_nm[rows])

    def column(self, name: str) -> NDArray[np.float64] | None:
        """Return a column of the table for these points; None where it has none."""
        return np.asarray(self.table[name], dtype=np.float64)[self.row] if name in self.table else None


def scored(found: Points, real: Points, pairs: NDArray[np.int64], tolerance_nm: float) -> Match:
    """Return the counts and errors of some pairs of points, shape (K, 2), leaving out what does not count."""
    alone, missed = found.area.holds(found.yx_nm), real.area.holds(real.yx_nm)
    real_counts = missed.copy()
    alone[pairs[:, 0]] = missed[pairs[:, 1]] = False
    pairs = pairs[real_counts[pairs[:, 1]]]
    paired, molecules = found.select(pairs[:, 0]), real.select(pairs[:, 1])
    return Match(
        tolerance_nm=tolerance_nm,
        pairs=np.column_stack([paired.row, molecules.row]),
        offsets_nm=paired.yx_nm - molecules.yx_nm,
        false_positive_rows=found.row[alone],
        missed_rows=real.row[missed],
        photon_ratios=_ratios(paired.column("photons"), molecules.column("photons")),
        normalized_errors=_normalized(paired, molecules),
        probabilities=paired.column("probability"),
        false_positive_probabilities=found.select(alone).column("probability"),
    )


def _ratios(found: NDArray[np.float64] | None, real: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Return found over true, where the truth is positive."""
    if found is None or real is None:
        return None
    good = np.isfinite(found) & np.isfinite(real) & (real > 0)
    return found[good] / real[good]


def _normalized(paired: Points, molecules: Points) -> NDArray[np.float64] | None:
    """Return the errors along y and x over their uncertainties, shape (M,), where these are positive."""
    ratios = []
    lengths = pixel_size_yx(paired.area.pixel_nm)
    for axis, name in enumerate(("y_uncertainty", "x_uncertainty")):
        uncertainty = paired.column(name)
        if uncertainty is None:
            return None
        good = np.isfinite(uncertainty) & (uncertainty > 0)
        error_nm = paired.yx_nm[good, axis] - molecules.yx_nm[good, axis]
        ratios.append(error_nm / (uncertainty[good] * lengths[axis]))
    return np.concatenate(ratios)
