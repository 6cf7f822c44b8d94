"""The point spread function: how a molecule's photons fall on the camera's pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from napari_subpixel import records
from napari_subpixel.coordinates import HALF_PIXEL, checked_pixel_size, home_pixel
from napari_subpixel.errors import InputError

#: Photons further than this many standard deviations out are left off: fewer than one in three million per axis.
TRUNCATE_SIGMA = 5.0


@dataclass(frozen=True)
class GaussianPSF:
    """A Gaussian point spread function, integrated over every pixel.

    Attributes
    ----------
    sigma_nm : float
        Standard deviation, in nm.
    """

    sigma_nm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_nm", records.number("psf", "sigma_nm", self.sigma_nm))
        if self.sigma_nm <= 0:
            raise InputError(f"psf: sigma_nm must be positive, got {self.sigma_nm:g}")

    def sigma_px(self, pixel_size_nm: float) -> float:
        """Return the standard deviation in pixels."""
        return self.sigma_nm / checked_pixel_size(pixel_size_nm)

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


def draw_gaussians(
    shape: tuple[int, int, int],
    frame: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    photons: ArrayLike,
    sigma: ArrayLike,
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
        Frame number; position in pixels, on the frame or beside it; mean photons.
    sigma : float or array_like, shape (N,)
        Standard deviation in pixels.

    Returns
    -------
    ndarray of float64, shape (T, Y, X)
        Mean photons.

    Examples
    --------
    >>> image = draw_gaussians((1, 9, 11), [0], [4.0], [5.0], [1000.0], 1.0)
    >>> round(float(image.sum())), image.argmax() == 4 * 11 + 5
    (1000, np.True_)
    """
    frame = np.asarray(frame, dtype=np.int64)
    y, x, photons, sigma = (
        np.broadcast_to(np.asarray(v, dtype=np.float64), frame.shape) for v in (y, x, photons, sigma)
    )
    frames = np.zeros(shape, dtype=np.float64)
    if not frame.size:
        return frames
    reach = int(np.ceil(TRUNCATE_SIGMA * sigma.max() + HALF_PIXEL))
    # A bounded number of molecules at a time keeps the temporary windows within some 64 MiB.
    step = max(1, (1 << 23) // (2 * reach + 1) ** 2)
    for start in range(0, frame.size, step):
        part = slice(start, start + step)
        _add_windows(frames, frame[part], y[part], x[part], photons[part], sigma[part], reach)
    return frames


def pixel_fractions(positions: NDArray[np.float64], sigma: NDArray[np.float64], pixels: NDArray[np.int64]) -> Any:
    """Return the share of a one-dimensional Gaussian that falls on each pixel; shapes (N,), (N,), (N, K) to (N, K)."""
    distance = pixels - positions[:, None]
    width = sigma[:, None]
    return ndtr((distance + HALF_PIXEL) / width) - ndtr((distance - HALF_PIXEL) / width)


def _add_windows(
    frames: NDArray[np.float64],
    frame: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    photons: NDArray[np.float64],
    sigma: NDArray[np.float64],
    reach: int,
) -> None:
    """Add the window of (2 reach + 1)**2 pixels round each molecule, cut at the frame's edges."""
    _, height, width = frames.shape
    window = np.arange(-reach, reach + 1)
    rows, columns = home_pixel(y)[:, None] + window, home_pixel(x)[:, None] + window
    light_y = pixel_fractions(y, sigma, rows) * ((rows >= 0) & (rows < height)) * photons[:, None]
    light_x = pixel_fractions(x, sigma, columns) * ((columns >= 0) & (columns < width))
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    place = (frame[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    light = light_y[:, :, None] * light_x[:, None, :]
    first, last = int(place.min()), int(place.max()) + 1
    frames.reshape(-1)[first:last] += np.bincount((place - first).ravel(), light.ravel(), minlength=last - first)
