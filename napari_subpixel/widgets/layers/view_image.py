"""The image layer of what is in view, which says when something else is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_subpixel.grids import ViewGrid, whole_shape
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.renderings import RenderingNotes, grid_placement

if TYPE_CHECKING:
    from napari.layers import Layer, Points


class InView(NamedTuple):
    """The part of the frames that is in view.

    Attributes
    ----------
    low, high : (float, float)
        (y, x) of its corners, in camera pixels; it can be larger than the frames.
    zoom : (float, float)
        Pixels of the screen per camera pixel, along y and x.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    zoom: tuple[float, float]


class ViewImage(Image):
    """An image of a part of the frames, placed over the layer of these; to napari it is as large as all of them.

    Parameters
    ----------
    image : ndarray, shape (height, width) or (height, width, 3)
    grid : ViewGrid
        Where its pixels lie over the frames.
    frame_shape : (int, int)
        (height, width) of the frames, in camera pixels.
    over : napari.layers.Layer
        The layer whose last two axes are camera pixels.
    **arguments
        Of `napari.layers.Image`.

    Attributes
    ----------
    view_changed : psygnal.Signal
        Emitted while the canvas is drawn, with what is in view, when that is something else than before.
    """

    view_changed = Signal(object)
    #: What draws it, which ends with it.
    drawing: Any = None

    def __init__(
        self,
        image: NDArray[np.float32],
        grid: ViewGrid,
        frame_shape: tuple[int, int],
        over: Layer,
        **arguments: Any,
    ) -> None:
        self.grid, self.frame_shape = grid, frame_shape
        self.in_view: InView | None = None
        super().__init__(image, multiscale=False, **grid_placement(grid, over), **arguments)

    def show(self, image: NDArray[Any], grid: ViewGrid, over: Layer, *, with_thumbnail: bool = True) -> None:
        """Show another part; image and place change together, before anything is drawn.

        Parameters
        ----------
        image, grid, over
            As for the layer.
        with_thumbnail : bool
            Whether to draw the thumbnail anew.
        """
        place = grid_placement(grid, over)
        self.grid = grid
        # Not by the layer's own attributes, each of which would draw the old image in a new place; and without their
        # events, at which the viewer would measure all layers again: to it this one is as large as before.
        transform = self._transforms["data2physical"]
        transform.scale, transform.translate = place["scale"], place["translate"]
        for name in ("rotate", "shear", "affine", "units"):
            if not np.array_equal(np.asarray(getattr(self, name)), np.asarray(place[name])):
                setattr(self, name, place[name])
        self._data_raw = self._data = image
        self._clear_extent()
        self.refresh(extent=False, highlight=False, thumbnail=with_thumbnail)

    @property
    def _extent_data(self) -> NDArray[np.float64]:
        first, whole = np.array(self.grid.first), np.array(whole_shape(self.frame_shape, self.grid.zoom))
        return np.stack([-first, whole - 1 - first]).astype(np.float64)

    @property
    def _type_string(self) -> str:
        return "image"  # which writers and readers of this kind of layer take it for

    def _update_draw(self, scale_factor: float, corner_pixels_displayed: Any, shape_threshold: Any) -> None:
        super()._update_draw(scale_factor, corner_pixels_displayed, shape_threshold)
        if list(self._slice_input.displayed) != [0, 1] or not self.visible:
            return
        in_view = self._part_in_view(scale_factor, np.asarray(corner_pixels_displayed, dtype=np.float64))
        if in_view != self.in_view:
            self.in_view = in_view
            self.view_changed.emit(in_view)

    def _part_in_view(self, scale_factor: float, corners: NDArray[np.float64]) -> InView:
        """Return what is in view from the corners of the canvas in the world."""
        to_world = self._transforms[1:].simplified.set_slice([0, 1])
        places = np.asarray(to_world.inverse(list(itertools.product(*corners.T))), dtype=np.float64)
        low, high = (self.grid.to_frame(end) for end in (places.min(axis=0), places.max(axis=0)))
        origin, *steps = (np.asarray(to_world(step), dtype=np.float64) for step in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
        on_screen = [float(np.linalg.norm(step - origin)) / scale_factor for step in steps]
        zoom = [pixels * own for pixels, own in zip(on_screen, self.grid.zoom, strict=True)]
        # Rounded, so that the last bits of another placement are no other view.
        zoom = [float(f"{number:.9g}") for number in zoom]
        ends = [tuple(round(float(number), 6) for number in end) for end in (low, high)]
        return InView((ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]), (zoom[0], zoom[1]))


def view_image_of(points: Points, layers: Iterable[Layer]) -> ViewImage | None:
    """Return the image of what is in view of a points layer, if it is among these layers."""
    for layer in layers:
        notes = layer.metadata.get(KEY)
        if not isinstance(layer, ViewImage) or layer.drawing is None:
            continue
        if isinstance(notes, RenderingNotes) and notes.points == points.unique_id:
            return layer
    return None
