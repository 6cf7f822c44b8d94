"""Files that a training in another process needs of layers that have none: a movie, its truth, a camera with maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import PixelSize
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import Stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets.layers.files import file_name

#: Pixels that are read and written at once.
PIXELS_AT_ONCE = 1 << 24


def write_frames(folder: Path, name: str, stack: Stack, pixel_size_nm: PixelSize) -> Path:
    """Write a movie under the name of its layer, and return the path.

    Raises
    ------
    InputError
        If it cannot be read or written.
    """
    path = folder / file_name(name, ".tif")
    shape = (stack.n_frames, *stack.frame_shape)
    write_movie(path, _chunks(stack), shape=shape, dtype=stack.dtype, pixel_size_nm=pixel_size_nm)
    return path


def _chunks(stack: Stack) -> Iterator[NDArray]:
    height, width = stack.frame_shape
    step = max(1, PIXELS_AT_ONCE // (height * width))
    for first in range(0, stack.n_frames, step):
        yield stack.read(first, min(first + step, stack.n_frames))


def write_truth(folder: Path, name: str, table: Callable[[], Localizations]) -> Path:
    """Write a table under the name of its layer, and return the path.

    Raises
    ------
    InputError
        If it cannot be made or written.
    """
    path = folder / file_name(name, ".parquet")
    formats.write(path, table())
    return path


def write_camera(folder: Path, camera: Camera) -> Path:
    """Write a camera with its maps, and return the path of its file.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    path = folder / "camera.yaml"
    camera.to_yaml(path)
    return path
