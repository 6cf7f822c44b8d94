"""Gain and baseline of the camera, estimated from how the noise grows with the light."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.camera_misfit import (
    LIKELY_READ_NOISE_ADU,
    LIKELY_READ_NOISE_E,
    MAX_UNCERTAINTY,
    baseline_is_off,
    baseline_range,
    gain_is_off,
    gain_of,
    read_noise_range,
)
from napari_subpixel.calibration.noise_growth import NoiseFit, fit_noise
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import NoEstimateError

#: Read noise is at most so much that this share of the slope without it is left.
LEAST_SLOPE = 0.2
#: Name of a camera that was estimated.
ESTIMATED = "estimated from the movie"
#: Name of a camera that could not be.
ASSUMED = "assumed"


class CameraEstimate(NamedTuple):
    """A camera of which something is estimated.

    Attributes
    ----------
    camera : Camera
    uncertainty : float
        Standard error of its gain as a share of it; 0 where that was given.
    """

    camera: Camera
    uncertainty: float


def estimate_camera(frames: NDArray, known: Camera | None = None, *, unknown: Collection[str] = GAIN) -> CameraEstimate:
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
    CameraEstimate
        The known camera with what is estimated: electrons per ADU, and the baseline at which only the given read noise
        is left; where that is not known it is part of the baseline.

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels, or, as
        `NoEstimateError`, the noise does not grow with the light.
    """
    known = known or Camera()
    return completed(fit_noise(frames, known), known, unknown)


def completed(fit: NoiseFit, known: Camera, unknown: Collection[str]) -> CameraEstimate:
    """Return a camera with the unknown fields estimated, or raise `NoEstimateError`.

    What is given is used, unless the movie shows that it does not fit: then what is not given is that of the movie
    alone.
    """
    if "electrons_per_adu" not in unknown:
        of_movie = camera_of_movie(fit, known) if gain_is_off(fit, known) else None
        baseline = baseline_range(fit, known)[0] if of_movie is None else float(np.mean(of_movie.baseline))
        return CameraEstimate(replace(known, baseline=_possible_baseline(fit, baseline), name=ESTIMATED), 0.0)
    if "baseline" not in unknown:
        return _with_gain(fit, known)
    if not fit.uncertainty < MAX_UNCERTAINTY:
        why = (
            "the light of the movie is too even"
            if np.isnan(fit.slope)
            else "the movie's noise does not grow with its light"
        )
        raise NoEstimateError(f"{why}: give the camera's baseline and gain")
    return CameraEstimate(camera_of_movie(fit, known), fit.uncertainty)


def camera_of_movie(fit: NoiseFit, known: Camera) -> Camera:
    """Return a camera with the baseline and the gain that the movie shows, whatever they are in the known one."""
    even = replace(known.uniform(), electrons_per_adu=gain_of(fit.slope, known))
    read_noise = read_noise_range(even)[0]
    baseline = fit.light - (fit.variance - read_noise) / fit.slope
    return replace(
        known, baseline=_possible_baseline(fit, baseline), electrons_per_adu=even.electrons_per_adu, name=ESTIMATED
    )


def given_baseline_is_off(fit: NoiseFit, known: Camera) -> bool:
    """Return whether a given baseline differs from that which the movie shows by itself."""
    if not fit.uncertainty < MAX_UNCERTAINTY:
        return False
    gain = gain_of(fit.slope, known)
    return baseline_is_off(fit, replace(known.uniform(), electrons_per_adu=gain), fit.baseline_error)


def _with_gain(fit: NoiseFit, known: Camera) -> CameraEstimate:
    """Return a camera of given baseline with its gain.

    The slope is that of the movie, between those of lines through the background and the baseline, at which there is
    at least no noise and at most the largest plausible read noise.
    """
    if given_baseline_is_off(fit, known):
        return CameraEstimate(
            replace(known, electrons_per_adu=gain_of(fit.slope, known), name=ESTIMATED), fit.uncertainty
        )
    light = fit.light - float(np.mean(known.baseline))
    if not light > 0:
        raise NoEstimateError("the movie is not brighter than the camera's baseline: give the camera's gain")
    low, high = _slopes(light, fit.variance, known)
    middle = (low + high) / 2
    error = (high - low) / 2
    slope = float(np.clip(fit.slope, low, high)) if fit.uncertainty < MAX_UNCERTAINTY else middle
    uncertainty = min(error, fit.slope_error if slope == fit.slope else error) / slope
    return CameraEstimate(replace(known, electrons_per_adu=gain_of(slope, known), name=ESTIMATED), uncertainty)


def _slopes(light: float, variance: float, known: Camera) -> tuple[float, float]:
    """Return the lowest and highest slope with which a background above the baseline has its variance.

    With a read noise r it is ``slope * light + (r / gain)**2``, the gain being in proportion to 1 / slope.
    """
    most = float(np.mean(known.read_noise_e)) or LIKELY_READ_NOISE_E * known.em_gain
    share = (most / gain_of(1.0, known)) ** 2
    noisy = (np.sqrt(light**2 + 4 * share * variance) - light) / (2 * share)
    if np.any(known.read_noise_e):
        return noisy, noisy
    clean = variance / light
    return max(min(noisy, (variance - LIKELY_READ_NOISE_ADU**2) / light), LEAST_SLOPE * clean), clean


def _possible_baseline(fit: NoiseFit, baseline: float) -> float:
    """Return a baseline below all light, and not negative unless there are negative values."""
    baseline = min(baseline, fit.darkest)
    return baseline if fit.signed else max(baseline, 0.0)
