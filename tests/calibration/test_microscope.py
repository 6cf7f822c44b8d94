"""What a movie says of its own microscope, on simulated movies whose microscope is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_subpixel.calibration.camera_check import compared, unchecked
from napari_subpixel.calibration.camera_estimate import estimate_camera
from napari_subpixel.calibration.frame_pairs import sampled_pairs
from napari_subpixel.calibration.microscope import microscope_of
from napari_subpixel.calibration.noise_growth import NoiseFit, fit_noise
from napari_subpixel.calibration.outlier_frames import outlier_frames
from napari_subpixel.calibration.psf_width import DEFAULT_SIGMA_PX, estimate_sigma_px
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import CameraMismatchError, InputError
from napari_subpixel.psf import GaussianPSF, add_gaussians
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
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
    found = estimate_camera(movie, Camera(100.0, em_gain=camera.em_gain)).camera
    assert found.pixel_size_nm == 100.0
    assert found.em_gain / found.electrons_per_adu == pytest.approx(camera.em_gain / camera.electrons_per_adu, rel=0.1)
    assert found.baseline == pytest.approx(camera.baseline, abs=10)


def test_an_emccd_that_is_not_known_as_one_seems_to_have_twice_the_gain(rng):
    movie, _ = simulate(replace(CROWDED, camera=EMCCD), rng)
    plain, known = estimate_camera(movie).camera, estimate_camera(movie, Camera(em_gain=300.0)).camera
    assert 1 / plain.electrons_per_adu == pytest.approx(2 * known.em_gain / known.electrons_per_adu, rel=0.01)


def test_pairs_are_spread_over_the_movie():
    assert sampled_pairs(5).tolist() == [[0, 1], [2, 3]]
    many = sampled_pairs(100_000)
    assert len(many) == 500
    assert many[-1, 1] > 99_000


def test_a_movie_completes_what_is_known(tmp_path, rng):
    tifffile.imwrite(tmp_path / "movie.tif", simulate(CROWDED, rng)[0], photometric="minisblack")
    with open_stack(tmp_path / "movie.tif") as stack:
        all_known = microscope_of(stack, CCD, 1.3, unknown=())
        assert (all_known.camera, all_known.sigma_px, all_known.assumed) == (CCD, 1.3, ())
        estimated = microscope_of(stack, Camera(100.0), None, unknown=GAIN)
        assert estimated.sigma_px == pytest.approx(1.3, rel=0.04)
        assert [line.split(":")[0] for line in estimated.assumed] == ["camera from the movie", "PSF from the movie"]
        assert "assuming no EM gain" in estimated.assumed[0]
        em = microscope_of(stack, Camera(100.0, em_gain=300.0), 1.3, unknown=GAIN)
        assert em.camera.em_gain > 1
        assert "an EMCCD" in em.assumed[0]


def test_one_frame_says_nearly_as_much(rng):
    movie, _ = simulate(replace(CROWDED, n_frames=1, frame_shape=(128, 128), emitters_per_frame=900), rng)
    found = estimate_camera(movie).camera
    assert found.electrons_per_adu == pytest.approx(CROWDED.camera.electrons_per_adu, rel=0.2)
    assert estimate_sigma_px(movie) == pytest.approx(1.3, rel=0.1)
    with open_stack(movie) as stack:
        assert len(microscope_of(stack, Camera(100.0), None, unknown=GAIN).assumed) == 2


def test_a_movie_of_one_value_shows_nothing():
    with open_stack(np.full((5, 20, 24), 100, np.uint16)) as stack:
        found = microscope_of(stack, CCD, None, unknown=GAIN)
        told = microscope_of(stack, CCD, 1.1, unknown=GAIN)
    assert (found.camera, found.sigma_px, told.sigma_px) == (CCD, DEFAULT_SIGMA_PX, 1.1)
    assert found.assumed == ("the movie is constant: nothing can be estimated from it",)


def test_movies_that_do_not_say_are_refused(rng):
    noise = rng.poisson(50.0, (40, 32, 34))
    with pytest.raises(InputError, match="no molecules stand out"):
        estimate_sigma_px(noise)
    with pytest.raises(InputError, match=r"too even|does not grow with its light"):
        estimate_camera(np.rint(rng.normal(100, 5, (40, 32, 34)) - 0.0 * noise))
    for wrong in (noise[:3], noise[:0], noise[0], noise[:2, :5]):
        with pytest.raises(InputError, match="expected pairs of frames of at least 8 x 8 pixels, or one, got shape"):
            estimate_sigma_px(wrong)


def test_of_a_movie_without_molecules_plain_values_are_assumed_and_said(rng):
    """The noise is what it is, so that nothing is taken for a molecule."""
    ramp = np.linspace(0, 1, 34)
    noise = np.rint(rng.normal(300 + 3 * ramp, 7 - ramp, (40, 32, 34))).clip(0).astype(np.uint16)
    with open_stack(noise) as stack:
        found = microscope_of(stack, Camera(100.0), None, unknown=GAIN)
        given = microscope_of(stack, CCD, 1.1, unknown=())
    assert found.sigma_px == DEFAULT_SIGMA_PX
    assert found.camera.to_photons(noise).mean() == pytest.approx(42, rel=0.1)
    assert [line.split(":")[0] for line in found.assumed] == [
        "camera assumed, since the movie does not show it", "PSF assumed, since no molecules stand out",
    ]  # fmt: skip
    (note,) = given.assumed
    assert note == "the given baseline and gain could not be checked: the movie hardly shows the gain"


def test_copies_of_a_frame_are_one_frame(rng):
    movie, _ = simulate(replace(CROWDED, n_frames=1, frame_shape=(128, 128), emitters_per_frame=900), rng)
    assert estimate_sigma_px(np.repeat(movie, 4, axis=0)) == pytest.approx(estimate_sigma_px(movie), rel=0.01)


def test_large_frames_are_few(rng):
    assert len(sampled_pairs(1000, 10)) == 5
    assert sampled_pairs(1000, 10)[-1, 1] > 700
    assert sampled_pairs(1000, 0).tolist() == [[0, 1]]
    assert sampled_pairs(3, 1000).tolist() == [[0, 1]]


def test_a_frame_that_is_not_finite_is_named_once():
    movie = np.ones((4, 20, 21))
    movie[2, 3, 4] = np.nan
    with open_stack(movie, name="m") as stack, pytest.raises(InputError, match=r"^m: frame 2 holds nan"):
        microscope_of(stack, CCD, None, unknown=GAIN)


#: Movies as cameras take them: many and few molecules, a dark and a bright background.
SCENES = {
    "plain": {},
    "dark": {"background": 3.0, "photons": 800.0},
    "bright": {"background": 150.0, "emitters_per_frame": 40},
    "crowded": {"structure": "filaments", "emitters_per_frame": 30, "on_time_frames": 3.0, "molecules": 5000},
}
CAMERAS = {
    "ccd": replace(CCD, baseline=100.0),
    "scmos": Camera(100.0, 100.0, 0.24, 0.9, read_noise_e=1.6),
    "coarse": Camera(100.0, 200.0, 4.0, 0.8, read_noise_e=6.0),
    "emccd": Camera(100.0, 200.0, 5.2, 0.9, 300.0, 85.0),
}
FEW = replace(SPARSE, frame_shape=(64, 64), n_frames=100, photons=1500.0, background=20.0)


def taken(scene, camera, rng):
    return simulate(replace(FEW, camera=CAMERAS[camera], **SCENES[scene]), rng)[0]


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("scene", ["dark", "bright", "crowded"])
def test_the_right_camera_gives_no_warning(scene, camera, rng):
    with open_stack(taken(scene, camera, rng)) as stack:
        for given in (CAMERAS[camera], replace(CAMERAS[camera], read_noise_e=0.0)):
            found = microscope_of(stack, given, 1.3, unknown=())
            assert (found.warnings, found.suggested, found.camera) == ((), None, given)


@pytest.mark.parametrize("sigma_px", [0.95, 1.65])
@pytest.mark.parametrize("unknown", [(), GAIN], ids=["camera given", "camera estimated"])
def test_a_given_width_that_does_not_fit_is_warned_of_and_spoils_no_gain(sigma_px, unknown, rng):
    true = CAMERAS["scmos"]
    with open_stack(taken("plain", "scmos", rng)) as stack:
        found = microscope_of(stack, true, sigma_px, unknown=unknown)
        fits = microscope_of(stack, true, 1.3, unknown=unknown)
    (warning,) = (line for line in found.warnings if "PSF" in line)
    assert warning.startswith("the movie looks like a PSF of sigma 1.")
    assert warning.endswith(f"; {sigma_px:.2f} px was given")
    assert found.sigma_px == sigma_px
    assert not any("PSF" in line for line in fits.warnings)
    assert found.camera.electrons_per_adu == pytest.approx(true.electrons_per_adu, rel=0.15)


def test_frames_that_are_copies_of_the_one_before_are_left_out_and_named(rng):
    movie = taken("plain", "scmos", rng).copy()
    half = len(movie) // 2 + 1
    movie[half:] = movie[half - 1]
    with open_stack(movie) as stack:
        found = microscope_of(stack, Camera(), None)
    (warning,) = (line for line in found.warnings if "twice the same frame" in line)
    assert "left out of the estimates" in warning
    assert found.camera.electrons_per_adu == pytest.approx(CAMERAS["scmos"].electrons_per_adu, rel=0.2)


def test_a_movie_that_is_cut_off_below_is_warned_of(rng):
    movie = taken("plain", "scmos", rng)
    level = int(np.median(movie))
    cut = np.where(movie > level, movie - level, 0).astype(movie.dtype)
    for frames, warned in ((movie, False), (cut, True)):
        with open_stack(frames) as stack:
            found = microscope_of(stack, Camera(), None)
        assert any("have the lowest value, 0 ADU" in line for line in found.warnings) == warned


def test_a_gain_that_is_off_by_less_than_a_factor_of_two_is_warned_of(rng):
    true = CAMERAS["scmos"]
    with open_stack(taken("plain", "scmos", rng)) as stack:
        found = microscope_of(stack, replace(true, electrons_per_adu=1.4 * true.electrons_per_adu), 1.3, unknown=())
    assert any("the movie looks like baseline" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [
        ({"baseline": 130.0}, {"baseline": 100.0}),
        ({"baseline": 60.0}, {"baseline": 100.0}),
        ({"electrons_per_adu": 0.96}, {"electrons_per_adu": 0.24}),
        ({"electrons_per_adu": 0.06}, {"electrons_per_adu": 0.24}),
        ({"baseline": 200.0, "electrons_per_adu": 0.48}, {"baseline": 100.0, "electrons_per_adu": 0.24}),
    ],
)
def test_a_camera_that_does_not_fit_is_compared_with_what_the_movie_says(wrong, suggested, rng):
    given = replace(CAMERAS["scmos"], **wrong)
    with open_stack(taken("plain", "scmos", rng)) as stack:
        found = microscope_of(stack, given, 1.3, unknown=())
    (warning,) = found.warnings
    assert warning.startswith("the movie looks like baseline ")
    assert f"baseline {given.baseline:g} ADU, {given.electrons_per_adu:g} electrons per ADU were given" in warning
    assert found.camera == given
    for name, value in suggested.items():
        assert getattr(found.suggested, name) == pytest.approx(value, rel=0.2)


def test_a_baseline_above_most_pixels_is_refused(rng):
    why = r"^m: most pixels lie below the given baseline of 300 ADU: their median is 14"
    with open_stack(taken("plain", "ccd", rng), name="m") as stack, pytest.raises(CameraMismatchError, match=why):
        microscope_of(stack, replace(CAMERAS["ccd"], baseline=300.0), 1.3, unknown=())


@pytest.mark.parametrize("unknown", GAIN)
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("camera", ["scmos", "emccd"])
def test_what_is_not_given_of_a_camera_is_estimated(camera, scene, unknown, rng):
    true = CAMERAS[camera]
    given = replace(true, read_noise_e=0.0, **{unknown: getattr(Camera(), unknown)})
    with open_stack(taken(scene, camera, rng)) as stack:
        found = microscope_of(stack, given, 1.3, unknown=(unknown,))
    assert replace(found.camera, name="", **{unknown: getattr(true, unknown)}) == replace(true, read_noise_e=0.0)
    assert found.camera.electrons_per_adu == pytest.approx(true.electrons_per_adu, rel=0.15)
    assert found.camera.baseline == pytest.approx(true.baseline, abs=max(15, 3 * true.to_adu(1.0) - 3 * true.baseline))
    assert not found.warnings


def blanked(movie):
    movie[::10] = 0


def flashed(movie):
    movie[7:27:2] += 2000


def raised(movie):
    movie[:10] += 300


@pytest.mark.parametrize(("spoil", "first"), [(blanked, 0), (flashed, 7), (raised, 0)])
def test_frames_unlike_the_others_are_left_out_and_reported(spoil, first, rng):
    movie = taken("plain", "ccd", rng)
    spoil(movie)
    with open_stack(movie) as stack:
        found = microscope_of(stack, Camera(100.0), None)
    assert found.warnings == (
        f"10 of 100 frames are blank, or far brighter or darker than the others (first: {first}): left out of the "
        "estimates",
    )
    assert found.camera.electrons_per_adu == pytest.approx(0.5, rel=0.2)
    assert found.camera.baseline == pytest.approx(100.0, abs=10)
    assert found.sigma_px == pytest.approx(1.3, rel=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("change", [-70, 70])
def test_a_moderate_flash_is_far_in_whatever_type_of_numbers(dtype, change, rng):
    movie = 20 + rng.poisson(100, (60, 32, 40))
    movie[5:35:6] += change
    movie = movie.clip(0, 255).astype(dtype)
    assert np.flatnonzero(outlier_frames(movie)).tolist() == [5, 11, 17, 23, 29]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_small_frame_with_one_bright_molecule_is_not_far(dtype, rng):
    light = np.full((100, 64, 64), 2.0, np.float32)
    on = np.arange(3, 100, 8)
    y, x = rng.uniform(10, 54, (2, len(on)))
    add_gaussians(light, on, y, x, np.full(len(on), 30_000.0), np.full(len(on), 1.3), np.full(len(on), 1.3))
    assert not outlier_frames(CCD.expose(light, rng).astype(dtype)).any()


def test_no_frame_is_far_where_the_light_fades_or_is_switched(rng):
    light = [300 * np.exp(-np.arange(200) / 60) + 5, np.where(np.arange(200) % 2, 20.0, 200.0)]
    for level in light:
        movie = 100 + rng.poisson(np.broadcast_to(level[:, None, None], (200, 32, 32)))
        assert not outlier_frames(movie).any()


def test_the_baseline_of_a_movie_with_negative_values_is_negative(rng):
    movie = taken("plain", "ccd", rng).astype(np.int32) - 150
    assert estimate_camera(movie).camera.baseline == pytest.approx(-50, abs=10)
    assert movie.min() < 0


#: One movie of a lab: few molecules on a frame of ordinary size.
LAB = Simulation(
    frame_shape=(256, 256), n_frames=40, camera=Camera(100.0, 100.0, 0.5, 0.8, read_noise_e=1.6), structure="uniform",
    emitters_per_frame=40, psf=GaussianPSF(80.0), photons=3000.0, background=50.0, on_time_frames=0.0, molecules=20_000,
)  # fmt: skip


@pytest.mark.parametrize(
    "scene",
    [
        {"photons": 20_000.0},
        {"photons": 20_000.0, "on_time_frames": 6.0, "background": 10.0},
        {"photons": 20_000.0, "psf": GaussianPSF(90.0), "background": 150.0},
        {"psf": GaussianPSF(90.0), "photons": 1000.0, "emitters_per_frame": 250},
        {"psf": GaussianPSF(130.0), "photons": 15_000.0, "emitters_per_frame": 4},
        {"psf": GaussianPSF(90.0), "photons": 4000.0, "background": 6.0, "camera": CAMERAS["emccd"]},
        {"psf": GaussianPSF(200.0), "photons": 1000.0, "background": 20.0},
    ],
)
def test_molecules_do_not_pass_for_noise(scene, rng):
    """Flashes of one frame, narrow PSFs, few molecules, a multiplication register."""
    simulation = replace(LAB, **scene)
    camera, uncertainty = estimate_camera(simulate(simulation, rng)[0], Camera(em_gain=simulation.camera.em_gain))
    true = simulation.camera.electrons_per_adu
    assert uncertainty < 0.2
    assert abs(camera.electrons_per_adu / true - 1) < max(0.15, 3 * uncertainty)


def test_the_error_of_the_gain_is_honest():
    """Few molecules in few frames: some estimates are far off, and as uncertain as they are."""
    scene = replace(LAB, n_frames=10, frame_shape=(128, 128), psf=GaussianPSF(100.0), photons=1500.0)
    deviations = []
    for seed in range(12):
        camera, uncertainty = estimate_camera(simulate(scene, np.random.default_rng(seed))[0])
        deviations.append((0.5 / camera.electrons_per_adu - 1) / uncertainty)
    assert 0.3 < np.sqrt(np.mean(np.square(deviations))) < 2


def test_a_movie_that_shows_the_gain_poorly_says_so(rng):
    scene = replace(LAB, n_frames=6, frame_shape=(64, 64), emitters_per_frame=3, psf=GaussianPSF(100.0), photons=1000.0)
    with open_stack(simulate(scene, rng)[0]) as stack:
        found = microscope_of(stack, Camera(100.0), 1.0)
        given = microscope_of(stack, LAB.camera, 1.0, unknown=())
    assert "the movie " in found.warnings[0]
    assert "the camera's gain" in found.warnings[0]
    assert [note.split(":")[0] for note in given.assumed] == ["the given baseline and gain could not be checked"]


def test_an_estimate_that_rests_on_an_unchecked_number_is_a_warning(rng):
    with open_stack(rng.poisson(100.0, (6, 40, 40)) + 100) as stack:
        found = microscope_of(stack, Camera(100.0, 0.0), 1.3, unknown=("electrons_per_adu",))
    assert found.warnings[-1].startswith("the given baseline could not be checked: the movie ")


@pytest.mark.parametrize("baseline", [0.0, 60.0, 140.0])
def test_a_wrong_baseline_alone_leaves_the_gain_right(baseline, rng):
    with open_stack(taken("plain", "ccd", rng)) as stack:
        found = microscope_of(stack, Camera(100.0, baseline), 1.3, unknown=("electrons_per_adu",))
    assert found.camera.baseline == baseline
    assert found.camera.electrons_per_adu == pytest.approx(0.5, rel=0.2)
    assert found.suggested.baseline == pytest.approx(100, abs=10)
    assert f"the movie looks like baseline {found.suggested.baseline:.0f} ADU" in found.warnings[-1]
    assert found.warnings[-1].endswith(f"; baseline {baseline:g} ADU was given")


@pytest.fixture(scope="module")
def lab_fit() -> NoiseFit:
    return fit_noise(simulate(LAB, np.random.default_rng(1))[0])


@pytest.mark.parametrize("factor", [1 / 2, 1 / 1.21, 1.0, 1.21, 2.0])
def test_a_gain_that_is_off_by_a_fifth_is_not_silent(factor, lab_fit):
    """As a warning with both numbers, or, where the movie hardly shows it, as not checked."""
    given = replace(LAB.camera, electrons_per_adu=0.5 * factor)
    for uncertainty in (0.02, 0.05, 0.08, 0.12, 0.3):
        fit = lab_fit._replace(slope=2.0, slope_error=2.0 * uncertainty)
        _, warning = compared(fit, given, ())
        note = unchecked(fit, given, ())
        if factor != 1:
            assert warning or f"electrons per ADU; {0.5 * factor:.3g} was given" in note
        else:
            assert not warning
            assert bool(note) == (uncertainty > 0.11)


def test_a_wrong_gain_alone_leaves_the_baseline_right(rng):
    with open_stack(taken("plain", "ccd", rng)) as stack:
        found = microscope_of(stack, Camera(100.0, 0.0, 2.0), 1.3, unknown=("baseline",))
    assert found.camera.baseline == pytest.approx(100, abs=10)
    assert found.warnings[-1].endswith("; 2 electrons per ADU was given")
    assert found.suggested.electrons_per_adu == pytest.approx(0.5, rel=0.2)


def test_saturated_molecules_do_not_change_the_gain(rng):
    """What is cut off at full scale is sharp, and would pass for noise."""
    movie = simulate(replace(LAB, psf=GaussianPSF(130.0), photons=20_000.0), rng)[0]
    assert estimate_camera(movie.clip(0, 2500)).camera.electrons_per_adu == pytest.approx(0.5, rel=0.15)
    assert estimate_sigma_px(movie.clip(0, 2500)) == pytest.approx(1.3, rel=0.05)
