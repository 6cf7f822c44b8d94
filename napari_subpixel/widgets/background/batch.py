"""A folder of movies into a folder of tables, in the background: the search for movies, the checks, and the run."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel import formats
from napari_subpixel._util.files import make_folder
from napari_subpixel.camera import Camera
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs import batch, batch_summary
from napari_subpixel.runs.batch import MovieProgress, Outcome
from napari_subpixel.runs.movie_lists import check_inputs_stay, find_movies, pair_outputs, sidecar_of
from napari_subpixel.runs.sidecars import Sidecar
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background.detector_cache import DetectorChoice
from napari_subpixel.widgets.controls.advice import REFUSE, REPLACE, SKIP
from napari_subpixel.widgets.layers.movies import LayerData, movie_layer_data

if TYPE_CHECKING:
    from napari_subpixel.runs.checkpoints import PartialResults


class Places(NamedTuple):
    """Where the movies are and where the tables go."""

    folder: Path
    pattern: str
    output: Path
    format: str


class MovieScan(NamedTuple):
    """The movies of a folder, with their tables and sidecars.

    Attributes
    ----------
    places : Places
    pairs : list of (Path, Path)
        Movies and tables.
    finished, unfinished : frozenset of Path
        Tables that exist, and tables of a run that was stopped.
    sidecars : mapping of Path to Path
        Files with a movie's own settings, by movie.
    """

    places: Places
    pairs: list[tuple[Path, Path]]
    finished: frozenset[Path]
    unfinished: frozenset[Path]
    sidecars: Mapping[Path, Path]

    @property
    def summary(self) -> Path:
        """The file that records the outcome of each movie."""
        return self.places.output / batch_summary.SUMMARY_NAME


class BatchSettings(NamedTuple):
    """What to run, and how.

    Attributes
    ----------
    scan : MovieScan
    camera : Camera
    choice : DetectorChoice
    existing : str
        `REFUSE`, `SKIP` or `REPLACE`.
    also_read : tuple of Path
        Files besides the movies that are read, and that no table may replace.
    """

    scan: MovieScan
    camera: Camera
    choice: DetectorChoice
    existing: str
    also_read: tuple[Path, ...] = ()


class DetectorReady(NamedTuple):
    """The detector is loaded; the device it runs on, and why."""

    device: str


def scan_folder(places: Places) -> Generator[None, None, MovieScan]:
    """Find the movies, and the tables that exist; slow on a slow disk.

    Raises
    ------
    InputError
        If there are no movies, or two would share a table.
    """
    yield
    if not places.pattern:
        raise InputError("no names to search for: * finds all movies of the folder")
    movies = find_movies(places.folder, places.pattern)
    pairs = [(Path(movie), table) for movie, table in pair_outputs(movies, places.output, places.format)]
    tables = [table for _, table in pairs]
    sidecars = {movie: sidecar for movie, _ in pairs if os.path.exists(sidecar := sidecar_of(movie))}
    unfinished = frozenset(table for table in tables if _partial_results(table).begun)
    finished = frozenset(filter(Path.exists, tables)) - unfinished
    return MovieScan(places, pairs, finished, unfinished, sidecars)


def run(settings: BatchSettings) -> Generator[DetectorReady | MovieProgress | Outcome, None, None]:
    """Detect every movie, each with the settings of its sidecar, and write the summary of their outcomes.

    Yields
    ------
    DetectorReady, MovieProgress or Outcome
        `DetectorReady` once, then the events of `detect_batch`.

    Raises
    ------
    InputError
        If nothing could be written, or something would be overwritten.
    """
    skip, replace_them = settings.existing == SKIP, settings.existing == REPLACE
    refuse_to_replace(settings)
    scan = settings.scan
    make_folder(scan.places.output)
    batch_summary.check_summary(scan.summary, scan.pairs, overwrite=replace_them)
    detector = settings.choice.load()
    yield DetectorReady(detector.device_reason)
    options = DetectionOptions(settings.camera)
    events = batch.detect_batch(scan.pairs, detector, options, resume=skip, overwrite=replace_them)
    yield from batch_summary.summarised(events, scan.summary)


def refuse_to_replace(settings: BatchSettings) -> None:
    """Raise `InputError` if a file that exists would be replaced against the choice, or an input at all."""
    pairs, existing, summary = settings.scan.pairs, settings.existing, settings.scan.summary
    files = [file for _, table in pairs for file in formats.format_for(table).outputs(table)]
    check_inputs_stay(pairs, also_read=settings.also_read)
    if existing == REFUSE:
        folders = [_partial_results(table).folder for _, table in pairs]
        there = [file for file in (*files, *folders, summary) if file.exists()]
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        if there:
            raise InputError(f"{there[0]}{more}: exists already; choose {SKIP!r} to continue, or {REPLACE!r}")


# -- results ------------------------------------------------------------------------------------------------------


def open_result(
    movie: Path, table: Path, camera: Camera
) -> Generator[None, None, tuple[LayerData, Localizations | None]]:
    """Return a movie as a lazy layer, and its localizations if there is a table.

    Parameters
    ----------
    movie, table : Path
    camera : Camera
        Overridden by the movie's sidecar.

    Raises
    ------
    InputError
        If the movie or the table cannot be read.
    """
    yield
    if os.path.exists(sidecar := sidecar_of(movie)):
        camera = Sidecar.from_yaml(sidecar).over(camera)
    stack = open_stack(movie)
    data = movie_layer_data(stack, camera)
    if not table.exists():
        return data, None
    try:
        return data, formats.read(table)
    except PixelSizeError:  # the file that gave the pixel size is gone
        return data, formats.read(table, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)


def _partial_results(table: Path) -> PartialResults:
    from napari_subpixel.runs.checkpoints import PartialResults  # loads torch

    return PartialResults(table)
