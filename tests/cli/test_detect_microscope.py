"""What ``detect`` says of camera and PSF: before the first frame, as flags, and as a camera file."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.psf import GaussianPSF, add_gaussians, sigma_in_nm, typable_sigma
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
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
    assert given["--molecule-photons"] == pytest.approx(1500, rel=0.2)
    assert not any("from the movie" in line for line in detect(*flags))
    assert not any("from the movie" in line and "brightness" not in line for line in detect("--camera", camera_file))


def test_the_brightness_that_is_given_is_used_and_repeated(detect, run, movie, tmp_path):
    flags = ("--baseline", 100, "--electrons-per-adu", 0.5, "--psf-sigma-nm", 130)
    lines = detect("--molecule-photons", 800, *flags)
    assert not [line for line in lines if "brightness from the movie" in line]
    assert formats.read(tmp_path / "f.csv").provenance["molecule_photons"] == 800
    status, _, err = run("detect", movie, "-o", tmp_path / "again.csv", "--like", tmp_path / "f.csv")
    assert status == 0
    assert "molecule_photons 800" in err
    assert formats.read(tmp_path / "again.csv").provenance["molecule_photons"] == 800
    flags += ("--model", "fast", "--molecule-photons", 2)
    status, _, err = run("detect", movie, "-o", tmp_path / "f.csv", "--resume", *flags)
    assert status == 2
    assert "made with another brightness of a molecule (800, now 2)" in err


def test_spots_narrower_than_the_model_knows_are_named_before_the_first_frame_and_before_what_follows(run, tmp_path):
    narrow = replace(SPARSE, psf=GaussianPSF(50.0), photons=130.0, min_photons=50.0, background=2.0)
    frames, truth = simulate(narrow, np.random.default_rng(4))
    write_movie(tmp_path / "n.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    flags = ("--baseline", 100, "--electrons-per-adu", 0.5, "--model", "fast")
    status, _, err = run("detect", tmp_path / "n.tif", "-o", tmp_path / "n.csv", *flags)
    assert status == 0
    warnings = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert re.search(r"PSF: sigma 0\.[45]\d* px is below 0\.8: the pixels are too large", warnings[0])
    assert "PSF assumed" not in err
    assert warnings[1].endswith("photons is below 200, which may follow from the spots")
    found = formats.read(tmp_path / "n.csv")
    assert [line.split(": ", 2)[2] for line in warnings] == found.provenance["warnings"]
    assert len(found) > 0.7 * len(truth)


def test_long_spots_are_named_by_detect_before_the_first_frame_and_by_info(run, tmp_path, rng):
    at = np.tile(np.mgrid[15:100:30, 15:100:30].reshape(2, -1).T, (10, 1)) + rng.uniform(-2, 2, (90, 2))
    long = rng.random(90) < 0.4
    light = np.zeros((10, 95, 100), np.float32)
    sigma_y, sigma_x = np.full(90, 1.2), np.where(long, 2.1, 1.2)
    add_gaussians(light, np.repeat(np.arange(10), 9), *at.T, np.full(90, 3000.0), sigma_y, sigma_x)
    movie = tmp_path / "long.tif"
    write_movie(movie, [TRUE.expose(light + 10, rng)], shape=light.shape, pixel_size_nm=100)
    status, _, err = run("detect", movie, "-o", tmp_path / "long.csv", "--model", "fast")
    assert status == 0
    (warning,) = (line for line in err.splitlines() if "not round" in line)
    assert re.search(r"3\d%|4\d% of \d+ isolated spots are not round, but typically 2\.\d by 1\.\d px wide", warning)
    provenance = formats.read(tmp_path / "long.csv").provenance
    assert any("not round" in line for line in provenance["warnings"])
    assert provenance["spots_round"] is False
    again = run("detect", movie, "-o", tmp_path / "again.csv", "--like", tmp_path / "long.csv").err
    assert "molecule_photons" not in again
    assert formats.read(tmp_path / "again.csv").table.equals(formats.read(tmp_path / "long.csv").table)
    assert "isolated spots are not round" in run("info", movie).out


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


def test_a_camera_file_with_a_space_in_its_name_is_quoted_among_the_flags(detect, tmp_path):
    np.save(tmp_path / "noise.npy", np.full(SPARSE.frame_shape, 1.5))
    file = tmp_path / "my camera.yaml"
    file.write_text("camera: {baseline: 100, electrons_per_adu: 0.5, read_noise_e: noise.npy}\n")
    (flags,) = (line.split(": as flags: ")[1] for line in detect("--camera", file) if "as flags: " in line)
    assert shlex.split(flags)[:2] == ["--camera", str(file)]


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


def test_an_emccd_without_its_gain_is_a_warning_with_consequence_and_flag(detect, movie, tmp_path):
    named = tmp_path / "ours.yaml"
    named.write_text("camera: {name: Andor iXon 897, baseline: 100}\n")
    (warning,) = (line for line in detect("--camera", named) if "no EM gain above 1 is given" in line)
    assert warning == (
        "warning: cell.tif: the camera seems to be an EMCCD (its name is 'Andor iXon 897'), and no EM gain above 1 is "
        "given: its noise is doubled, and so photons are about half of what they should be; give --em-gain"
    )
    lines = detect("--camera", named, "--em-gain", 1)
    assert not any("EMCCD" in line for line in lines)
    assert any("electrons per ADU" in line and "with no EM gain, as given" in line for line in lines)
    frames = tifffile.imread(movie)
    tag = (51123, 2, None, json.dumps({"Camera": "Andor", "Andor-EMGain": "300"}), True)
    about = "ImageJ=1.53\nimages=40\nframes=40\n"
    tifffile.imwrite(movie, frames, description=about, metadata=None, extratags=[tag])
    given = ("--pixel-size-nm", 100, "--electrons-per-adu", 0.5)
    (warning,) = (line for line in detect(*given) if "no EM gain above 1 is given" in line)
    assert (
        "(the movie's metadata have Andor-EMGain 300), and no EM gain above 1 is given: photons are too many by as"
        in warning
    )
    assert not any("no EM gain above 1 is given" in line for line in detect("--em-gain", 300, *given))


def test_a_given_psf_that_does_not_fit_is_not_among_the_flags_that_do(detect):
    lines = detect("--psf-sigma-nm", 220)
    (flags,) = (line for line in lines if "as flags: " in line)
    assert flags.startswith("cell.tif: what the movie looks like, as flags: ")
    words = flags.split()
    assert float(words[words.index("--psf-sigma-nm") + 1]) == pytest.approx(130, rel=0.05)
    assert "--molecule-photons" not in words


@pytest.mark.parametrize("size", [100.0, 108.3, 106.6667, 97.3])
def test_a_width_in_nm_is_typed_in_few_digits_and_stays_the_same(size):
    for sigma_px in (1.1019, 0.98765, 1.4142, 2.0002):
        nm = sigma_in_nm(sigma_px, size)
        assert len(f"{nm!r}") <= 10
        assert typable_sigma(nm / size) == sigma_px


def test_a_read_noise_above_all_noise_and_a_brightness_far_off_are_warned_of_at_the_beginning_and_the_end(detect):
    lines = detect("--molecule-photons", 20)
    assert len([line for line in lines if "; 20 photons of a molecule were given" in line]) == 2
    lines = detect("--read-noise-e", 200)
    noise = [line for line in lines if "the movie looks like a read noise below " in line]
    assert len(noise) == 2
    assert "200 electrons were given" in noise[0]
    (flags,) = (line for line in lines if "as flags: " in line)
    assert "what the movie looks like" in flags
    assert "--read-noise-e" not in flags
    assert not any("looks like" in line for line in detect("--read-noise-e", 1.5, "--molecule-photons", 1200))
