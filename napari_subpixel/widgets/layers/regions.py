"""Shapes of a layer as regions in the pixels of points, where the viewer shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.regions import Region
from napari_subpixel.coordinates import PixelSize, Roi, pixel_size_yx
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.results import StandInMovie

if TYPE_CHECKING:
    from napari.layers import Layer, Points, Shapes

#: napari's shapes, and the kind of region that each is.
KINDS = {"rectangle": "polygon", "polygon": "polygon", "ellipse": "ellipse", "line": "line"}


def is_shapes(layer: Layer) -> bool:
    """Say whether regions can be drawn in a layer."""
    from napari.layers import Shapes

    return isinstance(layer, Shapes)


def regions_of(
    shapes: Shapes, points: Points, pixel_size_nm: PixelSize | None, width_nm: float | None = None
) -> tuple[list[Region], list[str]]:
    """Return the shapes of a layer as regions in the pixels of points.

    Parameters
    ----------
    shapes : napari.layers.Shapes
    points : napari.layers.Points
    pixel_size_nm : float or (float, float), optional
        Of the pixels of the points.
    width_nm : float, optional
        Width of the strips around lines; as wide as they are drawn if not given.

    Returns
    -------
    regions : list of Region
    left_out : list of str
        What is no region, and why.

    Raises
    ------
    InputError
        If no shape is a region.
    """
    on = StandInMovie(points)
    regions, left_out = [], []
    for k, (data, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        name = f"{kind} {k + 1}"
        if kind not in KINDS:
            left_out.append(f"{name}: left out; regions are rectangles, polygons, ellipses and lines")
            continue
        corners = np.array([on.to_pixels(shapes, corner) for corner in np.asarray(data, np.float64)])
        width = 0.0
        if kind == "line":
            drawn = _drawn_width(on, shapes, np.asarray(data, np.float64), float(shapes.edge_width[k]), pixel_size_nm)
            width = width_nm or drawn
        regions.append(Region(name, KINDS[kind], corners, width))
    if not regions:
        raise InputError(f"{shapes.name}: there is no shape; draw rectangles, polygons, ellipses or lines")
    return regions, left_out


def _drawn_width(
    on: StandInMovie, shapes: Shapes, ends: NDArray[np.float64], edge_width: float, pixel_size_nm: PixelSize | None
) -> float:
    """Return how wide a line is drawn, in nm where the pixel size is known, else in pixels of the points."""
    lengths = np.ones(2) if pixel_size_nm is None else np.array(pixel_size_yx(pixel_size_nm))
    step = (ends[1] - ends[0])[-2:]
    aside = np.zeros(ends.shape[1])
    aside[-2:] = np.array([-step[1], step[0]]) * edge_width / (float(np.linalg.norm(step)) or 1.0)
    start, stop, edge = (lengths * on.to_pixels(shapes, place) for place in (ends[0], ends[1], ends[0] + aside))
    along, across = stop - start, edge - start
    product: Any = along[0] * across[1] - along[1] * across[0]
    return abs(float(product)) / (float(np.linalg.norm(along)) or 1.0)


def rectangle_layer(movie: MovieLayer, roi: Roi, name: str) -> Shapes:
    """Return a layer with a rectangle over whole pixels of a movie, through the centres of the outer ones."""
    from napari.layers import Shapes

    (y0, y1), (x0, x1) = roi
    corners = np.array([[y0, x0], [y0, x1 - 1], [y1 - 1, x1 - 1], [y1 - 1, x0]], dtype=np.float64)
    placed = np.zeros((len(corners), movie.layer.ndim))
    placed[:, -2:] = corners
    return Shapes([placed], shape_type="rectangle", name=name, face_color="transparent", **movie.placement())
