"""The point spread function: all of the light, in the right pixels, for molecules at any place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from napari_subpixel.errors import ImplausibleError, InputError
from napari_subpixel.psf import TRUNCATE_SIGMA, GaussianPSF, draw_gaussians

SHAPE = (1, 31, 43)


def centroid(image: np.ndarray) -> tuple[float, float]:
    """Mean row and mean column, weighted by the light."""
    rows, columns = np.indices(image.shape)
    return (image * rows).sum() / image.sum(), (image * columns).sum() / image.sum()


def integrated(place: float, sigma: float, pixels: int) -> np.ndarray:
    """Return the light of a one-dimensional Gaussian on each pixel, by numerical integration."""
    density = norm(place, sigma).pdf
    return np.array([quad(density, k - 0.5, k + 0.5, epsabs=1e-12, points=[place])[0] for k in range(pixels)])


# -- light --------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(y=st.floats(14.5, 15.5), x=st.floats(20.5, 21.5), sigma=st.floats(0.01, 2.5))
def test_a_molecule_gives_all_its_photons_around_where_it_is(y, x, sigma):
    image = draw_gaussians(SHAPE, [0], [y], [x], [1000.0], sigma)[0]
    assert image.sum() == pytest.approx(1000, rel=2e-6)  # what lies beyond the truncation is left off
    # Pixels pull the centroid of a narrow molecule to their centres: by exp(-2 (pi sigma)**2) / pi at most, roughly.
    assert centroid(image) == pytest.approx((y, x), abs=1e-4 + 0.5 * np.exp(-2 * (np.pi * sigma) ** 2))


@pytest.mark.parametrize("sigma", [0.2, 1.096, 3.0])
@pytest.mark.parametrize(("y", "x"), [(5.0, 7.0), (5.5, 7.5), (4.83, 9.21), (-0.5, 13.5), (0.4, -0.7)])
def test_every_pixel_has_the_integral_of_the_gaussian_over_it(y, x, sigma):
    image = draw_gaussians((1, 11, 14), [0], [y], [x], [1.0], sigma)[0]
    expected = np.outer(integrated(y, sigma, 11), integrated(x, sigma, 14))
    np.testing.assert_allclose(image, expected, atol=2 * norm.sf(TRUNCATE_SIGMA))


def test_a_narrow_molecule_lights_one_pixel_and_on_its_edge_two():
    image = draw_gaussians((1, 5, 7), [0, 0], [1.0, 3.5], [2.0, 5.0], [100.0, 60.0], 1e-3)[0]
    assert np.argwhere(image > 1e-9).tolist() == [[1, 2], [3, 5], [4, 5]]
    assert image[1, 2] == pytest.approx(100)
    assert image[3:, 5] == pytest.approx([30, 30])


def test_molecules_go_to_their_own_frames_and_add_up():
    frame, y, x = [2, 0, 2], [4.2, 10.0, 4.2], [30.5, 8.8, 30.5]
    movie = draw_gaussians((3, *SHAPE[1:]), frame, y, x, [100.0, 500.0, 200.0], 1.1)
    assert movie.sum(axis=(1, 2)) == pytest.approx([500, 0, 300], rel=1e-5)
    np.testing.assert_allclose(movie[2], 3 * draw_gaussians(SHAPE, [0], [4.2], [30.5], [100.0], 1.1)[0])


def test_each_molecule_may_have_its_own_width():
    sigma = [0.6, 1.0, 2.7]
    together = draw_gaussians((3, 31, 43), [0, 1, 2], [15.3] * 3, [20.8] * 3, [10.0, 20.0, 30.0], sigma)
    for image, photons, width in zip(together, [10.0, 20.0, 30.0], sigma, strict=True):
        alone = draw_gaussians(SHAPE, [0], [15.3], [20.8], [photons], width)[0]
        # The widest of a group sets the window of all: a narrow one loses less light there than alone.
        np.testing.assert_allclose(image, alone, atol=photons * 1e-6)
        rows, _ = np.indices(image.shape)
        second_moment = (image * (rows - 15.3) ** 2).sum() / photons
        assert second_moment == pytest.approx(width**2 + 1 / 12, rel=2e-3)  # 1/12: the pixel's own width


# -- the frame's edge ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "x", "share"),
    [
        (-0.5, 20.0, 0.5),  # on the edge: half the light is outside
        (30.5, 20.0, 0.5),
        (15.0, -0.5, 0.5),
        (15.0, 42.5, 0.5),
        (-0.5, -0.5, 0.25),
        (30.5, 42.5, 0.25),
        (-1.5, 20.0, norm.sf(1)),  # one standard deviation beside it
        (15.0, 43.5, norm.sf(1)),
    ],
)
def test_a_molecule_at_the_edge_or_beside_it_gives_its_share(y, x, share):
    assert draw_gaussians(SHAPE, [0], [y], [x], [1.0], 1.0).sum() == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("place", [(-50.0, 20.0), (15.0, 1e6), (1e9, -1e9), (-8.0, 5.0), (5.0, 60.0)])
def test_a_molecule_far_beside_the_frame_gives_nothing(place):
    assert not draw_gaussians(SHAPE, [0], [place[0]], [place[1]], [1e6], 1.0).any()


def test_a_frame_smaller_than_the_molecule_is_lit_all_over():
    image = draw_gaussians((1, 2, 3), [0], [0.5], [1.0], [1.0], 4.0)[0]
    np.testing.assert_allclose(image, np.outer(integrated(0.5, 4, 2), integrated(1, 4, 3)), rtol=1e-9)


# -- many, none, and wrong ----------------------------------------------------------------------------------------


def test_no_molecules_give_dark_frames():
    movie = draw_gaussians((2, 5, 7), [], [], [], [], 1.0)
    assert movie.shape == (2, 5, 7)
    assert not movie.any()


def test_so_many_that_they_are_drawn_in_parts_are_the_sum_of_their_parts(rng):
    n = 12_000
    frame, y, x = rng.integers(0, 3, n), rng.uniform(-9, 29, n), rng.uniform(-9, 49, n)
    photons, sigma = rng.uniform(1, 9, n), rng.uniform(17, 18, n)
    columns = (frame, y, x, photons, sigma)
    whole = draw_gaussians((3, 20, 40), *columns)
    parts = sum(draw_gaussians((3, 20, 40), *(c[k::4] for c in columns)) for k in range(4))
    np.testing.assert_allclose(whole, parts, rtol=1e-6)


def test_the_order_of_the_molecules_does_not_matter(rng):
    columns = np.stack([rng.integers(0, 4, 300), rng.uniform(-2, 33, 300), rng.uniform(-2, 45, 300), rng.random(300)])
    shuffled = rng.permutation(columns, axis=1)
    shape = (4, 31, 43)
    np.testing.assert_allclose(draw_gaussians(shape, *columns, 1.3), draw_gaussians(shape, *shuffled, 1.3), atol=1e-12)


@pytest.mark.parametrize(("frame", "seen"), [([0, 2], "0 to 2"), ([-1, 1], "-1 to 1")])
def test_a_frame_that_is_not_there_is_refused(frame, seen):
    with pytest.raises(InputError, match=f"expected frames from 0 to 1, got {seen}"):
        draw_gaussians((2, 5, 7), frame, [1.0, 2.0], [1.0, 2.0], [1.0, 1.0], 1.0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan])
def test_a_width_that_is_not_positive_is_refused(sigma):
    with pytest.raises(InputError, match="sigma must be positive, got"):
        draw_gaussians((2, 5, 7), [0], [1.0], [1.0], [1.0], sigma)


# -- the record ---------------------------------------------------------------------------------------------------


def test_the_width_is_told_in_nm_and_asked_for_in_pixels():
    assert GaussianPSF(sigma_nm=110).sigma_px(100) == pytest.approx(1.1)
    with pytest.raises(InputError, match="pixel size must be positive"):
        GaussianPSF(110).sigma_px(0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sigma_nm": 0}, "psf: sigma_nm must be positive, got 0"),
        ({"sigma_nm": -110}, "psf: sigma_nm must be positive, got -110"),
        ({"sigma_nm": np.nan}, "psf: sigma_nm must be finite, got nan"),
        ({"sigma_nm": "wide"}, "psf: sigma_nm must be a number, got 'wide'"),
        ({"sigma_nm": True}, "psf: sigma_nm must be a number, got True"),
        ({"sigma": 110}, r"psf: unknown field 'sigma'; did you mean 'sigma_nm'\?"),
        ({}, "psf: missing field 'sigma_nm'"),
    ],
)
def test_an_impossible_or_misspelt_psf_is_refused_by_name(values, message):
    with pytest.raises(InputError, match=message):
        GaussianPSF.from_dict(values)


def test_a_psf_goes_through_yaml_unchanged(tmp_path):
    GaussianPSF(112.5).to_yaml(tmp_path / "psf.yaml")
    assert GaussianPSF.from_yaml(tmp_path / "psf.yaml") == GaussianPSF(112.5)
    assert GaussianPSF.from_dict(GaussianPSF(110).to_dict()) == GaussianPSF(110)


def test_a_bad_psf_file_is_named(tmp_path):
    path = tmp_path / "psf.yaml"
    path.write_text("psf: {sigma_nm: -3}")
    with pytest.raises(InputError) as caught:
        GaussianPSF.from_yaml(path)
    assert str(caught.value) == f"{path}: psf: sigma_nm must be positive, got -3"


@pytest.mark.parametrize(
    ("sigma_nm", "meant"),
    [(0.13, r"did you mean 130\?"), (1.3, r"did you mean 1.3 px, 130 nm\?"), (13, "100 nm$"), (1100, "100 nm$")],
)
def test_a_width_that_no_psf_has_is_refused(sigma_nm, meant):
    with pytest.raises(ImplausibleError, match=f"a sigma of {sigma_nm:g} nm is not between 30 and 1000 nm.*{meant}"):
        GaussianPSF(sigma_nm).check_plausible(100.0)
    GaussianPSF(35.0).check_plausible(100.0)
