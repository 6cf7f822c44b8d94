"""*Render* of what is in view: the pixels of the screen, in their place, of the molecules that are shown."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from imagecodecs import png_decode
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QDockWidget, QFileDialog, QMainWindow, QMessageBox, QPushButton, QWidget

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background.picture_export import PictureExport, exported
from napari_subpixel.widgets.background.view_pictures import GAMMA, Appearance
from napari_subpixel.widgets.controls import picture_marks
from napari_subpixel.widgets.controls.export_dialog import KINDS, ExportDialog, ask_export, path_of_kind
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer, set_threshold
from napari_subpixel.widgets.layers.results import ground_of, snapshot
from napari_subpixel.widgets.layers.view_image import ViewImage
from napari_subpixel.widgets.render import RenderSuperResolution

#: Of the frames, in pixels.
SHAPE = (30, 44)
#: Width of a camera pixel, in nm.
PIXEL_NM = 110.0
#: Molecules.
N = 300


def found():
    rng = np.random.default_rng(1)
    columns = {
        "frame": np.arange(N) // 60, "y": rng.uniform(2, SHAPE[0] - 3, N), "x": rng.uniform(2, SHAPE[1] - 3, N),
        "probability": np.linspace(0.05, 0.95, N), "photons": rng.exponential(500, N),
        "y_uncertainty": rng.uniform(0.1, 0.2, N), "x_uncertainty": rng.uniform(0.1, 0.2, N),
    }  # fmt: skip
    return Localizations(columns, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE, n_frames=5)


@pytest.fixture
def movie(viewer):
    frames = np.random.default_rng(0).poisson(20, (5, *SHAPE)).astype(np.uint16)
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames), Camera(pixel_size_nm=PIXEL_NM))))


@pytest.fixture
def points(viewer, movie):
    return viewer.add_layer(points_layer(found(), MovieLayer(movie), name="found"))


@pytest.fixture
def widget(viewer, points):
    widget = RenderSuperResolution(viewer)
    viewer.window.add_dock_widget(widget, name="Render")
    return widget


def settle(qtbot, layer):
    qtbot.waitUntil(lambda: not layer.drawing.is_drawing, timeout=10_000)


def rendered(qtbot, widget):
    widget.render_now()
    settle(qtbot, widget.view_image)
    return widget.view_image


def show_part(qtbot, layer, points, low, high, zoom):
    """Let the canvas show a rectangle of the frames at this many of its pixels per camera pixel."""
    corners = np.array([points.data_to_world((0, *yx))[-2:] for yx in (low, high)])
    pixel = np.linalg.norm(points.data_to_world((0, 1, 0)) - np.array(points.data_to_world((0, 0, 0))))
    layer._update_draw(pixel / zoom, corners, (0, 0))
    settle(qtbot, layer)


def place_in(layer, points, yx):
    """The place of a point of the frames among the pixels of an image, as napari places both."""
    return np.array(layer.world_to_data(points.data_to_world((0, *yx))[-2:]))


def sums_to(layer):
    """Molecules in the picture."""
    zoom = layer.grid.zoom
    return layer.data.sum() * (PIXEL_NM / 1e3) ** 2 / (zoom[0] * zoom[1])


def test_what_is_in_view_is_the_default_with_a_scale_bar_and_without_what_lies_under_it(
    qtbot, viewer, widget, movie, points
):
    layer = rendered(qtbot, widget)
    assert isinstance(layer, ViewImage)
    assert viewer.layers.index(layer) == viewer.layers.index(points) - 1
    assert viewer.canvas.overlays.scale_bar.visible
    assert not movie.visible
    assert not points.visible
    assert sums_to(layer) == pytest.approx(N, rel=0.01)
    assert "found in pixels of" in widget.status.text()
    widget.hide_others.value = False
    assert movie.visible
    assert points.visible
    assert rendered(qtbot, widget) is layer, "a second click draws into the same layer"


def test_it_sharpens_on_zoom_and_stays_in_its_place_to_a_hundredth_of_a_pixel(qtbot, viewer, widget, movie, points):
    movie.rotate = points.rotate = 20.0
    movie.translate = points.translate = (0, 321.0, -50.0)
    layer = rendered(qtbot, widget)
    extent = layer.extent.world
    views = ((-40, -40), (90, 90), 3.0), ((3.0, 4.0), (15.0, 20.0), 37.3), ((9.0, 9.0), (9.5, 9.6), 900.0)
    for low, high, zoom in views:
        show_part(qtbot, layer, points, low, high, zoom)
        assert layer.drawing.picture.view.is_sharp
        assert layer.grid.zoom[0] == pytest.approx(min(zoom, 256.0), rel=1e-6)
        for yx in ((0.0, 0.0), (12.3, 40.0), low):
            in_image = place_in(layer, points, yx)
            assert layer.grid.to_frame(in_image) == pytest.approx(yx, abs=1e-6)
        corners = np.array([place_in(layer, points, yx) for yx in np.clip((low, high), 0, 29)])
        assert (corners > -1).all(), "no edge is in view"
        assert (corners < np.array(layer.data.shape)).all()
        np.testing.assert_allclose(layer.extent.world, extent, atol=PIXEL_NM / 2)
    show_part(qtbot, layer, points, (2, 2), (28, 28), 11.0)  # a pixel of the image is then 10 nm
    table = found()
    whole = render(table, pixel_size_nm=10.0).image
    (top, left), (height, width) = layer.grid.first, layer.grid.shape
    expected = whole[top : top + height, left : left + width] / 0.01**2
    np.testing.assert_allclose(layer.data, expected, atol=1e-4 * expected.max())


def test_it_shows_what_is_shown_and_the_rows_that_it_is_given(qtbot, widget, points, tmp_path, shown):
    layer = rendered(qtbot, widget)
    set_threshold(points, 0.5)
    settle(qtbot, layer)
    assert sums_to(layer) == pytest.approx(N / 2, rel=0.02)
    layer.drawing.set_rows(np.arange(N - 30, N))
    settle(qtbot, layer)
    assert sums_to(layer) == pytest.approx(30, rel=0.02)
    widget.export(tmp_path / "rows.tif", 10.0, whole=True)
    qtbot.waitUntil(lambda: "Saved rows.tif" in widget.status.text(), timeout=10_000)
    expected = render(found().select(np.arange(N) >= N - 30), pixel_size_nm=10.0).image
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "rows.tif"), expected)
    layer.drawing.set_rows(None)
    points.remove(range(N - 100, N))
    layer.drawing._draw_sharply()  # as one pans before the molecules are read again
    settle(qtbot, layer)
    assert not shown()
    assert sums_to(layer) == pytest.approx(N / 2 - 100, rel=0.03)
    widget.follow.value = False
    set_threshold(points, 0.1)
    settle(qtbot, layer)
    assert sums_to(layer) == pytest.approx(N / 2 - 100, rel=0.03)
    widget.follow.value = True
    settle(qtbot, layer)
    assert sums_to(layer) > N / 2


def test_molecules_that_are_added_or_removed_are_drawn_without_an_error(qtbot, widget, points, shown):
    layer = rendered(qtbot, widget)
    for table in (found().select(np.arange(100)), found()):
        points.set_table(table)
        qtbot.wait(50)  # less than it takes until they are read
        settle(qtbot, layer)
        assert sums_to(layer) == pytest.approx(len(table), rel=0.03)
    assert not shown()


def test_the_contrast_is_stable_on_pan_follows_the_zoom_and_never_leaves_the_view_empty(qtbot, widget, points):
    layer = rendered(qtbot, widget)
    show_part(qtbot, layer, points, (2, 2), (20, 20), 20.0)
    before = layer.contrast_limits
    show_part(qtbot, layer, points, (4, 6), (22, 24), 20.0)
    assert layer.contrast_limits == before
    for zoom, low in ((1.5, (-9, -9)), (200.0, found().yx[7] - 1)):
        show_part(qtbot, layer, points, low, np.array(low) + 500 / zoom, zoom)
        bright = (layer.data / layer.contrast_limits[1]) ** layer.gamma > 0.5
        assert bright.sum() >= 2
        assert layer.contrast_limits != before
    layer.contrast_limits = (0.0, 77.0)
    show_part(qtbot, layer, points, (2, 2), (20, 20), 30.0)
    assert layer.contrast_limits == [0.0, 77.0], "set by hand"


def test_molecules_are_coloured_by_a_quantity_and_then_by_density_again(qtbot, viewer, widget, points):
    layer = rendered(qtbot, widget)
    place = viewer.layers.index(layer)
    assert widget.colour_by.choices == ("density", "frame", "photons", "uncertainty")
    widget.colour_by.value = "frame"
    coloured = widget.view_image
    settle(qtbot, coloured)
    assert coloured.rgb
    assert coloured.name == "found, super-resolution"
    assert viewer.layers.index(coloured) == place
    assert layer not in viewer.layers
    assert "frame from 0 (blue) to 4 (red)" in widget.status.text()
    show_part(qtbot, coloured, points, (-1, -1), (45, 45), 20.0)
    early, late = (np.rint(place_in(coloured, points, found().yx[row])).astype(int) for row in (3, N - 3))
    assert coloured.data[tuple(early)][2] > coloured.data[tuple(early)][0]
    assert coloured.data[tuple(late)][0] > coloured.data[tuple(late)][2]
    widget.colour_by.value = "density"
    settle(qtbot, widget.view_image)
    assert not widget.view_image.rgb


def test_a_picture_has_the_colours_of_the_screen_with_bars_and_values_have_their_pixels(
    qtbot, widget, points, tmp_path, shown
):
    layer = rendered(qtbot, widget)
    show_part(qtbot, layer, points, (3, 4), (19, 24), 11.0)
    for name, whole in (("view.png", False), ("view.tif", False), ("whole.tif", True)):
        widget.export(tmp_path / name, 10.0, whole=whole)
        qtbot.waitUntil(lambda name=name: f"Saved {name}" in widget.status.text(), timeout=10_000)
    expected = render(found(), pixel_size_nm=10.0, roi=((3, 20), (4, 25)))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "view.tif"), expected.image)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "whole.tif"), render(found(), pixel_size_nm=10.0).image)
    picture = png_decode((tmp_path / "view.png").read_bytes())[..., :3].astype(int)
    height, width = expected.image.shape
    assert picture.shape[1] > width + 30, "a bar of colours"
    level = (np.clip(expected.image / 0.01**2 / layer.contrast_limits[1], 0, 1)) ** GAMMA
    on_screen = (layer.colormap.map(level.ravel())[:, :3].reshape(height, width, 3) * 255).astype(int)
    unmarked = slice(0, height // 2)
    assert np.abs(picture[unmarked, :width] - on_screen[unmarked]).max() <= 3
    white = (picture[height - 40 :, :width] == 255).all(axis=-1).sum(axis=1)
    assert white.max() >= 20, "a scale bar of 200 nm"
    assert (picture[:, width:].max(axis=-1) == 255).any()
    widget.colour_by.value = "photons"
    settle(qtbot, widget.view_image)
    widget.export(tmp_path / "colours.png", 20.0, whole=True)
    qtbot.waitUntil(lambda: "Saved colours.png" in widget.status.text(), timeout=10_000)
    widget.export(tmp_path / "view.gif", 20.0, whole=True)
    assert ".png, .tif" in shown()[-1][1]


def test_the_dialog_offers_the_pixels_of_the_screen_for_the_view_and_10_nm_for_the_whole_field(widget):
    dialog = ExportDialog(widget, 3.25)
    assert (dialog.whole, dialog.pixel_size_nm.value()) == (False, 3.25)
    dialog.part.setCurrentIndex(1)
    assert (dialog.whole, dialog.pixel_size_nm.value()) == (True, 10.0)
    assert ExportDialog(widget, None).whole
    dialog.deleteLater()


def test_it_is_drawn_when_the_dock_is_closed_until_the_layer_is_removed(qtbot, viewer, widget, points):
    layer = rendered(qtbot, widget)
    viewer.window.remove_dock_widget(widget)
    show_part(qtbot, layer, points, (3, 4), (15, 20), 50.0)
    assert layer.grid.zoom[0] == pytest.approx(50.0)
    drawing = layer.drawing
    set_threshold(points, 0.5)
    viewer.layers.remove(layer)
    assert not drawing.is_drawing
    assert not drawing._links._made


def test_render_draws_on_the_frames_that_are_chosen_now_and_refuses_once_they_are_gone(qtbot, viewer, movie, shown):
    other = viewer.add_layer(
        Layer.create(*movie_layer_data(open_stack(np.zeros((5, 20, 26), np.uint16)), Camera(pixel_size_nm=PIXEL_NM)))
    )
    places = found().yx / 3
    drawn = viewer.add_points(
        np.column_stack([found().frame, places]), name="drawn", scale=movie.scale, units=movie.units
    )
    widget = RenderSuperResolution(viewer)
    viewer.window.add_dock_widget(widget, name="Render")
    widget.points.value = drawn
    widget.frames_of.value = movie
    assert rendered(qtbot, widget).frame_shape == SHAPE
    widget.frames_of.value = other
    layer = widget.view_image
    settle(qtbot, layer)
    assert layer.frame_shape == (20, 26)
    assert layer.drawing.ground().layer is other
    viewer.layers.remove(other)
    viewer.layers.remove(movie)
    widget.colour_by.value = "frame"
    assert "shape of the frames is not known" in widget.refusal.words.text()
    assert [severity for severity, _ in shown()] == ["ERROR"]


def test_a_pixel_size_that_is_missed_can_be_given_without_a_movie(qtbot, viewer, monkeypatch):
    columns = {name: found()[name] for name in ("frame", "y", "x")}
    viewer.add_layer(points_layer(Localizations(columns, frame_shape=SHAPE, n_frames=5), name="found"))
    widget = RenderSuperResolution(viewer)
    viewer.window.add_dock_widget(widget, name="Render")
    monkeypatch.setattr(
        "napari_subpixel.widgets.controls.pixel_size.QInputDialog.getDouble", lambda *_: (PIXEL_NM, True)
    )
    widget.render_now()
    assert not widget.refusal.button.isHidden()
    widget.refusal.button.click()
    settle(qtbot, widget.view_image)
    assert widget.refusal.isHidden()


def test_the_panel_says_nothing_of_other_points(qtbot, viewer, widget):
    rendered(qtbot, widget)
    assert "found in pixels of" in widget.status.text()
    widget.points.value = viewer.add_points([[0, 3.0, 4.0]], name="drawn")
    assert not widget.status.text()


def test_a_dock_widens_for_what_appears_in_its_panel(qtbot, viewer):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QWidget())
    panel, dock, button = Panel(viewer), QDockWidget(), QPushButton("a word that is longer than all that are there")
    panel.column.addWidget(button)
    button.hide()
    dock.setWidget(panel)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.resize(900, 300)
    window.show()
    qtbot.wait(50)
    button.show()
    qtbot.waitUntil(lambda: panel._area.viewport().width() >= button.minimumSizeHint().width())
    window.removeDockWidget(dock)
    dock.deleteLater()


@pytest.mark.parametrize("colour_by", ["", "frame"])
def test_an_export_can_be_stopped_while_it_draws(widget, points, tmp_path, colour_by):
    ground = ground_of(points, ())
    appearance = Appearance(colour_by=colour_by)
    export = PictureExport.of(
        tmp_path / "a.png", snapshot(points), ground, appearance, 20.0, None, whole=True, colormap="hot"
    )
    steps = exported(export)
    shares = [share for share in steps if share is not None]
    assert shares[-1] == 1.0
    assert len(shares) == (5 if colour_by else 1)


def test_a_picture_that_is_no_png_is_not_written(points, tmp_path, monkeypatch):
    class Full(QImage):
        def save(self, *_):
            return False

    monkeypatch.setattr(picture_marks, "QImage", Full)
    export = PictureExport.of(
        tmp_path / "a.png",
        snapshot(points),
        ground_of(points, ()),
        Appearance(),
        20.0,
        None,
        whole=True,
        colormap="hot",
    )
    with pytest.raises(InputError, match=r"a\.png: a picture of"):
        list(exported(export))
    assert not list(tmp_path.iterdir())


def test_a_name_without_an_ending_has_that_of_the_chosen_kind(tmp_path):
    png, tiff = KINDS
    for name, kind, expected in (
        ("a", tiff, "a.tif"), ("a", png, "a.png"), ("a.png", tiff, "a.tif"), ("a.tiff", tiff, "a.tiff"),
        ("2024.05.12", tiff, "2024.05.12.tif"), ("a.tif", png, "a.tif"),
    ):  # fmt: skip
        assert path_of_kind(str(tmp_path / name), kind) == tmp_path / expected


@pytest.mark.parametrize(("typed", "answers"), [("a.png", ["No"]), ("a.png", ["Yes"]), ("a.tif", []), ("b.png", [])])
def test_a_file_that_only_the_kind_names_is_replaced_after_a_question(widget, tmp_path, monkeypatch, typed, answers):
    """The dialog for files asks itself about a name that is typed in full."""
    (tmp_path / "a.tif").touch()
    questions = []

    def answer(*arguments):
        questions.append(arguments[-1])
        return QMessageBox.StandardButton[answers[0]]

    tiff = list(KINDS)[1]
    monkeypatch.setattr(ExportDialog, "exec", lambda _: ExportDialog.DialogCode.Accepted)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), tiff))
    monkeypatch.setattr(QMessageBox, "question", answer)
    choice = ask_export(widget, 3.0, "found")
    assert questions == ["a.tif exists already. Replace it?"] * len(answers)
    assert (choice is None) == (answers == ["No"])
    if choice is not None:
        assert choice.path == (tmp_path / typed).with_suffix(".tif")
