"""Several movies into as many tables: find them, name the tables, detect one after another, say what became of each."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from napari_subpixel import formats, records
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.files import write_failure
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.sidecars import SUFFIX as SIDECAR_SUFFIX
from napari_subpixel.sidecars import Sidecar
from napari_subpixel.stacks import Stack, open_stack
from napari_subpixel.stacks.folders import is_folder_of_frames, natural_key
from napari_subpixel.stacks.zarrs import is_zarr_folder

if TYPE_CHECKING:
    from napari_subpixel.coordinates import Roi
    from napari_subpixel.detector import Detector
    from napari_subpixel.jobs import Chunk, DetectionJob
    from napari_subpixel.pipeline import Detected, Detecting

#: Endings of files that are movies; what such a file really is shows when it is opened.
MOVIE_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".stk", ".lsm", ".zarr.zip")
#: Endings of two parts that a table's name does not keep, and those of movies that are folders.
DOUBLE_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf2", ".ome.tf8", ".ome.zarr.zip", ".zarr.zip")
FOLDER_SUFFIXES = (".ome.zarr", ".zarr")


# -- which movies, which tables ---------------------------------------------------------------------------------------


def gather_movies(names: Iterable[str | Path]) -> list[str | Path]:
    """List the movies that names stand for: movies, folders of movies, patterns, and lists of all these.

    Parameters
    ----------
    names : iterable of path-like
        A movie: a file, a Zarr, or a folder of frames, a file each. A folder of movies: any other folder, with the
        movies that `find_movies` finds in it. A pattern, such as ``cell*.tif`` or ``**/*.tif``, where there is no file
        of this very name. A list: ``@`` and the name of a text file with one of all these on a line, relative to the
        folder of that file; empty lines and those that start with ``#`` are passed over. Sidecars are too.

    Returns
    -------
    list of path-like
        In the order of the names, each movie once. A name that stands for nothing is there too: what is wrong with it
        is told when it is opened.

    Raises
    ------
    InputError
        If a pattern has no movies, or a list cannot be read or names none.
    """
    movies: dict[str, str | Path] = {}
    for name in names:
        if str(name).endswith(SIDECAR_SUFFIX):
            continue  # of a pattern that the shell looked up
        for movie in _named(str(name)):
            movies.setdefault(os.path.realpath(movie) if str(movie) else "", movie)
    return list(movies.values())


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
        Sorted as people number files, movie2 before movie10. An OME-TIFF of several files is listed once. A folder
        that is itself a movie, of single frames, is the only one.

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
    if pattern == "*" and is_folder_of_frames(folder):
        return [folder]
    try:
        there = [path for path in folder.glob(pattern) if _is_movie(path, folder)]
    except (ValueError, NotImplementedError):
        raise InputError(f"{pattern!r} is not a pattern of names in a folder; an example is 'cell*.tif'") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    movies = _one_of_each_set(sorted(there, key=_natural_parts))
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
        Movies, which are read together with their sidecars, and tables.
    also_read : iterable of path-like
        What else is read: the camera file, the model.
    """
    pairs = list(pairs)
    sidecars = [sidecar_of(movie) for movie, _ in pairs]
    inputs = {
        Path(name).resolve() for name in (*(movie for movie, _ in pairs), *filter(os.path.exists, sidecars), *also_read)
    }
    for _, output in pairs:
        for file in formats.format_for(output).outputs(output):
            if file.resolve() in inputs:
                raise InputError(f"{file}: is read by this command and would be replaced by its output")


def sidecar_of(movie: str | Path) -> Path:
    """Return the name of the file beside a movie that holds its own settings, there or not.

    Examples
    --------
    >>> sidecar_of("data/cell.1.ome.tif").name
    'cell.1.subpixel.yaml'
    """
    movie = Path(movie)
    named = movie if movie.name.strip(".") else Path(os.path.abspath(movie))  # "." and "..", which have no name
    return named.with_name(_stem(movie) + SIDECAR_SUFFIX)


def _named(name: str) -> list[str | Path]:
    """Return the movies that one name stands for."""
    if name.startswith("@") and not os.path.exists(name):
        return [movie for entry in _listed(Path(name[1:])) for movie in _named(entry)]
    if os.path.isdir(name):
        return [*_movies_in(Path(name))] or [name]
    if os.path.exists(name) or not has_magic(name):
        return [name]
    return [*_matching(name)]


def _listed(path: Path) -> list[str]:
    """Return the names in a list of movies."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise InputError(f"{path}: no such list of movies") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no list of movies, a name on a line: {error}") from None
    names = [os.path.join(path.parent, line) for line in lines if line and not line.startswith("#")]
    if not names:
        raise InputError(f"{path}: names no movies")
    return names


def _movies_in(folder: Path) -> list[Path]:
    """Return the movie that a folder is, else those in it; none where it is neither."""
    if is_zarr_folder(folder):
        return [folder]
    try:
        return find_movies(folder)
    except InputError:
        return []


def _matching(pattern: str) -> list[Path]:
    there = sorted(map(Path, glob(pattern, recursive=True)), key=_natural_parts)
    folders = [path for path in there if path.is_dir()]
    movies = [path for path in there if path.is_file() and _has_movie_suffix(path)]
    movies += [movie for folder in folders for movie in _movies_in(folder)]
    of_several_files = {folder for folder in folders if is_zarr_folder(folder) or is_folder_of_frames(folder)}
    movies = [movie for movie in movies if of_several_files.isdisjoint(movie.parents)]
    if not movies:
        raise InputError(f"{pattern}: no movie has such a name")
    return _one_of_each_set(sorted(movies, key=_natural_parts))


def _natural_parts(path: Path) -> list[list[tuple[int, int, str]]]:
    return [natural_key(Path(part)) for part in path.parts]


def _has_movie_suffix(path: Path) -> bool:
    return path.name.lower().endswith(MOVIE_SUFFIXES)


def _is_movie(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    if any(part.startswith(".") for part in parts):
        return False
    if path.is_dir():
        return is_zarr_folder(path) and not any(is_zarr_folder(p) for p in path.parents if p.is_relative_to(folder))
    return _has_movie_suffix(path)


def _stem(movie: Path) -> str:
    """Name of a movie without what says its kind; a folder of frames keeps its dots."""
    name = movie.resolve().name
    is_folder = os.path.isdir(movie)
    for suffix in FOLDER_SUFFIXES if is_folder else (*DOUBLE_SUFFIXES, *FOLDER_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name if is_folder else Path(name).stem


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
    how : str
        Model and threshold, in words.
    own_settings : str
        What the movie's sidecar said, in words; empty without one.
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
    how: str = ""
    own_settings: str = ""
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


@dataclass(frozen=True)
class Settings:
    """How a movie is detected: the arguments of `detect_batch`, or what a sidecar made of them.

    Attributes
    ----------
    detector, camera, psf, estimate_camera, frames, roi
        As in `detect_batch`.
    own : str
        What of this the movie's sidecar said, in words.
    """

    detector: Detector
    camera: Camera | None = None
    psf: GaussianPSF | None = None
    estimate_camera: bool | None = None
    frames: tuple[int | None, int | None] | None = None
    roi: Roi | None = None
    own: str = ""

    def of_movie(self, movie: str | Path) -> Settings:
        """Return the settings of one movie: where it has a sidecar, what that says goes before these.

        Raises
        ------
        InputError
            If the sidecar holds an unknown or impossible setting; the message names the file and the setting.
        """
        path = sidecar_of(movie)
        if not os.path.exists(path):
            return self
        sidecar = Sidecar.from_yaml(path)
        with records.naming(path):
            return replace(
                self,
                detector=_detector_of(sidecar, self.detector),
                camera=sidecar.over(self.camera or Camera()),
                psf=GaussianPSF.from_dict(sidecar.psf) if sidecar.psf else self.psf,
                estimate_camera=False if sidecar.tells_gain else self.estimate_camera,
                frames=sidecar.frames or self.frames,
                roi=sidecar.roi or self.roi,
                own=f"{', '.join(sidecar.names)} from {path.name}" if sidecar.names else "",
            )

    def job(self, stack: Stack) -> DetectionJob:
        """Return the job of detecting a movie so."""
        from napari_subpixel.jobs import job_for  # loads torch

        start, stop = self.frames or (None, None)
        span = start or 0, stack.n_frames if stop is None else stop
        return job_for(
            stack,
            self.detector,
            self.camera,
            psf=self.psf,
            estimate_camera=self.estimate_camera,
            frames=span,
            roi=self.roi,
        )


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
    detecting: Detecting | None = None,
) -> Generator[Progress | Outcome, None, None]:
    """Detect movies one after another; one that fails does not stop the others.

    Parameters
    ----------
    pairs : iterable of (path-like, Path)
        Movies and tables, as `pair_outputs` gives them; the suffix of a table chooses its format. Where `sidecar_of`
        a movie is there, its settings go before all that follow.
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
    detecting : callable, optional
        What detects the chunks of a movie, as in `detect_to_file`.

    Yields
    ------
    Progress or Outcome
        For every movie: its progress, the first time before any frame is done, then what became of it. A movie that
        is skipped or cannot be opened has no progress. Where the generator is closed before its end, finished chunks
        of the movie at work are kept for `resume`.
    """
    from napari_subpixel.journal import Journal  # loads torch

    settings = Settings(detector, camera, psf, estimate_camera, frames, roi)
    pairs = list(pairs)
    for number, (movie, output) in enumerate(pairs, start=1):
        at = Progress(Path(movie), output, number, len(pairs))
        journal = Journal(output)
        if resume and output.exists() and not journal.begun:
            journal.remove()
            yield Outcome(at.movie, output, skipped=True)
            continue
        try:
            own = settings.of_movie(movie)
            outcome = yield from _detect_movie(movie, at, own, detecting, resume=resume, overwrite=overwrite)
        except (InputError, OSError, MemoryError) as error:
            outcome = Outcome(at.movie, output, error=_in_words(at.movie, error))
        yield outcome


def _detect_movie(
    movie: str | Path, at: Progress, settings: Settings, detecting: Detecting | None, *, resume: bool, overwrite: bool
) -> Generator[Progress, None, Outcome]:
    from napari_subpixel.doubts import crowding_warning
    from napari_subpixel.pipeline import check_output, detect, detect_to_file

    with open_stack(movie) as stack:
        check_output(stack, settings.camera, at.output, resume=resume, overwrite=overwrite)
        job = settings.job(stack)
        at = replace(at, start=job.span[0], stop=job.span[1], done=job.span[0])
        yield at
        began = perf_counter()
        run = detect_to_file(job, at.output, resume=resume, overwrite=overwrite, detecting=detecting or detect)
        with closing(run) as chunks:
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
        how=f"model {job.detector.card.name}, threshold {job.detector.threshold:g}",
        own_settings=settings.own,
    )


def _detector_of(sidecar: Sidecar, general: Detector) -> Detector:
    """Return the detector that a sidecar asks for; another model comes with its own threshold, unless one is given."""
    from napari_subpixel.detector import Detector

    if sidecar.model is None and sidecar.threshold is None:
        return general
    return Detector(
        sidecar.model or general.model,
        threshold=sidecar.threshold,
        device=general.device.type,
        tile_px=general.tile_px,
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
