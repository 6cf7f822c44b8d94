"""Several movies into as many tables: detect one after another, say what became of each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from napari_subpixel._util import records
from napari_subpixel._util.files import write_failure
from napari_subpixel.detection.options import DetectionOptions, checked_options
from napari_subpixel.errors import InputError
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.finished_tables import check_same_settings
from napari_subpixel.runs.movie_lists import sidecar_of
from napari_subpixel.runs.sidecars import Sidecar
from napari_subpixel.stacks import open_stack

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.job import DetectionJob
    from napari_subpixel.runs.live_options import Follow
    from napari_subpixel.runs.outputs import Detected
    from napari_subpixel.runs.pipeline import Detecting
    from napari_subpixel.stacks import Stack

LOGGER = logging.getLogger(__name__)
#: What a movie, its files or the machine may be at fault for.
FORESEEN = (InputError, OSError, MemoryError)
Event = TypeVar("Event")
Value = TypeVar("Value")


@dataclass(frozen=True)
class MovieProgress:
    """How far a movie is.

    Attributes
    ----------
    movie, output : Path
        The movie, and the table that it becomes.
    number, n_movies : int
        Which movie it is, counted from 1, and how many there are.
    start, stop : int
        First frame of those that are detected, and the one after the last.
    done : int
        The frame after the last one that is finished; `start` before any is.
    job : DetectionJob, optional
        What is detected and how, with what was estimated of the microscope; None until that is known.
    """

    movie: Path
    output: Path
    number: int
    n_movies: int
    start: int = 0
    stop: int = 0
    done: int = 0
    job: DetectionJob | None = None

    @property
    def n_done(self) -> int:
        """Frames that are finished."""
        return self.done - self.start

    @property
    def n_frames(self) -> int:
        """Frames in all."""
        return self.stop - self.start


@dataclass(frozen=True)
class Outcome:
    """What became of a movie.

    Attributes
    ----------
    movie, output : Path
        The movie, and the table that it became or should have become.
    n_frames, n_molecules : int
        Frames and rows of the table; 0 where none was written.
    n_detected : int
        Frames that were detected now: fewer than `n_frames` where an interrupted run was resumed.
    seconds : float
        How long that took.
    warnings : tuple of str
        About the quality of the result, one sentence each.
    assumed : tuple of str
        What was estimated of the microscope, one phrase each.
    how : str
        Model and threshold, as text.
    own_settings : str
        What the movie's sidecar set, as text; empty without one.
    error : InputError or None
        Why there is no table: its message is one line that names the movie.
    skipped : bool
        Whether the table was there already and `resume` let it be.
    median_per_frame : float, optional
        Rows of the median frame; None where no table was written.
    """

    movie: Path
    output: Path
    n_frames: int = 0
    n_molecules: int = 0
    n_detected: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    how: str = ""
    own_settings: str = ""
    error: InputError | None = None
    skipped: bool = False
    median_per_frame: float | None = None

    @property
    def frames_per_second(self) -> float | None:
        """Frames detected per second; None where none was."""
        return self.n_detected / self.seconds if self.n_detected and self.seconds > 0 else None

    @property
    def status(self) -> str:
        """``done``, ``skipped`` or ``failed``."""
        return "failed" if self.error is not None else "skipped" if self.skipped else "done"


class MovieSettings(NamedTuple):
    """How one movie is detected: as all of a batch, or as its sidecar says.

    Attributes
    ----------
    detector : Detector
    options : DetectionOptions
    own : str
        Which of these the movie's sidecar set, as text; empty without one.
    """

    detector: Detector
    options: DetectionOptions
    own: str = ""

    @classmethod
    def of(cls, movie: str | Path, detector: Detector, options: DetectionOptions) -> MovieSettings:
        """Return the settings of one movie: where it has a sidecar, that overrides these.

        Parameters
        ----------
        movie : path-like
        detector : Detector
        options : DetectionOptions
            Of the whole batch.

        Raises
        ------
        InputError
            If the sidecar holds an unknown or impossible setting; the message names the file and the setting.
        """
        path = sidecar_of(movie)
        if not os.path.exists(path):
            return cls(detector, options)
        sidecar = Sidecar.from_yaml(path)
        with records.naming(path):
            return cls(
                _detector_of(sidecar, detector),
                replace(
                    options,
                    camera=sidecar.over(options.camera),
                    psf=GaussianPSF.from_dict(sidecar.psf) if sidecar.psf else options.psf,
                    estimate_camera=tuple(name for name in options.estimated if name not in sidecar.camera),
                    em_gain_given=options.em_gain_given or "em_gain" in sidecar.camera,
                    frames=sidecar.frames or options.frames,
                    roi=sidecar.roi or options.roi,
                ),
                f"{', '.join(sidecar.names)} from {path.name}" if sidecar.names else "",
            )


def detect_batch(
    pairs: Iterable[tuple[str | Path, Path]],
    detector: Detector,
    options: DetectionOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    detecting: Detecting | None = None,
    follow: Follow | None = None,
    image: Path | None = None,
    opened: Stack | None = None,
) -> Generator[MovieProgress | Outcome, None, None]:
    """Detect movies one after another; one that fails does not stop the others.

    Parameters
    ----------
    pairs : iterable of (path-like, Path)
        Movies and tables, as `pair_outputs` gives them; the suffix of a table chooses its format. Where a movie has a
        sidecar (`sidecar_of`), that overrides detector and options.
    detector : Detector
    options : DetectionOptions, optional
        Of all the movies.
    resume : bool
        Continue interrupted runs, and skip movies whose table is there, made with the same settings as far as it says
        so; one made with others is an error of its movie, or is replaced if `overwrite` is given too.
    overwrite : bool
        Replace tables that are there, and drop what interrupted runs left.
    detecting : callable, optional
        What detects the chunks of a movie, as in `detect_to_file`.
    follow : Follow, optional
        The movies are still being written, and are followed to their end; `detecting` does not take part then.
    image : Path, optional
        Image of the molecules, for one movie.
    opened : Stack, optional
        The one movie, where it was opened already, as `options` say; it is closed.

    Yields
    ------
    MovieProgress or Outcome
        For every movie: its progress, the first time before any frame is done, then what became of it. A movie that
        is skipped or cannot be opened has no progress. Where the generator is closed before its end, finished chunks
        of the current movie are kept for `resume`.

    Raises
    ------
    InputError
        If an image is asked for of several movies, or the options are of another kind.
    """
    from napari_subpixel.runs.checkpoints import PartialResults  # loads torch

    options = checked_options(options)
    pairs = list(pairs)
    if image is not None and len(pairs) > 1:
        raise InputError(f"{image}: is the image of one movie, {len(pairs)} were given")
    shared = _SharedByAll(detecting, follow, image, resume, overwrite, opened)
    for number, (movie, output) in enumerate(pairs, start=1):
        progress = MovieProgress(Path(movie), output, number, len(pairs))
        results = PartialResults(output)
        if resume and output.exists() and not results.begun and follow is None:  # a movie may still grow
            results.remove()
            outcome = _skipped(movie, progress, detector, options)
            if outcome.error is None or not overwrite:
                yield outcome
                continue
        try:
            settings = MovieSettings.of(movie, detector, options)
            outcome = yield from (_detect_movie if follow is None else _follow_movie)(movie, progress, settings, shared)
        except Exception as error:  # whatever is wrong with one movie, the others are detected
            if len(pairs) == 1 and not isinstance(error, FORESEEN):
                raise
            outcome = Outcome(progress.movie, output, error=_naming_movie(progress.movie, error))
        yield outcome


def _skipped(movie: str | Path, progress: MovieProgress, detector: Detector, options: DetectionOptions) -> Outcome:
    """Return the outcome of a movie whose table is there; its error where that was made with other settings."""
    try:
        settings = MovieSettings.of(movie, detector, options)
        compared = check_same_settings(progress.output, settings.detector, settings.options)
    except Exception as error:
        return Outcome(progress.movie, progress.output, error=_naming_movie(progress.movie, error))
    unknown = f"{progress.output}: does not say how it was made, and is left as it is"
    return Outcome(progress.movie, progress.output, skipped=True, warnings=() if compared else (unknown,))


class _SharedByAll(NamedTuple):
    """Those arguments of `detect_batch` that are the same for all movies, whatever their sidecars say."""

    detecting: Detecting | None
    follow: Follow | None
    image: Path | None
    resume: bool
    overwrite: bool
    opened: Stack | None = None


def _detect_movie(
    movie: str | Path, progress: MovieProgress, settings: MovieSettings, shared: _SharedByAll
) -> Generator[MovieProgress, None, Outcome]:
    from napari_subpixel.detection.job import job_for
    from napari_subpixel.runs.pipeline import check_output, detect, detect_to_file

    # A sidecar may choose other frames, with which the movie would be opened otherwise.
    opened = None if settings.own else shared.opened
    with opened if opened is not None else open_stack(movie, **settings.options.opening) as stack:
        camera, resume, overwrite = settings.options.camera, shared.resume, shared.overwrite
        check_output(progress.output, resume=resume, overwrite=overwrite, stack=stack, camera=camera)
        job = job_for(stack, settings.detector, settings.options)
        progress = replace(progress, start=job.span[0], stop=job.span[1], done=job.span[0], job=job)
        yield progress
        began = perf_counter()
        run = detect_to_file(
            job,
            progress.output,
            image=shared.image,
            resume=resume,
            overwrite=overwrite,
            detecting=shared.detecting or detect,
        )
        n_detected, detected = yield from _drained(
            run, lambda chunk: (chunk.stop - chunk.start, replace(progress, done=chunk.stop))
        )
        seconds = perf_counter() - began
    outcome = _outcome(progress, job, detected)
    return replace(outcome, n_detected=n_detected, seconds=seconds, own_settings=settings.own)


def _follow_movie(
    movie: str | Path, progress: MovieProgress, settings: MovieSettings, shared: _SharedByAll
) -> Generator[MovieProgress, None, Outcome]:
    from napari_subpixel.detection.job import job_for
    from napari_subpixel.runs.live import follow_to_file

    start, stop = settings.options.frames or (None, None)
    of_beginning = replace(settings.options, frames=None)
    progress = replace(progress, start=start or 0, stop=start or 0, done=start or 0)
    yield progress
    prepared: list[DetectionJob] = []

    def job_of(stack: Stack) -> DetectionJob:
        prepared.append(job_for(stack, settings.detector, of_beginning))
        return prepared[-1]

    began = perf_counter()
    run = follow_to_file(
        movie,
        job_of,
        progress.output,
        shared.follow,
        image=shared.image,
        frames=(progress.start, stop),
        series=settings.options.series,
        channel=settings.options.channel,
        resume=shared.resume,
        overwrite=shared.overwrite,
    )
    n_detected, (job, detected, warning) = yield from _drained(
        run,
        lambda growth: (
            growth.n_detected,
            replace(
                progress,
                stop=max(growth.n_frames, progress.start),
                done=growth.done,
                job=prepared[-1] if prepared else None,
            ),
        ),
    )
    outcome = _outcome(replace(progress, stop=job.span[1]), job, detected)
    return replace(
        outcome,
        n_detected=n_detected,
        seconds=perf_counter() - began,
        own_settings=settings.own,
        warnings=(*outcome.warnings, *([f"{job.stack.name}: {warning}"] if warning else [])),
    )


def _outcome(progress: MovieProgress, job: DetectionJob, detected: Detected) -> Outcome:
    """Say what became of a movie whose table is in place."""
    from napari_subpixel.runs.quality_warnings import warnings_of

    warnings = warnings_of(job, detected.provenance)
    return Outcome(
        progress.movie,
        progress.output,
        n_frames=progress.n_frames,
        n_molecules=detected.n_molecules,
        median_per_frame=detected.median_per_frame,
        warnings=tuple(warnings),
        assumed=job.assumed,
        how=f"model {job.detector.card.name}, threshold {job.detector.threshold:g}",
    )


def _detector_of(sidecar: Sidecar, general: Detector) -> Detector:
    """Return the detector that a sidecar asks for; another model comes with its own threshold, unless one is given."""
    from napari_subpixel.detection.detector import Detector

    if sidecar.model is None and sidecar.threshold is None:
        return general
    return Detector(
        sidecar.model or general.model,
        threshold=sidecar.threshold,
        device=general.device.type,
        tile_px=general.tile_px,
    )


def _drained(
    run: Generator[Event, None, Value], progress_of: Callable[[Event], tuple[int, MovieProgress]]
) -> Generator[MovieProgress, None, tuple[int, Value]]:
    """Turn the events of a run into progress; the value is how many frames were detected, and that of the run."""
    n_detected = 0
    with closing(run) as events:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return n_detected, end.value
            n_frames, progress = progress_of(event)
            n_detected += n_frames
            yield progress


def _naming_movie(movie: Path, error: Exception) -> InputError:
    """Return an error whose message is one line that names the movie; log where one came from that nobody foresaw."""
    if isinstance(error, MemoryError):
        return InputError(f"{movie}: there is not enough memory for this")
    if isinstance(error, OSError):
        return InputError(f"{error.filename or movie}: {write_failure(error)}")
    message = " ".join(str(error).split())
    if not isinstance(error, InputError):
        LOGGER.debug("%s", movie, exc_info=error)
        return InputError(f"{movie}: unexpected {type(error).__name__}: {message}")
    return error.with_message(message if movie.name in message else f"{movie}: {message}")
