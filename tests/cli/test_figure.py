"""The commands figure and report."""

from __future__ import annotations

import json

import pytest

from napari_subpixel.runs.figure import FILES


def test_a_movie_becomes_a_figure_and_its_detection_is_kept(run, movie, tmp_path):
    folder = tmp_path / "figure"
    status, out, err = run("figure", movie, "-o", folder, "--model", "fast", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert {"files", "steps", "skipped", "nena_nm", "frc_nm", "n_localizations"} <= document.keys()
    assert (folder / "detected.parquet").exists()
    page = (folder / FILES["report"]).read_text(encoding="utf-8")
    assert f"napari-subpixel figure {movie} -o {folder} --model fast</pre>" in page
    assert "--json" not in page
    assert "exists already; --overwrite replaces it" in run("figure", movie, "-o", folder, "--model", "fast").err
    assert run("figure", movie, "-o", folder, "--model", "fast", "--resume").status == 0


def test_a_figure_never_replaces_its_movie(refuse, movie, tmp_path):
    inside = tmp_path / "image.tif"
    movie.rename(inside)
    before = inside.read_bytes()
    assert "image.tif" in refuse("figure", inside, "-o", tmp_path, "--overwrite")
    assert inside.read_bytes() == before


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_becomes_a_report(run, simulated, tmp_path, suffix):
    from napari_subpixel import formats

    formats.write(tmp_path / f"t.{suffix}", simulated[1])
    status, out, err = run("report", tmp_path / f"t.{suffix}", "-o", tmp_path / "r.html", "--json")
    assert status == 0, err
    assert json.loads(out)["n_localizations"] == len(simulated[1])
    assert "<svg" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_report_has_the_suffix_of_a_page(refuse, truth, tmp_path):
    assert "must end in .html" in refuse("report", truth, "-o", tmp_path / "r.txt")
