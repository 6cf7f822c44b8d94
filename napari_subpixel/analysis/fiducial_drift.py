"""Drift of a movie from its fiducials: found or picked, followed, and reported."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.blinks import merge_blinks
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.drift_rows import NOT_BELIEVED, Rows, reported
from napari_subpixel.analysis.fiducial_curve import FiducialCurve, fiducial_curve
from napari_subpixel.analysis.fiducials import (
    FEWEST_COMMON,
    MIN_FRAMES,
    MIN_RADIUS_NM,
    RADIUS_SIGMAS,
    Fiducial,
    connected,
    followed,
    found_fiducials,
    pick_fiducial,
    tracks_of,
)
from napari_subpixel.analysis.rough_drift import rough_drift
from napari_subpixel.analysis.stretches import empty_stretches, known_stretches
from napari_subpixel.coordinates import PixelSize, mean_pixel_size, yx_to_px
from napari_subpixel.errors import TooFewMoleculesError

#: How far from where it was picked a fiducial is at most, in pixels.
PICK_REACH_PX = 2.0
#: Fewest rows of a fiducial that is picked.
FEWEST_ROWS = 10
#: Part of the frames that one is in; in fewer, a warning says that it may be none.
PICKED_FRAMES = 0.5


def by_fiducials(
    rows: Rows, n_frames: int, picks: NDArray[np.float64] | None, size_nm: PixelSize
) -> Generator[str, None, DriftCurve]:
    """Yield the names of the steps; picks are in nm."""
    yield "rough curve"
    events = merge_blinks(rows.frame, rows.place, rows.deviation, 1)
    rough = rough_drift(events)
    yield "fiducials"
    place = rows.place[:, :2]
    if rough.certain.any():
        place = place - rough.at(rows.frame.astype(np.float64))
    radius = max(RADIUS_SIGMAS * float(np.median(rows.deviation)), MIN_RADIUS_NM)
    if picks is None:
        found = found_fiducials(rows.frame, place, radius)
        if not found:
            raise TooFewMoleculesError(f"there is no fiducial: no point alone in {MIN_FRAMES:.0%} of the frames")
    else:
        reach = max(radius, PICK_REACH_PX * mean_pixel_size(size_nm))
        found = [pick_fiducial(rows.frame, place, rows.place[:, :2], pick, radius, reach) for pick in picks]
        for pick, fiducial in zip(picks, found, strict=True):
            _check_picked(fiducial, pick, size_nm, reach)
    yield "best curve"
    found, n_again = _each_once(found)
    found = followed(found, rows.frame, rows.place, rows.deviation, radius, n_frames)
    places = [_place_px(rows, fiducial, size_nm) for fiducial in found]
    warnings = _of_picks(found, places, rows.frame) if picks is not None else ()
    if n_again:
        warnings = (
            f"{n_again} of the picks {'is' if n_again == 1 else 'are'} of the same fiducials as others",
            *warnings,
        )
    used = connected(found, rows.frame)
    left_out = [place for place, is_used in zip(places, used, strict=True) if not is_used]
    found = [fiducial for fiducial, is_used in zip(found, used, strict=True) if is_used]
    places = [place for place, is_used in zip(places, used, strict=True) if is_used]
    tracks = tracks_of(found, rows.frame, rows.place, rows.deviation)
    curve = fiducial_curve(tracks, n_frames)
    there = np.unique(tracks.frame)
    stretches = known_stretches(int(there[0]), int(there[-1]), empty_stretches(there, len(there), 1.0))
    by_frame = reported(curve.values, curve.error, curve.jumps, stretches, rows, "fiducials")
    said = (*warnings, *_of_fiducials(curve, found, left_out), *by_frame.warnings)
    return replace(by_frame, fiducials=tuple(places), warnings=said)


def _each_once(found: list[Fiducial]) -> tuple[list[Fiducial], int]:
    """Return fiducials without those that share most of their rows with one before, and how many these are."""
    kept: list[Fiducial] = []
    for fiducial in found:
        if not any(2 * len(np.intersect1d(fiducial.rows, other.rows)) > len(fiducial.rows) for other in kept):
            kept.append(fiducial)
    return kept, len(found) - len(kept)


def _place_px(rows: Rows, fiducial: Fiducial, size_nm: PixelSize) -> tuple[float, float]:
    y, x = yx_to_px(np.median(rows.place[fiducial.rows, :2], axis=0), size_nm).tolist()
    return y, x


def _of_fiducials(
    curve: FiducialCurve, followed: list[Fiducial], left_out: list[tuple[float, float]]
) -> Generator[str, None, None]:
    """Yield warnings of a curve from fiducials."""
    for y, x in left_out:
        yield (
            f"the fiducial at y {y:.4g}, x {x:.4g} px is left out: it has fewer than {FEWEST_COMMON} frames in common "
            "with the others"
        )
    if not 1 / NOT_BELIEVED <= curve.scatter <= NOT_BELIEVED:
        yield (
            f"the fiducials scatter by {curve.scatter:.2g} times what their uncertainties say: the curve goes by their "
            "scatter"
        )
    if len(followed) == 1:
        yield "there is one fiducial only: what it moves by itself counts as drift, and is not in the error"


def _check_picked(fiducial: Fiducial, pick: NDArray[np.float64], size_nm: PixelSize, reach: float) -> None:
    if len(fiducial.rows) < FEWEST_ROWS:
        y, x = yx_to_px(pick, size_nm)
        where = f"within {reach:.0f} nm of y {y:g}, x {x:g} px"
        if not (n := len(fiducial.rows)):
            raise TooFewMoleculesError(f"there is no fiducial {where}")
        few = "is only 1 row" if n == 1 else f"are only {n} rows"
        raise TooFewMoleculesError(f"there {few} {where}: no fiducial")


def _of_picks(found: list[Fiducial], places: list[tuple[float, float]], frame: NDArray[np.int64]) -> tuple[str, ...]:
    """Return warnings of picks that are there in few frames."""
    n_frames = int(np.ptp(frame)) + 1
    shares = [(len(fiducial.rows) / n_frames, *place) for fiducial, place in zip(found, places, strict=True)]
    return tuple(
        f"the fiducial at y {y:.4g}, x {x:.4g} px is in {share:.0%} of the frames only: it may be no bead"
        for share, y, x in shares
        if share < PICKED_FRAMES
    )
