"""Readers for napari: movies as lazy image layers, tables as points; files of another kind are left to others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_subpixel import formats
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.folders import TIFF_SUFFIXES
from napari_subpixel.stacks.tiffs import opened
from napari_subpixel.stacks.zarrs import is_zarr_folder
from napari_subpixel.widgets.messages import show_warning
from napari_subpixel.widgets.movie_layers import KEY, LayerData, MovieNotes, is_movie, movie_layer_data, pixel_size_of
from napari_subpixel.widgets.point_layers import point_layer_data

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

#: What napari calls to read the file that it asked about.
Reader = Callable[[str], list[LayerData]]
#: Pixel size for a table in nm that nothing tells it for.
NOMINAL_PIXEL_NM = 100.0


def get_movie_reader(path: str | list[str]) -> Reader | None:
    """Return a reader of a movie, or None for what is none: a single image, a colour image, a folder of other things.

    A movie that is damaged or has an axis too many is read, and then refused in words. A list of files to be stacked
    is left to napari: a folder of frames is a movie, several movies are several layers.
    """
    if isinstance(path, list) or not _may_be_movie(Path(path)):
        return None
    try:
        stack = open_stack(path)
    except InputError:
        return read_movie
    if stack.n_frames == 1:
        stack.close()
        return None
    return lambda _: [movie_layer_data(stack)]


def read_movie(path: str) -> list[LayerData]:
    """Return a movie as a layer; nothing of it is read but headers, and a few frames for the contrast."""
    return [movie_layer_data(open_stack(path))]


def get_table_reader(path: str | list[str]) -> Reader | None:
    """Return a reader of a table of localizations, or None for a table of anything else."""
    if isinstance(path, list) or not Path(path).is_file():
        return None
    try:
        if not formats.recognises(path):
            return None
    except InputError:  # it cannot be looked into, and reading it says why
        pass
    return read_table


def read_table(path: str) -> list[LayerData]:
    """Return a table as a points layer, in nm where the table or the one movie in the viewer tells the pixel size.

    A table in nm is not left unread for want of a pixel size: at `NOMINAL_PIXEL_NM` its distances in nm are right too.
    """
    try:
        table = formats.read(path)
    except PixelSizeError:
        table = formats.read(path, pixel_size_nm=_assumed_pixel_size(path))
    if table.pixel_size_nm is None:
        table = _with_size_of_movie(table, path)
    return [point_layer_data(table, name=Path(path).stem)]


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


def _assumed_pixel_size(path: str) -> float:
    """Return the pixel size for a table in nm that does not say it, and tell the user which it is."""
    name, size = Path(path).name, _size_of_movie()
    if size is not None:
        show_warning(f"{name} does not say its pixel size: that of the movie, {size:g} nm, was taken")
        return size
    show_warning(
        f"{name} does not say its pixel size: {NOMINAL_PIXEL_NM:g} nm was assumed. Distances are right in nm all the "
        "same; to lay the points exactly on their movie, open the movie first"
    )
    return NOMINAL_PIXEL_NM


def _with_size_of_movie(table: Localizations, path: str) -> Localizations:
    """Return a table in pixels with the pixel size of the one movie in the viewer, so that it lies on it."""
    size = _size_of_movie()
    if size is None:
        return table
    show_warning(f"{Path(path).name} does not say its pixel size: that of the movie, {size:g} nm, was taken")
    return table.with_about(pixel_size_nm=size)


def _size_of_movie() -> float | None:
    """Return the pixel size that all movies of the current viewer have; None where they differ or there are none."""
    import napari

    viewer: Viewer | None = napari.current_viewer()
    sizes = {_pixel_size(layer) for layer in viewer.layers if is_movie(layer)} - {None} if viewer is not None else set()
    return sizes.pop() if len(sizes) == 1 else None


def _pixel_size(layer: Layer) -> float | None:
    """Return the pixel size of a layer that is certainly a movie: one that this plugin knows, or that has frames."""
    notes = layer.metadata.get(KEY)
    if isinstance(notes, MovieNotes):
        return notes.camera.pixel_size_nm
    try:
        return pixel_size_of(layer) if layer.ndim > 2 else None
    except InputError:  # pixels that are not square
        return None
