"""Scores as text and in files."""

from __future__ import annotations

import csv
import json

import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.controls.scores import SCORES, parsed_tolerances, save_scores

TRUTH = Localizations({"frame": [0, 0, 1], "y": [2.0, 5.0, 3.0], "x": [3.0, 7.0, 8.0]}, pixel_size_nm=100)
FOUND = Localizations({"frame": [0, 1], "y": [2.3, 12.0], "x": [3.4, 9.0]}, pixel_size_nm=100)
EVALUATION = evaluate(FOUND, TRUTH, (25, 50))
#: Scores of what a table need not have.
ERRORS = ("Photons / true", "Spread of that", "Error / uncertainty", "The same, robust", "Calibration error")


def written(match):
    return {score.heading: score.written(match) for score in SCORES}


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize(
    ("text", "tolerances"),
    [("25, 50", (25, 50)), ("25", (25,)), ("12.5;25  25 1e2,", (12.5, 25, 100)), (" ", ())],
)
def test_tolerances_are_read_as_people_write_them(text, tolerances):
    assert parsed_tolerances(text) == tolerances


def test_tolerances_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="separated by commas, got '25, wide'"):
        parsed_tolerances("25, wide")


def test_every_score_is_written_with_its_digits():
    assert written(EVALUATION[1]) == {
        "Jaccard": "0.250",
        "F1": "0.400",
        "Precision": "0.500",
        "Recall": "0.333",
        "RMSE [nm]": "50.0",
        "Offset y [nm]": "+30.0",
        "Offset x [nm]": "+40.0",
        "Efficiency": "9.9",
        **dict.fromkeys(ERRORS, "-"),
        "True positives": "1",
        "False positives": "1",
        "Misses": "2",
    }


def test_a_score_that_is_not_defined_is_a_dash():
    dashes = [name for name, text in written(EVALUATION[0]).items() if text == "-"]
    assert dashes == ["RMSE [nm]", "Offset y [nm]", "Offset x [nm]", "Efficiency", *ERRORS]


def test_errors_of_what_both_tables_have_are_scored_as_on_the_command_line():
    columns = {"photons": [500.0, 900.0, 700.0], "probability": [0.9, 0.8, 0.7]}
    found = TRUTH.with_columns(**columns, y_uncertainty=[0.1, 0.1, 0.1], x_uncertainty=[0.1, 0.1, 0.1])
    (match,) = evaluate(found, TRUTH.with_columns(photons=[1000.0, 1000.0, 1000.0]), 50)
    scores = written(match)
    assert scores["Photons / true"] == f"{match.photon_ratio:.2f}" == "0.70"
    assert scores["Error / uncertainty"] == f"{match.error_over_uncertainty:.2f}"
    assert scores["Calibration error"] == f"{match.calibration_error:.3f}"


def test_json_is_the_document_of_the_command_line(tmp_path):
    save_scores(tmp_path / "scores.JSON", EVALUATION)
    assert json.loads((tmp_path / "scores.JSON").read_text()) == EVALUATION.to_dict()


def test_csv_has_a_row_for_each_tolerance_and_leaves_empty_what_is_not_defined(tmp_path):
    save_scores(tmp_path / "scores.csv", EVALUATION)
    first, second = rows_of(tmp_path / "scores.csv")
    assert [float(row["tolerance_nm"]) for row in (first, second)] == [25, 50]
    assert float(second["jaccard"]) == 0.25
    assert float(second["mean_offset_y_nm"]) == pytest.approx(30)
    assert float(second["mean_offset_x_nm"]) == pytest.approx(40)
    assert [first[name] for name in ("rmse_nm", "efficiency", "mean_offset_y_nm", "mean_offset_x_nm")] == [""] * 4


def test_a_name_without_a_suffix_becomes_csv_and_replaces_nothing_that_was_not_named(tmp_path):
    save_scores(tmp_path / "scores", EVALUATION)
    assert len(rows_of(tmp_path / "scores.csv")) == 2
    with pytest.raises(InputError, match=r"scores\.csv: exists already"):
        save_scores(tmp_path / "scores", EVALUATION)
    save_scores(tmp_path / "scores.csv", EVALUATION)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"written as \.csv or \.json, got \.txt"):
        save_scores(tmp_path / "scores.txt", EVALUATION)
    assert not list(tmp_path.iterdir())
