"""Super-resolution images in the viewer, exactly over the frames of their points."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import pixel_size_text, pixel_size_yx
from napari_subpixel.errors import InputError
from napari_subpixel.grids import SuperResolutionGrid, ViewGrid
from napari_subpixel.rendering.render import SuperResolutionImage
from napari_subpixel.widgets.layers.movies import AXES, KEY, UNITS, LayerData, pixel_size_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points

#: Quantile of the lit pixels that is shown at full brightness.
BRIGHT_QUANTILE = 0.97
#: Contrast limits of a larger image come from about this many of its pixels.
CONTRAST_IMAGE_PIXELS = 1 << 22


@dataclass
class RenderingNotes:
    """The notes on an image that the plugin rendered.

    Attributes
    ----------
    provenance : dict
        The table's, and how the image was rendered.
    movie : str, optional
        Key of the movie that the points belong to.
    points : hashable, optional
        ``unique_id`` of the points layer that was rendered.
    grid : SuperResolutionGrid, optional
        Where its pixels lie on the frames; None for an image of what is in view.
    """

    provenance: dict[str, Any]
    movie: str | None = None
    points: Hashable = None
    grid: SuperResolutionGrid | None = None


def rendering_layer_data(
    rendered: SuperResolutionImage,
    points: Points | None = None,
    *,
    name: str,
    colormap: str = "inferno",
    over: Layer | None = None,
) -> LayerData:
    """Return a rendered image as a layer over its points.

    Parameters
    ----------
    rendered : SuperResolutionImage
    points : napari.layers.Points, optional
        The layer that was rendered, whose placement and units the image takes over; without it, the first pixel of
        the frames is at 0 nm.
    name, colormap : str
        Of the layer.
    over : napari.layers.Layer, optional
        The layer of the frames, if the points' own pixels are others.
    """
    notes = RenderingNotes(rendered.provenance, movie_key_of(points), grid=rendered.grid)
    if points is not None:
        notes.points = points.unique_id
    if over is not None:
        notes.movie = movie_key_of(over)
    arguments = {
        "name": name,
        "colormap": colormap,
        "blending": "additive",
        "contrast_limits": contrast_limits_of(rendered.image),
        "metadata": {KEY: notes},
        **placement(rendered, over or points),
    }
    return rendered.image, arguments, "image"


def fill(layer: Image, rendered: SuperResolutionImage, points: Points, *, over: Layer | None = None) -> None:
    """Put another rendering of the same points into a layer, keeping the user's contrast and colours.

    The contrast is set again if it would mean something else: for other pixels, another method or width.

    Parameters
    ----------
    layer : napari.layers.Image
        A layer made by `rendering_layer_data`.
    rendered, points, over
        As for `rendering_layer_data`.
    """
    notes = layer.metadata[KEY]
    alike = _method_of(notes.provenance) == _method_of(rendered.provenance) and layer.data.shape == rendered.image.shape
    was_dark = not notes.provenance.get("render", {}).get("points")
    layer.data = rendered.image
    # Another record, not this one changed: a duplicate of the layer may share it.
    layer.metadata[KEY] = replace(notes, provenance=rendered.provenance, grid=rendered.grid)
    for name, value in placement(rendered, over or points).items():
        if name != "axis_labels":
            setattr(layer, name, value)
    if was_dark or not alike:
        layer.contrast_limits = contrast_limits_of(rendered.image)


def rendering_of(points: Points, layers: Iterable[Layer]) -> Image | None:
    """Return the image of the whole field that was rendered from a points layer, if it is among these layers."""
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if isinstance(notes, RenderingNotes) and notes.points == points.unique_id and notes.grid is not None:
            return layer
    return None


def rendered_image(layer: Image) -> SuperResolutionImage:
    """Return the rendered image of a layer, to be saved, with the layer's present pixel size.

    Raises
    ------
    InputError
        If the movie was given pixels of another shape since the image was rendered.
    """
    notes = layer.metadata[KEY]
    grid: SuperResolutionGrid = notes.grid
    size = pixel_size_of(layer) or grid.pixel_size_nm
    if isinstance(size, tuple):
        raise InputError(f"{layer.name}: its pixels are no longer square, but {pixel_size_text(size)}")
    height, width = (length * size / grid.pixel_size_nm for length in pixel_size_yx(grid.frame_pixel_size_nm))
    grid = replace(grid, pixel_size_nm=size, frame_pixel_size_nm=(height, width))
    n_outside = notes.provenance.get("render", {}).get("points_outside", 0)
    return SuperResolutionImage(np.asarray(layer.data), grid, n_outside, notes.provenance)


def placement(rendered: SuperResolutionImage, points: Layer | None = None) -> dict[str, Any]:
    """Return the arguments that place a rendered image over the frames of its points."""
    if points is None:
        return {
            "scale": rendered.scale_nm,
            "translate": rendered.translate_nm,
            "units": UNITS[1:],
            "axis_labels": AXES[1:],
        }
    # Length of a camera pixel in the units of the points' layer, whatever these are.
    return _placed(np.asarray(rendered.grid.first_centre_px), np.asarray(rendered.grid.zoom_yx), points)


def grid_placement(grid: ViewGrid, over: Layer) -> dict[str, Any]:
    """Return the arguments that place an image of a part of the frames over a layer whose last axes are these."""
    return _placed(np.asarray(grid.first_centre_px), np.asarray(grid.zoom), over)


def _placed(first_pixel: NDArray[np.float64], zoom: float | NDArray[np.float64], over: Layer) -> dict[str, Any]:
    """Return the arguments that place an image with this many pixels per camera pixel, the first one at a place."""
    from napari.utils.transforms import Affine

    scale = np.asarray(over.scale)[-2:]
    turned = Affine(scale=scale, rotate=_last_two(over.rotate), shear=_last_shear(over.shear))
    return {
        "scale": scale / zoom,
        "translate": np.asarray(over.translate)[-2:] + turned(first_pixel),
        "rotate": _last_two(over.rotate),
        "shear": _last_shear(over.shear),
        "affine": _last_two_affine(np.asarray(over.affine)),
        "units": over.units[-2:],
        "axis_labels": over.axis_labels[-2:],
    }


def _last_two(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(matrix)[-2:, -2:]


def _last_shear(shear: NDArray[Any]) -> NDArray[Any]:
    """Shear of the last two axes: napari gives one number for each pair of axes, the last pair's last."""
    return np.asarray(shear)[-1:]


def _last_two_affine(affine: NDArray[Any]) -> NDArray[Any]:
    return affine[-3:, -3:]


def movie_key_of(layer: Layer | None) -> str | None:
    """Key of the movie that a layer is, or belongs to."""
    notes = layer.metadata.get(KEY) if layer is not None else None
    return getattr(notes, "movie", None) or getattr(notes, "key", None)


def _method_of(provenance: dict[str, Any]) -> tuple[Any, ...]:
    """How an image was rendered, apart from its points."""
    about = provenance.get("render", {})
    return tuple(about.get(name) for name in ("method", "pixel_size_nm", "sigma_nm"))


def contrast_limits_of(image: NDArray[np.float32], n_pixels: int = CONTRAST_IMAGE_PIXELS) -> tuple[float, float]:
    """Return limits from no points to a high quantile of the lit pixels; a Gaussian's far tails are not lit.

    Parameters
    ----------
    image : ndarray of float32, shape (height, width)
    n_pixels : int
        They come from about this many pixels of a larger image.
    """
    step = max(1, round((image.size / n_pixels) ** 0.5))
    sample = image[::step, ::step]
    lit = sample[sample > 1e-3 * sample.max()] if sample.size else sample
    return 0.0, float(np.quantile(lit, BRIGHT_QUANTILE)) if lit.size else 1.0
