"""Tables one after another: parts of one movie, or movies of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from napari_subpixel.coordinates import pixel_size_text, same_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.localizations.table import Localizations


def concat(tables: Sequence[Localizations], *, frames: Literal["keep", "append"] = "keep") -> Localizations:
    """Join tables of the same columns.

    Parameters
    ----------
    tables : sequence of Localizations
        Parts of one movie, or tables of several.
    frames : {"keep", "append"}
        Whether frame numbers stay as they are, as for parts of one movie, or each table's frames follow those of the
        one before, as for movies that were recorded one after another; that needs their number of frames.

    Returns
    -------
    Localizations
        The pixel size and frame shape are the first table's. So is the provenance where all that have one have the
        same; else it has one entry, ``sources``, with the provenance of each. The number of frames is the sum where
        frames are appended, else the largest.

    Raises
    ------
    InputError
        If there is no table, their columns or pixel sizes differ, or frames are to be appended and the number of frames
        of a table is not known.

    Examples
    --------
    >>> first, second = (Localizations({"frame": [4], "y": [1], "x": [x]}, n_frames=5) for x in (1, 2))
    >>> joined = concat([first, second], frames="append")
    >>> joined.frame.tolist(), joined.n_frames
    ([4, 9], 10)
    """
    if not tables:
        raise InputError("nothing to join: no tables were given")
    if frames not in ("keep", "append"):
        raise InputError(f"frames must be 'keep' or 'append', got {frames!r}")
    first = tables[0]
    for other in tables[1:]:
        if other.columns != first.columns:
            raise InputError(f"cannot join tables with columns {first.columns} and {other.columns}")
        one, another = first.pixel_size_nm, other.pixel_size_nm
        if one is not None and another is not None and not same_pixel_size(one, another, within=1e-6):
            sizes = f"{pixel_size_text(one)} and {pixel_size_text(another)}"
            raise InputError(f"cannot join tables with pixels of {sizes}")
    counts = [table.n_frames for table in tables if table.n_frames is not None]
    known = len(counts) == len(tables)
    parts = [table.table for table in tables]
    n_frames = max(counts) if known else None
    if frames == "append":
        if not known:
            raise InputError("frames cannot be appended: the number of frames of a table is not known")
        starts = np.cumsum([0, *counts[:-1]])
        parts = [part.assign(frame=part["frame"] + start) for part, start in zip(parts, starts, strict=True)]
        n_frames = sum(counts)
    about = {**first.about, "n_frames": n_frames, "provenance": _joined_provenance(tables)}
    return Localizations.of_checked(pd.concat(parts, ignore_index=True), **about)


def _joined_provenance(tables: Sequence[Localizations]) -> dict[str, Any]:
    known = [table.provenance for table in tables if table.provenance]
    return {"sources": known} if any(provenance != known[0] for provenance in known) else known[0] if known else {}
