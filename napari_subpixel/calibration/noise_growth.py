"""How the variance of the noise grows with the light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.frame_pairs import changes_and_light
from napari_subpixel.calibration.psf_width import SIGMA_PX, estimate_sigma_px
from napari_subpixel.camera import Camera
from napari_subpixel.errors import NoEstimateError

#: A filter along one axis that passes hardly anything but the finest scale.
FINEST = np.array([1.0, -4, 6, -4, 1])
#: A filter along one axis that passes molecules, and no noise that passes `FINEST`.
COARSE = np.array([1.0, 4, 6, 4, 1])
#: Molecules' light at the finest scale is subtracted where it is more than this share of that at the coarse one,
MIN_FINE_SHARE = 1e-6
#: and neighbourhoods are left out where it exceeds this share of the noise.
MAX_FINE_LIGHT = 0.05
#: A filter along one axis that averages noise and light.
SPREAD = np.full(5, 0.2)
#: Classes of brightness between which the noise is compared,
CLASSES = 24
#: and how many of them must hold pixels.
MIN_CLASSES = 4


class NoiseFit(NamedTuple):
    """How the variance of the noise grows with the light, both in ADU; without the pattern of a camera's maps.

    Attributes
    ----------
    mean, variance, number : ndarray, shape (N,)
        Light and variance of classes of brightness, and their pixels.
    slope, offset, error : float
        Of the line through them, and the slope's standard error; nan where the light is too even for a line.
    light, noise, darkest, median : float
        Mean light and variance of all pixels; least and median light of a neighbourhood.
    signed : bool
        Whether there are negative values, so that the baseline may be negative.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    number: NDArray[np.int64]
    slope: float
    offset: float
    error: float
    light: float
    noise: float
    darkest: float
    median: float
    signed: bool

    def weights(self) -> NDArray[np.float64]:
        """Weights of the classes, whose variances scatter in proportion to themselves."""
        return self.number / self.variance.clip(1e-9) ** 2

    def of_background(self, slope: float) -> tuple[float, float]:
        """Return the light, and how much more its variance is than `slope` times it, mostly of the dimmest classes."""
        weights = self.weights()
        light = float(np.average(self.mean, weights=weights))
        return light, float(np.average(self.variance, weights=weights)) - slope * light


def fit_noise(frames: NDArray, camera: Camera, sigma_px: float | None = None) -> NoiseFit:
    """Fit how the noise grows with the light, where molecules that change do not add to it.

    Light of narrow molecules reaches the finest scale: as much as their share there of the power at a coarse scale,
    which is subtracted, and neighbourhoods with much of it are left out.
    """
    if camera.map_shape is not None:
        even = camera.uniform()
        gain = np.asarray(camera.electrons_per_adu) / even.electrons_per_adu
        frames = (np.asarray(frames, np.float64) - camera.baseline) * gain + even.baseline
    variance, light = (part.ravel() for part in _noise_and_light(frames))
    at = float(light.mean()), float(variance.mean()), float(light.min()), float(np.median(light))
    share = _fine_share(_width(frames) if sigma_px is None else sigma_px)
    if share > MIN_FINE_SHARE:
        coarse = share * _coarse_power(frames).ravel()
        keep = coarse < MAX_FINE_LIGHT * np.median(variance)
        variance, light = (variance[keep] - coarse[keep]) / (1 - share), light[keep]
    edges = np.quantile(light, np.linspace(0, 1, CLASSES + 1))
    which = np.searchsorted(edges[1:-1], light)
    number = np.bincount(which, minlength=CLASSES)
    keep = number > 0
    mean, noise = (np.bincount(which, v, CLASSES)[keep] / number[keep] for v in (light, variance))
    line = _line(mean, noise, number[keep]) if keep.sum() >= MIN_CLASSES else (np.nan,) * 3
    return NoiseFit(mean, noise, number[keep], *line, *at, signed=bool(frames.min() < 0))


def _width(frames: NDArray) -> float:
    """Return the width of the PSF, or one that is wide where there are no molecules."""
    try:
        return estimate_sigma_px(frames)
    except NoEstimateError:
        return SIGMA_PX[1]


def _fine_share(sigma_px: float) -> float:
    """Return the power of molecules at the finest scale, as a share of that at a coarse one, noise being 1 at both."""
    frequency = np.linspace(0, 0.5, 501)
    aliased = frequency + np.array([[-1.0], [0.0], [1.0]])  # pixels are coarse for narrow molecules
    molecules = (np.sinc(aliased) ** 2 * np.exp(-((2 * np.pi * sigma_px * aliased) ** 2))).sum(axis=0)
    phases = np.exp(2j * np.pi * np.outer(frequency, np.arange(5)))
    fine, coarse = (
        float(np.average(np.abs(phases @ kernel) ** 2, weights=molecules)) / float(kernel @ kernel)
        for kernel in (FINEST, COARSE)
    )
    return (fine / coarse) ** 2


def _coarse_power(frames: NDArray) -> NDArray[np.float64]:
    """Return the power of what changes at a coarse scale, averaged as the noise in `_noise_and_light`."""
    changing = changes_and_light(frames)[0]
    return _filtered((_filtered(changing, COARSE) / (COARSE @ COARSE)) ** 2, SPREAD)


def _noise_and_light(frames: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of the noise and the light, averaged in the same way over small neighbourhoods."""
    changing, mean = changes_and_light(frames)
    # The square of the finest scale has the mean of the variances under the filter's squared weights: the light is
    # averaged in the same way. Both are then averaged further: in few pixels, light and scatter are high together.
    weights = FINEST**2 / (FINEST @ FINEST)
    fine = _filtered(changing, FINEST) / (FINEST @ FINEST)
    return _filtered(fine**2, SPREAD), _filtered(_filtered(mean, weights), SPREAD)


def _filtered(frames: NDArray[np.float64], kernel: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Filter with the same kernel along both axes, where it fits: (K, Y, X) to (K, Y - 4, X - 4)."""
    for axis in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(frames, len(kernel), axis=axis)
        frames = windows @ np.asarray(kernel)
    return frames


def _line(x: NDArray[np.float64], y: NDArray[np.float64], number: NDArray[np.int64]) -> tuple[float, float, float]:
    """Fit a line to means of squares, whose scatter is in proportion to themselves: slope, offset, slope's error."""
    weight = np.sqrt(number) / y.clip(1e-9)
    for _ in range(3):
        (slope, offset), covariance = np.polyfit(x, y, 1, w=weight, cov=True)
        weight = np.sqrt(number) / (slope * x + offset).clip(0.1 * y.min() + 1e-9)
    return float(slope), float(offset), float(np.sqrt(covariance[0, 0]))
