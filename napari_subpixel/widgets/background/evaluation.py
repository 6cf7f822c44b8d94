"""One evaluation in the background: the request, the reading and scoring, and the result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel import formats
from napari_subpixel.coordinates import PixelSize, pixel_size_text
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.evaluation.coverage import describe_region, detected_frames, reaches_beyond
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.evaluation.scores import Evaluation
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.results import Ground, snapshot

if TYPE_CHECKING:
    from napari.layers import Points


class EvaluationRequest(NamedTuple):
    """What to compare, and how; the tables are made when the work begins."""

    result: Points
    ground: Ground
    truth: Points | Path
    truth_ground: Ground
    settings: dict[str, Any]
    by_hand: bool

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"matching {self.result.name} with {self.truth.name}"

    @property
    def layers(self) -> list[Points]:
        """The layers that are compared."""
        return [layer for layer in (self.result, self.truth) if not isinstance(layer, Path)]

    def work(self) -> Work:
        """Return the work, on the points shown now."""
        truth = None if isinstance(self.truth, Path) else snapshot(self.truth)
        return Work(_evaluated, self, snapshot(self.result), truth)


class EvaluationResult(NamedTuple):
    """The two tables that were compared, and their scores.

    Attributes
    ----------
    found, truth : Localizations
    evaluation : Evaluation
    """

    found: Localizations
    truth: Localizations
    evaluation: Evaluation


def describe_evaluation(request: EvaluationRequest, outcome: EvaluationResult) -> str:
    """Describe what was compared."""
    evaluation, settings = outcome.evaluation, request.settings
    threshold = outcome.found.provenance.get("threshold")
    above = f" (probability from {threshold:.2f})" if isinstance(threshold, (int, float)) else ""
    words = (
        f"{request.result.name}{above}: {evaluation.n_localizations:,} points against {evaluation.n_truth:,} of "
        f"{request.truth.name}, in {_describe_frames(outcome)}"
    )
    if evaluation.roi is not None:
        words += f", in {describe_region(evaluation.roi)}"
    if settings["border_nm"]:
        words += f", without a border of {settings['border_nm']:g} nm"
    if evaluation.offset_removed_nm is not None:
        dy, dx = evaluation.offset_removed_nm
        words += f", after removing an offset (y, x) of ({dy:+.1f}, {dx:+.1f}) nm"
    if evaluation.pairing != "optimal":
        words += f", by {evaluation.pairing} pairing"
    return f"{words}."


def warnings_beyond(request: EvaluationRequest, outcome: EvaluationResult) -> tuple[str, ...]:
    """Return warnings on the scores besides their own: whose pixel size it is."""
    if request.ground.pixel_size_nm is None and outcome.found.pixel_size_nm is None:
        return (f"the pixel size, {pixel_size_text(outcome.truth.known_pixel_size_nm())}, is that of the truth",)
    return ()


def _describe_frames(outcome: EvaluationResult) -> str:
    detected, scored = detected_frames(outcome.found), outcome.evaluation.frames
    if detected is None or scored is None or reaches_beyond(detected, scored):
        return _count_frames(outcome.evaluation.n_frames)
    n_detected = detected[1] - detected[0]
    if scored == detected:
        return f"the {_count_frames(n_detected)} that {'was' if n_detected == 1 else 'were'} detected"
    start, stop = scored
    return f"{(stop or 0) - (start or 0):,} of the {_count_frames(n_detected)} that were detected"


def _count_frames(n_frames: int) -> str:
    return f"{n_frames:,} frame{'s'[: n_frames != 1]}"


# -- on the thread ----------------------------------------------------------------------------------------------------


def _evaluated(
    request: EvaluationRequest, found_now: Callable[[], Localizations], truth_now: Callable[[], Localizations] | None
) -> Generator[float | None, None, EvaluationResult]:
    """Make the tables and score them; the work can be stopped at each yield."""
    found = request.ground.table(found_now())
    yield None
    if truth_now is None:
        truth = _read_truth(Path(request.truth), found.pixel_size_nm)
    else:
        truth = request.truth_ground.table(truth_now())
    _check_known(request, found, truth)
    yield None
    evaluation = yield from evaluate.steps(found, truth, **request.settings)
    yield None
    return EvaluationResult(found, truth, evaluation)


def _read_truth(path: Path, pixel_size_nm: PixelSize | None) -> Localizations:
    """Read the truth; a file in nm without a pixel size takes that of the result."""
    try:
        return formats.read(path)
    except PixelSizeError:
        if pixel_size_nm is None:
            raise PixelSizeError(f"{path}: is in nm, and the pixel size of the camera is not known") from None
        return formats.read(path, pixel_size_nm=pixel_size_nm)


def _check_known(request: EvaluationRequest, found: Localizations, truth: Localizations) -> None:
    if found.pixel_size_nm is None and truth.pixel_size_nm is None:
        raise PixelSizeError(f"{request.result.name}: the pixel size of the camera is not known")
    shapes = found.frame_shape, truth.frame_shape
    if None not in shapes and shapes[0] != shapes[1]:
        listed = " and ".join("{} x {} px".format(*shape) for shape in shapes if shape is not None)
        raise InputError(f"result and truth are of frames of {listed}: this is the truth of another movie")
    if request.settings["border_nm"] and found.frame_shape is None and truth.frame_shape is None:
        raise InputError(
            f"{request.result.name}: a border needs the shape of the frames, which is not known: open their movie, and "
            "the localizations on it"
        )
