"""Points saved by napari itself: what is seen, in every format, and back."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManager

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import notes_of, points_layer, set_threshold, table_of
from napari_subpixel.widgets.writers import write_csv, write_hdf5, write_parquet

PLUGIN = "napari-subpixel"
#: Positions come back to this many pixels: a csv has 1e-4 nm, a Picasso hdf5 single precision.
WITHIN_PX = {"csv": 1e-6, "hdf5": 1e-6, "h5": 1e-6, "parquet": 0.0}
FOUND = Localizations(
    {
        "frame": [0, 1, 1, 3],
        "y": [0.123456789, 3.5, 10.0, -0.5],
        "x": [16.98765, 2.25, 0.0, 17.25],
        "probability": [0.9, 0.5, 0.125, 0.75],
        "photons": [1000.5, 20, 300, 44],
    },
    pixel_size_nm=110,
    frame_shape=(12, 18),
    n_frames=5,
    provenance={"model": "paper", "threshold": 0.1},
)


@pytest.fixture
def viewer(viewer):
    movie = movie_layer_data(open_stack(np.zeros((5, 12, 18), np.uint16)), Camera(pixel_size_nm=110))
    viewer.add_layer(Layer.create(*movie))
    return viewer


@pytest.fixture
def points(viewer):
    return viewer.add_layer(points_layer(FOUND, MovieLayer(viewer.layers[0]), name="found"))


@pytest.mark.parametrize("suffix", WITHIN_PX)
def test_what_is_saved_comes_back(viewer, points, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{suffix}"
    viewer.layers.selection = {points}
    written = viewer.layers.save(str(path), selected=True, plugin=PLUGIN)
    assert written == [str(file) for file in formats.format_for(path).outputs(path)]
    (back,) = viewer.open(path, plugin=PLUGIN)
    np.testing.assert_allclose(back.data, points.data, rtol=0, atol=WITHIN_PX[suffix])
    table = table_of(back)
    assert table.columns == FOUND.columns
    assert table.about == FOUND.about
    np.testing.assert_allclose(table["photons"], FOUND["photons"])
    assert back.scale.tolist() == points.scale.tolist()


@pytest.mark.parametrize("suffix", WITHIN_PX)
def test_what_the_threshold_hides_is_not_saved(points, suffix: str, tmp_path: Path) -> None:
    set_threshold(points, 0.6)
    napari.save_layers(str(tmp_path / f"found.{suffix}"), [points], plugin=PLUGIN)
    back = formats.read(tmp_path / f"found.{suffix}")
    assert back.frame.tolist() == [0, 3]
    assert back.provenance == {"model": "paper", "threshold": 0.6}


def test_a_point_moved_by_hand_is_saved_where_it_is(points, tmp_path: Path) -> None:
    points.data = points.data + np.array([0, 0.25, 0])
    points.save(str(tmp_path / "moved.parquet"))
    np.testing.assert_allclose(formats.read(tmp_path / "moved.parquet").y, FOUND.y + 0.25)


def test_a_file_that_exists_is_replaced(points, tmp_path: Path) -> None:
    for threshold, n_rows in ((0.1, 4), (0.6, 2)):
        set_threshold(points, threshold)
        points.save(str(tmp_path / "found.csv"), plugin=PLUGIN)
        assert len(formats.read(tmp_path / "found.csv")) == n_rows


def test_a_name_without_suffix_gets_that_of_the_format_and_replaces_nothing_unasked(points, tmp_path: Path) -> None:
    data, meta, _ = points.as_layer_data_tuple()
    for write, suffix in ((write_csv, ".csv"), (write_hdf5, ".hdf5"), (write_parquet, ".parquet")):
        assert write(str(tmp_path / "run 1.2"), data, meta)[0] == str(tmp_path / f"run 1.2{suffix}")
        with pytest.raises(OSError, match="exists already"):
            write(str(tmp_path / "run 1.2"), data, meta)
    assert write_csv(str(tmp_path / "named.H5"), data, meta)[0].endswith("named.H5")


def test_points_drawn_by_hand_are_saved_in_nm_where_the_layer_is(viewer, tmp_path: Path) -> None:
    drawn = viewer.add_points([[2, 3.5, 4.0]], scale=(1, 0.11, 0.11), units=("pixel", "um", "um"), name="drawn")
    drawn.save(str(tmp_path / "drawn.csv"), plugin=PLUGIN)
    back = formats.read(tmp_path / "drawn.csv")
    assert (back.frame[0], back.y[0], back.x[0]) == (2, pytest.approx(3.5), pytest.approx(4.0))
    assert back.pixel_size_nm == 110


def test_points_that_are_no_localizations_are_napari_s_to_save_as_csv(viewer, tmp_path: Path) -> None:
    viewer.layers.clear()
    drawn = viewer.add_points([[2, 3.5, 4.0]], name="drawn")
    assert drawn.save(str(tmp_path / "drawn.csv"), plugin=PLUGIN) == [str(tmp_path / "drawn.csv")]
    assert (tmp_path / "drawn.csv").read_text().splitlines() == ["index,axis-0,axis-1,axis-2", "0.0,2.0,3.5,4.0"]


def test_points_without_pixel_size_are_saved_in_pixels_but_not_in_nm(viewer, tmp_path: Path) -> None:
    viewer.layers.clear()
    drawn = viewer.add_points([[2, 3.5, 4.0]], name="drawn")
    notes_of(drawn)  # a widget of the plugin has read them
    with pytest.raises(OSError, match=r"is in nm, and the pixel size of 'drawn' is not known"):
        drawn.save(str(tmp_path / "drawn.csv"), plugin=PLUGIN)
    assert not list(tmp_path.iterdir())
    for name in ("drawn.hdf5", "drawn.parquet"):
        drawn.save(str(tmp_path / name))
        assert formats.read(tmp_path / name).yx.tolist() == [[3.5, 4.0]]


def test_points_between_frames_and_folders_that_are_not_there_are_refused_in_words(viewer, points, tmp_path) -> None:
    between = viewer.add_points([[0.5, 1, 1]], scale=points.scale, units=points.units)
    for layer, path, words in (
        (between, tmp_path / "a.csv", "frame numbers must be whole"),
        (points, tmp_path / "nowhere" / "a.hdf5", "does not exist"),
    ):
        with pytest.raises(OSError, match=words):
            layer.save(str(path), plugin=PLUGIN)
    assert not list(tmp_path.iterdir())


def test_a_layer_without_points_is_a_table_without_rows(viewer, tmp_path: Path) -> None:
    empty = points_layer(FOUND.select([]), MovieLayer(viewer.layers[0]), name="none")
    empty.save(str(tmp_path / "none.csv"), plugin=PLUGIN)
    assert len(formats.read(tmp_path / "none.csv")) == 0


def test_the_dialog_names_the_programs(viewer, points) -> None:
    from napari.plugins._npe2 import file_extensions_string_for_layers

    filters, _ = file_extensions_string_for_layers([points])
    for entry in ("Subpixel ThunderSTORM csv (*.csv)", "Subpixel Picasso hdf5 (*.hdf5 *.h5)", "parquet (*.parquet)"):
        assert entry in filters
    assert not [w for w in PluginManager.instance().iter_compatible_writers(["image"]) if w.plugin_name == PLUGIN]
