"""Which movie a table belongs to, whichever of the two was opened first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel.coordinates import PixelSize, pixel_size_text, same_pixel_size
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks.opening import UNNAMED
from napari_subpixel.widgets.controls.messages import show_info
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, MovieNotes, Movies, movies_among, n_frames_of
from napari_subpixel.widgets.layers.points import PointNotes, notes_of
from napari_subpixel.widgets.layers.table_points import TablePoints

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.utils.events import Event

#: Pixel sizes that differ by a smaller fraction are the same: some tables are written with few digits.
SAME_SIZE_WITHIN = 1e-6
#: What the names of files of movies end with; what else follows a dot belongs to the name.
MOVIE_SUFFIXES = ("tif", "tiff", "ome", "btf", "tf2", "tf8", "lsm", "stk", "zarr", "zip", "nd2", "czi", "lif", "dcimg")
#: What those of tables end with.
TABLE_SUFFIXES = ("csv", "txt", "tsv", "hdf5", "h5", "parquet", "mat")
#: What napari adds to the name of a layer where another one has it.
NUMBER_OF_NAMESAKE = re.compile(r" \[\d+\]$")


class TableAbout(NamedTuple):
    """What a table says of the movie that it belongs to.

    Attributes
    ----------
    frame_shape : (int, int), optional
    pixel_size_nm : float or (float, float), optional
    last_frame : int
    movie_name : str
        Name of the movie in its provenance, or the table's own where that gives none; without suffixes.
    is_named : bool
        Whether the provenance gives that name.
    """

    frame_shape: tuple[int, int] | None
    pixel_size_nm: PixelSize | None
    last_frame: int
    movie_name: str
    is_named: bool


def about_table(table: Localizations, name: str) -> TableAbout:
    """Return what a table of this name says of its movie."""
    source = _source_of(table.provenance)
    last = int(table.frame.max(initial=0))
    return TableAbout(table.frame_shape, table.pixel_size_nm, last, _stem(source or name), bool(source))


def movie_for(about: TableAbout, movies: Movies) -> MovieLayer | None:
    """Return the movie that a table belongs to: the only one that fits, or the only one of these with its name.

    A table whose provenance names its movie belongs to no movie of another name.
    """
    fitting = [layer for layer, size in movies if _fits(about, layer, size)]
    if about.is_named or len(fitting) > 1:
        fitting = [layer for layer in fitting if about.movie_name in _stems(layer)]
    return MovieLayer(fitting[0]) if len(fitting) == 1 else None


def keep_paired(viewer: Viewer | None) -> None:
    """From now on, let tables and movies of a viewer find each other as they come."""
    if viewer is not None:
        viewer.layers.events.inserted.connect(_inserted)


def pair(layers: Iterable[Layer]) -> None:
    """Put every table that belongs to no movie on the one among the layers that it belongs to.

    Points that are on a movie, by a run or by pairing, stay there whatever its name is.
    A movie without a pixel size takes that of the table that was made from it, as the names say.
    """
    layers = list(layers)
    movies = movies_among(layers)
    keys = {notes.key for layer, _ in movies if isinstance(notes := layer.metadata.get(KEY), MovieNotes)}
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if not isinstance(layer, TablePoints) or not isinstance(notes, PointNotes) or notes.role:
            continue
        if notes.nominal_file is not None or notes.movie in keys:
            continue
        about = _about_layer(layer)
        movie = movie_for(about, movies) or _movie_without_size(about, movies)
        if movie is not None:
            _put_on(layer, movie, layers)


def _inserted(event: Event) -> None:
    pair(event.source)


def _about_layer(layer: TablePoints) -> TableAbout:
    notes = notes_of(layer)
    shape = notes.about.get("frame_shape")
    # Points of a still image have no frames.
    last = layer._extent_data[1, notes.time] if len(layer.data) and notes.time is not None else 0
    source = _source_of(notes.about.get("provenance") or {})
    name = _stem(source or layer.name)
    return TableAbout(tuple(shape) if shape else None, notes.about.get("pixel_size_nm"), int(last), name, bool(source))


def _source_of(provenance: Mapping[str, Any]) -> str:
    """Return the name that a table's provenance gives its movie; empty where it gives none, or it had none."""
    name = str(provenance.get("movie") or "")
    return name if name != UNNAMED else ""


def _stems(movie: Image) -> set[str]:
    """Return the names of a movie without suffixes: the layer's, and that of its file, where it was renamed since."""
    notes = movie.metadata.get(KEY)
    stack = notes.stack if isinstance(notes, MovieNotes) else None
    return {_stem(movie.name), *([] if stack is None else [_stem(stack.name)])}


def _stem(name: str) -> str:
    """Return the name of a file or layer without suffixes of files, such as .ome.tif, and napari's number."""
    stem = Path(NUMBER_OF_NAMESAKE.sub("", name)).name
    while Path(stem).suffix.lower().removeprefix(".") in MOVIE_SUFFIXES + TABLE_SUFFIXES:
        stem = Path(stem).stem
    return stem


def _fits(about: TableAbout, layer: Image, size_nm: PixelSize | None) -> bool:
    """Say whether a table can belong to a movie: the same pixel size and frame shape, and no frame beyond its end."""
    if not _frames_fit(about, layer):
        return False
    if size_nm is None or about.pixel_size_nm is None:
        return about.frame_shape is not None and (size_nm is about.pixel_size_nm or about.pixel_size_nm is None)
    return same_pixel_size(size_nm, about.pixel_size_nm, within=SAME_SIZE_WITHIN)


def _frames_fit(about: TableAbout, layer: Image) -> bool:
    shape = (layer.data[0] if layer.multiscale else layer.data).shape[-2:]
    return about.frame_shape in (None, tuple(shape)) and about.last_frame < n_frames_of(layer)


def _movie_without_size(about: TableAbout, movies: Movies) -> MovieLayer | None:
    """Return the movie that a table was made from, as the names say, where it has no pixel size and the table has."""
    if about.pixel_size_nm is None or about.frame_shape is None:
        return None
    named = [layer for layer, size in movies if size is None and about.movie_name in _stems(layer)]
    fitting = [layer for layer in named if _frames_fit(about, layer)]
    return MovieLayer(fitting[0]) if len(fitting) == 1 else None


def _put_on(points: TablePoints, movie: MovieLayer, layers: list[Layer]) -> None:
    """Place points on their movie, pixel on pixel."""
    notes = notes_of(points)
    if movie.layer.ndim != points.ndim or (movie.time != notes.time and notes.time is not None):
        return  # frames lie along other axes: where the table is opened again, it is placed right
    size, known = movie.camera.pixel_size_nm, notes.about.get("pixel_size_nm")
    if size is None and known is not None:
        movie.set_camera(replace(movie.camera, pixel_size_nm=known), layers)
        show_info(f"{movie.name}: the pixel size of its table {points.name}, {pixel_size_text(known)}, is used")
    notes.movie, notes.time = movie.notes.key, movie.time
    for name, value in movie.placement().items():
        setattr(points, name, value)
    if size is not None and known is None:
        notes.about = {**notes.about, "pixel_size_nm": size}
        show_info(
            f"{points.name} gives no pixel size: that of its movie {movie.name}, {pixel_size_text(size)}, is used"
        )
