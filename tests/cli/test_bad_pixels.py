"""``detect`` on a movie with bad pixels: what it says, and the option that keeps or names them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks.writing import write_movie

SPARSE = Simulation(
    frame_shape=(48, 64), n_frames=40, structure="uniform", emitters_per_frame=6, photons=1500, on_time_frames=0,
    background=20.0, camera=Camera(100.0, 100.0, 0.5), psf=GaussianPSF(130.0),
)  # fmt: skip
FOUND = "bad pixels, interpolated: 1 stuck, 1 hot (y 25, x 26; y 30, x 12)"
GIVEN = ("--baseline", 100, "--electrons-per-adu", 0.5, "--psf-sigma-nm", 130)


@pytest.fixture
def movie(tmp_path) -> Path:
    frames, _ = simulate(SPARSE, np.random.default_rng(4))
    frames[:, 25, 26] = 65535
    frames[:, 30, 12] += 500
    write_movie(tmp_path / "cell.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    return tmp_path / "cell.tif"


@pytest.fixture
def detect(run, movie, tmp_path):
    """Detect the movie with the fast model and some flags; returns lines printed, and the table's provenance."""

    def call(*flags: object, output: str = "f.csv") -> tuple[list[str], dict]:
        status, _, err = run("detect", movie, "-o", tmp_path / output, "--model", "fast", *flags)
        assert status == 0, err
        return err.splitlines(), formats.read(tmp_path / output).provenance.get("bad_pixels")

    return call


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_they_are_listed_before_the_first_frame_and_in_every_table(detect, suffix):
    lines, noted = detect(*GIVEN, output=f"f.{suffix}")
    assert lines[0] == f"cell.tif: {FOUND}"
    assert noted == {"source": "movie", "number": 2, "places": ["y 25, x 26", "y 30, x 12"]}


@pytest.mark.parametrize("flags", [(*GIVEN, "--molecule-photons", 1500), ("--model", "paper")])
def test_flags_are_not_printed_for_them_alone(detect, flags):
    lines, _ = detect(*flags)
    assert lines[0] == f"cell.tif: {FOUND}"
    assert not any("as flags" in line for line in lines)


def test_they_are_kept_or_given(detect, tmp_path):
    lines, noted = detect(*GIVEN, "--bad-pixels", "keep")
    assert not any("bad pixels" in line for line in lines)
    assert noted["source"] == "kept"
    mask = np.zeros(SPARSE.frame_shape, bool)
    mask[25, 26] = mask[7] = True
    np.save(tmp_path / "mask.npy", mask)
    lines, noted = detect(*GIVEN, "--bad-pixels", tmp_path / "mask.npy", output="g.csv")
    assert lines[0] == "cell.tif: bad pixels, interpolated: 65 given (row 7; y 25, x 26)"
    assert noted["places"] == ["row 7", "y 25, x 26"]
    # as before, from the table
    _, again = detect("--like", tmp_path / "g.csv", output="h.csv")
    assert again == noted
    assert (tmp_path / "h.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()


def test_a_finished_table_with_others_is_not_skipped(detect, refuse, movie, tmp_path):
    detect(*GIVEN)
    lines, _ = detect(*GIVEN, "--resume")
    assert "done already, skipped" in lines[-1]
    why = refuse(
        "detect", movie, "-o", tmp_path / "f.csv", "--model", "fast", *GIVEN, "--resume", "--bad-pixels", "keep"
    )
    assert "made with another choice of bad pixels (movie, now kept)" in why


def test_a_followed_movie_and_parts_have_the_same(detect):
    _, whole = detect(*GIVEN)
    assert detect(*GIVEN, "--frames", "3:5", "--roi", "0:20,0:30", output="g.csv")[1] == whole
    lines, followed = detect(*GIVEN, "--follow", 1, output="h.csv")
    assert followed == whole
    assert sum(FOUND in line for line in lines) == 1


@pytest.mark.parametrize(
    ("flag", "why"), [("none.txt", "none.txt: no such file"), ("list.txt", "lies outside of the frames, 48 x 64 px")]
)
def test_a_wrong_list_is_refused(refuse, movie, tmp_path, flag, why):
    (tmp_path / "list.txt").write_text("50,3\n")
    assert why in refuse("detect", movie, "-o", tmp_path / "f.csv", *GIVEN, "--bad-pixels", tmp_path / flag)


def test_a_movie_without_any_says_nothing(run, tmp_path):
    frames, _ = simulate(replace(SPARSE, n_frames=20), np.random.default_rng(5))
    write_movie(tmp_path / "clean.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    status, _, err = run("detect", tmp_path / "clean.tif", "-o", tmp_path / "f.csv", "--model", "fast", *GIVEN)
    assert status == 0
    assert "bad pixels" not in err
    assert "bad_pixels" not in formats.read(tmp_path / "f.csv").provenance


def test_info_shows_them_and_saturation(run, movie):
    (described,) = json.loads(run("info", movie, "--json").out)
    assert described["bad_pixels"] == "1 stuck, 1 hot (y 25, x 26; y 30, x 12)"
    assert (described["saturation_adu"], described["warnings"]) == (None, None)
    frames = np.minimum(tifffile.imread(movie), 400)
    write_movie(movie, [frames], shape=frames.shape, pixel_size_nm=100, overwrite=True)
    (described,) = json.loads(run("info", movie, "--json").out)
    assert described["saturation_adu"] == 400
    assert "are at 400 ADU, the top of the camera's range" in described["warnings"][0]


def test_psf_interpolates_them_first(run, movie):
    frames = tifffile.imread(movie)
    flags = ("--baseline", 100, "--electrons-per-adu", 0.5, "--json")
    status, out, err = run("psf", movie, *flags)
    assert status == 0
    assert FOUND in err
    document = json.loads(out)
    assert document["bad_pixels"]["number"] == 2
    for y, x in ((25, 26), (30, 12)):
        frames[:, y, x] = frames[:, y, x + 1]
    write_movie(movie, [frames], shape=frames.shape, pixel_size_nm=100, overwrite=True)
    clean = json.loads(run("psf", movie, *flags).out)
    assert clean["bad_pixels"]["number"] == 0
    assert document["sigma_px"] == pytest.approx(clean["sigma_px"], rel=0.02)
    assert document["n_spots"] >= clean["n_spots"] - 2
