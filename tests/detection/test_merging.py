"""Alternatives of one molecule become one point, and neighbours stay two."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.detection.merging import merge_alternatives
from napari_subpixel.detection.points import MeasuredPoints


def point(y: float, x: float, p: float, *, frame: int = 0, counts: float = 1000, spread: float = 0.1) -> list[float]:
    return [frame, y, x, p, counts, 10.0, spread, spread]


def points_of(*rows: list[float]) -> MeasuredPoints:
    frame, *others = np.array(rows, np.float64).reshape(-1, 8).T
    return MeasuredPoints(frame.astype(np.int64), *others)


def columns_of(points: MeasuredPoints) -> np.ndarray:
    return np.column_stack(list(points.arrays.values()))


def test_two_halves_on_the_edge_of_two_pixels_become_one():
    merged = merge_alternatives(points_of(point(3, 4.49, 0.5, counts=900), point(3, 4.53, 0.45, counts=1100)))
    assert merged.probability == pytest.approx([0.95])
    share = 0.45 / 0.95
    assert (merged.y, merged.x) == (pytest.approx([3]), pytest.approx([4.49 + share * 0.04]))
    assert merged.molecule_counts == pytest.approx([900 + share * 200])
    assert merged.background_counts == pytest.approx([10])
    assert merged.y_uncertainty == pytest.approx([0.1])
    assert merged.x_uncertainty == pytest.approx([np.sqrt(0.01 + share * (1 - share) * 0.04**2)])


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (point(3, 4.55, 0.9), "two certain points are two molecules"),
        (point(3, 5.3, 0.4), "too far apart"),
        (point(3, 5.1, 0.4, spread=0.05), "further apart than their uncertainties"),
        (point(3, 4.5, 0.4, frame=1), "another frame"),
    ],
)
def test_other_pairs_stay_two(second, why):
    first = point(3, 4.5, 0.8, spread=second[-1])
    points = points_of(first, second)
    np.testing.assert_array_equal(columns_of(merge_alternatives(points)), columns_of(points), why)


def test_what_is_more_than_one_molecule_stays_behind():
    points = points_of(point(3, 4.5, 0.8), point(3, 4.55, 0.4), point(3, 4.52, 0.05), point(9, 9, 0.9))
    merged = merge_alternatives(points)
    assert merged.probability.sum() == pytest.approx(points.probability.sum())
    assert sorted(merged.probability) == pytest.approx([0.2501, 0.9, 0.9999])


def test_the_expected_number_stays_in_crowds(rng):
    crowd = (point(*rng.uniform(0, 12, 2), rng.uniform(0.03, 0.9), frame=rng.integers(5)) for _ in range(2000))
    points = points_of(*crowd)
    merged = merge_alternatives(points)
    assert len(merged) < 0.8 * len(points)
    assert merged.probability.sum() == pytest.approx(points.probability.sum(), rel=1e-3)
    assert (np.diff(merged.frame) >= 0).all()


def test_four_quarters_round_a_corner_become_one():
    corner = [point(3.5 + dy, 4.5 + dx, 0.24) for dy in (-0.02, 0.03) for dx in (-0.025, 0.02)]
    merged = merge_alternatives(points_of(*corner))
    assert merged.probability == pytest.approx([0.96])


def test_the_order_of_the_points_does_not_matter(rng):
    points = points_of(*(point(*rng.uniform(0, 30, 2), rng.uniform(0.1, 0.9)) for _ in range(800)))
    shuffled = points.take(rng.permutation(800))
    merged, shuffled = (columns_of(merge_alternatives(some)) for some in (points, shuffled))
    assert 300 < len(merged) < 800
    np.testing.assert_allclose(merged[np.lexsort(merged.T)], shuffled[np.lexsort(shuffled.T)])


def test_nothing_stays_nothing_and_the_faintest_go():
    assert len(merge_alternatives(MeasuredPoints.empty())) == 0
    assert len(merge_alternatives(points_of(point(1, 1, 0.01), point(5, 5, 0.5)))) == 1
