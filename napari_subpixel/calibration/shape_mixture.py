"""What share of noisy spots is long: a mixture of elongations, fitted to what the noise of each spot makes of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Half the logarithm of a spot's long over its short axis, in the mixture: 0 where it is round.
ELONGATIONS = (0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.19, 0.24, 0.3, 0.38, 0.48, 0.6, 0.8)
#: Spots of more than this are long, those with axes of 1.3 to 1 among them; the edges of pixels, and a microscope that
#: is not quite aligned, make of round ones a little less.
MIN_LONG = 0.105
#: Noise of the best of spots, in the same logarithm: no point spread function is exactly a Gaussian.
LEAST_NOISE = 0.02
#: Rounds of a fit.
ROUNDS = 200


class LongSpots(NamedTuple):
    """How many spots are long.

    Attributes
    ----------
    share : float
        Of all spots.
    evidence : float
        Twice the logarithm of how much likelier the spots are with that share than with the most that may be chance.
    likely : ndarray of bool, shape (K,)
        Spots that are more likely long than not.
    """

    share: float
    evidence: float
    likely: NDArray[np.bool_]


def long_spots(half_log_ratio: NDArray[np.float64], noise: NDArray[np.float64], most_by_chance: float) -> LongSpots:
    """Estimate the share of long spots: the mixture of elongations of most likelihood, by the EM algorithm [1]_.

    Noise adds to each of the two components of a spot's elongation, in random directions: what it makes of it has a
    Rice distribution.

    Parameters
    ----------
    half_log_ratio : ndarray, shape (K,)
        Half the logarithm of the long over the short axis of every spot, as measured.
    noise : ndarray, shape (K,)
        Standard deviation of each component.
    most_by_chance : float
        Share of long spots that says nothing.

    Returns
    -------
    LongSpots

    References
    ----------
    .. [1] Laird, "Nonparametric maximum likelihood estimation of a mixing distribution", Journal of the American
       Statistical Association 73, 1978, doi:10.1080/01621459.1978.10480103.
    """
    from scipy.special import ive

    values = np.array(ELONGATIONS)
    long, variance = values > MIN_LONG, noise[:, None] ** 2 + LEAST_NOISE**2
    argument = half_log_ratio[:, None] * values / variance
    likelihood = half_log_ratio[:, None] / variance * ive(0, argument)
    likelihood *= np.exp(-((half_log_ratio[:, None] - values) ** 2) / (2 * variance))
    likelihood = np.maximum(likelihood, 1e-30)
    weights, best = _fitted(likelihood, long, 1.0)
    _, by_chance = _fitted(likelihood, long, most_by_chance)
    of_long = (likelihood * weights)[:, long].sum(axis=1) / (likelihood @ weights)
    return LongSpots(float(weights[long].sum()), max(2 * (best - by_chance), 0.0), of_long > 0.5)


def _fitted(likelihood: NDArray[np.float64], long: NDArray[np.bool_], most: float) -> tuple[NDArray[np.float64], float]:
    """Return the weights of a mixture of which at most some share is long, and the logarithm of its likelihood."""
    weights = np.full(len(long), 1 / len(long))
    for _ in range(ROUNDS):
        of_each = likelihood * weights
        weights = (of_each / of_each.sum(axis=1, keepdims=True)).mean(axis=0)
        share = weights[long].sum()
        if share > most:
            weights = np.where(long, weights * most / share, weights * (1 - most) / max(1 - share, 1e-12))
    return weights, float(np.log(likelihood @ weights).sum())
