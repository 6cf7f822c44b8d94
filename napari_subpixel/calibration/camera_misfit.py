"""Whether baseline and gain of a camera fit what a movie says of them."""

from __future__ import annotations

import numpy as np

from napari_subpixel.calibration.noise_growth import NoiseFit
from napari_subpixel.camera import Camera

#: The noise grows with the light where the slope's standard error is below this share of it.
MAX_UNCERTAINTY = 0.5
#: A gain does not fit where it is off by more than this factor,
MAX_GAIN_FACTOR = 1.15
#: and nothing is off by less than this many standard errors.
SURE_SIGMA = 3.0
#: A gain is confirmed where the movie excludes that it is off by this factor,
CONFIRMED_FACTOR = 1.2
#: by this many standard errors.
CONFIRMED_SIGMA = 1.65
#: Something rests on a number that is not confirmed where the movie would not even show this factor.
ROUGH_FACTOR = 1.5
#: A baseline does not fit where it is off by the light of more than this many photo-electrons,
MAX_BASELINE_E = 5.0
#: by more than this share of the light of the background above it,
MAX_BASELINE_SHARE = 0.2
#: and by more than read noise explains: where that is not given, up to this many electrons before a multiplication,
LIKELY_READ_NOISE_E = 2.5
#: or up to this many ADU, if that is more.
LIKELY_READ_NOISE_ADU = 1.6


def slope_of(camera: Camera) -> float:
    """Return by how much the variance grows with the light, in ADU, from a camera's gain."""
    return camera.em_gain * camera.excess_noise_factor / float(np.mean(camera.electrons_per_adu))


def gain_of(slope: float, camera: Camera) -> float:
    """Return the electrons per ADU of a camera whose variance grows with the light by a slope: `slope_of` backwards."""
    return camera.em_gain * camera.excess_noise_factor / slope


def read_noise_range(camera: Camera) -> tuple[float, float]:
    """Return the least and largest plausible variance of the read noise, in ADU squared, for a camera's gain."""
    gain, given = (float(np.mean(values)) for values in (camera.electrons_per_adu, camera.read_noise_e))
    if given:
        return (given / gain) ** 2, (given / gain) ** 2
    return 0.0, max(LIKELY_READ_NOISE_E * camera.em_gain / gain, LIKELY_READ_NOISE_ADU) ** 2


def shows_gain(fit: NoiseFit, camera: Camera | None = None) -> bool:
    """Return whether the movie shows the gain well enough to confirm that of a camera, or one that is right."""
    if not fit.uncertainty < MAX_UNCERTAINTY:
        return False
    apart = 0.0 if camera is None else abs(np.log(fit.slope / slope_of(camera)))
    return apart + CONFIRMED_SIGMA * fit.uncertainty < np.log(CONFIRMED_FACTOR)


def shows_gain_roughly(fit: NoiseFit) -> bool:
    """Return whether the movie would show a gain that is far off."""
    return fit.uncertainty < np.log(ROUGH_FACTOR) / SURE_SIGMA


def gain_is_off(fit: NoiseFit, camera: Camera) -> bool:
    """Return whether a camera's gain differs from that which the movie shows."""
    if not fit.uncertainty < MAX_UNCERTAINTY:
        return False
    return abs(np.log(fit.slope / slope_of(camera))) > max(np.log(MAX_GAIN_FACTOR), SURE_SIGMA * fit.uncertainty)


def baseline_range(fit: NoiseFit, camera: Camera) -> tuple[float, float]:
    """Return the lowest and highest baseline, in ADU, with which a camera's gain gives the noise of the background."""
    slope = slope_of(camera)
    low, high = (fit.light - (fit.variance - noise) / slope for noise in read_noise_range(camera))
    return low, high


def baseline_is_off(fit: NoiseFit, camera: Camera, error: float = 0.0) -> bool:
    """Return whether a camera's baseline does not give the noise of the background; `error` is in ADU."""
    low, high = baseline_range(fit, camera)
    given = float(np.mean(camera.baseline))
    shift = max(low - given, given - high)
    light = fit.light - (low if given < low else high)
    one = camera.em_gain / float(np.mean(camera.electrons_per_adu))
    return shift > max(MAX_BASELINE_E * one, MAX_BASELINE_SHARE * light, SURE_SIGMA * error)
