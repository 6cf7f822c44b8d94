"""The part of a movie that a table covers, by its provenance: some frames, a region, or all."""

from __future__ import annotations

from napari_subpixel._util.records import whole_span
from napari_subpixel.coordinates import Roi
from napari_subpixel.localizations import Localizations

#: First frame and the one after the last; None leaves an end, or both, open.
Frames = tuple[int | None, int | None] | None


def detected_frames(found: Localizations) -> tuple[int, int] | None:
    """Return the first frame that was detected and the one after the last; None for a whole movie, or if not known."""
    span = whole_span(found.provenance.get("frames"))
    return None if span == (0, found.n_frames) else span


def detected_region(found: Localizations) -> Roi | None:
    """Return the (y, x) spans in pixels that were detected; None for whole frames, or if not known."""
    sides = found.provenance.get("roi")
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        return None
    y, x = whole_span(sides[0]), whole_span(sides[1])
    if y is None or x is None or (y[1] - y[0], x[1] - x[0]) == found.frame_shape:
        return None
    return y, x


def frames_to_score(found: Localizations, asked: Frames) -> Frames:
    """Return the requested frames; where an end is left open, only as far as was detected."""
    detected = detected_frames(found) or whole_span((0, found.n_frames))
    if detected is None:
        return asked
    start, stop = (end if given is None else given for given, end in zip(asked or (None, None), detected, strict=True))
    return (start, stop) if start < stop else asked


def region_to_score(found: Localizations, asked: Roi | None) -> Roi | None:
    """Return the region asked, else the one that was detected; None for whole frames."""
    return detected_region(found) if asked is None else asked


def gaps(found: Localizations, frames: Frames, roi: Roi | None = None) -> tuple[str, ...]:
    """Warn of scored parts that were never detected, so that all their molecules count as missed."""
    words = []
    detected, region = detected_frames(found), detected_region(found)
    if detected is not None and reaches_beyond(detected, frames):
        words.append(
            f"only frames {detected[0]} to {detected[1] - 1} were detected; molecules of the others count as missed"
        )
    if region is not None and not _within(roi, region):
        words.append(f"only {describe_region(region)} was detected; molecules outside it count as missed")
    return tuple(words)


def left_out(found: Localizations, truth: Localizations, frames: Frames) -> tuple[str, ...]:
    """Warn of a truth that continues after the end of the movie, in frames that are not scored.

    Parameters
    ----------
    found, truth : Localizations
        The result, which says how long its movie is, and the ground truth.
    frames : (start, stop) or None
        The frames that are scored.

    Returns
    -------
    tuple of str
        The warning, if there is one.
    """
    stop = None if frames is None else frames[1]
    if stop is None or found.n_frames != stop or not len(truth) or truth.frame.max() < stop:
        return ()
    return (
        f"the truth continues to frame {truth.frame.max()}, the movie ends at {stop - 1}: the rest is left out; is it "
        "another movie's?",
    )


def describe_region(roi: Roi) -> str:
    """Return a region in words.

    Examples
    --------
    >>> describe_region(((4, 20), (10, 40)))
    'the region y 4 to 19, x 10 to 39 px'
    """
    (y0, y1), (x0, x1) = roi
    return f"the region y {y0} to {y1 - 1}, x {x0} to {x1 - 1} px"


def _within(inner: Roi | None, outer: Roi) -> bool:
    return inner is not None and all(a >= low and b <= high for (a, b), (low, high) in zip(inner, outer, strict=True))


def reaches_beyond(detected: tuple[int, int], frames: Frames) -> bool:
    """Say whether frames reach beyond those that were detected; an open end does."""
    start, stop = frames or (None, None)
    return (start or 0) < detected[0] or stop is None or stop > detected[1]
