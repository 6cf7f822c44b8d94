"""The slope of the background under molecules, from a window round each that is wider than the molecule's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel.coordinates import home_pixel
from napari_subpixel.detection.points import MeasuredPoints

#: A slope is that of the pixels up to this many standard deviations of the PSF away: so many that its noise, added to
#: that of a fit, makes places less precise by some thousandths only;
WIDE_SIGMA = 8.0
#: where it differs from that of the pixels up to this many away, the background is no plane, and the latter counts,
NARROW_SIGMA = 4.0
#: in so far as the square of the difference exceeds this many times its variance.
CHANCE = 4.0
#: The least variance of a pixel, in counts.
LEAST_VARIANCE = 0.05


def background_slopes(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    light: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
) -> NDArray[np.float64]:
    """Return by how much the background rises per pixel along y and x at each point.

    Planes are fitted by weighted least squares to what the light of the molecules leaves. Of a narrow window and a wide
    one, the wide one's slope is shrunk towards the narrow one's, as a positive-part James-Stein estimate is [1]_.

    Parameters
    ----------
    counts : ndarray, shape (T, Y, X)
        Frames in counts, as `napari_subpixel.models.input_scaling.counts` makes them.
    read_variance : ndarray, shape (T, Y, X)
        Variance of the read noise, in counts.
    light : ndarray, shape (T, Y, X)
        The light of all molecules, in counts.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    points : MeasuredPoints
        Their frames are numbered as in `counts`.

    Returns
    -------
    ndarray, shape (N, 2)
        Counts per pixel, per pixel.

    References
    ----------
    .. [1] Efron & Morris, "Stein's estimation rule and its competitors", Journal of the American Statistical
       Association 68, 1973, doi:10.1080/01621459.1973.10481350.
    """
    reaches = tuple(int(np.ceil(sigma * sigma_px)) for sigma in (NARROW_SIGMA, WIDE_SIGMA))
    place = points.frame, home_pixel(points.y), home_pixel(points.x)
    return np.asarray(_slopes(counts, read_variance, light, *place, points.background_counts, *reaches, CHANCE))


@compiled
def _slopes(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    light: NDArray[np.float32],
    frame: NDArray[np.int64],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    background: NDArray[np.float64],
    narrow: int,
    wide: int,
    chance: float,
) -> NDArray[np.float64]:
    slopes = np.zeros((len(frame), 2))
    height, width = counts.shape[1:]
    for i in range(len(frame)):
        # Weighted sums of 1, y, x, yy, yx, xx, what is left, and it by y and x: of the narrow window, and of the rest.
        sums = np.zeros((2, 9))
        for row in range(max(y[i] - wide, 0), min(y[i] + wide + 1, height)):
            v = row - y[i]
            for column in range(max(x[i] - wide, 0), min(x[i] + wide + 1, width)):
                u = column - x[i]
                shine = light[frame[i], row, column]
                weight = 1 / max(shine + background[i] + read_variance[frame[i], row, column], LEAST_VARIANCE)
                rest = weight * (counts[frame[i], row, column] - shine)
                of = sums[0] if abs(v) <= narrow and abs(u) <= narrow else sums[1]
                of[0] += weight
                of[1] += weight * v
                of[2] += weight * u
                of[3] += weight * v * v
                of[4] += weight * v * u
                of[5] += weight * u * u
                of[6] += rest
                of[7] += rest * v
                of[8] += rest * u
        near = _plane(sums[0])
        far = _plane(sums[0] + sums[1])
        differ = (near[0] - far[0]) ** 2 / near[2] + (near[1] - far[1]) ** 2 / near[3]
        share = 1 - chance / differ if differ > chance else 0.0
        for k in range(2):
            slopes[i, k] = far[k] + share * (near[k] - far[k])
    return slopes


@compiled
def _plane(of: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return the slopes of a plane by weighted least squares along y and x, and their variances."""
    yy = of[3] - of[1] * of[1] / of[0]
    yx = of[4] - of[1] * of[2] / of[0]
    xx = of[5] - of[2] * of[2] / of[0]
    by_y, by_x = of[7] - of[1] * of[6] / of[0], of[8] - of[2] * of[6] / of[0]
    determinant = yy * xx - yx * yx
    if determinant <= 1e-9 * yy * xx:  # a frame of one row
        return 0.0, 0.0, np.inf, np.inf
    return (
        (xx * by_y - yx * by_x) / determinant,
        (yy * by_x - yx * by_y) / determinant,
        xx / determinant,
        yy / determinant,
    )
