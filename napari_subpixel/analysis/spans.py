"""The frames of rows: a row that was linked has those of its molecule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.localizations import Localizations


def spans(localizations: Localizations) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last frame of each row, shapes (N,): of a row that is linked, those of its molecule."""
    frame = localizations.frame
    if "first_frame" in localizations and "last_frame" in localizations:
        first, last = (localizations[name].astype(np.int64) for name in ("first_frame", "last_frame"))
        if (first == frame).all() and (last >= first).all():
            return frame, last
    if "n_frames" in localizations:
        return frame, frame + np.maximum(localizations["n_frames"].astype(np.int64), 1) - 1
    return frame, frame
