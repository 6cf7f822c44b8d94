"""What a movie says of its own microscope, on simulated movies whose microscope is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.estimate import estimate_camera, estimate_sigma_px, microscope_of, pairs_of_frames
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulate import Simulation, simulate
from napari_subpixel.stacks import open_stack

CCD = Camera(100.0, 200.0, 0.5, 1.0, read_noise_e=1.0)
EMCCD = Camera(100.0, 100.0, 145.0, 1.0, 300.0)
CROWDED = Simulation(
    frame_shape=(48, 64), n_frames=150, camera=CCD, psf=GaussianPSF(130.0), emitters_per_frame=60, photons=3000.0,
    background=40.0, molecules=5000,
)  # fmt: skip
SPARSE = replace(CROWDED, emitters_per_frame=5, structure="uniform", n_frames=300, on_time_frames=0.0)


@pytest.mark.parametrize("simulation", [CROWDED, SPARSE], ids=["crowded", "sparse"])
@pytest.mark.parametrize("sigma_nm", [90.0, 130.0, 190.0])
def test_the_width_of_the_psf_is_found(simulation, sigma_nm, rng):
    movie, _ = simulate(replace(simulation, psf=GaussianPSF(sigma_nm)), rng)
    assert estimate_sigma_px(movie) == pytest.approx(sigma_nm / 100, rel=0.04)


@pytest.mark.parametrize("camera", [CCD, EMCCD], ids=["ccd", "emccd"])
def test_baseline_and_gain_are_found(camera, rng):
    movie, _ = simulate(replace(CROWDED, camera=camera), rng)
    found = estimate_camera(movie, emccd=camera.em_gain > 1, pixel_size_nm=100.0)
    assert found.pixel_size_nm == 100.0
    assert found.em_gain / found.electrons_per_adu == pytest.approx(camera.em_gain / camera.electrons_per_adu, rel=0.1)
    assert found.baseline == pytest.approx(camera.baseline, abs=10)


def test_an_emccd_that_is_not_known_as_one_seems_to_have_twice_the_gain(rng):
    movie, _ = simulate(replace(CROWDED, camera=EMCCD), rng)
    plain, known = estimate_camera(movie), estimate_camera(movie, emccd=True)
    assert 1 / plain.electrons_per_adu == pytest.approx(2 * known.em_gain / known.electrons_per_adu)


def test_pairs_are_spread_over_the_movie():
    assert pairs_of_frames(5).tolist() == [[0, 1], [2, 3]]
    many = pairs_of_frames(100_000)
    assert len(many) == 500
    assert many[-1, 1] > 99_000


def test_a_movie_completes_what_is_known(tmp_path, rng):
    tifffile.imwrite(tmp_path / "movie.tif", simulate(CROWDED, rng)[0], photometric="minisblack")
    with open_stack(tmp_path / "movie.tif") as stack:
        all_known = microscope_of(stack, CCD, 1.3, estimate_gain=False)
        assert (all_known.camera, all_known.sigma_px, all_known.assumed) == (CCD, 1.3, ())
        estimated = microscope_of(stack, Camera(100.0), None, estimate_gain=True)
        assert estimated.sigma_px == pytest.approx(1.3, rel=0.04)
        assert [line.split(":")[0] for line in estimated.assumed] == ["camera from the movie", "PSF from the movie"]
        assert "no electron multiplication" in estimated.assumed[0]
        em = microscope_of(stack, Camera(100.0, em_gain=300.0), 1.3, estimate_gain=True)
        assert em.camera.em_gain > 1
        assert "an EMCCD" in em.assumed[0]


def test_movies_that_do_not_say_are_refused(tmp_path, rng):
    noise = rng.poisson(50.0, (40, 32, 34))
    with pytest.raises(InputError, match="no molecules stand out"):
        estimate_sigma_px(noise)
    with pytest.raises(InputError, match="does not grow with its light"):
        estimate_camera(np.rint(rng.normal(100, 5, (40, 32, 34)) - 0.0 * noise))
    for wrong in (noise[:3], noise[0], noise[:2, :5]):
        with pytest.raises(InputError, match="expected pairs of frames of at least 8 x 8 pixels, got shape"):
            estimate_sigma_px(wrong)
    with pytest.raises(InputError, match="two frames or more, the movie has 1"):
        pairs_of_frames(1)
    tifffile.imwrite(tmp_path / "noise.tif", noise.astype(np.uint16), photometric="minisblack")
    with (
        open_stack(tmp_path / "noise.tif") as stack,
        pytest.raises(InputError, match=r"noise.tif: no molecules stand out"),
    ):
        microscope_of(stack, CCD, None, estimate_gain=False)
