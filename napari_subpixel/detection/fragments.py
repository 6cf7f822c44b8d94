"""Fragments of one molecule become one, where it is known how bright molecules are.

A network that knows round spots takes a long one for several molecules in a row, which share its light. Where molecules
are about equally bright, and it is known how bright, points near each other that give together about as much as one
molecule are one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.detection.points import MeasuredPoints

#: Fragments are at most this far from the next one, in standard deviations of the PSF.
MAX_DISTANCE_SIGMA = 3.0
#: The light of one molecule, over that of a typical one: more than this is nearer, as a factor, to the light of two.
MAX_LIGHT_FACTOR = 2**0.5


def join_fragments(points: MeasuredPoints, sigma_px: float, molecule_counts: float) -> MeasuredPoints:
    """Join points that together give about the light of one molecule, the nearest first.

    Parameters
    ----------
    points : MeasuredPoints
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    molecule_counts : float
        Light of a typical molecule, in counts.

    Returns
    -------
    MeasuredPoints
        A joined point has the light of all its fragments, their centre of light, and the highest of their
        probabilities; its background and its uncertainties are means, weighted by light.
    """
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return points
    distance = MAX_DISTANCE_SIGMA * sigma_px
    # Frames lie apart along a third axis.
    places = np.column_stack([points.y, points.x, points.frame * (2 * distance)])
    pairs = cKDTree(places).query_pairs(distance, output_type="ndarray")
    if not len(pairs):
        return points
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    group = _groups(pairs[np.lexsort((*pairs.T, apart))], points.molecule_counts, MAX_LIGHT_FACTOR * molecule_counts)
    first, which = np.unique(group, return_inverse=True)
    return _joined(points, first, which)


def _groups(pairs: NDArray[np.int64], molecule_counts: NDArray[np.float64], most_counts: float) -> NDArray[np.int64]:
    """Return the first point of each point's molecule: pairs are joined in their order, up to some light."""
    parent, light = list(range(len(molecule_counts))), molecule_counts.tolist()

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for i, k in pairs.tolist():
        one, other = sorted((root(i), root(k)))
        if one != other and light[one] + light[other] <= most_counts:
            parent[other] = one
            light[one] += light[other]
    return np.array([root(k) for k in range(len(parent))])


def _joined(points: MeasuredPoints, first: NDArray[np.int64], which: NDArray[np.int64]) -> MeasuredPoints:
    """Return one point for each group: of each group its first point, of each point its group."""
    light = np.bincount(which, points.molecule_counts).astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(which, values * points.molecule_counts) / light

    probability = np.zeros(len(first))
    np.maximum.at(probability, which, points.probability)
    return MeasuredPoints(
        frame=points.frame[first],
        y=mean(points.y),
        x=mean(points.x),
        probability=probability,
        molecule_counts=light,
        background_counts=mean(points.background_counts),
        y_uncertainty=np.sqrt(mean(points.y_uncertainty**2)),
        x_uncertainty=np.sqrt(mean(points.x_uncertainty**2)),
    )
