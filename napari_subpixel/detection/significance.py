"""How far points stand out of the noise round them, in standard deviations: the significance of each as a molecule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_subpixel.coordinates import HALF_PIXEL, home_pixel
from napari_subpixel.detection.points import MeasuredPoints
from napari_subpixel.detection.refinement import ISOLATED_SIGMA, SUSPECTED_PROBABILITY, is_isolated

#: Pixels up to this many standard deviations of the PSF from a point's own, and one more, are compared.
WINDOW_SIGMA = 3.0
#: Steps of the fits of light and background.
N_STEPS = 4
#: The least mean of a pixel, in counts.
LEAST_MEAN = 0.05
#: Points that are compared at once.
BLOCK = 4096
#: A point is plainly too bright for noise where its light is this many standard deviations of the noise, roughly.
PLAIN = 20.0
#: Noise explains a point the more, the further below the limit it is: its probability falls to 0 over so many standard
#: deviations, and not at once, so that rounding makes no point vanish,
FALL = 0.5
#: and the less, the nearer others are: this much farther than isolated points, in standard deviations of the PSF, they
#: do not count,
NEAR_SIGMA = 0.5
#: and fully where their probability is this much above the least of a point.
NEAR_PROBABILITY = 0.1
#: Models report next to nothing that stands out by less.
LEAST_FOUND = 3.5
#: Molecules of such significances are dim, but hardly ever noise.
DIM = (5.5, 8.0)
#: As few dim points as these may be chance.
TOLERATED = 1
#: Noise beyond the limit is at most this share of the molecules,
MAX_NOISE_SHARE = 0.01
#: and at most this share of the molecules are below it.
MAX_LOST_SHARE = 0.005


def significance(
    counts: NDArray[np.float32], read_variance: NDArray[np.float32], sigma_px: float, points: MeasuredPoints
) -> NDArray[np.float64]:
    """Return the signed root of twice each isolated point's log-likelihood ratio against an even background.

    At a given place it is distributed nearly as a standard normal variable where there is background alone [1]_; noise
    is higher at the places where it is highest.

    Parameters
    ----------
    counts : ndarray, shape (T, Y, X)
        Frames in counts, as `napari_subpixel.models.input_scaling.counts` makes them.
    read_variance : ndarray, shape (T, Y, X)
        Variance of the read noise, in counts.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    points : MeasuredPoints
        Their frames are numbered as in `counts`.

    Returns
    -------
    ndarray, shape (N,)
        In standard deviations, negative where there is less light than round the point; infinite where other points are
        near, and of points that are plainly too bright for noise.

    References
    ----------
    .. [1] Wilks, "The large-sample distribution of the likelihood ratio for testing composite hypotheses", Annals of
       Mathematical Statistics 9, 1938, doi:10.1214/aoms/1177732360.
    """
    dim = _is_dim(points, read_variance, sigma_px)
    some = dim & is_isolated(points, ISOLATED_SIGMA * sigma_px) if dim.any() else dim
    return _where(some, counts, read_variance, sigma_px, points)


def discounted(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
    *,
    limit: float,
    threshold: float,
) -> MeasuredPoints:
    """Return the points that are probable enough also without what noise explains of their probability.

    All is continuous in what is known of the points: one appears or vanishes only where its probability is close to the
    threshold.

    Parameters
    ----------
    counts, read_variance, sigma_px, points
        As for `significance`.
    limit : float
        Significance from which on noise explains nothing (`least_significance`).
    threshold : float
        Least probability of a point.

    Returns
    -------
    MeasuredPoints
    """
    dim = _is_dim(points, read_variance, sigma_px)
    if not dim.any():
        return points.take(points.probability >= threshold)
    alone = 1 - _crowding(points, sigma_px, max(threshold, SUSPECTED_PROBABILITY))
    values = _where(dim & (alone > 0), counts, read_variance, sigma_px, points)
    by_noise = alone * (1 - _ramp((values - limit) / FALL + 1))
    points = replace(points, probability=points.probability * (1 - by_noise))
    return points.take(points.probability >= threshold)


def _crowding(points: MeasuredPoints, sigma_px: float, least_probability: float) -> NDArray[np.float64]:
    """Return how far each point has others near it, from 0 to 1."""
    from scipy.spatial import cKDTree

    crowding = np.zeros(len(points))
    near, far = ISOLATED_SIGMA * sigma_px, (ISOLATED_SIGMA + NEAR_SIGMA) * sigma_px
    # Frames lie apart along a third axis.
    places = np.column_stack([points.y, points.x, points.frame * (2 * far)])
    pairs = cKDTree(places).query_pairs(far, output_type="ndarray")
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    by_distance = _ramp((far - apart) / (far - near))
    by_probability = _ramp((points.probability - least_probability) / NEAR_PROBABILITY)
    for one, other in (pairs.T, pairs.T[::-1]):
        np.maximum.at(crowding, one, by_distance * by_probability[other])
    return crowding


def _ramp(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rise smoothly from 0 to 1."""
    share = share.clip(0, 1)
    return share**2 * (3 - 2 * share)


def _is_dim(points: MeasuredPoints, read_variance: NDArray[np.float32], sigma_px: float) -> NDArray[np.bool_]:
    """Return which points are not plainly too bright for noise."""
    noise = np.sqrt(4 * np.pi * (np.maximum(points.background_counts, 0.0) + np.median(read_variance) + 1)) * sigma_px
    return np.asarray(points.molecule_counts < PLAIN * noise)


def _where(
    some: NDArray[np.bool_],
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
) -> NDArray[np.float64]:
    """Return the significance of some of the points, and infinity for the others."""
    values = np.full(len(points), np.inf)
    which = np.flatnonzero(some)
    for start in range(0, len(which), BLOCK):
        block = which[start : start + BLOCK]
        values[block] = _of_some(counts, read_variance, sigma_px, points.take(block))
    return values


def _of_some(
    counts: NDArray[np.float32],
    read_variance: NDArray[np.float32],
    sigma_px: float,
    points: MeasuredPoints,
) -> NDArray[np.float64]:
    reach = int(np.ceil(WINDOW_SIGMA * sigma_px)) + 1
    yx = np.column_stack([points.y, points.x])
    pixel = home_pixel(yx)
    window = np.arange(-reach, reach + 1)
    y, x = pixel[:, :1] + window, pixel[:, 1:] + window  # (K, n)
    height, width = counts.shape[1:]
    on_frame = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    place = points.frame[:, None, None], y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None]
    shares = np.diff(ndtr((np.arange(-reach, reach + 2) - HALF_PIXEL - (yx - pixel)[:, :, None]) / sigma_px), axis=2)
    spot = shares[:, 0, :, None] * shares[:, 1, None, :]
    # Counts with read noise have the first two moments of Poisson counts of as much more as the noise's variance.
    known = read_variance[place].astype(np.float64)
    data = np.maximum(counts[place].astype(np.float64) + read_variance[place], 0.0)
    without, _ = _fitted(data, known, on_frame, np.zeros_like(spot))
    with_it, molecule_counts = _fitted(data, known, on_frame, spot)
    gain = ((data * np.log(with_it / without) - (with_it - without)) * on_frame).sum(axis=(1, 2))
    return np.sign(molecule_counts) * np.sqrt(2 * gain.clip(0))


def _fitted(
    data: NDArray[np.float64], known: NDArray[np.float64], on_frame: NDArray[np.bool_], spot: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the background, and the light of a spot that is not 0, by Fisher scoring; return means and light."""
    n_pixels = on_frame.sum(axis=(1, 2))
    background = ((data - known) * on_frame).sum(axis=(1, 2)) / n_pixels
    molecule = np.zeros_like(background)

    def mean() -> NDArray[np.float64]:
        there: NDArray[np.float64] = known + background[:, None, None] + molecule[:, None, None] * spot
        return np.maximum(there, LEAST_MEAN)

    for _ in range(N_STEPS):
        weight = on_frame / mean()
        of_spot = weight * spot
        rest = data - mean()
        ss, sb, bb = ((a * b).sum(axis=(1, 2)) for a, b in ((of_spot, spot), (of_spot, 1.0), (weight, 1.0)))
        by_spot, by_background = (of_spot * rest).sum(axis=(1, 2)), (weight * rest).sum(axis=(1, 2))
        determinant = ss * bb - sb**2
        step = np.where(determinant > 1e-12, (bb * by_spot - sb * by_background) / np.maximum(determinant, 1e-12), 0.0)
        molecule = molecule + step
        background = background + (by_background - sb * step) / bb
    return mean(), molecule


def least_significance(significances: NDArray[np.float64], n_pixels: float, sigma_px: float) -> float:
    """Return from which significance on a movie's isolated points are molecules, and not noise.

    Noise reaches a significance s with a density that is known: that of the local maxima of a smooth random field [1]_.
    Molecules' density there is extrapolated from those that are dim, but too bright for noise. The limit is so high
    that noise beyond it is at most `MAX_NOISE_SHARE` of the molecules, but no higher than that at most
    `MAX_LOST_SHARE` of them lie below it: where molecules are dim, or crowded, there is none.

    Parameters
    ----------
    significances : ndarray, shape (N,)
        Of all points that were found in some frames.
    n_pixels : float
        Pixels of these frames together.
    sigma_px : float
        Standard deviation of the point spread function, in pixels.

    Returns
    -------
    float
        To one digit, so that it does not depend on rounding; 0 where all points may be molecules.

    References
    ----------
    .. [1] Worsley et al., "A three-dimensional statistical analysis for CBF activation studies in human brain", Journal
       of Cerebral Blood Flow and Metabolism 12, 1992, doi:10.1038/jcbfm.1992.127, Eq. 1 in two dimensions.
    """
    low, high = DIM
    n_sure = max(float((significances >= low).sum()), 0.5)
    n_dim = max(float(((significances >= low) & (significances < high)).sum()) - TOLERATED, 0.0)
    limits = np.arange(LEAST_FOUND, low + 0.05, 0.1)
    noise = n_pixels / (2 * sigma_px**2) / (2 * np.pi) ** 1.5 * limits * np.exp(-(limits**2) / 2)
    lost = n_dim / (high - low) * (limits - LEAST_FOUND)
    needed = limits[np.argmax((noise <= MAX_NOISE_SHARE * n_sure) | (limits >= limits[-1]))]
    allowed = limits[lost <= MAX_LOST_SHARE * n_sure][-1]
    limit = min(needed, allowed)
    return float(round(limit, 1)) if limit > LEAST_FOUND else 0.0
