"""Scores as they are shown and saved: the rows of a table, and files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from napari_subpixel._util.files import atomic_output
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.scores import Evaluation, Match
from napari_subpixel.widgets.controls.saving import with_suffix
from napari_subpixel.widgets.controls.table import UNDEFINED


class Score(NamedTuple):
    """A row of the table: its heading, number format, meaning, and where it comes from."""

    heading: str
    form: str
    meaning: str
    of: Callable[[Match], float]

    def written(self, match: Match) -> str:
        """Return the score as text."""
        value = self.of(match)
        if math.isnan(value):
            return UNDEFINED
        text = format(value, self.form)
        return text.replace("-", "+") if not text.strip("+-0.") else text  # no "-0.0"


#: The rows of the table.
SCORES = (
    Score("Jaccard", ".3f", "TP / (TP + FP + FN)", lambda m: m.jaccard),
    Score("F1", ".3f", "Harmonic mean of precision and recall", lambda m: m.f1),
    Score("Precision", ".3f", "TP / (TP + FP)", lambda m: m.precision),
    Score("Recall", ".3f", "TP / (TP + FN)", lambda m: m.recall),
    Score("RMSE [nm]", ".1f", "Root-mean-square distance of the pairs", lambda m: m.rmse_nm),
    Score("Offset y [nm]", "+.1f", "Mean of localization minus truth of the pairs", lambda m: m.mean_offset_nm[0]),
    Score("Offset x [nm]", "+.1f", "Mean of localization minus truth of the pairs", lambda m: m.mean_offset_nm[1]),
    Score(
        "Efficiency",
        ".1f",
        "Of the SMLM challenge: 100 - sqrt((100 - 100 Jaccard)² + RMSE²), RMSE in nm",
        lambda m: m.efficiency,
    ),
    Score("Photons / true", ".2f", "Median over the pairs", lambda m: m.photon_ratio),
    Score("Spread of that", ".2f", "Robust standard deviation of photons / true", lambda m: m.photon_ratio_spread),
    Score(
        "Error / uncertainty",
        ".2f",
        "Standard deviation of the errors over their uncertainties: 1 where these are right",
        lambda m: m.error_over_uncertainty,
    ),
    Score(
        "The same, robust",
        ".2f",
        "As above, from the middle of the distribution, without its tails",
        lambda m: m.robust_error_over_uncertainty,
    ),
    Score(
        "Calibration error",
        ".3f",
        "Mean difference between the probabilities and the share that is true",
        lambda m: m.calibration_error,
    ),
    Score("True positives", ",d", "TP: pairs of a localization and a molecule", lambda m: m.true_positives),
    Score("False positives", ",d", "FP: localizations that match no molecule", lambda m: m.false_positives),
    Score("Misses", ",d", "FN: molecules that no localization matches", lambda m: m.false_negatives),
)


def parsed_tolerances(text: str) -> tuple[float, ...]:
    """Return the numbers in a text such as "25, 50", each once.

    Raises
    ------
    InputError
        If something in it is not a number.

    Examples
    --------
    >>> parsed_tolerances("25, 50")
    (25.0, 50.0)
    """
    parts = text.replace(";", ",").replace(",", " ").split()
    try:
        return tuple(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        raise InputError(f"tolerances are numbers in nm, separated by commas, got {text!r}") from None


def save_scores(path: str | Path, evaluation: Evaluation) -> None:
    """Write scores to a file, as its suffix (.csv or .json) says.

    Raises
    ------
    InputError
        If it has another suffix or cannot be written.
    """
    path = with_suffix(path, ".csv")
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"{path}: scores are written as .csv or .json, got {path.suffix}")
    document = evaluation.to_dict()
    with atomic_output(path) as draft, open(draft, "w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".json":
            file.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
        else:
            rows = [_flat(scores) for scores in document["scores"]]
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _flat(scores: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of a tolerance with y and x in separate columns; undefined ones are left empty."""
    offset = scores["mean_offset_nm"] or (None, None)
    others = {name: value for name, value in scores.items() if name != "mean_offset_nm"}
    return {**others, "mean_offset_y_nm": offset[0], "mean_offset_x_nm": offset[1]}
