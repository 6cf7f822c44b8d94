"""Whether what was done with one table after detection, and not with the other, keeps the two from matching."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.errors import InputError, WarningKind
from napari_subpixel.evaluation.matching import Pairing
from napari_subpixel.evaluation.mismatch import is_much_better, sampled_match
from napari_subpixel.evaluation.points import Points
from napari_subpixel.localizations import DRIFT_COLUMNS, Localizations

#: Rows of a linked table are of more frames than this, on average.
LINKED_FRAMES = 1.05


def drift_warning(found: Points, real: Points, tolerance_nm: float, pairing: Pairing) -> tuple[str, ...]:
    """Warn where one table is corrected for drift, the other is not, and they match much better uncorrected.

    Parameters
    ----------
    found, real : Points
        The localizations and the truth.
    tolerance_nm : float
    pairing : {"optimal", "greedy"}
    """
    drifts = _drift_nm(found), _drift_nm(real)
    if (drifts[0] is None) == (drifts[1] is None) or not (found.row.size and real.row.size):
        return ()
    restored = [
        points if drift is None else points.moved(drift) for points, drift in zip((found, real), drifts, strict=True)
    ]
    try:
        before = sampled_match(found, real, tolerance_nm, pairing)
        after = sampled_match(restored[0], restored[1], tolerance_nm, pairing)
    except InputError:  # too many candidates for pairs in one frame
        return ()
    if not is_much_better(after, before):
        return ()
    found_are, real_is = "the localizations are", "the truth is"
    corrected, other = (found_are, real_is) if drifts[1] is None else (real_is, found_are)
    return (
        f"{corrected} {WarningKind.DRIFT_CORRECTED} and {other} not: at the original positions Jaccard is "
        f"{after.jaccard:.2f} instead of {before.jaccard:.2f} within {tolerance_nm:g} nm",
    )


def link_warning(localizations: Localizations, truth: Localizations) -> tuple[str, ...]:
    """Warn where the rows of one table are linked molecules and those of the other are not.

    Parameters
    ----------
    localizations, truth : Localizations
    """
    if _is_linked(localizations) and not _is_linked(truth):
        return (
            "the rows of the localizations are linked molecules, each in its first frame only, those of the truth are "
            "not, and count as missed in all other frames: evaluate the table as it was before linking",
        )
    if _is_linked(truth) and not _is_linked(localizations):
        return (
            "the rows of the truth are linked molecules, each in its first frame only, the localizations are not, and "
            "count as false in all other frames: evaluate with the truth as it was before linking",
        )
    return ()


def _drift_nm(points: Points) -> NDArray[np.float64] | None:
    """Return what was subtracted of each point, y and x in nm, shape (N, 2); None where nothing was."""
    parts = [points.column(DRIFT_COLUMNS[axis]) for axis in "yx"]
    return np.column_stack([part for part in parts if part is not None]) if all(p is not None for p in parts) else None


def _is_linked(table: Localizations) -> bool:
    return "n_frames" in table and len(table) > 0 and float(table["n_frames"].mean()) > LINKED_FRAMES
