"""What may be wrong with a result and its truth: swapped tables, frames off by one, swapped axes, other units."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from napari_subpixel.coordinates import pixel_size_text
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.matching import Pairing, match
from napari_subpixel.evaluation.points import Points, scored
from napari_subpixel.evaluation.scores import Match
from napari_subpixel.localizations import Localizations

#: Localizations that suffice to compare two ways of matching; of larger sets every n-th frame is used.
MAX_COMPARED = 200_000
#: Frames are shifted by these; programs count them from 0 or from 1.
FRAME_SHIFTS = (1, -1)
#: Another way of matching is reported where it gives this many times the pairs, and this many standard errors more.
BETTER_RATIO = 1.1
BETTER_ERRORS = 4.0
#: Hardly anything matches below this share of the smaller set,
FEW_SHARE = 0.1
#: which has at least this many points.
MIN_POINTS = 10
#: Molecules of the truth that lie within the tolerance of any place by chance: more make scores meaningless.
MAX_BY_CHANCE = 2.0
#: Where hardly anything matches, pairs are sought this far, in nm, too: a wrong frame may hide an offset.
REACH_NM = 250.0


def mismatch_warnings(
    found: Points,
    real: Points,
    shifted: Callable[[int], Points],
    score: Match,
    pairing: Pairing,
    *,
    explained: bool,
) -> tuple[str, ...]:
    """Warn where the truth matches much better in other frames or with swapped axes, or hardly at all.

    Parameters
    ----------
    found, real : Points
        The localizations and the truth.
    shifted : callable
        Return the truth a number of frames later.
    score : Match
        Their match at the largest tolerance.
    pairing : {"optimal", "greedy"}
    explained : bool
        Whether a warning says already why hardly anything matches.

    Returns
    -------
    tuple of str
    """
    smaller = min(int(points.area.holds(points.yx_nm).sum()) for points in (found, real))
    if smaller < MIN_POINTS or score.true_positives * BETTER_RATIO > smaller:
        return ()
    few = score.true_positives < FEW_SHARE * smaller
    for tolerance in (score.tolerance_nm, max(REACH_NM, score.tolerance_nm)) if few else (score.tolerance_nm,):
        try:
            better = _better(found, real, shifted, tolerance, pairing, swap=few)
        except InputError:  # too many candidates this far out in one frame
            better = None
        if better is not None:
            return (better + (f" within {tolerance:g} nm" if tolerance != score.tolerance_nm else ""),)
    if not few or explained:
        return ()
    farther = _within_reach(found, real, score.tolerance_nm, pairing)
    if farther is not None:
        return (
            f"hardly anything matches within {score.tolerance_nm:g} nm (Jaccard {score.jaccard:.2f}), and Jaccard is "
            f"{farther.jaccard:.2f} within {farther.tolerance_nm:g} nm: is the tolerance in nm?",
        )
    return (
        f"hardly anything matches (Jaccard {score.jaccard:.2f} within {score.tolerance_nm:g} nm): check the pixel size "
        f"({pixel_size_text(found.area.pixel_nm)} here), whether frames count from 0 or 1, which corner or centre "
        "positions are measured from, and which column is y",
    )


def _within_reach(found: Points, real: Points, tolerance_nm: float, pairing: Pairing) -> Match | None:
    """Return the match at a tolerance beyond which few molecules are found, where it is much better."""
    if tolerance_nm >= REACH_NM:
        return None
    try:
        before = sampled_match(found, real, tolerance_nm, pairing)
        farther = sampled_match(found, real, REACH_NM, pairing)
    except InputError:  # too many candidates this far out in one frame
        return None
    likely = 1 / (1 + by_chance(real, REACH_NM))  # of pairs that are not by chance
    return farther if is_much_better(farther, before) and farther.jaccard > 0.5 and likely > 0.5 else None


def by_chance(real: Points, tolerance_nm: float) -> float:
    """Return how many molecules of the truth lie, in their frame, within a distance of any place on average."""
    if real.row.size < MIN_POINTS:
        return 0.0
    extent = np.ptp(real.yx_nm, axis=0)
    per_frame = real.row.size / np.unique(real.frame).size
    return float(per_frame * np.pi * tolerance_nm**2 / max(float(np.prod(extent)), tolerance_nm**2))


def chance_warning(real: Points, tolerance_nm: float) -> tuple[str, ...]:
    """Warn of a tolerance so large that pairs are made by chance.

    Parameters
    ----------
    real : Points
        The truth.
    tolerance_nm : float
    """
    number = by_chance(real, tolerance_nm)
    if number <= MAX_BY_CHANCE:
        return ()
    return (
        f"within {tolerance_nm:g} nm of any place there are {number:.2g} molecules of the truth by chance: pairs mean "
        "little, and so do scores",
    )


def swapped_warning(localizations: Localizations, truth: Localizations) -> tuple[str, ...]:
    """Warn where the truth is a detector's result, by its columns or provenance, and the localizations are none.

    Parameters
    ----------
    localizations, truth : Localizations
    """
    if not _is_result(truth) or _is_result(localizations):
        return ()
    model = truth.provenance.get("model")
    said = f"the model {model} made it" if isinstance(model, str) else "it has probabilities"
    return (f"the truth looks like a result ({said}) and the localizations do not: are the two tables swapped?",)


def _is_result(table: Localizations) -> bool:
    return "model" in table.provenance or "probability" in table


def sampled_match(
    found: Points, real: Points, tolerance_nm: float, pairing: Pairing, *, at_most: int = MAX_COMPARED
) -> Match:
    """Match the points of some frames, as many as have so many localizations, for comparing two ways of matching.

    Parameters
    ----------
    found, real : Points
        The localizations and the truth.
    tolerance_nm : float
    pairing : {"optimal", "greedy"}
    at_most : int
        Localizations that suffice.

    Raises
    ------
    InputError
        If there are too many candidates for pairs in one frame.
    """
    frames = np.unique(found.frame)
    kept = frames[:: max(1, -(-found.row.size // at_most))]
    mine = found.select(np.isin(found.frame, kept))
    others = real.select(np.isin(real.frame, kept)) if kept.size < frames.size else real
    pairs = match(mine.frame, mine.yx_nm, others.frame, others.yx_nm, tolerance_nm, pairing)
    return scored(mine, others, pairs, tolerance_nm)


def is_much_better(score: Match, before: Match) -> bool:
    """Say whether one match of the same points has more pairs than another, beyond chance."""
    n, n_before = score.true_positives, before.true_positives
    return n >= BETTER_RATIO * n_before and n - n_before > BETTER_ERRORS * np.sqrt(n + n_before)


def _better(
    found: Points,
    real: Points,
    shifted: Callable[[int], Points],
    tolerance_nm: float,
    pairing: Pairing,
    *,
    swap: bool,
) -> str | None:
    """Return what makes the truth match much better, if anything does."""

    def compared(truth: Points) -> Match:
        return sampled_match(found, truth, tolerance_nm, pairing)

    def others() -> Iterator[tuple[str, Points]]:
        for by in FRAME_SHIFTS:
            yield f"shifting the truth by {by:+d} frame", shifted(by)
        if swap:
            yield "swapping y and x of the truth", real.transposed()

    before = compared(real)
    words, best = max(((words, compared(truth)) for words, truth in others()), key=lambda way: way[1].true_positives)
    if not is_much_better(best, before):
        return None
    return f"{words} gives Jaccard {best.jaccard:.2f} instead of {before.jaccard:.2f}"
