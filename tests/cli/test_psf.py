"""``napari-subpixel psf`` measures, prints, and writes files that the other commands read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from napari_subpixel.camera import Camera
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.stacks.writing import write_movie

CAMERA = Camera(100.0, 100.0, 0.5)
FLAGS = ("--baseline", 100, "--electrons-per-adu", 0.5)


def spots(sigma_px: float, n_frames: int = 6, camera: Camera = CAMERA) -> np.ndarray:
    rng = np.random.default_rng(5)
    y, x = (a.ravel() for a in np.meshgrid(np.arange(12, 90, 20), np.arange(12, 110, 20)))
    frame = np.repeat(np.arange(n_frames), len(y))
    y, x = (np.tile(a, n_frames) + rng.uniform(-2, 2, len(frame)) for a in (y, x))
    light = draw_gaussians((n_frames, 100, 120), frame, y, x, rng.uniform(1500, 5000, len(frame)), sigma_px)
    slope = np.linspace(5, 60, 120)
    return camera.expose(light + slope, rng)


@pytest.fixture
def beads(tmp_path) -> Path:
    movie = spots(1.3)
    write_movie(tmp_path / "beads.tif", [movie], shape=movie.shape, pixel_size_nm=100)
    return tmp_path / "beads.tif"


def test_the_width_and_the_verdict_are_printed(run, beads):
    status, out, err = run("psf", beads, *FLAGS)
    first, along, number, verdict = out.splitlines()
    assert status == 0
    assert first.startswith("sigma 1.")
    assert first.endswith(" nm)")
    assert "+/-" in first
    assert along.startswith("along y 1.")
    assert "6 frames" in number
    assert verdict.startswith("a Gaussian fits")
    assert err == ""


def test_without_a_pixel_size_it_is_printed_in_pixels(run, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", spots(1.3), photometric="minisblack")
    status, out, _ = run("psf", tmp_path / "m.tif", *FLAGS)
    assert status == 0
    assert "nm" not in out


def test_the_camera_file_is_read_by_the_other_commands(run, beads, tmp_path):
    out = tmp_path / "microscope.yaml"
    assert run("psf", beads, *FLAGS, "-o", out).status == 0
    assert Camera.from_yaml(out) == Camera(100.0, 100.0, 0.5)
    assert GaussianPSF.from_yaml(out).sigma_nm == pytest.approx(130, rel=0.01)
    about = yaml.safe_load(out.read_text())["psf_measurement"]
    assert about["sigma_px"] == pytest.approx(1.3, abs=4 * about["sigma_uncertainty_px"])
    for command in (
        ("simulate", "-o", tmp_path / "m.tif", "--truth", tmp_path / "t.csv", "--frames", 2, "--shape-px", "24,33"),
        ("detect", beads, "-o", tmp_path / "found.csv", "--frames", "0:1"),
    ):
        status, _, err = run(*command, "--camera", out)
        assert status == 0
        assert "estimated" not in err


def test_a_camera_file_may_be_completed_in_place(run, tmp_path, beads):
    np.save(tmp_path / "map.npy", np.full((100, 120), 0.5))
    camera = tmp_path / "camera.yaml"
    camera.write_text("camera: {name: mine, baseline: 90, electrons_per_adu: map.npy}\n")
    assert run("psf", beads, "--camera", camera, "--baseline", 100, "-o", camera, "--overwrite").status == 0
    found = Camera.from_yaml(camera)
    assert (found.name, found.baseline, found.pixel_size_nm) == ("mine", 100, 100)
    assert found.electrons_per_adu.shape == (100, 120)


def test_maps_are_found_from_another_folder(run, tmp_path, beads):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "a" / "map.npy", np.full((100, 120), 0.5))
    (tmp_path / "a" / "c.yaml").write_text("camera: {baseline: 100, electrons_per_adu: map.npy}\n")
    assert run("psf", beads, "--camera", tmp_path / "a" / "c.yaml", "-o", tmp_path / "b" / "psf.yml").status == 0
    assert Camera.from_yaml(tmp_path / "b" / "psf.yml").electrons_per_adu.shape == (100, 120)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["psf.yml"]


def test_a_camera_that_is_not_given_is_estimated_and_said_to_be(run, beads, tmp_path):
    status, _, err = run("psf", beads, "-o", tmp_path / "psf.yaml")
    assert status == 0
    assert "camera from the movie: baseline" in err
    camera = Camera.from_yaml(tmp_path / "psf.yaml")
    assert camera.electrons_per_adu == pytest.approx(0.5, rel=0.25)
    assert camera.name == "estimated from the movie"


def test_a_camera_that_the_movie_does_not_tell_is_not_written(run, refuse, tmp_path):
    rng = np.random.default_rng(1)
    light = draw_gaussians(
        (2, 100, 120), np.zeros(9), *np.mgrid[20:90:30, 20:110:36].reshape(2, -1), np.full(9, 4e3), 1.3
    )
    movie = np.rint(light[:1].repeat(2, axis=0) + 200 + rng.normal(size=light.shape)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", movie, photometric="minisblack")
    assert run("psf", tmp_path / "m.tif").status == 0
    message = refuse("psf", tmp_path / "m.tif", "-o", tmp_path / "psf.yaml", "--pixel-size-nm", 100)
    assert "gives no baseline and gain of the camera" in message
    assert not (tmp_path / "psf.yaml").exists()


def test_a_plot_is_drawn(run, beads, tmp_path):
    pytest.importorskip("matplotlib")
    _, _, err = run("psf", beads, *FLAGS, "--plot", tmp_path / "psf.png")
    assert (tmp_path / "psf.png").read_bytes().startswith(b"\x89PNG")
    assert "psf.png: written" in err


def test_json_is_one_document(run, beads):
    status, out, _ = run("psf", beads, *FLAGS, "--json", "--frames", "0:4", "--roi", "0:100,0:90", "--z-stack", "no")
    document = json.loads(out)
    assert status == 0
    assert document["sigma_nm"] == pytest.approx(100 * document["sigma_px"])
    assert document["n_frames"] == 4
    assert document["is_gaussian"] is True
    assert len(document["profile"]) == len(document["gaussian"]) == len(document["radius_px"])


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("-o", "{}/psf.txt"), "must end in .yaml or .yml"),
        (("-o", "{}/gone/psf.yaml"), "does not exist"),
        (("-o", "{}/there.yaml"), "exists already"),
        (("--plot", "{}/psf.jpg"), "must end in .png"),
        (("--plot", "{}/there.png"), "exists already"),
        (("--plot", "{}/beads.tif"), "is the movie itself"),
        (("--frames", "4:9"), "frames 4:9 do not lie within"),
        (("--roi", "0:10,0:10"), "10 x 10 pixels are too few"),
        (("--z-stack", "yes"), "its focus cannot be located"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_nothing_is_written(refuse, beads, tmp_path, flags, what):
    (tmp_path / "there.yaml").write_text("mine")
    (tmp_path / "there.png").write_text("mine")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    message = refuse("psf", beads, *FLAGS, *(flag.format(tmp_path) for flag in flags))
    assert what in message
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_camera_file_needs_the_pixel_size(refuse, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", spots(1.3), photometric="minisblack")
    assert "m.tif: the movie does not say its pixel size" in refuse(
        "psf", tmp_path / "m.tif", *FLAGS, "-o", tmp_path / "psf.yaml"
    )


def test_a_movie_of_nothing_is_refused(refuse, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.full((3, 40, 50), 7, np.uint16), photometric="minisblack")
    assert "m.tif: found no bright spot in 3 frames" in refuse("psf", tmp_path / "m.tif", "--plot", tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()


def test_a_crowded_movie_is_refused(refuse, movie):
    assert "movie.tif: too crowded" in refuse("psf", movie)


def test_the_real_z_stack_tells_its_psf(run, data_folder, tmp_path):
    movie = data_folder / "real" / "astigmatism_bead_zstack.tif"
    status, out, err = run("psf", movie, "--pixel-size-nm", 65, "-o", tmp_path / "psf.yaml")
    assert status == 0
    assert "of 1 bead, in 81 frames" in out
    assert "a z-stack of 1 bead" in err
    assert GaussianPSF.from_yaml(tmp_path / "psf.yaml").sigma_nm == pytest.approx(122, abs=6)


def test_a_z_stack_that_is_none_says_so(run, tmp_path):
    movie = spots(1.3, n_frames=1).repeat(8, axis=0) + np.random.default_rng(2).integers(0, 9, (8, 100, 120))
    write_movie(tmp_path / "b.tif", [movie.astype(np.uint16)], shape=movie.shape, pixel_size_nm=100)
    said = "though the widths of spots do not change steadily from frame to frame"
    assert said in run("psf", tmp_path / "b.tif", *FLAGS, "--z-stack", "yes").err
    assert said not in run("psf", tmp_path / "b.tif", *FLAGS).err
