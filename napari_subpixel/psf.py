"""The point spread function: how a molecule's photons fall on the camera's pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from napari_subpixel._util import records
from napari_subpixel.coordinates import (
    HALF_PIXEL,
    PixelSize,
    checked_pixel_size,
    home_pixel,
    mean_pixel_size,
    meant_nm,
    pixel_size_text,
    pixel_size_yx,
)
from napari_subpixel.errors import ImplausibleError, InputError

#: Photons further than this many standard deviations out are left off: fewer than one in three million per axis.
TRUNCATE_SIGMA = 5.0
#: Range of the standard deviation of a PSF in a microscope, in pixels.
PLAUSIBLE_SIGMA_PX = (0.3, 10.0)
#: Digits of a width in pixels that mean anything, with some to spare.
SIGMA_DIGITS = 6


@dataclass(frozen=True)
class GaussianPSF:
    """A Gaussian point spread function, integrated over every pixel.

    Attributes
    ----------
    sigma_nm : float
        Standard deviation, in nm.
    """

    sigma_nm: float = field(metadata={"help": "standard deviation of the PSF, in nm"})

    def __post_init__(self) -> None:
        records.set_field(self, "sigma_nm", records.number("psf", "sigma_nm", self.sigma_nm))
        if self.sigma_nm <= 0:
            raise InputError(f"psf: sigma_nm must be positive, got {self.sigma_nm:g}")

    def sigma_px(self, pixel_size_nm: PixelSize) -> float:
        """Return the standard deviation in pixels; of pixels that are not square, the mean of height and width."""
        return self.sigma_nm / mean_pixel_size(checked_pixel_size(pixel_size_nm))

    def sigma_yx_px(self, pixel_size_nm: PixelSize) -> tuple[float, float]:
        """Return the standard deviation in pixels along y and along x."""
        height, width = pixel_size_yx(checked_pixel_size(pixel_size_nm))
        return self.sigma_nm / height, self.sigma_nm / width

    def check_plausible(self, pixel_size_nm: PixelSize) -> None:
        """Raise `ImplausibleError` for a width that no PSF has on pixels of this size, such as one in um or pixels."""
        mean_nm = mean_pixel_size(pixel_size_nm)
        low, high = (sigma * mean_nm for sigma in PLAUSIBLE_SIGMA_PX)
        if low <= self.sigma_nm <= high:
            return
        meant = meant_nm(self.sigma_nm, (low, high))
        if PLAUSIBLE_SIGMA_PX[0] <= self.sigma_nm <= PLAUSIBLE_SIGMA_PX[1]:
            meant = f": did you mean {self.sigma_nm:g} px, {self.sigma_nm * mean_nm:.6g} nm?"
        raise ImplausibleError(
            f"psf: a sigma of {self.sigma_nm:g} nm is not between {low:.4g} and {high:.4g} nm, "
            f"{PLAUSIBLE_SIGMA_PX[0]:g} to {PLAUSIBLE_SIGMA_PX[1]:g} pixels of {pixel_size_text(pixel_size_nm)}{meant}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return records.to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GaussianPSF:
        """Build from named fields, and refuse a misspelt one by name."""
        return records.from_dict(cls, "psf", values)

    def to_yaml(self, path: str | Path) -> None:
        """Write the section ``psf`` of a YAML file; other sections that are there stay."""
        records.write_section(Path(path), "psf", self.to_dict())

    @classmethod
    def from_yaml(cls, path: str | Path) -> GaussianPSF:
        """Read the section ``psf`` of a YAML file; raises `InputError` that names file and field."""
        path = Path(path)
        with records.naming(path):
            return cls.from_dict(records.read_section(path, "psf"))


def typable_sigma(sigma_px: float) -> float:
    """Return a width in pixels with as many digits as mean anything, so that one in nm with few digits becomes it."""
    return float(f"{sigma_px:.{SIGMA_DIGITS}g}")


def sigma_in_nm(sigma_px: float, pixel_size_nm: PixelSize) -> float:
    """Return the width in nm of the fewest digits that `typable_sigma` makes this one in pixels.

    Parameters
    ----------
    sigma_px : float
        In pixels.
    pixel_size_nm : float or (float, float)

    Examples
    --------
    >>> 1.1019 * 100, sigma_in_nm(1.1019, 100)
    (110.19000000000001, 110.19)
    """
    size_nm = mean_pixel_size(pixel_size_nm)
    shortened = (float(f"{sigma_px * size_nm:.{digits}g}") for digits in range(3, 12))
    near = (nm for nm in shortened if typable_sigma(nm / size_nm) == typable_sigma(sigma_px))
    return next(near, sigma_px * size_nm)


def draw_gaussians(
    shape: tuple[int, int, int],
    frame: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    photons: ArrayLike,
    sigma: ArrayLike,
    sigma_x: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Sum pixel-integrated Gaussians into frames.

    A pixel receives ``photons * [cdf(edge above) - cdf(edge below)]`` along each axis, so that all of a molecule's
    light that falls on the frame is there, whatever its place within the pixel (Smith et al. 2010,
    doi:10.1038/nmeth.1449, Eq. 4).

    Parameters
    ----------
    shape : (T, Y, X)
        Shape of the frames.
    frame, y, x, photons : array_like, shape (N,)
        Frame number; position in pixels, inside or outside the frame; mean photons.
    sigma : float or array_like, shape (N,)
        Standard deviation in pixels.
    sigma_x : float or array_like, shape (N,), optional
        Along x, where `sigma` is that along y alone.

    Returns
    -------
    ndarray of float64, shape (T, Y, X)
        Mean photons.

    Raises
    ------
    InputError
        If a frame number lies outside the movie, or a standard deviation is not positive.

    Examples
    --------
    >>> image = draw_gaussians((1, 9, 11), [0], [4.0], [5.0], [1000.0], 1.0)
    >>> round(float(image.sum())), image.argmax() == 4 * 11 + 5
    (1000, np.True_)
    """
    frame = np.asarray(frame, dtype=np.int64)
    sigma_x = sigma if sigma_x is None else sigma_x
    y, x, photons, sigma, sigma_x = (
        np.broadcast_to(np.asarray(v, dtype=np.float64), frame.shape) for v in (y, x, photons, sigma, sigma_x)
    )
    if frame.size and not 0 <= frame.min() <= frame.max() < shape[0]:
        raise InputError(f"expected frames from 0 to {shape[0] - 1}, got {frame.min()} to {frame.max()}")
    for width in (sigma, sigma_x):
        if not np.all(width > 0):
            raise InputError(f"sigma must be positive, got {width.min():g} px")
    frames = np.zeros(shape, dtype=np.float64)
    add_gaussians(frames, frame, y, x, photons, sigma, sigma_x)
    return frames


def add_gaussians(
    frames: NDArray[Any],
    frame: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
) -> None:
    """Add pixel-integrated Gaussians to frames, in place.

    For stacks of frames, weighted points and double precision, with numpy alone;
    `napari_subpixel.rendering.kernels.add_unit_gaussians` is for one large image with many points.

    Parameters
    ----------
    frames : ndarray of float32 or float64, shape (T, Y, X)
        Frames to add to; their type is also the precision of the sums.
    frame, y, x, weight, sigma_y, sigma_x : ndarray, shape (N,)
        Frame number; position in pixels, inside or outside the frame; the Gaussian's sum; its standard deviation along
        each axis, in pixels.
    """
    # Points of similar width are drawn together, so that a single wide one does not widen the windows of all.
    reach = np.ceil(TRUNCATE_SIGMA * np.maximum(sigma_y, sigma_x) + HALF_PIXEL)
    groups = np.ceil(np.log(reach) / np.log(1.25))
    _, height, width = frames.shape
    touches = (y > -reach) & (y < height - 1 + reach) & (x > -reach) & (x < width - 1 + reach)
    for group in np.unique(groups[touches]):
        i = np.flatnonzero(touches & (groups == group))
        widest = int(reach[i].max())
        _add_alike(frames, frame[i], y[i], x[i], weight[i], sigma_y[i], sigma_x[i], reach=widest)


def _add_alike(
    frames: NDArray[Any],
    frame: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
    *,
    reach: int,
) -> None:
    """Add Gaussians that each touch no more than (2 reach + 1)**2 pixels, tile by tile.

    A Gaussian is the outer product of a column and a row of pixel shares; the sum over the points of one tile is
    therefore one matrix product of their columns, cut at the tile and `reach` pixels round it, with their rows.
    """
    _, height, width = frames.shape
    side = max(32, 2 * reach)
    across = (width + 2 * reach) // side + 1
    down = (height + 2 * reach) // side + 1
    tile_y, in_tile_y = np.divmod(home_pixel(y) + reach, side)
    tile_x, in_tile_x = np.divmod(home_pixel(x) + reach, side)
    tile = (frame * down + tile_y) * across + tile_x
    order = np.argsort(tile, kind="stable")
    # A bounded number of points at a time keeps their columns and rows within some 64 MiB.
    step = max(1, (1 << 21) // (side + 2 * reach))
    for start in range(0, len(order), step):
        part = order[start : start + step]
        columns = _shares(y[part], sigma_y[part], in_tile_y[part], reach, side, frames.dtype)
        columns *= weight[part, None].astype(frames.dtype)
        rows = _shares(x[part], sigma_x[part], in_tile_x[part], reach, side, frames.dtype)
        first = np.flatnonzero(np.diff(tile[part], prepend=-1))
        for begin, end in zip(first.tolist(), [*first[1:].tolist(), len(part)], strict=True):
            k = part[begin]
            top, left = int(tile_y[k]) * side - 2 * reach, int(tile_x[k]) * side - 2 * reach
            light = columns[begin:end].T @ rows[begin:end]
            light = light[max(-top, 0) : height - top, max(-left, 0) : width - left]
            top, left = max(top, 0), max(left, 0)
            frames[frame[k], top : top + light.shape[0], left : left + light.shape[1]] += light


def _shares(
    position: NDArray[np.float64],
    sigma: NDArray[np.float64],
    in_tile: NDArray[np.int64],
    reach: int,
    side: int,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return the share of each one-dimensional Gaussian on the pixels of its tile and `reach` round it.

    Shapes (N,), (N,), (N,) to (N, side + 2 reach); only the pixels within `reach` of the point's own are filled.
    """
    n, length = len(position), side + 2 * reach
    shares = np.zeros((n, length), dtype)
    place = (np.arange(n) * length + in_tile)[:, None] + np.arange(2 * reach + 1)
    shares.reshape(-1)[place] = pixel_fractions(position, sigma, reach, dtype)
    return shares


def pixel_fractions(
    position: NDArray[np.float64], sigma: NDArray[np.float64], reach: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return the share of each one-dimensional Gaussian on the pixels around it.

    Parameters
    ----------
    position, sigma : ndarray, shape (N,)
        Centre and standard deviation, in pixels.
    reach : int
        How many pixels on either side of the one that holds the centre.
    dtype : numpy.dtype
        Precision of the result.

    Returns
    -------
    ndarray, shape (N, 2 reach + 1)
    """
    edges = (np.arange(-reach, reach + 2) - HALF_PIXEL).astype(dtype)
    from_own_centre = (position - home_pixel(position)).astype(dtype)
    return np.diff(ndtr((edges - from_own_centre[:, None]) / sigma[:, None].astype(dtype)), axis=1)
