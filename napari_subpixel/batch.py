"""Several movies into as many tables: find them, name the tables, detect one after another, say what became of each."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import pandas as pd

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.files import atomic_output, check_can_write, write_failure
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.stacks import Stack, open_stack
from napari_subpixel.stacks.folders import natural_key
from napari_subpixel.stacks.zarrs import is_zarr_folder

if TYPE_CHECKING:
    from napari_subpixel.detector import Detector, Roi
    from napari_subpixel.jobs import Chunk, DetectionJob
    from napari_subpixel.pipeline import Detected

#: Endings of files that are movies; what such a file really is shows when it is opened.
MOVIE_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".stk", ".lsm", ".zarr.zip")
#: Endings of two parts that a table's name does not keep, and those of movies that are folders.
DOUBLE_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf2", ".ome.tf8", ".ome.zarr.zip", ".zarr.zip")
FOLDER_SUFFIXES = (".ome.zarr", ".zarr")
#: Columns of the table of what came out, with their types.
SUMMARY = {
    "movie": "str",
    "table": "str",
    "status": "str",
    "frames": "Int64",
    "molecules": "Int64",
    "seconds": "float64",
    "frames_per_second": "float64",
    "warnings": "str",
    "error": "str",
}


# -- which movies, which tables ---------------------------------------------------------------------------------------


def find_movies(folder: str | Path, pattern: str = "*") -> list[Path]:
    """List the movies in a folder: TIFF files of every kind and Zarr.

    Parameters
    ----------
    folder : path-like
        Where to look; hidden files are left out, and so are folders of single frames.
    pattern : str
        What the names look like, such as ``cell*.tif``; ``**/*.tif`` looks into folders within the folder too.

    Returns
    -------
    list of Path
        Sorted as people number files, movie2 before movie10. An OME-TIFF of several files is listed once.

    Raises
    ------
    InputError
        If there is no such folder, or no movie in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: {'is not a folder' if folder.exists() else 'no such folder'}")
    if is_zarr_folder(folder):
        raise InputError(f"{folder}: is itself a movie (Zarr); give the folder that it is in")
    try:
        there = [path for path in folder.glob(pattern) if _is_movie(path, folder)]
    except (ValueError, NotImplementedError):
        raise InputError(f"{pattern!r} is not a pattern of names in a folder; an example is 'cell*.tif'") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    movies = _one_of_each_set(sorted(there, key=lambda path: [natural_key(Path(p)) for p in path.parts]))
    if not movies:
        held = ", ".join(p.name for p in sorted(folder.iterdir(), key=natural_key)[:5]) or "nothing"
        raise InputError(f"{folder}: no TIFF files and no Zarr named {pattern!r} in this folder; it holds {held}")
    return movies


def pair_outputs(
    movies: Sequence[str | Path], folder: str | Path, format: str = "csv"
) -> list[tuple[str | Path, Path]]:
    """Name the table that every movie becomes, after the movie.

    Parameters
    ----------
    movies : sequence of path-like
    folder : path-like
        Where the tables go; it is neither made nor looked at.
    format : str
        Of the tables: ``csv``, ``hdf5`` or ``parquet``.

    Returns
    -------
    list of (path-like, Path)
        Movies, as they were given, and tables.

    Raises
    ------
    InputError
        If two movies would become one table, or the format is unknown.

    Examples
    --------
    >>> [(movie, table.name) for movie, table in pair_outputs(["a/cell.1.ome.tif", "b/cell.2.tif"], "tables")]
    [('a/cell.1.ome.tif', 'cell.1.csv'), ('b/cell.2.tif', 'cell.2.csv')]
    """
    if format not in formats.FORMATS:
        known = ", ".join(formats.FORMATS)
        raise InputError(f"unknown format {format!r}{suggest(format, formats.FORMATS)}; there are {known}")
    suffix = formats.FORMATS[format].suffixes[0]
    tables = [Path(folder) / (_stem(Path(movie)) + suffix) for movie in movies]
    twice = {table for table in tables if tables.count(table) > 1}
    if twice:
        raise InputError(f"{min(twice)}: several movies would become this table; rename one or use another folder")
    return list(zip(movies, tables, strict=True))


def check_inputs_stay(pairs: Iterable[tuple[str | Path, Path]], *, also_read: Iterable[str | Path] = ()) -> None:
    """Raise `InputError` if a table, or a file that comes beside it, is a file that is read.

    Parameters
    ----------
    pairs : iterable of (path-like, Path)
        Movies and tables.
    also_read : iterable of path-like
        What else is read: the camera file, the model.
    """
    pairs = list(pairs)
    inputs = {Path(name).resolve() for name in (*(movie for movie, _ in pairs), *also_read)}
    for _, output in pairs:
        for file in formats.format_for(output).outputs(output):
            if file.resolve() in inputs:
                raise InputError(f"{file}: is read by this command and would be replaced by its output")


def _is_movie(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    if any(part.startswith(".") for part in parts):
        return False
    if path.is_dir():
        return is_zarr_folder(path) and not any(is_zarr_folder(p) for p in path.parents if p.is_relative_to(folder))
    return path.name.lower().endswith(MOVIE_SUFFIXES)


def _stem(movie: Path) -> str:
    """Name of a movie without what says its kind; a folder of frames keeps its dots."""
    name = movie.resolve().name
    for suffix in FOLDER_SUFFIXES if movie.is_dir() else (*DOUBLE_SUFFIXES, *FOLDER_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name if movie.is_dir() else Path(name).stem


def _one_of_each_set(movies: list[Path]) -> list[Path]:
    """Leave out the further files of OME-TIFFs that consist of several, by what the first file says of itself."""
    further = set[Path]()
    for path in movies:
        if path not in further and ".ome." in path.name.lower():
            files = _files_of_movie(path)
            if path in files:  # else the file was renamed, and what it names is not its own
                further |= files - {path}
    return [path for path in movies if path not in further]


def _files_of_movie(path: Path) -> set[Path]:
    """Return the files of the first image of an OME-TIFF, as its XML, or the file that holds it, names them."""
    first = _first_image(path)
    if holder := re.search(r'\bMetadataFile="([^"]+)"', first):
        first = _first_image(path.parent / _file_name(holder[1]))
    return {path.parent / _file_name(name) for name in re.findall(r'\bFileName="([^"]+)"', first)}


def _first_image(path: Path) -> str:
    """Return the OME-XML of a file up to the end of its first image."""
    import tifffile

    try:
        if path.suffix.lower() == ".ome":
            xml = path.read_text(encoding="utf-8")
        else:
            with tifffile.TiffFile(path) as tiff:
                xml = tiff.ome_metadata or ""
    except Exception:  # a damaged file is a movie all the same: what is wrong with it is told when it is opened
        return ""
    return re.split(r"</(?:\w+:)?Image>", xml, maxsplit=1)[0]


def _file_name(in_xml: str) -> str:
    return re.split(r"[\\/]", html.unescape(in_xml))[-1]


# -- detection --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
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
    """

    movie: Path
    output: Path
    number: int
    n_movies: int
    start: int = 0
    stop: int = 0
    done: int = 0

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
        What is doubtful about the result, one sentence each.
    assumed : tuple of str
        What was estimated of the microscope, one phrase each.
    error : str or None
        Why there is no table, on one line that names the movie.
    skipped : bool
        Whether the table was there already and `resume` let it be.
    """

    movie: Path
    output: Path
    n_frames: int = 0
    n_molecules: int = 0
    n_detected: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    error: str | None = None
    skipped: bool = False

    @property
    def frames_per_second(self) -> float | None:
        """Frames detected per second; None where none was."""
        return self.n_detected / self.seconds if self.n_detected and self.seconds > 0 else None

    @property
    def status(self) -> str:
        """``done``, ``skipped`` or ``failed``."""
        return "failed" if self.error is not None else "skipped" if self.skipped else "done"


def detect_batch(
    pairs: Iterable[tuple[str | Path, Path]],
    detector: Detector,
    camera: Camera | None = None,
    *,
    psf: GaussianPSF | None = None,
    estimate_camera: bool | None = None,
    frames: tuple[int | None, int | None] | None = None,
    roi: Roi | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Generator[Progress | Outcome, None, None]:
    """Detect movies one after another; one that fails does not stop the others.

    Parameters
    ----------
    pairs : iterable of (path-like, Path)
        Movies and tables, as `pair_outputs` gives them; the suffix of a table chooses its format.
    detector : Detector
    camera : Camera, optional
        Of all the movies.
    psf, estimate_camera
        As in `job_for`.
    frames : (int or None, int or None), optional
        First frame and the one after the last, of every movie; None is the movie's own.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frame, ends excluded.
    resume : bool
        Go on with interrupted runs, and skip movies whose table is there.
    overwrite : bool
        Replace tables that are there, and drop what interrupted runs left.

    Yields
    ------
    Progress or Outcome
        For every movie: its progress, the first time before any frame is done, then what became of it. A movie that
        is skipped or cannot be opened has no progress. Where the generator is closed before its end, finished chunks
        of the movie at work are kept for `resume`.
    """
    from napari_subpixel.jobs import job_for  # loads torch
    from napari_subpixel.journal import Journal  # loads torch
    from napari_subpixel.pipeline import check_output  # loads torch

    def job_of(stack: Stack, output: Path) -> DetectionJob:
        check_output(stack, camera, output, resume=resume, overwrite=overwrite)
        start, stop = frames or (None, None)
        span = start or 0, stack.n_frames if stop is None else stop
        return job_for(stack, detector, camera, psf=psf, estimate_camera=estimate_camera, frames=span, roi=roi)

    pairs = list(pairs)
    for number, (movie, output) in enumerate(pairs, start=1):
        at = Progress(Path(movie), output, number, len(pairs))
        if resume and output.exists():
            Journal(output).remove()
            yield Outcome(at.movie, output, skipped=True)
            continue
        try:
            outcome = yield from _detect_movie(movie, at, job_of, resume=resume, overwrite=overwrite)
        except (InputError, OSError, MemoryError) as error:
            outcome = Outcome(at.movie, output, error=_in_words(at.movie, error))
        yield outcome


def _detect_movie(
    movie: str | Path, at: Progress, job_of: Callable[[Stack, Path], DetectionJob], *, resume: bool, overwrite: bool
) -> Generator[Progress, None, Outcome]:
    from napari_subpixel.doubts import crowding_warning
    from napari_subpixel.pipeline import detect_to_file

    with open_stack(movie) as stack:
        job = job_of(stack, at.output)
        at = replace(at, start=job.span[0], stop=job.span[1], done=job.span[0])
        yield at
        began = perf_counter()
        with closing(detect_to_file(job, at.output, resume=resume, overwrite=overwrite)) as chunks:
            n_detected, found = yield from _followed(chunks, at)
        seconds = perf_counter() - began
        crowding = crowding_warning(job, found.n_molecules, at.n_frames)
        outside = [f"{stack.name}: {warning}" for warning in found.provenance.get("warnings", ())]
        warnings = [_series_warning(stack), crowding, *outside]
    return Outcome(
        at.movie,
        at.output,
        n_frames=at.n_frames,
        n_molecules=found.n_molecules,
        n_detected=n_detected,
        seconds=seconds,
        warnings=tuple(filter(None, warnings)),
        assumed=job.assumed,
    )


def _followed(
    chunks: Generator[Chunk, None, Detected], at: Progress
) -> Generator[Progress, None, tuple[int, Detected]]:
    """Turn chunks into progress; the value is how many frames were in them, and what was written."""
    n_detected = 0
    while True:
        try:
            chunk = next(chunks)
        except StopIteration as end:
            return n_detected, end.value
        n_detected += chunk.stop - chunk.start
        yield replace(at, done=chunk.stop)


def _series_warning(stack: Stack) -> str | None:
    if stack.n_series == 1:
        return None
    return f"{stack.name}: the file tells of {stack.n_series} images, of which one was detected"


def _in_words(movie: Path, error: Exception) -> str:
    """Say on one line, which names the movie, why it failed."""
    if isinstance(error, MemoryError):
        return f"{movie}: there is not enough memory for this"
    if isinstance(error, OSError):
        return f"{error.filename or movie}: {write_failure(error)}"
    message = " ".join(str(error).split())
    return message if movie.name in message else f"{movie}: {message}"


# -- a table of what came out -----------------------------------------------------------------------------------------


def summary(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return a row for every movie; numbers are missing where no table was written.

    Examples
    --------
    >>> print(summary([Outcome(Path("a.tif"), Path("a.csv"), 100, 2500, 100, 4.0)]).T.to_string(header=False))
    movie                a.tif
    table                a.csv
    status                done
    frames                 100
    molecules             2500
    seconds                4.0
    frames_per_second     25.0
    warnings
    error
    """
    rows = [
        {
            "movie": str(outcome.movie),
            "table": str(outcome.output),
            "status": outcome.status,
            "frames": outcome.n_frames if outcome.status == "done" else None,
            "molecules": outcome.n_molecules if outcome.status == "done" else None,
            "seconds": round(outcome.seconds, 2) if outcome.status == "done" else None,
            "frames_per_second": round(outcome.frames_per_second, 1) if outcome.frames_per_second else None,
            "warnings": "; ".join(outcome.warnings),
            "error": outcome.error or "",
        }
        for outcome in outcomes
    ]
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)


def write_summary(path: str | Path, outcomes: Iterable[Outcome], *, overwrite: bool = False) -> None:
    """Write `summary` as a csv.

    Raises
    ------
    InputError
        If the file is no .csv, exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: the summary is a .csv, got {path.suffix or 'no suffix'}")
    check_can_write(path, overwrite=overwrite)
    with atomic_output(path) as draft:
        summary(outcomes).to_csv(draft, index=False)
