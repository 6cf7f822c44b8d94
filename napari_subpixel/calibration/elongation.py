"""Elongation of isolated spots: behind an astigmatic lens, out of focus or where molecules move, they are not round."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.calibration.shape_mixture import long_spots
from napari_subpixel.calibration.spot_finding import evenly_spread_frames
from napari_subpixel.calibration.spot_fitting import IsolatedMaxima, cut_out, find_isolated
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import PixelSize, pixel_size_yx
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames searched at first,
MIN_FRAMES = 12
#: and at most, where spots are few.
MAX_FRAMES = 100
#: No more frames are searched when this many spots are found.
ENOUGH_SPOTS = 300
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
#: A spot whose short axis is less than this share of the PSF is noise.
MIN_SHORT_SIGMA = 0.45
#: Noise adds to itself, as it moves the weights too, by so many times itself.
NOISE_IN_WEIGHTS = 3.0
#: Narrower spots than this, in pixels, hardly show whether they are round.
MIN_SIGMA_PX = 0.75
#: A movie's spots are not round where this share of them is not, so that a fifth is hardly ever missed,
MAX_SHARE = 0.15
#: and where they are likelier by this, in twice the logarithm of the likelihood, than with fewer:
MIN_EVIDENCE = 7.0
#: this share says nothing.
CHANCE_SHARE = 0.07
#: Spots are not round on average where their mean elongation exceeds this, half the logarithm of long over short: a PSF
#: of axes of 1.15 to 1 is a round one to a model,
MAX_MEAN = 0.07
#: by this many of its standard errors.
SURE_MEAN = 3.0
#: Spread of the elongations of spots beyond their noise, which limits the weight of the brightest.
LEAST_SPREAD = 0.05
#: Of spots with as many others near them as one on average, so many are two in one, and long.
PAIRS_PER_NEIGHBOUR = 0.35


class Elongation(NamedTuple):
    """How elongated the isolated spots of a movie are.

    Attributes
    ----------
    n_spots : int
        Isolated bright spots that were measured.
    share : float
        Share of them that are not round, without those that noise makes look so, or that are two molecules in one.
    evidence : float
        Twice the logarithm of how much likelier they are with that share than with what may be chance.
    long_px, short_px : float
        Typical standard deviations along both axes, in pixels, of the spots that are not round; of all where few are.
    sigma_px : float
        Typical standard deviation of all, the root mean square of both axes, in pixels.
    photons : float
        Median light of all, to two digits.
    mean, mean_error : float
        Half the logarithm of long over short axis, as vectors of twice the angle, averaged over all spots, and its
        standard error: what they have in common, however noisy each one is, without what oblong pixels do.
    angle_deg : float
        Direction in which they are long on average, from the x axis towards the y axis, -90 to 90.
    """

    n_spots: int
    share: float
    evidence: float
    long_px: float
    short_px: float
    sigma_px: float
    photons: float
    mean: float = 0.0
    mean_error: float = 0.0
    angle_deg: float = 0.0

    @property
    def is_round(self) -> bool:
        """Whether the spots are round, one by one and on average."""
        return self.few_are_long and self.is_round_on_average

    @property
    def few_are_long(self) -> bool:
        """Whether nearly all spots are round, as far as can be seen: the pixels' edges show in narrower ones."""
        if self.sigma_px < MIN_SIGMA_PX:
            return True
        return self.share < MAX_SHARE or self.evidence < MIN_EVIDENCE

    @property
    def is_round_on_average(self) -> bool:
        """Whether what all spots have in common is round."""
        return self.sigma_px < MIN_SIGMA_PX or self.mean < MAX_MEAN + SURE_MEAN * self.mean_error

    @property
    def text(self) -> str:
        """What was measured, as a phrase."""
        if self.few_are_long:
            ratio = np.exp(2 * self.mean)
            times = f"{ratio:.2f} ± {2 * self.mean_error * ratio:.2f} times as long as wide"
            where = f"at {self.angle_deg:.0f}° from x to y"
            return f"{self.n_spots} isolated spots are not round, but on average {times}, {where}"
        which = f"{self.share:.0%} of {self.n_spots} isolated spots"
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
    n_bright = n_near = 0
    for index, number in enumerate(order.tolist()):
        n_spots = sum(len(shapes.square) for shapes in found)
        if n_spots >= (ENOUGH_SPOTS if index >= MIN_FRAMES else MAX_SPOTS):
            break
        yield index / len(order)
        frame = stack.read(number, number + 1)
        check_finite(frame, number, stack.name)
        try:
            maxima, shapes = _shapes_in(frame[0], camera, sigma_px)
        except InputError:  # the frame is too small
            return None
        found.append(shapes)
        n_bright, n_near = n_bright + maxima.n_bright, n_near + maxima.n_near
    shapes = _Shapes(*(np.concatenate(values) for values in zip(*found, strict=True)))
    if len(shapes.square) < MIN_SPOTS:
        return None
    return _summary(shapes, n_near / max(n_bright, 1), _of_pixels(camera.pixel_size_nm or stack.pixel_size_nm))


class _Shapes(NamedTuple):
    """Shapes of spots: mean square width, half the logarithm of long over short axis, its direction, noise, light.

    The direction is the angle from x to y; the noise what it makes of a round spot's elongation.
    """

    square: NDArray[np.float64]
    half_log_ratio: NDArray[np.float64]
    angle: NDArray[np.float64]
    noise: NDArray[np.float64]
    photons: NDArray[np.float64]


def _of_pixels(size_nm: PixelSize | None) -> float:
    """Return how long along x a round PSF is on such pixels, half the logarithm of the ratio of its axes."""
    if size_nm is None:
        return 0.0
    height, width = pixel_size_yx(size_nm)
    return float(np.log(height / width) / 2)


def _summary(shapes: _Shapes, neighbours: float, of_pixels: float) -> Elongation:
    """Summarise the shapes of spots, given how many others a spot has near it on average, and what the pixels do."""
    pairs = PAIRS_PER_NEIGHBOUR * neighbours
    found = long_spots(shapes.half_log_ratio, shapes.noise, min(CHANCE_SHARE + pairs, 0.9))
    share = max(found.share - pairs, 0.0)
    some = found.likely if share >= MAX_SHARE and found.likely.any() else np.ones(len(shapes.square), bool)
    mean, error, angle = _common(shapes, of_pixels)
    middle, ratio = np.sqrt(np.median(shapes.square[some])), np.exp(np.median(shapes.half_log_ratio[some]))
    return Elongation(
        n_spots=len(some),
        share=share,
        evidence=found.evidence,
        long_px=float(middle * ratio),
        short_px=float(middle / ratio),
        sigma_px=float(np.sqrt(np.median(shapes.square))),
        photons=float(f"{np.median(shapes.photons):.2g}"),
        mean=mean,
        mean_error=error,
        angle_deg=angle,
    )


def _common(shapes: _Shapes, of_pixels: float) -> tuple[float, float, float]:
    """Return the mean elongation of spots without that of the pixels, its standard error and direction in degrees."""
    each = shapes.half_log_ratio * np.exp(2j * shapes.angle)
    weight = 1 / (shapes.noise**2 + LEAST_SPREAD**2)
    weight /= weight.sum()
    mean = complex(weight @ each) - of_pixels
    error = np.sqrt((weight**2 @ np.abs(each - of_pixels - mean) ** 2) / 2)  # of either component
    return abs(mean), float(error), float(np.degrees(np.angle(mean)) / 2)


def _shapes_in(adu: NDArray, camera: Camera, sigma_px: float) -> tuple[IsolatedMaxima, _Shapes]:
    """Return the bright spots of a frame, and the shapes of those that are isolated."""
    photons = camera.to_photons(adu)
    read = np.broadcast_to(np.asarray(camera.read_noise_photons, np.float64) ** 2, photons.shape)
    maxima = find_isolated(photons, sigma_px, camera.variance_per_photon, read)
    place = maxima.place
    reach = int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1
    windows = cut_out(photons, place, reach).astype(np.float64)
    whole = np.isfinite(windows).all(axis=(1, 2))
    read_variance = read[place[:, 0], place[:, 1]][whole]
    return maxima, _shapes_of(windows[whole], read_variance, camera.variance_per_photon, sigma_px)


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
    measured = (yy + xx) / 2
    yy, xx = np.maximum(yy - PIXEL_VARIANCE, 0.02), np.maximum(xx - PIXEL_VARIANCE, 0.02)
    square = (yy + xx) / 2
    ellipticity = (np.hypot(yy - xx, 2 * yx) / (yy + xx)).clip(0, 0.999)
    # Noise alone can be narrower than any molecule.
    sound &= square * (1 - ellipticity) > (MIN_SHORT_SIGMA * sigma_px) ** 2
    photons = 2 * flux  # weighted by its own shape, a Gaussian counts by half
    # The variance of the moments of a round spot: of its background, and of its own light.
    even = variance_per_photon * np.maximum(background, 0) + read_variance
    of_light = variance_per_photon * 4 * photons / 27
    noise = 2 / photons * np.sqrt(np.pi * measured * even + of_light) * measured / square
    noise *= 1 + NOISE_IN_WEIGHTS * noise
    angle = np.arctan2(2 * yx, xx - yy) / 2
    shapes = square, np.arctanh(ellipticity) / 2, angle, noise, photons
    return _Shapes(*(values[sound] for values in shapes))
