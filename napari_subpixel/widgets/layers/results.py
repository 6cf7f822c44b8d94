"""Results among the layers: which points they are, what they lie on, and snapshots of their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import FrameShapeError, InputError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, MovieNotes, movie_notes
from napari_subpixel.widgets.layers.points import PointNotes, arrays_of, has_column, notes_of, table_from, time_axis_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points


def is_table(layer: Layer) -> bool:
    """Say whether a layer holds localizations or molecules: points, but not a preview or the colours of a score."""
    from napari.layers import Points

    return isinstance(layer, Points) and not getattr(layer.metadata.get(KEY), "role", "")


def is_result(layer: Layer) -> bool:
    """Say whether points were detected: they have probabilities."""
    return is_table(layer) and has_column(layer, "probability")


def is_linked(layer: Layer) -> bool:
    """Say whether points are molecules that were linked."""
    notes = layer.metadata.get(KEY)
    return isinstance(notes, PointNotes) and "link" in (notes.about.get("provenance") or {})


def is_measured(layer: Layer) -> bool:
    """Say whether points are localizations as a program measures them: with probabilities or uncertainties."""
    columns = ("probability", "x_uncertainty", "y_uncertainty")
    return is_table(layer) and not is_linked(layer) and any(has_column(layer, name) for name in columns)


def is_truth(layer: Layer) -> bool:
    """Say whether points can be ground truth: they have no probabilities."""
    return is_table(layer) and not is_result(layer)


def nothing_to(verb: str) -> InputError:
    """Return the refusal of a panel where no layer holds localizations, with what it is to do, as in "to link"."""
    return InputError(f"there is no points layer to {verb}: detect molecules, or open a table of localizations")


def movie_of(points: Points, layers: Iterable[Layer]) -> MovieLayer | None:
    """Return the movie that points belong to, if it is among these layers."""
    key = notes_of(points).movie
    for layer in layers:
        if isinstance(layer.metadata.get(KEY), MovieNotes) and movie_notes(layer).key == key:
            return MovieLayer(layer)
    return None


def is_foreign(points: Points) -> bool:
    """Say whether points come from elsewhere, drawn by hand or made by a script, so that their units are unknown."""
    return "frame_shape" not in notes_of(points).about


def snapshot(points: Points) -> Callable[[], Localizations]:
    """Return a function that makes the table of the points shown now, for a thread to call.

    Making a table of millions of points takes too long to block the viewer.
    """
    notes, shown = replace(notes_of(points)), arrays_of(points)
    return lambda: table_from(shown, notes)


@dataclass(frozen=True, eq=False)
class Ground:
    """The pixels of the frames that points lie on.

    Attributes
    ----------
    layer : napari.layers.Layer
        The layer whose last two axes are these pixels: the points themselves, or a movie under foreign points.
    frame_shape : (int, int), optional
        (height, width) of the frames in pixels.
    pixel_size_nm : float or (float, float), optional
        Width of a pixel in nm, or height and width.
    matrix, offset : ndarray, optional
        Shapes (2, 2) and (2,); take (y, x) of the points to pixels, ``matrix @ yx + offset``.
    """

    layer: Layer
    frame_shape: tuple[int, int] | None
    pixel_size_nm: PixelSize | None
    matrix: NDArray[np.float64] | None = None
    offset: NDArray[np.float64] | None = None

    def table(self, points: Localizations) -> Localizations:
        """Return the points in the pixels of the frames, with the shape and pixel size of these."""
        if self.matrix is not None and self.offset is not None:
            y, x = self.matrix @ points.yx.T + self.offset[:, None]
            points = points.with_columns(y=y, x=x)
        return points.with_about(
            frame_shape=self.frame_shape or points.frame_shape,
            pixel_size_nm=self.pixel_size_nm or points.pixel_size_nm,
        )

    def is_same_as(self, other: Ground) -> bool:
        """Say whether these are the same pixels, and points lie on them at the same places."""
        return (
            self.layer is other.layer
            and (self.frame_shape, self.pixel_size_nm) == (other.frame_shape, other.pixel_size_nm)
            and np.array_equal(self.matrix, other.matrix)  # type: ignore[arg-type]
            and np.array_equal(self.offset, other.offset)  # type: ignore[arg-type]
        )

    def check_known(self, points: Points) -> None:
        """Raise `InputError` unless the shape of the frames and the pixel size are known."""
        if self.frame_shape is None:
            raise FrameShapeError(f"{points.name}: the shape of the frames is not known")
        self.check_pixel_size(points)

    def check_pixel_size(self, points: Points) -> None:
        """Raise `PixelSizeError` unless the pixel size is known."""
        if self.pixel_size_nm is None:
            raise PixelSizeError(f"{points.name}: the pixel size of the camera is not known")


def ground_of(points: Points, layers: Iterable[Layer], chosen: Image | None = None) -> Ground:
    """Return what points lie on: their movie if it is open, else their own notes, else the chosen movie.

    Parameters
    ----------
    points : napari.layers.Points
    layers : iterable of Layer
        The layers among which their movie is searched for.
    chosen : napari.layers.Image, optional
        A movie for points that know of none. Foreign points lie on it where the viewer shows them.
    """
    about = notes_of(points).about
    shape, size = about.get("frame_shape"), about.get("pixel_size_nm")
    movie = movie_of(points, layers)
    if movie is not None:
        return Ground(points, movie.frame_shape, movie.camera.pixel_size_nm or size)
    if shape is not None or chosen is None:
        return Ground(points, shape, size)
    movie = MovieLayer(chosen)
    if is_foreign(points):
        return on_movie(points, movie)
    return Ground(points, movie.frame_shape, size or movie.camera.pixel_size_nm)


def on_movie(points: Points, movie: MovieLayer) -> Ground:
    """Return the pixels of a movie as the ground of points that lie on it where the viewer shows them."""
    unit = np.eye(points.ndim)
    offset = movie.to_pixels(points, np.zeros(points.ndim))
    matrix = np.column_stack([movie.to_pixels(points, unit[axis]) - offset for axis in (-2, -1)])
    return Ground(movie.layer, movie.frame_shape, movie.camera.pixel_size_nm, matrix, offset)


def needs_movie(points: Points, layers: Iterable[Layer]) -> bool:
    """Say whether points know neither their movie nor the shape of its frames."""
    return movie_of(points, layers) is None and notes_of(points).about.get("frame_shape") is None


class StandInMovie(MovieLayer):
    """A points layer in place of its movie, which is not open, so that other layers can lie on it."""

    def __init__(self, points: Points) -> None:
        self.layer, self.name = points, points.name
        self.time = time_axis_of(points)
        self.notes = MovieNotes(key=notes_of(points).movie or "")

    def other_places(self) -> dict[int, float]:
        """Return where its own points lie along the axes that are neither frame, y nor x."""
        axes = [axis for axis in range(self.layer.ndim - 2) if axis != self.time]
        return {axis: float(self.layer.data[0, axis]) for axis in axes} if len(self.layer.data) else {}
