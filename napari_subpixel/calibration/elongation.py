"""Elongation of isolated spots: behind an astigmatic lens, out of focus or where molecules move, they are not round."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.calibration.spot_finding import evenly_spread_frames
from napari_subpixel.calibration.spot_fitting import cut_out, find_isolated
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames searched at first,
MIN_FRAMES = 12
#: and at most, where spots are few.
MAX_FRAMES = 36
#: No more frames are searched when this many spots are found.
ENOUGH_SPOTS = 60
#: Spots measured at most.
MAX_SPOTS = 600
#: Fewer isolated spots than this say nothing.
MIN_SPOTS = 5
#: A spot's window reaches this many standard deviations of the PSF to each side, and one pixel more.
WINDOW_SIGMA = 4.0
#: Rounds in which a spot's moments and the Gaussian that weights them come to agree.
MAX_ROUNDS = 60
#: Share of the way that a round goes.
DAMPING = 0.7
#: What a pixel's width adds to a spot's square width.
PIXEL_VARIANCE = 1 / 12
#: Half the logarithm of a spot's long over its short axis from which it is not round: the widths of a quarter of the
#: samples that a model for many microscopes was trained on scatter by up to 0.2, half of them by less than 0.135.
MIN_HALF_LOG_RATIO = 0.15
#: Spots whose noise exceeds this, in the same logarithm, tell little by themselves.
MAX_NOISE = 0.08
#: Narrower spots than this, in pixels, hardly show whether they are round.
MIN_SIGMA_PX = 0.75
#: A movie's spots are not round where this share of them is not.
MAX_SHARE = 0.2


class Elongation(NamedTuple):
    """How elongated the isolated spots of a movie are.

    Attributes
    ----------
    n_spots : int
        Isolated bright spots that were measured.
    share : float
        Share of them that are not round, without those that noise makes look so; 0 where they are too dim to tell.
    half_log_ratio : float
        Half the logarithm of long over short axis of the typical spot, without what noise adds to it.
    long_px, short_px : float
        Typical standard deviations along both axes, in pixels, of the spots that are not round; of all where few are.
    sigma_px : float
        Typical standard deviation of all, the root mean square of both axes, in pixels.
    photons : float
        Median light of all, to two digits.
    """

    n_spots: int
    share: float
    half_log_ratio: float
    long_px: float
    short_px: float
    sigma_px: float
    photons: float

    @property
    def is_round(self) -> bool:
        """Whether nearly all spots are, as far as can be seen: the pixels' edges show in narrower ones."""
        if self.sigma_px < MIN_SIGMA_PX:
            return True
        return self.share < MAX_SHARE and self.half_log_ratio <= MIN_HALF_LOG_RATIO

    @property
    def text(self) -> str:
        """What was measured, as a phrase."""
        which = f"{self.share:.0%} of {self.n_spots} isolated spots" if self.share >= MAX_SHARE else "isolated spots"
        return f"{which} are not round, but typically {self.long_px:.1f} by {self.short_px:.1f} px wide"


@stepwise
def measure_elongation(stack: Stack, camera: Camera, sigma_px: float) -> Generator[float, None, Elongation | None]:
    """Measure how elongated the isolated spots of a movie are, in whatever directions.

    Each spot is compared with what the noise makes of a round one of its brightness, and counts by itself: those above
    and below the focus of an astigmatic lens do not make up for each other, nor do the round ones for the others.
    `measure_elongation.steps` yields the share of the frames that are done.

    Parameters
    ----------
    stack : Stack
    camera : Camera
        Its baseline and gain give the noise.
    sigma_px : float
        About how wide spots are, in pixels.

    Returns
    -------
    Elongation or None
        None where too few spots are isolated.

    Raises
    ------
    InputError
        If a frame is not finite.
    """
    numbers = evenly_spread_frames(stack, None, MAX_FRAMES)
    order = np.concatenate([numbers[k::3] for k in (1, 0, 2)])
    found: list[_Shapes] = []
    for index, number in enumerate(order.tolist()):
        n_spots = sum(len(shapes.square) for shapes in found)
        if n_spots >= (ENOUGH_SPOTS if index >= MIN_FRAMES else MAX_SPOTS):
            break
        yield index / len(order)
        frame = stack.read(number, number + 1)
        check_finite(frame, number, stack.name)
        try:
            found.append(_shapes_in(frame[0], camera, sigma_px))
        except InputError:  # the frame is too small
            return None
    shapes = _Shapes(*(np.concatenate(values) for values in zip(*found, strict=True)))
    return _summary(shapes) if len(shapes.square) >= MIN_SPOTS else None


class _Shapes(NamedTuple):
    """Shapes of spots: mean square width, half the logarithm of long over short axis, what noise makes of 0, light."""

    square: NDArray[np.float64]
    half_log_ratio: NDArray[np.float64]
    noise: NDArray[np.float64]
    photons: NDArray[np.float64]


def _summary(shapes: _Shapes) -> Elongation:
    long, noise = shapes.half_log_ratio > MIN_HALF_LOG_RATIO, shapes.noise
    # Noise adds the squares of two components.
    typical = np.sqrt(max(float(np.median(shapes.half_log_ratio**2 - 2 * noise**2)), 0.0))
    clear = noise < MAX_NOISE
    share = 0.0
    if clear.sum() >= MIN_SPOTS:
        by_noise = np.exp(-0.5 * (MIN_HALF_LOG_RATIO / noise[clear]) ** 2).sum()
        share = max(float((long[clear].sum() - by_noise) / (clear.sum() - by_noise)), 0.0)
    some = long & clear if share >= MAX_SHARE else np.ones_like(long)
    middle, ratio = np.sqrt(np.median(shapes.square[some])), np.exp(np.median(shapes.half_log_ratio[some]))
    return Elongation(
        n_spots=len(long),
        share=share,
        half_log_ratio=float(typical),
        long_px=float(middle * ratio),
        short_px=float(middle / ratio),
        sigma_px=float(np.sqrt(np.median(shapes.square))),
        photons=float(f"{np.median(shapes.photons):.2g}"),
    )


def _shapes_in(adu: NDArray, camera: Camera, sigma_px: float) -> _Shapes:
    photons = camera.to_photons(adu)
    read = np.broadcast_to(np.asarray(camera.read_noise_photons, np.float64) ** 2, photons.shape)
    place = find_isolated(photons, sigma_px, camera.variance_per_photon, read).place
    reach = int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1
    windows = cut_out(photons, place, reach).astype(np.float64)
    whole = np.isfinite(windows).all(axis=(1, 2))
    read_variance = read[place[:, 0], place[:, 1]][whole]
    return _shapes_of(windows[whole], read_variance, camera.variance_per_photon, sigma_px)


def _shapes_of(
    windows: NDArray[np.float64], read_variance: NDArray[np.float64], variance_per_photon: float, sigma_px: float
) -> _Shapes:
    """Measure spots by adaptive moments: second moments, weighted by the Gaussian that has them (Bernstein & Jarvis).

    doi:10.1086/338085. Takes photons, shape (K, n, n), and the variance of each spot's read noise, in square photons.
    """
    reach = windows.shape[1] // 2
    edge = np.concatenate([windows[:, 0], windows[:, -1], windows[:, :, 0], windows[:, :, -1]], axis=1)
    background = np.median(edge, axis=1)
    light = windows - background[:, None, None]
    y, x = np.meshgrid(*[np.arange(-reach, reach + 1.0)] * 2, indexing="ij")
    n = len(windows)
    at, yy, xx, yx = np.zeros((n, 2)), *np.full((2, n), sigma_px**2), np.zeros(n)
    sound, flux = np.ones(n, bool), np.ones(n)
    for _ in range(MAX_ROUNDS):
        v, u = y - at[:, 0, None, None], x - at[:, 1, None, None]
        determinant = np.maximum(yy * xx - yx**2, 1e-6)
        a, b, c = (value[:, None, None] for value in (xx / determinant, yy / determinant, yx / determinant))
        weighted = np.exp(-0.5 * (a * v**2 + b * u**2 - 2 * c * v * u)) * light
        flux = weighted.sum(axis=(1, 2))
        sound &= flux > 0
        flux = np.where(sound, flux, 1.0)
        mean_v, mean_u = (weighted * v).sum(axis=(1, 2)) / flux, (weighted * u).sum(axis=(1, 2)) / flux
        moments = [(weighted * p).sum(axis=(1, 2)) / flux for p in (v**2, u**2, v * u)]
        at += np.column_stack([mean_v, mean_u]).clip(-0.5, 0.5)
        new = 2 * (moments[0] - mean_v**2), 2 * (moments[1] - mean_u**2), 2 * (moments[2] - mean_v * mean_u)
        yy, xx = ((old + DAMPING * (value - old)).clip(0.1, reach**2) for old, value in ((yy, new[0]), (xx, new[1])))
        limit = 0.98 * np.sqrt(yy * xx)
        yx = (yx + DAMPING * (new[2] - yx)).clip(-limit, limit)
    sound &= (np.abs(at) < reach / 2).all(axis=1)
    yy, xx = np.maximum(yy - PIXEL_VARIANCE, 0.02), np.maximum(xx - PIXEL_VARIANCE, 0.02)
    square = (yy + xx) / 2
    ellipticity = (np.hypot(yy - xx, 2 * yx) / (yy + xx)).clip(0, 0.999)
    photons = 2 * flux  # weighted by its own shape, a Gaussian counts by half
    # The variance of the moments of a round spot: of its background, and of its own light.
    even = variance_per_photon * np.maximum(background, 0) + read_variance
    of_light = variance_per_photon * 4 * photons / 27
    noise = 2 / photons * np.sqrt(np.pi * square * even + of_light)
    return _Shapes(square[sound], np.arctanh(ellipticity[sound]) / 2, noise[sound], photons[sound])
