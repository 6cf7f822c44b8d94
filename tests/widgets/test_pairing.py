"""A table and its movie find each other whichever is opened first, and lie on each other at the right scale."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_notes
from napari_subpixel.widgets.layers.points import notes_of, points_layer, table_of

PLUGIN = "napari-subpixel"
SHAPE = (4, 30, 44)


def table(**about):
    columns = {"frame": [0, 2, 3], "y": [1.0, 20.0, 29.0], "x": [2.0, 40.0, 11.5], "photons": [500.0, 900.0, 700.0]}
    return Localizations(columns, **({"pixel_size_nm": 65.0, "frame_shape": SHAPE[1:], "n_frames": 4} | about))


def movie(path, rng, size=65.0):
    frames = rng.poisson(100, SHAPE).astype(np.uint16)
    if size is None:
        tifffile.imwrite(path, frames, photometric="minisblack")
    else:
        write_movie(path, [frames], shape=SHAPE, pixel_size_nm=size)


def open_both(viewer, order, files):
    for name in order:
        viewer.open(str(files[name]), plugin=PLUGIN)
    kinds = {type(layer).__name__: layer for layer in viewer.layers}
    return kinds["Image"], kinds["TablePoints"]


def check_in_register(image, points, expected_yx, size=65.0):
    """Whole pixels of both are the same places of the world."""
    np.testing.assert_allclose(points.scale[-2:], image.scale[-2:])
    np.testing.assert_allclose(points.scale[-2:], size)
    assert points.units == image.units
    assert notes_of(points).movie == movie_notes(image).key
    back = table_of(points)
    np.testing.assert_allclose(back.yx, expected_yx, atol=1e-6)
    assert back.pixel_size_nm == pytest.approx(size)


@pytest.mark.parametrize("order", ["movie table", "table movie"])
@pytest.mark.parametrize("kind", ["alike", "table without size", "movie without size", "csv without size"])
def test_table_and_movie_find_each_other_in_either_order(viewer, qtbot, tmp_path, rng, kind, order) -> None:
    files = {"movie": tmp_path / "cell1.tif", "table": tmp_path / "cell1.parquet"}
    movie(files["movie"], rng, None if kind == "movie without size" else 65.0)
    if kind == "csv without size":
        files["table"] = tmp_path / "cell1.csv"
        rows = [
            f"{f + 1},{(x + 0.5) * 65},{(y + 0.5) * 65}" for f, y, x in zip(table().frame, *table().yx.T, strict=True)
        ]
        files["table"].write_text('"frame","x [nm]","y [nm]"\n' + "\n".join(rows) + "\n")
    else:
        formats.write(files["table"], table(pixel_size_nm=None) if kind == "table without size" else table())
    image, points = open_both(viewer, order.split(), files)
    qtbot.waitUntil(lambda: notes_of(points).movie is not None, timeout=20_000)
    check_in_register(image, points, table().yx)


def test_the_movie_that_a_table_names_is_its_movie_though_another_came_before(viewer, tmp_path, rng):
    for name in ("cell1", "cell2", "cell3"):
        movie(tmp_path / f"{name}.ome.tif", rng)
    formats.write(tmp_path / "result.parquet", table(provenance={"movie": "cell2.ome.tif"}))
    formats.write(tmp_path / "other.parquet", table())
    for name in ("result.parquet", "other.parquet", "cell1.ome.tif", "cell3.ome.tif", "cell2.ome.tif"):
        viewer.open(str(tmp_path / name), plugin=PLUGIN)
    keys = {layer.name: movie_notes(layer).key for layer in viewer.layers if "cell" in layer.name}
    movies = {layer.name: notes_of(layer).movie for layer in viewer.layers if "cell" not in layer.name}
    assert movies["other"] == next(key for name, key in keys.items() if name.startswith("cell1"))  # alone at first
    assert movies["result"] == next(key for name, key in keys.items() if name.startswith("cell2"))


def test_a_movie_of_other_frames_or_another_pixel_size_is_not_taken(viewer, tmp_path, rng):
    movie(tmp_path / "cell1.tif", rng, 100.0)
    formats.write(tmp_path / "cell1.parquet", table())
    formats.write(tmp_path / "cell2.parquet", table(pixel_size_nm=100.0, frame_shape=(44, 30)))
    files = {"table": tmp_path / "cell1.parquet", "movie": tmp_path / "cell1.tif"}
    _, points = open_both(viewer, ("table", "movie"), files)
    viewer.open(str(tmp_path / "cell2.parquet"), plugin=PLUGIN)
    assert [notes_of(layer).movie for layer in (points, viewer.layers[-1])] == [None, None]
    np.testing.assert_allclose(points.scale[-2:], 65)


def test_a_result_stays_on_its_movie_whatever_else_is_called_like_it(viewer):
    movies = [viewer.add_image(np.zeros(SHAPE), name="movie.tiff") for _ in range(2)]
    assert movies[1].name == "movie.tiff [1]"
    result = table(pixel_size_nm=None, provenance={"movie": "movie.tiff"})
    points = viewer.add_layer(points_layer(result, MovieLayer(movies[1]), name="found"))
    movies[1].name = "the second"
    MovieLayer(viewer.add_image(np.zeros(SHAPE), name="movie"))
    viewer.add_image(np.zeros(SHAPE), name="another")
    assert notes_of(points).movie == movie_notes(movies[1]).key


@pytest.mark.parametrize("order", ["movie table", "table movie"])
def test_a_table_that_names_its_movie_is_put_on_no_other(viewer, tmp_path, rng, order):
    files = {"movie": tmp_path / "cell2.tif", "table": tmp_path / "cell2.parquet"}
    movie(files["movie"], rng)
    formats.write(files["table"], table(provenance={"movie": "cell1.tif"}))
    _, points = open_both(viewer, order.split(), files)
    assert notes_of(points).movie is None


def test_what_follows_a_dot_in_a_name_tells_movies_apart(viewer, tmp_path, rng):
    movie(tmp_path / "sample_1.5nM.tif", rng, None)
    formats.write(tmp_path / "sample_1.2nM.parquet", table())
    files = {"table": tmp_path / "sample_1.2nM.parquet", "movie": tmp_path / "sample_1.5nM.tif"}
    image, points = open_both(viewer, ("table", "movie"), files)
    assert notes_of(points).movie is None
    assert MovieLayer(image).camera.pixel_size_nm is None


def test_points_of_a_still_image_are_put_on_it_when_it_is_opened_again(viewer):
    still = viewer.add_image(np.zeros(SHAPE[1:]), name="still", scale=(65, 65), units=("nm", "nm"))
    of_still = Localizations({"frame": [0], "y": [25.0], "x": [40.0]}, pixel_size_nm=65.0, frame_shape=SHAPE[1:])
    points = viewer.add_layer(points_layer(of_still, MovieLayer(still), name="found"))
    viewer.layers.remove(still)
    again = viewer.add_image(np.zeros(SHAPE[1:]), name="still", scale=(65, 65), units=("nm", "nm"))
    MovieLayer(again)  # as a panel notes it
    viewer.add_image(np.zeros((3, 3, 3)), name="another")
    assert notes_of(points).movie == movie_notes(again).key
