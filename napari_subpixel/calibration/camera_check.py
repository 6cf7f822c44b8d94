"""A given camera compared with what the movie says, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from napari_subpixel.calibration.camera_estimate import camera_of_movie, given_baseline_is_off
from napari_subpixel.calibration.camera_misfit import (
    MAX_UNCERTAINTY,
    baseline_is_off,
    baseline_range,
    gain_is_off,
    gain_of,
    shows_gain,
)
from napari_subpixel.calibration.noise_growth import NoiseFit
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import CameraMismatchError

#: Most pixels lie below a baseline where their median does by more than this many ADU
FAR_BELOW_ADU = 15.0
#: and this many standard deviations of the noise.
FAR_BELOW_SIGMA = 2.0
#: A read noise does not fit where it is this many times the noise of the background, or more.
MAX_READ_NOISE = 1.3


def check_baseline(fit: NoiseFit, camera: Camera) -> None:
    """Raise `CameraMismatchError` where most pixels lie below the camera's baseline."""
    baseline = float(np.mean(camera.baseline))
    if fit.median < baseline - max(FAR_BELOW_ADU, FAR_BELOW_SIGMA * fit.mean_variance**0.5):
        raise CameraMismatchError(
            f"most pixels lie below the given baseline of {baseline:g} ADU: their median is {fit.median:.4g} ADU"
        )


def compared(fit: NoiseFit, camera: Camera, unknown: Collection[str]) -> tuple[Camera | None, str]:
    """Compare what is given of a camera with what the movie says.

    Parameters
    ----------
    fit : NoiseFit
        Of the movie.
    camera : Camera
        As given; its `unknown` fields do not count.
    unknown : collection of str
        Which of the fields `napari_subpixel.camera.GAIN` were not given.

    Returns
    -------
    suggested : Camera or None
        What the movie looks like, where the camera does not fit.
    warning : str
        That it does not, with the numbers of both; empty where it fits.
    """
    even = camera.uniform()
    given = [name for name in GAIN if name not in unknown]
    if not given:
        return None, ""
    by_itself = gain_is_off(fit, even) if "electrons_per_adu" in given else given_baseline_is_off(fit, even)
    if by_itself:
        suggested = camera_of_movie(fit, even)
    elif not unknown and baseline_is_off(fit, even):
        # Of all baselines that go with the gain, the middle one: the given one has no say.
        suggested = replace(even, baseline=float(np.mean(baseline_range(fit, even))))
    else:
        return None, ""
    values = {
        "baseline": f"baseline {even.baseline:g} ADU",
        "electrons_per_adu": f"{even.electrons_per_adu:g} electrons per ADU",
    }
    return suggested, (
        f"the movie looks like baseline {suggested.baseline:.0f} ADU, {suggested.electrons_per_adu:.3g} electrons per "
        f"ADU; {', '.join(values[name] for name in given)} {'were' if len(given) > 1 else 'was'} given"
    )


def without_read_noise(fit: NoiseFit, camera: Camera) -> tuple[Camera | None, str]:
    """Compare a given read noise with all the noise that a movie has.

    Parameters
    ----------
    fit : NoiseFit
        Of the movie.
    camera : Camera
        With the gain that is used.

    Returns
    -------
    suggested : Camera or None
        The camera without it, where it does not fit.
    warning : str
        That it does not; empty where it fits.
    """
    if not (np.isfinite(fit.variance) and fit.variance > 0):  # the movie does not show it
        return None, ""
    even = camera.uniform()
    given_e = float(np.median(camera.read_noise_e))
    most_e = fit.variance**0.5 * float(even.electrons_per_adu)
    if given_e <= MAX_READ_NOISE * most_e:
        return None, ""
    return replace(even, read_noise_e=0.0), (
        f"the movie looks like a read noise below {most_e:.3g} electrons, which is all the noise of its background; "
        f"{given_e:g} electrons were given"
    )


def unchecked(fit: NoiseFit, camera: Camera, unknown: Collection[str]) -> str:
    """Say what of a given camera the movie cannot confirm; an empty text where there is nothing."""
    given = [name for name in GAIN if name not in unknown]
    even = camera.uniform()
    with_gain = even if "electrons_per_adu" in given else None
    if not given or shows_gain(fit, with_gain) or (with_gain is not None and gain_is_off(fit, even)):
        return ""
    why = f"shows the gain only to {fit.uncertainty:.0%}" if fit.uncertainty < 1 else "hardly shows the gain"
    if with_gain is not None and fit.uncertainty < MAX_UNCERTAINTY:
        why += f", as {gain_of(fit.slope, even):.3g} electrons per ADU; {even.electrons_per_adu:.3g} was given"
    words = {"baseline": "baseline", "electrons_per_adu": "gain"}
    return f"the given {' and '.join(words[name] for name in given)} could not be checked: the movie {why}"
