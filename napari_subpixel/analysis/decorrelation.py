"""Resolution of one image from the correlation with its own phases.

A. Descloux, K. S. Grussmayer, A. Radenovic, Nat. Methods 16, 918 (2019).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.tiles import fading, tiles_of
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.kernels import add_unit_gaussians

#: Pixels of the image, as shares of the median precision: the next where precise rows make it finer than pixels.
PIXEL_SHARES = (0.5, 0.25, 0.125)
#: Radii of the mask at which the correlation is measured.
N_RADII = 50
#: High-pass filters that the image is put through.
N_FILTERS = 10
#: Times that the filters and radii are refined about the best one.
REFINEMENTS = 2
#: A maximum of the curve is one if the curve falls by at least this much behind it; noise alone lets it waver by less.
FALL = 3e-3
#: A peak below this correlation is noise.
MIN_PEAK = 0.01
#: Frequencies from here on show the noise.
NOISE_FROM = 0.9
#: The power at the highest frequency is that many times the noise at least,
MIN_OVER_NOISE = 3.0
#: where it is averaged over this share to each side.
NEAR = 0.1
#: Fewer rows than this give no image.
MIN_ROWS = 100


class Decorrelation(NamedTuple):
    """The resolution by decorrelation of the image of a table.

    Attributes
    ----------
    resolution_nm : float or None
        None where it has none, or none that can be trusted.
    why_not : str
        Why, for a warning; empty where there is one.
    """

    resolution_nm: float | None
    why_not: str = ""


def decorrelation(localizations: Localizations, precision_nm: NDArray[np.float64]) -> Decorrelation:
    """Measure the resolution by decorrelation of the image of a table.

    The image of the most crowded part of the field, each row a Gaussian of its own precision, is correlated with
    itself, all amplitudes set to one, inside masks of growing radius; the largest radius at which a high-pass filtered
    image has a maximum is the highest frequency that it holds. The precision itself is in the image, so that this
    number follows the sharpness of the rendering, and how many rows there are only in part.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.
    precision_nm : ndarray, shape (N,)
        Standard deviation of every row.

    Raises
    ------
    InputError
        If the pixel size is not known.
    """
    localizations, size_nm = localizations.on_square_pixels()
    usable = np.isfinite(precision_nm) & (precision_nm > 0)
    y, x, precision_nm = localizations.y[usable] * size_nm, localizations.x[usable] * size_nm, precision_nm[usable]
    if len(y) < MIN_ROWS:
        return Decorrelation(None, f"{len(y)} rows are too few for a decorrelation of their image")
    if np.ptp(y) == 0 and np.ptp(x) == 0:
        return Decorrelation(None, "all rows are in one place: no image to decorrelate")
    for share in PIXEL_SHARES:
        pixel_nm = share * float(np.median(precision_nm))
        if highest := highest_frequency(_image(y, x, precision_nm, pixel_nm)):
            return Decorrelation(2 * pixel_nm / highest)
    return Decorrelation(None, "the decorrelation of the image has no maximum above noise")


def _image(
    y: NDArray[np.float64], x: NDArray[np.float64], precision_nm: NDArray[np.float64], pixel_nm: float
) -> NDArray[np.float64]:
    """Return the image of the most crowded part of the field, its edges faded out."""
    tiles = tiles_of(y, x, pixel_nm)
    inside = tiles.number == 0
    image = np.zeros((tiles.side_px, tiles.side_px), np.float32)
    low_y, low_x = tiles.low_nm[0]
    sigma = precision_nm[inside] / pixel_nm
    add_unit_gaussians(image, (y[inside] - low_y) / pixel_nm, (x[inside] - low_x) / pixel_nm, sigma, sigma)
    return np.asarray(image * np.outer(fading(tiles.side_px), fading(tiles.side_px)))


def highest_frequency(image: NDArray[np.floating]) -> float:
    """Return the highest frequency that an image holds, as a share of the largest along an axis; 0 where it has none.

    0, too, where at what would be the highest there is hardly more than at the very largest: noise, which the filters
    leave of spots that are much wider than pixels.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        Its edges faded out.
    """
    spectrum = np.fft.fftshift(np.fft.fft2(image - image.mean()))
    along = np.fft.fftshift(np.fft.fftfreq(len(image))) * 2
    radius = np.hypot(along[:, None], along[None])
    half = (radius < 1) & (radius > 0) & (along[:, None] >= 0)  # the other half is its complex conjugate
    order = np.argsort(radius[half])
    radius, power = radius[half][order], np.abs(spectrum[half][order]) ** 2
    if not power.sum() > 0:
        return 0.0
    radii = np.linspace(0, 1, N_RADII)[1:]
    first, peak = _last_peak(radii, _curve(radius, power, radii))
    if peak < MIN_PEAK:
        return 0.0
    weakest = 2 / first if first else len(image) / 2
    widths = np.r_[len(image) / 4, np.exp(np.linspace(np.log(weakest), np.log(0.15), N_FILTERS))]
    best = first
    for _ in range(1 + REFINEMENTS):
        peaks = [_last_peak(radii, _curve(radius, power, radii, width)) for width in widths]
        places = np.array([place if height >= MIN_PEAK else 0.0 for place, height in peaks])
        k = int(np.argmax(places))
        best = max(best, float(places[k]))
        around = widths[max(k - 1, 0)], widths[min(k + 1, len(widths) - 1)]
        widths = np.exp(np.linspace(np.log(around[0]), np.log(around[1]), N_FILTERS))
        step = radii[1] - radii[0]
        fine = np.linspace(max(best - 4 * step, 1e-3), min(best + 6 * step, 1.0), N_RADII)
        radii = np.r_[fine, np.linspace(fine[-1], 1.0, N_RADII // 5 + 1)[1:]]
    return best if _is_above_noise(radius, power, best) else 0.0


def _is_above_noise(radius: NDArray[np.float64], power: NDArray[np.float64], frequency: float) -> bool:
    """Say whether there is more power about a frequency than at the largest ones."""
    about = (radius > frequency * (1 - NEAR)) & (radius < frequency * (1 + NEAR))
    floor = float(power[radius > NOISE_FROM].mean())
    return bool(about.any() and power[about].mean() >= MIN_OVER_NOISE * floor)


def _curve(
    radius: NDArray[np.float64], power: NDArray[np.float64], radii: NDArray[np.float64], width: float | None = None
) -> NDArray[np.float64]:
    """Return the correlation inside each radius of the image, put through a high-pass filter of a width in pixels."""
    passed = power if width is None else power * (1 - np.exp(-2 * (width * radius) ** 2)) ** 2
    amplitude = np.cumsum(np.sqrt(passed))
    within = np.searchsorted(radius, radii)
    counts = np.maximum(within, 1)
    return np.asarray(np.where(within > 0, amplitude[counts - 1], 0.0) / np.sqrt(passed.sum() * counts))


def _last_peak(radii: NDArray[np.float64], curve: NDArray[np.float64]) -> tuple[float, float]:
    """Return place and height of the maximum of a curve that falls behind it; zeros where there is none."""
    end = len(curve)
    while end > 1:
        k = int(np.argmax(curve[:end]))
        if k == 0:
            break
        if k < end - 1 and curve[k] - curve[k:end].min() >= FALL:
            return float(radii[k]), float(curve[k])
        end = k if k == end - 1 else end - 1
    return 0.0, 0.0
