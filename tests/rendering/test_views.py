"""Images of a part of the frames are parts of the image of all of them, whatever is in view and however it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.errors import FrameShapeError, InputError
from napari_subpixel.grids import ViewGrid
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.cells import CellIndex, _kind_for
from napari_subpixel.rendering.colours import render_coloured
from napari_subpixel.rendering.render import render
from napari_subpixel.rendering.view_style import ViewStyle
from napari_subpixel.rendering.views import MoleculeViews

SHAPE, PIXEL_NM = (30, 44), 110.0
#: Rectangles in camera pixels: inside, over the corners, all of it and more.
PARTS = [((7.2, 10.1), (15.9, 30.3)), ((-4.0, -9.0), (3.0, 5.5)), ((22.0, 40.0), (40.0, 60.0)), ((-9, -9), (50, 60))]


def molecules(n=4000, seed=3, *, sick=True):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.02, 0.4, (2, n)).astype(np.float32)
    if sick:
        sigma[0, :5], sigma[1, 3:8], sigma[0, 9] = np.nan, -1, 40.0
    columns = {
        "frame": rng.integers(0, 50, n), "y": rng.uniform(-2, SHAPE[0] + 1, n), "x": rng.uniform(-2, SHAPE[1] + 1, n),
        "photons": rng.exponential(500, n), "y_uncertainty": sigma[0], "x_uncertainty": sigma[1],
    }  # fmt: skip
    return Localizations(columns, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE, n_frames=50)


def part_of(image, grid):
    (top, left), (height, width) = grid.first, grid.shape
    return image[..., top : top + height, left : left + width]


def grid_of(part, zoom):
    return ViewGrid.covering(*part, zoom=(zoom, zoom), frame_shape=SHAPE)


@pytest.mark.parametrize("nm", [10.0, 27.3, 400.0])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_that_part_of_the_whole_image(part, nm):
    table = molecules()
    views, grid = MoleculeViews(table), grid_of(part, PIXEL_NM / nm)
    for style, options in (
        (ViewStyle("histogram"), {"method": "histogram"}),
        (ViewStyle("gaussian"), {}),
        (ViewStyle("gaussian", sigma_px=(25 / PIXEL_NM, 25 / PIXEL_NM)), {"sigma_nm": 25.0}),
    ):
        expected = part_of(render(table, pixel_size_nm=nm, **options).image, grid)
        view = views.draw(grid, style)
        assert view.is_sharp
        assert view.image.shape == expected.shape
        if style.method == "histogram":
            np.testing.assert_array_equal(view.image, expected)
        else:
            np.testing.assert_allclose(view.image, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_without_uncertainties_a_molecule_is_a_pixel_wide_and_at_least_as_wide_as_asked_for():
    table = Localizations({"frame": [0], "y": [14.0], "x": [20.0]}, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE)
    views, grid = MoleculeViews(table), grid_of(PARTS[0], 10.0)
    expected = part_of(render(table, pixel_size_nm=PIXEL_NM / 10).image, grid)
    np.testing.assert_allclose(views.draw(grid).image, expected, atol=1e-6)
    wide = views.draw(grid, ViewStyle(least_sigma_px=3.0)).image
    assert wide.max() == pytest.approx(1 / (2 * np.pi * 9), rel=0.05)


def test_axes_have_their_own_zoom():
    table = molecules(sick=False)
    columns = {name: table[name] for name in table.columns}
    columns |= {"y": (table.y + 0.5) * 2 - 0.5, "y_uncertainty": table["y_uncertainty"] * 2}
    stretched = Localizations(columns, pixel_size_nm=PIXEL_NM, frame_shape=(2 * SHAPE[0], SHAPE[1]))
    grid = ViewGrid.covering(*PARTS[0], zoom=(8.0, 4.0), frame_shape=SHAPE)
    expected = part_of(render(stretched, pixel_size_nm=PIXEL_NM / 4).image, grid)
    np.testing.assert_allclose(MoleculeViews(table).draw(grid).image, expected, atol=1e-5 * expected.max())


def test_what_would_take_too_long_has_larger_pixels_first():
    table = molecules()
    views, grid = MoleculeViews(table), grid_of(PARTS[0], 512.0)
    half = grid_of(PARTS[0], 256.0)
    view = views.draw(grid, most_work=views.work(half, ViewStyle()))
    assert not view.is_sharp
    assert view.grid.zoom == half.zoom
    np.testing.assert_allclose(view.image, MoleculeViews(table).draw(view.grid).image, atol=1e-6)


@pytest.mark.parametrize(("method", "coloured"), [("gaussian", False), ("histogram", False), ("gaussian", True)])
def test_only_pixels_that_no_last_image_had_are_drawn_and_all_are_as_if_drawn_anew(method, coloured):
    table, style = molecules(), ViewStyle(method)
    views, fresh = MoleculeViews(table), MoleculeViews(table)
    for every in (views, fresh):
        every.set_colours(table["photons"] if coloured else None)
    around = [(8.0, 9.0), (9.3, 9.0), (8.1, 13.0), (6.0, 11.0), (20.0, 30.0), (8.0, 9.0), (7.0, 10.0)]
    for low in around:
        grid = grid_of((low, (low[0] + 9.7, low[1] + 11.3)), 8.0)
        fresh.set_rows(None)  # forgets the images
        anew, view = fresh.draw(grid, style), views.draw(grid, style)
        assert view.grid == grid
        np.testing.assert_allclose(view.image, anew.image, atol=1e-5 * anew.image.max())
        if coloured:
            np.testing.assert_allclose(view.light, anew.light, atol=1e-5 * anew.image.max())
    assert 0 < view.work < anew.work
    assert views.draw(grid, style).work == 0
    assert views.draw(grid, style, most_work=0.0).is_sharp, "nothing is left to draw"
    wide = views.draw(grid, ViewStyle(method, least_sigma_px=4.0))
    assert wide.work == views.work(grid, ViewStyle(method, least_sigma_px=4.0)), "in another style"
    views.set_rows(np.arange(50))
    assert views.draw(grid, style).image.sum() < 51


def test_at_zooms_that_are_near_larger_pixels_are_the_same_and_not_drawn_again():
    views, part, inside = MoleculeViews(molecules()), PARTS[0], ((8.0, 11.0), (15.0, 30.0))
    enough = views.work(grid_of(part, 256.0), ViewStyle())
    first = views.draw(grid_of(part, 500.0), most_work=enough)
    second = views.draw(grid_of(inside, 450.0), most_work=enough)
    assert first.grid.zoom == second.grid.zoom
    assert (first.work > 0, second.work) == (True, 0)


@pytest.mark.parametrize("zoom", [9.0, 2.1, 0.3])
def test_sums_over_cells_are_a_histogram_of_pixels_about_as_large_in_which_no_molecule_is_missing(zoom):
    table = molecules()
    views = MoleculeViews(table)
    for part in PARTS:
        view = views.draw(grid_of(part, zoom), ViewStyle("histogram"), most_work=0.0)
        assert not view.is_sharp
        assert view.grid.zoom[0] == pytest.approx(zoom, rel=0.2)
        nm = PIXEL_NM / view.grid.zoom[0]
        np.testing.assert_array_equal(
            view.image, part_of(render(table, pixel_size_nm=nm, method="histogram").image, view.grid)
        )
    assert view.image.sum() == len(views.index.rows)


def test_only_the_chosen_rows_are_drawn_until_others_are():
    table = molecules()
    views, grid = MoleculeViews(table), grid_of(PARTS[0], 3.0)
    bright = table["photons"] > 400
    for rows in (bright, np.flatnonzero(bright), None):
        views.set_rows(rows)
        chosen = table if rows is None else table.select(rows)
        for most in (None, 0.0):
            view = views.draw(grid, ViewStyle("histogram"), most_work=most)
            nm = PIXEL_NM / view.grid.zoom[0]
            expected = render(chosen, pixel_size_nm=nm, method="histogram").image
            np.testing.assert_array_equal(view.image, part_of(expected, view.grid))
    with pytest.raises(ValueError, match="a mask must have shape"):
        views.set_rows(bright[:-1])


@pytest.mark.parametrize("method", ["gaussian", "histogram"])
def test_molecules_have_the_colour_of_a_quantity_as_in_the_whole_image(method):
    table = molecules(sick=False)
    values = table["photons"].astype(float)
    values[:300] = np.nan
    views, grid = MoleculeViews(table), grid_of(PARTS[0], 4.0)
    views.set_colours(values)
    whole = render_coloured(table, values, pixel_size_nm=PIXEL_NM / 4, method=method)
    assert views.value_range == whole.value_range
    view = views.draw(grid, ViewStyle(method))
    np.testing.assert_allclose(view.image, part_of(whole.points, grid), atol=1e-5 * view.image.max())
    light = part_of(np.moveaxis(whole.light, -1, 0), grid)
    np.testing.assert_allclose(view.light, light, atol=1e-5 * view.image.max())
    if method == "histogram":
        counted = views.draw(grid_of(PARTS[0], views.index.per_px / 16), ViewStyle(method), most_work=0.0)
        direct = views.draw(counted.grid, ViewStyle(method))
        np.testing.assert_allclose(counted.light, direct.light, rtol=1e-5, atol=1e-6)
    views.set_colours(None)
    assert views.draw(grid, ViewStyle(method)).light is None


def test_the_index_finds_what_lies_in_the_cells_and_cells_are_never_larger_than_a_pixel():
    table = molecules()
    index = CellIndex.of(table.y, table.x, SHAPE)
    grid = grid_of(PARTS[0], 4.0)
    (low_y, low_x), (high_y, high_x) = grid.corners_px
    inside = (table.y >= low_y) & (table.y < high_y) & (table.x >= low_x) & (table.x < high_x)
    rows = index.rows_within(grid)
    assert set(np.flatnonzero(inside)) <= set(rows.tolist())
    assert len(rows) == len(set(rows.tolist())) == index.count_within(grid)
    assert CellIndex.of(table.y, table.x, (5000, 6000)).per_px == 1


def test_numbers_of_cells_and_of_molecules_do_not_overflow():
    assert _kind_for(10, 50_000**2) is np.int64
    assert _kind_for(2**31, 100) is np.int64
    assert _kind_for(10, 100) is np.int32


def test_drawing_can_be_stopped_and_nothing_is_an_empty_image():
    steps = MoleculeViews(molecules()).drawing(grid_of(PARTS[0], 4.0))
    assert next(steps) == 0
    steps.close()
    views = MoleculeViews(molecules().select([]))
    for most in (None, 0.0):
        assert not views.draw(grid_of(PARTS[0], 4.0), most_work=most).image.any()
    views.set_colours(np.empty(0))
    assert not views.draw(grid_of(PARTS[0], 4.0)).light.any()


def test_a_part_outside_the_frames_an_unknown_method_and_unknown_frames_are_named():
    assert grid_of(((50.0, 0.0), (60.0, 9.0)), 4.0) is None
    with pytest.raises(InputError, match="did you mean 'histogram'"):
        ViewStyle("histogramm")
    with pytest.raises(FrameShapeError, match="the shape of the frames is not known"):
        MoleculeViews(molecules().with_about(frame_shape=None))
