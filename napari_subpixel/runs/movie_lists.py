"""Which movies are meant by names, folders, patterns and lists, and what their tables are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TypeVar

from napari_subpixel import formats
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.runs.sidecars import SUFFIX as SIDECAR_SUFFIX
from napari_subpixel.stacks import SplitMovie
from napari_subpixel.stacks.folders import is_folder_of_frames
from napari_subpixel.stacks.numbering import natural_key
from napari_subpixel.stacks.tiffs import known_files_of_movie
from napari_subpixel.stacks.zarrs import is_zarr_folder

M = TypeVar("M", str | Path, Path)

#: Endings of files that are movies; what such a file really is shows when it is opened.
MOVIE_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".stk", ".lsm", ".zarr.zip")
#: Endings of two parts that a table's name does not keep, and those of movies that are folders.
DOUBLE_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf2", ".ome.tf8", ".ome.zarr.zip", ".zarr.zip")
FOLDER_SUFFIXES = (".ome.zarr", ".zarr")


def gather_movies(names: Iterable[str | Path]) -> list[str | Path]:
    """List the movies that names refer to: movies, folders of movies, patterns, and lists of all these.

    Parameters
    ----------
    names : iterable of path-like
        A movie: a file, a Zarr, or a folder of frames, a file each. A folder of movies: any other folder, with the
        movies that `find_movies` finds in it. A pattern, such as ``cell*.tif`` or ``**/*.tif``, where there is no file
        of this very name. A list: ``@`` and the name of a text file with one of all these on a line, relative to the
        folder of that file; empty lines and those that start with ``#`` are skipped, and so are sidecars.

    Returns
    -------
    list of path-like
        In the order of the names, each movie once, an OME-TIFF of several files too. A name that matches nothing is
        kept: opening it reports what is wrong.

    Raises
    ------
    InputError
        If a pattern has no movies, or a list cannot be read or names none.
    """
    movies: dict[str, str | Path] = {}
    for name in names:
        if str(name).endswith(SIDECAR_SUFFIX):
            continue  # from a pattern that the shell expanded
        for movie in _named(str(name)):
            movies.setdefault(os.path.realpath(movie) if str(movie) else "", movie)
    return _one_of_each_set(list(movies.values()))


def parts_of_one(movies: Iterable[str | Path]) -> list[Path]:
    """Return files whose names look like those of one movie that was split, such as a.tif, a_1.tif or a.tif, a_X2.tif.

    Parameters
    ----------
    movies : iterable of path-like

    Returns
    -------
    list of Path
        Of the first such movie, in the order of their numbers; empty where there is none.

    Examples
    --------
    >>> [path.name for path in parts_of_one(["b.tif", "a_1.tif", "a.tif", "a_2.tif"])]
    ['a.tif', 'a_1.tif', 'a_2.tif']
    """
    paths = sorted(map(Path, movies), key=_natural_parts)
    for first in paths:
        further = re.compile(re.escape(first.stem) + r"_X?\d+", re.IGNORECASE)
        parts = [
            path
            for path in paths
            if (path.parent, path.suffix) == (first.parent, first.suffix) and further.fullmatch(path.stem)
        ]
        if parts:
            return [first, *parts]
    return []


def find_movies(folder: str | Path, pattern: str = "*") -> list[Path]:
    """List the movies in a folder: TIFF files of every kind and Zarr.

    Parameters
    ----------
    folder : path-like
        Where to search; hidden files are left out, and so are folders of single frames.
    pattern : str
        What the names look like, such as ``cell*.tif``; ``**/*.tif`` searches folders within the folder too.

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
        Where the tables go; it is neither made nor read.
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
    tables = [Path(folder) / (bare_name(Path(movie)) + suffix) for movie in movies]
    twice = {table for table in tables if tables.count(table) > 1}
    if twice:
        raise InputError(f"{min(twice)}: several movies would become this table; rename one or use another folder")
    return list(zip(movies, tables, strict=True))


def check_inputs_stay(
    pairs: Iterable[tuple[str | Path, Path]],
    *,
    also_read: Iterable[str | Path] = (),
    also_written: Iterable[Path] = (),
) -> None:
    """Raise `InputError` if a table, or a file written next to it, is one that is read, or two outputs are one file.

    Parameters
    ----------
    pairs : iterable of (path-like, Path)
        Movies, which are read together with their sidecars, and tables.
    also_read : iterable of path-like
        What else is read: the camera file, the model.
    also_written : iterable of Path
        What else is written: the image.
    """
    pairs = list(pairs)
    sidecars = [sidecar_of(movie) for movie, _ in pairs]
    movies = (file for movie, _ in pairs for file in (movie.files if isinstance(movie, SplitMovie) else [movie]))
    inputs = {Path(name).resolve() for name in (*movies, *filter(os.path.exists, sidecars), *also_read)}
    tables = (file for _, output in pairs for file in formats.format_for(output).outputs(output))
    outputs = [*tables, *also_written]
    for file in outputs:
        if file.resolve() in inputs:
            raise InputError(f"{file}: is an input and would be replaced by an output")
    check_outputs_differ(outputs)


def check_outputs_differ(outputs: Iterable[Path]) -> None:
    """Raise `InputError` if two outputs are one file.

    Parameters
    ----------
    outputs : iterable of Path
        All files of a command.
    """
    known: set[Path] = set()
    for file in outputs:
        if (path := file.resolve()) in known:
            raise InputError(f"{file}: is the name of two outputs, of which one would replace the other")
        known.add(path)


def sidecar_of(movie: str | Path) -> Path:
    """Return the name of the file next to a movie that holds its own settings, whether it exists or not.

    Examples
    --------
    >>> sidecar_of("data/cell.1.ome.tif").name
    'cell.1.subpixel.yaml'
    """
    movie = Path(movie)
    named = movie if movie.name.strip(".") else Path(os.path.abspath(movie))  # "." and "..", which have no name
    return named.with_name(bare_name(movie) + SIDECAR_SUFFIX)


def _named(name: str) -> list[str | Path]:
    """Return the movies that one name refers to."""
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
        raise InputError(f"{path}: is not a list of movies, one name per line: {error}") from None
    names = [os.path.join(path.parent, line) for line in lines if line and not line.startswith("#")]
    if not names:
        raise InputError(f"{path}: names no movies")
    return names


def _movies_in(folder: Path) -> list[Path]:
    """Return the movie that a folder is, else those in it; empty where there are none."""
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


def bare_name(movie: Path) -> str:
    """Return the name of a movie without its suffixes; a folder of frames keeps its dots.

    Parameters
    ----------
    movie : Path

    Examples
    --------
    >>> bare_name(Path("data/2024.05.12_a.ome.tif"))
    '2024.05.12_a'
    """
    name = movie.resolve().name
    is_folder = os.path.isdir(movie)
    for suffix in FOLDER_SUFFIXES if is_folder else (*DOUBLE_SUFFIXES, *FOLDER_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name if is_folder else Path(name).stem


def _one_of_each_set(movies: Sequence[M]) -> list[M]:
    """Keep one file of each OME-TIFF that consists of several, as its XML names them: the first, as people number."""
    kept: dict[str | Path, M] = {}
    first = dict[Path, M]()
    for movie in sorted(movies, key=lambda movie: _natural_parts(Path(movie))):
        path = Path(os.path.abspath(movie))
        if ".ome." not in path.name.lower():
            kept[movie] = movie
        elif path in first:
            kept[movie] = first[path]
        else:
            kept[movie] = movie
            files = known_files_of_movie(path)
            if path in files:  # else the file was renamed, and what it names is not its own
                first |= {file: movie for file in files if file not in first}
    return list(dict.fromkeys(kept[movie] for movie in movies))
