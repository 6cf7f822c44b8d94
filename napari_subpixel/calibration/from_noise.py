"""Gain and baseline of the camera, and width of the point spread function, estimated from a movie's noise.

Both use the differences of frames, from which everything constant is gone. The noise is white, molecules are
not: what is left at the finest scale is noise, and the excess at coarser ones has the width of a molecule. A single
frame has to do without its differences: there the finest scale is noise all the same, but for very narrow PSFs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel.calibration.outlier_frames import outlier_frames, pairs_without
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import CameraMismatchError, InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames read at most, in pairs spread over the movie,
MAX_FRAMES = 1000
#: and pixels of these frames.
MAX_PIXELS = 1 << 24
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
#: The noise grows with the light where the slope is more than this many times its standard error.
SURE_SIGMA = 4.0
#: Smallest and largest plausible width of the PSF, in pixels.
SIGMA_PX = (0.5, 4.0)
#: Width assumed where it cannot be estimated, in pixels.
DEFAULT_SIGMA_PX = 1.3
#: The width is estimated where the molecules' light is at least this share of the noise, at the coarsest scale,
MIN_LIGHT_SHARE = 0.02
#: and the log likelihood of the spectrum is higher with molecules than without by at least this.
MIN_EVIDENCE = 50.0
#: Shortest side of frames that the filters fit on, in pixels.
MIN_SIDE_PX = 8
#: Name of a camera that was estimated, and of one that could not be.
ESTIMATED, ASSUMED = "estimated from the movie", "assumed"
#: A given baseline does not fit where it is off by more than this many ADU,
MAX_BASELINE_ADU = 15.0
#: by more than this share of the light of the background above it,
MAX_BASELINE_SHARE = 0.25
#: and by more than read noise explains: where that is not given, up to this many electrons before a multiplication.
LIKELY_READ_NOISE_E = 2.5
#: Most pixels lie below a baseline where their median does by more than this many standard deviations of the noise.
FAR_BELOW_SIGMA = 2.0
#: A given gain does not fit where it is off by more than this factor.
MAX_GAIN_FACTOR = 1.5
#: Pixels read for comparing a given camera with the movie, where nothing has to be estimated.
MAX_COMPARED_PIXELS = 1 << 22


class NoEstimateError(InputError):
    """A property cannot be estimated from a movie."""


@dataclass(frozen=True)
class Microscope:
    """Camera and width of the point spread function, as given or estimated.

    Attributes
    ----------
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    assumed : tuple of str
        What was estimated or assumed, as text; empty where all was given.
    warnings : tuple of str
        Where the movie and the given camera differ, and which frames are unlike the others, as text.
    suggested : Camera, optional
        What the movie looks like, where the given camera does not fit.
    """

    camera: Camera
    sigma_px: float
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    suggested: Camera | None = None


def microscope_of(
    stack: Stack, camera: Camera, sigma_px: float | None, *, unknown: Collection[str] = GAIN
) -> Microscope:
    """Complete what is known about a movie's microscope by estimates, and compare what is given with the movie.

    Parameters
    ----------
    stack : Stack
        The movie.
    camera : Camera
        What is known about the camera; where its gain is estimated, an ``em_gain`` above 1 says that it is an EMCCD.
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels; estimated if not given.
    unknown : collection of str
        Which of the camera's fields `napari_subpixel.camera.GAIN` are estimated too.

    Returns
    -------
    Microscope
        What cannot be estimated, as without molecules, is assumed, and `assumed` says so.

    Raises
    ------
    InputError
        If a frame cannot be read, holds values that are not finite or is smaller than 8 x 8 pixels, or, as
        `CameraMismatchError`, most pixels lie below the given baseline.
    """
    estimates = bool(unknown) or sigma_px is None
    frames, numbers = _sample(stack, MAX_PIXELS if estimates else MAX_COMPARED_PIXELS)
    with records.naming(stack.name):
        if frames.min() == frames.max():
            nothing = ("the movie is constant: nothing can be estimated from it",) if estimates else ()
            return Microscope(camera, sigma_px or DEFAULT_SIGMA_PX, nothing)
        left_out = outlier_frames(frames)
        frames = pairs_without(frames, left_out)
        if min(frames.shape[1:]) < MIN_SIDE_PX and not estimates:
            return Microscope(camera, sigma_px or DEFAULT_SIGMA_PX)
        assumed, warnings, suggested = [], _left_out(left_out, numbers), None
        fit = _fit(frames, camera, sigma_px)
        if "baseline" not in unknown:
            _check_baseline(fit, camera)
        if unknown:
            camera, note = _camera_of(fit, camera, unknown)
            assumed.append(note)
        if set(unknown) < set(GAIN):
            suggested, note = _comparison(fit, camera, unknown)
            warnings += [note] if note else []
        if sigma_px is None:
            sigma_px, note = _sigma_of(frames)
            assumed.append(note)
    return Microscope(camera, sigma_px, tuple(assumed), tuple(warnings), suggested)


def _left_out(left_out: NDArray[np.bool_], numbers: NDArray[np.int64]) -> list[str]:
    """Say which frames are unlike the others."""
    n = int(left_out.sum())
    if not n:
        return []
    which = f"{n} of {len(left_out)} frames are" if n > 1 else f"1 of {len(left_out)} frames is"
    first = int(numbers[left_out][0])
    return [f"{which} blank or far from the others (first: {first}), and left out of the estimates"]


def _camera_of(fit: _NoiseFit, camera: Camera, unknown: Collection[str]) -> tuple[Camera, str]:
    """Return a camera with gain and baseline, and where they come from."""
    try:
        known = _completed(fit, camera, unknown)
        source = "camera from the movie"
    except NoEstimateError:
        known = replace(camera, electrons_per_adu=camera.em_gain * camera.excess_noise_factor, name=ASSUMED)
        if "baseline" in unknown:
            known = replace(known, baseline=max(fit.light - fit.noise, 0.0))
        source = "camera assumed, since it cannot be estimated from the movie"
    values = []
    if "baseline" in unknown:
        values.append(f"baseline {known.baseline:.1f} ADU")
    if "electrons_per_adu" in unknown:
        emccd_words = "assuming no electron multiplication (after it, photons are twice as many)"
        how = "an EMCCD, as its gain says" if known.em_gain > 1 else emccd_words
        values += [f"{float(np.mean(known.electrons_per_adu)):.3g} electrons per ADU", how]
    return known, f"{source}: {', '.join(values)}"


def _sigma_of(frames: NDArray) -> tuple[float, str]:
    """Return the width of the point spread function, and where it comes from."""
    try:
        sigma_px = estimate_sigma_px(frames)
    except NoEstimateError:
        return (
            DEFAULT_SIGMA_PX,
            f"PSF assumed, since no molecules stand out: sigma {DEFAULT_SIGMA_PX:.2f} px",
        )
    return sigma_px, f"PSF from the movie: sigma {sigma_px:.2f} px"


def _sample(stack: Stack, max_pixels: int) -> tuple[NDArray, NDArray[np.int64]]:
    """Read pairs of neighbouring frames, or the one that there is, shape (2 K or 1, Y, X), with their numbers."""
    max_frames = max_pixels // (stack.frame_shape[0] * stack.frame_shape[1])
    numbers = sampled_pairs(stack.n_frames, max_frames) if stack.n_frames > 1 else np.zeros((1, 1), np.int64)
    parts = []
    for first in numbers[:, 0].tolist():
        parts.append(stack.read(first, min(first + 2, stack.n_frames)))
        check_finite(parts[-1], first, stack.name)
    return np.concatenate(parts), numbers.ravel()


def sampled_pairs(n_frames: int, max_frames: int = MAX_FRAMES) -> NDArray[np.int64]:
    """Return the numbers of neighbouring frames to read, spread over a movie of two or more, shape (K, 2).

    They are at most `max_frames` frames, or `MAX_FRAMES`, or a single pair.
    """
    pairs = max(1, min(n_frames, max_frames, MAX_FRAMES) // 2)
    step = max(2, n_frames // pairs)
    first = np.arange(0, n_frames - 1, step)
    return np.column_stack([first, first + 1])[:pairs]


def estimate_camera(frames: NDArray, known: Camera | None = None, *, unknown: Collection[str] = GAIN) -> Camera:
    """Estimate baseline and gain from how the noise grows with the light.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        Pairs of neighbouring frames, in ADU: those that `sampled_pairs` names, in order; or a single frame.
    known : Camera, optional
        What is known of the camera. An ``em_gain`` above 1 says that electron multiplication doubles the noise, which
        the movie does not show.
    unknown : collection of str
        Which of the fields `napari_subpixel.camera.GAIN` are estimated.

    Returns
    -------
    Camera
        The known one with what is estimated: electrons per ADU, and the baseline at which the noise vanishes, so that
        read noise is part of it.

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels, or, as
        `NoEstimateError`, the noise does not grow with the light.
    """
    known = known or Camera()
    return _completed(_fit(frames, known), known, unknown)


class _NoiseFit(NamedTuple):
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


def _fit(frames: NDArray, camera: Camera, sigma_px: float | None = None) -> _NoiseFit:
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
    return _NoiseFit(mean, noise, number[keep], *line, *at, signed=bool(frames.min() < 0))


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
    changing = _changing(frames)[0]
    return _filtered((_filtered(changing, COARSE) / (COARSE @ COARSE)) ** 2, SPREAD)


def _completed(fit: _NoiseFit, known: Camera, unknown: Collection[str]) -> Camera:
    """Return a camera with the unknown fields estimated, or raise `NoEstimateError`."""
    even = known.uniform()
    per_electron = known.em_gain * known.excess_noise_factor
    if "electrons_per_adu" not in unknown:
        slope = per_electron / float(even.electrons_per_adu)
        light, excess = fit.of_background(slope)
        read_noise = (float(even.read_noise_e) / float(even.electrons_per_adu)) ** 2
        baseline = _possible_baseline(fit, light - (light * slope + excess - read_noise) / slope)
        return replace(known, baseline=baseline, name=ESTIMATED)
    sure = fit.slope > SURE_SIGMA * fit.error
    if "baseline" not in unknown:
        given = float(even.baseline)
        slope = fit.slope
        if not sure or fit.offset + slope * given < 0:  # no noise is less than none at the baseline
            weights, above = fit.weights(), fit.mean - given
            slope = float(np.average(fit.variance * above, weights=weights) / np.average(above**2, weights=weights))
        if not slope > 0:
            raise NoEstimateError("the movie is not brighter than the camera's baseline: give the camera's gain")
        return replace(known, electrons_per_adu=per_electron / slope, name=ESTIMATED)
    if np.isnan(fit.slope):
        raise NoEstimateError("the light of the movie is too even: give the camera's baseline and gain")
    if not sure:
        raise NoEstimateError("the movie's noise does not grow with its light: give the camera's baseline and gain")
    baseline = _possible_baseline(fit, -fit.offset / fit.slope)
    return replace(known, baseline=baseline, electrons_per_adu=per_electron / fit.slope, name=ESTIMATED)


def _possible_baseline(fit: _NoiseFit, baseline: float) -> float:
    """Return a baseline below all light, and not negative unless there are negative values."""
    baseline = min(baseline, fit.darkest)
    return baseline if fit.signed else max(baseline, 0.0)


def _check_baseline(fit: _NoiseFit, camera: Camera) -> None:
    baseline = float(camera.uniform().baseline)
    if fit.median < baseline - max(MAX_BASELINE_ADU, FAR_BELOW_SIGMA * fit.noise**0.5):
        raise CameraMismatchError(
            f"most pixels lie below the given baseline of {baseline:g} ADU: their median is {fit.median:.4g} ADU"
        )


def _comparison(fit: _NoiseFit, camera: Camera, unknown: Collection[str]) -> tuple[Camera | None, str]:
    """Compare a camera, in which the unknown fields are estimated already, with what the movie says.

    Its noise must not be less than the light explains, nor more than light and read noise do.
    """
    even = camera.uniform()
    baseline, electrons = float(even.baseline), float(even.electrons_per_adu)
    slope = camera.em_gain * camera.excess_noise_factor / electrons
    light, excess = fit.of_background(slope)
    excess += slope * baseline
    read_noise_e = float(even.read_noise_e) or LIKELY_READ_NOISE_E * camera.em_gain
    excess -= float(np.clip(excess, 0, (read_noise_e / electrons) ** 2))
    shift = excess / slope
    fitting = baseline - shift
    is_off = abs(shift) > max(MAX_BASELINE_ADU, MAX_BASELINE_SHARE * (light - fitting))
    sure = fit.slope > 2 * SURE_SIGMA * fit.error
    factor = fit.slope / slope if sure else 1.0
    ratio = 1 + shift / (light - baseline) if light > baseline else np.inf
    gain_is_off = (
        "electrons_per_adu" not in unknown
        and not 1 / MAX_GAIN_FACTOR <= factor <= MAX_GAIN_FACTOR
        and (ratio > MAX_GAIN_FACTOR if factor > 1 else ratio < 1 / MAX_GAIN_FACTOR)
    )
    if gain_is_off:
        suggested = _completed(fit, even, GAIN)
    elif is_off and "baseline" not in unknown:
        suggested = replace(even, baseline=fitting)
    else:
        return None, ""
    values = {"baseline": f"baseline {baseline:g} ADU", "electrons_per_adu": f"{electrons:g} electrons per ADU"}
    given = ", ".join(text for name, text in values.items() if name not in unknown)
    return suggested, (
        f"the movie looks like baseline {suggested.baseline:.0f} ADU, {suggested.electrons_per_adu:.3g} electrons per "
        f"ADU; {given} were given"
    )


def estimate_sigma_px(frames: NDArray) -> float:
    """Estimate the standard deviation of the point spread function, from the power spectrum of differences of frames.

    Molecules that are independent of each other have a white spectrum, however crowded, which the point spread function
    and the pixels multiply; noise adds a constant. Camera and gain need not be known.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        As for `estimate_camera`.

    Returns
    -------
    float
        In pixels.

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels, or, as
        `NoEstimateError`, nothing but noise differs between them.
    """
    from scipy.optimize import minimize

    changing = _changing(frames)[0]
    power, square, pixel = _spectrum(changing)
    floor = float(np.median(power[square > np.quantile(square, 0.8)]))
    top = max(float(power[square < np.quantile(square, 0.1)].mean()) - floor, 1e-3 * floor)

    def misfit(parameters: NDArray[np.float64]) -> float:
        """Whittle's likelihood of a spectrum."""
        light, sigma, noise = np.exp(parameters)
        expected = light * pixel * np.exp(-(sigma**2) * square) + noise
        return float(np.mean(np.log(expected) + power / expected))

    found = min(
        (minimize(misfit, np.log([top, start, floor]), method="Nelder-Mead") for start in (0.8, 1.3, 2.0)),
        key=lambda result: float(result.fun),
    )
    light, sigma, noise = np.exp(found.x)
    evidence = len(changing) * power.size * (np.log(power.mean()) + 1 - float(found.fun))
    if not SIGMA_PX[0] < sigma < SIGMA_PX[1] or light < MIN_LIGHT_SHARE * noise or evidence < MIN_EVIDENCE:
        raise NoEstimateError("no molecules stand out in the movie's differences: give the width of the PSF")
    return float(sigma)


def _changing(frames: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what changes from frame to frame, with the noise of one, and the light there, both (K, Y, X)."""
    frames = np.asarray(frames)
    if (
        frames.ndim != 3
        or not (len(frames) == 1 or (len(frames) and len(frames) % 2 == 0))
        or min(frames.shape[1:]) < MIN_SIDE_PX
    ):
        raise InputError(f"expected pairs of frames of at least 8 x 8 pixels, or one, got shape {frames.shape}")
    frames = frames.astype(np.float64)
    if len(frames) == 1:
        return frames, frames
    first, second = frames[::2], frames[1::2]
    if np.array_equal(first, second):  # a movie of copies of a frame is that frame
        return first, first
    return (second - first) / np.sqrt(2), (first + second) / 2


def _noise_and_light(frames: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of the noise and the light, averaged in the same way over small neighbourhoods."""
    changing, mean = _changing(frames)
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


def _spectrum(frames: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean power of frames, the squared frequency and the pixels' transfer, but for low frequencies."""
    height, width = frames.shape[1:]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    frames = (frames - frames.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.rfft2(frames)) ** 2).mean(axis=0)
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    square = (2 * np.pi) ** 2 * (ky**2 + kx**2)
    pixel = (np.sinc(ky) * np.sinc(kx)) ** 2
    slow = square > (2 * np.pi * 2.5 / min(height, width)) ** 2  # what the window spreads from the mean
    return power[slow], square[slow], pixel[slow]
