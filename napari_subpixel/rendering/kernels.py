"""Points drawn into an image in machine code: counted pixel by pixel, or as Gaussians integrated over the pixels.

A large image does not fit a processor's cache, and most of the time would go into waiting for its memory. So Gaussians
are drawn in the order of their places, and on all processors: bands of rows, each wider than the widest Gaussian, are
drawn at the same time where another lies between them. Every pixel is added to in the same order whatever the number of
processors, so the image is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.coordinates import HALF_PIXEL, whole_pixel
from napari_subpixel.psf import TRUNCATE_SIGMA

#: Points are sorted into tiles: bands of at least this many rows,
BAND_ROWS = 64
#: cut into pieces of this many columns.
TILE_COLUMNS = 256
#: Pixels that are computed together; a Gaussian's window is as wide as a multiple of this.
LANES = 8
#: Places of points that are looked up together.
BLOCK_POINTS = 1024


def _distribution() -> tuple[np.float32, ...]:
    """Return coefficients, the highest first, of (what is below t - 1/2) / t as a function of 2 (t / end)**2 - 1.

    What is below t is that of a Gaussian which is cut at the end, `TRUNCATE_SIGMA`, and raised to a sum of 1. The
    polynomial is right to 1e-8, and in single precision to 2e-7.
    """
    places = chebyshev.chebpts1(15)
    t = TRUNCATE_SIGMA * np.sqrt((places + 1) / 2)
    quotients = (ndtr(t) - ndtr(0)) / t / (ndtr(TRUNCATE_SIGMA) - ndtr(-TRUNCATE_SIGMA))
    polynomial = chebyshev.cheb2poly(chebyshev.chebfit(places, quotients, len(places) - 1))
    return tuple(polynomial[::-1].astype(np.float32))


#: For loops that do little but multiply and add: both in one step, and divisions without a check for 0.
arithmetic = partial(compiled, fastmath={"contract"}, error_model="numpy")
_COEFFICIENTS = _distribution()
_TO_PLACE = np.float32(2 / TRUNCATE_SIGMA**2)
_END = np.float32(TRUNCATE_SIGMA)
_ONE = np.float32(1)
_ZERO = np.float32(0)
_NO_STEPS = np.empty(0, np.uint8)
_whole_pixel = compiled(whole_pixel)


def add_counts(image: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    """Add 1 to the pixel of every point, in place.

    Parameters
    ----------
    image : ndarray of float32, shape (Y, X)
        What to add to.
    y, x : ndarray of float64, shape (N,)
        Positions in its pixels, none before its first. At the far edge the last bit of a conversion may have rounded a
        point out of the image; it counts in the last pixel.
    """
    _add_counts(image.reshape(-1), image.shape[0], image.shape[1], y, x)


@compiled
def _add_counts(
    flat: NDArray[np.float32], height: int, width: int, y: NDArray[np.float64], x: NDArray[np.float64]
) -> None:
    places = np.empty(BLOCK_POINTS, np.int64)
    for start in range(0, len(y), BLOCK_POINTS):
        n = min(BLOCK_POINTS, len(y) - start)
        # On their own, so that the processor computes several at once, and then waits for several pixels at once.
        for i in range(n):
            row, column = _whole_pixel(y[start + i]), _whole_pixel(x[start + i])
            places[i] = np.int64(min(row, height - 1.0)) * width + np.int64(min(column, width - 1.0))
        for i in range(n):
            flat[places[i]] += _ONE


def add_unit_gaussians(
    image: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
) -> None:
    """Add a pixel-integrated Gaussian of sum 1 for every point, in place.

    For one large image with many points, compiled, in single precision and on all processors;
    `napari_subpixel.psf.add_gaussians` is for stacks of frames, weighted points and double precision.

    Parameters
    ----------
    image : ndarray of float32, shape (Y, X)
        What to add to.
    y, x, sigma_y, sigma_x : ndarray of float64, shape (N,)
        Positions on the image, and standard deviations along each axis, in its pixels.
    """
    _draw_bands((image.shape[0], image.shape[1]), y, x, sigma_y, sigma_x, _NO_STEPS, partial(_add_gaussians, image))


def add_coloured_gaussians(
    images: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
    step: NDArray[np.uint8],
    colours: NDArray[np.float32],
) -> None:
    """Add a pixel-integrated Gaussian for every point to several images, in place, each time by the point's colour.

    Parameters
    ----------
    images : ndarray of float32, shape (channels, Y, X)
        What to add to.
    y, x, sigma_y, sigma_x : ndarray of float64, shape (N,)
        As for `add_unit_gaussians`.
    step : ndarray of uint8, shape (N,)
        Which of the colours each point has.
    colours : ndarray of float32, shape (steps, channels)
        Sums of a point in each image.
    """
    shape = images.shape[1], images.shape[2]
    _draw_bands(shape, y, x, sigma_y, sigma_x, step, partial(_add_coloured, images, colours))


def _draw_bands(
    shape: tuple[int, int],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
    step: NDArray[np.uint8],
    draw_points: Callable[[NDArray[np.float64], int], None],
) -> None:
    """Draw points band by band, every other band at the same time."""
    if not len(y):
        return
    reach = int(np.ceil(TRUNCATE_SIGMA * max(sigma_y.max(), sigma_x.max()))) + 1
    rows = max(BAND_ROWS, 2 * reach)
    points, starts = _in_order(shape[0], shape[1], rows, y, x, sigma_y, sigma_x, step)
    longest = min(2 * reach + LANES, max(shape)) + 2 * LANES

    def draw(band: int) -> None:
        draw_points(points[starts[band] : starts[band + 1]], longest)

    bands = np.flatnonzero(np.diff(starts))
    for every_other in (bands[bands % 2 == 0], bands[bands % 2 == 1]):
        on_all_processors(draw, every_other.tolist())


@compiled
def _in_order(
    height: int,
    width: int,
    rows: int,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    sigma_x: NDArray[np.float64],
    step: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return y, x, both widths and any steps, shape (N, 4 or 5), tile by tile, and where each band of rows starts."""
    down, across = height // rows + 1, width // TILE_COLUMNS + 1
    tile = np.empty(len(y), np.int64)
    ends = np.zeros(down * across + 1, np.int64)
    for i in range(len(y)):
        row, column = min(max(y[i], 0.0), height - 1.0), min(max(x[i], 0.0), width - 1.0)
        tile[i] = np.int64(row) // rows * across + np.int64(column) // TILE_COLUMNS
        ends[tile[i] + 1] += 1
    ends = np.cumsum(ends)
    starts = ends[::across].copy()
    points = np.empty((len(y), 5 if len(step) else 4))
    for i in range(len(y)):
        place = ends[tile[i]]
        ends[tile[i]] += 1
        points[place, 0], points[place, 1], points[place, 2], points[place, 3] = y[i], x[i], sigma_y[i], sigma_x[i]
        if len(step):
            points[place, 4] = step[i]
    return points, starts


@arithmetic
def _add_gaussians(image: NDArray[np.float32], points: NDArray[np.float64], longest: int) -> None:
    down, across = np.empty(longest, np.float32), np.empty(longest, np.float32)
    below = np.empty(longest + LANES, np.float32)
    for i in range(len(points)):
        y, x, sigma_y, sigma_x = points[i, 0], points[i, 1], points[i, 2], points[i, 3]
        top, height = _window(y, sigma_y, image.shape[0], 1)
        left, width = _window(x, sigma_x, image.shape[1], LANES)
        _shares(y, sigma_y, top, height, down, below)
        _shares(x, sigma_x, left, width, across, below)
        for k in range(height):
            share = down[k]
            row = image[top + k, left : left + width]
            for j in range(width):
                row[j] += share * across[j]


@arithmetic
def _add_coloured(
    images: NDArray[np.float32], colours: NDArray[np.float32], points: NDArray[np.float64], longest: int
) -> None:
    down, across = np.empty(longest, np.float32), np.empty(longest, np.float32)
    below = np.empty(longest + LANES, np.float32)
    for i in range(len(points)):
        y, x, sigma_y, sigma_x = points[i, 0], points[i, 1], points[i, 2], points[i, 3]
        top, height = _window(y, sigma_y, images.shape[1], 1)
        left, width = _window(x, sigma_x, images.shape[2], LANES)
        _shares(y, sigma_y, top, height, down, below)
        _shares(x, sigma_x, left, width, across, below)
        for channel in range(len(images)):
            weight = colours[np.int64(points[i, 4]), channel]
            for k in range(height):
                share = down[k] * weight
                row = images[channel, top + k, left : left + width]
                for j in range(width):
                    row[j] += share * across[j]


@arithmetic
def _window(place: float, sigma: float, length: int, step: int) -> tuple[int, int]:
    """Return the first of the pixels that a Gaussian falls on, and their number, rounded up to a multiple of `step`."""
    first = int(max(_whole_pixel(place - TRUNCATE_SIGMA * sigma), 0.0))
    last = int(min(_whole_pixel(place + TRUNCATE_SIGMA * sigma), length - 1.0))
    n = min((last - first + step) // step * step, length)
    return min(first, length - n), n


@arithmetic
def _shares(
    place: float, sigma: float, first: int, n: int, shares: NDArray[np.float32], below: NDArray[np.float32]
) -> None:
    """Fill in the share of a Gaussian on each of n pixels from the first: what is below one edge but not the other."""
    start, step = np.float32((first - HALF_PIXEL - place) / sigma), np.float32(_ONE / sigma)
    for k in range((n + LANES) // LANES * LANES):
        t = min(max(start + np.float32(np.int32(k)) * step, -_END), _END)
        place_of_t = t * t * _TO_PLACE - _ONE
        quotient = _ZERO
        for coefficient in _COEFFICIENTS:
            quotient = quotient * place_of_t + coefficient
        below[k] = quotient * t
    for k in range(n):
        shares[k] = below[k + 1] - below[k]
