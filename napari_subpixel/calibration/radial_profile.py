"""The mean radial profile and image of spots, compared with a Gaussian in the same pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from napari_subpixel.calibration.spot_finding import Spots
from napari_subpixel.calibration.spot_fitting import gaussians
from napari_subpixel.coordinates import home_pixel
from napari_subpixel.psf import pixel_fractions

#: Steps of the radial profile, in standard deviations.
PROFILE_STEP_SIGMA = 1 / 3
#: Sectors of the ring from which a spot's background is taken.
SECTORS = 8
#: Radius of a spot's core, by whose light the spot is normalised, in standard deviations.
CORE_SIGMA = 2.0
#: A spot counts in proportion to its light up to this many times the median.
MAX_WEIGHT = 3.0
#: Pixels of the mean image per pixel of the camera: the first of these with which each pixel of the image has
ZOOMS = (4, 2, 1)
#: at least this many samples.
MIN_SAMPLES = 3


class RadialProfile(NamedTuple):
    """The mean light of spots by distance from their middles, and its difference from the round Gaussian.

    Attributes
    ----------
    radius_px : ndarray, shape (N,)
        Distances from the spots' middles, in pixels.
    profile, profile_uncertainty : ndarray, shape (N,)
        The mean light of pixels there, as a share of a spot's, and its standard error.
    gaussian : ndarray, shape (N,)
        That of the round Gaussian, in the same pixels.
    misfit, misfit_radius_px : float
        Largest difference of the profile from the Gaussian, as a share of the peak, and where it is.
    misfit_uncertainty : float
        Its standard error.
    tails, tails_uncertainty : float
        Share of the light that lies beyond the Gaussian, within `spot_fitting.WINDOW_SIGMA` standard deviations, and
        its standard error; what is spread further counts as background.
    """

    radius_px: NDArray[np.float64]
    profile: NDArray[np.float64]
    profile_uncertainty: NDArray[np.float64]
    gaussian: NDArray[np.float64]
    misfit: float
    misfit_radius_px: float
    misfit_uncertainty: float
    tails: float
    tails_uncertainty: float


class _Pixels(NamedTuple):
    """The spots' pixels, each of shape (K, n, n): place from the middle, whether it has a value, and what it has."""

    dy: NDArray[np.float64]
    dx: NDArray[np.float64]
    valid: NDArray[np.bool_]
    light: NDArray[np.float64]
    gaussian: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def radius(self) -> NDArray[np.float64]:
        """Distance from the middle."""
        return np.hypot(self.dy, self.dx)


def profile_of(
    spots: Spots, sigma_px: float, variance_per_photon: float
) -> tuple[RadialProfile, NDArray[np.float64], int]:
    """Average spots, and compare them with the Gaussian.

    Parameters
    ----------
    spots : Spots
    sigma_px : float
        Width of the round Gaussian, in pixels.
    variance_per_photon : float
        Variance over mean of the light.

    Returns
    -------
    RadialProfile
    image : ndarray, shape (n, n)
        The mean spot, as a share of its light per pixel; NaN where there was no pixel.
    zoom : int
        Pixels of the image per pixel of the camera.
    """
    pixels = _pixels(spots, sigma_px, variance_per_photon)
    light, gaussian, weight, distance = _by_radius(spots, pixels, sigma_px)
    total = weight.sum(axis=0)
    radius_px, expected = distance.sum(axis=0) / total, gaussian.sum(axis=0) / total
    profile, error = _ratio(light, weight)
    tails, tails_error = _ratio((light - gaussian).sum(axis=1, keepdims=True), light.sum(axis=1, keepdims=True))
    away = np.abs(profile - expected)
    peak = float(pixel_fractions(np.zeros(1), np.array([sigma_px]), 0, np.dtype(float))[0, 0] ** 2)
    worst = int(np.argmax(away))
    radial = RadialProfile(
        radius_px,
        profile,
        error,
        expected,
        float(away[worst] / peak),
        float(radius_px[worst]),
        float(error[worst] / peak),
        float(tails[0]),
        float(tails_error[0]),
    )
    return radial, *_mean_image(pixels)


def _pixels(spots: Spots, sigma_px: float, variance_per_photon: float) -> _Pixels:
    """Return the light above the background at the windows' edges, and the Gaussian with the light of the core."""
    reach = spots.windows.shape[1] // 2
    steps = np.arange(-reach, reach + 1)
    shape = spots.windows.shape
    dy = np.broadcast_to(steps[:, None] - spots.fits.at[:, 0, None, None], shape)
    dx = np.broadcast_to(steps - spots.fits.at[:, 1, None, None], shape)
    radius, valid = np.hypot(dy, dx), np.isfinite(spots.windows)
    data = np.where(valid, spots.windows, 0.0).astype(np.float64)
    background = spots.fits.at[:, 3].copy()
    ring = valid & (np.abs(radius - reach) < 1)
    ringed = ring.any(axis=(1, 2))
    background[ringed] = _median_of_sectors(data[ringed], ring[ringed], np.arctan2(dy, dx)[ringed])
    at = spots.fits.at.copy()
    at[:, 2], at[:, 4:] = 1.0, sigma_px
    gaussian = gaussians(at, reach)[0]
    light = data - background[:, None, None]
    mean = np.maximum(spots.fits.at[:, 2, None, None] * gaussian + background[:, None, None], 0.05)
    core = valid & (radius < CORE_SIGMA * sigma_px)
    known = core / (variance_per_photon * mean + spots.read_variance[:, None, None])
    photons = (known * gaussian * light).sum(axis=(1, 2)) / (known * gaussian**2).sum(axis=(1, 2))
    photons = np.maximum(photons, 1.0)
    share = np.minimum(1.0, MAX_WEIGHT * np.median(photons) / photons)[:, None, None]
    weight = np.broadcast_to(share * photons[:, None, None], shape)
    return _Pixels(dy, dx, valid, share * light, weight * gaussian, weight)


def _by_radius(spots: Spots, pixels: _Pixels, sigma_px: float) -> list[NDArray[np.float64]]:
    """Sum light, Gaussian, weight and weighted distance of each bead or molecule over steps of the radius: (M, N)."""
    edges = np.arange(0, spots.windows.shape[1] // 2, PROFILE_STEP_SIGMA * sigma_px)
    radius = pixels.radius
    counted = pixels.valid & (radius < edges[-1])
    sources, source = np.unique(spots.source, return_inverse=True)
    n_steps = len(edges) - 1
    step = np.searchsorted(edges, radius[counted], side="right") - 1
    place = np.broadcast_to(source[:, None, None], counted.shape)[counted] * n_steps + step
    values = (pixels.light, pixels.gaussian, pixels.weight, pixels.weight * radius)
    sums = [np.bincount(place, v[counted], len(sources) * n_steps).reshape(-1, n_steps) for v in values]
    there = sums[2].sum(axis=0) > 0
    return [np.asarray(v[:, there], np.float64) for v in sums]


def _median_of_sectors(
    data: NDArray[np.float64], counted: NDArray[np.bool_], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the median over sectors of the mean of the counted pixels: a neighbour's light is in one or two."""
    sector = np.floor((angle / (2 * np.pi) + 0.5) * SECTORS).astype(np.int64) % SECTORS
    place = (np.arange(len(data))[:, None, None] * SECTORS + sector)[counted]
    size = len(data) * SECTORS
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, data[counted], size) / np.bincount(place, minlength=size)
    middle: NDArray[np.float64] = np.nanmedian(means.reshape(len(data), SECTORS), axis=1)
    return middle


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ratio of sums over the first axis, and its standard error from how that axis scatters."""
    n = len(above)
    total = below.sum(axis=0)
    ratio = above.sum(axis=0) / total
    few = stats.t.ppf(stats.norm.cdf(1), n - 1) * np.sqrt(n / (n - 1))
    return ratio, few * np.sqrt(((above - ratio * below) ** 2).sum(axis=0)) / np.abs(total)


def _mean_image(pixels: _Pixels) -> tuple[NDArray[np.float64], int]:
    """Return the mean spot with as many pixels per pixel as the spots' places fill, and that number."""
    reach = pixels.valid.shape[1] // 2 - 1
    for zoom in ZOOMS:
        half = reach * zoom
        side = 2 * half + 1
        y, x = home_pixel(pixels.dy * zoom) + half, home_pixel(pixels.dx * zoom) + half
        inside = pixels.valid & (y >= 0) & (y < side) & (x >= 0) & (x < side)
        place = y[inside] * side + x[inside]
        number = np.bincount(place, minlength=side**2)
        if (number >= MIN_SAMPLES).all():
            break
    light, weight = (np.bincount(place, v[inside], side**2) for v in (pixels.light, pixels.weight))
    with np.errstate(invalid="ignore"):
        return (light / weight).reshape(side, side), zoom
