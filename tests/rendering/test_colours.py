"""Images in which points have the colour of a quantity."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.colours import COLORMAPS, IMAGES_HELD, STEPS, colour_table, render_coloured
from napari_subpixel.rendering.image_files import save_preview
from napari_subpixel.rendering.render import render


def points(rng: np.random.Generator, n: int = 400) -> Localizations:
    return Localizations(
        {"frame": np.sort(rng.integers(0, 100, n)), "y": rng.uniform(-0.5, 11.5, n), "x": rng.uniform(-0.5, 18.5, n)},
        pixel_size_nm=100, frame_shape=(12, 19),
    )  # fmt: skip


@pytest.mark.parametrize("method", ["gaussian", "histogram"])
def test_all_colours_together_are_the_image(rng, method):
    table = points(rng)
    image = render_coloured(table, table.frame, pixel_size_nm=20, method=method)
    np.testing.assert_allclose(image.points, render(table, pixel_size_nm=20, method=method).image, atol=1e-4)
    assert image.light.shape == (*image.points.shape, 3)


def test_points_have_the_colour_of_their_value():
    table = Localizations(
        {"frame": [0, 0, 0, 0], "y": [1, 1, 1, 2], "x": [1, 3, 5, 2]}, pixel_size_nm=100, frame_shape=(4, 7)
    )
    image = render_coloured(
        table, np.array([-50.0, 0.0, 99.0, np.nan]), pixel_size_nm=100, method="histogram", value_range=(-10, 10),
        colormap="viridis",
    )  # fmt: skip
    colours = colour_table(COLORMAPS["viridis"], STEPS)
    np.testing.assert_allclose(image.light[1, [1, 3, 5]], colours[[0, STEPS // 2, STEPS - 1]], rtol=1e-5)
    assert (image.n_without, image.points[2, 2], image.value_range) == (1, 0, (-10, 10))


def test_a_picture_is_as_bright_as_the_image_in_the_colours_of_the_points(tmp_path, rng):
    table = points(rng)
    image = render_coloured(table, np.where(table.x < 9, 0.0, 1.0), pixel_size_nm=20, value_range=(0, 1))
    save_preview(tmp_path / "a.png", image, scale_bar_nm=200)
    picture = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert picture.shape == (60, 95, 3)
    left, right = picture[:50, :40].reshape(-1, 3).mean(axis=0), picture[:50, 55:].reshape(-1, 3).mean(axis=0)
    assert left[2] > 2 * left[0]
    assert right[0] > 2 * right[2]


def test_one_value_and_no_points_have_colours_too(rng):
    table = points(rng)
    assert render_coloured(table, np.full(len(table), 3.0), pixel_size_nm=50).value_range == (2.5, 3.5)
    assert not render_coloured(table[:0], np.empty(0), pixel_size_nm=50).light.any()


def test_what_cannot_be_is_refused(rng):
    table = points(rng)
    with pytest.raises(InputError, match="did you mean 'viridis'"):
        render_coloured(table, table.frame, colormap="viridus")
    with pytest.raises(InputError, match="from a lower to a higher"):
        render_coloured(table, table.frame, value_range=(5, 5))


def test_the_size_of_a_coloured_image_is_that_of_all_that_is_held(monkeypatch, rng):
    table = points(rng)
    n_pixels = 24 * 38
    monkeypatch.setattr("napari_subpixel.rendering.render.MAX_IMAGE_BYTES", 4 * IMAGES_HELD * n_pixels)
    assert render_coloured(table, table.frame, pixel_size_nm=50).points.shape == (24, 38)
    monkeypatch.setattr("napari_subpixel.rendering.render.MAX_IMAGE_BYTES", 4 * IMAGES_HELD * n_pixels - 1)
    assert render(table, pixel_size_nm=50).image.shape == (24, 38)
    with pytest.raises(InputError, match="a coloured image of 24 x 38 pixels"):
        render_coloured(table, table.frame, pixel_size_nm=50)


def test_colormaps_have_colours_from_0_to_1():
    for name, colours in COLORMAPS.items():
        assert len(colours) >= 2, name
        assert 0 <= np.min(colours) <= np.max(colours) <= 1, name
