"""Gain and baseline of the camera, estimated from how the noise grows with the light."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.noise_growth import NoiseFit, fit_noise
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import NoEstimateError

#: The noise grows with the light where the slope is more than this many times its standard error.
SURE_SIGMA = 4.0
#: Name of a camera that was estimated, and of one that could not be.
ESTIMATED, ASSUMED = "estimated from the movie", "assumed"


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
    return completed(fit_noise(frames, known), known, unknown)


def completed(fit: NoiseFit, known: Camera, unknown: Collection[str]) -> Camera:
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


def _possible_baseline(fit: NoiseFit, baseline: float) -> float:
    """Return a baseline below all light, and not negative unless there are negative values."""
    baseline = min(baseline, fit.darkest)
    return baseline if fit.signed else max(baseline, 0.0)
