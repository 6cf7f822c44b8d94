"""How the variance of the noise grows with the light, and how well a movie shows it.

Windows of a movie are sorted into classes of about equal light. In each the finest frequencies hold noise, and as
much of the molecules' light as their width lets through: that is subtracted, from what changes at coarse frequencies.
A line through the classes is the photon transfer curve (Janesick, Photon Transfer, 2007): its slope is the gain, and
the noise vanishes at the baseline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.psf_width import estimate_sigma_px
from napari_subpixel.calibration.window_spectra import WindowSpectra, window_spectra
from napari_subpixel.camera import Camera
from napari_subpixel.errors import NoEstimateError

#: Width assumed where the movie does not show it: that of the narrowest molecules, so that none pass for noise.
NARROW_PX = 0.8
#: The class around the median light, and at least the others, are as wide as this many standard deviations of what
#: noise makes of even light.
CLASS_SIGMA = 6.0
#: Each class is wider than the one nearer to the median by this factor,
CLASS_GROWTH = 1.3
#: and divided by the molecules' expected light at the finest frequencies, as a share of the noise.
LEAK_SHARES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
#: A class must hold this many windows,
MIN_WINDOWS = 4
#: and as many classes be there for a line.
MIN_CLASSES = 3
#: Bands are not used where molecules' light is more than this share of the noise.
MAX_LEAK = 0.3
#: What is subtracted of the molecules' light is uncertain by this share.
LEAK_ERROR = 0.4
#: In windows that are brighter or darker by noise alone, the variance follows by a slope that differs from the gain by
#: up to this share: less with much read noise, more after electron multiplication.
NOISE_SLOPE_ERROR = 0.5
#: Parts of the movie of which each is left out in turn, for the errors.
PARTS = 16
#: Times that the weights are made from the line that they gave.
PASSES = 4


class NoiseFit(NamedTuple):
    """How the variance of the noise grows with the light, both in ADU; without the pattern of a camera's maps.

    Attributes
    ----------
    slope, slope_error : float
        Of the line, and its standard error; nan where the light is too even for a line.
    light, variance : float
        A point of the line that is well known, mostly of the background.
    baseline, baseline_error : float
        Light at which the noise vanishes, and its standard error; nan as the slope is.
    mean_light, mean_variance, darkest, median : float
        Mean light and variance of all windows; least and median light of one.
    signed : bool
        Whether there are negative values, so that the baseline may be negative.
    """

    slope: float
    slope_error: float
    light: float
    variance: float
    baseline: float
    baseline_error: float
    mean_light: float
    mean_variance: float
    darkest: float
    median: float
    signed: bool

    @property
    def uncertainty(self) -> float:
        """Standard error of the slope as a share of it; infinite where the noise does not grow with the light."""
        return self.slope_error / self.slope if self.slope > 0 else np.inf

    def variance_at(self, light: float) -> float:
        """Return the variance of the line at some light."""
        return self.variance + self.slope * (light - self.light)


def fit_noise(frames: NDArray, camera: Camera | None = None, sigma_px: float | None = None) -> NoiseFit:
    """Fit how the noise grows with the light, where molecules that change do not add to it.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        As for `napari_subpixel.calibration.camera_estimate.estimate_camera`.
    camera : Camera, optional
        One with maps, whose pattern is taken out.
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels; estimated if not given.

    Returns
    -------
    NoiseFit

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels.
    """
    if camera is not None and camera.map_shape is not None:
        even = camera.uniform()
        gain = np.asarray(camera.electrons_per_adu) / even.electrons_per_adu
        frames = (np.asarray(frames, np.float64) - camera.baseline) * gain + even.baseline
    spectra = window_spectra(frames, _width(frames) if sigma_px is None else sigma_px)
    table = _classes(spectra)
    line = _line(table)
    at = {
        "mean_light": float(spectra.light.mean()),
        "mean_variance": _noise(spectra).mean(),
        "darkest": float(spectra.light.min()),
        "median": float(np.median(spectra.light)),
        "signed": bool(np.min(frames) < 0),
    }
    if line is None:
        light, variance = at["mean_light"], float(at["mean_variance"])
        return NoiseFit(np.nan, np.nan, light, variance, np.nan, np.nan, **at)
    errors = _errors(table, line)
    return NoiseFit(line.slope, errors[0], line.light, line.variance, line.baseline, errors[1], **at)


def _width(frames: NDArray) -> float:
    """Return the width of the PSF, or a narrow one where no molecules stand out."""
    try:
        return estimate_sigma_px(frames)
    except NoEstimateError:
        return NARROW_PX


def _noise(spectra: WindowSpectra) -> NDArray[np.float64]:
    """Return the power of the finer half of the bands, in each window."""
    half = slice(0, (len(spectra.sizes) + 1) // 2)
    return np.average(spectra.fine[:, half], axis=1, weights=spectra.sizes[half])


class _Classes(NamedTuple):
    """Sums over windows of a part of the movie and a class; and what is the same for all windows.

    Attributes
    ----------
    number, light, coarse : ndarray, shape (P, C)
    fine : ndarray, shape (P, C, B)
        In the bands up to each.
    leak, size : ndarray, shape (B,)
        Of the bands up to each.
    tail : ndarray, shape (C,)
        By how much noise moved the light of a class away from the median, on average.
    """

    number: NDArray[np.float64]
    light: NDArray[np.float64]
    coarse: NDArray[np.float64]
    fine: NDArray[np.float64]
    leak: NDArray[np.float64]
    size: NDArray[np.float64]
    tail: NDArray[np.float64]

    def without(self, part: int) -> _Classes:
        """Return the same of the other parts of the movie."""
        rest = np.arange(len(self.number)) != part
        return self._replace(
            number=self.number[rest], light=self.light[rest], coarse=self.coarse[rest], fine=self.fine[rest]
        )


def _classes(spectra: WindowSpectra) -> _Classes:
    """Sort windows into classes by their light and by that of the molecules which passes for noise."""
    light, noise = spectra.light, max(float(np.median(_noise(spectra))), 1e-9)
    spread = float(np.sqrt(noise / 2 / spectra.effective_pixels))
    edges, middle = _edges(light, spread)
    by_light = np.searchsorted(edges, light)
    expected = (spectra.coarse - 2 * noise).clip(0) * spectra.leak[0] / noise
    shares = len(LEAK_SHARES) + 1
    n_classes = (len(edges) + 1) * shares
    part = np.arange(len(light)) * PARTS // len(light)
    which = (part * (len(edges) + 1) + by_light) * shares + np.searchsorted(LEAK_SHARES, expected)

    def total(values: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        return np.bincount(which, values, PARTS * n_classes).reshape(PARTS, n_classes).astype(np.float64)

    size = np.cumsum(spectra.sizes)
    fine = np.cumsum(spectra.fine * spectra.sizes, axis=1) / size
    return _Classes(
        total(),
        total(light),
        total(spectra.coarse),
        np.stack([total(band) for band in fine.T], axis=-1),
        np.cumsum(spectra.leak * spectra.sizes) / size,
        size,
        np.repeat(_noisy_light(light, by_light, edges, middle) * spread**2, shares),
    )


def _edges(light: NDArray[np.float64], spread: float) -> tuple[NDArray[np.float64], int]:
    """Return the edges between classes of light, wider and wider from the median, and which class is around that."""
    median = float(np.median(light))
    sides = []
    for reach in (median - float(light.min()), float(light.max()) - median):
        step, edges = CLASS_SIGMA * spread, [CLASS_SIGMA * spread / 2]
        while edges[-1] < reach:
            step *= CLASS_GROWTH
            edges.append(edges[-1] + step)
        sides.append(np.array(edges))
    return np.concatenate([median - sides[0][::-1], median + sides[1]]), len(sides[0])


def _noisy_light(
    light: NDArray[np.float64], by_light: NDArray[np.int64], edges: NDArray[np.float64], middle: int
) -> NDArray[np.float64]:
    """Return how far noise moved the light of the classes, on average, over its variance.

    That is the negative slope of the logarithm of the density (Tweedie's formula). Where windows become fewer away from
    the median their density falls off exponentially over about their mean distance from the nearer edge.
    """
    n_classes = len(edges) + 1
    number = np.bincount(by_light, minlength=n_classes)
    mean = np.bincount(by_light, light, n_classes) / number.clip(1)
    moved = np.zeros(n_classes)
    for k in np.flatnonzero(number):
        if k == middle:
            continue
        side = 1 if k > middle else -1
        near, far = (edges[k - 1], k) if side > 0 else (edges[k], k - 1)
        width = abs(edges[far] - near) if 0 <= far < len(edges) else np.inf
        moved[k] = side * max(1 / max(abs(mean[k] - near), 1e-9) - 2 / width, 0.0)
    return moved


class _Line(NamedTuple):
    """A line through the classes, and how well it fits: a standard error of the slope, and a reduced chi square."""

    slope: float
    light: float
    variance: float
    error: float
    misfit: float

    @property
    def baseline(self) -> float:
        """Light at which the variance is 0."""
        return self.light - self.variance / self.slope if self.slope else np.nan


def _line(table: _Classes, *, leak_scale: float = 1.0, noise_slope: float = 0.0) -> _Line | None:
    """Fit a line, or return None where there are too few classes.

    Parameters
    ----------
    table : _Classes
    leak_scale : float
        How much of the molecules' expected light is subtracted.
    noise_slope : float
        By how much of the gain the slope differs where windows are bright by noise alone.
    """
    number = table.number.sum(axis=0)
    enough = number >= MIN_WINDOWS
    number = number[enough]
    light = table.light.sum(axis=0)[enough] / number
    coarse = table.coarse.sum(axis=0)[enough] / number
    fine = table.fine.sum(axis=0)[enough] / number[:, None]
    tail = table.tail[enough]
    # The bands up to that which makes the error of a class least.
    variance, rows = fine[:, 0].clip(1e-9), np.arange(len(number))
    usable = np.ones(len(number), bool)
    best = np.zeros(len(number), int)
    leak = np.zeros_like(fine)
    for _ in range(PASSES):
        leak = (coarse - variance).clip(0)[:, None] * table.leak
        errors = 4 * variance[:, None] ** 2 / (number[:, None] * table.size) + (LEAK_ERROR * leak) ** 2
        errors[leak > MAX_LEAK * variance[:, None]] = np.inf
        best, usable = errors.argmin(axis=1), np.isfinite(errors[:, 0])
        clean = fine[rows, best] - leak_scale * leak[rows, best]
        variance = np.where(usable, clean.clip(0.05 * variance), variance)
    if usable.sum() < MIN_CLASSES:
        return None
    number, light, tail, size = number[usable], light[usable], tail[usable], table.size[best][usable]
    leaked = leak[rows, best][usable]
    measured = fine[rows, best][usable] - leak_scale * leaked
    expected, slope = variance[usable], 0.0
    x = y = error = misfit = 0.0
    for _ in range(PASSES):
        spread = 4 * expected**2 / (number * size) + (LEAK_ERROR * leaked) ** 2
        spread += (NOISE_SLOPE_ERROR * slope * tail) ** 2
        weights = 1 / spread.clip(1e-18)
        corrected = measured - noise_slope * slope * tail
        x, y = float(np.average(light, weights=weights)), float(np.average(corrected, weights=weights))
        power = float((weights * (light - x) ** 2).sum())
        slope = float((weights * (light - x) * (corrected - y)).sum()) / power
        error = power**-0.5
        rest = corrected - y - slope * (light - x)
        misfit = float((weights * rest**2).sum()) / max(len(light) - 2, 1)
        expected = (y + slope * (light - x)).clip(0.2 * variance[usable])
    return _Line(slope, x, y, error, misfit)


def _errors(table: _Classes, line: _Line) -> tuple[float, float]:
    """Return standard errors of slope and baseline.

    They are those of leaving out parts of the movie in turn (the jackknife), or of how far the classes are from the
    line, if that is more; and of what is not known of the molecules' light and of bright noise.
    """
    parts = [found for k in range(PARTS) if (found := _line(table.without(k))) is not None]
    one = 2 * LEAK_ERROR
    pairs = [
        [_line(table, leak_scale=1 + sign * one / 2) for sign in (-1, 1)],
        [_line(table, noise_slope=sign * NOISE_SLOPE_ERROR) for sign in (-1, 1)],
    ]
    scatter = line.error * max(line.misfit, 1.0) ** 0.5
    errors = []
    for name, least in (("slope", scatter), ("baseline", scatter / abs(line.slope) * abs(line.light - line.baseline))):
        values = np.array([getattr(found, name) for found in parts])
        jackknife = np.sqrt(max(len(values) - 1, 1) * values.var()) if len(values) > 1 else np.inf
        systematic = [
            (getattr(high, name) - getattr(low, name)) / 2
            for low, high in pairs
            if low is not None and high is not None
        ]
        errors.append(float(np.sqrt(max(jackknife, least) ** 2 + np.square(systematic).sum())))
    return errors[0], errors[1]
