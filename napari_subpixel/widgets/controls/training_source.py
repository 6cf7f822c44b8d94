"""What a model learns from, as flags of the command `train`, and the files that are written for it first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.training.request import RequestError
from napari_subpixel.widgets.background.training_files import write_camera, write_frames, write_truth
from napari_subpixel.widgets.controls.camera_choice import AS_FILES_SAY
from napari_subpixel.widgets.layers.files import camera_flags, file_name, movie_file, whole_table_file
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.results import Ground, snapshot

if TYPE_CHECKING:
    from napari.layers import Image, Points

    from napari_subpixel.localizations import Localizations


class TrainingSource(NamedTuple):
    """What a model learns from.

    Attributes
    ----------
    flags : dict
        Of the command line, by the names of the fields.
    written : mapping
        Flags of files that layers do not have: functions that write one to a folder and return its path.
    first : str
        What a user of the command line saves first, if anything.
    """

    flags: dict[str, Any]
    written: Mapping[str, Callable[[Path], Path]]
    first: str = ""


def source_of_movie(movie: MovieLayer, flag: str) -> TrainingSource:
    """Return a movie, with its camera, as what a flag takes: ``like`` or ``movie``.

    Raises
    ------
    PixelSizeError
        If the pixel size is not known.
    """
    stack, camera = movie.stack(), movie.camera
    size = camera.pixel_size_nm or stack.pixel_size_nm
    if size is None:
        raise PixelSizeError(f"{movie.name}: the pixel size of the camera is not known")
    file = movie_file(movie)
    written: dict[str, Callable[[Path], Path]] = {}
    if not isinstance(stack.opening.get("movie"), str):
        written[flag] = partial(write_frames, name=movie.name, stack=stack, pixel_size_nm=size)
    if "camera" in file.flags:
        written["camera"] = partial(write_camera, camera=camera)
    return TrainingSource({flag: file.path, **file.flags}, written, file.first)


def source_of_truth(movie: MovieLayer, truth: Points, ground: Ground) -> TrainingSource:
    """Return a movie and the shown points of a layer, its true molecules.

    Raises
    ------
    PixelSizeError
        If the pixel size is not known.
    """
    source, file, shown = source_of_movie(movie, "movie"), whole_table_file(truth, ground), snapshot(truth)

    def table() -> Localizations:
        return ground.table(shown())

    written: Mapping[str, Callable[[Path], Path]] = {
        **source.written,
        "truth": partial(write_truth, name=truth.name, table=table),
    }
    first = "; ".join(filter(None, (source.first, file.first)))
    return TrainingSource({**source.flags, "truth": file.path}, written, first)


def source_of_camera(chosen: str | Image, camera: Camera, file: Path | None) -> TrainingSource:
    """Return a camera to simulate with.

    Parameters
    ----------
    chosen : str or napari.layers.Image
        The choice: the name of a camera, or a movie.
    camera : Camera
    file : Path, optional
        The camera file, where one is chosen.

    Raises
    ------
    InputError
        If there is none, or it has no pixel size.
    """
    if chosen == AS_FILES_SAY:
        raise RequestError("simulations in ranges need the camera", "camera")
    if camera.pixel_size_nm is None:
        raise RequestError("simulations in ranges need the pixel size", "pixel_size")
    if camera.map_shape is None:
        # A known camera says its gain also where that is as by default; that of a movie is unknown there.
        gain = {name: getattr(camera, name) for name in GAIN} if isinstance(chosen, str) else {}
        return TrainingSource({**camera_flags(camera), **gain}, {})
    flags: dict[str, Any] = {"pixel_size_nm": camera.pixel_size_nm}
    written: Mapping[str, Callable[[Path], Path]] = {"camera": partial(write_camera, camera=camera)}
    if isinstance(chosen, str):
        return TrainingSource({**flags, "camera": str(file or chosen)}, written)
    name = file_name(chosen.name, " camera.yaml")
    return TrainingSource({**flags, "camera": name}, written, f"save the camera of {chosen.name} as {name}")
