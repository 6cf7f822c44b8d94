"""What ``detect`` says of camera and PSF: before the first frame, as flags, and as a camera file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.simulate import Simulation, simulate
from napari_subpixel.stacks.writing import write_movie

TRUE = Camera(100.0, 100.0, 0.5)
SPARSE = Simulation(
    frame_shape=(64, 64), n_frames=40, structure="uniform", emitters_per_frame=6, photons=1500, on_time_frames=0,
    background=20.0, camera=TRUE, psf=GaussianPSF(130.0),
)  # fmt: skip


@pytest.fixture
def movie(tmp_path) -> Path:
    frames, _ = simulate(SPARSE, np.random.default_rng(4))
    write_movie(tmp_path / "cell.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    return tmp_path / "cell.tif"


@pytest.fixture
def detect(run, movie, tmp_path):
    """Detect the movie with the fast model and some flags; returns what was printed, line by line."""

    def call(*flags: object) -> list[str]:
        status, _, err = run("detect", movie, "-o", tmp_path / "f.csv", "--overwrite", "--model", "fast", *flags)
        assert status == 0, err
        return err.splitlines()

    return call


def test_estimates_come_as_flags_and_as_a_camera_file(detect, tmp_path):
    camera_file = tmp_path / "camera.yaml"
    lines = detect("--save-camera", camera_file)
    (flags,) = (line.removeprefix("cell.tif: as flags: ").split() for line in lines if "as flags: " in line)
    given = dict(zip(flags[::2], map(float, flags[1::2]), strict=True))
    assert given["--baseline"] == pytest.approx(100, abs=10)
    assert given["--electrons-per-adu"] == pytest.approx(0.5, rel=0.15)
    assert given["--psf-sigma-nm"] == pytest.approx(130, rel=0.05)
    assert given["--pixel-size-nm"] == 100
    saved = Camera.from_yaml(camera_file)
    assert saved.pixel_size_nm == 100
    assert saved.baseline == pytest.approx(given["--baseline"], rel=1e-3)
    assert GaussianPSF.from_yaml(camera_file).sigma_nm == given["--psf-sigma-nm"]
    assert lines.index(f"{camera_file}: written") < len(lines) - 1
    assert " molecules, 6" in lines[-1]
    assert " in the median frame; 40 frames in " in lines[-1]
    for again in (detect("--camera", camera_file), detect(*flags)):
        assert not any("from the movie" in line and "brightness" not in line for line in again)


@pytest.mark.parametrize(
    "known",
    [
        (),
        ("--pixel-size-nm", 110, "--em-gain", 300, "--quantum-efficiency", 0.9, "--read-noise-e", 60),
        ("--baseline", 98, "--psf-sigma-nm", 131.25),
    ],
    ids=["nothing", "an EMCCD", "a part"],
)
def test_the_flags_that_are_printed_make_the_same_table(known, detect, tmp_path):
    lines = detect("--save-camera", tmp_path / "camera.yaml", *known)
    rows = (tmp_path / "f.csv").read_bytes()
    (flags,) = (line.removeprefix("cell.tif: as flags: ").split() for line in lines if "as flags: " in line)
    detect(*flags)
    assert (tmp_path / "f.csv").read_bytes() == rows
    detect("--camera", tmp_path / "camera.yaml")
    assert (tmp_path / "f.csv").read_bytes() == rows


def test_a_camera_that_does_not_fit_is_warned_of_with_the_flags_that_do_and_again_at_the_end(detect):
    lines = detect("--baseline", 140, "--electrons-per-adu", 0.5, "--read-noise-e", 1)
    (warning,) = (line for line in lines[:-2] if "the movie looks like baseline" in line)
    assert warning.startswith("warning: cell.tif: ")
    assert "baseline 140 ADU, 0.5 electrons per ADU were given" in warning
    assert lines[-2] == f"{warning}, and the table was made with it"
    (flags,) = (line for line in lines if "as flags: " in line)
    assert lines.index(flags) > lines.index(warning)
    assert flags.startswith("cell.tif: what the movie looks like, as flags: --pixel-size-nm 100 --baseline ")
    baseline = float(flags.split("--baseline ")[1].split()[0])
    assert baseline == pytest.approx(100, abs=15)
    assert "--read-noise-e 1 " in flags


def test_one_wrong_number_is_not_recommended(detect):
    lines = detect("--baseline", 0)
    (warning,) = (line for line in lines[:-2] if "the movie looks like baseline" in line)
    assert warning.endswith("; baseline 0 ADU was given")
    (flags,) = (line for line in lines if "as flags: " in line)
    given = dict(zip(flags.split(": ")[-1].split()[::2], flags.split(": ")[-1].split()[1::2], strict=True))
    assert float(given["--baseline"]) == pytest.approx(100, abs=15)
    assert float(given["--electrons-per-adu"]) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--baseline", 10000, "--electrons-per-adu", 0.5), "most pixels lie below the given baseline of 10000 ADU"),
        (("--psf-sigma-nm", 0.13), "did you mean 130?"),
        (("--pixel-size-nm", 0.1), "a pixel size of 0.1 nm is not between 1 and 10000 nm: did you mean 100?"),
        (("--save-camera", "camera.txt"), "camera.txt: a camera file's name must end in .yaml or .yml"),
    ],
)
def test_what_cannot_be_is_refused(refuse, movie, tmp_path, flags, why):
    assert why in refuse("detect", movie, "-o", tmp_path / "f.csv", "--model", "fast", *flags)


def test_no_molecule_at_all_is_a_warning(detect, movie, rng):
    noise = rng.poisson(50.0, (10, 40, 40)).astype(np.uint16)
    write_movie(movie, [noise], shape=noise.shape, pixel_size_nm=100, overwrite=True)
    lines = detect("--threshold", 0.99, "--baseline", 0, "--electrons-per-adu", 1, "--psf-sigma-nm", 130)
    assert "warning: cell.tif: no molecule was found" in lines
    assert "f.csv: 0 molecules, 0 in the median frame; 10 frames" in lines[-1]
