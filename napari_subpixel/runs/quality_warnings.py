"""What is doubtful about a result, in words: too many points, a movie outside of what the model knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_subpixel.coordinates import checked_roi
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.localizations import Localizations
from napari_subpixel.models.domain import Domain

#: More points than this per pixel and frame are noise: the most crowded training data have 0.06.
TOO_CROWDED = 0.12
#: Columns whose medians a model's domain is about, and of how many rows they are taken at most.
MEDIANS, MOST_ROWS = ("photons", "background"), 1 << 22


def crowding_warning(job: DetectionJob, n_points: int, n_frames: int) -> str | None:
    """Say so where there are more points than molecules can be told apart: the model does not fit the movie.

    Parameters
    ----------
    job : DetectionJob
    n_points, n_frames : int
        Points found, and the frames that they were found in.

    Returns
    -------
    str or None
        A sentence that names the movie and the model; None where all is well.
    """
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    per_frame = n_points / max(n_frames, 1)
    crowding = per_frame / ((y1 - y0) * (x1 - x0))
    if crowding <= TOO_CROWDED:
        return None
    card = job.detector.card
    return (
        f"{job.stack.name}: too many points: {per_frame:.0f} a frame, {crowding:.2f} a pixel, are more than molecules "
        f"can be told apart. Is this movie like those that the model {card.name} knows? Its limits: {card.limits}"
    )


@dataclass(frozen=True)
class Seen:
    """What a table holds, in a few numbers.

    Attributes
    ----------
    n_points : int
    medians : mapping of str to float
        Of `MEDIANS`, where they are there: of all rows, or of every second, fourth, ... of more than `MOST_ROWS`.
    """

    n_points: int
    medians: Mapping[str, float]

    @classmethod
    def of(cls, tables: Iterable[Localizations]) -> Seen:
        """Look through tables, one at a time."""
        n_points, stride = 0, 1
        kept = {name: np.empty(0, np.float32) for name in MEDIANS}
        for table in tables:
            n_points += len(table)
            for name in kept.keys() & set(table.columns):
                kept[name] = np.concatenate([kept[name], table[name][::stride]])
            while len(kept[MEDIANS[0]]) > MOST_ROWS:
                kept, stride = {name: values[::2] for name, values in kept.items()}, 2 * stride
        return cls(n_points, {name: float(np.median(values)) for name, values in kept.items() if len(values)})


def out_of_domain(job: DetectionJob, seen: Seen) -> list[str]:
    """Say in words in what a movie lies outside the domain of the model that detected it.

    Parameters
    ----------
    job : DetectionJob
    seen : Seen
        What was found in the whole movie.

    Returns
    -------
    list of str
        Empty where all lies within, and for a model without a domain.
    """
    outside = [*job.cautions, *_outside(job, seen)]
    return [f"outside what the model {job.detector.card.name} was trained on: {what}" for what in outside]


def _outside(job: DetectionJob, seen: Seen) -> list[str]:
    card = job.detector.card
    if not card.domain or not job.detector.measures:
        return []
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    start, stop = job.span
    density = seen.n_points / ((stop - start) * (y1 - y0) * (x1 - x0))
    values = {"sigma_px": float(job.sigma_px or 0), "density_per_px": density, **seen.medians}
    return Domain.from_dict(card.domain).outside(**values)


def with_warnings(job: DetectionJob, table: Localizations, threshold: float = 0.0) -> Localizations:
    """Return the table of a whole movie, with what `out_of_domain` says in its provenance as ``warnings``.

    Points below the threshold do not count: who shows fewer points than the table holds names it.
    """
    seen = Seen.of([table.select(table["probability"] >= threshold)])
    return table.with_about(provenance=provenance_with_warnings(job, table.provenance, seen))


def provenance_with_warnings(job: DetectionJob, provenance: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
    """Return the provenance, with what `out_of_domain` says as ``warnings`` where it says anything."""
    warnings = out_of_domain(job, seen)
    return {**provenance, "warnings": warnings} if warnings else dict(provenance)
