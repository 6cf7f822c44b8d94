"""What is doubtful about a result, in words: too many points, a movie outside of what the model knows."""

from __future__ import annotations

import numpy as np

from napari_subpixel.detector import checked_roi
from napari_subpixel.domain import Domain
from napari_subpixel.jobs import DetectionJob
from napari_subpixel.localizations import Localizations

#: More points than this per pixel and frame are noise: the most crowded training data have 0.06.
TOO_CROWDED = 0.12


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


def out_of_domain(job: DetectionJob, table: Localizations) -> list[str]:
    """Say in words in what a movie lies outside the domain of the model that detected it.

    Parameters
    ----------
    job : DetectionJob
    table : Localizations
        What was found in the whole movie.

    Returns
    -------
    list of str
        Empty where all lies within, and for a model without a domain.
    """
    outside = [*job.cautions, *_outside(job, table)]
    return [f"outside what the model {job.detector.card.name} was trained on: {what}" for what in outside]


def _outside(job: DetectionJob, table: Localizations) -> list[str]:
    card = job.detector.card
    if not card.domain or not job.detector.measures:
        return []
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    start, stop = job.span
    seen = {
        "sigma_px": float(job.sigma_px or 0),
        "density_per_px": len(table) / ((stop - start) * (y1 - y0) * (x1 - x0)),
    }
    if len(table):
        seen |= {name: float(np.median(table[name])) for name in ("photons", "background")}
    return Domain.from_dict(card.domain).outside(**seen)


def with_warnings(job: DetectionJob, table: Localizations, threshold: float = 0.0) -> Localizations:
    """Return the table of a whole movie, with what `out_of_domain` says in its provenance as ``warnings``.

    Points below the threshold do not count: who shows fewer points than the table holds names it.
    """
    warnings = out_of_domain(job, table.select(table["probability"] >= threshold))
    return table.with_about(provenance={**table.provenance, "warnings": warnings}) if warnings else table
