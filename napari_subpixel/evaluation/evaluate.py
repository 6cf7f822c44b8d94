"""Scores of localizations against the truth."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.coordinates import (
    PixelSize,
    Roi,
    checked_frame_shape,
    checked_pixel_size,
    checked_roi,
    pixel_size_text,
    same_pixel_size,
    yx_to_px,
)
from napari_subpixel.errors import FrameShapeError, InputError, PixelSizeError
from napari_subpixel.evaluation.coverage import Frames, frames_to_score, gaps, left_out, region_to_score
from napari_subpixel.evaluation.matching import Pairing, Shift, checked_pairing, estimate_shift, match
from napari_subpixel.evaluation.mismatch import chance_warning, mismatch_warnings, swapped_warning
from napari_subpixel.evaluation.points import Area, Points, scored
from napari_subpixel.evaluation.processing import drift_warning, link_warning
from napari_subpixel.evaluation.scores import Evaluation, Match
from napari_subpixel.localizations import Localizations

#: A tolerance of a metre is a typing error.
MAX_TOLERANCE_NM = 1e9
#: Pixel sizes of two tables that differ by more than this share do not belong to one movie.
PIXEL_SIZE_AGREEMENT = 1e-3
#: A constant offset is sought this far, in nm, which covers a shift by a whole pixel in y and x.
OFFSET_REACH_NM = 250.0
#: An offset is worth a warning above this length (nm), this many standard errors and this share of the tolerance.
OFFSET_WORTH_NM = 5.0
OFFSET_WORTH_ERRORS = 5.0
OFFSET_WORTH_SHARE = 0.1
#: An offset that rests on fewer pairs than this is not to be relied on.
OFFSET_MIN_PAIRS = 5
#: Rows of both tables that are matched at a time, in whole frames: some tenths of a second's work.
BLOCK_ROWS = 1 << 16


@stepwise
def evaluate(
    localizations: Localizations,
    truth: Localizations,
    tolerances_nm: float | Sequence[float] = (25.0, 50.0),
    *,
    frames: tuple[int | None, int | None] | None = None,
    roi: Roi | None = None,
    border_nm: float = 0.0,
    remove_offset: bool = False,
    pairing: Pairing = "optimal",
    pixel_size_nm: PixelSize | None = None,
    frame_shape: tuple[int, int] | None = None,
) -> Generator[float, None, Evaluation]:
    """Match localizations with the truth, frame by frame and one-to-one, and score them.

    The matching is optimal by default: the most pairs that the tolerance allows, and of these the least total distance.
    The tool of the SMLM challenge pairs greedily, which gives lower scores where molecules are crowded. A frame that
    only one of the tables has counts too: all its rows are false positives, or missed. `evaluate.steps` yields the
    share of the matching that is done, from 0 to 1.

    Parameters
    ----------
    localizations, truth : Localizations
        The result and the ground truth, two tables of the same kind.
    tolerances_nm : float or sequence of float
        Largest distance of a pair, in nm; a `Match` is made for each.
    frames : (start, stop), optional
        Score only frames from `start` up to but without `stop`, counted from 0. Where an end is None, as far as was
        detected, by the provenance of the localizations and the length of their movie.
    roi : ((y0, y1), (x0, x1)), optional
        Score only this region, in whole pixels, the ends excluded, by the rule of the border. By default the region
        that was detected, by the provenance of the localizations.
    border_nm : float
        Leave out a border of this width along the frames' outer edge (the SMLM challenge takes 450 nm). All rows
        take part in the matching; then a pair is dropped if its molecule lies in the border, an unmatched molecule
        or localization if it does itself. Had the border been cut off first, a molecule just outside the line and
        its localization just inside would make a false positive of a good result.
    remove_offset : bool
        Subtract a constant offset, estimated from matched pairs, from the localizations first.
    pairing : {"optimal", "greedy"}
        How pairs are chosen; greedy, as in the SMLM challenge, takes all within the tolerance, shortest first.
    pixel_size_nm : float or (float, float), optional
        Width of a pixel in nm, or height and width, where neither table knows it.
    frame_shape : (int, int), optional
        (height, width) of the frames in pixels, for the border, where neither table knows it.

    Returns
    -------
    Evaluation
        A sequence of `Match`, with what they have in common and warnings as text.

    Raises
    ------
    InputError
        If both tables have rows and no frame in common, the pixel sizes or frame shapes disagree or are not known,
        or an argument is out of range.

    References
    ----------
    Sage et al. 2019, Super-resolution fight club, doi:10.1038/s41592-019-0364-4

    Examples
    --------
    >>> truth = Localizations({"frame": [0, 0], "y": [2.0, 5.0], "x": [3.0, 7.0]}, pixel_size_nm=100)
    >>> found = Localizations({"frame": [0, 0], "y": [2.3, 9.0], "x": [3.4, 9.0]}, pixel_size_nm=100)
    >>> for score in evaluate(found, truth, (25, 50)):
    ...     print(score.tolerance_nm, score.true_positives, round(score.jaccard, 3), round(score.rmse_nm, 3))
    25.0 0 0.0 nan
    50.0 1 0.333 50.0
    """
    tolerances = _checked_tolerances(tolerances_nm)
    pairing = checked_pairing(pairing)
    pixel_nm = _common_pixel_size(localizations, truth, pixel_size_nm)
    area = _scored_area(localizations, truth, pixel_nm, _checked_border(border_nm), frame_shape, roi)
    _check_common_frame(localizations, truth)
    scored_frames = frames_to_score(localizations, _checked_frames(frames, localizations, truth))
    first, stop = scored_frames or (None, None)
    start = first or 0
    found, real = (Points.of(table, start, stop, area) for table in (localizations, truth))
    yield 0.0
    shift, offset_warnings = yield from _offset(found, real, tolerances, remove_offset, pixel_nm)
    yield 0.0
    placed = found.moved(-np.asarray(shift.yx_nm)) if remove_offset else found
    matches = yield from _matches(placed, real, tolerances, pairing)
    drift = drift_warning(found, real, max(tolerances), pairing)
    if drift:
        offset_warnings = ()
    mismatch = mismatch_warnings(
        placed,
        real,
        lambda by: Points.of(truth, start - by, None if stop is None else stop - by, area).later(by),
        max(matches, key=lambda score: score.tolerance_nm),
        pairing,
        explained=bool(drift or offset_warnings),
    )
    return Evaluation(
        matches=matches,
        n_frames=np.union1d(found.frame, real.frame).size,
        n_localizations=found.row.size,
        n_truth=real.row.size,
        frames=None if scored_frames is None else (start, stop),
        roi=area.roi,
        pixel_size_nm=pixel_nm,
        border_nm=area.border_nm,
        pairing=pairing,
        offset_removed_nm=shift.yx_nm if remove_offset else None,
        warnings=(
            *swapped_warning(localizations, truth),
            *_coverage_warnings(localizations, truth, real, scored_frames),
            *chance_warning(real, max(tolerances)),
            *link_warning(localizations, truth),
            *drift,
            *offset_warnings,
            *mismatch,
        ),
    )


def _coverage_warnings(
    localizations: Localizations, truth: Localizations, real: Points, frames: Frames
) -> tuple[str, ...]:
    """Warn of molecules of the truth in what was not detected, or after the end of the movie."""
    if not real.frame.size:
        return left_out(localizations, truth, frames)
    last, length = int(real.frame.max()), localizations.n_frames
    words = gaps(localizations, (int(real.frame.min()), last + 1), real.area.roi)
    if length is None or last < length:
        return (*words, *left_out(localizations, truth, frames))
    return (
        *words,
        f"the truth has molecules up to frame {last}, and the movie of the localizations has {length} frames: is it "
        "another movie's?",
    )


def _matches(
    found: Points,
    real: Points,
    tolerances: Sequence[float],
    pairing: Pairing,
) -> Generator[float, None, tuple[Match, ...]]:
    """Match at each tolerance, block by block of frames, and yield the share that is done."""
    blocks = _blocks(found.frame, real.frame)
    matches = []
    for number, tolerance in enumerate(tolerances):
        pairs = []
        for done, (rows, others) in enumerate(blocks, 1):
            pairs.append(_pairs(found, real, rows, others, tolerance, pairing))
            yield (number + done / len(blocks)) / len(tolerances)
        joined = np.concatenate(pairs)
        joined = joined[np.argsort(joined[:, 0])]
        matches.append(scored(found, real, joined, tolerance))
    return tuple(matches)


def _blocks(
    frame: NDArray[np.int64], other_frame: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Cut two sets into the rows of the same whole frames, about `BLOCK_ROWS` of them together."""
    frames = np.sort(np.concatenate([frame, other_frame]))
    edges = np.unique(frames[BLOCK_ROWS::BLOCK_ROWS])
    return list(zip(_cut(frame, edges), _cut(other_frame, edges), strict=True))


def _cut(frame: NDArray[np.int64], edges: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of the frames before the first edge, from there to the next, and so on."""
    order = np.argsort(frame, kind="stable")
    return np.split(order, np.searchsorted(frame[order], edges))


def _pairs(
    found: Points,
    real: Points,
    rows: NDArray[np.int64],
    others: NDArray[np.int64],
    tolerance_nm: float,
    pairing: Pairing,
) -> NDArray[np.int64]:
    """Match some rows of both sets."""
    pairs = match(found.frame[rows], found.yx_nm[rows], real.frame[others], real.yx_nm[others], tolerance_nm, pairing)
    return np.column_stack([rows[pairs[:, 0]], others[pairs[:, 1]]])


# -- the constant offset ----------------------------------------------------------------------------------------------


def _offset(
    found: Points, real: Points, tolerances: Sequence[float], remove: bool, pixel_nm: PixelSize
) -> Generator[float, None, tuple[Shift, tuple[str, ...]]]:
    """Estimate the constant offset, with warnings about it; each round yields 0."""
    reach = max(*tolerances, OFFSET_REACH_NM)
    try:
        shift = yield from estimate_shift.steps(found.frame, found.yx_nm, real.frame, real.yx_nm, reach)
    except InputError:
        if remove:
            raise
        # Too many candidates this far out in one frame; the scores, at their own tolerance, can do without.
        return Shift(), ()
    if remove:
        return shift, _removal_warnings(shift, reach) if found.row.size and real.row.size else ()
    return shift, _offset_warnings(shift, reach, max(tolerances), pixel_nm)


def _certain(shift: Shift) -> bool:
    return shift.n_pairs >= OFFSET_MIN_PAIRS and shift.standard_errors > OFFSET_WORTH_ERRORS


def _removal_warnings(shift: Shift, reach_nm: float) -> tuple[str, ...]:
    if not shift.n_pairs:
        return (f"no offset was removed: none was found up to {reach_nm:g} nm",)
    if shift.length_nm > OFFSET_WORTH_NM and not _certain(shift):
        dy, dx = shift.yx_nm
        return (
            f"the offset removed, (y, x) = ({dy:+.1f}, {dx:+.1f}) nm, is uncertain: matched pairs {shift.n_pairs:,}",
        )
    return ()


def _offset_warnings(shift: Shift, reach_nm: float, tolerance_nm: float, pixel_nm: PixelSize) -> tuple[str, ...]:
    worth = max(OFFSET_WORTH_NM, OFFSET_WORTH_SHARE * tolerance_nm)
    if shift.length_nm <= worth or not _certain(shift):
        return ()
    dy, dx = shift.yx_nm
    dy_px, dx_px = yx_to_px(shift.yx_nm, pixel_nm)
    return (
        f"the localizations lie off the truth by a constant (y, x) = ({dy:+.1f}, {dx:+.1f}) nm = "
        f"({dy_px:+.2f}, {dx_px:+.2f}) px ({shift.n_pairs:,} pairs within {reach_nm:g} nm): "
        "do both files measure from the same corner or centre of the first pixel?",
    )


# -- checks -----------------------------------------------------------------------------------------------------------


def _checked_tolerances(tolerances_nm: float | Sequence[float]) -> tuple[float, ...]:
    try:
        values = tuple(float(v) for v in np.atleast_1d(np.asarray(tolerances_nm, dtype=np.float64)))
    except (TypeError, ValueError):
        raise InputError(f"tolerances must be numbers in nm, got {tolerances_nm!r}") from None
    if not values:
        raise InputError("no tolerance was given: name at least one, in nm")
    for value in values:
        if not 0 < value <= MAX_TOLERANCE_NM:
            raise InputError(f"a tolerance must be positive and at most {MAX_TOLERANCE_NM:g} nm, got {value:g} nm")
    return values


def _checked_border(border_nm: float) -> float:
    if not (math.isfinite(border_nm) and border_nm >= 0):
        raise InputError(f"the border must be 0 or a positive number of nm, got {border_nm:g} nm")
    return float(border_nm)


def _common_pixel_size(
    localizations: Localizations, truth: Localizations, pixel_size_nm: PixelSize | None
) -> PixelSize:
    given = None if pixel_size_nm is None else checked_pixel_size(pixel_size_nm)
    sizes = {"given": given, "localizations": localizations.pixel_size_nm, "truth": truth.pixel_size_nm}
    known = {name: size for name, size in sizes.items() if size is not None}
    if not known:
        raise PixelSizeError("neither the localizations nor the truth say their pixel size")
    first = next(iter(known.values()))
    if not all(same_pixel_size(size, first, within=PIXEL_SIZE_AGREEMENT) for size in known.values()):
        listed = ", ".join(f"{name} {pixel_size_text(size)}" for name, size in known.items())
        raise InputError(f"pixel sizes differ: {listed}")
    return first


def _scored_area(
    localizations: Localizations,
    truth: Localizations,
    pixel_nm: PixelSize,
    border_nm: float,
    frame_shape: tuple[int, int] | None,
    roi: Roi | None,
) -> Area:
    """Return the part of the frames that counts, or raise if the tables are of other frames, or nothing is left."""
    shape = _common_frame_shape(localizations, truth, frame_shape)
    if border_nm and shape is None:
        raise FrameShapeError("a border needs the shape of the frames, which neither table knows")
    area = Area(pixel_nm, border_nm, shape, region_to_score(localizations, roi))
    if border_nm and shape is not None:
        for border_px, n in zip(area.border_px, shape, strict=True):
            if 2 * border_px >= n:
                raise InputError(f"a border of {border_px:g} px leaves nothing of frames of {shape[0]} x {shape[1]} px")
    if roi is not None and shape is not None:
        checked_roi(roi, shape)
    elif roi is not None:
        for (first, end), axis in zip(roi, "yx", strict=True):
            if not 0 <= first < end:
                raise InputError(f"region of interest: {axis} {first}:{end} is empty or begins before 0")
    return area


def _common_frame_shape(
    localizations: Localizations, truth: Localizations, given: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return the shape given, else the one that both tables agree on; None where neither knows it."""
    if given is not None:
        return checked_frame_shape(given)
    shapes = {"localizations": localizations.frame_shape, "truth": truth.frame_shape}
    known = {name: checked_frame_shape(shape) for name, shape in shapes.items() if shape is not None}
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{name} {height} x {width} px" for name, (height, width) in known.items())
        raise FrameShapeError(f"frame shapes differ: {listed}; are they of one movie?")
    return next(iter(known.values()), None)


def _check_common_frame(localizations: Localizations, truth: Localizations) -> None:
    if len(localizations) and len(truth) and not np.isin(localizations.frame, truth.frame).any():
        raise InputError(
            "localizations and truth have no frame in common: "
            f"frames {_span(localizations)} against {_span(truth)}, counted from 0"
        )


def _checked_frames(frames: Frames, localizations: Localizations, truth: Localizations) -> Frames:
    if frames is None:
        return None
    start, stop = frames[0] or 0, frames[1]
    if start < 0 or (stop is not None and stop <= start):
        raise InputError(f"frames must be a range from 0 such as 0:100, got {start}:{'' if stop is None else stop}")
    end = max(_end(localizations), _end(truth))
    if start >= end > 0:
        raise InputError(f"no frame to score from frame {start} on: the tables end before frame {end}, counted from 0")
    return frames


def _end(table: Localizations) -> int:
    """Return the number of frames up to the last that the table knows about."""
    return max(table.n_frames or 0, int(table.frame.max()) + 1 if len(table) else 0)


def _span(table: Localizations) -> str:
    return f"{table.frame.min()} to {table.frame.max()}"
