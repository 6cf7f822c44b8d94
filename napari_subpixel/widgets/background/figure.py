"""A figure in the background: a movie detected into a folder, or a table as it is, and all that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel import formats
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.camera import Camera
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs.figure import DETECTED, FILES, Figure, check_figure_outputs, check_filter, figure, is_begun
from napari_subpixel.runs.finished_tables import check_same_settings
from napari_subpixel.runs.movie_lists import check_inputs_stay
from napari_subpixel.stacks import Stack
from napari_subpixel.widgets.background.detection import CHUNK_PIXELS
from napari_subpixel.widgets.background.detector_cache import LOADING, DetectorChoice, is_loaded, preparing_job

if TYPE_CHECKING:
    from napari_subpixel.detection.job import DetectionJob


class FigureSettings(NamedTuple):
    """What to make a figure of, and where.

    Attributes
    ----------
    name : str
        Of the movie or the table.
    folder : Path
    resume : bool
        Continue an interrupted detection, and keep a finished one.
    overwrite : bool
        Replace what is there.
    keep : Filter, optional
        The rows that are kept; without it those that are not much less certain than most.
    fiducials : bool
        Whether the drift is that of fiducials.
    """

    name: str
    folder: Path
    resume: bool = False
    overwrite: bool = False
    keep: Filter | None = None
    fiducials: bool = False

    @property
    def may_replace(self) -> bool:
        """Whether the files of an earlier figure are replaced: those of a detection that is resumed are its own."""
        return self.overwrite or (self.resume and is_begun(self.folder))


class MovieOfFigure(NamedTuple):
    """The movie of a figure, and how it is detected.

    Attributes
    ----------
    key : str
        Of the movie.
    stack : Stack
    camera : Camera
    choice : DetectorChoice
    """

    key: str
    stack: Stack
    camera: Camera
    choice: DetectorChoice


class Frames(NamedTuple):
    """Frames that are detected, of how many."""

    done: int
    n_frames: int


def of_movie(movie: MovieOfFigure, settings: FigureSettings) -> Generator[str | Frames | None, None, Figure]:
    """Detect a movie into the folder of its figure, and make the figure; the work can be stopped at each yield.

    Parameters
    ----------
    movie : MovieOfFigure
    settings : FigureSettings

    Yields
    ------
    str, Frames or None
        What is done next, how far the detection is, or nothing.

    Raises
    ------
    InputError
        If it cannot be detected, or something may not or cannot be written.
    """
    table = settings.folder / DETECTED
    written = [settings.folder / name for name in FILES.values()]
    check_inputs_stay([], also_read=movie.stack.files, also_written=[table, *written])
    may_replace = settings.may_replace
    if settings.keep is not None:
        check_filter(settings.keep)
    check_figure_outputs(settings.folder, overwrite=may_replace)
    if not is_loaded(movie.choice):
        yield LOADING
    detector = movie.choice.load()
    options = DetectionOptions(movie.camera)
    found: tuple[str, ...] = ()
    if not (settings.resume and _is_finished(table)):
        job = yield from preparing_job(movie.key, movie.stack, detector, options)
        found = yield from _detected(replace(job, chunk_pixels=CHUNK_PIXELS), table, settings)
    else:
        check_same_settings(table, detector, options)
    rows = formats.read(table)
    of_table = (str(warning) for warning in rows.provenance.get("warnings", ()))
    prefix = f"{movie.stack.name}: "
    warnings = tuple(dict.fromkeys(warning.removeprefix(prefix) for warning in (*found, *of_table)))
    return (yield from _made(rows, settings, warnings, may_replace))


def of_table(
    table: Callable[[], Localizations], settings: FigureSettings
) -> Generator[str | Frames | None, None, Figure]:
    """Make the figure of a table that is there; the work can be stopped at each yield.

    Parameters
    ----------
    table : callable
        Makes the table.
    settings : FigureSettings

    Yields
    ------
    str
        What is done next.

    Raises
    ------
    InputError
        If the pixel size is not known, or something may not or cannot be written.
    """
    check_figure_outputs(settings.folder, overwrite=settings.overwrite)
    yield None
    rows = table()
    warnings = tuple(str(warning) for warning in rows.provenance.get("warnings", ()))
    return (yield from _made(rows, settings, warnings, settings.overwrite))


def _made(
    rows: Localizations, settings: FigureSettings, warnings: tuple[str, ...], overwrite: bool
) -> Generator[str, None, Figure]:
    return (
        yield from figure.steps(
            rows,
            settings.folder,
            name=settings.name,
            keep=settings.keep,
            fiducials=settings.fiducials,
            warnings=warnings,
            overwrite=overwrite,
        )
    )


def _is_finished(table: Path) -> bool:
    from napari_subpixel.runs.checkpoints import PartialResults  # loads torch

    return table.exists() and not PartialResults(table).begun


def _detected(job: DetectionJob, table: Path, settings: FigureSettings) -> Generator[Frames, None, tuple[str, ...]]:
    """Detect into a table that appears when it is whole; return what it was warned of."""
    from napari_subpixel.runs.pipeline import detect_to_file
    from napari_subpixel.runs.quality_warnings import warnings_of

    start, stop = job.span
    yield Frames(0, stop - start)
    with closing(detect_to_file(job, table, resume=settings.resume, overwrite=settings.overwrite)) as chunks:
        while True:
            try:
                chunk = next(chunks)
            except StopIteration as end:
                return tuple(warnings_of(job, end.value.provenance))
            yield Frames(chunk.stop - start, stop - start)
