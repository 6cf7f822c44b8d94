"""Movies and tables opened by napari itself: lazily, in nm, and only those that are the plugin's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from npe2 import PluginManager

from napari_subpixel import formats
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets import readers
from napari_subpixel.widgets.controls.pixel_size import ask_pixel_size
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.drifted import subtract_drift
from napari_subpixel.widgets.layers.movies import MovieLayer, belongs_to
from napari_subpixel.widgets.layers.points import table_of
from napari_subpixel.widgets.layers.results import ground_of
from napari_subpixel.widgets.load import LoadStack
from napari_subpixel.widgets.readers import get_movie_reader, get_table_reader

PLUGIN = "napari-subpixel"
MOVIE = np.random.default_rng(0).poisson(20, (5, 12, 18)).astype(np.uint16)
TABLE = Localizations(
    {"frame": [0, 2, 4], "y": [3.25, 10.0, 0.0], "x": [16.0, 11.5, 2.125], "probability": [0.9, 0.5, 0.25]},
    pixel_size_nm=110,
    frame_shape=(12, 18),
    n_frames=5,
)
SUFFIXES = ["csv", "hdf5", "h5", "parquet"]


@pytest.fixture
def movie_file(tmp_path: Path) -> Path:
    write_movie(tmp_path / "movie.tif", [MOVIE], shape=MOVIE.shape, pixel_size_nm=110)
    return tmp_path / "movie.tif"


def one_layer(viewer, path: Path):
    (layer,) = viewer.open(path, plugin=PLUGIN)
    return layer


def in_nm(layer) -> np.ndarray:
    """Where the points of a layer lie in the viewer's world."""
    return np.array([layer.data_to_world(place) for place in layer.data])


# -- movies -------------------------------------------------------------------------------------------------------


def test_a_movie_opens_lazily_in_nm(viewer, movie_file: Path) -> None:
    layer = one_layer(viewer, movie_file)
    assert type(layer.data).__module__.startswith("dask")
    assert layer.scale.tolist() == [1, 110, 110]
    assert [str(unit) for unit in layer.units] == ["pixel", "nanometer", "nanometer"]
    assert MovieLayer(layer).camera == Camera(pixel_size_nm=110)
    np.testing.assert_array_equal(layer.data, MOVIE)


def test_a_movie_is_not_read_when_it_is_opened(movie_file: Path, monkeypatch) -> None:
    from napari_subpixel.stacks import Stack

    read = []
    whole = Stack._read
    monkeypatch.setattr(Stack, "_read", lambda self, frames, rows: read.append(frames) or whole(self, frames, rows))
    long = movie_file.with_name("long.tif")
    write_movie(long, [np.zeros((300, 12, 18), np.uint16)], shape=(300, 12, 18), pixel_size_nm=65)
    assert not read
    get_movie_reader(str(long))(str(long))
    assert sum(map(len, read)) <= 5


def test_zarr_and_folders_of_frames_are_movies(viewer, tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "movie.zarr", shape=MOVIE.shape, dtype=MOVIE.dtype)
    array[:] = MOVIE
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(MOVIE):
        tifffile.imwrite(frames / f"frame_{number}.tif", frame)
    for folder in (tmp_path / "movie.zarr", frames):
        np.testing.assert_array_equal(one_layer(viewer, folder).data, MOVIE)


@pytest.mark.parametrize("name", ["movie.TIF", "movie.tiff", "movie.ome.tif", "movie.btf"])
def test_every_name_of_a_tiff_is_claimed(viewer, name: str, movie_file: Path) -> None:
    assert one_layer(viewer, movie_file.rename(movie_file.with_name(name))).data.shape == MOVIE.shape


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (np.zeros((12, 18), np.uint16), {}),  # a labels image, or any picture
        (np.zeros((12, 18, 3), np.uint8), {"photometric": "rgb"}),
        (np.zeros((5, 12, 18, 3), np.uint8), {"photometric": "rgb"}),
        (np.zeros((3, 12, 18), np.uint8), {"photometric": "rgb", "planarconfig": "separate"}),
    ],
)
def test_single_images_and_colour_images_are_left_to_others(image, options, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", image, **options)
    assert get_movie_reader(str(tmp_path / "image.tif")) is None
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(folder / "image.tif", image, **options)
    assert get_movie_reader(str(folder)) is None


@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped", "zarr", "coloured zarr", "volumetric"])
def test_images_of_several_channels_and_depths_are_left_to_others(kind: str, tmp_path: Path) -> None:
    path, image = tmp_path / f"image.{kind[-4:] if 'zarr' in kind else 'tif'}", np.zeros((6, 2, 12, 18), np.uint16)
    if kind == "volumetric":
        tifffile.imwrite(path, image[:, 0].repeat(3, 0)[:16], volumetric=True, tile=(16, 16, 16), metadata=None)
    elif kind == "shaped":
        tifffile.imwrite(path, image)
    elif kind == "coloured zarr":
        zarr.create_array(path, data=np.zeros((12, 18, 3), np.uint8))
    elif kind == "zarr":
        zarr.create_array(path, data=image)
    else:
        tifffile.imwrite(path, image, metadata={"axes": "ZCYX"}, **{kind: True})
    assert get_movie_reader(str(path)) is None


def test_folders_of_other_things_lists_and_addresses_are_left_to_others(tmp_path: Path, movie_file: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    for path in (tmp_path / "empty", tmp_path / "texts", "https://example.org/movie.tif", tmp_path / "gone.tif"):
        assert get_movie_reader(str(path)) is None
    assert get_movie_reader([str(movie_file)]) is None
    assert get_table_reader([str(movie_file)]) is None


def test_a_list_of_images_to_be_stacked_goes_to_napari(viewer, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.tif" for number in range(3)]
    for file, frame in zip(files, MOVIE, strict=False):
        tifffile.imwrite(file, frame)
    with pytest.raises(ValueError, match="refused"):
        viewer.open(files, stack=True, plugin=PLUGIN)
    (layer,) = viewer.open(files, stack=True)
    assert layer.data.shape == (3, 12, 18)


def test_a_refused_file_opens_with_napari_s_own_reader(viewer, tmp_path: Path) -> None:
    image = MOVIE[:4].reshape(2, 2, 12, 18)
    for name, data, options in (("image.tif", MOVIE[0], {}), ("channels.tif", image, {"imagej": True})):
        tifffile.imwrite(tmp_path / name, data, **options)
        with pytest.raises(ValueError, match="refused the file"):
            viewer.open(tmp_path / name, plugin=PLUGIN)
        (layer,) = viewer.open(tmp_path / name)
        np.testing.assert_array_equal(layer.data, data)


def test_damaged_movies_are_refused_in_words(viewer, movie_file: Path, tmp_path: Path) -> None:
    os.truncate(movie_file, movie_file.stat().st_size - 600)
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("no movie at all")
    for name, words in {
        "movie.tif": "the file is cut off",
        "empty.tif": "the file is empty",
        "text.tif": "not a TIFF file",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            viewer.open(tmp_path / name, plugin=PLUGIN)
        assert "\n" not in str(error.value)
    assert not viewer.layers


# -- tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_opens_as_points_in_nm(viewer, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{suffix}"
    formats.write(path, TABLE)
    layer = one_layer(viewer, path)
    assert (layer.name, str(layer.units[-1])) == ("found", "nanometer")
    np.testing.assert_allclose(in_nm(layer), np.column_stack([TABLE.frame, TABLE.yx * 110]), atol=1e-4)
    np.testing.assert_allclose(layer.features["probability"], [0.9, 0.5, 0.25])


def write_bare_csv(path: Path) -> Path:
    """One molecule in the first frame, 1,000 nm down and 500 nm to the right; no pixel size."""
    path.write_text('"id","frame","x [nm]","y [nm]"\n1,1,500,1000\n')
    return path


def test_a_table_without_pixel_size_takes_that_of_the_movie_and_lies_on_it(
    viewer, movie_file: Path, tmp_path: Path, shown
) -> None:
    movie = one_layer(viewer, movie_file)
    points = one_layer(viewer, write_bare_csv(tmp_path / "truth.csv"))
    # From the outer corner of the first pixel to its centre it is half a pixel.
    np.testing.assert_allclose(movie.world_to_data(in_nm(points)[0]), [0, 1000 / 110 - 0.5, 500 / 110 - 0.5])
    assert shown() == [("WARNING", "truth.csv gives no pixel size: the movie's, 110 nm, is used")]


@pytest.mark.parametrize("sizes", [[], [110, 160]])
def test_a_table_without_pixel_size_is_read_at_100_nm_where_no_single_movie_gives_it(
    viewer, sizes: list[float], tmp_path: Path, shown
) -> None:
    for size in sizes:
        viewer.add_image(MOVIE, scale=(1, size, size), units=("pixel", "nm", "nm"))
    points = one_layer(viewer, write_bare_csv(tmp_path / "truth.csv"))
    np.testing.assert_allclose(in_nm(points), [[0, 950, 450]])
    assert [severity for severity, _ in shown()] == ["WARNING"]
    assert "100 nm is assumed" in shown()[0][1]


def test_a_table_in_pixels_is_laid_on_the_one_movie(viewer, tmp_path: Path, shown) -> None:
    path = tmp_path / "found.hdf5"
    formats.write(path, TABLE.with_about(pixel_size_nm=None))
    before = one_layer(viewer, path)
    assert before.scale.tolist() == [1, 1, 1]
    viewer.layers.clear()
    viewer.add_image(MOVIE, scale=(1, 0.16, 0.16), units=("pixel", "um", "um"))
    viewer.add_image(MOVIE[0], name="a picture", scale=(0.5, 0.5), units=("um", "um"))
    after = one_layer(viewer, path)
    assert (after.scale.tolist(), str(after.units[-1])) == ([1, 0.16, 0.16], "micrometer")
    assert table_of(after).pixel_size_nm == 160
    assert "160 nm, is used" in shown()[-1][1]


# -- whose points they are ----------------------------------------------------------------------------------------


def is_linked(points, movie) -> bool:
    return belongs_to(points, MovieLayer(movie).notes.key)


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_a_saved_result_is_the_movie_s_again(viewer, suffix: str, movie_file: Path, tmp_path: Path) -> None:
    movie = one_layer(viewer, movie_file)
    movie.translate = (0, 550, -220)
    viewer.add_image(MOVIE[0], name="a picture of it", scale=(110, 110), units=("nm", "nm"))
    viewer.add_image(MOVIE[:, 1:], name="of another shape", scale=(1, 100, 100), units=("pixel", "nm", "nm"))
    formats.write(tmp_path / f"found.{suffix}", TABLE)
    points = one_layer(viewer, tmp_path / f"found.{suffix}")
    assert is_linked(points, movie)
    on_movie = [movie.world_to_data(place) for place in in_nm(points)]
    np.testing.assert_allclose(on_movie, np.column_stack([TABLE.frame, TABLE.yx]), atol=1e-6)
    MovieLayer(movie).set_camera(Camera(pixel_size_nm=65), viewer.layers)
    np.testing.assert_allclose([movie.world_to_data(place) for place in in_nm(points)], on_movie, atol=1e-6)


def test_the_threshold_slider_acts_on_a_saved_result(viewer, qtbot, movie_file: Path, tmp_path: Path) -> None:
    widget = DetectMolecules(viewer)
    viewer.window.add_dock_widget(widget)
    found = TABLE.with_about(provenance={"model": widget.form.card.provenance})
    formats.write(tmp_path / "found.parquet", found)
    one_layer(viewer, movie_file)
    points = one_layer(viewer, tmp_path / "found.parquet")
    for threshold, shown in ((0.4, [True, True, False]), (0.7, [True, False, False])):
        widget.threshold.setValue(threshold)
        qtbot.waitUntil(lambda shown=shown: points.shown.tolist() == shown)


def test_a_result_without_pixel_size_is_linked_by_the_shape_of_its_frames(viewer, tmp_path: Path) -> None:
    formats.write(tmp_path / "found.parquet", TABLE.with_about(pixel_size_nm=None))
    formats.write(tmp_path / "bare.parquet", Localizations(TABLE.table))
    movie = viewer.add_image(MOVIE)
    assert is_linked(one_layer(viewer, tmp_path / "found.parquet"), movie)
    assert not is_linked(one_layer(viewer, tmp_path / "bare.parquet"), movie)


@pytest.mark.parametrize(
    "changes",
    [{"pixel_size_nm": 100}, {"frame_shape": (13, 18)}, {"columns": {"frame": [5], "y": [1.0], "x": [1.0]}}],
    ids=["pixel size", "frame shape", "more frames"],
)
def test_a_result_that_does_not_fit_the_movie_is_not_its_own(viewer, changes, movie_file, tmp_path: Path) -> None:
    movie = one_layer(viewer, movie_file)
    formats.write(tmp_path / "found.parquet", Localizations(**{"columns": TABLE.table, **TABLE.about, **changes}))
    points = one_layer(viewer, tmp_path / "found.parquet")
    assert not is_linked(points, movie)
    assert points.scale[-1] == changes.get("pixel_size_nm", 110)


def test_of_two_movies_that_fit_none_is_taken(viewer, movie_file: Path, tmp_path: Path) -> None:
    movies = [one_layer(viewer, movie_file), one_layer(viewer, movie_file)]
    formats.write(tmp_path / "found.parquet", TABLE)
    points = one_layer(viewer, tmp_path / "found.parquet")
    assert [is_linked(points, movie) for movie in movies] == [False, False]
    np.testing.assert_allclose(in_nm(points), np.column_stack([TABLE.frame, TABLE.yx * 110]))


def test_an_assumed_pixel_size_makes_no_movie_fit(viewer, tmp_path: Path, shown) -> None:
    movies = [viewer.add_image(MOVIE, scale=(1, s, s), units=("pixel", "nm", "nm")) for s in (100, 160)]
    points = one_layer(viewer, write_bare_csv(tmp_path / "truth.csv"))
    assert [is_linked(points, movie) for movie in movies] == [False, False]
    assert "100 nm is assumed" in shown()[0][1]


@pytest.mark.parametrize("way", ["Load", "another panel"])
def test_a_table_of_an_assumed_pixel_size_is_read_again_once_that_of_its_movie_is_set(
    viewer, tmp_path, way, monkeypatch
):
    monkeypatch.setenv("NAPARI_SUBPIXEL_CONFIG", str(tmp_path / "settings"))
    points = one_layer(viewer, write_bare_csv(tmp_path / "truth.csv"))
    movie = viewer.add_image(MOVIE)
    scales = []
    points.events.data.connect(lambda _: scales.append(points.scale[-1]))
    if way == "Load":
        panel = LoadStack(viewer)
        viewer.window.add_dock_widget(panel)
        panel.source.value = movie
        panel.form.boxes["pixel_size_nm"].setValue(110)
        panel.act()
    else:
        monkeypatch.setattr("qtpy.QtWidgets.QInputDialog.getDouble", lambda *_: (110.0, True))
        ask_pixel_size(None, MovieLayer(movie), viewer.layers)
    assert table_of(points).pixel_size_nm == 110
    assert scales == [110]  # what listens to the points finds them in place


def test_a_table_that_drift_was_subtracted_from_is_not_read_again(viewer, qtbot, tmp_path, shown):
    points = one_layer(viewer, write_bare_csv(tmp_path / "truth.csv"))
    subtract_drift(points, DriftCurve(*(np.full(5, 50.0) for _ in range(4))), ground_of(points, viewer.layers))
    places = in_nm(points)
    viewer.add_image(MOVIE, scale=(1, 160, 160), units=("pixel", "nm", "nm"))
    qtbot.waitUntil(lambda: "drift was subtracted" in shown()[-1][1])
    np.testing.assert_array_equal(in_nm(points), places)


def test_a_table_is_read_on_a_thread_and_its_layer_made_on_the_viewer_s(viewer, movie_file, tmp_path, monkeypatch):
    threads = {}

    def noting(name, function):
        def noted(*arguments, **options):
            threads.setdefault(name, set()).add(threading.current_thread() is threading.main_thread())
            return function(*arguments, **options)

        return noted

    for owner, name in ((readers.formats, "read"), (readers, "points_layer"), (readers, "movie_for")):
        monkeypatch.setattr(owner, name, noting(name, getattr(owner, name)))
    formats.write(tmp_path / "found.parquet", TABLE)
    one_layer(viewer, movie_file)
    one_layer(viewer, tmp_path / "found.parquet")
    assert threads == {"read": {False}, "points_layer": {True}, "movie_for": {True}}


@pytest.mark.parametrize("header", ["index,axis-0,axis-1", "index,shape-type,vertex-index,axis-0,axis-1", "name,age"])
def test_csv_files_of_others_are_left_to_them(header: str, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text(f"{header}\n0,1,2\n")
    assert get_table_reader(str(tmp_path / "other.csv")) is None


def test_napari_s_points_are_read_by_napari(viewer, tmp_path: Path) -> None:
    viewer.add_points([[1.0, 2.0]], name="mine").save(str(tmp_path / "points.csv"))
    (layer,) = viewer.open(tmp_path / "points.csv")
    assert layer.data.tolist() == [[1, 2]]


def test_hdf5_and_parquet_files_of_others_are_left_to_them(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "volume.h5", "w") as file:
        file["image"] = np.zeros((3, 4))
    TABLE.table.assign(mass=1.0).to_parquet(tmp_path / "tracks.parquet")
    assert get_table_reader(str(tmp_path / "volume.h5")) is None
    assert get_table_reader(str(tmp_path / "tracks.parquet")) is None
    assert get_table_reader(str(tmp_path / "gone.csv")) is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_tables_are_refused_in_words(viewer, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{suffix}"
    formats.write(path, TABLE)
    if suffix == "csv":
        path.write_text(path.read_text() + "4,first,1,1,1\n")
    else:
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=path.name) as error:
        viewer.open(path, plugin=PLUGIN)
    assert "\n" not in str(error.value)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"empty \(0 bytes\)"):
        viewer.open(path, plugin=PLUGIN)
    assert not viewer.layers


def test_only_names_of_movies_and_tables_are_claimed(viewer, movie_file: Path) -> None:
    def claims(path: str) -> list[str]:
        readers = PluginManager.instance().iter_compatible_readers([path])
        return [reader.command for reader in readers if reader.plugin_name == PLUGIN]

    assert claims("a.tif") == claims("b.ome.TIF") == claims(str(movie_file.parent)) == [f"{PLUGIN}.get_movie_reader"]
    assert claims("a.csv") == claims("a.hdf5") == claims("a.txt") == [f"{PLUGIN}.get_table_reader"]
    assert claims("a.png") == claims("a.npy") == []


def test_what_is_noticed_in_the_files_of_a_movie_is_shown(monkeypatch, tmp_path: Path) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_subpixel.widgets.readers.show_warning", shown.append)
    (tmp_path / "cell").mkdir()
    for number in (0, 1, 2, 4):
        tifffile.imwrite(tmp_path / "cell" / f"img_{number}.tif", MOVIE[number])
    reader = get_movie_reader(str(tmp_path / "cell"))
    assert reader is not None
    reader(str(tmp_path / "cell"))
    assert "img_2.tif is followed by img_4.tif" in shown[0]


def test_channels_in_the_names_of_a_folder_are_refused_and_not_left_to_napari(tmp_path: Path) -> None:
    (tmp_path / "cell").mkdir()
    for number in range(3):
        for channel in ("Cy3", "Cy5"):
            tifffile.imwrite(tmp_path / "cell" / f"img_{number}_{channel}.tif", MOVIE[number])
    reader = get_movie_reader(str(tmp_path / "cell"))
    assert reader is not None
    with pytest.raises(InputError, match=r"img_0_Cy3\.tif and img_0_Cy5\.tif"):
        reader(str(tmp_path / "cell"))


def test_each_image_of_a_file_becomes_a_layer(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        for part in (MOVIE[:3], MOVIE[2:]):
            writer.write(part, metadata={"axes": "TYX"})
    reader = get_movie_reader(str(tmp_path / "two.ome.tif"))
    assert reader is not None
    layers = reader(str(tmp_path / "two.ome.tif"))
    assert [layer[1]["name"] for layer in layers] == ["two.ome.tif (series 0)", "two.ome.tif (series 1)"]
    np.testing.assert_array_equal(layers[1][0], MOVIE[2:])


@pytest.mark.parametrize("suffix", ["txt", "tsv"])
def test_text_tables_under_other_names_are_read_too(make_napari_viewer, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"table.{suffix}"
    path.write_text("frame\tx [nm]\ty [nm]\n1\t250\t150\n2\t350\t450\n")
    viewer = make_napari_viewer()
    (points,) = viewer.open(path, plugin="napari-subpixel")
    assert len(points.data) == 2
