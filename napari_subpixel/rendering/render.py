"""Rendering: a super-resolution image from a table of localizations, and its files."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._util.generators import stepwise
from napari_subpixel.coordinates import SuperResolutionGrid, checked_frame_shape, within_frame
from napari_subpixel.errors import FrameShapeError, InputError, suggest
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
#: Colours at equal steps from dark to bright, red, green and blue from 0 to 1.
COLORMAPS = {
    "hot": ((0, 0, 0), (0.7, 0, 0), (1, 0.45, 0), (1, 0.85, 0.1), (1, 1, 1)),
    "gray": ((0, 0, 0), (1, 1, 1)),
}
#: A preview shows this share of the lit pixels below full brightness.
PREVIEW_QUANTILE = 0.995
#: A preview has no longer side than this, in pixels.
PREVIEW_SIDE_PX = 4096


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
        """Return this image with the points of a further one, of the same field and pixels, which is used up for it.

        The provenance is that of the further one, whose points it counts in.
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


@stepwise
def render(
    localizations: Localizations,
    *,
    pixel_size_nm: float = PIXEL_SIZE_NM,
    method: str = "gaussian",
    sigma_nm: float | None = None,
    frame_shape: Sequence[int] | None = None,
) -> Generator[int, None, SuperResolutionImage]:
    """Render localizations into an image laid exactly over the frames that they came from.

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

    Returns
    -------
    SuperResolutionImage
        Points that do not lie on the frames are left out and counted.

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
    grid = _grid(localizations, pixel_size_nm, frame_shape)
    if sigma_nm is not None and sigma_nm > (width := max(grid.frame_shape) * grid.frame_pixel_size_nm):
        raise InputError(f"render: sigma_nm {sigma_nm:g} is wider than the frames, {width:g} nm")
    image = np.zeros(grid.shape, np.float32)
    about: dict[str, Any] = {"method": method, "pixel_size_nm": grid.pixel_size_nm}
    if method == "histogram":
        n_outside = yield from _add_counts(image, localizations, grid)
    else:
        n_outside, about["sigma_nm"] = yield from _add_points(image, localizations, grid, sigma_nm)
    about |= {"points": len(localizations) - n_outside, "points_outside": n_outside}
    provenance = {"program": f"napari-subpixel {__version__}", **localizations.provenance, "render": about}
    return SuperResolutionImage(image, grid, n_outside, provenance)


def _checked_sigma(sigma_nm: Any, method: str) -> float:
    if method != "gaussian":
        raise InputError(f"sigma_nm is for the method gaussian, got it with {method}")
    sigma_nm = records.number("render", "sigma_nm", sigma_nm)
    if sigma_nm <= 0:
        raise InputError(f"render: sigma_nm must be positive, got {sigma_nm:g}")
    return sigma_nm


def _grid(localizations: Localizations, pixel_size_nm: float, frame_shape: Sequence[int] | None) -> SuperResolutionGrid:
    shape = localizations.frame_shape if frame_shape is None else checked_frame_shape(frame_shape)
    if shape is None:
        raise FrameShapeError("the shape of the frames is not known")
    return image_grid(shape, localizations.known_pixel_size_nm(), pixel_size_nm)


def image_grid(
    frame_shape: tuple[int, int], frame_pixel_size_nm: float, pixel_size_nm: float = PIXEL_SIZE_NM
) -> SuperResolutionGrid:
    """Return the grid of an image over frames, or raise `InputError` if the image would be too large."""
    grid = SuperResolutionGrid(frame_shape, frame_pixel_size_nm, pixel_size_nm)
    height, width = grid.shape
    if (size := 4.0 * height * width) > MAX_IMAGE_BYTES:
        raise InputError(
            f"an image of {height} x {width} pixels of {pixel_size_nm:g} nm takes {size / 2**30:.1f} GiB, more than "
            f"{MAX_IMAGE_BYTES / 2**30:g} GiB: choose larger pixels"
        )
    return grid


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
    """Give y and x in pixels of the image, and the rows, of some points at a time; the value is how many lie out."""
    n_outside = 0
    for start in range(0, len(localizations), CHUNK_POINTS):
        rows: Any = slice(start, min(start + CHUNK_POINTS, len(localizations)))
        stop = rows.stop
        y, x = localizations.y[rows], localizations.x[rows]
        on_field = within_frame(y, x, grid.frame_shape)
        if not on_field.all():
            n_outside += int(np.count_nonzero(~on_field))
            y, x, rows = y[on_field], x[on_field], start + np.flatnonzero(on_field)
        draw(grid.from_frame(y), grid.from_frame(x), rows)
        yield stop
    return n_outside


def _add_points(
    image: NDArray[np.float32], localizations: Localizations, grid: SuperResolutionGrid, sigma_nm: float | None
) -> Generator[int, None, tuple[int, float | str]]:
    """Add a Gaussian for every point; the value is how many lie outside, and the width, in nm or in words."""
    from napari_subpixel.rendering.kernels import add_unit_gaussians

    own = sigma_nm is None and "y_uncertainty" in localizations and "x_uncertainty" in localizations
    if own:
        sigmas = [_OwnSigmas.of(localizations, name, grid) for name in ("y_uncertainty", "x_uncertainty")]
    sigma_px = DEFAULT_SIGMA_PX if sigma_nm is None else sigma_nm / grid.pixel_size_nm

    def draw(y: NDArray[np.float64], x: NDArray[np.float64], rows: Any) -> None:
        widths = [sigma.at(rows) for sigma in sigmas] if own else [np.full(len(y), sigma_px)] * 2
        add_unit_gaussians(image, y, x, *widths)

    n_outside = yield from _drawn(localizations, grid, draw)
    return n_outside, "own uncertainty" if own else float(sigma_px * grid.pixel_size_nm)


@dataclass(frozen=True, eq=False)
class _OwnSigmas:
    """The uncertainties along an axis, in camera pixels, as widths to draw, and what stands in for those of no use."""

    uncertainty: NDArray[np.float32]
    zoom: float
    stand_in: float

    @classmethod
    def of(cls, localizations: Localizations, column: str, grid: SuperResolutionGrid) -> _OwnSigmas:
        uncertainty = localizations[column]
        # Of no use is also what is not a number: then so is the least of all.
        if uncertainty.size and uncertainty.min() > 0 and uncertainty.max() < np.inf:
            return cls(uncertainty, grid.zoom, DEFAULT_SIGMA_PX)
        usable = _usable(uncertainty) & within_frame(localizations.y, localizations.x, grid.frame_shape)
        stand_in = np.median(uncertainty[usable].astype(np.float64) * grid.zoom) if usable.any() else DEFAULT_SIGMA_PX
        return cls(uncertainty, grid.zoom, float(stand_in))

    def at(self, rows: Any) -> NDArray[np.float64]:
        """Return the widths of some points, in pixels of the image."""
        uncertainty = self.uncertainty[rows]
        sigma = np.where(_usable(uncertainty), uncertainty.astype(np.float64) * self.zoom, self.stand_in)
        return np.minimum(np.maximum(sigma, MIN_SIGMA_PX), MAX_SIGMA_CAMERA_PX * self.zoom)


def _usable(uncertainty: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isfinite(uncertainty) & (uncertainty > 0)


# -- files --------------------------------------------------------------------------------------------------------


def check_image_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless an image may and can be written there as OME-TIFF."""
    _check_suffix(path, (".tif", ".tiff"))
    check_can_write(path, overwrite=overwrite)


def check_preview_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless a preview may and can be written there as PNG."""
    _check_suffix(path, (".png",))
    check_can_write(path, overwrite=overwrite)


def save_image(path: str | Path, rendered: SuperResolutionImage, *, overwrite: bool = False) -> None:
    """Write an image as OME-TIFF, with its pixel size and its provenance.

    The provenance is a map annotation of the OME metadata, ``napari-subpixel/provenance``: each value is JSON.

    Parameters
    ----------
    path : path-like
        Ends in .tif or .tiff.
    rendered : SuperResolutionImage
        What to write.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, has another suffix, or cannot be written.
    """
    import tifffile

    check_image_output(path, overwrite=overwrite)
    pixels_per_cm = 1e7 / rendered.grid.pixel_size_nm
    with atomic_output(path) as draft:
        tifffile.imwrite(
            draft,
            rendered.image,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            resolution=(pixels_per_cm, pixels_per_cm),
            resolutionunit="CENTIMETER",
            metadata=_ome_metadata(rendered),
        )


def _ome_metadata(rendered: SuperResolutionImage) -> dict[str, Any]:
    size_nm = rendered.grid.pixel_size_nm
    provenance = {name: json.dumps(value, default=str) for name, value in rendered.provenance.items()}
    # Named after its contents, so that the same image gives the same bytes.
    digest = hashlib.sha256(np.ascontiguousarray(rendered.image).data)
    digest.update(json.dumps([size_nm, provenance]).encode())
    return {
        "axes": "YX",
        "PhysicalSizeX": size_nm,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": size_nm,
        "PhysicalSizeYUnit": "nm",
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, digest.hexdigest())),
        "MapAnnotation": {"Namespace": "napari-subpixel/provenance", **provenance},
    }


def save_preview(
    path: str | Path,
    rendered: SuperResolutionImage,
    *,
    colormap: str = "hot",
    scale_bar_nm: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write an 8-bit PNG to look at: bright, in false colours; what it shows cannot be measured.

    Parameters
    ----------
    path : path-like
        Ends in .png.
    rendered : SuperResolutionImage
        What to show; an image of more than 4096 pixels a side is shown smaller.
    colormap : {"hot", "gray"}
        Colours from dark to bright.
    scale_bar_nm : float, optional
        Length of a white bar in the lower right corner, in nm.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, has another suffix or cannot be written, the colours are unknown, or the bar does not fit.
    """
    import imagecodecs

    check_preview_output(path, overwrite=overwrite)
    if colormap not in COLORMAPS:
        hint = suggest(str(colormap), COLORMAPS)
        raise InputError(f"colormap must be one of {', '.join(COLORMAPS)}, got {colormap!r}{hint}")
    shrink = -(-max(rendered.image.shape) // PREVIEW_SIDE_PX)
    picture = _coloured(_shrunk(rendered.image, shrink), COLORMAPS[colormap])
    if scale_bar_nm is not None:
        _draw_scale_bar(picture, scale_bar_nm, rendered.grid.pixel_size_nm * shrink)
    with atomic_output(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(picture, level=1))


def _check_suffix(path: str | Path, suffixes: tuple[str, ...]) -> None:
    if Path(path).suffix.lower() not in suffixes:
        raise InputError(f"{path}: the image's name must end in {' or '.join(suffixes)}")


def _shrunk(image: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the sums over blocks of `factor` x `factor` pixels; the last ones may be cut."""
    starts = [np.arange(0, n, factor) for n in image.shape]
    return image if factor == 1 else np.add.reduceat(np.add.reduceat(image, starts[0], axis=0), starts[1], axis=1)


def _coloured(image: NDArray[np.float32], colours: Sequence[Sequence[float]]) -> NDArray[np.uint8]:
    """Return an RGB picture, shape (height, width, 3), full bright at a high quantile of the lit pixels."""
    lit = image[image > 1e-3 * image.max()]
    full = np.quantile(lit, PREVIEW_QUANTILE) if lit.size else 1.0
    level = np.rint(np.clip(image / full, 0, 1) * 255).astype(np.uint8)
    places = np.linspace(0, 255, len(colours))
    table = np.column_stack([np.interp(np.arange(256), places, channel) for channel in zip(*colours, strict=True)])
    return np.rint(table * 255).astype(np.uint8)[level]


def _draw_scale_bar(picture: NDArray[np.uint8], length_nm: float, pixel_size_nm: float) -> None:
    height, width, _ = picture.shape
    length = round(records.number("preview", "scale_bar_nm", length_nm) / pixel_size_nm)
    thickness = max(1, height // 100)
    margin = max(2, min(height, width) // 40)
    if length < 1 or length + 2 * margin > width or thickness + 2 * margin > height:
        raise InputError(f"a scale bar of {length_nm:g} nm does not fit a picture of {height} x {width} pixels")
    picture[-margin - thickness : -margin, -margin - length : -margin] = 255
