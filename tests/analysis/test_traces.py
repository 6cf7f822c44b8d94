"""A trace keeps of what movie it is; what is not a table's is refused or said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.traces import check_fits, check_was_subtracted, trace_outputs
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

SOURCE = {"movie": "a.tif", "movie_frames_sha256": "12ab"}


def a_curve(n: int = 5, error_nm: float = 1.0, **more) -> DriftCurve:
    t = np.arange(n, dtype=float)
    return DriftCurve(x_nm=2 * t, y_nm=-t, x_error_nm=t * 0 + error_nm, y_error_nm=t * 0 + error_nm, **more)


def a_table(n: int = 5, *, n_frames: int | None = None, **provenance) -> Localizations:
    t = np.arange(n)
    columns = {"frame": t, "y": t + 1.0, "x": 2.0 * t, "x_uncertainty": np.full(n, 0.1)}
    return Localizations(columns, pixel_size_nm=100, n_frames=n_frames, provenance=provenance)


def test_a_trace_keeps_its_movie_its_jumps_and_where_rows_were(tmp_path):
    written = a_curve(stretches=((0, 2), (4, 5)), jumps=(4,), source=SOURCE)
    written.write(tmp_path / "t.csv")
    again = DriftCurve.read(tmp_path / "t.csv")
    assert (again.stretches, again.jumps, again.source) == (written.stretches, written.jumps, SOURCE)
    assert [file.name for file in trace_outputs(tmp_path / "t.csv")] == ["t.csv", "t-protocol.txt"]
    with pytest.raises(InputError, match=r"t\.csv: exists already"):
        written.write(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "notes", ["no json", "[1]", json.dumps({"kind": "trace of drift", "n_frames": 4, "jumps": [1]})]
)
def test_notes_that_are_not_those_of_a_trace_are_left_alone(tmp_path, notes):
    a_curve(jumps=(3,)).write(tmp_path / "t.csv")
    (tmp_path / "t-protocol.txt").write_text(notes)
    assert DriftCurve.read(tmp_path / "t.csv").jumps == ()


def test_a_trace_of_its_table_is_taken_as_it_is():
    assert check_fits(a_curve(source=SOURCE), a_table(n_frames=5, movie="renamed.tif", movie_frames_sha256="12ab"),
                      "t.csv", "f.csv") == []  # fmt: skip
    assert check_fits(a_curve(), a_table(), "t.csv", "f.csv") == []


@pytest.mark.parametrize("n", [4, 50])
def test_a_trace_of_a_movie_of_another_length_is_refused_by_both_names(n):
    message = rf"t\.csv: a trace of {n} frames of a\.tif, and f\.csv is of a movie of 5 frames of b\.tif"
    with pytest.raises(InputError, match=message):
        check_fits(a_curve(n, source=SOURCE), a_table(3, n_frames=5, movie="b.tif"), "t.csv", "f.csv")


@pytest.mark.parametrize(
    ("curve", "table", "message"),
    [
        (a_curve(source=SOURCE), a_table(n_frames=5, movie="b.tif"), "that of a.tif, and f.csv is a table of b.tif"),
        (a_curve(source=SOURCE), a_table(movie="a.tif", movie_frames_sha256="34cd"), "that of a.tif"),
        (a_curve(90), a_table(), "a trace of 90 frames, and the last row of f.csv is in frame 4"),
        (a_curve(stretches=((0, 2),)), a_table(), "3 of 5 rows of f.csv are in frames 2 to 4, where"),
        (a_curve(error_nm=8.0), a_table(), "the curve is known to 8 nm only, and the rows to 10 nm"),
    ],
)  # fmt: skip
def test_what_makes_a_trace_doubtful_is_said(curve, table, message):
    warnings = check_fits(curve, table, "t.csv", "f.csv")
    assert len(warnings) == 1
    assert message in warnings[0]


def test_a_trace_that_was_not_subtracted_is_said():
    corrected = a_curve().correct(a_table())
    assert check_was_subtracted(a_curve(), corrected, "t.csv", "f.csv") == []
    assert check_was_subtracted(a_curve(), a_table(), "t.csv", "f.csv") == []
    other = DriftCurve(*(np.full(5, 3.0) for _ in range(4)))
    assert "t.csv: is not the drift that was subtracted from f.csv" in check_was_subtracted(
        other, corrected, "t.csv", "f.csv"
    )[0]  # fmt: skip
