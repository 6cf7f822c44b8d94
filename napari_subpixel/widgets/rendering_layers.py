"""Super-resolution images in the viewer: laid exactly over the frames that the points came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.render import SuperResolutionImage
from napari_subpixel.widgets.movie_layers import AXES, KEY, UNITS, LayerData

if TYPE_CHECKING:
    from napari.layers import Image, Points

#: Share of the lit pixels that are shown below full brightness.
BRIGHT_QUANTILE = 0.995


@dataclass
class RenderingNotes:
    """What the plugin knows of an image that it rendered.

    Attributes
    ----------
    provenance : dict
        Of the image: the table's, and how it was rendered.
    movie : str, optional
        Key of the movie that the points belong to.
    """

    provenance: dict[str, Any]
    movie: str | None = None


def rendering_layer_data(
    rendered: SuperResolutionImage, points: Points | None = None, *, name: str, colormap: str = "hot"
) -> LayerData:
    """Return a rendered image as a layer in the place of its points.

    Parameters
    ----------
    rendered : SuperResolutionImage
    points : napari.layers.Points, optional
        The layer that was rendered, whose place, turn and units the image takes over; without it, the first pixel of
        the frames is at 0 nm.
    name, colormap : str
        Of the layer.
    """
    notes = getattr(points.metadata.get(KEY), "movie", None) if points is not None else None
    arguments = {
        "name": name,
        "colormap": colormap,
        "blending": "additive",
        "contrast_limits": _contrast(rendered.image),
        "metadata": {KEY: RenderingNotes(rendered.provenance, notes)},
        **placement(rendered, points),
    }
    return rendered.image, arguments, "image"


def fill(layer: Image, rendered: SuperResolutionImage, points: Points) -> None:
    """Put another rendering of the same points into a layer, keeping what the user chose of contrast and colours."""
    same = layer.data.shape == rendered.image.shape
    layer.data = rendered.image
    layer.metadata[KEY].provenance = rendered.provenance
    place = placement(rendered, points)
    for name in ("scale", "translate", "rotate", "shear", "affine", "units"):
        if name in place:
            setattr(layer, name, place[name])
    if not same:
        layer.contrast_limits = _contrast(rendered.image)


def placement(rendered: SuperResolutionImage, points: Points | None = None) -> dict[str, Any]:
    """Return the arguments that lay a rendered image over the frames of its points."""
    if points is None:
        return {
            "scale": rendered.scale_nm,
            "translate": rendered.translate_nm,
            "units": UNITS[1:],
            "axis_labels": AXES[1:],
        }
    from napari.utils.transforms import Affine

    # Lengths in the units of the points' layer, whatever these are, for each of a camera pixel's.
    scale = np.asarray(points.scale)[-2:]
    first_pixel = np.asarray(rendered.translate_nm) / rendered.grid.frame_pixel_size_nm
    turned = Affine(scale=scale, rotate=_last_two(points.rotate), shear=_last_shear(points.shear))
    return {
        "scale": scale / rendered.grid.zoom,
        "translate": np.asarray(points.translate)[-2:] + turned(first_pixel),
        "rotate": _last_two(points.rotate),
        "shear": _last_shear(points.shear),
        "affine": _last_two_affine(np.asarray(points.affine)),
        "units": points.units[-2:],
        "axis_labels": points.axis_labels[-2:],
    }


def _last_two(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(matrix)[-2:, -2:]


def _last_shear(shear: NDArray[Any]) -> NDArray[Any]:
    """Shear of the last two axes: napari gives one number for each pair of axes, the last pair's last."""
    return np.asarray(shear)[-1:]


def _last_two_affine(affine: NDArray[Any]) -> NDArray[Any]:
    return affine[-3:, -3:]


def _contrast(image: NDArray[np.float32]) -> tuple[float, float]:
    """Limits from no points to a high quantile of the lit pixels; a Gaussian's far tails are not lit."""
    lit = image[image > 1e-3 * image.max()] if image.size else image
    return 0.0, float(np.quantile(lit, BRIGHT_QUANTILE)) if lit.size else 1.0
