"""Readers for napari: movies as lazy image layers, tables as points; other files are left to other readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qtpy.QtCore import QTimer

from napari_subpixel import formats
from napari_subpixel.coordinates import PixelSize, pixel_size_text, pixel_size_yx
from napari_subpixel.errors import AxesError, InputError, PixelSizeError, SeriesError
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import Stack, open_stack
from napari_subpixel.stacks.folders import TIFF_SUFFIXES
from napari_subpixel.stacks.tiffs import opened
from napari_subpixel.stacks.zarrs import is_zarr_folder
from napari_subpixel.widgets.background.waiting import waited_for
from napari_subpixel.widgets.controls.messages import reported, show_warning
from napari_subpixel.widgets.layers.drifted import has_drift_subtracted
from napari_subpixel.widgets.layers.movies import LayerData, Movies, movie_layer_data, movies_among
from napari_subpixel.widgets.layers.points import ReadTable, notes_of, points_layer
from napari_subpixel.widgets.layers.table_coordinates import TableIndex
from napari_subpixel.widgets.layers.table_points import TablePoints
from napari_subpixel.widgets.pairing import about_table, keep_paired, movie_for, pair

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components import LayerList
    from napari.utils.events import Event

#: What napari calls to read the file.
Reader = Callable[[str], Sequence[Any]]
#: Pixel size assumed for a table in nm if nothing gives it.
NOMINAL_PIXEL_NM = 100.0


def get_movie_reader(path: str | list[str]) -> Reader | None:
    """Return a reader of a movie, or None for a single image, colours or channels, and other files.

    A damaged movie gets a reader, which then says what is wrong. A list of files to be stacked is left to napari: a
    folder of frames is a movie, several movies are several layers.
    """
    if isinstance(path, list) or not _may_be_movie(Path(path)):
        return None
    try:
        stack = open_stack(path)
    except AxesError:
        # A folder whose names have several channels napari would open as one movie.
        return read_movie if Path(path).is_dir() and not is_zarr_folder(Path(path)) else None
    except InputError:
        return read_movie
    if stack.n_frames == 1:
        stack.close()
        return None
    return lambda _: [_layer_of(stack)]


def read_movie(path: str) -> list[LayerData]:
    """Return a movie as a layer, or each image of a file that holds several; only headers and a few frames are read."""
    try:
        return [_layer_of(open_stack(path))]
    except SeriesError:
        first = open_stack(path, series=0)
        return [_layer_of(first), *(_layer_of(open_stack(path, series=n)) for n in range(1, first.n_series))]


def _layer_of(stack: Stack) -> LayerData:
    """Return a movie's layer, and show what was noticed when it was opened."""
    for warning in stack.warnings:
        show_warning(f"{stack.name}: {warning}")
    _viewer()
    return movie_layer_data(stack)


def get_table_reader(path: str | list[str]) -> Reader | None:
    """Return a reader of a table of localizations, or None for a table of anything else."""
    if isinstance(path, list) or not Path(path).is_file():
        return None
    try:
        if not formats.recognises(path):
            return None
    except InputError:  # it cannot be opened, and reading it says why
        pass
    return read_table


def read_table(path: str) -> list[TablePoints]:
    """Return a table as a points layer, in nm if the table or the one movie in the viewer gives the pixel size.

    If exactly one movie in the viewer fits, the points belong to it. A table in nm without a pixel size is read at
    `NOMINAL_PIXEL_NM`, at which its distances in nm are right too.
    """
    viewer = _viewer()
    movies = movies_among(viewer.layers if viewer is not None else ())
    read = waited_for(f"Reading {Path(path).name} ...", _table_with_pixel_size, path, _size_of_movie(movies))
    if read.warning is not None:
        show_warning(read.warning)
    name = Path(path).stem
    movie = None if read.is_nominal else movie_for(about_table(read.table, name), movies)
    layer = points_layer(read.table, movie, name=name, index=read.row_index)
    notes_of(layer).file = ReadTable(path, read.table, read.warning is not None)
    if read.is_nominal and viewer is not None:
        notes_of(layer).nominal_file = path
        viewer.layers.events.inserted.connect(_inserted)
    return [layer]


class _TableWithPixelSize(NamedTuple):
    """A table as it was read, its index, a warning where its pixel size is assumed, and whether that is nominal."""

    table: Localizations
    row_index: TableIndex
    warning: str | None = None
    is_nominal: bool = False


def _table_with_pixel_size(path: str, size: PixelSize | None) -> _TableWithPixelSize:
    """Read a table, which may take long: on a thread, away from all layers.

    Parameters
    ----------
    path : str
    size : float or (float, float), optional
        Pixel size in nm of the movies in the viewer.
    """
    warning, is_nominal = None, False
    try:
        table = formats.read(path)
    except PixelSizeError:
        table = formats.read(path, pixel_size_nm=size or NOMINAL_PIXEL_NM)
        # A movie with the nominal pixel size would fit only by chance.
        warning, is_nominal = _words_on_assumed(path, size), size is None
    if table.pixel_size_nm is None and size is not None:
        table, warning = table.with_about(pixel_size_nm=size), _words_on_assumed(path, size)
    return _TableWithPixelSize(table, TableIndex.of(table), warning, is_nominal)


def _may_be_movie(path: Path) -> bool:
    """Say whether a file or folder is worth opening as a movie."""
    if path.is_dir():
        frames = sorted(p for p in path.iterdir() if p.suffix.lower() in TIFF_SUFFIXES and not p.name.startswith("."))
        return is_zarr_folder(path) or (bool(frames) and not _is_coloured(frames[0]))
    return path.is_file() and not _is_coloured(path)


def _is_coloured(path: Path) -> bool:
    """Say whether the pixels of a TIFF file have several colours, from its first page."""
    try:
        with opened(path) as tiff:
            return bool(tiff.pages.first.samplesperpixel > 1)
    except InputError:  # damaged, or no TIFF at all: opening the movie says what it is
        return False


def _words_on_assumed(path: str, size_nm: PixelSize | None) -> str:
    """Say which pixel size is used for a table that gives none: the movie's, or the nominal one."""
    name = Path(path).name
    if size_nm is not None:
        return f"{name} gives no pixel size: the movie's, {pixel_size_text(size_nm)}, is used"
    return (
        f"{name} gives no pixel size: {NOMINAL_PIXEL_NM:g} nm is assumed. Distances are right in nm all the "
        "same; to lay the points exactly on their movie, first open the movie and, where it is not known, set its "
        "pixel size with Load"
    )


def _size_of_movie(movies: Movies) -> PixelSize | None:
    """Return the pixel size that all movies share; None if they differ or there are none."""
    sizes = {size for _, size in movies} - {None}
    return sizes.pop() if len(sizes) == 1 else None


def _viewer() -> Viewer | None:
    """Return the viewer that the file is opened in, whose tables and movies find each other from now on."""
    import napari

    viewer: Viewer | None = napari.current_viewer()
    keep_paired(viewer)
    return viewer


def match_tables(layers: LayerList) -> None:
    """Put tables on their movies once a pixel size was set; those read at an assumed one are read again.

    Parameters
    ----------
    layers : napari.components.LayerList
        Of the viewer.
    """
    pair(layers)
    _read_nominal_again(layers)


def _inserted(event: Event) -> None:
    # Not now: napari is still adding the layer.
    QTimer.singleShot(0, partial(_read_nominal_again, event.source))


def _read_nominal_again(layers: LayerList) -> None:
    """Read tables of which the pixel size was assumed again, if the movies give it."""
    if _size_of_movie(movies_among(layers)) is None:
        return
    for layer in list(layers):
        if isinstance(layer, TablePoints) and notes_of(layer).nominal_file is not None:
            _read_again(layers, layer)


def _read_again(layers: LayerList, layer: TablePoints) -> None:
    """Read the table of a layer again, at the pixel size of the movies; not if its points were changed."""
    notes, size = notes_of(layer), _size_of_movie(movies_among(layers))
    path = notes.nominal_file
    if path is None or size is None or layer not in layers or layer.table is None or not Path(path).is_file():
        return
    notes.nominal_file = None
    if has_drift_subtracted(layer):
        show_warning(
            f"{layer.name}: drift was subtracted, so the assumed pixel size of {NOMINAL_PIXEL_NM:g} nm is kept; open "
            f"{Path(path).name} again to have it at that of the movie, {pixel_size_text(size)}"
        )
        return
    with reported():
        read = waited_for(f"Reading {Path(path).name} ...", _table_with_pixel_size, path, size)
        if len(read.table) != len(layer.data) or layer not in layers:
            return
        notes.about = read.table.about
        notes.file = ReadTable(path, read.table, read.warning is not None)
        # The scale is set first: a filter acts again on the new table, at its pixel size.
        layer.scale = (*layer.scale[:-2], *pixel_size_yx(size))
        layer.set_table(read.table, shown=layer.shown.copy(), index=read.row_index)
        pair(layers)
        if read.warning is not None:
            show_warning(read.warning)
