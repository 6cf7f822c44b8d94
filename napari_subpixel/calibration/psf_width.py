"""Width of the point spread function, estimated from the power spectrum of differences of frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.frame_pairs import changes_and_light, saturated_in_pairs
from napari_subpixel.errors import NoEstimateError

#: Smallest and largest plausible width of the PSF, in pixels.
SIGMA_PX = (0.3, 4.0)
#: Width assumed where it cannot be estimated, in pixels.
DEFAULT_SIGMA_PX = 1.3
#: Weights fall off over about twice as many pixels around a saturated one.
FALL_PX = 5
#: Nothing is left out where less than this share would be left.
MIN_UNSATURATED = 0.1
#: The width is estimated where the molecules' light is at least this share of the noise, at the coarsest scale,
MIN_LIGHT_SHARE = 0.02
#: and the log likelihood of the spectrum is higher with molecules than without by at least this.
MIN_EVIDENCE = 50.0


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

    changing = changes_and_light(frames)[0]
    saturated = saturated_in_pairs(frames, len(changing))
    if saturated.any() and (weights := _apart_from(saturated)).mean() > MIN_UNSATURATED:
        changing = changing * weights
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


def _apart_from(saturated: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights of pixels that fall off smoothly to 0 around saturated ones: molecules cut off look wide."""
    from scipy.ndimage import maximum_filter, uniform_filter

    weights = 1.0 - maximum_filter(saturated, (1, 4 * FALL_PX + 1, 4 * FALL_PX + 1))
    for _ in range(2):
        weights = uniform_filter(weights, (0, FALL_PX, FALL_PX))
    return weights


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
