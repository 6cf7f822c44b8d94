"""The point spread function measured on spots that stand alone, on movies whose point spread function is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy.special import j1

from napari_subpixel.calibration import SpotPsf, measure_psf
from napari_subpixel.calibration.spot_fitting import fit_spots, gaussians, link
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import home_pixel
from napari_subpixel.errors import InputError
from napari_subpixel.psf import GaussianPSF, add_gaussians
from napari_subpixel.simulation.settings import Simulation, crowded_microtubules
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

CCD = Camera(100.0, 200.0, 0.5, 0.9, read_noise_e=1.5)
EMCCD = Camera(100.0, 100.0, 30.0, 0.9, 300.0, 50.0)
SHAPE, BACKGROUND = (96, 112), 20.0


def apart(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places that are not nearer to each other than the pitch less 4 px, anywhere within their pixels."""
    rows, columns = (np.arange(pitch / 2, size - pitch / 2 + 0.1, pitch) for size in shape)
    y, x = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
    return y + rng.uniform(-2, 2, y.size), x + rng.uniform(-2, 2, y.size)


def molecules(
    camera: Camera, sigma_y: float, sigma_x: float | None = None, *, photons: float = 3000.0, n_frames: int = 6, rng
) -> np.ndarray:
    """A movie of molecules of varied brightness that stand alone and are on for one frame."""
    sigma_x = sigma_x or sigma_y
    light = np.full((n_frames, *SHAPE), BACKGROUND)
    for frame in range(n_frames):
        y, x = apart(SHAPE, 8 * max(sigma_y, sigma_x) + 7, rng)
        each = photons * np.exp(0.3 * rng.normal(size=y.size))
        one = np.ones(y.size)
        add_gaussians(light, np.full(y.size, frame), y, x, each, sigma_y * one, sigma_x * one)
    return camera.expose(light, rng)


def beads(
    widths: np.ndarray, *, shape: tuple[int, int] = (50, 76), photons: float = 20_000.0, pitch: float = 25.0, rng
) -> np.ndarray:
    """A movie of beads that stay where they are; widths (frames, beads), in pixels."""
    y, x = apart(shape, pitch, rng)
    light = np.full((len(widths), *shape), BACKGROUND)
    each = photons * np.exp(0.4 * rng.normal(size=y.size))
    for frame, sigma in enumerate(widths):
        sigma = np.broadcast_to(sigma, y.shape)
        add_gaussians(light, np.full(y.size, frame), y, x, each, sigma, sigma)
    return CCD.expose(light, rng)


def airy_disks(first_dark_ring_px: float, *, photons: float = 5000.0, rng) -> np.ndarray:
    """A movie of Airy disks, each integrated over its pixels by a fine grid."""
    light, fine, reach = np.full((4, *SHAPE), BACKGROUND), 7, 9
    scale = 3.8317 / first_dark_ring_px
    grid = (np.arange(-reach * fine - fine // 2, reach * fine + fine // 2 + 1)) / fine
    for frame in light:
        for y, x in zip(*apart(SHAPE, 24, rng), strict=True):
            row, column = home_pixel([y, x])
            radius = np.hypot(grid[:, None] - (y - row), grid - (x - column)) * scale + 1e-9
            spot = ((2 * j1(radius) / radius) ** 2).reshape(2 * reach + 1, fine, -1, fine).mean(axis=(1, 3))
            place = (slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
            frame[place] += photons * spot * scale**2 / (4 * np.pi)
    return CCD.expose(light, rng)


def measured(movie: np.ndarray, camera: Camera = CCD, **settings) -> SpotPsf:
    with open_stack(movie) as stack:
        return measure_psf(stack, camera, **settings)


# -- the width and its uncertainty --------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", [CCD, EMCCD], ids=["ccd", "emccd"])
@pytest.mark.parametrize("sigma_px", [0.9, 1.3, 2.0])
def test_the_width_is_found_within_its_uncertainty(camera, sigma_px, rng):
    found = measured(molecules(camera, sigma_px, rng=rng), camera)
    assert found.sigma_uncertainty_px < 0.01 * sigma_px
    assert abs(found.sigma_px - sigma_px) < 3.5 * found.sigma_uncertainty_px
    assert found.is_gaussian
    assert found.verdict.startswith("a Gaussian fits")
    assert found.n_spots > 60
    assert found.notes == ()
    assert abs(found.radial.tails) < 0.03


def test_the_uncertainty_is_the_scatter_of_the_error(rng):
    errors = []
    for _ in range(30):
        found = measured(molecules(CCD, 1.3, photons=1500, n_frames=3, rng=rng))
        errors.append((found.sigma_px - 1.3) / found.sigma_uncertainty_px)
    assert 0.7 < np.sqrt(np.mean(np.square(errors))) < 1.5


def test_images_of_one_bead_are_one_sample(rng):
    errors, uncertainties = [], []
    for _ in range(15):
        widths = 1.3 * (1 + 0.03 * rng.normal(size=6)) * np.ones((40, 1))
        found = measured(beads(widths, rng=rng))
        assert (found.n_sources, found.n_spots > 200) == (6, True)
        errors.append(found.sigma_px - 1.3)
        uncertainties.append(found.sigma_uncertainty_px)
    assert np.median(uncertainties) == pytest.approx(0.03 * 1.3 / np.sqrt(6), rel=0.4)
    assert np.std(errors) < 2 * np.median(uncertainties)


def test_the_uncertainty_of_a_few_beads_is_widened_by_students_t(rng):
    widths = 1.3 * np.array([0.985, 1.0, 1.02]) * np.ones((10, 1))
    found = measured(beads(widths, shape=(32, 82), rng=rng))
    assert len(found.sigmas_px) == 3
    naive = found.sigmas_px.std(ddof=1) / np.sqrt(3)
    assert found.sigma_uncertainty_px / naive == pytest.approx(1.32, rel=0.03)  # the 84% quantile of t with 2 degrees


def test_a_bead_much_wider_than_the_others_is_left_out(rng):
    widths = np.append(1.3 * (1 + 0.02 * rng.normal(size=9)), 2.6) * np.ones((6, 1))
    found = measured(beads(widths, shape=(50, 126), rng=rng))
    assert (found.n_sources, found.n_left_out["of another width"]) == (9, 6)
    assert found.sigma_px == pytest.approx(widths[0, :9].mean(), rel=0.01)


def test_a_single_bead_is_told_to_be_one(rng):
    found = measured(beads(np.full((30, 1), 1.4), shape=(32, 39), pitch=32, rng=rng))
    assert (found.n_sources, found.n_spots) == (1, 30)
    assert found.sigma_px == pytest.approx(1.4, abs=4 * found.sigma_uncertainty_px)
    assert "one bead" in found.notes[-1]
    assert len(found.sigmas_px) == 30


def test_the_gain_hardly_matters(rng):
    movie = molecules(CCD, 1.3, rng=rng)
    known, unknown = measured(movie), measured(movie, Camera())
    assert unknown.sigma_px == pytest.approx(known.sigma_px, rel=0.005)


def test_a_camera_with_maps_is_as_good(rng):
    gain = rng.uniform(0.4, 0.6, SHAPE)
    camera = replace(CCD, electrons_per_adu=gain, baseline=200 + 20 * rng.normal(size=SHAPE), read_noise_e=1 + gain)
    found = measured(molecules(camera, 1.3, rng=rng), camera, roi=((10, 96), (0, 100)))
    assert abs(found.sigma_px - 1.3) < 3.5 * found.sigma_uncertainty_px


def test_molecules_of_a_sparse_movie_tell_it_too(rng):
    simulation = Simulation(
        frame_shape=(64, 96), n_frames=120, emitters_per_frame=12, camera=CCD, psf=GaussianPSF(130.0),
        structure="uniform", photons=2500.0,
    )  # fmt: skip
    found = measured(simulate(simulation, rng)[0])
    assert found.sigma_px == pytest.approx(1.3, rel=0.015)
    assert found.is_gaussian
    assert found.n_left_out["crowded"] > 50


def test_a_part_of_the_movie_is_looked_at(rng):
    movie = np.concatenate([molecules(CCD, s, n_frames=4, rng=rng) for s in (1.3, 2.0)])
    assert measured(movie, frames=(0, 4)).sigma_px == pytest.approx(1.3, rel=0.02)
    assert measured(movie, frames=(4, None)).sigma_px == pytest.approx(2.0, rel=0.02)
    few = measured(movie, frames=(0, 4), roi=((0, 60), (0, 70)))
    assert few.n_spots < measured(movie, frames=(0, 4)).n_spots


def test_a_long_movie_is_looked_at_in_some_frames(monkeypatch, rng):
    monkeypatch.setattr("napari_subpixel.calibration.spot_finding.MAX_FRAMES", 5)
    monkeypatch.setattr("napari_subpixel.calibration.spot_finding.MAX_WINDOW_PIXELS", 20 * 19**2)
    found = measured(molecules(CCD, 1.3, n_frames=12, rng=rng))
    assert (found.n_frames, found.n_spots <= 20) == (5, True)
    assert found.n_left_out["beyond the number that is used"] > 0


# -- is it a Gaussian ---------------------------------------------------------------------------------------------


def test_an_airy_disk_is_told_from_a_gaussian(rng):
    found = measured(airy_disks(3.6, rng=rng))
    assert not found.is_gaussian
    assert found.radial.misfit > 0.035
    assert 0.01 < found.radial.tails < 0.1
    assert "Gaussian" in found.verdict


def test_wide_tails_are_seen(rng):
    y, x = apart(SHAPE, 30, rng)
    light = np.full((5, *SHAPE), BACKGROUND)
    for frame in range(5):
        for share, sigma in ((0.8, 1.3), (0.2, 3.2)):
            one = np.ones(y.size)
            add_gaussians(light, np.full(y.size, frame), y, x, 8000 * share * one, sigma * one, sigma * one)
    found = measured(CCD.expose(light, rng))
    assert found.has_tails
    assert 0.05 < found.radial.tails < 0.2
    assert f"{found.radial.tails:.0%} of the light" in found.verdict


def test_elongated_spots_are_seen_along_the_axes(rng):
    found = measured(molecules(CCD, 1.3, 1.6, rng=rng))
    assert found.shape.sigma_y_px == pytest.approx(1.3, rel=0.02)
    assert found.shape.sigma_x_px == pytest.approx(1.6, rel=0.02)
    assert (
        found.verdict == f"elongated: sigma y {found.shape.sigma_y_px:.2f} px, sigma x {found.shape.sigma_x_px:.2f} px"
    )
    assert abs(found.shape.angle_deg) < 5


def test_elongated_spots_are_seen_between_the_axes(rng):
    light = np.full((5, *SHAPE), BACKGROUND)
    steps = np.linspace(-1.2, 1.2, 7)
    for frame in range(5):
        y, x = apart(SHAPE, 22, rng)
        for step in steps:  # down to the right: y grows with x
            one = np.ones(y.size)
            add_gaussians(light, np.full(y.size, frame), y + step, x + step, 700 * one, 1.2 * one, 1.2 * one)
    found = measured(CCD.expose(light, rng))
    assert found.shape.angle_deg == pytest.approx(45, abs=5)
    assert found.shape.long_px == pytest.approx(np.sqrt(1.2**2 + 2 * (steps**2).mean()), rel=0.04)
    assert found.shape.short_px == pytest.approx(1.2, rel=0.05)
    assert found.verdict.startswith("elongated")
    assert "degrees" in found.verdict


def test_few_dim_spots_do_not_tell(rng):
    found = measured(molecules(CCD, 2.0, photons=900, n_frames=1, rng=rng)[:, :60, :60])
    assert found.verdict.startswith("as far as these spots show, a Gaussian fits")


def test_profile_and_gaussian_are_seen_through_the_same_pixels(rng):
    found = measured(molecules(CCD, 0.9, photons=20_000, rng=rng))
    np.testing.assert_allclose(found.radial.profile, found.radial.gaussian, atol=0.01 * found.radial.gaussian.max())
    assert np.all(np.diff(found.radial.radius_px) > 0)
    assert found.image.sum() / found.image_zoom**2 == pytest.approx(1, abs=0.02)
    middle = found.image.shape[0] // 2
    assert np.unravel_index(np.nanargmax(found.image), found.image.shape) == pytest.approx((middle, middle), abs=1)


def test_what_was_measured_becomes_json_and_a_psf(rng):
    found = measured(molecules(CCD, 1.3, n_frames=2, rng=rng))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["sigma_px"] == found.sigma_px
    assert found.psf(100.0) == GaussianPSF(100 * found.sigma_px)
    assert found.width_text(100.0).endswith("nm)")
    assert found.width_text().endswith("px")


# -- z-stacks -----------------------------------------------------------------------------------------------------


def through_focus(planes: np.ndarray, depth: float = 0.35) -> np.ndarray:
    return 1.3 * np.sqrt(1 + (planes[:, None] / depth) ** 2)


@pytest.mark.parametrize("n_planes", [11, 41])
def test_beads_of_a_z_stack_are_measured_in_focus(n_planes, rng):
    widths = through_focus(np.linspace(-0.5, 0.4, n_planes))
    found = measured(beads(widths, rng=rng))
    assert found.z_stack
    assert found.sigma_px == pytest.approx(1.3, rel=0.01)
    assert found.n_left_out["out of focus"] > n_planes
    assert "in focus" in found.notes[0]
    assert measured(beads(widths, rng=rng), z_stack=False).sigma_px > 1.35


def test_a_z_stack_that_ends_before_the_focus_is_told(rng):
    found = measured(beads(through_focus(np.linspace(0.2, 0.8, 25)), rng=rng))
    assert any("may not be in focus" in note for note in found.notes)


def test_a_movie_of_molecules_is_no_z_stack(rng):
    with pytest.raises(InputError, match="its focus cannot be located"):
        measured(molecules(CCD, 1.3, n_frames=3, rng=rng), z_stack=True)


def test_the_real_z_stack_of_a_bead_is_astigmatic(data_folder):
    found = measured(tifffile.imread(data_folder / "real" / "astigmatism_bead_zstack.tif"), Camera(65.0, 99.0, 1 / 0.6))
    assert found.z_stack
    assert found.n_sources == 1
    assert found.psf(65.0).sigma_nm == pytest.approx(122, abs=6)
    assert found.has_tails
    assert any("astigmatic" in note for note in found.notes)


# -- what is refused or left out -----------------------------------------------------------------------------------


def test_the_real_crowded_movie_is_refused(data_folder):
    with pytest.raises(InputError, match=r"too crowded: of [0-9]+ bright spots"):
        measured(tifffile.imread(data_folder / "real" / "tubulins_alexa647_400frames.tif")[:60], Camera(65.0, 99.0))


def test_a_crowded_movie_is_refused(rng):
    movie, _ = simulate(crowded_microtubules(n_frames=5), rng)
    with pytest.raises(InputError, match="array: too crowded"):
        measured(movie, crowded_microtubules().camera)


@pytest.mark.parametrize("movie", [np.full((3, 40, 50), 230), np.full((3, 40, 50), 0)], ids=["even", "dark"])
def test_a_movie_of_nothing_is_refused(movie):
    with pytest.raises(InputError, match="found no bright spot in 3 frames; at least 3"):
        measured(movie.astype(np.uint16))


def test_noise_is_nothing(rng):
    with pytest.raises(InputError, match="found no bright spot"):
        measured(CCD.expose(np.full((20, 60, 70), BACKGROUND), rng))


def test_bright_pixels_are_no_spots(rng):
    movie = CCD.expose(np.full((4, 60, 70), BACKGROUND), rng)
    movie[:, 10::20, 15::20] = rng.integers(4000, 6000, (4, 3, 3))
    with pytest.raises(InputError, match=r"of [0-9]+ bright spots in 4 frames [0-9]+ not like a spot"):
        measured(movie)


def test_spots_at_the_edge_alone_are_refused(rng):
    light = np.full((4, 30, 40), BACKGROUND)
    add_gaussians(light, np.arange(4), np.full(4, 2.0), np.full(4, 20.0), np.full(4, 9e3), np.full(4, 1.3), np.ones(4))
    with pytest.raises(InputError, match="4 near the edge"):
        measured(CCD.expose(light, rng))


@pytest.mark.parametrize("bit_depth", [16, 12], ids=["flat top", "bits"])
def test_saturated_spots_are_left_out(bit_depth, rng):
    widths = np.full((8, 6), 1.3)
    movie = np.concatenate([beads(widths, rng=rng), beads(widths, photons=200_000, rng=rng).clip(0, 4095)])
    found = measured(movie, replace(CCD, bit_depth=bit_depth))
    assert found.n_left_out["saturated"] >= 40
    assert found.sigma_px == pytest.approx(1.3, rel=0.01)
    with pytest.raises(InputError, match="saturated"):
        measured(movie[8:], replace(CCD, bit_depth=bit_depth))


def test_frames_that_are_too_small_or_not_finite_are_refused(rng):
    movie = molecules(CCD, 1.3, rng=rng).astype(np.float32)
    with pytest.raises(InputError, match="8 x 112 pixels are too few: a spot needs 11 x 11"):
        measured(movie[:, :8])
    movie[2, 5, 7] = np.nan
    with pytest.raises(InputError, match="frame 2 holds nan"):
        measured(movie)


def test_frames_and_regions_beyond_the_movie_are_refused(rng):
    movie = molecules(CCD, 1.3, rng=rng)
    for frames in ((3, 3), (0, 7), (-1, 4)):
        with pytest.raises(InputError, match="do not lie within the movie's 0:6"):
            measured(movie, frames=frames)
    with pytest.raises(InputError, match="region of interest"):
        measured(movie, roi=((0, 50), (0, 113)))


def test_a_stop_is_possible_at_every_frame(rng):
    with open_stack(molecules(CCD, 1.3, rng=rng)) as stack:
        steps = measure_psf.steps(stack, CCD)
        assert 0 <= next(steps) < next(steps) < 1
        steps.close()


# -- the parts ----------------------------------------------------------------------------------------------------


def test_the_derivatives_of_a_spot_are_those_of_the_spot():
    at = np.array([[0.2, -0.3, 700.0, 9.0, 1.1, 1.5]])
    _, slopes = gaussians(at, 5)
    for column in (0, 1, 2, 4, 5):
        step = np.zeros((1, 6))
        step[0, column] = 1e-5
        expected = (gaussians(at + step, 5)[0] - gaussians(at - step, 5)[0]) / 2e-5
        np.testing.assert_allclose(slopes[:, column], expected, atol=1e-5)


def test_a_spot_without_noise_is_fitted_exactly():
    at = np.array([[0.3, -0.2, 900.0, 9.0, 1.1, 1.5], [-0.4, 0.1, 2000.0, 3.0, 1.4, 1.2]])
    windows = gaussians(at, 6)[0] + at[:, 3, None, None]
    fits = fit_spots(windows, 1.3, 1.0, np.zeros(2))
    np.testing.assert_allclose(fits.at, at, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(fits.slant, 0, atol=1e-3)
    assert fits.good.all()


def test_no_window_is_no_fit():
    assert len(fit_spots(np.empty((0, 11, 11)), 1.3, 1.0, np.empty(0)).good) == 0


def test_a_bead_is_followed_as_it_drifts_and_over_gaps():
    frame = np.array([0, 1, 2, 5, 9])
    place = np.array([[5.0, 5.0], [5.5, 5.0], [6.0, 5.0], [6.5, 5.0], [7.0, 5.0]])
    assert link(frame, place, 1.0, gap=3).tolist() == [0, 0, 0, 0, 1]
    two_at_once = link(np.array([0, 1, 1]), np.array([[5.0, 5.0], [5.2, 5.0], [5.1, 5.0]]), 1.0, gap=3)
    assert two_at_once.tolist() == [0, 1, 0]
