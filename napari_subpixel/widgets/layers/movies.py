"""A movie in the viewer: its image layer, its camera, and how its pixels and frames lie in the viewer's world."""

from __future__ import annotations

import math
import uuid
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pint
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import PixelSize, Roi, checked_roi, home_pixel, pixel_size_yx, same_pixel_size
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, open_stack, time_axis
from napari_subpixel.stacks.stack import nearly_square

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer, Shapes

#: Movies with their pixel sizes.
Movies = Sequence[tuple["Image", PixelSize | None]]
#: Where the plugin keeps its notes on a layer, in the layer's ``metadata``.
KEY = "napari-subpixel"
#: A tuple (data, arguments, kind of layer), as napari's readers return it.
LayerData = tuple[Any, dict[str, Any], str]
#: Labels of the axes of a movie.
AXES = ("frame", "y", "x")
#: Units of the axes of a movie whose pixel size is known.
UNITS = ("pixel", "nm", "nm")
#: Pixel sizes that differ by at most this share are the same, as a scale was rounded.
SAME_SCALE_WITHIN = 1e-9
#: The viewer reads about this many bytes of frames at once.
BLOCK_BYTES = 1 << 21
#: Frames sampled for the contrast.
CONTRAST_FRAMES = 5
#: Pixels sampled of each of these frames.
CONTRAST_FRAME_PIXELS = 1 << 20
#: Quantiles of these pixels that are shown darkest and brightest.
CONTRAST_QUANTILES = (0.001, 0.9995)


@dataclass
class MovieNotes:
    """The notes on an image layer that is a movie.

    Attributes
    ----------
    camera : Camera
        The camera that recorded it, with the pixel size.
    stack : Stack, optional
        The movie's own frames, where this plugin opened it.
    data : object, optional
        The layer's data that the stack holds; once the layer has other data, the stack is out of date.
    layer : hashable, optional
        ``unique_id`` of the layer: napari's copies of a layer share its metadata.
    key : str
        Identifies the movie to its points and images.
    """

    camera: Camera = field(default_factory=Camera)
    stack: Stack | None = None
    data: object = None
    layer: Hashable = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


class MovieLayer:
    """An image layer as a movie (T, Y, X), whichever reader opened it.

    Parameters
    ----------
    layer : napari.layers.Image
        Any image without colours whose last axes are y and x; at most one other axis may be longer than 1.

    Raises
    ------
    InputError
        If it is not a movie.
    """

    def __init__(self, layer: Image) -> None:
        if layer.rgb:
            raise InputError(f"{layer.name}: a colour image; a movie has one number per pixel")
        self.layer = layer
        self.name: str = layer.name
        self.time = time_axis(self._data.shape[:-2])
        self.notes = movie_notes(layer)

    @property
    def _data(self) -> Any:
        return self.layer.data[0] if self.layer.multiscale else self.layer.data

    @property
    def camera(self) -> Camera:
        """The camera, with the pixel size of the layer's scale and units; the camera's own if these give none."""
        size, camera = pixel_size_of(self.layer), self.notes.camera
        known = camera.pixel_size_nm
        if size is None or (known is not None and same_pixel_size(size, known, within=SAME_SCALE_WITHIN)):
            return camera
        return replace(camera, pixel_size_nm=size)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(height, width) of the frames, in pixels."""
        height, width = self._data.shape[-2:]
        return int(height), int(width)

    def stack(self) -> Stack:
        """Return the frames, which are read on demand."""
        if self.notes.stack is not None and self.layer.data is self.notes.data:
            return self.notes.stack
        return open_stack(self._data, name=self.name)

    def grow(self, stack: Stack) -> None:
        """Show the frames that the file of the movie has by now.

        Parameters
        ----------
        stack : Stack
            The same movie with more frames; its file is closed when no longer needed.
        """
        if self.notes.stack is None or self.layer.data is not self.notes.data:
            return  # the layer shows something else by now
        data = lazy_array(stack)
        self.layer.data = self.notes.data = data
        self.notes.stack = stack

    def current_frame(self, viewer: Viewer) -> int:
        """Return the number of the frame in view."""
        if self.time is None:
            return 0
        place = self.layer.world_to_data(viewer.dims.point[-self.layer.ndim :])[self.time]
        return int(np.clip(round(float(place)), 0, self._data.shape[self.time] - 1))

    def go_to(self, viewer: Viewer, frame: int) -> None:
        """Show a frame."""
        if self.time is not None:
            place = np.zeros(self.layer.ndim)
            place[self.time] = frame
            axis = viewer.dims.ndim - self.layer.ndim + self.time
            viewer.dims.set_point(axis, float(self.layer.data_to_world(place)[self.time]))

    # -- its place ---------------------------------------------------------------------------------------------------

    def placement(self) -> dict[str, Any]:
        """Return the arguments that place another layer of as many axes on this one, pixel on pixel."""
        layer = self.layer
        names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        return {name: getattr(layer, name) for name in names}

    def other_places(self) -> dict[int, float]:
        """Return where points on this layer lie along the axes that are neither frame, y nor x, where that is not 0."""
        return {}

    def region(self, shapes: Shapes) -> Roi:
        """Return the rectangle drawn in a shapes layer, as the whole pixels of the frames that it touches.

        Raises
        ------
        InputError
            If there is no rectangle, several of which not one is selected, or it lies outside the frames.
        """
        corners = np.array([self.to_pixels(shapes, corner) for corner in _rectangle(shapes)])
        low, high = home_pixel(corners.min(axis=0)), home_pixel(corners.max(axis=0)) + 1
        spans = [(max(int(a), 0), min(int(b), n)) for a, b, n in zip(low, high, self.frame_shape, strict=True)]
        if any(start >= stop for start, stop in spans):
            raise InputError(f"{shapes.name}: the rectangle lies outside the frames of {self.name}")
        return checked_roi((spans[0], spans[1]), self.frame_shape)

    def to_pixels(self, layer: Layer, place: NDArray[Any]) -> NDArray[np.float64]:
        """Convert a point of another layer's data, shape (axes of that layer,), to (y, x) in pixels of this movie."""
        world = np.asarray(layer.data_to_world(place), dtype=np.float64)[-2:]
        full = np.zeros(self.layer.ndim)
        # Each layer's world coordinates are in its own units.
        factors = [_factor(a, b) for a, b in zip(layer.units[-2:], self.layer.units[-2:], strict=True)]
        full[-2:] = world * factors
        return np.asarray(self.layer.world_to_data(full), dtype=np.float64)[-2:]

    # -- its camera -----------------------------------------------------------------------------------------------

    def set_camera(self, camera: Camera, layers: Iterable[Layer] = ()) -> None:
        """Set the camera: scale and units in nm follow, also those of the `layers` that belong to the movie.

        Raises
        ------
        InputError
            If the camera has maps that do not fit the frames.
        """
        camera.check_fits(self.frame_shape)
        size = camera.pixel_size_nm
        if size is not None:
            factors = np.array(pixel_size_yx(size)) / self.layer.scale[-2:]
            for layer in (self.layer, *(other for other in layers if belongs_to(other, self.notes.key))):
                rescale(layer, factors)
                if "about" in vars(layer.metadata[KEY]):
                    layer.metadata[KEY].about["pixel_size_nm"] = size
        self.notes.camera = camera


def movie_notes(layer: Image) -> MovieNotes:
    """Return the notes on an image layer as a movie; a copy that napari made of a layer is a separate movie."""
    notes = layer.metadata.get(KEY)
    if not isinstance(notes, MovieNotes):
        notes = MovieNotes(Camera(pixel_size_nm=pixel_size_of(layer)))
    elif notes.layer not in (None, layer.unique_id):
        notes = MovieNotes(notes.camera)
    notes.layer = layer.unique_id
    layer.metadata[KEY] = notes
    return notes


def belongs_to(layer: Layer, key: str) -> bool:
    """Say whether a layer of points or an image was made from the movie of this key."""
    notes = layer.metadata.get(KEY)
    return not isinstance(notes, MovieNotes) and getattr(notes, "movie", None) == key


def is_movie(layer: Layer) -> bool:
    """Say whether a layer can be a movie; an image that the plugin rendered is not one."""
    from napari.layers import Image, Labels

    if not isinstance(layer, Image) or isinstance(layer, Labels) or layer.rgb:
        return False
    if not isinstance(layer.metadata.get(KEY, MovieNotes()), MovieNotes):
        return False
    data = layer.data[0] if layer.multiscale else layer.data
    return len(data.shape) >= 2 and sum(n != 1 for n in data.shape[:-2]) <= 1


def movies_among(layers: Iterable[Layer]) -> Movies:
    """Return the layers that are certainly movies, with their pixel sizes; nothing is noted in them.

    These are those with this plugin's notes, and any other image with frames.
    """
    movies: list[tuple[Any, PixelSize | None]] = []
    for layer in layers:
        notes = layer.metadata.get(KEY)
        known = notes.camera.pixel_size_nm if isinstance(notes, MovieNotes) else None
        if is_movie(layer) and (layer.ndim > 2 or isinstance(notes, MovieNotes)):
            movies.append((layer, pixel_size_of(layer) or known))
    return movies


def n_frames_of(layer: Image) -> int:
    """Return the number of frames of a layer that can be a movie."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    time = time_axis(shape[:-2])
    return 1 if time is None else int(shape[time])


def pixel_size_of(layer: Layer) -> PixelSize | None:
    """Return the width of a pixel in nm, or height and width, by a layer's scale; None if its units are no lengths."""
    units = layer.units[-2:]
    if any(not _is_length(unit) for unit in units):
        return None
    pairs = zip(layer.scale[-2:], units, strict=True)
    height, width = (float(f"{float(size) * _factor(unit, 'nm'):.12g}") for size, unit in pairs)
    return nearly_square((height, width))


def movie_layer_data(stack: Stack, camera: Camera | None = None, *, name: str | None = None) -> LayerData:
    """Return a movie as a lazy image layer with its camera, in nm if the pixel size is known.

    Parameters
    ----------
    stack : Stack
        The frames; its file is closed when no longer needed.
    camera : Camera, optional
        Its pixel size, if it has one, overrides that of the movie's metadata.
    name : str, optional
        Of the layer; the movie's if not given.

    Raises
    ------
    InputError
        If the camera has maps that do not fit the frames.
    """
    camera = camera or Camera()
    camera.check_fits(stack.frame_shape)
    if camera.pixel_size_nm is None:
        camera = replace(camera, pixel_size_nm=stack.pixel_size_nm)
    size, data = camera.pixel_size_nm, lazy_array(stack)
    arguments = {
        "name": name or stack.name,
        "metadata": {KEY: MovieNotes(camera, stack.close_when_unused(), data)},
        "colormap": "gray",
        "contrast_limits": _contrast(stack),
        "axis_labels": AXES,
        **({"scale": (1.0, *pixel_size_yx(size)), "units": UNITS} if size else {}),
    }
    return data, arguments, "image"


def lazy_array(stack: Stack) -> da.Array:
    """Return a movie as a dask array (T, Y, X) whose frames are read on demand."""
    height, width = stack.frame_shape
    block = max(1, BLOCK_BYTES // (height * width * stack.dtype.itemsize))
    return da.from_array(
        stack,
        chunks=(block, height, width),
        name=f"{stack.name}-{uuid.uuid4().hex}",
        asarray=False,
        meta=np.empty((0, 0, 0), stack.dtype),
    )


def _contrast(stack: Stack) -> tuple[float, float]:
    """Limits between which most pixels of a few frames lie; large frames are sampled."""
    frames = np.unique(np.linspace(0, stack.n_frames - 1, CONTRAST_FRAMES).astype(int))
    height, width = stack.frame_shape
    step = max(1, math.isqrt(height * width // CONTRAST_FRAME_PIXELS))
    pixels = np.concatenate([stack[int(frame)][::step, ::step].ravel() for frame in frames]).astype(np.float64)
    finite = pixels[np.isfinite(pixels)]
    low, high = (float(q) for q in np.quantile(finite, CONTRAST_QUANTILES)) if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _rectangle(shapes: Shapes) -> NDArray[np.float64]:
    """Return the corners of the rectangle, shape (4, axes), in the shapes layer's data."""
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    rectangles = [shapes.data[i] for i in chosen if shapes.shape_type[i] == "rectangle"]
    if len(rectangles) != 1:
        raise InputError(
            f"{shapes.name}: expected one rectangle, drawn alone or selected, got {len(rectangles)} "
            f"among {len(shapes.data)} shapes"
        )
    return np.asarray(rectangles[0], dtype=np.float64)


def rescale(layer: Layer, factors: NDArray[np.float64]) -> None:
    """Multiply the scale and offset of a layer along y and x, and set its units to nm.

    Parameters
    ----------
    layer : napari.layers.Layer
    factors : ndarray of float, shape (2,)
    """
    every = np.ones(layer.ndim)
    every[-2:] = factors
    layer.translate = np.asarray(layer.translate) * every
    layer.scale = np.asarray(layer.scale) * every
    layer.units = (*layer.units[:-2], "nm", "nm")


@lru_cache
def _is_length(unit: pint.Unit) -> bool:
    return bool(pint.get_application_registry().get_dimensionality(unit) == {"[length]": 1})


@lru_cache
def _factor(unit: pint.Unit, other: pint.Unit | str) -> float:
    """How many of the `other` unit make one `unit`; 1 if they do not measure the same quantity."""
    registry = pint.get_application_registry()
    quantity = registry.Quantity(1.0, unit)
    return float(quantity.to(other).magnitude) if quantity.is_compatible_with(other) else 1.0
