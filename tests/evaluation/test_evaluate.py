"""Scores: hand-worked examples, what must hold for any tables, and the real test movie's truth."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from napari_subpixel.coordinates import CENTRE_FROM_CORNER, nm_to_px
from napari_subpixel.errors import FrameShapeError, InputError
from napari_subpixel.evaluation import matching, mismatch
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.evaluation.scores import ERRORS, Evaluation, Match
from napari_subpixel.localizations import Localizations, concat

SHAPE = (20, 30)


def table(rows: ArrayLike, pixel_size_nm: float | None = 100.0, **about: object) -> Localizations:
    """Return a table of (frame, y, x) rows, in pixels."""
    frame, y, x = np.reshape(np.asarray(rows, dtype=float), (-1, 3)).T
    return Localizations({"frame": frame, "y": y, "x": x}, pixel_size_nm=pixel_size_nm, **about)


def at(yx: ArrayLike, frame: ArrayLike = 0, **about: object) -> Localizations:
    yx = np.asarray(yx, dtype=float)
    return table(np.column_stack([np.broadcast_to(frame, len(yx)), yx]), **about)


def counts(score: Match) -> tuple[int, int, int]:
    return score.true_positives, score.false_positives, score.false_negatives


def scattered(rng: np.random.Generator, n: int = 400, n_frames: int = 20) -> Localizations:
    return table(np.column_stack([rng.integers(0, n_frames, n), rng.uniform(0, 60, n), rng.uniform(0, 90, n)]))


def moved(of: Localizations, dy_nm: float, dx_nm: float) -> Localizations:
    return of.with_columns(y=of.y + dy_nm / 100, x=of.x + dx_nm / 100)


tables = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 9)), max_size=12).map(table)


# -- hand-worked -------------------------------------------------------------------------------------------------------


def test_scores_of_a_hand_worked_example() -> None:
    truth = table([(0, 2, 3), (0, 5, 7), (1, 1, 1), (2, 8, 8)])
    found = table([(1, 1.1, 1.0), (0, 2.3, 3.4), (0, 9, 9), (3, 1, 1)])
    score = evaluate(found, truth, 50)[0]
    assert score.pairs.tolist() == [[0, 2], [1, 0]]
    assert score.false_positive_rows.tolist() == [2, 3]
    assert score.missed_rows.tolist() == [1, 3]
    assert score.offsets_nm == pytest.approx(np.array([[10, 0], [30, 40]]))
    assert score.distances_nm == pytest.approx([10, 50])
    assert counts(score) == (2, 2, 2)
    assert score.jaccard == pytest.approx(1 / 3)
    assert score.f1 == score.precision == score.recall == pytest.approx(1 / 2)
    assert score.rmse_nm == pytest.approx(math.sqrt((100 + 2500) / 2))
    assert score.mean_offset_nm == pytest.approx((20, 20))


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    score = evaluate(at([(2, 3), (9, 9), (9, 19)]), at([(2, 3), (15, 3)]), 50)[0]
    assert (score.precision, score.recall, score.jaccard) == pytest.approx((1 / 3, 1 / 2, 1 / 4))
    assert score.f1 == pytest.approx(2 / (1 / score.precision + 1 / score.recall))


def test_the_efficiency_of_the_challenge_by_hand() -> None:
    # J = 1/2 and RMSE = 120 nm: 100 - sqrt(50^2 + 120^2) = 100 - 130.
    assert evaluate(at([(2, 3.2)]), at([(2, 2), (15, 20)]), 250)[0].efficiency == pytest.approx(-30)
    # J = 1 and RMSE = 30 nm.
    assert evaluate(at([(2, 2.3)]), at([(2, 2)]), 250)[0].efficiency == pytest.approx(70)


def test_each_tolerance_has_its_match_in_the_order_asked() -> None:
    found, truth = at([(2, 2.1), (5, 5.3)]), at([(2, 2), (5, 5)])
    result = evaluate(found, truth, (50, 25))
    assert [score.tolerance_nm for score in result] == [50, 25]
    assert [score.true_positives for score in result] == [2, 1]
    assert len(result) == 2
    assert [score.tolerance_nm for score in evaluate(found, truth)] == [25, 50]


def test_the_distance_counts_in_nanometres_of_the_pixel_size() -> None:
    found, truth = at([(2, 2.5)], pixel_size_nm=65), at([(2, 2)], pixel_size_nm=65)
    assert evaluate(found, truth, 33)[0].rmse_nm == pytest.approx(32.5)
    assert evaluate(found, truth, 32)[0].true_positives == 0


# -- nothing, and frames ----------------------------------------------------------------------------------------------


def test_nothing_found_where_there_is_nothing_is_perfect() -> None:
    score = evaluate(table([]), table([]), 25)[0]
    assert counts(score) == (0, 0, 0)
    assert score.jaccard == score.f1 == score.precision == score.recall == 1


def test_nothing_found_scores_zero_and_its_precision_is_not_defined() -> None:
    score = evaluate(table([]), at([(2, 2), (3, 3)]), 25)[0]
    assert counts(score) == (0, 0, 2)
    assert score.jaccard == score.f1 == score.recall == 0
    assert all(map(math.isnan, (score.precision, score.rmse_nm, score.efficiency, *score.mean_offset_nm)))


def test_all_found_is_false_where_there_is_nothing() -> None:
    score = evaluate(at([(2, 2)]), table([]), 25)[0]
    assert counts(score) == (0, 1, 0)
    assert score.precision == 0
    assert math.isnan(score.recall)


@pytest.mark.parametrize(("found", "truth"), [([], []), ([], [(0, 2, 2)]), ([(0, 2, 2)], [(0, 2, 2.1)])])
def test_the_record_is_strict_json_whatever_is_not_defined(found: ArrayLike, truth: ArrayLike) -> None:
    record = json.loads(json.dumps(evaluate(table(found), table(truth)).to_dict(), allow_nan=False))
    assert [score["tolerance_nm"] for score in record["scores"]] == [25, 50]
    assert record["warnings"] == []
    assert record["offset_removed_nm"] is None


def test_what_is_not_defined_is_null_in_the_record() -> None:
    scores = evaluate(table([]), at([(2, 2)]), 25)[0].to_dict()
    assert scores["jaccard"] == scores["recall"] == 0
    assert [scores[name] for name in ("precision", "rmse_nm", "mean_offset_nm", "efficiency")] == [None] * 4


def test_frames_count_where_either_table_has_them() -> None:
    result = evaluate(table([(0, 2, 2), (3, 2, 2)]), table([(0, 2, 2), (7, 2, 2), (7, 9, 9)]), 25)
    assert result.n_frames == 3
    assert (result.n_localizations, result.n_truth) == (2, 3)
    assert counts(result[0]) == (1, 1, 2)


def test_only_the_frames_asked_are_scored_and_rows_keep_their_numbers() -> None:
    found = table([(0, 9, 9), (4, 2, 2), (5, 3, 3), (6, 2, 2)])
    truth = table([(6, 2, 2), (5, 3, 3), (4, 9, 9)])
    score = evaluate(found, truth, 25, frames=(4, 6))[0]
    assert score.pairs.tolist() == [[2, 1]]
    assert score.false_positive_rows.tolist() == [1]
    assert score.missed_rows.tolist() == [2]
    assert counts(evaluate(found, truth, 25, frames=(None, 5))[0]) == (0, 2, 1)
    assert counts(evaluate(found, truth, 25, frames=(5, None))[0]) == (2, 0, 0)


def test_a_range_with_no_molecules_inside_the_movie_is_perfect() -> None:
    both = table([(9, 2, 2)])
    assert evaluate(both, both, 25, frames=(2, 5))[0].jaccard == 1
    assert evaluate(table([], n_frames=10), table([]), 25, frames=(2, 5))[0].jaccard == 1


# -- properties --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tables, tables)
def test_swapping_the_tables_swaps_false_and_missed(first: Localizations, second: Localizations) -> None:
    if len(first) and len(second) and not set(first.frame) & set(second.frame):
        return
    for there, back in zip(evaluate(first, second, (90, 250)), evaluate(second, first, (90, 250)), strict=True):
        tp, fp, fn = counts(there)
        assert counts(back) == (tp, fn, fp)
        assert there.distances_nm.sum() == pytest.approx(back.distances_nm.sum())


@settings(max_examples=60, deadline=None)
@given(tables, tables)
def test_every_row_has_one_status_and_pairs_grow_with_the_tolerance(
    first: Localizations, second: Localizations
) -> None:
    if len(first) and len(second) and not set(first.frame) & set(second.frame):
        return
    result = evaluate(first, second, (50, 100, 150, 400))
    for score in result:
        assert sorted([*score.pairs[:, 0], *score.false_positive_rows]) == list(range(len(first)))
        assert sorted([*score.pairs[:, 1], *score.missed_rows]) == list(range(len(second)))
        assert (score.distances_nm <= score.tolerance_nm + 1e-6).all()
    found = [score.true_positives for score in result]
    assert found == sorted(found)


def test_the_order_of_rows_does_not_matter(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    found = truth.with_columns(y=truth.y + rng.normal(0, 0.2, 400), x=truth.x + rng.normal(0, 0.2, 400))
    order = rng.permutation(400)
    for score, shuffled in zip(evaluate(found, truth), evaluate(found.select(order), truth), strict=True):
        assert counts(score) == counts(shuffled)
        back = np.column_stack([order[shuffled.pairs[:, 0]], shuffled.pairs[:, 1]])
        assert {tuple(p) for p in back} == {tuple(p) for p in score.pairs}


# -- step by step ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    # The module, which the package's function of the same name hides.
    monkeypatch.setattr(sys.modules["napari_subpixel.evaluation.evaluate"], "BLOCK_ROWS", 37)


def rows_of(result: Evaluation) -> list[bytes]:
    return [a.tobytes() for m in result for a in (m.pairs, m.offsets_nm, m.false_positive_rows, m.missed_rows)]


@pytest.mark.parametrize("options", [{}, {"remove_offset": True}, {"frames": (3, 17)}, {"border_nm": 450.0}])
def test_block_by_block_it_gives_the_same_to_the_last_bit(
    rng: np.random.Generator, request: pytest.FixtureRequest, options: dict[str, Any]
) -> None:
    truth = scattered(rng).with_about(frame_shape=(60, 90))
    found = moved(truth.select(rng.permutation(400)[:300]), 12, -7)
    found = found.with_columns(y=found.y + rng.normal(0, 0.2, 300), x=found.x + rng.normal(0, 0.2, 300))
    whole = evaluate(found, truth, (25, 250), **options)
    request.getfixturevalue("small_blocks")
    shares, steps = [], evaluate.steps(found, truth, (25, 250), **options)
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            result = end.value
            break
    assert result.to_dict() == whole.to_dict()
    assert rows_of(result) == rows_of(whole)
    assert shares == sorted(shares)
    assert len(set(shares)) > 20
    assert (shares[0], shares[-1]) == (0, 1)


@pytest.mark.usefixtures("small_blocks")
def test_a_frame_with_more_rows_than_a_block_stays_whole() -> None:
    dense = table([(frame, 0, x) for frame in (2, 3) for x in range(90)])
    early, late = table([(0, 0, 0)]), table([(3, 0, 0)])
    assert counts(evaluate(dense, dense, 25)[0]) == (180, 0, 0)
    assert counts(evaluate(dense, table([]), 25)[0]) == (0, 180, 0)
    assert counts(evaluate(concat([early, dense]), late, 25)[0]) == (1, 180, 0)


@pytest.mark.usefixtures("small_blocks")
def test_it_can_be_stopped_between_blocks(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    steps = evaluate.steps(truth, truth)
    assert 0 < next(share for share in steps if share > 0) < 0.1
    steps.close()
    assert next(steps, "over") == "over"


# -- the border --------------------------------------------------------------------------------------------------------


def test_the_border_leaves_out_its_own_rows_and_pairs_by_their_molecule() -> None:
    # 450 nm of 20 x 30 pixels: inside is y from 4 to below 15, x from 4 to below 25.
    truth = at([(9, 9), (3.9, 9), (9, 4.1), (1, 9), (12, 12)], frame_shape=SHAPE)
    found = at([(9, 9.1), (4.1, 9), (9, 3.9), (9, 25.5), (10, 20)])
    score = evaluate(found, truth, 50, border_nm=450)[0]
    # Kept: row 0 on 0, and row 2, though in the border, on molecule 2 inside. Row 1 matches molecule 1 in the border.
    assert score.pairs.tolist() == [[0, 0], [2, 2]]
    assert score.false_positive_rows.tolist() == [4]
    assert score.missed_rows.tolist() == [4]


def test_the_border_line_makes_no_false_positive_of_a_good_result(rng: np.random.Generator) -> None:
    truth = table(np.column_stack([np.arange(300), rng.uniform(-0.5, 19.5, 300), rng.uniform(-0.5, 29.5, 300)]))
    found = truth.with_columns(y=truth.y + rng.normal(0, 0.3, 300), x=truth.x + rng.normal(0, 0.3, 300))
    score = evaluate(found, truth, 250, border_nm=450, frame_shape=SHAPE)[0]
    inside = (truth.y >= 4) & (truth.y < 15) & (truth.x >= 4) & (truth.x < 25)
    assert counts(score) == (inside.sum(), 0, 0)


def test_a_border_of_nothing_leaves_out_nothing() -> None:
    beside = at([(-0.7, 31)], frame_shape=SHAPE)
    assert counts(evaluate(beside, beside, 25)[0]) == (1, 0, 0)


def test_the_frame_shape_may_come_from_either_table_or_the_caller() -> None:
    bare, shaped = at([(1, 1)]), at([(1, 1)], frame_shape=SHAPE)
    for result in (
        evaluate(shaped, bare, 25, border_nm=450),
        evaluate(bare, shaped, 25, border_nm=450),
        evaluate(bare, bare, 25, border_nm=450, frame_shape=SHAPE),
    ):
        assert counts(result[0]) == (0, 0, 0)
        assert result.border_nm == 450


# -- the constant offset ----------------------------------------------------------------------------------------------


def test_a_known_offset_is_removed_and_reported(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    found = moved(truth.with_columns(y=truth.y + rng.normal(0, 0.1, 400), x=truth.x + rng.normal(0, 0.1, 400)), 28, -46)
    plain, corrected = evaluate(found, truth, 50), evaluate(found, truth, 50, remove_offset=True)
    assert plain.offset_removed_nm is None
    assert corrected.offset_removed_nm == pytest.approx((28, -46), abs=2.5)
    assert corrected[0].mean_offset_nm == pytest.approx((0, 0), abs=2.5)
    assert corrected[0].true_positives == 400 > plain[0].true_positives
    assert corrected[0].rmse_nm == pytest.approx(10 * math.sqrt(2), rel=0.1)
    assert corrected.warnings == ()


def test_an_exact_offset_comes_off_exactly(rng: np.random.Generator) -> None:
    truth = scattered(rng, n=100)
    result = evaluate(moved(truth, 28, -46), truth, 25, remove_offset=True)
    assert result.offset_removed_nm == pytest.approx((28, -46))
    assert result[0].rmse_nm == pytest.approx(0, abs=1e-6)
    assert json.loads(json.dumps(result.to_dict()))["offset_removed_nm"] == pytest.approx([28, -46])


def test_half_a_pixel_between_two_programs_is_told_even_where_hardly_a_pair_is_left(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    result = evaluate(moved(truth, 50, 50), truth, (25, 50))
    assert max(score.true_positives for score in result) < 5
    (warning,) = result.warnings
    assert "(+50.0, +50.0) nm = (+0.50, +0.50) px" in warning
    assert "pairs within 250 nm" in warning
    assert result.to_dict()["warnings"] == [warning]


def test_scatter_alone_gives_no_warning(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    found = truth.with_columns(y=truth.y + rng.normal(0, 0.3, 400), x=truth.x + rng.normal(0, 0.3, 400))
    assert evaluate(found, truth).warnings == ()


def test_an_offset_that_is_small_or_rests_on_few_pairs_gives_no_warning(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    assert evaluate(moved(truth, 3, 3), truth).warnings == ()
    assert evaluate(moved(truth, 0, 12), truth, 50).warnings != ()
    assert evaluate(moved(truth, 0, 12), truth, 250).warnings == ()
    few = truth.select(np.arange(4))
    assert evaluate(moved(few, 50, 50), few).warnings == ()


def test_an_offset_that_could_hardly_be_estimated_is_told() -> None:
    one, far = at([(2, 2)]), at([(12, 12)])
    assert evaluate(one, far, 25, remove_offset=True).offset_removed_nm == (0, 0)
    assert "none was found up to 250 nm" in evaluate(one, far, 25, remove_offset=True).warnings[0]
    assert (
        "(+0.0, -10.0) nm, is uncertain: matched pairs 1"
        in evaluate(one, at([(2, 2.1)]), 25, remove_offset=True).warnings[0]
    )
    assert evaluate(table([]), one, 25, remove_offset=True).warnings == ()


def test_a_frame_too_dense_for_the_search_of_an_offset_is_still_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_CANDIDATES", 20)
    row = at([(2, x) for x in range(10)])
    assert counts(evaluate(row, row, 25)[0]) == (10, 0, 0)
    with pytest.raises(InputError, match="within 250 nm"):
        evaluate(row, row, 25, remove_offset=True)


# -- pixel sizes and bad input ----------------------------------------------------------------------------------------


def test_the_pixel_size_may_come_from_either_table_or_the_caller() -> None:
    known, bare = at([(2, 2)], pixel_size_nm=160), at([(2, 2.1)], pixel_size_nm=None)
    assert evaluate(known, bare)[0].rmse_nm == pytest.approx(16)
    assert evaluate(bare, known).pixel_size_nm == 160
    assert evaluate(bare, bare, pixel_size_nm=65).pixel_size_nm == 65
    assert evaluate(known, at([(2, 2)], pixel_size_nm=160.1)).pixel_size_nm == 160


def test_pixel_sizes_that_disagree_are_refused() -> None:
    with pytest.raises(InputError, match="pixel sizes differ: localizations 100 nm, truth 108 nm"):
        evaluate(at([(2, 2)]), at([(2, 2)], pixel_size_nm=108))
    with pytest.raises(InputError, match="pixel sizes differ: given 65 nm, localizations 100 nm"):
        evaluate(at([(2, 2)]), at([(2, 2)], pixel_size_nm=None), pixel_size_nm=65)


def test_an_unknown_pixel_size_is_refused() -> None:
    bare = at([(2, 2)], pixel_size_nm=None)
    with pytest.raises(InputError, match="neither the localizations nor the truth say their pixel size"):
        evaluate(bare, bare)
    with pytest.raises(InputError, match="pixel size must be positive"):
        evaluate(bare, bare, pixel_size_nm=-1)


def test_tables_with_no_frame_in_common_are_refused_unless_one_is_empty() -> None:
    with pytest.raises(InputError, match="no frame in common: frames 0 to 1 against 5 to 7, counted from 0"):
        evaluate(table([(0, 1, 1), (1, 1, 1)]), table([(5, 1, 1), (7, 1, 1)]))
    assert counts(evaluate(table([]), table([(5, 1, 1)]))[0]) == (0, 0, 1)


@pytest.mark.parametrize("frames", [(3, 3), (4, 2), (-1, 2)])
def test_an_impossible_range_of_frames_is_refused(frames: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"range from 0 such as 0:100, got {frames[0]}:{frames[1]}"):
        evaluate(at([(2, 2)]), at([(2, 2)]), frames=frames)


def test_a_range_beyond_the_last_frame_is_refused() -> None:
    with pytest.raises(InputError, match="from frame 9 on: the tables end before frame 4"):
        evaluate(table([(3, 2, 2)]), table([(3, 2, 2)]), frames=(9, 12))
    assert evaluate(table([(3, 2, 2)], n_frames=20), table([(3, 2, 2)]), frames=(9, 12)).n_frames == 0


@pytest.mark.parametrize(
    ("tolerances", "message"),
    [
        (0, "must be positive and at most .*, got 0 nm"),
        ((25, -1), "got -1 nm"),
        (math.nan, "got nan nm"),
        (math.inf, "got inf nm"),
        ((), "no tolerance was given"),
        ("wide", "must be numbers in nm, got 'wide'"),
    ],
)
def test_an_impossible_tolerance_is_refused(tolerances: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(at([(2, 2)]), at([(2, 2)]), tolerances)  # type: ignore[arg-type]


@pytest.mark.parametrize("border_nm", [-1, math.nan, math.inf])
def test_an_impossible_border_is_refused(border_nm: float) -> None:
    with pytest.raises(InputError, match="the border must be 0 or a positive number of nm"):
        evaluate(at([(2, 2)]), at([(2, 2)]), border_nm=border_nm)


def test_a_border_needs_one_frame_shape_that_has_an_inside() -> None:
    bare, shaped = at([(2, 2)]), at([(2, 2)], frame_shape=SHAPE)
    with pytest.raises(InputError, match="a border needs the shape of the frames, which neither table knows"):
        evaluate(bare, bare, border_nm=450)
    with pytest.raises(InputError, match="frame shapes differ: localizations 20 x 30 px, truth 30 x 20 px"):
        evaluate(shaped, at([(2, 2)], frame_shape=(30, 20)), border_nm=450)
    with pytest.raises(InputError, match="a border of 10 px leaves nothing of frames of 20 x 30 px"):
        evaluate(shaped, bare, border_nm=1000)


# -- the real test movie's truth --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tubes(data_folder: Path) -> Localizations:
    rows = pd.read_csv(data_folder / "deepstorm_demo1" / "test_truth.csv")
    y, x = (nm_to_px(rows[f"{axis} [nm]"], 100, first_centre_px=CENTRE_FROM_CORNER) for axis in "yx")
    return Localizations({"frame": rows["frame"] - 1, "y": y, "x": x}, pixel_size_nm=100)


def test_dense_truth_matches_itself_perfectly(tubes: Localizations) -> None:
    result = evaluate(tubes, tubes, (25, 250))
    assert result.n_frames == 361
    for score in result:
        assert counts(score) == (81_178, 0, 0)
        assert score.rmse_nm == 0
        assert score.efficiency == 100


def test_dense_truth_scattered_by_a_known_width_scores_as_expected(
    tubes: Localizations, rng: np.random.Generator
) -> None:
    dy, dx = rng.normal(0, 0.05, (2, len(tubes)))
    found = tubes.with_columns(y=tubes.y + dy, x=tubes.x + dx)
    result = evaluate(found, tubes, (25, 250))
    assert result[1].jaccard > 0.999
    assert result[1].rmse_nm == pytest.approx(5 * math.sqrt(2), rel=0.05)
    assert result[0].true_positives >= (np.hypot(dy, dx) <= 0.25).sum()
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"n_frames": 30}, "^$"),
        ({"n_frames": 10}, "the truth continues to frame 19, the movie ends at 9: the rest is left out"),
        ({"n_frames": 30, "provenance": {"frames": [0, 5]}}, "^$"),
        ({"n_frames": 30, "provenance": {"frames": [0, 20]}}, "^$"),
    ],
)
def test_frames_that_were_not_looked_at_are_told(about, words):
    n = np.arange(5)
    found = Localizations({"frame": n, "y": n + 1.0, "x": n + 2.0}, pixel_size_nm=100).with_about(**about)
    truth = Localizations({"frame": np.append(n, 19), "y": np.append(n, 3) + 1.0, "x": np.append(n, 3) + 2.0})
    assert re.search(words, " ".join(evaluate(found, truth, 50.0).warnings))


def test_some_frames_alone_need_no_warning():
    n = np.arange(5)
    found = Localizations({"frame": n, "y": n + 1.0, "x": n + 2.0}, pixel_size_nm=100, n_frames=30,
                          provenance={"frames": [0, 5]})  # fmt: skip
    truth = Localizations({"frame": np.append(n, 19), "y": np.append(n, 3) + 1.0, "x": np.append(n, 3) + 2.0})
    assert evaluate(found, truth, 50.0, frames=(0, 5)).warnings == ()


def test_an_end_of_frames_beyond_what_was_detected_is_told():
    n = np.arange(5)
    found = Localizations({"frame": n, "y": n + 1.0, "x": n + 2.0}, pixel_size_nm=100, n_frames=30,
                          provenance={"frames": [0, 5]})  # fmt: skip
    truth = Localizations({"frame": np.append(n, 19), "y": np.append(n, 3) + 1.0, "x": np.append(n, 3) + 2.0})
    assert (evaluate(found, truth)[0].false_negatives, evaluate(found, truth).frames) == (0, (0, 5))
    whole = evaluate(found, truth, frames=(0, 30))
    assert whole[0].false_negatives == 1
    assert whole.warnings == ("only frames 0 to 4 were detected; molecules of the others count as missed",)


# -- a region ----------------------------------------------------------------------------------------------------------


def test_a_region_counts_by_the_rule_of_the_border() -> None:
    # Row 9 is the last one inside: it ends at 9.5. A localization counts with its molecule, else by its own place.
    truth = at([(2, 2), (9.4, 9), (9.6, 5), (12, 12)], frame_shape=SHAPE)
    found = at([(2, 2.1), (9.6, 9), (9.4, 5), (5, 5), (15, 15)])
    result = evaluate(found, truth, 50, roi=((2, 10), (2, 13)))
    assert result[0].pairs.tolist() == [[0, 0], [1, 1]]
    assert result[0].false_positive_rows.tolist() == [3]
    assert result[0].missed_rows.tolist() == []
    assert result.to_dict()["roi"] == [[2, 10], [2, 13]]


def test_the_region_that_was_detected_is_the_default_and_another_one_is_told() -> None:
    truth = at([(2, 2), (15, 25)], frame_shape=SHAPE)
    found = at([(2, 2)], frame_shape=SHAPE, provenance={"roi": [[0, 10], [0, 10]]})
    result = evaluate(found, truth, 50)
    assert (counts(result[0]), result.roi, result.warnings) == ((1, 0, 0), ((0, 10), (0, 10)), ())
    whole = evaluate(found, truth, 50, roi=((0, 20), (0, 30)))
    assert counts(whole[0]) == (1, 0, 1)
    assert whole.warnings == (
        "only the region y 0 to 9, x 0 to 9 px was detected; molecules outside it count as missed",
    )
    with pytest.raises(InputError, match="region of interest: y 0:21 does not lie within 0:20"):
        evaluate(found, truth, roi=((0, 21), (0, 30)))
    with pytest.raises(InputError, match="region of interest: x 4:4 is empty"):
        evaluate(at([(2, 2)]), at([(2, 2)]), roi=((0, 9), (4, 4)))


def test_a_truth_of_other_frames_is_refused_unless_their_shape_is_given() -> None:
    found, truth = at([(2, 2)], frame_shape=SHAPE), at([(2, 2)], frame_shape=(20, 31))
    with pytest.raises(FrameShapeError, match="frame shapes differ: localizations 20 x 30 px, truth 20 x 31 px"):
        evaluate(found, truth)
    assert counts(evaluate(found, truth, 50, frame_shape=SHAPE)[0]) == (1, 0, 0)


# -- what may be wrong -------------------------------------------------------------------------------------------------


def found_of(truth: Localizations, rng: np.random.Generator, share: float = 0.95) -> Localizations:
    found = truth.select(np.flatnonzero(rng.random(len(truth)) < share))
    noise = rng.normal(0, 0.1, (2, len(found)))
    return found.with_columns(y=found.y + noise[0], x=found.x + noise[1])


@pytest.mark.parametrize("off_by", [1, -1])
def test_frames_off_by_one_are_told_with_both_scores(rng: np.random.Generator, off_by: int) -> None:
    truth = scattered(rng)
    found = found_of(truth.with_columns(frame=truth.frame + 1), rng)
    (warning,) = evaluate(found, truth.with_columns(frame=truth.frame + 1 - off_by)).warnings
    assert re.fullmatch(rf"shifting the truth by [+]?{off_by} frame gives Jaccard 0.9\d instead of 0.0\d", warning)


def test_frames_off_by_one_and_half_a_pixel_are_told_together(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    found = moved(found_of(truth, rng), 50, 50)
    warnings = evaluate(found.with_columns(frame=found.frame + 1), truth).warnings
    assert any(re.match(r"shifting the truth by \+1 frame gives Jaccard 0.9. .* within 250 nm", w) for w in warnings)


def test_molecules_that_stay_on_for_frames_give_no_warning_unless_frames_are_off(rng: np.random.Generator) -> None:
    places = rng.uniform(0, 60, (150, 2))
    start = rng.integers(0, 40, 150)
    truth = concat([at(places, start + k) for k in range(4)])
    found = found_of(truth, rng, 0.7)
    assert evaluate(found, truth).warnings == ()
    (warning,) = evaluate(found.with_columns(frame=found.frame + 1), truth).warnings
    assert warning.startswith("shifting the truth by +1 frame gives Jaccard 0.")


def test_swapped_axes_are_told(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    found = found_of(truth, rng)
    swapped = found.with_columns(y=found.x, x=found.y)
    (warning,) = evaluate(swapped, truth).warnings
    assert re.match(r"swapping y and x of the truth gives Jaccard 0.9\d instead of 0.0\d", warning)


def test_where_hardly_anything_matches_it_says_what_to_check(rng: np.random.Generator) -> None:
    truth = scattered(rng)
    for other in (scattered(rng), truth.with_columns(y=truth.y * 1.6, x=truth.x * 1.6)):
        (warning,) = evaluate(other, truth).warnings
        assert re.match(
            r"hardly anything matches \(Jaccard 0.0\d within 50 nm\): check the pixel size \(100 nm", warning
        )
    assert evaluate(truth.select(np.arange(20)), truth).warnings == ()


def test_a_large_set_is_compared_on_some_of_its_frames(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mismatch, "MAX_COMPARED", 100)
    truth = scattered(rng, 1200, 60)
    found = found_of(truth, rng)
    (warning,) = evaluate(found.with_columns(frame=found.frame + 1), truth).warnings
    assert re.match(r"shifting the truth by \+1 frame gives Jaccard 0.9\d", warning)


# -- photons, uncertainties and probabilities --------------------------------------------------------------------------


def test_errors_of_photons_uncertainties_and_probabilities_of_simulated_rows(rng: np.random.Generator) -> None:
    n = 20_000
    truth = at(rng.uniform(0, 1000, (n, 2)), np.arange(n) // 10).with_columns(photons=np.full(n, 1000.0))
    uncertainty = rng.uniform(0.02, 0.1, (2, n))
    found = truth.with_columns(
        y=truth.y + rng.normal(0, 2 * uncertainty[0]), x=truth.x + rng.normal(0, 2 * uncertainty[1]),
        photons=rng.normal(900, 90, n), y_uncertainty=uncertainty[0], x_uncertainty=uncertainty[1],
        probability=rng.uniform(0, 1, n),
    )  # fmt: skip
    # As many as their probability says are there, and the others lie far off.
    wrong = rng.random(n) > found["probability"]
    score = evaluate(found.with_columns(y=np.where(wrong, found.y + 5000, found.y)), truth, 250)[0]
    assert score.photon_ratio == pytest.approx(0.9, abs=0.01)
    assert score.photon_ratio_spread == pytest.approx(0.09, rel=0.1)
    assert score.error_over_uncertainty == pytest.approx(2, rel=0.05)
    assert score.robust_error_over_uncertainty == pytest.approx(2, rel=0.05)
    assert score.calibration_error < 0.02
    confident = found.with_columns(y=np.where(wrong, found.y + 5000, found.y), probability=np.ones(n))
    assert evaluate(confident, truth, 250)[0].calibration_error == pytest.approx(0.5, abs=0.02)
    assert score.to_dict()["photon_ratio"] == score.photon_ratio


def test_a_false_pair_changes_the_robust_deviation_hardly() -> None:
    n = 41
    truth = at([(0, 10 * k) for k in range(n)])
    error = np.linspace(-0.1, 0.1, n)
    error[0] = 2.0
    found = at(np.column_stack([error, truth.x])).with_columns(
        y_uncertainty=np.full(n, 0.06), x_uncertainty=np.zeros(n)
    )
    score = evaluate(found, truth, 250)[0]
    assert score.error_over_uncertainty > 5
    assert score.robust_error_over_uncertainty == pytest.approx(0.68 * 0.1 / 0.06, rel=0.1)


def test_what_the_tables_do_not_have_is_null() -> None:
    record = evaluate(at([(2, 2)]), at([(2, 2)]), 25)[0].to_dict()
    assert {record[name] for name in ERRORS} == {None}


def test_a_result_given_as_the_truth_and_the_truth_as_the_result_is_noticed():
    truth = Localizations({"frame": [0, 1], "y": [3.0, 4.0], "x": [5.0, 6.0]}, pixel_size_nm=100)
    scored = truth.with_columns(probability=[0.9, 0.8])
    made = truth.with_about(provenance={"model": "fast", "threshold": 0.5})
    for found, said in ((scored, "it has probabilities"), (made, "the model fast made it")):
        (warning,) = evaluate(truth, found).warnings
        assert said in warning
        assert "are the two tables swapped?" in warning
        assert evaluate(found, truth).warnings == evaluate(found, found).warnings == ()
