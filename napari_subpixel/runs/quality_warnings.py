"""Warnings about the quality of a result: too many points, a movie outside the domain of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import checked_roi
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.detection.saturated import SATURATED, without_unused
from napari_subpixel.localizations import Localizations
from napari_subpixel.models.domain import Domain
from napari_subpixel.runs.crowding import crowding_warning
from napari_subpixel.runs.static_points import StaticPoints, find_static_points, per_pixel

#: What follows where spots are narrower or wider than those that a model knows.
TOO_NARROW = (
    "the pixels are too large for such narrow spots, so that molecules are missed, and positions, photons and what is "
    "estimated of the camera are less exact than stated"
)
TOO_WIDE = "molecules are missed, or reported as several; the sum of two by two pixels would have half that width"
#: Columns whose medians a model's domain has a range for.
MEDIANS = ("photons", "background")
#: Rows of a table that its medians are taken of, at most.
MAX_MEDIAN_ROWS = 1 << 22


def warnings_of(job: DetectionJob, provenance: Mapping[str, Any]) -> list[str]:
    """Return all warnings about a finished result, each a sentence that names the movie.

    Parameters
    ----------
    job : DetectionJob
    provenance : mapping
        Of the result, with the ``warnings`` of `provenance_with_warnings`.
    """
    return [f"{job.stack.name}: {warning}" for warning in provenance.get("warnings", ())]


@dataclass(frozen=True)
class TableSummary:
    """A table in a few numbers.

    Attributes
    ----------
    n_points : int
        Number of rows.
    medians : mapping of str to float
        Of the columns `MEDIANS` that the table has: of all rows, or of every 2nd, 4th, ... of more than
        `MAX_MEDIAN_ROWS`. Photons, and photons per pixel.
    n_saturated : int
        Rows of molecules with saturated pixels.
    per_pixel : ndarray, shape (Y, X)
        Rows of every pixel; None where the shape of the frames is not known.
    per_frame : ndarray, shape (T,)
        Rows of every frame from 0 to the last that has any.
    """

    n_points: int
    medians: Mapping[str, float]
    n_saturated: int = 0
    per_pixel: NDArray[np.int64] | None = None
    per_frame: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, tables: Iterable[Localizations]) -> TableSummary:
        """Summarise the parts of a table, one of which at a time is in memory."""
        n_points, n_saturated, stride = 0, 0, 1
        per_frame = np.zeros(0, np.int64)
        pixels = None
        kept = {name: np.empty(0, np.float32) for name in MEDIANS}
        for table in tables:
            n_points += len(table)
            n_saturated += int(np.count_nonzero(table[SATURATED])) if SATURATED in table else 0
            if table.frame_shape is not None:
                pixels = per_pixel(table, table.frame_shape) + (0 if pixels is None else pixels)
            counts = np.bincount(table.frame, minlength=len(per_frame))
            counts[: len(per_frame)] += per_frame
            per_frame = counts
            for name in kept.keys() & set(table.columns):
                kept[name] = np.concatenate([kept[name], table[name][::stride]])
            while len(kept[MEDIANS[0]]) > MAX_MEDIAN_ROWS:
                kept, stride = {name: values[::2] for name, values in kept.items()}, 2 * stride
        medians = {name: float(np.median(values)) for name, values in kept.items() if len(values)}
        return cls(n_points, medians, n_saturated, pixels, per_frame)

    def median_per_frame(self, start: int, stop: int) -> float:
        """Return the median number of rows of the frames from `start` to before `stop`."""
        counts = np.zeros(max(stop - start, 1), np.int64)
        there = self.per_frame[start:stop]
        counts[: len(there)] = there
        return float(np.median(counts))


def early_warnings(job: DetectionJob) -> list[str]:
    """Return the warnings about a movie that are known before its first frame is detected, one sentence each.

    Parameters
    ----------
    job : DetectionJob

    Returns
    -------
    list of str
        What does not fit of the microscope that was given, then in what respects the movie's spots are not what the
        model was trained on: the same sentences as in the provenance of the result.
    """
    return [*job.warnings, *(_outside(job, what) for what in _unlike_spots(job))]


def out_of_domain(job: DetectionJob, summary: TableSummary) -> list[str]:
    """Return in what respects a movie lies outside the domain of the model that detected it, one sentence each.

    Parameters
    ----------
    job : DetectionJob
    summary : TableSummary
        Of the table of the whole movie.

    Returns
    -------
    list of str
        Causes before what may follow from them; empty where all lies within, and for a model without a domain.
    """
    causes = _unlike_spots(job)
    measured = [f"{what}, which may follow from the spots" if causes else what for what in _unlike_table(job, summary)]
    return [_outside(job, what) for what in (*causes, *measured)]


def _outside(job: DetectionJob, what: str) -> str:
    return f"outside what the model {job.detector.card.name} was trained on: {what}"


def _unlike_spots(job: DetectionJob) -> list[str]:
    """Return in what respects the spots are not those that the model knows: their width, then their shape."""
    if not job.detector.card.domain or not job.detector.measures or job.sigma_px is None:
        return list(job.cautions)
    domain = Domain.from_dict(job.detector.card.domain)
    consequence = TOO_NARROW if job.sigma_px < domain.sigma_px[0] else TOO_WIDE
    return [*(f"{what}: {consequence}" for what in domain.outside(sigma_px=job.sigma_px)), *job.cautions]


def _unlike_table(job: DetectionJob, summary: TableSummary) -> list[str]:
    card = job.detector.card
    if not card.domain or not job.detector.measures:
        return []
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    start, stop = job.span
    density = summary.n_points / ((stop - start) * (y1 - y0) * (x1 - x0))
    medians = {name: summary.medians[name] for name in reversed(MEDIANS) if name in summary.medians}
    return Domain.from_dict(card.domain).outside(density_per_px=density, **medians)


def with_warnings(job: DetectionJob, table: Localizations, threshold: float = 0.0) -> Localizations:
    """Return the table of a whole movie, with the ``warnings`` of `provenance_with_warnings` in its provenance.

    The column `SATURATED` is there only where a molecule has such pixels.

    Parameters
    ----------
    job : DetectionJob
    table : Localizations
    threshold : float
        Points of a lower probability do not count, where fewer are shown than the table holds.
    """
    shown = table.select(table["probability"] >= threshold)
    summary, static = TableSummary.of([shown]), None
    if summary.per_pixel is not None:
        static = find_static_points(job, summary.per_pixel)
        if job.drop_static:
            table, summary = static.keep(table), TableSummary.of([static.keep(shown)])
    table = table if summary.n_saturated else without_unused(table)
    return table.with_about(provenance=provenance_with_warnings(job, table.provenance, summary, static))


def provenance_with_warnings(
    job: DetectionJob, provenance: Mapping[str, Any], summary: TableSummary, static: StaticPoints | None = None
) -> dict[str, Any]:
    """Return the provenance with the ``warnings`` of movie, job and table, if there are any.

    It also has ``n_saturated``, which is 0 where the table has no column `SATURATED`.

    Parameters
    ----------
    job : DetectionJob
    provenance : mapping
    summary : TableSummary
        Of the table of the whole movie, without points that are left out.
    static : StaticPoints, optional
        Those that never move.
    """
    nothing = [] if summary.n_points else ["no molecule was found"]
    start, stop = job.span
    crowding = crowding_warning(job, summary.n_points, stop - start, summary.per_pixel)
    saturated = _saturated(job, summary)
    unmoved = [static.warning] if static is not None and static.warning else []
    crowded = [crowding] if crowding else []
    warnings = [
        *job.stack.warnings,
        *job.warnings,
        *nothing,
        *saturated,
        *unmoved,
        *out_of_domain(job, summary),
        *crowded,
    ]
    counted: dict[str, Any] = {"n_saturated": summary.n_saturated}
    if saturated:
        counted["saturation_adu"] = job.saturation_adu
    if static is not None and (unmoved or job.drop_static):
        counted["static_points"] = static.summary
    return {**provenance, **counted, **({"warnings": warnings} if warnings else {})}


def _saturated(job: DetectionJob, summary: TableSummary) -> list[str]:
    n = summary.n_saturated
    if not n:
        return []
    return [
        f"{n:,} of {summary.n_points:,} molecules ({n / summary.n_points:.1%}) have saturated pixels, at "
        f"{job.saturation_adu:g} ADU: too few photons, and places less exact; the column {SATURATED!r} marks them"
    ]
