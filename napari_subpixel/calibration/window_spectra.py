"""Power spectra of small windows of what changes from frame to frame, with the light in each window.

Noise is white, and molecules are blurred: the finest frequencies of a window hold its noise, the coarse ones what
changes of the molecules. How much of their light reaches the fine frequencies follows from the width of the point
spread function.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.frame_pairs import changes_and_light, saturated_in_pairs

#: Side of a window, in pixels; that of smaller frames is theirs.
WINDOW_PX = 20
#: Windows of a frame are this far apart, in pixels.
STEP_PX = 7
#: A window is tapered by this power of a sine: its spectrum falls off so fast that molecules stay at their frequencies.
TAPER_POWER = 3
#: Frequencies of molecules, in cycles a pixel, along any direction,
COARSE = (0.09, 0.2)
#: and those that are taken for noise are above them. Bands of these end with this many of the finest ones, in windows
#: of `WINDOW_PX`; one band is the rest.
BANDS = (6, 14, 28, 50, 90, 160)


class WindowSpectra(NamedTuple):
    """Power in windows of pairs of frames, in units of the variance of a frame's pixel.

    Attributes
    ----------
    light : ndarray, shape (N,)
        Mean of both frames, averaged as the noise is.
    fine : ndarray, shape (N, B)
        Mean power in the bands of fine frequencies, the finest first.
    coarse : ndarray, shape (N,)
        Mean power at coarse frequencies.
    sizes : ndarray, shape (B,)
        Frequencies in the bands.
    leak : ndarray, shape (B,)
        Power of molecules in the bands, as a share of that at coarse frequencies.
    effective_pixels : float
        Pixels whose independent noise averages as much as that in `light`.
    """

    light: NDArray[np.float64]
    fine: NDArray[np.float64]
    coarse: NDArray[np.float64]
    sizes: NDArray[np.float64]
    leak: NDArray[np.float64]
    effective_pixels: float


def window_spectra(frames: NDArray, sigma_px: float) -> WindowSpectra:
    """Measure the power in windows all over pairs of frames.

    Parameters
    ----------
    frames : ndarray, shape (2 K or 1, Y, X)
        In ADU, as for `napari_subpixel.calibration.camera_estimate.estimate_camera`.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.

    Returns
    -------
    WindowSpectra
        Of the windows in order of pairs, rows and columns, but for those with saturated pixels, if any are without.

    Raises
    ------
    InputError
        If frames are not pairs of at least 8 x 8 pixels.
    """
    from scipy import fft

    changing, light = changes_and_light(frames)
    side = min(WINDOW_PX, *frames.shape[1:])
    step = min(STEP_PX, side // 2)
    taper = _taper(side)
    window = np.outer(taper, taper)
    bands, sizes, leak = _bands(side, sigma_px)
    folded = _folded(bands, side).astype(np.float32)
    saturated = saturated_in_pairs(frames, len(changing))
    whole = np.stack([~np.any(_windows(pixels, side, step), axis=(2, 3)) for pixels in saturated])
    whole |= not whole.any()  # of a movie that is clipped everywhere
    lights, powers = [], []
    for k, usable in enumerate(whole):
        pieces = _windows(changing[k].astype(np.float32), side, step)[usable]
        spectrum = fft.rfft2(pieces * window.astype(np.float32))
        power = (spectrum.real**2 + spectrum.imag**2).reshape(len(pieces), len(folded))
        powers.append(power @ folded)
        lights.append(np.tensordot(_windows(light[k], side, step), window**2, 2)[usable])
    power = np.concatenate(powers).astype(np.float64)
    return WindowSpectra(np.concatenate(lights), power[:, :-1], power[:, -1], sizes, leak, 1 / float((window**4).sum()))


def _taper(side: int) -> NDArray[np.float64]:
    """Return a window along one axis, whose squares add up to 1."""
    taper = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** TAPER_POWER
    return taper / np.sqrt((taper**2).sum())


def _windows(frame: NDArray, side: int, step: int) -> NDArray:
    return np.lib.stride_tricks.sliding_window_view(frame, (side, side))[::step, ::step]


def _bands(side: int, sigma_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of all frequencies in the bands, the coarse one last; the fine ones' sizes and leaks."""
    along = _molecule_power(side, sigma_px)
    molecules = np.outer(along, along).ravel()
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None]).ravel()
    fine = np.argsort(molecules, kind="stable")
    fine = fine[radius[fine] > COARSE[1]]
    ends = np.unique(np.rint(np.array(BANDS) * (side / WINDOW_PX) ** 2).astype(int).clip(1))
    which = np.searchsorted(ends, np.arange(len(fine)), side="right")
    weights = np.zeros((side * side, which.max() + 2))
    weights[fine, which] = 1
    weights[(radius > COARSE[0]) & (radius < COARSE[1]), -1] = 1
    sizes = weights.sum(axis=0)
    weights /= sizes
    mean = molecules @ weights
    return weights, sizes[:-1], mean[:-1] / mean[-1]


def _molecule_power(side: int, sigma_px: float) -> NDArray[np.float64]:
    """Return the power along one axis of molecules anywhere around a window, for all frequencies."""
    from scipy.special import ndtr

    pixels = np.arange(side)
    places = np.arange(-4 * sigma_px - 1, side + 4 * sigma_px + 1, 0.25)[:, None]
    molecules = ndtr((pixels + 0.5 - places) / sigma_px) - ndtr((pixels - 0.5 - places) / sigma_px)
    return (np.abs(np.fft.fft(_taper(side) * molecules, axis=1)) ** 2).mean(axis=0)


def _folded(weights: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the weights of the half of the frequencies that a real transform has."""
    weights = weights.reshape(side, side, -1)
    half = weights[:, : side // 2 + 1].copy()
    twin = np.arange(1, (side + 1) // 2)
    half[:, twin] += weights[-np.arange(side) % side][:, side - twin]
    return half.reshape(-1, weights.shape[-1])
