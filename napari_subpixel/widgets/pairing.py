"""Which movie a table belongs to, whichever of the two was opened first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel.coordinates import PixelSize, pixel_size_text, same_pixel_size
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import time_axis
from napari_subpixel.widgets.controls.messages import show_info
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, MovieNotes, is_movie, pixel_size_of
from napari_subpixel.widgets.layers.points import PointNotes, notes_of
from napari_subpixel.widgets.layers.table_points import TablePoints

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from napari.utils.events import Event

#: Movies with their pixel sizes.
Movies = Sequence[tuple["Image", PixelSize | None]]
#: Pixel sizes that differ by a smaller fraction are the same: some tables are written with few digits.
SAME_SIZE_WITHIN = 1e-6


class TableAbout(NamedTuple):
    """What a table says of the movie that it belongs to.

    Attributes
    ----------
    frame_shape : (int, int), optional
    pixel_size_nm : float or (float, float), optional
    last_frame : int
    names : set of str
        The table's own name, and that of the movie in its provenance, without suffixes.
    """

    frame_shape: tuple[int, int] | None
    pixel_size_nm: PixelSize | None
    last_frame: int
    names: frozenset[str]


def about_table(table: Localizations, name: str) -> TableAbout:
    """Return what a table of this name says of its movie."""
    names = _names(name, table.provenance)
    return TableAbout(table.frame_shape, table.pixel_size_nm, int(table.frame.max(initial=0)), names)


def movie_for(about: TableAbout, movies: Movies) -> MovieLayer | None:
    """Return the movie that a table belongs to: the only one that fits, or the only one of these with its name."""
    fitting = [layer for layer, size in movies if _fits(about, layer, size)]
    if len(fitting) > 1:
        fitting = [layer for layer in fitting if _stem(layer.name) in about.names]
    return MovieLayer(fitting[0]) if len(fitting) == 1 else None


def movies_among(layers: Iterable[Layer]) -> Movies:
    """Return the layers that are certainly movies, with their pixel sizes.

    These are those with this plugin's notes, and any other image with frames.
    """
    movies: list[tuple[Any, PixelSize | None]] = []
    for layer in layers:
        notes = layer.metadata.get(KEY)
        known = notes.camera.pixel_size_nm if isinstance(notes, MovieNotes) else None
        if is_movie(layer) and (layer.ndim > 2 or isinstance(notes, MovieNotes)):
            movies.append((layer, pixel_size_of(layer) or known))
    return movies


def keep_paired(viewer: Viewer | None) -> None:
    """From now on, let tables and movies of a viewer find each other as they come."""
    if viewer is not None:
        viewer.layers.events.inserted.connect(_inserted)


def pair(layers: Iterable[Layer]) -> None:
    """Put every table that belongs to no movie on the one among the layers that it belongs to.

    A movie without a pixel size takes that of the table that was made from it, as the names say.
    """
    layers = list(layers)
    movies = movies_among(layers)
    stems = {
        notes.key: _stem(layer.name) for layer, _ in movies if isinstance(notes := layer.metadata.get(KEY), MovieNotes)
    }
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if not isinstance(layer, TablePoints) or not isinstance(notes, PointNotes) or notes.role:
            continue
        if notes.nominal_file is not None:
            continue
        about = _about_layer(layer)
        if notes.movie in stems:
            source = (notes.about.get("provenance") or {}).get("movie")
            movie = _movie_named(source, about, movies) if source and stems[notes.movie] != _stem(source) else None
        else:
            movie = movie_for(about, movies) or _movie_without_size(about, movies)
        if movie is not None:
            _put_on(layer, movie, layers)


def _inserted(event: Event) -> None:
    pair(event.source)


def _about_layer(layer: TablePoints) -> TableAbout:
    notes = notes_of(layer)
    shape = notes.about.get("frame_shape")
    last = layer._extent_data[1, notes.time or 0] if len(layer.data) else 0
    names = _names(layer.name, notes.about.get("provenance") or {})
    return TableAbout(tuple(shape) if shape else None, notes.about.get("pixel_size_nm"), int(last), names)


def _names(name: str, provenance: Any) -> frozenset[str]:
    return frozenset({_stem(name), _stem(str(provenance.get("movie") or name))})


def _stem(name: str) -> str:
    """Return the name of a file without its suffixes, such as .ome.tif."""
    stem = Path(name).name
    while (shorter := Path(stem).stem) != stem and len(stem) - len(shorter) <= len(".parquet"):
        stem = shorter
    return stem


def _fits(about: TableAbout, layer: Image, size_nm: PixelSize | None) -> bool:
    """Say whether a table can belong to a movie: the same pixel size and frame shape, and no frame beyond its end."""
    if not _frames_fit(about, layer):
        return False
    if size_nm is None or about.pixel_size_nm is None:
        return about.frame_shape is not None and (size_nm is about.pixel_size_nm or about.pixel_size_nm is None)
    return same_pixel_size(size_nm, about.pixel_size_nm, within=SAME_SIZE_WITHIN)


def _frames_fit(about: TableAbout, layer: Image) -> bool:
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    time = time_axis(shape[:-2])
    n_frames = 1 if time is None else shape[time]
    return about.frame_shape in (None, tuple(shape[-2:])) and about.last_frame < n_frames


def _movie_named(source: str, about: TableAbout, movies: Movies) -> MovieLayer | None:
    """Return the movie that a table says it was made from, where it fits: another one may have been there before."""
    fitting = [layer for layer, size in movies if _stem(layer.name) == _stem(source) and _fits(about, layer, size)]
    return MovieLayer(fitting[0]) if len(fitting) == 1 else None


def _movie_without_size(about: TableAbout, movies: Movies) -> MovieLayer | None:
    """Return the movie that a table was made from, as its name says, where it has no pixel size and the table has."""
    if about.pixel_size_nm is None or about.frame_shape is None:
        return None
    named = [layer for layer, size in movies if size is None and _stem(layer.name) in about.names]
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
