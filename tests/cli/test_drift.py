"""The command drift: a corrected table, its trace and its plot, and the original positions back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.localizations import Localizations, concat

N_FRAMES = 600


@pytest.fixture
def table():
    rng = np.random.default_rng(4)
    sites = rng.uniform(0, 60, (150, 2))
    frame = np.sort(rng.integers(0, N_FRAMES, 4000))
    drift = np.column_stack([frame, -0.5 * frame]) / 1000
    yx = sites[rng.integers(0, 150, 4000)] + drift + rng.normal(0, 0.1, (4000, 2))
    return Localizations(
        {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "photons": rng.uniform(200, 900, 4000),
         "y_uncertainty": np.full(4000, 0.1), "x_uncertainty": np.full(4000, 0.1)},
        pixel_size_nm=100, frame_shape=(64, 64), n_frames=N_FRAMES,
    )  # fmt: skip


@pytest.fixture
def path(table, tmp_path):
    formats.write(tmp_path / "found.parquet", table)
    return tmp_path / "found.parquet"


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_a_table_is_corrected_and_restored_in_every_format(run, path, table, tmp_path, suffix):
    out, back, trace = tmp_path / f"out.{suffix}", tmp_path / f"back.{suffix}", tmp_path / "trace.csv"
    status, text, _ = run("drift", path, "-o", out, "--trace", trace, "--json")
    assert status == 0
    report = json.loads(text)
    assert report["method"] == "molecules"
    assert 0 < report["rms_error_nm"] < 5
    assert report["y_extent_nm"] == pytest.approx(60, abs=6)
    lines = trace.read_text().splitlines()
    assert lines[0] == "frame,x_nm,y_nm,x_error_nm,y_error_nm"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(N_FRAMES))
    corrected = formats.read(out)
    last = np.array([float(cell) for cell in lines[-1].split(",")])
    assert (table.x - corrected.x)[-1] * 100 == pytest.approx(last[1], abs=0.01)
    assert run("drift", out, "-o", back, "--undo")[0] == 0
    restored = formats.read(back)
    assert restored.yx == pytest.approx(table.yx, abs=1e-4)
    assert "x_drift_nm" not in restored


def test_a_plot_is_made(run, path, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("drift", path, "-o", tmp_path / "out.csv", "--plot", tmp_path / "curve.png")[0] == 0
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_rows_are_kept_by_an_expression_and_frames(run, path, tmp_path):
    out = tmp_path / "out.parquet"
    assert run("drift", path, "-o", out, "--keep", "photons > 300", "--frames", "0:500")[0] == 0
    kept = formats.read(out)
    assert kept["photons"].min() > 300
    assert kept.frame.max() < 500
    assert kept.provenance["frames"] == [0, 500]


@pytest.fixture
def with_bead(table, tmp_path):
    rng = np.random.default_rng(5)
    frame = np.arange(N_FRAMES)
    yx = np.array([20.0, 31.0]) + np.column_stack([frame, -0.5 * frame]) / 1000 + rng.normal(0, 0.03, (N_FRAMES, 2))
    bead = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "photons": np.full(N_FRAMES, 5e3),
            "y_uncertainty": np.full(N_FRAMES, 0.03), "x_uncertainty": np.full(N_FRAMES, 0.03)}  # fmt: skip
    formats.write(tmp_path / "bead.parquet", concat([table, Localizations(bead, **table.about)]))
    return tmp_path / "bead.parquet"


@pytest.mark.parametrize("options", [["--fiducials"], ["--fiducial-at", "20.5,31"], ["--fiducial-at=2000,3100nm"]])
def test_beads_are_followed_where_they_are_found_or_picked(run, with_bead, tmp_path, options):
    status, text, err = run("drift", with_bead, "-o", tmp_path / "out.parquet", *options, "--json")
    assert status == 0
    report = json.loads(text)
    assert report["method"] == "fiducials"
    assert report["fiducials_px"] == [pytest.approx([20.3, 30.85], abs=0.1)]
    assert report["y_extent_nm"] == pytest.approx(60, abs=4)
    assert "by 1 fiducial, error" in err


def test_a_trace_of_another_table_is_applied_once_and_taken_back(run, path, table, with_bead, tmp_path):
    trace, out = tmp_path / "trace.csv", tmp_path / "out.parquet"
    assert run("drift", with_bead, "-o", tmp_path / "bead-out.parquet", "--fiducials", "--trace", trace)[0] == 0
    status, text, _ = run("drift", path, "-o", out, "--apply", trace, "--json")
    assert status == 0
    assert json.loads(text)["method"] == "trace"
    drift = DriftCurve.read(trace)
    corrected = formats.read(out)
    assert (table.y - corrected.y) * 100 == pytest.approx(drift.y_nm[table.frame], abs=0.01)
    assert corrected.provenance["drift"]["method"] == "trace"
    status, _, err = run("drift", out, "-o", tmp_path / "twice.parquet", "--apply", trace)
    assert status == 2
    assert "drift was subtracted from it already; --undo restores the original positions" in err
    assert run("drift", out, "-o", tmp_path / "back.parquet", "--undo")[0] == 0
    assert formats.read(tmp_path / "back.parquet").yx == pytest.approx(table.yx, abs=1e-5)


def test_a_trace_of_early_frames_promises_little_of_the_later_ones(run, path, table, tmp_path):
    early, out = tmp_path / "early.csv", tmp_path / "out.parquet"
    assert run("drift", path, "-o", tmp_path / "part.parquet", "--frames", "0:250", "--trace", early)[0] == 0
    status, text, err = run("drift", path, "-o", out, "--apply", early, "--json")
    assert status == 0
    n_later = int((table.frame >= 250).sum())
    assert f"{n_later:,} of 4,000 rows of {path} are in frames 250 to 599, where the trace had none" in err
    off = np.abs((table.yx - formats.read(out).yx) * 100 - np.column_stack([table.frame, -0.5 * table.frame]) / 10)
    assert json.loads(text)["rms_error_nm"] > 0.5 * np.sqrt((off**2).mean())


def test_a_trace_of_a_movie_of_another_length_is_refused(run, refuse, path, table, tmp_path):
    trace = tmp_path / "trace.csv"
    assert run("drift", path, "-o", tmp_path / "part.parquet", "--trace", trace)[0] == 0
    formats.write(tmp_path / "short.csv", table.in_frames(0, 300).with_about(n_frames=300))
    said = "trace.csv: a trace of 600 frames, and "
    assert said in refuse("drift", tmp_path / "short.csv", "-o", tmp_path / "out.csv", "--apply", trace)
    assert said in refuse("report", tmp_path / "short.csv", "-o", tmp_path / "out.html", "--trace", trace)
    assert not {"out.csv", "out.html"} & {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--undo"], "no drift was subtracted from the table"),
        (["--undo", "--fiducials"], "--undo restores a table: without --fiducials"),
        (["--apply", "t.csv", "--trace", "u.csv"], "--apply subtracts the drift of a trace: without --trace"),
        (["--apply", "no.csv"], "no.csv"),
        (["--fiducials", "--fiducial-at", "1,2"], "give one of them"),
        (["--fiducial-at", "1;2"], "a place is Y,X in pixels or Y,Xnm, got '1;2'"),
        (["--fiducial-at", "500,500"], "there is no fiducial within 200 nm of y 500, x 500 px"),
        (["--fiducials"], "there is no fiducial"),
        (["--frames", "7:8"], "are in frame 7"),
        (["--keep", "photons > 1e9"], "no rows"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(run, path, tmp_path, arguments, message):
    status, _, err = run("drift", path, "-o", tmp_path / "out.csv", *arguments)
    assert status == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "out.csv").exists()


def test_an_output_that_exists_or_is_the_input_is_refused(run, path, tmp_path):
    (tmp_path / "trace.csv").write_text("mine")
    status, _, err = run("drift", path, "-o", tmp_path / "out.csv", "--trace", tmp_path / "trace.csv")
    assert status == 2
    assert "exists already; --overwrite replaces it" in err
    assert run("drift", path, "-o", path, "--overwrite")[0] == 2
    assert run("drift", path, "-o", tmp_path / "out.csv", "--trace", path, "--overwrite")[0] == 2
    status, _, err = run("drift", path, "-o", tmp_path / "out.csv", "--trace", tmp_path / "out.csv")
    assert status == 2
    assert "out.csv: is the name of two outputs" in err
    assert not (tmp_path / "out.csv").exists()


def test_a_table_in_pixels_needs_a_pixel_size(run, table, tmp_path):
    bare = tmp_path / "bare.parquet"
    formats.write(bare, table.with_about(pixel_size_nm=None))
    status, _, err = run("drift", bare, "-o", tmp_path / "out.parquet")
    assert status == 2
    assert "--pixel-size-nm" in err
    assert run("drift", bare, "-o", tmp_path / "out.parquet", "--pixel-size-nm", "100")[0] == 0


def test_a_second_correction_is_refused_with_the_way_back(run, refuse, path, tmp_path):
    assert run("drift", path, "-o", tmp_path / "out.csv").status == 0
    message = refuse("drift", tmp_path / "out.csv", "-o", tmp_path / "twice.csv")
    assert message.endswith("far below its own; --undo restores the original positions")


@pytest.mark.parametrize("command", ["drift", "resolution"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"frame","x [nm]","y [nm]"\n-5,100,200\n', "line 2, column 'frame': frame -5"),
        ('"frame","x [nm]","y [nm]"\n1,nan,200\n2,1,2\n', "line 2, column 'x [nm]': expected a finite number"),
        ("", "the file is empty (0 bytes)"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(refuse, tmp_path, command, text, message):
    (tmp_path / "bad.csv").write_text(text)
    output = ("-o", tmp_path / "out.csv") if command == "drift" else ()
    line = refuse(command, tmp_path / "bad.csv", *output, "--pixel-size-nm", 100)
    assert "bad.csv" in line
    assert message in line


def test_uncertainties_that_are_missing_are_a_warning_and_the_drift_is_found(run, table, tmp_path):
    bare = Localizations({name: table[name] for name in ("frame", "y", "x")}, **table.about)
    formats.write(tmp_path / "bare.parquet", bare)
    status, _, err = run("drift", tmp_path / "bare.parquet", "-o", tmp_path / "out.parquet")
    assert status == 0
    assert "bare.parquet: the table has no uncertainties" in err
