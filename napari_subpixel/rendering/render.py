"""Rendering: a super-resolution image from a table of localizations."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.generators import stepwise
from napari_subpixel.coordinates import (
    PixelSize,
    Roi,
    checked_frame_shape,
    checked_roi,
    pixel_size_yx,
    within_frame,
)
from napari_subpixel.errors import FrameShapeError, InputError, suggest
from napari_subpixel.grids import SuperResolutionGrid
from napari_subpixel.localizations import Localizations

METHODS = ("gaussian", "histogram")
#: Width of a pixel of the image where none is asked for, in nm.
PIXEL_SIZE_NM = 10.0
#: Larger images are refused rather than filling the memory.
MAX_IMAGE_BYTES = 2 << 30
#: Width of a point whose uncertainty is not known, in pixels of the super-resolution image.
DEFAULT_SIGMA_PX = 1.0
#: Smaller uncertainties are drawn as this one, in pixels of the super-resolution image: a point within its pixel.
MIN_SIGMA_PX = 0.1
#: Larger uncertainties are drawn as this one, in camera pixels.
MAX_SIGMA_CAMERA_PX = 1.0
#: Points drawn at a time.
CHUNK_POINTS = 1 << 20


@dataclass(frozen=True, eq=False)
class SuperResolutionImage:
    """A rendered image and its place over the frames.

    Attributes
    ----------
    image : ndarray of float32, shape (height, width)
        Points per pixel: the image sums to the number of points on the field, but for Gaussians' tails beyond its edge.
    grid : SuperResolutionGrid
        Where its pixels lie over the frames.
    n_outside : int
        Points that do not lie on the frames and were left out.
    provenance : dict
        That of the table, and how the image was rendered.
    """

    image: NDArray[np.float32]
    grid: SuperResolutionGrid
    n_outside: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def scale_nm(self) -> tuple[float, float]:
        """Height and width of a pixel in nm: the ``scale`` of a napari layer in nm."""
        return self.grid.pixel_size_nm, self.grid.pixel_size_nm

    @property
    def translate_nm(self) -> tuple[float, float]:
        """Place of the first pixel's centre in nm from that of the frames: the ``translate`` of a napari layer."""
        return self.grid.translate_nm

    def plus(self, further: SuperResolutionImage) -> SuperResolutionImage:
        """Return the sum with a further image of the same field and pixels, added in place; do not reuse `further`.

        The provenance is that of the further image, with the points of both.
        """
        if self.grid != further.grid:
            raise InputError("images of different fields or pixels cannot be added")
        drawn = {
            name: value + self.provenance["render"][name] if name in ("points", "points_outside") else value
            for name, value in further.provenance["render"].items()
        }
        return SuperResolutionImage(
            np.add(self.image, further.image, out=further.image),
            self.grid,
            self.n_outside + further.n_outside,
            {**further.provenance, "render": drawn},
        )


def detected_roi(table: Localizations) -> Roi | None:
    """Return the part of the frame that a table was detected in, ((y0, y1), (x0, x1)); None where it names none.

    Parameters
    ----------
    table : Localizations
    """
    detected = table.provenance.get("roi")
    if not detected or table.frame_shape is None:
        return None
    (y0, y1), (x0, x1) = detected
    return (int(y0), int(y1)), (int(x0), int(x1))


@stepwise
def render(
    localizations: Localizations,
    *,
    pixel_size_nm: float = PIXEL_SIZE_NM,
    method: str = "gaussian",
    sigma_nm: float | None = None,
    frame_shape: Sequence[int] | None = None,
    roi: Roi | None = None,
) -> Generator[int, None, SuperResolutionImage]:
    """Render localizations into an image laid exactly over the frames that they came from, or over a part of these.

    `render.steps` yields the number of points drawn so far.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.
    pixel_size_nm : float
        Width of a pixel of the image, in nm; it need not divide the camera's.
    method : {"gaussian", "histogram"}
        Draw every point as a Gaussian of sum 1, integrated over each pixel; or count the points in each pixel.
    sigma_nm : float, optional
        Standard deviation of all Gaussians. Without it each point has its own ``y_uncertainty`` and
        ``x_uncertainty`` where the table has both: at least 0.1 pixels of the image and at most one camera pixel, and
        where they are not positive numbers the median of the others. Where it has not, one pixel of the image.
    frame_shape : (int, int), optional
        (height, width) of the frames in camera pixels; without it, the table's.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frames to draw, in camera pixels, ends excluded; all of them if not given.

    Returns
    -------
    SuperResolutionImage
        Points that do not lie on the frames, or on the part, are left out and counted.

    Raises
    ------
    InputError
        If pixel size or frame shape are not known, the method is unknown, or the image would be too large.

    Examples
    --------
    >>> table = Localizations({"frame": [0], "y": [1.0], "x": [2.0]}, pixel_size_nm=100, frame_shape=(3, 5))
    >>> rendered = render(table, pixel_size_nm=20, method="histogram")
    >>> rendered.image.shape, np.argwhere(rendered.image).tolist()
    ((15, 25), [[7, 12]])
    """
    if method not in METHODS:
        hint = suggest(str(method), METHODS)
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {method!r}{hint}")
    if sigma_nm is not None:
        sigma_nm = _checked_sigma(sigma_nm, method)
    grid = _grid(localizations, pixel_size_nm, frame_shape, roi)
    if sigma_nm is not None and sigma_nm > (width := max(_extent_nm(grid))):
        raise InputError(f"render: sigma_nm {sigma_nm:g} is wider than the frames, {width:g} nm")
    image = np.zeros(grid.shape, np.float32)
    about: dict[str, Any] = {"method": method, "pixel_size_nm": grid.pixel_size_nm}
    if method == "histogram":
        n_outside = yield from _add_counts(image, localizations, grid)
    else:
        n_outside, about["sigma_nm"] = yield from _add_points(image, localizations, grid, sigma_nm)
    if roi is not None:
        about["roi"] = [list(side) for side in roi]
    about |= {"points": len(localizations) - n_outside, "points_outside": n_outside}
    provenance = {"program": f"napari-subpixel {__version__}", **localizations.provenance, "render": about}
    return SuperResolutionImage(image, grid, n_outside, provenance)


def _extent_nm(grid: SuperResolutionGrid) -> tuple[float, float]:
    height, width = pixel_size_yx(grid.frame_pixel_size_nm)
    return grid.frame_shape[0] * height, grid.frame_shape[1] * width


def _checked_sigma(sigma_nm: Any, method: str) -> float:
    if method != "gaussian":
        raise InputError(f"sigma_nm is for the method gaussian, got it with {method}")
    sigma_nm = records.number("render", "sigma_nm", sigma_nm)
    if sigma_nm <= 0:
        raise InputError(f"render: sigma_nm must be positive, got {sigma_nm:g}")
    return sigma_nm


def _grid(
    localizations: Localizations, pixel_size_nm: float, frame_shape: Sequence[int] | None, roi: Roi | None
) -> SuperResolutionGrid:
    shape = localizations.frame_shape if frame_shape is None else checked_frame_shape(frame_shape)
    if shape is None:
        raise FrameShapeError("the shape of the frames is not known")
    return image_grid(shape, localizations.known_pixel_size_nm(), pixel_size_nm, roi=roi)


def image_grid(
    frame_shape: tuple[int, int],
    frame_pixel_size_nm: PixelSize,
    pixel_size_nm: float = PIXEL_SIZE_NM,
    *,
    roi: Roi | None = None,
) -> SuperResolutionGrid:
    """Return the grid of an image over frames, or over a part of them.

    Parameters
    ----------
    frame_shape : (int, int)
        (height, width) of the frames in camera pixels.
    frame_pixel_size_nm : float or (float, float)
        Width of a camera pixel in nm, or height and width.
    pixel_size_nm : float
        Width of a pixel of the image in nm.
    roi : ((y0, y1), (x0, x1)), optional
        The part, in camera pixels, ends excluded.

    Raises
    ------
    InputError
        If the image would be too large, or the part does not lie on the frames.
    """
    (y0, y1), (x0, x1) = checked_roi(roi, frame_shape)
    grid = SuperResolutionGrid((y1 - y0, x1 - x0), frame_pixel_size_nm, pixel_size_nm, (y0, x0))
    check_image_size(grid)
    return grid


def check_image_size(grid: SuperResolutionGrid, *, n_images: int = 1, kind: str = "an image") -> None:
    """Raise `InputError` if images on a grid take too much memory.

    Parameters
    ----------
    grid : SuperResolutionGrid
    n_images : int
        Images of float32 that are held at a time.
    kind : str
        What is drawn, for the message.
    """
    height, width = grid.shape
    if (size := 4.0 * n_images * height * width) > MAX_IMAGE_BYTES:
        raise InputError(
            f"{kind} of {height} x {width} pixels of {grid.pixel_size_nm:g} nm takes {size / 2**30:.1f} GiB, more than "
            f"{MAX_IMAGE_BYTES / 2**30:g} GiB: choose larger pixels"
        )


def _add_counts(
    image: NDArray[np.float32], localizations: Localizations, grid: SuperResolutionGrid
) -> Generator[int, None, int]:
    """Count every point; the value is how many lie outside."""
    from napari_subpixel.rendering.kernels import add_counts

    return (yield from _drawn(localizations, grid, lambda y, x, _: add_counts(image, y, x)))


def _drawn(
    localizations: Localizations,
    grid: SuperResolutionGrid,
    draw: Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[Any]], None],
) -> Generator[int, None, int]:
    """Draw chunks of points, given as y and x in pixels of the image and rows; the value is how many lie outside."""
    n_outside = 0
    for start in range(0, len(localizations), CHUNK_POINTS):
        rows: Any = slice(start, min(start + CHUNK_POINTS, len(localizations)))
        stop = rows.stop
        y, x = localizations.y[rows] - grid.first_px[0], localizations.x[rows] - grid.first_px[1]
        on_field = within_frame(y, x, grid.frame_shape)
        if not on_field.all():
            n_outside += int(np.count_nonzero(~on_field))
            y, x, rows = y[on_field], x[on_field], start + np.flatnonzero(on_field)
        draw(*grid.from_frame(y, x), rows)
        yield stop
    return n_outside


def _add_points(
    image: NDArray[np.float32], localizations: Localizations, grid: SuperResolutionGrid, sigma_nm: float | None
) -> Generator[int, None, tuple[int, float | str]]:
    """Add a Gaussian for every point; the value is how many lie outside, and the width, in nm or as text."""
    from napari_subpixel.rendering.kernels import add_unit_gaussians

    per_point = sigma_nm is None and "y_uncertainty" in localizations and "x_uncertainty" in localizations
    if per_point:
        names = zip(("y_uncertainty", "x_uncertainty"), grid.zoom_yx, strict=True)
        sigmas = [_PointSigmas.of(localizations, name, grid, zoom) for name, zoom in names]
    sigma_px = DEFAULT_SIGMA_PX if sigma_nm is None else sigma_nm / grid.pixel_size_nm

    def draw(y: NDArray[np.float64], x: NDArray[np.float64], rows: Any) -> None:
        widths = [sigma.at(rows) for sigma in sigmas] if per_point else [np.full(len(y), sigma_px)] * 2
        add_unit_gaussians(image, y, x, *widths)

    n_outside = yield from _drawn(localizations, grid, draw)
    return n_outside, "own uncertainty" if per_point else float(sigma_px * grid.pixel_size_nm)


@dataclass(frozen=True, eq=False)
class _PointSigmas:
    """Widths to draw along an axis: the uncertainties, in camera pixels, with a substitute for unusable ones.

    `zoom` is how many pixels of the image a camera pixel is along this axis.
    """

    uncertainty: NDArray[np.float32]
    zoom: float
    substitute: float

    @classmethod
    def of(cls, localizations: Localizations, column: str, grid: SuperResolutionGrid, zoom: float) -> _PointSigmas:
        uncertainty = localizations[column]
        # NaN fails this too: the minimum is NaN then.
        if uncertainty.size and uncertainty.min() > 0 and uncertainty.max() < np.inf:
            return cls(uncertainty, zoom, DEFAULT_SIGMA_PX)
        y, x = localizations.y - grid.first_px[0], localizations.x - grid.first_px[1]
        usable = _usable(uncertainty) & within_frame(y, x, grid.frame_shape)
        substitute = np.median(uncertainty[usable].astype(np.float64) * zoom) if usable.any() else DEFAULT_SIGMA_PX
        return cls(uncertainty, zoom, float(substitute))

    def at(self, rows: Any) -> NDArray[np.float64]:
        """Return the widths of some points, in pixels of the image."""
        uncertainty = self.uncertainty[rows]
        sigma = np.where(_usable(uncertainty), uncertainty.astype(np.float64) * self.zoom, self.substitute)
        return np.minimum(np.maximum(sigma, MIN_SIGMA_PX), MAX_SIGMA_CAMERA_PX * self.zoom)


def _usable(uncertainty: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isfinite(uncertainty) & (uncertainty > 0)
