"""Neighbours are the pairs within a radius, each once, whatever the shape of the field; none wraps around an edge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from napari_subpixel.analysis.neighbours import NeighbourGrid, count_neighbours, neighbour_pairs
from napari_subpixel.errors import InputError


@pytest.mark.parametrize(
    "extent", [(100.0, 100.0), (1.0, 1000.0), (1000.0, 1.0), (0.0, 0.0), (30.0, 20.0, 60.0), (5.0, 300.0, 0.0)]
)
@pytest.mark.parametrize("radius", [0.5, 8.0, 40.0, 5000.0])
def test_all_pairs_within_the_radius_are_found_once(rng, extent, radius):
    points = rng.uniform(-0.5, 0.5, (300, len(extent))) * extent
    near = np.triu(cdist(points, points) <= radius, 1)
    grid = NeighbourGrid(points, radius)
    first, second = grid.pairs()
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == sorted(zip(*np.nonzero(near), strict=True))
    assert grid.n_pairs() == near.sum()
    assert grid.count().tolist() == (near | near.T).sum(axis=1).tolist()


def test_a_pair_just_at_the_radius_is_one():
    for other in ([3.0, 4.0], [5.0, 0.0], [0.0, -5.0], [3.0, -4.0]):
        assert count_neighbours([[0.0, 0.0], other], 5.0).tolist() == [1, 1]


def test_points_on_a_lattice_of_the_radius_have_the_neighbours_of_a_lattice():
    y, x = np.mgrid[:20, :30]
    first, _ = neighbour_pairs(np.column_stack([y.ravel(), x.ravel()]) * 7.0, 7.0)
    assert len(first) == 20 * 29 + 19 * 30


def test_one_far_point_costs_neither_memory_nor_pairs(rng):
    points = np.vstack([rng.uniform(0, 100, (200, 2)), [[1e12, -1e12]]])
    assert count_neighbours(points, 3.0).tolist() == ((cdist(points, points) <= 3.0).sum(axis=1) - 1).tolist()


@pytest.mark.parametrize("n", [0, 1])
def test_no_or_one_point_has_no_neighbours(n):
    grid = NeighbourGrid(np.zeros((n, 2)), 5.0)
    assert grid.count().tolist() == [0] * n
    assert [len(rows) for rows in grid.pairs()] == [0, 0]


@pytest.mark.parametrize(
    ("points", "radius", "message"),
    [
        (np.zeros(4), 1.0, r"shape \(N, 2\) or \(N, 3\), got \(4,\)"),
        ([[np.nan, 0.0]], 1.0, "must be finite"),
        ([[0.0, 0.0]], 0.0, "must be positive, got 0"),
        ([[0.0, 0.0]], np.inf, "must be positive, got inf"),
    ],
)
def test_bad_points_and_radii_are_refused(points, radius, message):
    with pytest.raises(InputError, match=message):
        NeighbourGrid(points, radius)
