"""A part of a table: some frames or a region; the provenance says what the table still covers."""

from __future__ import annotations

from typing import Any

from napari_subpixel._util.records import whole_span
from napari_subpixel.analysis.filters import noted
from napari_subpixel.coordinates import Roi, within_roi
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations


def beyond(table: Localizations, frames: tuple[int | None, int | None] | None, roi: Roi | None) -> tuple[str, ...]:
    """Say where frames or a region reach beyond the movie of a table, which may be meant in another unit.

    Parameters
    ----------
    table : Localizations
    frames : (int or None, int or None), optional
        First frame and the one after the last.
    roi : Roi, optional
        ((y0, y1), (x0, x1)) in pixels, the ends excluded.
    """
    words = []
    length, shape = table.n_frames, table.frame_shape
    if frames is not None and length is not None and max(end or 0 for end in frames) > length:
        start, stop = ("" if end is None else end for end in frames)
        words.append(f"frames {start}:{stop} reach beyond the movie, which has {length:,} frames")
    if roi is not None and shape is not None and (roi[0][1] > shape[0] or roi[1][1] > shape[1]):
        (y0, y1), (x0, x1) = roi
        words.append(
            f"the region {y0}:{y1},{x0}:{x1} reaches beyond the frames, {shape[0]} x {shape[1]} px: is it in pixels?"
        )
    return tuple(words)


def keep_frames(table: Localizations, start: int | None = None, stop: int | None = None) -> Localizations:
    """Return the rows of frames `start` up to but without `stop`, counted from 0; None leaves that end open.

    Parameters
    ----------
    table : Localizations
    start, stop : int, optional

    Returns
    -------
    Localizations
        ``frames`` in its provenance is what it covers, so that a score counts no others.

    Raises
    ------
    InputError
        If there are no such frames.
    """
    if (start or 0) < 0 or (stop is not None and stop <= (start or 0)):
        raise InputError(f"frames {start or 0}:{'' if stop is None else stop} are none; they count from 0")
    kept = noted(table, table.in_frames(start, stop), frames=[start, stop])
    return _covering(kept, "frames", _overlap((start, stop), table.provenance.get("frames"), table.n_frames))


def keep_region(table: Localizations, roi: Roi) -> Localizations:
    """Return the rows on the pixels of a region.

    Parameters
    ----------
    table : Localizations
    roi : Roi
        ((y0, y1), (x0, x1)) in whole pixels, the ends excluded.

    Returns
    -------
    Localizations
        ``roi`` in its provenance is what it covers, so that a score counts nothing outside.

    Raises
    ------
    InputError
        If the region has no pixels.
    """
    (y0, y1), (x0, x1) = roi
    if y0 >= y1 or x0 >= x1:
        raise InputError(f"the region {y0}:{y1},{x0}:{x1} has no pixels")
    kept = noted(table, table.select(within_roi(table.y, table.x, roi)), roi=[[y0, y1], [x0, x1]])
    before = table.provenance.get("roi") or (None, None)
    sides = [_overlap(side, known, None) for side, known in zip(roi, before, strict=True)]
    return _covering(kept, "roi", None if None in sides else sides)


def covered_frames(table: Localizations) -> tuple[int, int] | None:
    """Return the first frame that a table covers by its provenance and the one after the last; None if not known."""
    return whole_span(table.provenance.get("frames"))


def _overlap(span: tuple[int | None, int | None], before: Any, length: int | None) -> list[int] | None:
    """Return the part of a span that was covered before; None where an end is open, or nothing is left."""
    low, high = before if before is not None else (0, length)
    start = max(span[0] or 0, low or 0)
    stop = min((end for end in (span[1], high) if end is not None), default=None)
    return None if stop is None or stop <= start else [int(start), int(stop)]


def _covering(table: Localizations, name: str, covered: Any) -> Localizations:
    """Return the table with what it covers in its provenance, where that is known."""
    return table if covered is None else table.with_about(provenance={**table.provenance, name: covered})
