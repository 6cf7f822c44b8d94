"""Gain and baseline of the camera, and width of the point spread function, estimated from a movie's noise.

Both use the differences of frames, from which everything constant is gone. The noise is white, molecules are
not: what is left at the finest scale is noise, and the excess at coarser ones has the width of a molecule. A single
frame has to do without its differences: there the finest scale is noise all the same, but for very narrow PSFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames read at most, in pairs spread over the movie,
MAX_FRAMES = 1000
#: and pixels of these frames.
MAX_PIXELS = 1 << 24
#: A filter along one axis that passes hardly anything but the finest scale.
FINEST = np.array([1.0, -4, 6, -4, 1])
#: A filter along one axis that averages noise and light.
SPREAD = np.full(5, 0.2)
#: Gain assumed for an EMCCD; only its ratio to `electrons_per_adu` matters.
ASSUMED_EM_GAIN = 300.0
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
    """

    camera: Camera
    sigma_px: float
    assumed: tuple[str, ...] = ()


def microscope_of(stack: Stack, camera: Camera, sigma_px: float | None, *, estimate_gain: bool) -> Microscope:
    """Complete what is known about a movie's microscope by estimates.

    Parameters
    ----------
    stack : Stack
        The movie.
    camera : Camera
        What is known about the camera; where its gain is estimated, an ``em_gain`` above 1 says that it is an EMCCD.
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels; estimated if not given.
    estimate_gain : bool
        Whether baseline and gain are estimated too.

    Returns
    -------
    Microscope
        What cannot be estimated, as without molecules, is assumed, and `assumed` says so.

    Raises
    ------
    InputError
        If a frame cannot be read, holds values that are not finite or is smaller than 8 x 8 pixels.
    """
    if sigma_px is not None and not estimate_gain:
        return Microscope(camera, sigma_px)
    assumed = []
    frames = _sample(stack)
    with records.naming(stack.name):
        if frames.min() == frames.max():
            nothing = "the movie is constant: nothing can be estimated from it"
            return Microscope(camera, sigma_px or DEFAULT_SIGMA_PX, (nothing,))
        if estimate_gain:
            camera, note = _camera_of(frames, camera)
            assumed.append(note)
        if sigma_px is None:
            sigma_px, note = _sigma_of(frames)
            assumed.append(note)
    return Microscope(camera, sigma_px, tuple(assumed))


def _camera_of(frames: NDArray, camera: Camera) -> tuple[Camera, str]:
    """Return a camera with gain and baseline, and where they come from."""
    emccd = camera.em_gain > 1
    try:
        known = estimate_camera(frames, emccd=emccd, pixel_size_nm=camera.pixel_size_nm)
        source = "camera from the movie"
    except NoEstimateError:
        noise, light = (float(part.mean()) for part in _noise_and_light(frames))
        known = Camera(camera.pixel_size_nm, max(light - noise, 0.0), name="assumed")
        source = "camera assumed, since it cannot be estimated from the movie"
    adu = known.em_gain / float(np.mean(known.electrons_per_adu))
    emccd_words = "assuming no electron multiplication (after it, photons are twice as many)"
    how = "an EMCCD, as its gain says" if known.em_gain > 1 else emccd_words
    return known, f"{source}: baseline {known.baseline:.1f} ADU, {adu:.3g} ADU a photon, {how}"


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


def _sample(stack: Stack) -> NDArray:
    """Read pairs of neighbouring frames, or the one that there is, shape (2 K or 1, Y, X)."""
    max_frames = MAX_PIXELS // (stack.frame_shape[0] * stack.frame_shape[1])
    parts = []
    for first in sampled_pairs(stack.n_frames, max_frames)[:, 0].tolist() if stack.n_frames > 1 else (0,):
        parts.append(stack.read(first, min(first + 2, stack.n_frames)))
        check_finite(parts[-1], first, stack.name)
    return np.concatenate(parts)


def sampled_pairs(n_frames: int, max_frames: int = MAX_FRAMES) -> NDArray[np.int64]:
    """Return the numbers of neighbouring frames to read, spread over a movie of two or more, shape (K, 2).

    They are at most `max_frames` frames, or `MAX_FRAMES`, or a single pair.
    """
    pairs = max(1, min(n_frames, max_frames, MAX_FRAMES) // 2)
    step = max(2, n_frames // pairs)
    first = np.arange(0, n_frames - 1, step)
    return np.column_stack([first, first + 1])[:pairs]


def estimate_camera(frames: NDArray, *, emccd: bool = False, pixel_size_nm: float | None = None) -> Camera:
    """Estimate baseline and gain from how the noise grows with the light.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        Pairs of neighbouring frames, in ADU: those that `sampled_pairs` names, in order; or a single frame.
    emccd : bool
        Whether electron multiplication doubles the noise; the movie does not show it. Only the photons depend on it.
    pixel_size_nm : float, optional
        Passed on to the camera.

    Returns
    -------
    Camera
        With quantum efficiency 1 and, but for an EMCCD's, no gain: what is estimated is ADU per photon and the
        baseline at which the noise vanishes, so that read noise is part of it.

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels, or, as
        `NoEstimateError`, the noise does not grow with the light.
    """
    variance, light = (part.ravel() for part in _noise_and_light(frames))
    edges = np.quantile(light, np.linspace(0, 1, CLASSES + 1))
    which = np.searchsorted(edges[1:-1], light)
    number = np.bincount(which, minlength=CLASSES)
    keep = number > 0
    mean, noise = (np.bincount(which, v, CLASSES)[keep] / number[keep] for v in (light, variance))
    if keep.sum() < MIN_CLASSES:
        raise NoEstimateError("the light of the movie is too even: give the camera's baseline and gain")
    slope, offset, error = _line(mean, noise, number[keep])
    if not slope > SURE_SIGMA * error:
        raise NoEstimateError("the movie's noise does not grow with its light: give the camera's baseline and gain")
    baseline = float(np.clip(-offset / slope, 0, light.min()))
    factor = 2.0 if emccd else 1.0
    electrons = factor / slope * (ASSUMED_EM_GAIN if emccd else 1.0)
    return Camera(
        pixel_size_nm, baseline, electrons, 1.0, ASSUMED_EM_GAIN if emccd else 1.0, name="estimated from the movie"
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
        or min(frames.shape[1:]) < 8
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
