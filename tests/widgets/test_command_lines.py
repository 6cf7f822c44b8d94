"""*Copy as command line* in a real viewer: every line is read by the command line, and does what the panel does."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from qtpy.QtGui import QGuiApplication

from napari_subpixel import formats
from napari_subpixel.analysis.linking import link
from napari_subpixel.camera import Camera
from napari_subpixel.cli.main import build_parser, main
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.render_form import IN_VIEW, WHOLE_FIELD
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.drift import FOUND, PICKED, CorrectDrift
from napari_subpixel.widgets.evaluate import EvaluateAgainstTruth
from napari_subpixel.widgets.figure import MakeFigure
from napari_subpixel.widgets.filter import FilterMolecules
from napari_subpixel.widgets.layers.filtering import set_filter
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import notes_of, points_layer, set_threshold, table_of
from napari_subpixel.widgets.link import LinkMolecules
from napari_subpixel.widgets.render import RenderSuperResolution
from napari_subpixel.widgets.resolution import MeasureResolution

PLUGIN = "napari-subpixel"
SHAPE = (48, 64)


def blinking() -> Localizations:
    """Sixty molecules, each on in three frames, with a frame between the last two."""
    rng = np.random.default_rng(11)
    places = rng.uniform(4, np.array(SHAPE) - 5, (60, 2))
    start = rng.integers(0, 50, 60)
    frame = np.concatenate([start, start + 1, start + 3])
    order, n = np.argsort(frame, kind="stable"), len(frame)
    y, x = (np.tile(places, (3, 1)) + rng.normal(0, 0.05, (n, 2)))[order].T
    columns = {
        "frame": frame[order],
        "y": y,
        "x": x,
        "photons": rng.exponential(800, n) + 100,
        "probability": rng.uniform(0.3, 1, n),
        "y_uncertainty": rng.uniform(0.03, 0.3, n),
        "x_uncertainty": rng.uniform(0.03, 0.3, n),
    }
    return Localizations(columns, pixel_size_nm=110.0, frame_shape=SHAPE, n_frames=60)


@pytest.fixture
def points(viewer, tmp_path):
    """The table of a file whose name needs quotes."""
    formats.write(tmp_path / "our cells' locs.hdf5", blinking())
    (layer,) = viewer.open(tmp_path / "our cells' locs.hdf5", plugin=PLUGIN)
    return layer


@pytest.fixture
def dock(viewer):
    def make(panel):
        widget = panel(viewer)
        viewer.window.add_dock_widget(widget, name=panel.__name__)
        return widget

    return make


def copied(widget) -> list[str]:
    """Return the arguments of the copied line, which the command line reads."""
    QGuiApplication.clipboard().clear()
    widget.command_row.button.click()
    text = QGuiApplication.clipboard().text()
    assert text, widget.command_row.refusal.words.text()
    assert widget.command_row.copied.text() == f"Copied: {text}"
    program, *arguments = shlex.split(text, comments=True)
    assert program == "napari-subpixel"
    build_parser().parse_args(arguments)
    return arguments


def value_of(arguments: list[str], flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


def settled(qtbot):
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)


def same(first: Localizations, second: Localizations) -> None:
    for name in ("frame", "y", "x", "photons"):
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6)


def test_the_line_of_filter_writes_the_points_that_are_shown(dock, qtbot, viewer, points):
    widget = dock(FilterMolecules)
    widget.command_row.button.click()
    assert "nothing to filter by" in widget.command_row.refusal.words.text()
    set_threshold(points, 0.5)
    widget.text.setText("uncertainty < 20 | photons > 900")
    widget.text.editingFinished.emit()
    settled(qtbot)
    arguments = copied(widget)
    assert main(arguments) == 0
    shown = table_of(points)
    assert 0 < len(shown) < len(points.data)
    same(formats.read(value_of(arguments, "--output")), shown)


@pytest.mark.parametrize("dark", [-1, 2])
def test_the_line_of_link_gives_the_molecules_of_the_panel(dock, qtbot, viewer, points, dark):
    set_threshold(points, 0.4)
    widget = dock(LinkMolecules)
    widget.dark_frames.setValue(dark)
    widget.distance_nm.setValue(80.0)
    arguments = copied(widget)
    assert value_of(arguments, "--max-distance-nm") == "80.0"
    assert ("--max-dark-frames" in arguments) == (dark >= 0)
    widget.act()
    settled(qtbot)
    assert main(arguments) == 0
    same(formats.read(value_of(arguments, "--output")), table_of(viewer.layers[-1]))


def test_the_line_of_render_gives_the_image_of_the_panel(dock, qtbot, viewer, points):
    widget = dock(RenderSuperResolution)
    widget.extent.value = WHOLE_FIELD
    widget.pixel_size_nm.value = 23.0
    widget.sigma_nm.value = 31.5
    set_threshold(points, 0.6)
    widget.render_now()
    settled(qtbot)
    arguments = copied(widget)
    assert main(arguments) == 0
    np.testing.assert_allclose(tifffile.imread(value_of(arguments, "--output")), widget.image.data, atol=1e-6)

    widget.extent.value = IN_VIEW
    widget.colour_by.value = "photons"
    widget.render_now()
    settled(qtbot)
    arguments = copied(widget)
    assert {"--roi", "--preview", "--color-by"} <= {*arguments}
    assert "--whole-frame" not in arguments


def test_the_lines_of_drift_resolution_and_evaluate(dock, viewer, points, tmp_path):
    drift = dock(CorrectDrift)
    assert "--fiducials" not in copied(drift)
    drift.source.value = FOUND
    assert "--fiducials" in copied(drift)
    picks = viewer.add_points([[-1.5 * 110, 20 * 110], [440, 550]], scale=(1, 1), units=("nm", "nm"), name="picks")
    drift.source.value, drift.picks.value = PICKED, picks
    assert sum(argument.startswith("--fiducial-at") for argument in copied(drift)) == 2

    assert copied(dock(MeasureResolution))[0] == "resolution"

    formats.write(tmp_path / "truth.csv", blinking())
    widget = dock(EvaluateAgainstTruth)
    widget.result.value, widget.truth.value, widget.truth_file.value = points, None, tmp_path / "truth.csv"
    widget.tolerances.value = "30, 60"
    widget.last.setValue(20)
    arguments = copied(widget)
    assert arguments[2] == str(tmp_path / "truth.csv")
    assert arguments.count("--tolerance-nm") == 2
    assert value_of(arguments, "--frames") == ":21"
    assert main(arguments) == 0
    (truth,) = viewer.open(tmp_path / "truth.csv", plugin=PLUGIN)
    widget.truth.value = truth
    assert copied(widget)[2] == str(tmp_path / "truth.csv")
    set_filter(truth, notes_of(points).keep)
    set_threshold(truth, 0.9)  # which the command has no flag for
    assert copied(widget)[2] == "truth.csv"


def test_the_lines_of_detect_and_figure_name_movie_model_and_camera(dock, viewer, tmp_path):
    path = tmp_path / "my movie.tif"
    tifffile.imwrite(path, np.random.default_rng(1).poisson(100, (20, *SHAPE)).astype(np.uint16))
    (layer,) = viewer.open(path, plugin=PLUGIN)
    MovieLayer(layer).set_camera(Camera(pixel_size_nm=(120.0, 100.0), baseline=98.5, em_gain=30.0))
    detect = dock(DetectMolecules)
    detect.form.model.value = "fast"
    detect.threshold.setValue(0.35)
    detect.first.setValue(4)
    arguments = copied(detect)
    assert arguments[:2] == ["detect", str(path)]
    expected = {"--model": "fast", "--threshold": "0.35", "--frames": "4:20", "--device": "auto"}
    camera = {"--pixel-size-nm": "120.0,100.0", "--baseline": "98.5", "--em-gain": "30.0"}
    assert {flag: value_of(arguments, flag) for flag in expected | camera} == expected | camera
    assert "--electrons-per-adu" not in arguments  # so that it is estimated, as in the panel

    figure = dock(MakeFigure)
    figure.keep.setText("photons > 300")
    assert value_of(copied(figure), "--output") == str(tmp_path / "my movie figure")


def test_what_has_no_file_is_to_be_saved_first(dock, viewer, points, tmp_path):
    made = viewer.add_layer(points_layer(blinking(), name="-made/here"))
    widget = dock(LinkMolecules)
    widget.points.value = made
    assert copied(widget)[1] == "made_here.csv"
    assert widget.command_row.copied.text().endswith("# first save the shown points of -made/here as made_here.csv")

    widget.points.value = points
    assert copied(widget)[1].startswith(str(tmp_path))
    points.selected_data = {0}
    points.remove_selected()  # other points than those of the file
    assert copied(widget)[1] == "our cells' locs.csv"

    maps = Camera(pixel_size_nm=100.0, baseline=np.full(SHAPE, 90.0))
    frames = np.zeros((9, *SHAPE), np.uint16)
    viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames, name="array"), maps)))
    detect = dock(DetectMolecules)
    arguments = copied(detect)
    assert (arguments[1], value_of(arguments, "--camera")) == ("array.tif", "array camera.yaml")
    assert "save the movie array as array.tif; save the camera" in detect.command_row.copied.text()


def test_a_table_that_gives_no_pixel_size_is_read_at_the_one_it_is_shown_at(dock, viewer, tmp_path):
    table = blinking()
    rows = zip(table.frame + 1, table.x * 110, table.y * 110, np.full(len(table), 12.0), strict=True)
    lines = ['"frame","x [nm]","y [nm]","uncertainty [nm]"', *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "bare.csv").write_text("\n".join(lines) + "\n")
    (layer,) = viewer.open(tmp_path / "bare.csv", plugin=PLUGIN)
    arguments = copied(dock(LinkMolecules))
    assert value_of(arguments, "--pixel-size-nm") == str(notes_of(layer).about["pixel_size_nm"])
    assert main(arguments) == 0
    written = formats.read(value_of(arguments, "--output"), pixel_size_nm=100.0)
    np.testing.assert_allclose(written.y, link(table_of(layer)).molecules.y, rtol=1e-4)
