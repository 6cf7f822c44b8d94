"""One evaluation: what is compared with what, read and scored in the background, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel import formats
from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.evaluate import evaluating
from napari_subpixel.localizations import Localizations
from napari_subpixel.scores import Evaluation
from napari_subpixel.widgets.result_layers import Ground, snapshot
from napari_subpixel.widgets.work import Work

if TYPE_CHECKING:
    from napari.layers import Points

#: First frame and the one after the last; None leaves an end, or both, open.
Frames = tuple[int | None, int | None] | None


class Request(NamedTuple):
    """What to compare, and how; the tables are made when it begins."""

    result: Points
    ground: Ground
    truth: Points | Path
    truth_ground: Ground
    settings: dict[str, Any]
    by_hand: bool

    @property
    def words(self) -> str:
        """What is being done."""
        return f"matching {self.result.name} with {self.truth.name}"

    @property
    def layers(self) -> list[Points]:
        """The layers that are compared."""
        return [layer for layer in (self.result, self.truth) if not isinstance(layer, Path)]

    def work(self) -> Work:
        """Return the work, on the points that are shown now."""
        truth = None if isinstance(self.truth, Path) else snapshot(self.truth)
        return Work(_evaluated, self, snapshot(self.result), truth)


class Outcome(NamedTuple):
    """The two tables that were compared, and what came out.

    Attributes
    ----------
    found, truth : Localizations
    evaluation : Evaluation
    frames : (int or None, int or None), optional
        First frame that was scored and the one after the last; all if not given.
    gaps : tuple of str
        What was scored but never detected, in words.
    """

    found: Localizations
    truth: Localizations
    evaluation: Evaluation
    frames: Frames = None
    gaps: tuple[str, ...] = ()


def in_words(request: Request, outcome: Outcome) -> str:
    """Say what was compared."""
    evaluation, settings = outcome.evaluation, request.settings
    threshold = outcome.found.provenance.get("threshold")
    above = f" (probability from {threshold:.2f})" if isinstance(threshold, (int, float)) else ""
    words = (
        f"{request.result.name}{above}: {evaluation.n_localizations:,} points against {evaluation.n_truth:,} of "
        f"{request.truth.name}, in {_frames_in_words(outcome)}"
    )
    if settings["border_nm"]:
        words += f", without a border of {settings['border_nm']:g} nm"
    if evaluation.offset_removed_nm is not None:
        dy, dx = evaluation.offset_removed_nm
        words += f", after removing an offset (y, x) of ({dy:+.1f}, {dx:+.1f}) nm"
    return f"{words}."


def _frames_in_words(outcome: Outcome) -> str:
    detected, scored = detected_frames(outcome.found), outcome.frames
    if detected is None or scored is None or _gap(detected, scored):
        return _counted(outcome.evaluation.n_frames)
    n_detected = detected[1] - detected[0]
    if scored == detected:
        return f"the {_counted(n_detected)} that {'was' if n_detected == 1 else 'were'} detected"
    start, stop = scored
    return f"{(stop or 0) - (start or 0):,} of the {_counted(n_detected)} that were detected"


def _counted(n_frames: int) -> str:
    return f"{n_frames:,} frame{'s'[: n_frames != 1]}"


# -- what was detected ------------------------------------------------------------------------------------------------


def detected_frames(found: Localizations) -> tuple[int, int] | None:
    """Return the first frame that was detected and the one after the last; None for a whole movie, or if not known."""
    span = _span(found.provenance.get("frames"))
    return None if span == (0, found.n_frames) else span


def detected_region(found: Localizations) -> Roi | None:
    """Return the (y, x) spans in pixels that were detected; None for whole frames, or if not known."""
    sides = found.provenance.get("roi")
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        return None
    y, x = _span(sides[0]), _span(sides[1])
    if y is None or x is None or (y[1] - y[0], x[1] - x[0]) == found.frame_shape:
        return None
    return y, x


def frames_to_score(found: Localizations, asked: Frames) -> Frames:
    """Return the frames asked, and where an end is left open, no further than was detected."""
    detected = detected_frames(found) or _span((0, found.n_frames))
    if detected is None:
        return asked
    start, stop = (end if own is None else own for own, end in zip(asked or (None, None), detected, strict=True))
    return (start, stop) if start < stop else asked


def gaps(found: Localizations, frames: Frames) -> tuple[str, ...]:
    """Say what of the frames that are scored was never detected, so that all its molecules count as missed."""
    words = []
    detected, region = detected_frames(found), detected_region(found)
    if detected is not None and _gap(detected, frames):
        words.append(
            f"only frames {detected[0]} to {detected[1] - 1} were detected; molecules of the others count as missed"
        )
    if region is not None:
        (y0, y1), (x0, x1) = region
        words.append(
            f"the result covers a region only (y {y0} to {y1 - 1}, x {x0} to {x1 - 1} px); molecules outside it count "
            "as missed"
        )
    return tuple(words)


def left_out(found: Localizations, truth: Localizations, frames: Frames) -> tuple[str, ...]:
    """Say that the truth goes on where the movie has ended, in frames that are not scored."""
    stop = None if frames is None else frames[1]
    if stop is None or found.n_frames != stop or not len(truth) or truth.frame.max() < stop:
        return ()
    return (f"the truth goes on to frame {truth.frame.max()}, the movie ends at {stop - 1}: what follows is left out",)


def _gap(detected: tuple[int, int], frames: Frames) -> bool:
    """Say whether frames reach beyond those that were detected."""
    start, stop = frames or (None, None)
    return (start or 0) < detected[0] or stop is None or stop > detected[1]


def _span(value: Any) -> tuple[int, int] | None:
    """Return a pair of whole numbers, the second larger, as it is noted in a file that anybody may have written."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(end) is int for end in value):
        return None
    return (value[0], value[1]) if 0 <= value[0] < value[1] else None


# -- on the thread ----------------------------------------------------------------------------------------------------


def _evaluated(
    request: Request, found_now: Callable[[], Localizations], truth_now: Callable[[], Localizations] | None
) -> Generator[float | None, None, Outcome]:
    """Make the tables and score them; each yield is a place to stop at."""
    found = request.ground.table(found_now())
    yield
    if truth_now is None:
        truth = _read_truth(Path(request.truth), found.pixel_size_nm)
    else:
        truth = request.truth_ground.table(truth_now())
    _check_known(request, found, truth)
    yield
    frames = frames_to_score(found, request.settings["frames"])
    evaluation = yield from evaluating(found, truth, **{**request.settings, "frames": frames})
    yield
    return Outcome(found, truth, evaluation, frames, (*gaps(found, frames), *left_out(found, truth, frames)))


def _read_truth(path: Path, pixel_size_nm: float | None) -> Localizations:
    """Read the truth; a file in nm that does not tell the pixel size takes that of the result."""
    try:
        return formats.read(path)
    except PixelSizeError:
        if pixel_size_nm is None:
            raise PixelSizeError(
                f"{path}: is in nm, and the pixel size of the camera is not known: set it with Load SMLM stack"
            ) from None
        return formats.read(path, pixel_size_nm=pixel_size_nm)


def _check_known(request: Request, found: Localizations, truth: Localizations) -> None:
    if found.pixel_size_nm is None and truth.pixel_size_nm is None:
        raise PixelSizeError(
            f"{request.result.name}: the pixel size of the camera is not known: set it with Load SMLM stack"
        )
    if request.settings["border_nm"] and found.frame_shape is None and truth.frame_shape is None:
        raise InputError(
            f"{request.result.name}: a border needs the shape of the frames, which is not known: open their movie, and "
            "the localizations on it"
        )
