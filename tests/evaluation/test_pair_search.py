"""Neighbours are pairs of a frame within the radius, whatever the order of the points and the shape of the field."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from napari_subpixel.evaluation.pair_search import Neighbourhood


@pytest.mark.parametrize(
    "extent", [(100.0, 100.0), (1.0, 1000.0), (1000.0, 1.0), (0.0, 0.0), (100.0,), (30.0, 20.0, 60.0)]
)
@pytest.mark.parametrize("radius", [0.5, 8.0, 5000.0])
def test_all_pairs_of_a_frame_within_the_radius_are_found_once(rng, extent, radius):
    frame, other_frame = rng.integers(0, 5, 200), rng.integers(2, 7, 150)
    yx, other_yx = (rng.uniform(-0.5, 0.5, (n, len(extent))) * extent for n in (200, 150))
    near = Neighbourhood(frame, yx, other_frame, other_yx, radius)
    first, second, distance = near.pairs()
    expected = cdist(yx, other_yx)
    expected[frame[:, None] != other_frame] = np.inf
    assert near.count() == len(first)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(
        zip(*np.nonzero(expected <= radius), strict=True)
    )
    assert distance == pytest.approx(expected[first, second])


def test_a_pair_just_at_the_radius_is_one():
    place = np.zeros((1, 2))
    for other in ([3.0, 4.0], [5.0, 0.0], [0.0, -5.0]):
        near = Neighbourhood(np.zeros(1, int), place, np.zeros(1, int), np.array([other]), 5.0)
        assert near.count() == 1
