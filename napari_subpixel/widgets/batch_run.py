"""A folder of movies into a folder of tables, in the background: what is there, what is refused, and the run itself."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from napari_subpixel import batch, formats
from napari_subpixel.batch import Outcome, Progress
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.files import check_can_write, make_folder
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.detectors import DetectorChoice
from napari_subpixel.widgets.movie_layers import LayerData, movie_layer_data

#: The file, beside the tables, that says what became of every movie.
SUMMARY = "summary.csv"
#: What to do where tables are there already, as the user chooses it.
REFUSE, SKIP, REPLACE = "refuse to run", "skip finished movies", "replace them"
#: What the core says of the command line's flags, and what is said of this form instead.
FORM_WORDS = {
    "--resume goes on, --overwrite starts anew": f"choose {SKIP!r} to go on, or {REPLACE!r} to start anew",
    "--overwrite starts anew": f"delete it, or choose {REPLACE!r}, to start anew",
    "--overwrite replaces it": f"choose {REPLACE!r}",
    "give --pixel-size-nm or a camera file": "give it as 'Pixel size [nm]'",
    "is read by this command and would be replaced by its output": "is read, and would be replaced by a table",
}


class Places(NamedTuple):
    """Where the movies are and where the tables go."""

    folder: Path
    pattern: str
    output: Path
    format: str


class Found(NamedTuple):
    """Movies, the tables they become, and which of these are there, or begun by a run that was stopped."""

    places: Places
    pairs: list[tuple[Path, Path]]
    there: frozenset[Path]
    begun: frozenset[Path]


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
    movies = batch.find_movies(places.folder, places.pattern)
    pairs = [(Path(movie), table) for movie, table in batch.pair_outputs(movies, places.output, places.format)]
    tables = [table for _, table in pairs]
    return Found(places, pairs, frozenset(filter(Path.exists, tables)), frozenset(filter(_is_begun, tables)))


def run(settings: BatchSettings) -> Generator[Began | Progress | Outcome, None, None]:
    """Detect every movie; whatever becomes of them, also where this is closed, the summary says it.

    The summary goes on telling of tables that an earlier run wrote and that are there still.

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
    summary = settings.found.places.output / SUMMARY
    make_folder(summary.parent)
    check_can_write(summary, overwrite=True)
    detector = settings.choice.load()
    yield Began(detector.device_reason)
    earlier = read_summary(summary)
    outcomes: dict[str, Outcome] = {}
    events = batch.detect_batch(settings.found.pairs, detector, settings.camera, resume=skip, overwrite=replace_them)
    try:
        with closing(events):
            for event in events:
                if isinstance(event, Outcome):
                    event = _in_form(event, earlier)
                    outcomes[event.output.name] = _lasting(event)
                yield event
    finally:
        if outcomes:
            batch.write_summary(summary, (earlier | outcomes).values(), overwrite=True)


def refuse_to_replace(settings: BatchSettings) -> None:
    """Raise `InputError` if what is there would be written over without leave, or what is read at all."""
    pairs, existing = settings.found.pairs, settings.existing
    summary = settings.found.places.output / SUMMARY
    files = [file for _, table in pairs for file in formats.format_for(table).outputs(table)]
    if summary in files:
        raise InputError(f"{summary}: is the name of the summary, and a movie would become this table; rename it")
    with _in_form_words():
        batch.check_inputs_stay(pairs, also_read=settings.also_read)
    if existing == REFUSE:
        journals = [_journal(table) for _, table in pairs]
        there = [file for file in (*files, *journals, summary) if file.exists()]
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        if there:
            raise InputError(f"{there[0]}{more}: there already; choose {SKIP!r}, which goes on, or {REPLACE!r}")
    if existing == SKIP and summary.exists() and not is_summary(summary):
        raise InputError(f"{summary}: is no summary of this program's; rename it, or choose another folder")


# -- the summary --------------------------------------------------------------------------------------------------


def is_summary(path: Path) -> bool:
    """Say whether a file is a summary that a run wrote, by its headings."""
    try:
        return list(pd.read_csv(path, nrows=0).columns) == list(batch.SUMMARY)
    except (OSError, ValueError):
        return False


def read_summary(path: Path) -> dict[str, Outcome]:
    """Return what earlier runs said of the tables they wrote, by their names; nothing where that is not known."""
    if not is_summary(path):
        return {}
    rows = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    try:
        told = {Path(row["table"]).name: _outcome(row) for row in rows if row["status"] == "done"}
    except ValueError:  # somebody changed its numbers
        return {}
    return {name: outcome for name, outcome in told.items() if (path.parent / name).exists()}


def _outcome(row: dict[Hashable, str]) -> Outcome:
    seconds, rate = (float(row[name] or 0.0) for name in ("seconds", "frames_per_second"))
    return Outcome(
        Path(row["movie"]),
        Path(row["table"]),
        n_frames=int(row["frames"]),
        n_molecules=int(row["molecules"]),
        n_detected=round(rate * seconds),
        seconds=seconds,
        warnings=tuple(filter(None, [row["warnings"]])),
    )


def _in_form(outcome: Outcome, earlier: dict[str, Outcome]) -> Outcome:
    """Return what became of a movie in the form's words, with what an earlier run said of a table that is kept."""
    before = earlier.get(outcome.output.name)
    if outcome.skipped and before is not None:
        return replace(before, movie=outcome.movie, output=outcome.output, skipped=True)
    return replace(outcome, error=in_form_words(outcome.error)) if outcome.error is not None else outcome


def _lasting(outcome: Outcome) -> Outcome:
    """Return an outcome for the summary, which tells of a table that was kept as the run told that made it."""
    return replace(outcome, skipped=False) if outcome.n_frames else outcome


# -- words --------------------------------------------------------------------------------------------------------


def in_form_words(message: str) -> str:
    """Return a message of the core that names controls of the form where the core names flags."""
    for flags, words in FORM_WORDS.items():
        message = message.replace(flags, words)
    return message


@contextmanager
def _in_form_words() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(in_form_words(str(error))) from None


# -- what came out ------------------------------------------------------------------------------------------------


def open_result(
    movie: Path, table: Path, camera: Camera
) -> Generator[None, None, tuple[LayerData, Localizations | None]]:
    """Return a movie as a lazy layer, and its localizations where there is a table."""
    yield
    stack = open_stack(movie)
    data = movie_layer_data(stack, camera)
    if not table.exists():
        return data, None
    try:
        return data, formats.read(table)
    except PixelSizeError:  # what was written beside it is gone
        return data, formats.read(table, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)


def _journal(table: Path) -> Path:
    from napari_subpixel.journal import Journal  # loads torch

    return Journal(table).folder


def _is_begun(table: Path) -> bool:
    return not table.exists() and _journal(table).exists()
