"""Drift of a movie from its table of localizations."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util.blas_threads import one_blas_thread
from napari_subpixel._util.generators import each_step_within, stepwise
from napari_subpixel.analysis.blinks import Events, merge_blinks
from napari_subpixel.analysis.climbing import Fit, refined
from napari_subpixel.analysis.curve_fitting import MAX_KNOTS, best_fit, disagreement, mean_variance
from napari_subpixel.analysis.drift_curve import DriftCurve, is_corrected
from napari_subpixel.analysis.drift_rows import LONGEST_EVENT, Rows, reported, rows_of
from napari_subpixel.analysis.fiducial_drift import by_fiducials
from napari_subpixel.analysis.knots import Knots, Stiffness
from napari_subpixel.analysis.rough_drift import RoughDrift, rough_drift
from napari_subpixel.analysis.smoothing import Curve
from napari_subpixel.analysis.spans import spans
from napari_subpixel.analysis.stretches import (
    Stretch,
    empty_stretches,
    known_stretches,
    listed_stretches,
    unmeasured_variance,
    where_known,
)
from napari_subpixel.analysis.traces import source_of_table
from napari_subpixel.coordinates import yx_to_nm
from napari_subpixel.errors import CorrectedTableError, InputError, TooFewMoleculesError
from napari_subpixel.localizations import Localizations

#: Fewest appearances of molecules.
MIN_EVENTS = 50
#: Least part of a movie's segments that must certainly overlap the others.
MIN_CERTAIN = 0.75
#: Pairs of less than this many frames apart may be one molecule.
GAP_FRAMES = 20
#: The same, as a part of the movie at most.
GAP_PART = 0.02
#: Width of the overlap, in standard deviations of an event.
WIDTH_SIGMAS = 2.0
#: The sample's own width that the weight of an event allows for, in the same.
SAMPLE_SIGMAS = 0.5
#: From this error of the curve on, in widths of the overlap, two halves of the molecules check it.
CHECKED_FROM = 0.1
#: Largest error of a curve, in the same: beyond, the overlap may have found another place than the true one.
MAX_ERROR = 0.5


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
        If drift is subtracted already: whichever rows it was estimated from, the others were among them or followed it.
    TooFewMoleculesError
        If the rows are too few, or overlap too little, to say anything of a drift; if there is no fiducial.
    InputError
        If there are no rows, or they are all in one frame or at one place.
    """
    _check_not_corrected(localizations, "molecules" if fiducials is False else "fiducials")
    if fiducials is not False:
        _check_not_linked(localizations)
    rows = rows_of(localizations, of_molecules=fiducials is False)
    n_frames = max(localizations.n_frames or 0, int(rows.frame.max()) + 1)
    size = localizations.known_pixel_size_nm()
    picks = None if isinstance(fiducials, bool) else yx_to_nm(checked_picks(fiducials), size)
    if fiducials is False:
        steps = _by_molecules(rows, n_frames, np.random.default_rng(seed))
    else:
        steps = by_fiducials(rows, n_frames, picks, size)
    curve = yield from each_step_within(one_blas_thread, steps)
    return replace(curve, source=source_of_table(localizations))


def checked_picks(picks: ArrayLike) -> NDArray[np.float64]:
    """Return positions of fiducials as an array, shape (M, 2), or raise `InputError`."""
    places = np.asarray(picks, np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places) or not np.isfinite(places).all():
        raise InputError(f"fiducials are picked by positions y, x in pixels, shape (M, 2), got shape {places.shape}")
    return places


def _check_not_corrected(localizations: Localizations, method: str) -> None:
    """Refuse a table whose rows, beads among them, were fitted: they agree too well for what is left to show."""
    about = localizations.provenance.get("drift")
    if not (is_corrected(localizations) or isinstance(about, dict)):
        return
    before = about.get("method", method) if isinstance(about, dict) else method
    how = f"by a trace that may be of these {method}" if before == "trace" else f"as estimated from these {before}"
    raise CorrectedTableError(
        f"drift was subtracted already, {how}: a second curve would promise an error far below its own"
    )


def _check_not_linked(localizations: Localizations) -> None:
    """Refuse to follow fiducials in linked rows, of which each has many frames."""
    first, last = spans(localizations)
    if n_linked := int(np.count_nonzero(last > first)):
        raise TooFewMoleculesError(
            f"fiducials cannot be followed: {n_linked:,} of {len(first):,} rows are linked, and have lost their frames"
        )


def _knots(frame: NDArray[np.int64], n_events: int) -> Knots:
    first, last = int(frame.min()), int(frame.max())
    n = min(MAX_KNOTS, last - first + 1)
    empty = empty_stretches(frame, n_events, (last - first) / max(n - 1, 1))
    return Knots.even(first, last, n, empty=empty)


def _by_molecules(rows: Rows, n_frames: int, rng: np.random.Generator) -> Generator[str, None, DriftCurve]:
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


def _without(rows: Rows, apart: tuple[Stretch, ...]) -> Rows:
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


def _by_frame(curve: Curve, knots: Knots, n_frames: int, rows: Rows, method: str) -> DriftCurve:
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
    return reported(values, error, jumps, stretches, rows, method)


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
