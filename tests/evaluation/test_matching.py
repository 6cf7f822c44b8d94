"""Matching: brute force, hand-worked cases, and sizes that no dense matrix would bear."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_subpixel.errors import InputError
from napari_subpixel.evaluation import matching
from napari_subpixel.evaluation.matching import estimate_shift, match

#: Points on a coarse grid: many ties, many at the same place, and distances exactly at the tolerance.
grid_points = hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(2)), elements=st.integers(0, 4).map(float))


def in_one_frame(points: ArrayLike, others: ArrayLike, tolerance_nm: float) -> NDArray[np.int64]:
    points, others = np.reshape(points, (-1, 2)).astype(float), np.reshape(others, (-1, 2)).astype(float)
    return match(np.zeros(len(points), int), points, np.zeros(len(others), int), others, tolerance_nm)


def on_a_line(*x: float) -> NDArray[np.float64]:
    return np.column_stack([np.zeros(len(x)), x])


def total(points: NDArray[np.float64], others: NDArray[np.float64], pairs: NDArray[np.int64]) -> float:
    return float(np.linalg.norm(points[pairs[:, 0]] - others[pairs[:, 1]], axis=1).sum())


def best_by_trying_all(points: NDArray[np.float64], others: NDArray[np.float64], tolerance: float) -> tuple[int, float]:
    """Most pairs and least total distance over every possible assignment."""
    if len(points) > len(others):
        points, others = others, points
    distance = cdist(points, others)
    best = (0, 0.0)
    for places in itertools.permutations(range(len(others)), len(points)):
        d = distance[np.arange(len(points)), list(places)]
        d = d[d <= tolerance]
        best = min(best, (-len(d), float(d.sum())))
    return -best[0], best[1]


def best_by_dense_matrix(
    points: NDArray[np.float64], others: NDArray[np.float64], tolerance: float
) -> tuple[int, float]:
    distance = cdist(points, others)
    allowed = distance <= tolerance
    rows, columns = linear_sum_assignment(np.where(allowed, distance, 1e6))
    kept = allowed[rows, columns]
    return int(kept.sum()), float(distance[rows, columns][kept].sum())


def test_the_nearest_pair_is_given_up_where_that_makes_two_pairs() -> None:
    assert in_one_frame(on_a_line(0, 10), on_a_line(8, 19), 10).tolist() == [[0, 0], [1, 1]]


def test_of_equally_many_pairs_the_least_total_distance_is_taken() -> None:
    # Crossed: 9 + 9 = 18. Straight: 3 + 3 = 6.
    assert in_one_frame(on_a_line(0, 6), on_a_line(9, -3), 10).tolist() == [[0, 1], [1, 0]]


def test_a_longer_total_distance_is_accepted_for_one_more_pair() -> None:
    # Two pairs would cost 0 + 0; three cost 10 + 10 + 10.
    assert len(in_one_frame(on_a_line(0, 10, 20), on_a_line(10, 20, 30), 10)) == 3


def test_of_several_near_one_the_nearest_is_taken() -> None:
    assert in_one_frame(on_a_line(-5, 2, 7), on_a_line(0), 10).tolist() == [[1, 0]]
    assert in_one_frame(on_a_line(0), on_a_line(-5, 2, 7), 10).tolist() == [[0, 1]]


def test_a_pair_exactly_at_the_tolerance_is_allowed_and_one_just_beyond_is_not() -> None:
    assert len(in_one_frame([(110, 200)], [(135, 200)], 25)) == 1
    assert len(in_one_frame([(1.1 * 100, 0)], [(1.35 * 100, 0)], 25)) == 1
    assert len(in_one_frame([(0, 0)], [(15, 20)], 25)) == 1
    assert len(in_one_frame([(0, 0)], [(0, 25.001)], 25)) == 0


def test_points_at_the_same_place_are_each_matched_once() -> None:
    assert len(in_one_frame([(5, 5)] * 4, [(5, 5)] * 3, 10)) == 3
    assert len(in_one_frame([(5, 5)] * 2000, [(5, 5)] * 1000, 10)) == 1000


def test_nothing_matches_nothing() -> None:
    assert in_one_frame([], [(0, 0)], 10).shape == (0, 2)
    assert in_one_frame([(0, 0)], [], 10).shape == (0, 2)
    assert in_one_frame([], [], 10).shape == (0, 2)


def test_the_same_place_in_another_frame_does_not_match() -> None:
    place = np.array([[3.0, 4.0]])
    for frame in (1, 10_000_000):
        assert not len(match(np.array([0]), place, np.array([frame]), place, 1000.0))


def test_rows_keep_their_numbers_where_frames_are_in_no_order() -> None:
    yx = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 70.0]])
    pairs = match(np.array([9, 2, 5]), yx, np.array([5, 9, 7]), yx[[2, 0, 1]] + 1, 10.0)
    assert pairs.tolist() == [[0, 1], [2, 0]]


def test_a_high_frame_number_costs_no_precision(rng: np.random.Generator) -> None:
    yx = rng.uniform(0, 1000, (50, 2))
    frame = np.arange(50) * 20_000_003
    assert len(match(frame, yx, frame, yx + np.array([0, 10]), 10.0)) == 50
    assert len(match(frame, yx, frame, yx + np.array([0, 10.00001]), 10.0)) == 0


@settings(max_examples=150, deadline=None)
@given(grid_points, grid_points, st.sampled_from([1.0, 2.0**0.5, 2.0, 3.0]))
def test_no_assignment_is_better_where_many_distances_tie(
    points: NDArray[np.float64], others: NDArray[np.float64], tolerance: float
) -> None:
    pairs = in_one_frame(points, others, tolerance)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    most, least = best_by_trying_all(points, others, tolerance)
    assert len(pairs) == most
    assert total(points, others, pairs) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("tolerance", [20.0, 60.0, 300.0])
def test_no_assignment_is_better_among_random_points(rng: np.random.Generator, tolerance: float) -> None:
    for _ in range(40):
        points, others = (rng.uniform(0, 150, (rng.integers(0, 7), 2)) for _ in range(2))
        pairs = in_one_frame(points, others, tolerance)
        most, least = best_by_trying_all(points, others, tolerance)
        assert len(pairs) == most
        assert total(points, others, pairs) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "tolerance"), [(700, 500, 15.0), (500, 700, 40.0), (600, 600, 400.0)])
def test_large_connected_groups_agree_with_a_dense_solver(
    rng: np.random.Generator, n: int, m: int, tolerance: float
) -> None:
    points, others = rng.uniform(0, 600, (n, 2)), rng.uniform(0, 400, (m, 2))
    pairs = in_one_frame(points, others, tolerance)
    most, least = best_by_dense_matrix(points, others, tolerance)
    assert len(pairs) == most
    assert total(points, others, pairs) == pytest.approx(least, abs=1e-6)


def test_pieces_of_work_do_not_change_the_result(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, other_frame = rng.integers(0, 40, 900), rng.integers(10, 50, 800)
    yx, other_yx = rng.uniform(0, 300, (900, 2)), rng.uniform(0, 300, (800, 2))
    whole = match(frame, yx, other_frame, other_yx, 30.0)
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 50)
    monkeypatch.setattr(matching, "_BATCH_PAIRS", 3)
    assert np.array_equal(match(frame, yx, other_frame, other_yx, 30.0), whole)
    assert (frame[whole[:, 0]] == other_frame[whole[:, 1]]).all()


def test_one_frame_of_thousands_in_one_connected_group_is_solved(rng: np.random.Generator) -> None:
    truth = rng.uniform(0, 15_000, (4000, 2))
    pairs = in_one_frame(truth + rng.normal(0, 20, truth.shape), truth, 500.0)
    assert len(pairs) == 4000
    assert (pairs[:, 0] == pairs[:, 1]).mean() > 0.9


def test_a_frame_with_too_many_candidates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_CANDIDATES", 99)
    with pytest.raises(InputError, match=r"frames 0 to 0 have 100 pairs .* within 5 nm, more than 99"):
        in_one_frame([(0, 0)] * 10, [(0, 1)] * 10, 5.0)
    assert len(in_one_frame(on_a_line(*range(0, 500, 50)), on_a_line(*range(0, 500, 50)), 5.0)) == 10


def test_a_known_shift_is_estimated_among_false_and_missing_points(rng: np.random.Generator) -> None:
    frame, truth = rng.integers(0, 200, 3000), rng.uniform(0, [5000, 7000], (3000, 2))
    kept = rng.random(3000) < 0.7
    found = np.concatenate(
        [truth[kept] + [28, -46] + rng.normal(0, 15, (kept.sum(), 2)), rng.uniform(0, 5000, (500, 2))]
    )
    found_frame = np.concatenate([frame[kept], rng.integers(0, 200, 500)])
    shift = estimate_shift(found_frame, found, frame, truth, 250.0)
    assert shift.yx_nm == pytest.approx((28, -46), abs=2)
    assert shift.length_nm == pytest.approx(np.hypot(28, 46), abs=2)
    assert shift.n_pairs > 2000
    assert shift.standard_errors > 20


def test_the_shift_of_a_large_set_is_estimated_from_some_of_its_frames(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_SHIFT_POINTS", 250)
    frame, truth = np.repeat(np.arange(100), 10), rng.uniform(0, [5000, 7000], (1000, 2))
    shift = estimate_shift(frame, truth + 50.0, frame, truth, 250.0)
    assert shift.yx_nm == pytest.approx((50, 50))
    assert shift.n_pairs == 250


def test_the_shift_of_one_large_frame_is_estimated_from_a_band_of_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_SHIFT_POINTS", 250)
    frame, truth = np.zeros(2000, int), rng.uniform(0, 90_000, (2000, 2))
    shift = estimate_shift(frame[:1500], truth[:1500] + np.array([40, -30]), frame, truth, 250.0)
    assert shift.yx_nm == pytest.approx((40, -30))
    assert 150 < shift.n_pairs <= 250


def test_without_a_pair_there_is_no_shift() -> None:
    nothing = np.empty((0, 2))
    shift = estimate_shift(np.empty(0, int), nothing, np.zeros(1, int), np.zeros((1, 2)), 250.0)
    assert (shift.yx_nm, shift.n_pairs) == ((0.0, 0.0), 0)
    assert np.isnan(shift.standard_errors)


def test_unrelated_sets_have_no_certain_shift(rng: np.random.Generator) -> None:
    for _ in range(20):
        frames = rng.integers(0, 20, (2, 400))
        places = rng.uniform(0, [6000, 9000], (2, 400, 2))
        shift = estimate_shift(frames[0], places[0], frames[1], places[1], 250.0)
        assert shift.length_nm <= 250
        assert not shift.standard_errors > 5


def test_one_pair_has_no_standard_error_and_equal_pairs_have_none() -> None:
    frame, truth = np.arange(2), np.zeros((2, 2))
    assert np.isnan(estimate_shift(frame[:1], truth[:1] + 10.0, frame[:1], truth[:1], 250.0).standard_errors)
    assert np.isinf(estimate_shift(frame, truth + 10.0, frame, truth, 250.0).standard_errors)


# -- shortest first ----------------------------------------------------------------------------------------------------


def greedy(points: ArrayLike, others: ArrayLike, tolerance_nm: float) -> list[list[int]]:
    points, others = np.reshape(points, (-1, 2)).astype(float), np.reshape(others, (-1, 2)).astype(float)
    zeros = np.zeros(len(points), int), np.zeros(len(others), int)
    return match(zeros[0], points, zeros[1], others, tolerance_nm, "greedy").tolist()


def shortest_first(points: NDArray[np.float64], others: NDArray[np.float64], tolerance: float) -> list[list[int]]:
    """Take the shortest distance of a matrix, cross out its row and column, and repeat."""
    left = sorted(
        (np.sqrt(((p - o) ** 2).sum()), *p, *o, i, j) for i, p in enumerate(points) for j, o in enumerate(others)
    )
    pairs = []
    while left and left[0][0] <= tolerance:
        *_, i, j = left[0]
        pairs.append([i, j])
        left = [candidate for candidate in left if candidate[-2] != i and candidate[-1] != j]
    return sorted(pairs)


def test_greedy_takes_the_nearest_pair_where_optimal_finds_two() -> None:
    points, others = on_a_line(0, 10), on_a_line(8, 19)
    assert greedy(points, others, 10) == [[1, 0]]
    assert len(in_one_frame(points, others, 10)) == 2


@settings(max_examples=100, deadline=None)
@given(grid_points, grid_points, st.sampled_from([1.0, 2.0, 3.0]))
def test_greedy_is_the_slow_way_where_many_distances_tie(
    points: NDArray[np.float64], others: NDArray[np.float64], tolerance: float
) -> None:
    assert greedy(points, others, tolerance) == shortest_first(points, others, tolerance)


def test_greedy_is_the_slow_way_in_many_crowded_frames(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, other_frame = rng.integers(0, 12, 300), rng.integers(0, 12, 280)
    yx, other_yx = rng.uniform(0, 200, (300, 2)), rng.uniform(0, 200, (280, 2))
    pairs = match(frame, yx, other_frame, other_yx, 30.0, "greedy")
    for number in range(12):
        rows, others = np.flatnonzero(frame == number), np.flatnonzero(other_frame == number)
        slow = [[rows[i], others[j]] for i, j in shortest_first(yx[rows], other_yx[others], 30.0)]
        assert pairs[frame[pairs[:, 0]] == number].tolist() == slow
    assert len(pairs) < len(match(frame, yx, other_frame, other_yx, 30.0))
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 50)
    assert np.array_equal(match(frame, yx, other_frame, other_yx, 30.0, "greedy"), pairs)


def test_ties_are_broken_by_position_and_not_by_the_order_of_rows() -> None:
    middle = on_a_line(10)
    assert greedy(middle, on_a_line(4, 16), 10) == [[0, 0]]
    assert greedy(middle, on_a_line(16, 4), 10) == [[0, 1]]


def test_another_pairing_is_refused() -> None:
    with pytest.raises(InputError, match="a pairing is optimal or greedy, got 'greddy'; did you mean 'greedy'"):
        match(np.zeros(1, int), on_a_line(0), np.zeros(1, int), on_a_line(0), 10.0, "greddy")  # type: ignore[arg-type]
