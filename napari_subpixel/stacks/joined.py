"""A movie that was split into several files: their frames one after another."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import pixel_size_text, same_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.stacks.numbering import gaps_in, natural_key
from napari_subpixel.stacks.stack import Stack, square_warnings

#: Pixel sizes of parts that differ by at most this fraction are the same.
SAME_SIZE_WITHIN = 1e-3


class SplitMovie(str):
    """The name of a movie that was split into several files, which is that of the first; `open_stack` joins them.

    Attributes
    ----------
    files : tuple of Path
        All of them, in the order in which people number files: ``movie.tif``, ``movie_1.tif``, ..., ``movie_10.tif``.
    """

    files: tuple[Path, ...]

    def __new__(cls, files: Iterable[str | os.PathLike[str]]) -> SplitMovie:
        """Sort the files; raise `InputError` where there are none, or one comes twice."""
        paths = sorted(map(Path, files), key=lambda path: (*map(str, path.parts[:-1]), natural_key(Path(path.stem))))
        if not paths:
            raise InputError("no files were given to be joined to a movie")
        for first, second in itertools.pairwise(paths):
            if first.resolve() == second.resolve():
                raise InputError(f"{second}: was given twice as a part of one movie")
        movie = super().__new__(cls, paths[0])
        movie.files = tuple(paths)
        return movie


class JoinedFrames:
    """Frames of several movies, one after another, as a source of a `Stack`."""

    def __init__(self, parts: Sequence[Stack]) -> None:
        self._parts = parts
        self._stops = np.cumsum([part.n_frames for part in parts])
        self.shape = (int(self._stops[-1]), *parts[0].frame_shape)
        self.dtype = parts[0].dtype
        self.files: Sequence[Path] = [file for part in parts for file in part.files]

    def read(self, frames: range, rows: range) -> NDArray[Any]:
        """Return these rows of these frames, from as many parts as they lie in."""
        pieces, start = [], frames.start
        while start < frames.stop:
            number = int(np.searchsorted(self._stops, start, side="right"))
            part, stop = self._parts[number], min(frames.stop, int(self._stops[number]))
            first = int(self._stops[number]) - part.n_frames
            pieces.append(part[start - first : stop - first, rows.start : rows.stop])
            start = stop
        if not pieces:
            return np.empty((0, len(rows), self.shape[2]), self.dtype)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def close(self) -> None:
        """Close all parts."""
        for part in self._parts:
            part.close()


def open_joined(movie: SplitMovie, open_part: Callable[[Path], Stack]) -> Stack:
    """Open the parts of a movie as one.

    Parameters
    ----------
    movie : SplitMovie
    open_part : callable
        Opens a file.

    Raises
    ------
    InputError
        If parts differ in the shape or type of their frames or in their pixel size, or share a file.
    """
    with ExitStack() as on_error:
        parts = [on_error.enter_context(open_part(path)) for path in movie.files]
        first = parts[0]
        files = set[Path]()
        for part in parts:
            _check_alike(part, first)
            if twice := files & set(part.files):
                raise InputError(f"{part.path}: {min(twice).name} is part of this movie and of one given before it")
            files |= set(part.files)
        on_error.pop_all()
    noticed = [
        f"{part.name}: {warning}"
        for part in parts
        for warning in part.warnings
        if warning not in square_warnings(part.pixel_size_nm)  # which the whole movie has too
    ]
    return Stack(
        JoinedFrames(parts),
        name=f"{first.name} and {len(parts) - 1} more" if len(parts) > 1 else first.name,
        path=first.path,
        pixel_size_nm=next((part.pixel_size_nm for part in parts if part.pixel_size_nm is not None), None),
        series=first.series,
        warnings=[*noticed, *gaps_in(movie.files[0].parent, movie.files)],
    )


def _check_alike(part: Stack, first: Stack) -> None:
    for what, here, there in (
        ("frames of", part.frame_shape, first.frame_shape),
        ("pixels of type", part.dtype, first.dtype),
    ):
        if here != there:
            raise InputError(f"{part.path}: cannot be joined to {first.name}: it has {what} {here}, that has {there}")
    here_nm, there_nm = part.pixel_size_nm, first.pixel_size_nm
    if here_nm and there_nm and not same_pixel_size(here_nm, there_nm, within=SAME_SIZE_WITHIN):
        sizes = f"it has pixels of {pixel_size_text(here_nm)}, that of {pixel_size_text(there_nm)}"
        raise InputError(f"{part.path}: cannot be joined to {first.name}: {sizes}")
