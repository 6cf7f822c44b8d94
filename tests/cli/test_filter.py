"""The command filter, and --keep of the commands that read a table."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(8)
    n = 3000
    table = Localizations(
        {"frame": np.sort(rng.integers(0, 40, n)), "y": rng.uniform(0, 30, n), "x": rng.uniform(0, 50, n),
         "photons": rng.uniform(100, 1000, n), "y_uncertainty": np.full(n, 0.1),
         "x_uncertainty": rng.uniform(0.05, 0.3, n)},
        pixel_size_nm=100, frame_shape=(32, 52), n_frames=40,
    )  # fmt: skip
    formats.write(tmp_path / "found.parquet", table)
    return tmp_path / "found.parquet"


def test_an_expression_frames_and_a_region_together(run, path, tmp_path):
    out = tmp_path / "kept.parquet"
    chosen = ("--keep", "Intensity > 500 and lpx < 0.02 um", "--frames", "10:30", "--roi", "0:20,5:40")
    status, text, err = run("filter", path, "-o", out, *chosen, "--json")
    assert status == 0
    table, kept = formats.read(path), formats.read(out)
    rows = (table["photons"] > 500) & (table["x_uncertainty"] < np.float32(0.2))
    rows &= (table.frame >= 10) & (table.frame < 30) & (table.y < 19.5) & (table.x >= 4.5) & (table.x < 39.5)
    np.testing.assert_array_equal(kept.yx, table.yx[rows])
    report = json.loads(text)
    assert (report["n_rows"], report["n_kept"]) == (3000, rows.sum())
    assert report["keep"] == "Intensity > 500 & lpx < 20 nm"
    assert [step["keep"] for step in kept.provenance["filters"] if "keep" in step] == [report["keep"]]
    assert (kept.provenance["frames"], kept.provenance["roi"]) == ([10, 30], [[0, 20], [5, 40]])
    assert f"{rows.sum():,} of " in err


def test_the_provenance_of_an_expression_is_in_every_format(run, path, tmp_path):
    for name in ("kept.csv", "kept.hdf5"):
        assert run("filter", path, "-o", tmp_path / name, "--keep", "photons > 500").status == 0
        assert formats.read(tmp_path / name).provenance["filters"][0]["keep"] == "photons > 500"


def test_rows_with_neighbours_are_kept(run, path, tmp_path):
    out = tmp_path / "dense.parquet"
    assert run("filter", path, "-o", out, "--min-neighbours", 3, "--radius-nm", 60).status == 0
    assert 0 < len(formats.read(out)) < 3000


def test_nothing_kept_is_a_table_and_a_warning(run, path, tmp_path):
    status, _, err = run("filter", path, "-o", tmp_path / "none.csv", "--keep", "photons < 0")
    assert status == 0
    assert "warning: " in err
    assert "no row is kept" in err
    assert len(formats.read(tmp_path / "none.csv")) == 0


def test_what_cannot_be_is_one_line(refuse, path, tmp_path):
    out = tmp_path / "kept.csv"
    assert "'^phtons > 5': unknown column 'phtons'; did you mean 'photons'?" in refuse(
        "filter", path, "-o", out, "--keep", "phtons > 5"
    )
    assert "'photons >^': ends" in refuse("filter", path, "-o", out, "--keep", "photons >")
    assert "nothing to filter by" in refuse("filter", path, "-o", out)
    assert "--min-neighbours needs --radius-nm" in refuse("filter", path, "-o", out, "--radius-nm", 5)
    assert "are none" in refuse("filter", path, "-o", out, "--frames=5:5")
    assert "holds no pixel" in refuse("filter", path, "-o", out, "--roi", "5:5,0:9")
    assert str(path) in refuse("filter", path, "-o", path, "--keep", "photons > 5", "--overwrite")
    assert not out.exists()


def test_a_table_in_pixels_is_asked_for_its_pixel_size(run, refuse, tmp_path):
    path = tmp_path / "px.parquet"
    formats.write(path, Localizations({"frame": [0, 1], "y": [1, 2], "x": [3, 40]}))
    message = refuse("filter", path, "-o", tmp_path / "kept.parquet", "--keep", "x < 500")
    assert str(path) in message
    assert "give --pixel-size-nm" in message
    assert run("filter", path, "-o", tmp_path / "a.parquet", "--keep", "x < 5 px").status == 0
    assert run("filter", path, "-o", tmp_path / "b.parquet", "--keep", "x < 500", "--pixel-size-nm", 100).status == 0
    assert len(formats.read(tmp_path / "a.parquet")) == len(formats.read(tmp_path / "b.parquet")) == 1


def test_render_and_evaluate_keep_rows(run, path, tmp_path):
    table = formats.read(path)
    n = int((table["photons"] > 500).sum())
    arguments = ("--keep", "photons > 500", "--json")
    _, text, _ = run("render", path, "-o", tmp_path / "image.tif", "--method", "histogram", *arguments)
    assert json.loads(text)["n_localizations"] == n
    assert tifffile.imread(tmp_path / "image.tif").sum() == n
    _, text, _ = run("evaluate", path, path, "--tolerance-nm", 1, *arguments)
    match = json.loads(text)["matches"][0] if "matches" in json.loads(text) else json.loads(text)
    assert n in match.values() or str(n) in text


def test_a_column_that_a_run_left_out_as_0_can_be_filtered_by(run, refuse, path, tmp_path):
    table = formats.read(path).with_about(provenance={"program": "napari-subpixel", "n_saturated": 0})
    marked = tmp_path / "run.csv"
    formats.write(marked, table)
    assert run("filter", marked, "-o", tmp_path / "all.csv", "--keep", "saturated == 0").status == 0
    assert len(formats.read(tmp_path / "all.csv")) == 3000
    assert run("filter", marked, "-o", tmp_path / "no.csv", "--keep", "saturated > 0 & photons > 5").status == 0
    assert len(formats.read(tmp_path / "no.csv")) == 0
    assert "unknown column 'saturated'" in refuse("filter", path, "-o", tmp_path / "k.csv", "--keep", "saturated == 0")


def test_a_filter_that_keeps_all_rows_or_none_names_unit_and_range_of_what_it_compares(run, path, tmp_path):
    _, _, err = run("filter", path, "-o", tmp_path / "none.csv", "--keep", "uncertainty < 0.05 & photons > 0")
    (warning,) = (line for line in err.splitlines() if line.startswith("warning: "))
    assert warning.startswith(
        f"warning: {path}: no row is kept by 'uncertainty < 0.05 & photons > 0': uncertainty is 7."
    )
    assert " nm in the table, photons is 100." in warning
    assert warning.endswith(" photons")
    _, _, err = run("render", path, "-o", tmp_path / "i.tif", "--keep", "uncertainty < 900")
    assert "3,000 of 3,000 rows are kept (uncertainty < 900): uncertainty is 7." in err
    assert "warning" not in err


def test_a_picture_without_points_is_a_warning(run, path, tmp_path):
    _, _, err = run("render", path, "-o", tmp_path / "i.tif", "--keep", "photons < 0")
    assert f"warning: {path}: there are no points: the image is black" in err
    formats.write(tmp_path / "far.parquet", formats.read(path)[:1].with_columns(x=400.0))
    _, _, err = run("render", tmp_path / "far.parquet", "-o", tmp_path / "far.tif")
    assert "none of 1 point lies on the frames: the image is black" in err


def test_frames_and_regions_beyond_the_movie_and_filters_that_keep_few_rows_say_so(run, path, tmp_path):
    out = ("-o", tmp_path / "o.parquet", "--overwrite")
    _, _, err = run("filter", path, *out, "--frames", "10:400", "--roi", "0:3200,0:5200")
    assert "warning: " in err
    assert "frames 10:400 reach beyond the movie, which has 40 frames" in err
    assert "the region 0:3200,0:5200 reaches beyond the frames, 32 x 52 px: is it in pixels?" in err
    assert "reach" not in run("filter", path, *out, "--frames", "10:40", "--roi", "0:32,0:52").err
    assert "rows are kept (x < 20): x is " in run("filter", path, *out, "--keep", "x < 20").err


def test_a_picture_as_coarse_as_the_movie_is_a_warning(run, path, tmp_path):
    out = ("-o", tmp_path / "i.tif", "--overwrite")
    _, _, err = run("render", path, *out, "--pixel-size-nm", 100, "--sigma-nm", 2000)
    assert "pixels of the image, 100 nm, are no smaller than the camera's, 100 nm; those are given by --camera-" in err
    assert "points are drawn wider, 2000 nm, than the camera's pixels" in err
    assert "warning" not in run("render", path, *out, "--sigma-nm", 20).err
