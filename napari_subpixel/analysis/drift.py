"""Drift of a movie from its table of localizations."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util.blas_threads import one_blas_thread
from napari_subpixel._util.generators import each_step_within, stepwise
from napari_subpixel.analysis.blinks import RADIUS_SIGMAS as SCATTER_SIGMAS
from napari_subpixel.analysis.blinks import Events, linked_scatter, merge_blinks, scatter_over_uncertainty
from napari_subpixel.analysis.climbing import Fit, refined
from napari_subpixel.analysis.curve_fitting import MAX_KNOTS, best_fit, disagreement, mean_variance
from napari_subpixel.analysis.drift_curve import DriftCurve, is_corrected
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
from napari_subpixel.analysis.knots import Knots, Stiffness
from napari_subpixel.analysis.rough_drift import RoughDrift, rough_drift
from napari_subpixel.analysis.smoothing import Curve
from napari_subpixel.analysis.stretches import (
    Stretch,
    empty_stretches,
    known_stretches,
    listed_stretches,
    unmeasured_variance,
    where_known,
)
from napari_subpixel.analysis.traces import WORTH_WARNING, source_of_table
from napari_subpixel.coordinates import PixelSize, mean_pixel_size, yx_to_nm, yx_to_px
from napari_subpixel.errors import CorrectedTableError, InputError, TooFewMoleculesError
from napari_subpixel.localizations import Localizations

#: Fewest appearances of molecules.
MIN_EVENTS = 50
#: Least part of a movie's segments that must certainly overlap the others.
MIN_CERTAIN = 0.75
#: Most frames that rows are merged over into one event.
LONGEST_EVENT = 20
#: Pairs of less than this many frames apart may be one molecule.
GAP_FRAMES = 20
#: The same, as a part of the movie at most.
GAP_PART = 0.02
#: Rows this many times less certain than most are left out.
LEAST_CERTAIN = 3.0
#: Width of the overlap, in standard deviations of an event.
WIDTH_SIGMAS = 2.0
#: The sample's own width that the weight of an event allows for, in the same.
SAMPLE_SIGMAS = 0.5
#: Rows scatter this many times as much between frames as their uncertainties say: they are not believed.
NOT_BELIEVED = 1.5
#: From this error of the curve on, in widths of the overlap, two halves of the molecules check it.
CHECKED_FROM = 0.1
#: Largest error of a curve, in the same: beyond, the overlap may have found another place than the true one.
MAX_ERROR = 0.5
#: How many times as uncertain as y and x z is, where too few molecules are in two frames to measure it.
AXIAL_RATIO = 2.5
#: What a row's standard deviation is taken for where nothing says, nm.
UNKNOWN_DEVIATION_NM = 15.0
#: How far from where it was picked a fiducial is at most, in pixels.
PICK_REACH_PX = 2.0
#: Fewest rows of a fiducial that is picked.
FEWEST_ROWS = 10
#: Part of the frames that one is in; in fewer, a warning says that it may be none.
PICKED_FRAMES = 0.5


@dataclass(frozen=True)
class _Rows:
    """Rows of a table in nm, and what was assumed of them."""

    frame: NDArray[np.int64]
    place: NDArray[np.float64]
    deviation: NDArray[np.float64]
    warnings: tuple[str, ...]

    def select(self, rows: NDArray[np.bool_], *warnings: str) -> _Rows:
        """Return some of the rows, and more to be said of them."""
        return _Rows(self.frame[rows], self.place[rows], self.deviation[rows], (*self.warnings, *warnings))


@stepwise
def estimate_drift(
    localizations: Localizations, *, fiducials: bool | ArrayLike = False, seed: int = 0
) -> Generator[str, None, DriftCurve]:
    """Estimate the drift of a movie, from the molecules or from fiducials.

    `estimate_drift.steps` yields the name of each step before it begins; a name may come again.

    From the molecules: a rough curve shifts segments of the movie onto each other. From it, the curve climbs to where
    all appearances of molecules overlap best, each weighted by its uncertainty, rows of consecutive frames counted
    once. Its stiffness is chosen on molecules that it was not fitted to, and its error follows from the curvature,
    scaled by how independent blocks of the field disagree. A jump is one where held-out molecules speak for it.

    Parameters
    ----------
    localizations : Localizations
        With a pixel size; with uncertainties where they were measured.
    fiducials : bool or array_like of float, shape (M, 2)
        True follows the points that are in most frames; positions, y and x in pixels, those near them, wherever
        they were in any frame.
    seed : int
        Of the random splits of the molecules.

    Returns
    -------
    DriftCurve
        For every frame from 0 to the movie's last.

    Raises
    ------
    PixelSizeError
        If the pixel size is not known.
    CorrectedTableError
        If drift that was estimated in the same way is subtracted already, or that of a trace, which may have been.
    TooFewMoleculesError
        If the rows are too few, or overlap too little, to say anything of a drift; if there is no fiducial.
    InputError
        If there are no rows, or they are all in one frame or at one place.
    """
    _check_not_corrected(localizations, "molecules" if fiducials is False else "fiducials")
    rows = _rows_of(localizations, of_molecules=fiducials is False)
    n_frames = max(localizations.n_frames or 0, int(rows.frame.max()) + 1)
    size = localizations.known_pixel_size_nm()
    picks = None if isinstance(fiducials, bool) else yx_to_nm(checked_picks(fiducials), size)
    if fiducials is False:
        steps = _by_molecules(rows, n_frames, np.random.default_rng(seed))
    else:
        steps = _by_fiducials(rows, n_frames, picks, size)
    curve = yield from each_step_within(one_blas_thread, steps)
    return replace(curve, source=source_of_table(localizations))


def checked_picks(picks: ArrayLike) -> NDArray[np.float64]:
    """Return positions of fiducials as an array, shape (M, 2), or raise `InputError`."""
    places = np.asarray(picks, np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places) or not np.isfinite(places).all():
        raise InputError(f"fiducials are picked by positions y, x in pixels, shape (M, 2), got shape {places.shape}")
    return places


def _check_not_corrected(localizations: Localizations, method: str) -> None:
    """Refuse a table that was fitted in the same way: its rows agree too well for what is left of the drift to show."""
    about = localizations.provenance.get("drift")
    before = about.get("method", method) if isinstance(about, dict) else method
    if not is_corrected(localizations) or before not in (method, "trace"):
        return
    how = f"by a trace that may be of these {method}" if before == "trace" else f"as estimated from these {method}"
    raise CorrectedTableError(
        f"drift was subtracted already, {how}: a second curve would promise an error far below its own"
    )


def _knots(frame: NDArray[np.int64], n_events: int) -> Knots:
    first, last = int(frame.min()), int(frame.max())
    n = min(MAX_KNOTS, last - first + 1)
    empty = empty_stretches(frame, n_events, (last - first) / max(n - 1, 1))
    return Knots.even(first, last, n, empty=empty)


def _by_molecules(rows: _Rows, n_frames: int, rng: np.random.Generator) -> Generator[str, None, DriftCurve]:
    yield "rough curve"
    longest = int(np.clip((np.ptp(rows.frame) + 1) / MAX_KNOTS, 1, LONGEST_EVENT))
    events = merge_blinks(rows.frame, rows.place, rows.deviation, longest)
    if len(events) < MIN_EVENTS:
        raise TooFewMoleculesError(
            f"{len(events)} molecules are too few to estimate drift from: {MIN_EVENTS} are needed"
        )
    knots = _knots(rows.frame, len(events))
    rough = rough_drift(events, knots.empty)
    if apart := _apart(rough, knots):
        left = _without(rows, apart)
        return (yield from _by_molecules(left, n_frames, rng))
    if rough.share_certain < MIN_CERTAIN:
        raise TooFewMoleculesError(
            f"the drift cannot be estimated: of {len(rough.time)} parts of the movie, {int(rough.certain.sum())} "
            "overlap the others more than by chance"
        )
    try:
        fit, stiffness = _start(events, rough, knots)
        begun = yield from refined(fit, stiffness, len(knots))
        fitted = yield from best_fit(begun, stiffness, rng)
    except np.linalg.LinAlgError as singular:
        raise TooFewMoleculesError("the drift cannot be estimated: the molecules determine no curve") from singular
    error = np.sqrt(mean_variance(fitted.curve, fitted.fit.knots))
    excess = (yield from disagreement(fit, stiffness, fitted, rng)) if error > CHECKED_FROM else 1.0
    if error * np.sqrt(excess) > MAX_ERROR:
        raise TooFewMoleculesError(
            f"the drift cannot be estimated: too few molecules come back, and its error would be "
            f"{error * np.sqrt(excess) * fitted.fit.width_nm[0]:.3g} nm"
        )
    curve = fitted.curve.inflated(excess).times(fitted.fit.width_nm)
    return _by_frame(curve, fitted.fit.knots, n_frames, rows, "molecules")


def _apart(rough: RoughDrift, knots: Knots) -> tuple[Stretch, ...]:
    """Return the stretches of the movie in which nothing certainly overlaps the rest, by their first and last frames.

    None where there is but one, or none overlaps.
    """
    stretches = known_stretches(int(knots.time[0]), int(knots.time[-1]), knots.empty)
    number = np.searchsorted([start for _, start in knots.empty], rough.time)
    certain = {int(k) for k in number[rough.certain]}
    return tuple(s for k, s in enumerate(stretches) if k not in certain) if certain else ()


def _without(rows: _Rows, apart: tuple[Stretch, ...]) -> _Rows:
    """Return the rows without those that nothing ties to the others, with a warning that names their frames."""
    known = where_known(apart, int(rows.frame.max()) + 1)
    n_lost = int(known[rows.frame].sum())
    n = len(rows.frame)
    where = listed_stretches(apart)
    if n_lost > (1 - MIN_CERTAIN) * n:
        raise TooFewMoleculesError(
            f"the drift cannot be estimated across frames without rows: the {n_lost:,} rows in {where} do not "
            f"certainly overlap the other {n - n_lost:,}"
        )
    warning = f"the {n_lost:,} rows in {where} do not certainly overlap the others: how far these moved is not known"
    return rows.select(~known[rows.frame], warning)


def _by_fiducials(
    rows: _Rows, n_frames: int, picks: NDArray[np.float64] | None, size_nm: PixelSize
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
    found = followed(found, rows.frame, rows.place, rows.deviation, radius, n_frames)
    places = [_place_px(rows, fiducial, size_nm) for fiducial in found]
    warnings = _of_picks(found, places, rows.frame) if picks is not None else ()
    used = connected(found, rows.frame)
    left_out = [place for place, is_used in zip(places, used, strict=True) if not is_used]
    found = [fiducial for fiducial, is_used in zip(found, used, strict=True) if is_used]
    places = [place for place, is_used in zip(places, used, strict=True) if is_used]
    tracks = tracks_of(found, rows.frame, rows.place, rows.deviation)
    curve = fiducial_curve(tracks, n_frames)
    there = np.unique(tracks.frame)
    stretches = known_stretches(int(there[0]), int(there[-1]), empty_stretches(there, len(there), 1.0))
    by_frame = _reported(curve.values, curve.error, curve.jumps, stretches, rows, "fiducials")
    said = (*warnings, *_of_fiducials(curve, found, left_out), *by_frame.warnings)
    return replace(by_frame, fiducials=tuple(places), warnings=said)


def _place_px(rows: _Rows, fiducial: Fiducial, size_nm: PixelSize) -> tuple[float, float]:
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


def _rows_of(localizations: Localizations, *, of_molecules: bool) -> _Rows:
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
    deviation, warnings = _deviation(localizations, frame, place, size, of_molecules)
    keep = (deviation <= LEAST_CERTAIN * np.median(deviation)).all(axis=1) | (not of_molecules)
    frame, place, deviation = frame[keep], place[keep], deviation[keep]
    if "z_nm" in localizations and _varies(z := localizations["z_nm"][keep].astype(np.float64)):
        scatter = linked_scatter(frame, place, deviation, z)
        ratio = AXIAL_RATIO if not scatter else scatter / float(np.median(deviation))
        place = np.column_stack([place, z])
        deviation = np.column_stack([deviation, ratio * deviation.mean(axis=1)])
    return _Rows(frame, place, deviation, warnings)


def _varies(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)


def _deviation(
    localizations: Localizations,
    frame: NDArray[np.int64],
    place: NDArray[np.float64],
    size: float,
    of_molecules: bool,
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
    if not of_molecules:
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


def _start(events: Events, rough: RoughDrift, knots: Knots) -> tuple[Fit, Stiffness]:
    """Return the fit of a rough curve, and how much this wanders."""
    sigma = np.sqrt(np.median(events.variance, axis=0))
    weight = 1.0 / (events.variance / sigma**2 + SAMPLE_SIGMAS**2).mean(axis=1)
    width = np.full(events.place.shape[1], WIDTH_SIGMAS) * sigma
    span = float(np.ptp(knots.time))
    gap = min(GAP_FRAMES, GAP_PART * span)
    steps = np.diff(rough.shift / width[:2], axis=0)
    # The median: a jump, or a segment that is far off, says nothing of the rest.
    walked = float(np.median((steps**2).sum(axis=1)) / 1.39 / np.diff(rough.time).mean())
    stiffness = Stiffness(1, max(walked, 0.01 / span))
    curve = np.zeros((len(knots), len(width)))
    curve[:, :2] = rough.at(knots.time)
    return Fit(events, weight, knots, curve, width, gap), stiffness


def _by_frame(curve: Curve, knots: Knots, n_frames: int, rows: _Rows, method: str) -> DriftCurve:
    """Return a curve in nm by frame, with what is to be said of it."""
    nodes = knots.nodes(np.arange(n_frames, dtype=np.float64))
    values = nodes.curve(curve.values)
    variance = np.stack([_variance(nodes.before, nodes.share, c) for c in curve.covariance], axis=1)
    stretches = known_stretches(int(knots.time[0]), int(knots.time[-1]), knots.empty)
    jumps = tuple(_first_after(jump, knots.empty) for jump in knots.jumps)
    for (_, start), (stop, _) in pairwise(stretches):
        for along in (values, variance):
            along[start:stop] = np.linspace(along[start - 1], along[stop], stop - start + 2)[1:-1]
    # A walk between two knots: a Brownian bridge.
    width = np.diff(knots.time)[nodes.before]
    known = where_known(stretches, n_frames)
    wander = np.where(known, curve.wander * width * nodes.share * (1 - nodes.share), 0.0)
    error = np.sqrt(variance + wander[:, None] + unmeasured_variance(values, stretches))
    return _reported(values, error, jumps, stretches, rows, method)


def _reported(
    values: NDArray[np.float64],
    error: NDArray[np.float64],
    jumps: tuple[int, ...],
    stretches: tuple[Stretch, ...],
    rows: _Rows,
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


def _first_after(jump: float, empty: tuple[tuple[float, float], ...]) -> int:
    """Return the first frame after a jump, with rows where it is among frames without any."""
    return next((int(stop) for start, stop in empty if start < jump < stop), int(np.ceil(jump)))


def _variance(
    before: NDArray[np.int64], share: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the variance of the curve between knots."""
    own = np.diag(covariance)
    both = covariance[before, before + 1]
    total = (1 - share) ** 2 * own[before] + share**2 * own[before + 1] + 2 * share * (1 - share) * both
    return np.asarray(np.maximum(total, 0.0))
