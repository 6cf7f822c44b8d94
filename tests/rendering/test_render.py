"""Rendered images: every point in its exact place, with its own sum and width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import add_gaussians
from napari_subpixel.rendering import render as module
from napari_subpixel.rendering.render import METHODS, render

SHAPE = (12, 19)


def points(y, x, *, pixel_size_nm=100.0, frame_shape=SHAPE, **columns):
    columns = {"frame": np.zeros(len(y), int), "y": y, "x": x, **columns}
    return Localizations(columns, pixel_size_nm=pixel_size_nm, frame_shape=frame_shape, provenance={"movie": "a.tif"})


def both(uncertainty):
    """Name an uncertainty along both axes."""
    return {"y_uncertainty": uncertainty, "x_uncertainty": uncertainty}


def somewhere(rng, n, margin_px=0.0, **about):
    return points(*(rng.uniform(margin_px - 0.5, side - 0.5 - margin_px, n) for side in SHAPE), **about)


def centroid(image):
    image = image.astype(np.float64)
    return tuple(np.arange(n) @ image.sum(axis=1 - axis) / image.sum() for axis, n in enumerate(image.shape))


def by_hand(rendered, y, x, sigma_y, sigma_x):
    """Integrate every Gaussian over every pixel of the image, in nm from the outer corner."""
    step, camera = rendered.grid.pixel_size_nm, rendered.grid.frame_pixel_size_nm
    sides = []
    for n, place, sigma in ((rendered.grid.shape[0], y, sigma_y), (rendered.grid.shape[1], x, sigma_x)):
        edges = np.arange(n + 1) * step
        sides.append(np.diff(ndtr((edges - (place[:, None] + 0.5) * camera) / sigma[:, None]), axis=1))
    return np.einsum("nh,nw->hw", *sides)


# -- place --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("camera_nm", "pixel_nm", "y", "x", "pixel"),
    [
        (100, 10, 0.01, 0.01, (5, 5)),  # the centre of the first pixel is the lower edge of image pixel 5
        (100, 10, 0.04, 0.04, (5, 5)),
        (100, 10, -0.46, 17.24, (0, 177)),
        (100, 10, 11.44, 18.47, (119, 189)),  # near the far corner
        (100, 20, 3.31, 7.72, (19, 41)),
        (100, 100, 3.31, 7.72, (3, 8)),
        (97, 10, 3.31, 7.72, (36, 79)),  # (3.31 + 0.5) * 9.7 = 36.96; (7.72 + 0.5) * 9.7 = 79.73
        (97, 10, 11.44, 18.47, (115, 184)),
        (65, 250, 3.31, 7.72, (0, 2)),
    ],
)
def test_a_point_lies_in_its_pixel(method, camera_nm, pixel_nm, y, x, pixel):
    sharp = {"sigma_nm": pixel_nm / 10} if method == "gaussian" else {}
    rendered = render(points([y], [x], pixel_size_nm=camera_nm), method=method, pixel_size_nm=pixel_nm, **sharp)
    assert np.unravel_index(rendered.image.argmax(), rendered.image.shape) == pixel
    assert rendered.image.dtype == np.float32


@pytest.mark.parametrize(
    ("y", "pixel"), [(-0.5, 0), (-0.375, 1), (-0.375001, 0), (2.5, 24), (2.499999, 23), (11.499999, 95)]
)
def test_a_point_on_a_border_belongs_to_the_pixel_that_begins_there(y, pixel):
    image = render(points([y], [4.0]), method="histogram", pixel_size_nm=12.5).image
    assert np.argwhere(image).tolist() == [[pixel, 36]]


def test_the_far_edge_of_a_field_that_does_not_divide_is_on_the_image():
    edge = np.nextafter(np.array(SHAPE) - 0.5, 0)
    for camera_nm, pixel_nm in [(97, 10), (100, 30), (65, 7.3), (100, 3.3333333333), (106.7, 10.67), (100, 10 - 3e-12)]:
        table = points(edge[:1], edge[1:], pixel_size_nm=camera_nm)
        rendered = render(table, pixel_size_nm=pixel_nm, method="histogram")
        assert np.argwhere(rendered.image).tolist() == [[n - 1 for n in rendered.image.shape]]


def test_the_layers_scale_and_place_put_a_point_where_the_movie_has_it():
    rendered = render(points([7.3], [2.1], pixel_size_nm=97), pixel_size_nm=10, sigma_nm=15)
    place_nm = np.array(centroid(rendered.image)) * rendered.scale_nm + rendered.translate_nm
    assert place_nm == pytest.approx([7.3 * 97, 2.1 * 97], abs=0.01)
    assert rendered.image.shape == (117, 185)


@pytest.mark.parametrize("sigma_nm", [8.0, 16.0, 55.0])
def test_the_centroid_of_a_gaussian_is_its_point(rng, sigma_nm):
    table = somewhere(rng, 20, margin_px=3)
    for i in range(20):
        rendered = render(table.select([i]), sigma_nm=sigma_nm)
        assert centroid(rendered.image) == pytest.approx(rendered.grid.from_frame(*table.yx[i]), abs=1e-3)


# -- sums and widths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_image_sums_to_the_number_of_points(rng, method):
    rendered = render(somewhere(rng, 500, margin_px=1), method=method, pixel_size_nm=7)
    assert rendered.image.sum(dtype=float) == pytest.approx(500, abs=0.01)


def test_two_points_in_one_pixel_count_two():
    assert render(points([3.0, 3.01], [4.0, 4.01]), method="histogram").image.max() == 2


def test_a_point_at_the_corner_loses_three_quarters_over_the_edges():
    assert render(points([-0.5], [-0.5]), sigma_nm=20).image.sum() == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize(("pixel_size_nm", "sigma_nm"), [(10, 16), (9.7, 30), (33, 12), (4, 60)])
def test_gaussians_are_what_the_equation_says(rng, pixel_size_nm, sigma_nm):
    table = somewhere(rng, 300)
    rendered = render(table, pixel_size_nm=pixel_size_nm, sigma_nm=sigma_nm)
    sigma = np.full(300, sigma_nm)
    assert rendered.image == pytest.approx(by_hand(rendered, table.y, table.x, sigma, sigma), abs=3e-6)


def test_each_point_has_its_own_uncertainty_along_each_axis(rng):
    sigma_y, sigma_x = rng.uniform(0.01, 0.9, (2, 300)).astype(np.float32)
    table = somewhere(rng, 300, y_uncertainty=sigma_y, x_uncertainty=sigma_x)
    rendered = render(table)
    assert rendered.image == pytest.approx(by_hand(rendered, table.y, table.x, sigma_y * 100, sigma_x * 100), abs=5e-6)
    alone = render(points([5.0], [9.0], y_uncertainty=[0.1], x_uncertainty=[0.3])).image
    spread = np.array([np.arange(n) ** 2 @ alone.sum(axis=1 - i) for i, n in enumerate(alone.shape)])
    # In pixels of the image: the width and that of a pixel, whose square is 1/12.
    assert spread - np.square(centroid(alone)) == pytest.approx([1 + 1 / 12, 9 + 1 / 12], abs=0.01)


def test_a_fixed_width_goes_before_the_uncertainties(rng):
    table = somewhere(rng, 30)
    own = table.with_columns(y_uncertainty=np.full(30, 0.5), x_uncertainty=np.full(30, 0.5))
    assert np.array_equal(render(own, sigma_nm=20).image, render(table, sigma_nm=20).image)
    assert not np.array_equal(render(own).image, render(table).image)


def test_points_without_uncertainties_are_one_pixel_wide(rng):
    table = somewhere(rng, 30)
    one_axis = table.with_columns(y_uncertainty=np.full(30, 0.5))
    for pixel_size_nm in (5, 20):
        expected = render(table, pixel_size_nm=pixel_size_nm, sigma_nm=pixel_size_nm).image
        assert np.array_equal(render(table, pixel_size_nm=pixel_size_nm).image, expected)
        assert np.array_equal(render(one_axis, pixel_size_nm=pixel_size_nm).image, expected)


@pytest.mark.parametrize("unknown", [np.nan, 0.0, -0.3, np.inf])
def test_an_uncertainty_that_is_none_is_drawn_as_the_median(unknown):
    def drawn(last):
        return render(points([5.0] * 4, [3.0, 6.0, 9.0, 12.0], **both([0.1, 0.2, 0.3, last])))

    assert np.array_equal(drawn(unknown).image, drawn(0.2).image)
    only = render(points([5.0], [3.0], **both([unknown])))
    assert np.array_equal(only.image, render(points([5.0], [3.0])).image)


def test_uncertainties_are_drawn_within_limits():
    def drawn(uncertainty):
        return render(points([5.0], [9.0], **both([uncertainty]))).image

    assert np.array_equal(drawn(1e9), drawn(1.0))
    assert np.array_equal(drawn(1e-9), drawn(0.01))
    assert not np.array_equal(drawn(0.9), drawn(1.0))
    assert np.isfinite(drawn(1e-30)).all()


def test_the_image_does_not_depend_on_how_many_points_are_drawn_at_a_time(rng, monkeypatch):
    table = somewhere(rng, 200, y_uncertainty=rng.uniform(0, 1, 200), x_uncertainty=rng.uniform(0, 1, 200))
    whole = [render(table, method=method).image for method in METHODS]
    monkeypatch.setattr(module, "CHUNK_POINTS", 7)
    for method, image in zip(METHODS, whole, strict=True):
        assert render(table, method=method).image == pytest.approx(image, abs=1e-6)


def test_rendering_tells_how_far_it_is_and_may_be_stopped(rng, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_POINTS", 64)
    table = somewhere(rng, 200)
    for method in METHODS:
        assert list(module.render.steps(table, method=method)) == [64, 128, 192, 200]
        steps = module.render.steps(table, method=method)
        assert next(steps) == 64
        steps.close()


def test_gaussians_of_all_widths_on_and_beside_many_frames_add_up(rng):
    n, shape = 400, (3, 37, 53)
    frame = rng.integers(0, 3, n)
    y, x = rng.uniform(-20, 60, n), rng.uniform(-20, 75, n)
    weight = rng.uniform(0, 1000, n)
    sigma_y, sigma_x = np.exp(rng.uniform(np.log(0.05), np.log(12), (2, n)))
    expected = np.zeros(shape)
    for i in range(n):
        sides = [np.arange(side + 1) - 0.5 for side in shape[1:]]
        column = np.diff(ndtr((sides[0] - y[i]) / sigma_y[i]))
        row = np.diff(ndtr((sides[1] - x[i]) / sigma_x[i]))
        expected[frame[i]] += weight[i] * np.outer(column, row)
    for dtype, tolerance in ((np.float64, 1e-4), (np.float32, 2e-3)):
        frames = np.zeros(shape, dtype)
        add_gaussians(frames, frame, y, x, weight, sigma_y, sigma_x)
        assert frames == pytest.approx(expected, abs=tolerance)
        assert frames.dtype == dtype
    assert expected.max() > 500


# -- what is left out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_points_beside_the_frames_are_left_out_and_counted(method):
    rendered = render(points([-0.51, 5.0, 5.0, 11.5], [3.0, 18.5, 18.3, 3.0]), method=method)
    assert rendered.n_outside == 3
    assert rendered.provenance["render"]["points"] == 1
    assert rendered.provenance["render"]["points_outside"] == 3
    assert rendered.image.sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_no_points_give_a_dark_image(method):
    for columns in ((), both([])):
        table = Localizations.empty(("frame", "y", "x", *columns), pixel_size_nm=100, frame_shape=SHAPE)
        rendered = render(table, method=method)
        assert rendered.image.shape == (120, 190)
        assert not rendered.image.any()


def test_a_frame_shape_that_is_given_goes_before_the_tables():
    table = points([1.0], [2.0])
    assert render(table, frame_shape=(3, 7), pixel_size_nm=50).image.shape == (6, 14)
    assert render(table.with_about(frame_shape=None), frame_shape=[3, 7]).grid.frame_shape == (3, 7)


def test_the_image_says_how_it_was_made():
    table = points([1.0], [2.0], **both([0.1]))
    provenance = render(table).provenance
    assert provenance["movie"] == "a.tif"
    assert provenance["program"].startswith("napari-subpixel ")
    assert provenance["render"]["sigma_nm"] == "own uncertainty"
    assert render(table, sigma_nm=12).provenance["render"]["sigma_nm"] == 12
    assert render(points([1.0], [2.0]), pixel_size_nm=5).provenance["render"]["sigma_nm"] == 5
    assert "sigma_nm" not in render(table, method="histogram").provenance["render"]
    assert table.provenance == {"movie": "a.tif"}


# -- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "histogramm"}, "method must be one of gaussian, histogram, got 'histogramm'; did you mean 'histo"),
        ({"pixel_size_nm": -1}, "pixel size must be positive and finite, got -1 nm"),
        ({"pixel_size_nm": np.nan}, "pixel size must be positive and finite, got nan nm"),
        ({"sigma_nm": 0}, "render: sigma_nm must be positive, got 0"),
        ({"sigma_nm": np.inf}, "render: sigma_nm must be finite, got inf"),
        ({"sigma_nm": "wide"}, "render: sigma_nm must be a number, got 'wide'"),
        ({"sigma_nm": 5, "method": "histogram"}, "sigma_nm is for the method gaussian, got it with histogram"),
        ({"frame_shape": (0, 5)}, r"frame shape must be two positive .*numbers \(height, width\), got \(0, 5\)"),
        ({"frame_shape": (4.5, 5)}, r"frame shape must be two positive whole numbers .*, got \(4.5, 5\)"),
        ({"frame_shape": (4, 5, 6)}, r"frame shape must be two positive .*numbers .*, got \(4, 5, 6\)"),
        (
            {"pixel_size_nm": 0.03},
            r"an image of 40000 x 63334 pixels of 0.03 nm takes 9.4 GiB, more than 2 GiB: choose",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        render(points([1.0], [2.0]), **changes)


def test_an_unknown_frame_shape_or_pixel_size_is_asked_for():
    with pytest.raises(InputError, match="shape of the frames is not known"):
        render(points([1.0], [2.0], frame_shape=None))
    with pytest.raises(InputError, match="pixel size of the localizations is not known"):
        render(points([1.0], [2.0], pixel_size_nm=None))
