"""Warnings where one table was processed after detection and the other was not."""

from __future__ import annotations

import numpy as np

from napari_subpixel.analysis.drift_curve import DriftCurve, undo_drift
from napari_subpixel.analysis.linking import link
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations

N_FRAMES = 200


def detected_and_truth(drift_nm: float) -> tuple[Localizations, Localizations]:
    """Return molecules that are on for four frames each, and their truth, in a sample that drifts along x."""
    rng = np.random.default_rng(5)
    n = 400
    frame = rng.integers(0, N_FRAMES - 4, n).repeat(4) + np.tile(np.arange(4), n)
    y, x = rng.uniform(2, 60, (2, n)).repeat(4, axis=1)
    x = x + drift_nm / 100 * frame / N_FRAMES
    about = {"pixel_size_nm": 100.0, "n_frames": N_FRAMES, "frame_shape": (64, 66)}
    truth = Localizations({"frame": frame, "y": y, "x": x}, **about)
    places = {axis: values + rng.normal(0, 0.1, 4 * n) for axis, values in (("y", y), ("x", x))}
    sigma = {name: np.full(4 * n, 0.1) for name in ("y_uncertainty", "x_uncertainty")}
    return Localizations({"frame": frame, **places, **sigma}, **about), truth


def line(drift_nm: float) -> DriftCurve:
    drift, none = drift_nm * np.arange(N_FRAMES) / N_FRAMES, np.zeros(N_FRAMES)
    return DriftCurve(x_nm=drift, y_nm=none, x_error_nm=none + 1, y_error_nm=none + 1)


def test_a_table_corrected_for_drift_does_not_match_a_truth_that_is_not_and_the_warning_says_why():
    found, truth = detected_and_truth(300.0)
    corrected = line(300.0).correct(found)
    (warning,) = evaluate(corrected, truth, 50).warnings
    assert warning.startswith("the localizations are corrected for drift and the truth is not: at the original pos")
    assert "Jaccard is 1.00 instead of 0.0" in warning
    assert evaluate(corrected, line(300.0).correct(truth), 50).warnings == ()
    assert evaluate(undo_drift(corrected), truth, 50).warnings == ()
    assert evaluate(corrected[:0], truth, 50)[0].true_positives == 0
    (reverse,) = evaluate(found, line(300.0).correct(truth), 50).warnings
    assert reverse.startswith("the truth is corrected for drift and the localizations are not: at the")


def test_a_correction_that_leads_to_the_truth_is_no_fault():
    found, truth = detected_and_truth(0.0)
    drifted = found.with_columns(x=found.x + 3.0 * found.frame / N_FRAMES)
    assert evaluate(line(300.0).correct(drifted), truth, 50).warnings == ()


def test_linked_rows_compared_with_rows_of_every_frame_are_a_warning():
    found, truth = detected_and_truth(0.0)
    linked = link(found).molecules
    result = evaluate(linked, truth, 50)
    assert result[0].recall < 0.3
    (warning,) = (w for w in result.warnings if "linked" in w)
    assert warning.startswith("the rows of the localizations are linked molecules, each in its first frame only")
    (reverse,) = (w for w in evaluate(found, linked, 50).warnings if "linked" in w)
    assert reverse.startswith("the rows of the truth are linked molecules")
    linked_truth = link(truth.with_columns(y_uncertainty=0.1, x_uncertainty=0.1)).molecules
    assert not any("linked" in w for w in evaluate(linked, linked_truth, 50).warnings)


def test_a_tolerance_that_is_too_small_or_pairs_by_chance_is_named():
    found, truth = detected_and_truth(0.0)
    (warning,) = evaluate(found, truth, 0.25).warnings
    assert warning.startswith("hardly anything matches within 0.25 nm (Jaccard 0.0")
    assert "and Jaccard is 1.00 within 250 nm: is the tolerance in nm?" in warning
    (warning,) = evaluate(found, truth, 2500).warnings
    assert "within 2500 nm of any place there are 4." in warning
