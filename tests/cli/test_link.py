"""The command link: its files, its numbers, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(4)
    n = 300
    frame, molecule = np.arange(n) // 3, np.tile([0, 1, 2], n // 3) + np.arange(n) // 30 * 3
    y, x = rng.uniform(2, 60, (2, molecule.max() + 1))[:, molecule] + rng.normal(0, 0.1, (2, n))
    table = Localizations(
        {"frame": frame, "y": y, "x": x, "photons": np.full(n, 500.0), "y_uncertainty": np.full(n, 0.1),
         "x_uncertainty": np.full(n, 0.1)},
        pixel_size_nm=100, frame_shape=(64, 64), n_frames=100,
    )  # fmt: skip
    formats.write(tmp_path / "found.parquet", table)
    return tmp_path / "found.parquet"


@pytest.mark.parametrize("name", ["linked.parquet", "linked.csv", "linked.hdf5"])
def test_the_molecules_are_written_in_every_format(run, path, tmp_path, name):
    status, out, err = run("link", path, "-o", tmp_path / name, "--json")
    assert status == 0
    linked = formats.read(tmp_path / name)
    assert linked["n_frames"].tolist() == [10] * 30
    assert linked["first_frame"].tolist() == [start for start in range(0, 100, 10) for _ in range(3)]
    np.testing.assert_allclose(linked["photons"], 5000)
    np.testing.assert_allclose(linked["y_uncertainty"], 0.1 / np.sqrt(10), rtol=1e-3)
    report = json.loads(out)
    assert (report["n_rows"], report["n_molecules"]) == (300, 30)
    assert report["on_frames"]["mean"] == 10
    assert "300 rows of 30 molecules, on for 10.00 frames" in err
    assert linked.provenance["link"]["molecules"] == 30


def test_no_rows_are_linked_to_no_molecules_without_a_mean_time(run, path, tmp_path):
    status, _, err = run("link", path, "-o", tmp_path / "none.csv", "--keep", "frame > 900")
    assert status == 0
    assert "0 rows of 0 molecules, no dark frames bridged" in err
    assert "nan" not in err


def test_rows_are_kept_with_their_group(run, path, tmp_path):
    assert run("link", path, "-o", tmp_path / "rows.csv", "--group", "--keep", "frame < 50").status == 0
    rows = formats.read(tmp_path / "rows.csv")
    assert len(rows) == 150
    assert np.bincount(rows["group"].astype(int)).tolist() == [10] * 15


def test_times_and_their_plot_are_written(run, refuse, path, tmp_path):
    files = ("--times", tmp_path / "times.csv", "--plot", tmp_path / "times.svg")
    assert run("link", path, "-o", tmp_path / "linked.csv", *files).status == 0
    assert len((tmp_path / "times.csv").read_text().splitlines()) == 31
    assert (tmp_path / "times.svg").exists()
    assert "exists already" in refuse("link", path, "-o", tmp_path / "b.csv", *files)
    assert not (tmp_path / "b.csv").exists()
    for flag, name in (("--times", "a.csv"), ("--plot", "a.png")):
        output = tmp_path / "a.csv"
        others = () if flag == "--times" else ("--times", tmp_path / name)
        message = refuse("link", path, "-o", output, *others, flag, tmp_path / name)
        assert f"{name}: is the name of two outputs" in message
        assert not output.exists()


def test_without_uncertainties_the_distance_is_asked_for(run, refuse, path, tmp_path):
    table = formats.read(path)[:60]
    plain = tmp_path / "plain.parquet"
    formats.write(plain, Localizations({name: table[name] for name in ("frame", "y", "x")}, pixel_size_nm=100))
    message = refuse("link", plain, "-o", tmp_path / "linked.csv")
    assert str(plain) in message
    assert message.endswith("; give --max-distance-nm")
    status, _, err = run("link", plain, "-o", tmp_path / "linked.csv", "--max-distance-nm", 60)
    assert status == 0
    assert "no uncertainties" in err


def test_what_cannot_be_is_refused(refuse, path, tmp_path):
    assert "whole number from 0" in refuse("link", path, "-o", tmp_path / "linked.csv", "--max-dark-frames=-1")
    assert "must be positive" in refuse("link", path, "-o", tmp_path / "linked.csv", "--max-distance-nm=-3")
