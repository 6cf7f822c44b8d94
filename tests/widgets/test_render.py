"""*Render* in a real viewer: the image in its place, following the threshold, and every refusal."""

from __future__ import annotations

import json
import threading
import weakref

import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

from napari_subpixel._util.generators import stepwise
from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background import rendering as module
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.render_form import WHOLE_FIELD
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer, set_threshold, table_of
from napari_subpixel.widgets.layers.renderings import RenderingNotes
from napari_subpixel.widgets.render import RenderSuperResolution

SHAPE = (30, 44)
MOVIE = np.random.default_rng(0).poisson(20, (5, *SHAPE)).astype(np.uint16)
PIXEL_NM = 110.0


def behind(gate, begun=None):
    """Rendering that waits until the gate is opened."""

    @stepwise
    def slow(table, **options):
        if begun is not None:
            begun.set()
        gate.wait(5)
        return (yield from render.steps(table, **options))

    return slow


def found(n=60, **about):
    rng = np.random.default_rng(1)
    columns = {
        "frame": rng.integers(0, 5, n),
        "y": rng.uniform(-0.5, SHAPE[0] - 0.5, n),
        "x": rng.uniform(-0.5, SHAPE[1] - 0.5, n),
        "probability": np.linspace(0.05, 0.95, n),
    }
    columns["y"][:2] = -3.0  # outside the frames
    return Localizations(columns, **{"pixel_size_nm": PIXEL_NM, "frame_shape": SHAPE, **about})


@pytest.fixture
def movie(viewer):
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(MOVIE), Camera(pixel_size_nm=PIXEL_NM))))


@pytest.fixture
def points(viewer, movie):
    return viewer.add_layer(points_layer(found(), MovieLayer(movie), name="found"))


@pytest.fixture
def make_widget(viewer):
    def make():
        widget = RenderSuperResolution(viewer)
        widget.extent.value = WHOLE_FIELD
        viewer.window.add_dock_widget(widget, name="Render")
        return widget

    return make


def settle(qtbot, widget):
    """Wait until no work is under way or about to begin."""
    qtbot.waitUntil(lambda: widget.latest.request is None and not widget._rest.isActive(), timeout=10_000)


def rendered(qtbot, widget):
    widget.render_now()
    settle(qtbot, widget)
    return widget.image


def corners(layer):
    """The outer corners of a layer's first and last pixel, (y, x) in the world."""
    shape = np.array(layer.data.shape[-2:])
    return np.array([world(layer, place) for place in (np.full(2, -0.5), shape - 0.5)])


def world(layer, yx):
    return np.array(layer.data_to_world(np.concatenate([np.zeros(layer.ndim - 2), yx])))[-2:]


# -- where it lies ------------------------------------------------------------------------------------------------


def assert_on_movie(image, movie, points, tolerance_px=0.01):
    """The first corners coincide; the last is as far as the image's whole pixels reach; a bright pixel is a point's."""
    grid = image.metadata[KEY].grid
    camera_px = np.linalg.norm(world(movie, (0, 1)) - world(movie, (0, 0)))
    far = grid.to_frame(*(np.array(grid.shape) - 0.5))
    assert np.abs(corners(image)[0] - corners(movie)[0]).max() < tolerance_px * camera_px
    assert np.abs(corners(image)[1] - world(movie, far)).max() < tolerance_px * camera_px
    table = table_of(points)
    inside = table.y > -0.5
    for yx in table.yx[inside][:5]:
        pixel = image.world_to_data(world(movie, yx))
        assert image.data[tuple(np.rint(pixel).astype(int))] >= 1
        assert points.data_to_world([0, *yx])[-2:] == pytest.approx(tuple(world(movie, yx)))


def test_the_image_lies_on_the_movie_whether_or_not_its_pixels_divide_the_cameras(make_widget, qtbot, movie, points):
    widget = make_widget()
    widget.method.value = "histogram"
    for pixel_nm in (10.0, 11.0, 27.5, 13.7):
        widget.pixel_size_nm.value = pixel_nm
        image = rendered(qtbot, widget)
        assert_on_movie(image, movie, points)
        if PIXEL_NM % pixel_nm == 0:
            np.testing.assert_allclose(corners(image), corners(movie), atol=0.01 * PIXEL_NM)
    assert str(image.units[-1]) == "nanometer"


def test_the_image_lies_on_a_movie_in_micrometres_that_someone_else_placed(make_widget, qtbot, viewer):
    widget = make_widget()
    widget.pixel_size_nm.value, widget.method.value = 13.7, "histogram"
    for place in (
        {"translate": (0, 3.5, -7.25)},
        {"rotate": 25.0, "translate": (0, 1, 2)},
        {"shear": (0, 0, 0.2)},
        {"affine": np.array([[1, 0, 0, 0], [0, 0.9, 0.1, 4], [0, -0.2, 1.1, 5], [0, 0, 0, 1.0]])},
    ):
        movie = viewer.add_image(MOVIE, scale=(1, 0.11, 0.11), units=("pixel", "um", "um"), **place)
        points = viewer.add_layer(points_layer(found(), MovieLayer(movie), name="found"))
        widget.points.value = points
        image = rendered(qtbot, widget)
        assert str(image.units[-1]) == "micrometer"
        assert_on_movie(image, movie, points)
        movie.rotate = points.rotate = 30.0  # the next rendering finds the place again
        assert rendered(qtbot, widget) is image
        assert_on_movie(image, movie, points)


def test_the_image_follows_its_movie_to_another_pixel_size(make_widget, qtbot, viewer, movie, points):
    widget = make_widget()
    image = rendered(qtbot, widget)
    MovieLayer(movie).set_camera(Camera(pixel_size_nm=160.0), viewer.layers)
    np.testing.assert_allclose(corners(image), corners(movie), atol=1.6)
    widget.pixel_size_nm.value = 20.0
    rendered(qtbot, widget)
    assert image.data.shape == (30 * 8, 44 * 8)
    np.testing.assert_allclose(corners(image), corners(movie), atol=1.6)


def test_points_drawn_by_hand_are_rendered_where_the_viewer_shows_them_on_the_chosen_movie(
    make_widget, qtbot, viewer, movie
):
    viewer.layers.selection.clear()
    drawn = viewer.add_points([[0, 40, 80], [3, 200, 100]], scale=(1, 10, 10), units=("pixel", "nm", "nm"))
    widget = make_widget()
    assert widget._form.isRowVisible(widget.frames_of.native)
    widget.method.value = "histogram"
    image = rendered(qtbot, widget)
    np.testing.assert_allclose(corners(image), corners(movie), atol=1)
    for yx in (400.0, 800.0), (2000.0, 1000.0):
        assert image.data[tuple(np.rint(image.world_to_data(yx)).astype(int))] == 1
    assert rendered(qtbot, widget) is image
    assert widget.points.value is drawn


def test_a_table_that_knows_its_frames_needs_no_movie(make_widget, qtbot, viewer):
    viewer.add_layer(points_layer(found(), name="table"))
    widget = make_widget()
    assert not widget._form.isRowVisible(widget.frames_of.native)
    image = rendered(qtbot, widget)
    np.testing.assert_allclose(corners(image)[0], (-55, -55))


# -- what it holds ------------------------------------------------------------------------------------------------


def test_the_image_is_that_of_the_function(make_widget, qtbot, points):
    widget = make_widget()
    image = rendered(qtbot, widget)
    expected = render(found(), pixel_size_nm=10)
    np.testing.assert_array_equal(image.data, expected.image)
    assert image.metadata[KEY].provenance == expected.provenance
    widget.sigma_nm.value, widget.pixel_size_nm.value = 25.0, 20.0
    rendered(qtbot, widget)
    np.testing.assert_array_equal(image.data, render(found(), pixel_size_nm=20, sigma_nm=25).image)
    assert "2 outside the frames were left out" in widget.status.text()


def test_a_histogram_sums_to_the_points_shown_inside_and_follows_the_threshold(make_widget, qtbot, points):
    widget = make_widget()
    widget.method.value = "histogram"
    image = rendered(qtbot, widget)
    assert image.data.sum() == 58
    for threshold in (0.3, 0.5, 0.99, 0.0):
        set_threshold(points, threshold)
        settle(qtbot, widget)
        shown = table_of(points)
        assert image.data.sum() == (shown.y > -0.5).sum()
        assert image.metadata[KEY].provenance["threshold"] == threshold
    assert image.data.sum() == 58


def test_following_keeps_the_settings_of_the_image_and_what_the_user_chose_of_colours(make_widget, qtbot, points):
    widget = make_widget()
    widget.sigma_nm.value = 30.0
    image = rendered(qtbot, widget)
    widget.pixel_size_nm.value = 50.0
    image.contrast_limits, image.colormap = (0.0, 0.02), "green"
    set_threshold(points, 0.5)
    settle(qtbot, widget)
    np.testing.assert_array_equal(image.data, render(found().above(0.5), pixel_size_nm=10, sigma_nm=30).image)
    assert image.contrast_limits == [0.0, 0.02]
    assert image.colormap.name == "green"


def test_it_does_not_follow_while_that_is_switched_off(make_widget, qtbot, points):
    widget = make_widget()
    widget.method.value = "histogram"
    image = rendered(qtbot, widget)
    widget.follow.value = False
    set_threshold(points, 0.5)
    settle(qtbot, widget)
    assert image.data.sum() == 58
    widget.follow.value = True
    settle(qtbot, widget)
    assert image.data.sum() < 58


def test_many_changes_are_rendered_one_at_a_time_and_the_last_counts(make_widget, qtbot, points, monkeypatch):
    widget = make_widget()
    widget.method.value = "histogram"
    image = rendered(qtbot, widget)
    at_work, most, calls = [], [], []
    gate = threading.Event()

    @stepwise
    def slow(table, **options):
        at_work.append(1)
        most.append(len(at_work))
        calls.append(len(table))
        gate.wait(5)
        at_work.pop()
        return (yield from render.steps(table, **options))

    monkeypatch.setattr(module, "render", slow)
    for threshold in (0.2, 0.4, 0.6):
        set_threshold(points, threshold)
        qtbot.wait(220)  # longer than the threshold has to rest
    gate.set()
    settle(qtbot, widget)
    assert max(most) == 1
    assert len(calls) == 2
    assert image.data.sum() == (table_of(points).y > -0.5).sum()


def test_a_removed_image_comes_back_by_the_button_not_by_the_threshold(make_widget, qtbot, viewer, points):
    widget = make_widget()
    viewer.layers.remove(rendered(qtbot, widget))
    set_threshold(points, 0.5)
    settle(qtbot, widget)
    assert widget.image is None
    assert not widget.save_button.isEnabled()
    assert rendered(qtbot, widget) is not None
    assert widget.save_button.isEnabled()


def test_an_image_removed_while_it_is_rendered_again_stays_removed(make_widget, qtbot, viewer, points, monkeypatch):
    widget = make_widget()
    image = rendered(qtbot, widget)
    gate = threading.Event()
    monkeypatch.setattr(module, "render", behind(gate))
    set_threshold(points, 0.5)
    qtbot.waitUntil(lambda: widget.latest.request is not None)
    viewer.layers.remove(image)
    gate.set()
    settle(qtbot, widget)
    assert widget.image is None


def test_each_points_layer_has_its_own_image_under_it(make_widget, qtbot, viewer, movie, points):
    widget = make_widget()
    first = rendered(qtbot, widget)
    other = viewer.add_layer(points_layer(found(20), MovieLayer(movie), name="other"))
    widget.points.value = other
    second = rendered(qtbot, widget)
    assert second is not first
    assert [layer.name for layer in viewer.layers[-4:]] == [first.name, "found", second.name, "other"]
    widget.colormap.value = "gray"
    assert (first.colormap.name, second.colormap.name) == ("inferno", "gray")
    widget.points.value = points
    assert widget.colormap.value == "inferno"


def test_a_later_widget_finds_the_image_again(make_widget, qtbot, viewer, points):
    widget = make_widget()
    image = rendered(qtbot, widget)
    viewer.window.remove_dock_widget(widget)
    again = make_widget()
    assert again.image is image
    set_threshold(points, 0.9)
    settle(qtbot, again)
    assert image.metadata[KEY].provenance["threshold"] == 0.9


# -- what is chosen -----------------------------------------------------------------------------------------------


def test_a_result_is_chosen_rather_than_the_truth_also_where_it_comes_later(make_widget, viewer, movie):
    on = MovieLayer(movie)
    given = Localizations({"frame": [0], "y": [1.0], "x": [2.0]}, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE)
    truth = viewer.add_layer(points_layer(given, on, name="truth"))
    widget = make_widget()
    assert widget.points.value is truth
    result = viewer.add_layer(points_layer(found(), on, name="found"))
    assert widget.points.value is result
    result.name = "renamed"
    assert widget.points.value is result
    assert widget.points.current_choice == "renamed"


def test_what_was_chosen_by_hand_stays(make_widget, viewer, movie):
    on = MovieLayer(movie)
    given = Localizations({"frame": [0], "y": [1.0], "x": [2.0]}, pixel_size_nm=PIXEL_NM, frame_shape=SHAPE)
    truth = viewer.add_layer(points_layer(given, on, name="truth"))
    widget = make_widget()
    widget.points.native.activated.emit(0)
    viewer.add_layer(points_layer(found(), on, name="found"))
    assert widget.points.value is truth


def test_sigma_is_for_gaussians(make_widget, points):
    widget = make_widget()
    assert widget.sigma_nm.native.text() == "auto"
    widget.method.value = "histogram"
    assert not widget.sigma_nm.enabled
    assert widget.settings["sigma_nm"] is None


# -- files --------------------------------------------------------------------------------------------------------


def test_the_image_is_saved_with_its_pixel_size_and_provenance(make_widget, qtbot, points, tmp_path, monkeypatch):
    widget = make_widget()
    image = rendered(qtbot, widget)
    path = tmp_path / "image.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    widget.ask_and_save()
    qtbot.waitUntil(lambda: "Saved" in widget.status.text(), timeout=5000)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), image.data)
        metadata = tifffile.xml2dict(file.ome_metadata)["OME"]
    assert float(metadata["Image"]["Pixels"]["PhysicalSizeX"]) == 10.0
    values = {entry["K"]: entry["value"] for entry in metadata["StructuredAnnotations"]["MapAnnotation"]["Value"]["M"]}
    assert json.loads(values["render"])["points"] == 58


def test_a_name_without_suffix_does_not_replace_a_file_that_the_user_was_not_asked_about(
    make_widget, qtbot, points, tmp_path, shown
):
    widget = make_widget()
    rendered(qtbot, widget)
    path = tmp_path / "image.tif"
    path.write_bytes(b"mine")
    widget.save(tmp_path / "image")
    assert "exists already" in shown()[0][1]
    assert path.read_bytes() == b"mine"
    widget.save(tmp_path / "missing" / "image.tif")
    qtbot.waitUntil(lambda: len(shown()) == 2, timeout=5000)
    assert "does not exist" in shown()[1][1]


def test_there_is_nothing_to_save_before_it_is_rendered(make_widget, points, shown):
    widget = make_widget()
    widget.ask_and_save()
    assert shown() == [("ERROR", "found: no image of these points was rendered")]


# -- refusals -----------------------------------------------------------------------------------------------------


def refused(qtbot, viewer, widget, shown):
    """Click, and return the one thing that the user was told; the layers stay as they were."""
    before = list(viewer.layers)
    widget.render_now()
    settle(qtbot, widget)
    assert list(viewer.layers) == before
    [(severity, message)] = shown()
    assert severity == "ERROR"
    return message


def test_no_points_layer_is_refused(make_widget, qtbot, viewer, movie, shown):
    assert "no points layer to render" in refused(qtbot, viewer, make_widget(), shown)


def test_an_empty_layer_is_refused(make_widget, qtbot, viewer, movie, shown):
    viewer.add_points(name="empty", ndim=3, units=movie.units)
    assert refused(qtbot, viewer, make_widget(), shown) == "empty: there are no points to render"


def test_tiny_pixels_are_refused_before_they_fill_the_memory(make_widget, qtbot, viewer, points, shown):
    widget = make_widget()
    widget.pixel_size_nm.value = 0.01
    message = refused(qtbot, viewer, widget, shown)
    assert "GiB" in message
    assert "choose larger pixels" in message


def test_an_unknown_pixel_size_is_refused_and_says_where_to_set_it(make_widget, qtbot, viewer, shown):
    movie = viewer.add_image(MOVIE)
    table = found(pixel_size_nm=None)
    viewer.add_layer(points_layer(table, MovieLayer(movie), name="found"))
    assert "set it with Load" in refused(qtbot, viewer, make_widget(), shown)


def test_an_unknown_shape_of_the_frames_is_refused(make_widget, qtbot, viewer, shown):
    viewer.add_layer(points_layer(found(frame_shape=None), name="found"))
    assert "the shape of the frames is not known" in refused(qtbot, viewer, make_widget(), shown)


def test_points_between_frames_are_refused(make_widget, qtbot, viewer, points, shown):
    points.data = np.add(points.data, [0.5, 0, 0])
    assert "frame numbers must be whole" in refused(qtbot, viewer, make_widget(), shown)


# -- the end ------------------------------------------------------------------------------------------------------


def test_closing_the_dock_during_a_render_leaves_no_thread_and_no_image(
    make_widget, qtbot, viewer, points, monkeypatch
):
    gate, begun = threading.Event(), threading.Event()
    monkeypatch.setattr(module, "render", behind(gate, begun))
    widget = make_widget()
    widget.render_now()
    widget.render_now()  # waits, and is forgotten
    begun.wait(5)
    viewer.window.remove_dock_widget(widget)
    gate.set()
    qtbot.waitUntil(lambda: not Work.running and widget not in Panel.undeleted.values(), timeout=5000)
    assert not [layer for layer in viewer.layers if isinstance(layer.metadata.get(KEY), RenderingNotes)]
    set_threshold(points, 0.5)


def test_cancel_leaves_the_image_as_it_is(make_widget, qtbot, points, monkeypatch):
    widget = make_widget()
    image = rendered(qtbot, widget)
    before = image.data
    gate = threading.Event()
    monkeypatch.setattr(module, "render", behind(gate))
    widget.pixel_size_nm.value = 20.0
    widget.render_now()
    qtbot.waitUntil(lambda: not widget.progress.isHidden(), timeout=5000)
    widget.progress.cancel.click()
    gate.set()
    settle(qtbot, widget)
    assert image.data is before
    assert widget.progress.isHidden()


def test_a_widget_that_is_gone_follows_no_threshold(make_widget, qtbot, viewer, points):
    widget = make_widget()
    rendered(qtbot, widget)
    viewer.window.remove_dock_widget(widget)
    reference = weakref.ref(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(50)
    set_threshold(points, 0.5)
    viewer.add_points(name="another", ndim=3)
    assert reference() is None or reference()._links._made == []
