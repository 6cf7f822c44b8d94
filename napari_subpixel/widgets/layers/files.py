"""The files that movies and points come from, as the command line takes them, and what to save where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_subpixel._util.user_folder import FORBIDDEN
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi, same_pixel_size
from napari_subpixel.widgets.layers.filtering import n_above_threshold
from napari_subpixel.widgets.layers.movies import SAME_SCALE_WITHIN, MovieLayer
from napari_subpixel.widgets.layers.points import ReadTable, notes_of, shown_by
from napari_subpixel.widgets.layers.results import Ground
from napari_subpixel.widgets.layers.table_points import TablePoints

if TYPE_CHECKING:
    from napari.layers import Layer, Points


class LayerFile(NamedTuple):
    """The file of a layer.

    Attributes
    ----------
    path : str
        Where it is; a name for it, where it is to be saved first.
    flags : dict
        What the command line needs to read from it what the layer shows, by the names of the fields.
    first : str
        What to save first, if anything.
    """

    path: str
    flags: dict[str, Any]
    first: str = ""

    def output(self, what: str, suffix: str = ".csv") -> str:
        """Return the path of what is made from the file, next to it: ``cells linked.csv`` of ``cells.csv``."""
        path = Path(self.path)
        return str(path.with_name(f"{path.name.partition('.')[0]} {what}{suffix}"))


def table_file(points: Points, ground: Ground, *, pixel_size: str = "pixel_size_nm") -> LayerFile:
    """Return the file whose rows a points layer shows, with the filter that chooses them.

    Parameters
    ----------
    points : napari.layers.Points
    ground : Ground
        What they lie on.
    pixel_size : str
        Name of the flag for the pixel size of the camera.
    """
    read = notes_of(points).file
    flags: dict[str, Any] = {"keep": keep_of(points)}
    if read is None or not Path(read.path).is_file() or not _shows(points, ground, read):
        return _to_save(points, flags)
    if read.size_is_given or read.table.pixel_size_nm is None:
        flags[pixel_size] = ground.pixel_size_nm
    return LayerFile(os.path.abspath(read.path), flags)


def whole_table_file(points: Points, ground: Ground) -> LayerFile:
    """Return the same of a table that the command does not filter: one that is filtered here is to be saved first."""
    file = table_file(points, ground)
    flags = {name: value for name, value in file.flags.items() if name != "keep"}
    return file._replace(flags=flags) if file.flags["keep"] is None or file.first else _to_save(points, flags)


def _to_save(points: Points, flags: dict[str, Any]) -> LayerFile:
    """Return the file that the shown points of a layer are to be saved as."""
    name = file_name(points.name, ".csv")
    return LayerFile(name, flags, f"save the shown points of {_on_one_line(points.name)} as {name}")


def _shows(points: Points, ground: Ground, read: ReadTable) -> bool:
    """Say whether a layer shows the rows of its file that pass its threshold and filter, as they are in the file."""
    if not isinstance(points, TablePoints) or points.table is not read.table or ground.matrix is not None:
        return False
    size, now = read.table.pixel_size_nm, ground.pixel_size_nm
    if size is not None and (now is None or not same_pixel_size(size, now, within=SAME_SCALE_WITHIN)):
        return False
    return bool(np.all(points.shown == shown_by(points, notes_of(points))))


def keep_of(points: Points) -> str | None:
    """Return threshold and filter of a points layer as one expression; None where all its points pass."""
    notes, parts = notes_of(points), []
    if notes.threshold is not None and n_above_threshold(points) < len(points.data):
        parts.append(f"probability >= {float(notes.threshold)!r}")
    if notes.keep is not None:
        parts.append(f"({notes.keep.text})" if parts else notes.keep.text)
    return " & ".join(parts) or None


def movie_file(movie: MovieLayer) -> LayerFile:
    """Return the file of a movie, with the flags of its camera.

    Raises
    ------
    InputError
        If the layer is no movie.
    """
    stack, camera = movie.stack(), movie.camera
    path, first = stack.opening.get("movie"), []
    flags: dict[str, Any] = {**stack.chosen}
    if not isinstance(path, str):
        path, flags = file_name(movie.name, ".tif"), {}
        first.append(f"save the movie {_on_one_line(movie.name)} as {path}")
    if camera.map_shape is not None or camera.bit_depth != Camera().bit_depth:
        flags["camera"] = file_name(movie.name, " camera.yaml")
        first.append(f"save the camera of {_on_one_line(movie.name)} as {flags['camera']}")
    else:
        flags |= camera_flags(camera)
    return LayerFile(path, flags, "; ".join(first))


def camera_flags(camera: Camera) -> dict[str, Any]:
    """Return what of a camera without maps is not as by default, by the names of the fields that have flags."""
    names = [field.name for field in fields(camera) if "help" in field.metadata]
    return {name: getattr(camera, name) for name in names if getattr(camera, name) != getattr(Camera(), name)}


def camera_controls(movie: MovieLayer, layers: Iterable[Layer]) -> dict[str, Callable[[Any], object]]:
    """Return what sets each number of a movie's camera, by the names of the fields that have flags."""

    def set_number(name: str, value: Any) -> None:
        sides = str(value).split(",")
        if len(sides) > 1:
            value = tuple(float(side) for side in sides)
        movie.set_camera(replace(movie.camera, **{name: value}), layers)

    names = [field.name for field in fields(Camera) if "help" in field.metadata]
    return {name: partial(set_number, name) for name in names}


def roi_text(roi: Roi | None) -> str | None:
    """Return a region as the command line takes it: ``Y0:Y1,X0:X1``."""
    return None if roi is None else ",".join(f"{start}:{stop}" for start, stop in roi)


def span_text(span: tuple[int | None, int | None] | None) -> str | None:
    """Return frames as the command line takes them, ``A:B``; an open end is left out."""
    return None if span is None else ":".join("" if end is None else str(end) for end in span)


def file_name(name: str, suffix: str) -> str:
    """Return a name for the file of a layer, which no system refuses and no command takes for a flag."""
    return FORBIDDEN.sub("_", name).strip(" .-") + suffix


def _on_one_line(name: str) -> str:
    return " ".join(name.split())
