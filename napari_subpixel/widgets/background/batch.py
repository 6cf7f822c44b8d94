"""A folder of movies into a folder of tables, in the background: what is there, what is refused, and the run itself."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_subpixel import formats
from napari_subpixel._util.files import make_folder
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs import batch, batch_summary
from napari_subpixel.runs.batch import Outcome, Progress
from napari_subpixel.runs.movie_lists import check_inputs_stay, find_movies, pair_outputs, sidecar_of
from napari_subpixel.runs.sidecars import Sidecar
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background.detector_cache import DetectorChoice
from napari_subpixel.widgets.controls.advice import REFUSE, REPLACE, SKIP
from napari_subpixel.widgets.layers.movies import LayerData, movie_layer_data

if TYPE_CHECKING:
    from napari_subpixel.runs.checkpoints import Journal


class Places(NamedTuple):
    """Where the movies are and where the tables go."""

    folder: Path
    pattern: str
    output: Path
    format: str


class Found(NamedTuple):
    """Movies, the tables they become, which of these are there, or begun by a run that was stopped; and sidecars.

    Attributes
    ----------
    places : Places
    pairs : list of (Path, Path)
        Movies and tables.
    there, begun : frozenset of Path
        Tables.
    sidecars : mapping of Path to Path
        By movie, where it has settings of its own.
    """

    places: Places
    pairs: list[tuple[Path, Path]]
    there: frozenset[Path]
    begun: frozenset[Path]
    sidecars: Mapping[Path, Path]

    @property
    def summary(self) -> Path:
        """Where it stands written what became of the movies."""
        return self.places.output / batch_summary.NAME


class BatchSettings(NamedTuple):
    """What to run, and how.

    Attributes
    ----------
    found : Found
    camera : Camera
    choice : DetectorChoice
    existing : str
        `REFUSE`, `SKIP` or `REPLACE`.
    also_read : tuple of Path
        Files that are read beside the movies, which no table may replace.
    """

    found: Found
    camera: Camera
    choice: DetectorChoice
    existing: str
    also_read: tuple[Path, ...] = ()


class Began(NamedTuple):
    """The detector is there: on which device, and why."""

    device: str


def look(places: Places) -> Generator[None, None, Found]:
    """Find the movies, and the tables that are there: on a slow disk this takes its time.

    Raises
    ------
    InputError
        If there are none, or two would become one table.
    """
    yield
    if not places.pattern:
        raise InputError("no names to look for: * finds all movies of the folder")
    movies = find_movies(places.folder, places.pattern)
    pairs = [(Path(movie), table) for movie, table in pair_outputs(movies, places.output, places.format)]
    tables = [table for _, table in pairs]
    sidecars = {movie: sidecar for movie, _ in pairs if os.path.exists(sidecar := sidecar_of(movie))}
    begun = frozenset(table for table in tables if _journal(table).begun)
    return Found(places, pairs, frozenset(filter(Path.exists, tables)) - begun, begun, sidecars)


def run(settings: BatchSettings) -> Generator[Began | Progress | Outcome, None, None]:
    """Detect every movie, each with the settings of its sidecar, and keep the summary of what becomes of them.

    Yields
    ------
    Began, Progress or Outcome
        Once the first; then what `detect_batch` tells.

    Raises
    ------
    InputError
        If nothing could be written, or something would be written over.
    """
    skip, replace_them = settings.existing == SKIP, settings.existing == REPLACE
    refuse_to_replace(settings)
    found = settings.found
    make_folder(found.places.output)
    batch_summary.check_summary(found.summary, found.pairs, overwrite=replace_them)
    detector = settings.choice.load()
    yield Began(detector.device_reason)
    events = batch.detect_batch(found.pairs, detector, settings.camera, resume=skip, overwrite=replace_them)
    yield from batch_summary.summarised(events, found.summary)


def refuse_to_replace(settings: BatchSettings) -> None:
    """Raise `InputError` if what is there would be written over without leave, or what is read at all."""
    pairs, existing, summary = settings.found.pairs, settings.existing, settings.found.summary
    files = [file for _, table in pairs for file in formats.format_for(table).outputs(table)]
    check_inputs_stay(pairs, also_read=settings.also_read)
    if existing == REFUSE:
        journals = [_journal(table).folder for _, table in pairs]
        there = [file for file in (*files, *journals, summary) if file.exists()]
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        if there:
            raise InputError(f"{there[0]}{more}: there already; choose {SKIP!r}, which goes on, or {REPLACE!r}")


# -- what came out ------------------------------------------------------------------------------------------------


def open_result(
    movie: Path, table: Path, camera: Camera
) -> Generator[None, None, tuple[LayerData, Localizations | None]]:
    """Return a movie as a lazy layer, and its localizations where there is a table."""
    yield
    if os.path.exists(sidecar := sidecar_of(movie)):
        camera = Sidecar.from_yaml(sidecar).over(camera)
    stack = open_stack(movie)
    data = movie_layer_data(stack, camera)
    if not table.exists():
        return data, None
    try:
        return data, formats.read(table)
    except PixelSizeError:  # what was written beside it is gone
        return data, formats.read(table, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)


def _journal(table: Path) -> Journal:
    from napari_subpixel.runs.checkpoints import Journal  # loads torch

    return Journal(table)
