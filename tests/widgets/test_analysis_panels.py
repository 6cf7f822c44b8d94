"""*Drift*, *Link* and *Resolution* in a real viewer: their numbers are the library's, and every refusal is in place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Layer, Points
from qtpy.QtWidgets import QInputDialog

from napari_subpixel import formats
from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.resolution import resolution
from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.reports.charts import Bars, Chart, Line, Mark
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.controls.chart_view import ChartView
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE
from napari_subpixel.widgets.controls.render_form import WHOLE_FIELD
from napari_subpixel.widgets.controls.words import contrast
from napari_subpixel.widgets.drift import PICKED, CorrectDrift
from napari_subpixel.widgets.layers.drifted import DriftSource
from napari_subpixel.widgets.layers.filtering import set_filter
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer, set_threshold, table_of
from napari_subpixel.widgets.link import LinkMolecules
from napari_subpixel.widgets.render import RenderSuperResolution
from napari_subpixel.widgets.resolution import MeasureResolution
from napari_subpixel.widgets.writers import write_csv

SHAPE = (40, 56)
N_FRAMES = 400
PIXEL_NM = 100.0
SIGMA_PX = 0.08
#: Where beads are at first, y and x in pixels.
BEADS = np.array([[8.0, 12.0], [30.0, 41.0]])


def drift_px(frame):
    """How far the sample moved, y and x."""
    return np.column_stack([0.4 * np.sin(frame / 150), frame / 800])


def drifting(**about):
    """Sites that blink for two frames, many times in a movie, and two beads, all of which drift."""
    rng = np.random.default_rng(3)
    sites = rng.uniform(3, np.array(SHAPE) - 4, (80, 2))
    start = np.sort(rng.integers(0, N_FRAMES - 2, 1800))
    site = rng.integers(0, len(sites), len(start))
    frame = np.concatenate([start, start + 1, *[np.arange(N_FRAMES)] * len(BEADS)])
    place = np.concatenate([sites[site], sites[site], *(np.tile(bead, (N_FRAMES, 1)) for bead in BEADS)])
    place = place + drift_px(frame) + rng.normal(0, SIGMA_PX, place.shape)
    order = np.argsort(frame, kind="stable")
    columns = {
        "frame": frame[order],
        "y": place[order, 0],
        "x": place[order, 1],
        "probability": np.linspace(0.3, 1, len(frame)),
        "photons": np.full(len(frame), 800.0),
        "y_uncertainty": np.full(len(frame), SIGMA_PX),
        "x_uncertainty": np.full(len(frame), SIGMA_PX),
    }
    known = {"pixel_size_nm": PIXEL_NM, "frame_shape": SHAPE, "n_frames": N_FRAMES, "provenance": {"movie": "m.tif"}}
    return Localizations(columns, **{**known, **about})


TABLE = drifting()


@pytest.fixture
def movie(viewer):
    frames = np.broadcast_to(np.zeros(SHAPE, np.uint16), (N_FRAMES, *SHAPE))
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames), Camera(pixel_size_nm=PIXEL_NM))))


@pytest.fixture
def points(viewer, movie):
    return viewer.add_layer(points_layer(TABLE, MovieLayer(movie), name="found"))


@pytest.fixture
def dock(viewer):
    def make(panel, name):
        widget = panel(viewer)
        viewer.window.add_dock_widget(widget, name=name)
        return widget

    return make


def done(qtbot, widget):
    """Wait until no work is under way."""
    works = [widget.latest, *(getattr(widget, name) for name in ("images", "comparison") if hasattr(widget, name))]
    qtbot.waitUntil(lambda: all(work.request is None for work in works), timeout=30_000)


def acted(qtbot, widget):
    widget.act()
    done(qtbot, widget)


# -- drift --------------------------------------------------------------------------------------------------------


def test_drift_is_subtracted_with_its_image_and_taken_back_to_the_bit(dock, qtbot, viewer, points, tmp_path):
    rendering = dock(RenderSuperResolution, "Render")
    rendering.extent.value = WHOLE_FIELD
    rendering.render_now()
    done(qtbot, rendering)
    image = rendering.image
    blurred = np.array(image.data)
    set_threshold(points, 0.5)  # hidden points move, too
    set_filter(points, Filter.of("photons > 1"))  # evaluated again when they move
    widget = dock(CorrectDrift, "Drift")
    assert not widget.apply_button.isEnabled()
    assert not widget.back_button.isEnabled()
    acted(qtbot, widget)
    curve = estimate_drift(TABLE.above(0.5))
    np.testing.assert_allclose(widget.curve.y_nm, curve.y_nm)
    assert f"error {curve.rms_error_nm:.2f} nm RMS" in widget.summary.text()
    assert widget.summary.text().startswith("found: Drift over")
    line = widget.plot.chart.parts[0]
    assert len(line.y) == N_FRAMES
    assert np.all(line.low < line.high)

    before = np.array(points.data)
    assert widget.apply_button.isEnabled()
    widget.apply()
    done(qtbot, widget)
    corrected = table_of(points, shown_only=False)
    np.testing.assert_allclose(corrected.y, TABLE.y - curve.y_nm[TABLE.frame] / PIXEL_NM)
    assert corrected.provenance["drift"]["method"] == "molecules"
    assert points.shown.sum() == (TABLE["probability"] >= 0.5).sum()
    assert not np.array_equal(image.data, blurred)
    assert widget.outdated.current
    assert not widget.apply_button.isEnabled()
    write_csv(str(tmp_path / "corrected.csv"), *points.as_layer_data_tuple()[:2])
    assert "x_drift_nm" in formats.read(tmp_path / "corrected.csv")
    widget.save(tmp_path / "trace.csv")
    np.testing.assert_allclose(DriftCurve.read(tmp_path / "trace.csv").x_nm, curve.x_nm, atol=1e-4)

    widget.take_back()
    done(qtbot, widget)
    assert np.array_equal(points.data, before)
    assert "drift" not in table_of(points).provenance
    assert "x_drift_nm" not in table_of(points)
    assert widget.apply_button.isEnabled()


def test_an_image_of_what_is_in_view_follows_as_well(dock, qtbot, points):
    rendering = dock(RenderSuperResolution, "Render")
    rendering.render_now()
    image = rendering.view_image
    qtbot.waitUntil(lambda: not image.drawing.is_drawing, timeout=10_000)
    before = np.array(image.data)
    widget = dock(CorrectDrift, "Drift")
    widget.curve = DriftCurve(*(np.full(N_FRAMES, 150.0) for _ in range(4)))
    widget.apply()
    done(qtbot, widget)
    qtbot.waitUntil(lambda: not image.drawing.is_drawing, timeout=10_000)
    assert not np.array_equal(image.data, before)
    widget.take_back()
    qtbot.waitUntil(lambda: not image.drawing.is_drawing, timeout=10_000)
    np.testing.assert_allclose(image.data, before, rtol=1e-4, atol=1e-6)


def test_before_and_after_are_two_images_that_leave_no_trace(dock, qtbot, viewer, points, movie):
    widget = dock(CorrectDrift, "Drift")
    n_frames = np.arange(N_FRAMES)
    y, x = PIXEL_NM * drift_px(n_frames).T
    widget.curve = DriftCurve(x, y, np.ones(N_FRAMES), np.ones(N_FRAMES))
    widget._allow()
    widget.compare.value = True
    done(qtbot, widget)
    before, after = (next(layer for layer in viewer.layers if when in layer.name) for when in ("before", "after"))
    assert after.data.max() > 1.3 * before.data.max()  # sites are sharper
    assert after.data.sum() == pytest.approx(before.data.sum(), rel=1e-3)
    assert not points.visible
    widget.compare.value = False
    assert list(viewer.layers) == [movie, points]
    assert points.visible
    widget.compare.value = True
    done(qtbot, widget)
    viewer.layers.remove(points)
    assert widget.compare.enabled
    widget.compare.value = False
    assert list(viewer.layers) == [movie]
    assert movie.visible
    assert not widget.compare.enabled


def test_a_curve_is_subtracted_only_from_points_of_its_movie(dock, viewer, points):
    widget = dock(CorrectDrift, "Drift")
    widget.curve = DriftCurve(*(np.full(N_FRAMES, 50.0) for _ in range(4)))
    widget._curve_of = DriftSource.of(points)
    other = viewer.add_layer(points_layer(drifting(provenance={"movie": "other.tif"}), name="other"))
    same = viewer.add_layer(points_layer(TABLE, name="opened"))
    for layer, moves in ((other, False), (same, True), (points, True)):
        widget.points.value = layer
        widget.apply()
        assert np.allclose(layer.data[:, -2:], TABLE.yx) != moves
        assert ("the drift was estimated from found" in widget.refusal.words.text()) != moves
        assert ("drift of found subtracted" in widget.status.text()) == (layer is same)
    widget.points.value = other
    widget.compare.value = True
    assert not widget.compare.value
    assert "estimate it from other" in widget.refusal.words.text()


def test_picked_fiducials_give_the_curve_whatever_layer_they_are_picked_in(dock, qtbot, viewer, points):
    widget = dock(CorrectDrift, "Drift")
    widget.source.value = PICKED
    acted(qtbot, widget)
    assert "no layer to pick fiducials in" in widget.refusal.words.text()
    widget.refusal.button.click()
    picks = widget.picks.value
    assert picks is viewer.layers["fiducials"]
    acted(qtbot, widget)
    assert "no fiducial is picked" in widget.refusal.words.text()
    picks.data = BEADS
    shapes = viewer.add_shapes(
        [[bead - 1, bead + 1] for bead in BEADS * PIXEL_NM], shape_type="rectangle", units=("nm", "nm")
    )
    true_nm = PIXEL_NM * drift_px(np.arange(N_FRAMES))
    for layer in (picks, shapes):
        widget.picks.value = layer
        acted(qtbot, widget)
        assert "by 2 fiducials" in widget.summary.text()
        off = widget.curve.x_nm - true_nm[:, 1]
        assert np.std(off) < 4


def test_drift_of_an_opened_table_is_taken_back_without_an_estimate(dock, viewer):
    flat = DriftCurve(*(np.full(N_FRAMES, 50.0) for _ in range(4)))
    layer = viewer.add_layer(points_layer(flat.correct(TABLE), name="opened"))
    widget = dock(CorrectDrift, "Drift")
    assert widget.back_button.isEnabled()
    widget.take_back()
    np.testing.assert_allclose(table_of(layer).yx, TABLE.yx, atol=1e-9)
    assert not widget.back_button.isEnabled()


# -- link ---------------------------------------------------------------------------------------------------------


def test_linked_molecules_are_a_layer_of_their_own(dock, qtbot, viewer, points, tmp_path):
    widget = dock(LinkMolecules, "Link")
    widget.dark_frames.setValue(1)
    acted(qtbot, widget)
    expected = link(TABLE, max_dark_frames=1)
    layer = viewer.layers[-1]
    molecules = table_of(layer)
    assert layer.name == "found, linked"
    assert not points.visible
    np.testing.assert_array_equal(molecules["n_frames"], expected.molecules["n_frames"])
    assert molecules.provenance["link"]["max_dark_frames"] == 1
    n_beads = int(expected.is_bead.sum())
    said = f"{len(TABLE):,} points of found are {len(expected.molecules) - n_beads:,} molecules and {n_beads} of beads"
    assert said in widget.summary.text()
    assert "rate" in widget.summary.text()
    assert sum(widget.on.chart.parts[0].counts) > 0.9 * len(expected.molecules)
    assert widget.off.isVisibleTo(widget)
    widget.save(tmp_path / "times")
    assert len((tmp_path / "times.csv").read_text().splitlines()) == len(expected.molecules) - n_beads + 1
    widget.dark_frames.setValue(2)
    assert "the settings above changed. Link again." in widget.outdated.text()


def test_without_uncertainties_a_distance_is_asked_for(dock, qtbot, viewer):
    few = Localizations({"frame": [0, 5, 9], "y": [1, 1, 8], "x": [1, 1, 8]}, pixel_size_nm=100, frame_shape=SHAPE)
    viewer.add_layer(points_layer(few, name="few"))
    widget = dock(LinkMolecules, "Link")
    acted(qtbot, widget)
    assert "Largest distance" in widget.refusal.words.text()
    assert widget.refusal.button.isVisibleTo(widget)
    widget.distance_nm.setValue(50)
    acted(qtbot, widget)
    assert "no uncertainties" in widget.warnings.text()
    assert not widget.refusal.isVisibleTo(widget)


# -- resolution ---------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_library(dock, qtbot, points, tmp_path):
    widget = dock(MeasureResolution, "Resolution")
    acted(qtbot, widget)
    expected = resolution(TABLE)
    cells = [widget.table.text().splitlines()[row].split("\t") for row in range(1, 7)]
    assert cells[0][0] == "NeNA [nm]"
    assert float(cells[0][1]) == pytest.approx(expected.nena.nena_nm, rel=1e-2)
    assert float(cells[0][2]) == pytest.approx(expected.nena.nena_error_nm, rel=0.1)
    assert widget.nena.isVisibleTo(widget)
    for warning in expected.warnings:
        assert warning in widget.warnings.text()
    widget.save(tmp_path / "numbers")
    saved = json.loads((tmp_path / "numbers.json").read_text())
    assert saved["nena_nm"] == expected.nena.nena_nm
    assert saved["provenance"]["movie"] == "m.tif"
    set_threshold(points, 0.9)
    assert "Measure again" in widget.outdated.text()
    assert not widget.save_button.isEnabled()


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("panel", [CorrectDrift, LinkMolecules, MeasureResolution])
def test_cancelled_work_shows_nothing(dock, qtbot, viewer, points, panel):
    widget = dock(panel, "Panel")
    before = list(viewer.layers)
    widget.act()
    widget.progress.cancel.click()
    done(qtbot, widget)
    assert not widget.results.isVisibleTo(widget)
    assert list(viewer.layers) == before
    assert widget.button.isEnabled()


def test_too_few_molecules_are_refused_under_the_button(dock, qtbot, viewer):
    viewer.add_layer(points_layer(TABLE.select(np.arange(0, len(TABLE), 200)), name="few"))
    widget = dock(CorrectDrift, "Drift")
    acted(qtbot, widget)
    assert "too few" in widget.refusal.words.text()
    assert widget.curve is None


@pytest.mark.parametrize("panel", [CorrectDrift, LinkMolecules, MeasureResolution])
def test_nothing_to_work_on_is_refused_under_the_button(dock, viewer, panel):
    widget = dock(panel, "Panel")
    widget.act()
    assert "there is no points layer to" in widget.refusal.words.text()
    layer = viewer.add_layer(points_layer(Localizations.empty(["frame", "y", "x", "probability"]), name="empty"))
    widget.act()
    assert "there are no points to" in widget.refusal.words.text()
    assert not widget.results.isVisibleTo(widget)
    viewer.layers.remove(layer)


def test_a_missing_pixel_size_is_asked_for_also_without_the_movie(dock, qtbot, viewer, monkeypatch):
    layer = viewer.add_layer(points_layer(TABLE.with_about(pixel_size_nm=None), name="in pixels"))
    monkeypatch.setattr(QInputDialog, "getDouble", lambda *_: (PIXEL_NM, True))
    widget = dock(MeasureResolution, "Resolution")
    acted(qtbot, widget)
    assert "pixel size of the camera is not known" in widget.refusal.words.text()
    assert widget.refusal.button.text() == SET_PIXEL_SIZE
    widget.refusal.button.click()
    done(qtbot, widget)
    assert table_of(layer).pixel_size_nm == PIXEL_NM
    assert widget.results.isVisibleTo(widget)


def test_points_of_another_program_are_corrected_as_well(dock, viewer, movie):
    labels = {"label": np.array(["a", "b"])[TABLE.frame % 2], "photons": TABLE["photons"]}
    place = np.column_stack([TABLE.frame, TABLE.yx])
    layer = Points(place, features=labels, scale=movie.scale, units=movie.units, name="theirs")
    viewer.add_layer(layer)
    set_filter(layer, Filter.of("x < 20 px"))
    widget = dock(CorrectDrift, "Drift")
    widget.curve = DriftCurve(*(np.full(N_FRAMES, 50.0) for _ in range(4)))
    widget.apply()
    np.testing.assert_allclose(layer.data[:, 1:], TABLE.yx - 0.5)
    assert np.array_equal(layer.shown, layer.data[:, 2] < 20)
    widget.take_back()
    np.testing.assert_allclose(layer.data[:, 1:], TABLE.yx)
    assert np.array_equal(layer.shown, layer.data[:, 2] < 20)
    assert list(layer.features) == ["label", "photons"]
    assert np.array_equal(layer.features["label"], labels["label"])


# -- plots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_plot_is_drawn_in_colours_that_are_legible(viewer, theme):
    viewer.theme = theme
    chart = Chart("title", "x", "y", [Bars([0, 1, 2], [3, 4]), Line([0, 2], [1, 4], label="l"), Mark(1.0, "m")])
    view = ChartView()
    viewer.window.add_dock_widget(view, name="plot")
    view.show_chart(chart)
    view.resize(300, 210)
    picture = view.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(0, picture.width(), 2) for y in range(picture.height())}
    background = picture.pixelColor(picture.width() - 1, picture.height() - 1).name()
    assert max(contrast(colour, background) for colour in colours) > 7
    view.show_chart(None)
    assert not view.isVisibleTo(view.parentWidget())
    viewer.theme = "dark"
