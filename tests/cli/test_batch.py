"""``detect`` for many movies: folders, patterns and lists, settings beside a movie, and a summary that goes on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from napari_subpixel import formats


@pytest.fixture
def experiment(movie, tmp_path) -> Path:
    """A folder of two good movies and a bad one."""
    folder = tmp_path / "experiment"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        (folder / name).write_bytes(movie.read_bytes())
    (folder / "bad.tif").write_text("not a movie")
    return folder


def summary(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "summary.csv", keep_default_na=False, dtype=str).set_index("movie")


def test_a_folder_becomes_tables_and_a_summary_and_a_second_run_skips_what_is_done(run, experiment, movie, tmp_path):
    out = tmp_path / "out"
    first = run("detect", experiment, "-o", f"{out}/", "--model", "paper")
    assert first.status == 1
    assert f"2 of 3 movies done, 1 failed; {out / 'summary.csv'} lists each" in first.err
    before = summary(out)
    assert before.status.tolist() == ["done", "done", "failed"]
    assert (before.molecules[:2].astype(int) > 100).all()
    (experiment / "bad.tif").write_bytes(movie.read_bytes())
    second = run("detect", experiment, "-o", f"{out}/", "--model", "paper", "--resume")
    assert second.status == 0
    assert second.err.count("done already, skipped") == 2
    after = summary(out)
    assert after.status.tolist() == ["done"] * 3
    assert after[:2].equals(before[:2])


def test_patterns_and_lists_are_read_by_the_program_too(run, experiment, tmp_path):
    (experiment / "list.txt").write_text("b.tif\n")
    run("detect", f"{experiment}/[a].tif", f"@{experiment / 'list.txt'}", "-o", tmp_path / "out/", "--model", "paper")
    assert [Path(name).name for name in summary(tmp_path / "out").index] == ["a.tif", "b.tif"]


def test_a_pattern_of_one_movie_may_become_a_table_of_any_name(run, refuse, experiment, tmp_path):
    assert run("detect", f"{experiment}/a*", "-o", tmp_path / "found.csv", "--model", "paper").status == 0
    assert not (tmp_path / "summary.csv").exists()
    assert "several movies need a folder" in refuse("detect", experiment, "-o", tmp_path / "other.csv")
    assert "no movie has such a name" in refuse("detect", f"{experiment}/*.nd2", "-o", tmp_path / "out/")


def test_settings_beside_a_movie_go_before_the_flags_and_are_told(run, experiment, tmp_path):
    (experiment / "a.subpixel.yaml").write_text("camera: {pixel_size_nm: 80}\nthreshold: 0.4\n")
    flags = ("--model", "paper", "--threshold", 0.2, "--pixel-size-nm", 90, "--format", "parquet")
    err = run("detect", f"{experiment}/[ab].tif", "-o", tmp_path / "out/", *flags).err
    assert "a.tif: camera, threshold from a.subpixel.yaml" in err
    assert "model paper, threshold 0.4, on cpu" in err
    tables = [formats.read(tmp_path / "out" / f"{name}.parquet") for name in "ab"]
    assert [table.pixel_size_nm for table in tables] == [80, 90]
    assert [table.provenance["threshold"] for table in tables] == [0.4, 0.2]


def test_settings_are_no_movie(refuse, tmp_path):
    path = tmp_path / "a.subpixel.yaml"
    assert f"{path}: holds settings of a movie; name the movie" in refuse("detect", path, "-o", tmp_path / "o.csv")


def test_a_summary_of_somebody_elses_stays(refuse, run, experiment, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "summary.csv").write_text("precious")
    assert "is not a summary of this program" in refuse("detect", experiment / "a.tif", "-o", out)
    assert (out / "summary.csv").read_text() == "precious"
    assert run("detect", experiment / "a.tif", "-o", out, "--model", "paper", "--overwrite").status == 0
    assert len(summary(out)) == 1


def test_a_table_made_with_other_settings_is_not_skipped(run, refuse, movie, tmp_path):
    out = tmp_path / "found.csv"
    run("detect", movie, "-o", out, "--model", "paper", "--frames", "0:6")
    before = out.read_bytes()
    same = ("detect", movie, "-o", out, "--resume", "--model", "paper", "--frames", "0:6")
    assert "done already, skipped" in run(*same).err
    for flags, difference in {
        ("--threshold", 0.4): "another threshold (0.1, now 0.4)",
        ("--frames", "0:8"): "another range of frames ([0, 6], now [0, 8])",
        ("--roi", "0:20,0:20"): "another region (none, now",
        ("--baseline", 50): "another camera (none, now baseline 50",
        ("--model", "fast"): "another model (paper 8817248e, now fast",
    }.items():
        assert f"{difference}" in (message := refuse(*same, *flags))
        assert message.endswith("--overwrite makes it again")
    assert out.read_bytes() == before
    assert run(*same, "--threshold", 0.4, "--overwrite").status == 0
    assert formats.read_about(out)["provenance"]["threshold"] == 0.4


@pytest.mark.parametrize("suffix", [".csv", ".hdf5", ".parquet"])
def test_what_is_estimated_is_no_other_setting(run, movie, tmp_path, suffix):
    out = tmp_path / f"found{suffix}"
    for number in (1, 2):
        err = run("detect", movie, "-o", out, "--model", "fast", "--pixel-size-nm", 100, "--resume").err
        assert ("done already, skipped" in err) == (number == 2)


def test_a_table_of_another_program_is_skipped_with_a_warning(run, movie, tmp_path):
    (tmp_path / "found.csv").write_text('"frame","x [nm]","y [nm]"\n1,2,3\n')
    err = run("detect", movie, "-o", tmp_path / "found.csv", "--resume").err
    assert "warning: " in err
    assert "does not say how it was made" in err


def test_a_refused_command_leaves_no_folder(refuse, movie, tmp_path):
    assert "no such model" in refuse("detect", movie, "-o", f"{tmp_path}/new/out/", "--model", "papre")
    assert "0:99" in refuse("detect", movie, "-o", f"{tmp_path}/new/out/", "--frames", "0:99")
    assert not (tmp_path / "new").exists()
