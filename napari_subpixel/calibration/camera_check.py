"""A given camera compared with what the movie says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from napari_subpixel.calibration.camera_estimate import SURE_SIGMA, completed
from napari_subpixel.calibration.noise_growth import NoiseFit
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import CameraMismatchError

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


def check_baseline(fit: NoiseFit, camera: Camera) -> None:
    """Raise `CameraMismatchError` where most pixels lie below the camera's baseline."""
    baseline = float(camera.uniform().baseline)
    if fit.median < baseline - max(MAX_BASELINE_ADU, FAR_BELOW_SIGMA * fit.noise**0.5):
        raise CameraMismatchError(
            f"most pixels lie below the given baseline of {baseline:g} ADU: their median is {fit.median:.4g} ADU"
        )


def compared(fit: NoiseFit, camera: Camera, unknown: Collection[str]) -> tuple[Camera | None, str]:
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
        suggested = completed(fit, even, GAIN)
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
