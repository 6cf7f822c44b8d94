"""The widget *Detect* in a real viewer: preview, run, cancel, other layers, closing."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog
from scipy.ndimage import gaussian_filter

from napari_subpixel import formats, models
from napari_subpixel.camera import Camera
from napari_subpixel.cli.demo import demo_simulation
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs import live
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background import detection, detector_cache, following, growing_result
from napari_subpixel.widgets.background.growing_result import GrowingResult
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import table_of

SHAPE, N_FRAMES = (32, 44), 24
#: Frames of a chunk in these tests, so that a run has several.
CHUNK_FRAMES = 4


@pytest.fixture(scope="module")
def simulated():
    settings = replace(demo_simulation(), frame_shape=SHAPE, n_frames=N_FRAMES, emitters_per_frame=30.0)
    return simulate(settings, np.random.default_rng(3))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(detection, "CHUNK_PIXELS", CHUNK_FRAMES * SHAPE[0] * SHAPE[1])


@pytest.fixture
def movie(viewer, simulated):
    camera = Camera(pixel_size_nm=100)
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(simulated[0], name="tubes"), camera)))


@pytest.fixture
def widget(viewer, movie, qtbot):
    widget = DetectMolecules(viewer)
    widget.form.model.value = "paper"  # fast, and asks nothing of the microscope
    viewer.window.add_dock_widget(widget, name="Detect")
    qtbot.waitUntil(lambda: widget.device_text.text().startswith("Runs on"), timeout=20_000)
    return widget


class SlowMovie:
    """A movie whose frames take their time; it can also hold bad ones."""

    ndim, dtype = 3, np.dtype(np.float32)

    def __init__(self, frames, *, seconds=0.02, bad=None):
        self.frames, self.seconds, self.shape, self.bad = frames, seconds, frames.shape, bad

    def __getitem__(self, key):
        time.sleep(self.seconds)
        part = self.frames[key].astype(np.float32)
        if self.bad is not None and self.bad in range(self.shape[0])[key[0]]:
            part[-1] = np.nan
        return part


class GatedMovie(SlowMovie):
    """A movie whose later frames cannot be read while it is not opened."""

    first_gated = 12

    def __init__(self, frames):
        super().__init__(frames, seconds=0.0)
        self.opened = threading.Event()
        self.opened.set()

    def __getitem__(self, key):
        if key[0].start >= self.first_gated:
            assert self.opened.wait(30)
        return super().__getitem__(key)


def slow_layer(viewer, frames, name="slow", **options):
    slow = SlowMovie(frames, **options)
    data = da.from_array(slow, chunks=(1, *frames.shape[1:]), name=name, meta=np.empty((0, 0, 0), slow.dtype))
    return viewer.add_image(data, name=name, contrast_limits=(0, 1000))


def finished(qtbot, widget):
    qtbot.waitUntil(lambda: widget._run is None and not Work.running, timeout=30_000)


def movie_camera(widget):
    return MovieLayer(widget.movie.value).camera


def results(viewer):
    return [layer for layer in viewer.layers if "localizations" in layer.name]


def expected(movie, threshold, **options):
    job = DetectionJob(open_stack(movie), Detector("paper", threshold=threshold), **options)
    return detect_all(job)


def test_a_run_gives_the_points_of_the_command_line(viewer, widget, simulated, qtbot):
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    assert layer.name == "tubes localizations, paper"
    found, same = table_of(layer), expected(simulated[0], 0.1)
    assert len(found) == len(same) > 300
    np.testing.assert_array_equal(found.frame, same.frame)
    np.testing.assert_allclose(found.yx, same.yx, atol=1e-3)
    assert found.pixel_size_nm == 100
    assert found.provenance["threshold"] == pytest.approx(0.1)
    assert "frames/s" in widget.status.text()


def test_the_default_model_estimates_the_microscope_once_and_says_so(viewer, widget, simulated, qtbot):
    widget.form.model.value = models.DEFAULT
    widget.preview.value = True
    qtbot.waitUntil(lambda: "in frame" in widget.preview_text.text(), timeout=30_000)
    widget.preview.value = False
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    found = table_of(layer)
    same = detect_all(
        job_for(open_stack(simulated[0]), Detector(threshold=0.2), DetectionOptions(Camera(pixel_size_nm=100)))
    )
    same = same.select(same["probability"] >= widget.form.card.threshold)
    np.testing.assert_array_equal(found.frame, same.frame)
    np.testing.assert_allclose(found.yx, same.yx, atol=1e-3)
    assert {"photons", "background", "y_uncertainty", "x_uncertainty", "probability"} <= set(found.columns)
    assert found.provenance["molecule_photons"] == same.provenance["molecule_photons"] > 0
    rows = [line.split("\t") for line in widget.microscope.table.text().splitlines()[1:]]
    assert {name: source for name, _, source in rows} == dict.fromkeys(
        ("Baseline", "Gain", "PSF sigma", "Molecule"), "the movie"
    )
    widget.microscope.use_button.click()
    assert movie_camera(widget).baseline == pytest.approx(same.provenance["camera"]["baseline"])
    assert movie_camera(widget).pixel_size_nm == 100
    assert widget.microscope.use_button.isHidden()


def test_a_movie_outside_the_domain_brings_a_warning(viewer, widget, simulated, qtbot):
    """Blurred to twice the width that the model knows."""
    wide = gaussian_filter(simulated[0].astype(float), (0, 3.2, 3.2)) * 20
    wide = np.random.default_rng(0).poisson(wide).astype(np.uint16)
    data = da.from_array(wide, chunks=(1, *wide.shape[1:]))
    widget.movie.value = viewer.add_image(data, name="wide")
    widget.form.model.value = models.DEFAULT
    widget.run()
    finished(qtbot, widget)
    assert "outside what the model default was trained on: PSF: sigma" in widget.status.text()
    assert any("PSF: sigma" in warning for warning in table_of(results(viewer)[0]).provenance["warnings"])


def test_points_lie_on_their_molecules(viewer, widget, movie, simulated, qtbot):
    """In the world of the viewer, the mean of localization minus molecule is nothing against a pixel of 100 nm."""
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    found = np.array([movie.world_to_data(layer.data_to_world(place)) for place in layer.data[layer.shown]])
    table = Localizations({"frame": found[:, 0], "y": found[:, 1], "x": found[:, 2]}, pixel_size_nm=100)
    (score,) = evaluate(table, simulated[1], 50)
    assert score.recall > 0.6
    assert np.hypot(*score.mean_offset_nm) < 3


def test_points_lie_on_a_movie_of_five_axes_that_somebody_else_opened_turned_and_in_micrometres(
    viewer, widget, simulated, qtbot
):
    where = {
        "scale": (1, 1, 1, 0.1, 0.1),
        "translate": (0, 0, 0, 3, 5),
        "rotate": 20,
        "units": (*["pixel"] * 3, "um", "um"),
    }
    other = viewer.add_image(simulated[0][:, None, None], name="five", **where)
    widget.movie.value = other
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    table, same = table_of(layer), expected(simulated[0], 0.1)
    assert table.pixel_size_nm == pytest.approx(100)
    np.testing.assert_allclose(table.yx, same.yx, atol=1e-3)
    corner = other.data_to_world((7, 0, 0, same.y[3], same.x[3]))
    assert layer.world_to_data(corner)[-2:] == pytest.approx((same.y[3], same.x[3]), abs=0.01)


def test_the_threshold_acts_on_a_result_without_detecting_again(viewer, widget, simulated, qtbot):
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    for threshold in (0.4, 0.06):
        widget.threshold.setValue(threshold)
        n = len(expected(simulated[0], threshold))
        words = f"{n:,} localizations"
        qtbot.waitUntil(lambda n=n, words=words: len(table_of(layer)) == n and words in widget.status.text())
    assert not Work.running


def test_a_threshold_moved_during_the_run_counts(viewer, widget, simulated, qtbot):
    widget.movie.value = slow_layer(viewer, simulated[0])
    widget.run()
    widget.threshold.setValue(0.5)
    finished(qtbot, widget)
    (layer,) = results(viewer)
    assert table_of(layer)["probability"].min() >= 0.5
    assert len(table_of(layer)) == len(expected(simulated[0], 0.5))


def test_a_threshold_below_what_was_kept_is_not_claimed(viewer, widget, simulated, qtbot):
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    widget.threshold.setValue(0.02)
    qtbot.waitUntil(lambda: "Points below 0.05 were not kept" in widget.status.text())
    assert table_of(layer).provenance["threshold"] == 0.05


def test_a_threshold_for_another_movie_leaves_the_run_alone(viewer, widget, simulated, qtbot):
    slow = slow_layer(viewer, simulated[0])
    other = viewer.add_image(simulated[0][:3], name="other")
    widget.movie.value = slow
    widget.run()
    widget.movie.value = other
    widget.threshold.setValue(0.8)
    qtbot.wait(100)
    finished(qtbot, widget)
    (layer,) = results(viewer)
    assert len(table_of(layer)) == len(expected(simulated[0], 0.1))


def test_the_slider_is_set_to_the_threshold_of_the_result(viewer, widget, movie, qtbot):
    widget.run()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    widget.threshold.setValue(0.45)
    qtbot.waitUntil(lambda: table_of(layer)["probability"].min() >= 0.45)
    second = DetectMolecules(viewer)
    second.form.model.value = "paper"
    viewer.window.add_dock_widget(second, name="second")
    assert second.threshold.value() == pytest.approx(0.45)
    second.threshold.setValue(0.3)
    qtbot.waitUntil(lambda: widget.threshold.value() == pytest.approx(0.3))
    qtbot.waitUntil(lambda: not Work.running)


def test_a_run_of_one_frame_of_a_movie_of_four_axes_keeps_its_frame(viewer, widget, simulated, qtbot):
    widget.movie.value = viewer.add_image(simulated[0][:, None], name="four")
    widget.first.setValue(4)
    widget.last.setValue(4)
    widget.run()
    finished(qtbot, widget)
    assert set(table_of(results(viewer)[0]).frame) == {4}


@pytest.mark.parametrize("name", ["table.csv", "table.hdf5", "table.parquet"])
def test_the_table_that_is_shown_can_be_saved(viewer, widget, simulated, qtbot, tmp_path, monkeypatch, name):
    assert not widget.save_button.isEnabled()
    widget.run()
    finished(qtbot, widget)
    widget.threshold.setValue(0.4)
    same = expected(simulated[0], 0.4)
    qtbot.waitUntil(lambda: widget.status.text().startswith(f"{len(same):,} localizations"))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / name), ""))
    widget.save_button.click()
    qtbot.waitUntil(lambda: widget.status.text() == f"Saved {name}.")
    back = formats.read(tmp_path / name)
    np.testing.assert_allclose(back.yx, same.yx, atol=1e-3)
    qtbot.waitUntil(lambda: not Work.running)


def test_what_was_said_of_a_run_goes_with_its_movie(viewer, widget, movie, qtbot):
    widget.run()
    finished(qtbot, widget)
    assert "localizations" in widget.status.text()
    widget.movie.value = viewer.add_image(np.zeros((3, 20, 30)), name="other")
    assert widget.status.text() == ""
    assert not widget.save_button.isEnabled()
    widget.movie.value = movie
    assert widget.save_button.isEnabled()


def test_some_frames_and_a_rectangle(viewer, widget, movie, simulated, qtbot):
    corners = np.array([[4.2, 10.0], [4.2, 29.7], [19.9, 29.7], [19.9, 10.0]])
    shapes = viewer.add_shapes([corners], shape_type="rectangle", scale=(100, 100), units=("nm", "nm"))
    widget.first.setValue(5)
    widget.last.setValue(12)
    widget.region.value = shapes
    assert widget.run_button.text() == "Detect in 8 frames"
    widget.run()
    finished(qtbot, widget)
    same = expected(simulated[0], 0.1, frames=(5, 13), roi=((4, 21), (10, 31)))
    found = table_of(results(viewer)[0])
    np.testing.assert_array_equal(found.frame, same.frame)
    np.testing.assert_allclose(found.yx, same.yx, atol=1e-3)


def test_what_never_moves_is_named_with_the_choice_that_leaves_it_out(viewer, widget, qtbot):
    sparse = replace(demo_simulation(), frame_shape=SHAPE, n_frames=N_FRAMES, emitters_per_frame=5.0)
    frames, _ = simulate(sparse, np.random.default_rng(4))
    spot = np.zeros(SHAPE)
    spot[16, 22] = 1
    with_bead = (frames + 3_000 * gaussian_filter(spot, 1.3)).astype(frames.dtype)
    widget.movie.value = viewer.add_image(with_bead, name="with a bead")
    widget.run()
    finished(qtbot, widget)
    choice = widget.part.no_static
    assert "never move: most frames have one at y 16, x 22" in widget.status.text()
    assert f"tick '{choice.text()}'" in widget.status.text()
    choice.click()
    assert widget.command_line().flags["drop_static"]
    widget.run()
    finished(qtbot, widget)
    (without, with_it) = results(viewer)[::-1]
    n_at_bead = [np.count_nonzero(np.hypot(*(table_of(layer).yx - (16, 22)).T) < 1) for layer in (with_it, without)]
    assert n_at_bead[0] >= N_FRAMES
    assert n_at_bead[1] == 0


def test_a_cancelled_run_keeps_what_was_found_and_says_so(viewer, widget, simulated, qtbot):
    widget.movie.value = slow_layer(viewer, simulated[0], seconds=0.15)
    widget.run()
    qtbot.waitUntil(lambda: widget.progress.bar.value() > 0, timeout=20_000)
    widget.progress.cancel.click()
    finished(qtbot, widget)
    (layer,) = results(viewer)
    done = table_of(layer).provenance["frames"][1]
    assert 0 < done < N_FRAMES
    assert layer.name == f"slow localizations, paper (partial: frames 0 to {done - 1})"
    assert table_of(layer).frame.max() == done - 1
    assert widget.status.text().startswith("Stopped")
    assert widget.run_button.isEnabled()


def test_molecules_grow_while_the_run_goes_on(viewer, widget, simulated, qtbot, monkeypatch):
    monkeypatch.setattr(growing_result, "PAUSE_S", 0.0)
    monkeypatch.setattr(growing_result, "PAUSE_SHARE", 0.0)
    gated = GatedMovie(simulated[0])
    data = da.from_array(gated, chunks=(1, *SHAPE), name="gated", meta=np.empty((0, 0, 0), gated.dtype))
    widget.movie.value = viewer.add_image(data, name="gated", contrast_limits=(0, 1000))
    widget.run()
    widget._run.began.connect(lambda _: gated.opened.clear())
    qtbot.waitUntil(lambda: bool(results(viewer)), timeout=20_000)
    (layer,) = results(viewer)
    assert "(running)" in layer.name
    shown = table_of(layer)
    assert 0 < shown.frame.max() < gated.first_gated
    assert shown.provenance["frames"][1] <= gated.first_gated
    widget.threshold.setValue(0.4)
    gated.opened.set()
    finished(qtbot, widget)
    assert results(viewer) == [layer]
    assert layer.name == "gated localizations, paper"
    assert len(table_of(layer)) == len(expected(simulated[0], 0.4))


def test_a_growing_result_that_is_removed_comes_back_only_at_the_end(viewer, movie, simulated):
    result = GrowingResult(viewer, MovieLayer(movie), "running")
    whole = expected(simulated[0], 0.1)
    parts = [whole.select((whole.frame >= start) & (whole.frame < start + 8)) for start in (0, 8, 16)]
    result.add(parts[0], (0, 8), 0.1)
    viewer.layers.remove("running")
    result._next = 0.0
    result.add(parts[1], (0, 16), 0.1)
    assert list(viewer.layers) == [movie]
    result.add(parts[2], (0, 24), 0.1)
    layer = result.finish(result.table((0, 24)), "whole", 0.1)
    assert list(viewer.layers) == [movie, layer]
    assert len(table_of(layer)) == len(whole)


def test_a_growing_result_that_is_edited_stays_and_the_whole_is_another_layer(viewer, movie, simulated):
    result = GrowingResult(viewer, MovieLayer(movie), "running")
    whole = expected(simulated[0], 0.1)
    result.add(whole.select(whole.frame < 8), (0, 8), 0.1)
    edited = viewer.layers["running"]
    edited.remove([0, 1])
    n_left = len(edited.data)
    layer = result.finish(whole, "whole", 0.1)
    assert [other.name for other in viewer.layers] == [movie.name, "whole (edited)", "whole"]
    assert len(edited.data) == n_left
    assert len(layer.data) == len(whole)


def test_a_run_that_is_cancelled_at_once_adds_no_layer(viewer, widget, simulated, qtbot):
    widget.movie.value = slow_layer(viewer, simulated[0], seconds=0.1)
    widget.run()
    widget.cancel()
    finished(qtbot, widget)
    assert not results(viewer)
    assert "nothing was detected" in widget.status.text()


def test_the_result_belongs_to_the_movie_the_run_began_on(viewer, widget, simulated, qtbot):
    slow = slow_layer(viewer, simulated[0])
    other = viewer.add_image(np.zeros((3, 20, 30)), name="other", scale=(1, 7, 7))
    widget.movie.value = slow
    widget.run()
    widget.movie.value = other
    slow.name = "renamed"
    viewer.layers.selection.active = other
    finished(qtbot, widget)
    (layer,) = results(viewer)
    assert layer.name == "renamed localizations, paper"
    assert tuple(layer.scale) == tuple(slow.scale)
    assert len(table_of(layer)) == len(expected(simulated[0], 0.1))


def test_the_movies_layer_may_be_removed_during_the_run(viewer, widget, simulated, qtbot):
    slow = slow_layer(viewer, simulated[0])
    widget.movie.value = slow
    widget.run()
    viewer.layers.remove(slow)
    finished(qtbot, widget)
    assert len(table_of(results(viewer)[0])) == len(expected(simulated[0], 0.1))


def test_a_camera_set_during_the_run_moves_the_result_too(viewer, widget, simulated, qtbot):
    slow = slow_layer(viewer, simulated[0])
    widget.movie.value = slow
    widget.run()
    MovieLayer(slow).set_camera(Camera(pixel_size_nm=160), viewer.layers)
    finished(qtbot, widget)
    (layer,) = results(viewer)
    assert tuple(layer.scale) == (1, 160, 160)
    assert table_of(layer).pixel_size_nm == 160


def test_a_bad_frame_ends_the_run_in_words_and_keeps_the_frames_before(viewer, widget, simulated, qtbot, shown):
    widget.movie.value = slow_layer(viewer, simulated[0], name="broken", bad=14)
    widget.run()
    finished(qtbot, widget)
    assert any(level == "ERROR" and "frame 14 holds nan" in message for level, message in shown())
    (layer,) = results(viewer)
    assert layer.name.endswith("(partial: frames 0 to 11)")


@pytest.mark.filterwarnings("always")
def test_a_crowded_noisy_movie_is_warned_of(viewer, widget, rng, qtbot, shown):
    noise = viewer.add_image(rng.poisson(100, (8, 40, 50)).astype(np.uint16), name="noise")
    widget.movie.value = noise
    widget.threshold.setValue(0.02)
    widget.run()
    finished(qtbot, widget)
    assert any(level == "WARNING" and message.startswith("noise:") for level, message in shown())


def test_the_preview_follows_the_frame_in_view_and_the_threshold(viewer, widget, simulated, qtbot):
    viewer.dims.set_current_step(0, 3)
    widget.preview.value = True
    for frame in (3, 11):
        viewer.dims.set_current_step(0, frame)
        qtbot.waitUntil(lambda f=frame: f"in frame {f} (" in widget.preview_text.text(), timeout=20_000)
        found, same = (
            table_of(viewer.layers["preview of tubes"]),
            expected(simulated[0], 0.1, frames=(frame, frame + 1)),
        )
        np.testing.assert_array_equal(found.frame, same.frame)
        np.testing.assert_allclose(found.yx, same.yx, atol=1e-3)
    widget.threshold.setValue(0.6)
    n = len(expected(simulated[0], 0.6, frames=(11, 12)))
    qtbot.waitUntil(lambda: widget.preview_text.text().startswith(f"{n} molecules"))
    widget.preview.value = False
    assert "preview of tubes" not in viewer.layers
    qtbot.waitUntil(lambda: not Work.running)


def test_the_preview_follows_a_rectangle_that_is_moved(viewer, widget, simulated, qtbot):
    corners = np.array([[0, 0], [0, 20], [15, 20], [15, 0]])
    shapes = viewer.add_shapes([corners], shape_type="rectangle", scale=(100, 100), units=("nm", "nm"))
    widget.region.value = shapes
    widget.preview.value = True
    for move in ([0, 0], [12, 20]):
        shapes.data = [corners + move]
        roi = ((move[0], move[0] + 16), (move[1], move[1] + 21))
        frame = MovieLayer(widget.movie.value).current_frame(viewer)
        n = len(expected(simulated[0], 0.1, frames=(frame, frame + 1), roi=roi))
        words = f"{n} molecules in frame"
        qtbot.waitUntil(lambda words=words: words in widget.preview_text.text(), timeout=20_000)
    widget.preview.value = False


def test_a_preview_of_frames_that_cannot_be_detected_says_so_without_a_flood(viewer, widget, qtbot, shown):
    bad = viewer.add_image(np.full((6, 20, 30), np.nan), name="bad", contrast_limits=(0, 1))
    widget.movie.value = bad
    widget.preview.value = True
    for frame in range(5):
        viewer.dims.set_current_step(0, frame)
        words = f"frame {frame} holds nan"
        qtbot.waitUntil(lambda words=words: words in widget.preview_text.text(), timeout=20_000)
    assert not [message for level, message in shown() if level == "ERROR"]
    widget.preview.value = False


def test_an_image_that_is_no_movie_is_distinguished_from_no_image(viewer, qtbot):
    viewer.add_image(np.zeros((3, 4, 20, 30)), name="volumes")
    widget = DetectMolecules(viewer)
    viewer.window.add_dock_widget(widget)
    assert "None of the images is a movie" in widget.about.text()
    viewer.add_image(np.zeros((5, 20, 3), np.uint8), rgb=False, name="colours?")
    assert "looks like a colour image" in widget.about.text()
    assert not widget.run_button.isEnabled()
    widget.threshold.setValue(0.7)
    qtbot.waitUntil(lambda: not widget.results.settling.isActive() and not Work.running)


def test_the_preview_gives_way_to_the_result(viewer, widget, qtbot):
    widget.preview.value = True
    qtbot.waitUntil(lambda: "preview of tubes" in viewer.layers, timeout=20_000)
    widget.run()
    finished(qtbot, widget)
    assert not widget.preview.value
    assert [layer.name for layer in viewer.layers] == ["tubes", "tubes localizations, paper"]


def test_the_preview_layer_may_be_deleted_and_comes_back_with_the_next_frame(viewer, widget, qtbot):
    widget.preview.value = True
    qtbot.waitUntil(lambda: "preview of tubes" in viewer.layers, timeout=20_000)
    viewer.layers.remove("preview of tubes")
    viewer.dims.set_current_step(0, 9)
    qtbot.waitUntil(lambda: "preview of tubes" in viewer.layers, timeout=20_000)


class Heartbeat:
    """Beats of the viewer's event loop, which work on other threads waits for."""

    #: Without a beat for this long, in seconds, the viewer is blocked; a busy machine is slow, too.
    PATIENCE_S = 20.0

    def __init__(self):
        self.beaten, self.waited, self.missed = threading.Semaphore(0), 0, 0
        self.timer = QTimer()
        self.timer.timeout.connect(self.beaten.release)
        self.timer.start(1)

    def wait(self):
        """Wait for the next beat, which the viewer's own thread would wait for in vain."""
        if self.missed:
            return
        while self.beaten.acquire(blocking=False):
            pass
        self.waited += 1
        on_viewer = threading.current_thread() is threading.main_thread()
        if on_viewer or not self.beaten.acquire(timeout=self.PATIENCE_S):
            self.missed += 1


def test_napari_stays_responsive_during_a_run(viewer, widget, simulated, qtbot, monkeypatch):
    widget.movie.value = slow_layer(viewer, simulated[0], seconds=0.0)
    heart = Heartbeat()
    read, detect = SlowMovie.__getitem__, Detector.detect

    def read_between_beats(self, key):
        if threading.current_thread() is not threading.main_thread():  # napari itself draws the frame in view
            heart.wait()
        return read(self, key)

    def detect_between_beats(self, *arguments, **options):
        heart.wait()
        return detect(self, *arguments, **options)

    monkeypatch.setattr(SlowMovie, "__getitem__", read_between_beats)
    monkeypatch.setattr(Detector, "detect", detect_between_beats)
    widget.run()
    qtbot.waitUntil(lambda: widget._run is None and not Work.running, timeout=120_000)
    assert heart.waited >= N_FRAMES + N_FRAMES // CHUNK_FRAMES
    assert not heart.missed, "the viewer's thread was blocked while a frame was read or detected"


def test_closing_the_dock_during_a_run_keeps_the_partial_result_and_leaves_no_thread(viewer, widget, simulated, qtbot):
    widget.movie.value = slow_layer(viewer, simulated[0], seconds=0.15)
    widget.preview.value = True
    widget.run()
    tasks = viewer.window._task_status_manager
    assert tasks.get_status() == ["Subpixel: detecting slow"]  # napari asks about it before it closes
    qtbot.waitUntil(lambda: widget.progress.bar.value() > 0, timeout=20_000)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)
    assert not tasks.get_status()
    assert [layer.name for layer in viewer.layers if "preview" in layer.name] == []
    assert "partial" in results(viewer)[0].name


def test_no_preview_follows_the_frame_in_view_once_the_dock_is_closed(viewer, widget, qtbot):
    widget.preview.value = True
    qtbot.waitUntil(lambda: "preview of tubes" in viewer.layers, timeout=20_000)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)
    viewer.dims.set_point(0, 2)
    assert not Work.running
    assert "preview of tubes" not in viewer.layers


def test_closing_the_viewer_during_a_run_leaves_no_thread(viewer, widget, simulated, qtbot):
    widget.movie.value = slow_layer(viewer, simulated[0], seconds=0.1)
    widget.preview.value = True
    widget.run()
    qtbot.wait(100)
    viewer.close()
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("napari-subpixel", "read-ahead"))]


def test_without_a_movie_the_widget_says_what_to_do(viewer, qtbot):
    widget = DetectMolecules(viewer)
    viewer.window.add_dock_widget(widget)
    assert "Open a movie first" in widget.about.text()
    assert not widget.run_button.isEnabled()
    widget.preview.value = True
    layer = viewer.add_image(np.zeros((5, 20, 30)), name="late")
    assert widget.movie.value is layer
    assert widget.run_button.text() == "Detect in 5 frames"
    qtbot.waitUntil(lambda: "0 molecules in frame" in widget.preview_text.text(), timeout=20_000)
    widget.preview.value = False
    qtbot.waitUntil(lambda: not Work.running, timeout=20_000)


def test_colour_images_and_labels_are_not_offered(viewer, widget):
    viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True, name="colours")
    viewer.add_labels(np.zeros((5, 20, 30), int), name="labels")
    assert [layer.name for layer in widget.movie.choices] == ["tubes"]


def test_a_device_that_is_not_there_is_refused_in_words(viewer, widget, qtbot, shown):
    widget.device.value = "MPS (Apple)"
    qtbot.waitUntil(lambda: any("'mps' was asked for" in message for _, message in shown()), timeout=20_000)
    qtbot.waitUntil(lambda: widget.device.value == "automatic" and not Work.running, timeout=20_000)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([("rectangle", [[900, 900], [900, 950], [950, 950], [950, 900]])], "outside the frames"),
        ([("ellipse", [[2, 2], [2, 9], [9, 9], [9, 2]])], "expected one rectangle"),
        ([("rectangle", [[2, 2], [2, 9], [9, 9], [9, 2]])] * 2, "got 2 among 2"),
    ],
)
def test_a_region_that_is_no_rectangle_of_the_frames_is_refused(viewer, widget, shown, shapes, words):
    layer = viewer.add_shapes(ndim=2, scale=(100, 100), units=("nm", "nm"))
    for kind, corners in shapes:
        layer.add(np.array(corners), shape_type=kind)
    layer.selected_data = set()
    widget.region.value = layer
    widget.run()
    assert any(words in message for _, message in shown())
    assert not results(viewer)


def test_frames_the_wrong_way_round_are_refused(viewer, widget, shown):
    widget.first.setValue(9)
    widget.last.setValue(4)
    assert not widget.run_button.isEnabled()
    assert widget.run_button.text() == "The first frame comes after the last"
    widget.run()
    assert ("ERROR", "the first frame, 9, comes after the last, 4") in shown()


def test_a_run_and_a_preview_say_what_comes_before_the_first_frame(viewer, widget, simulated, qtbot, monkeypatch):
    detector_cache._estimates.clear()
    detector_cache._ready.clear()
    widget.form.model.value = models.DEFAULT
    said = []
    show = widget.live.text.setText
    monkeypatch.setattr(widget.live.text, "setText", lambda words: (said.append(words), show(words)))
    widget.preview.value = True
    qtbot.waitUntil(lambda: "in frame" in widget.preview_text.text(), timeout=30_000)
    assert said[:2] == [detector_cache.LOADING, detector_cache.ESTIMATING]
    widget.preview.value = False
    detector_cache._estimates.clear()
    monkeypatch.setattr(widget.progress.text, "setText", said.append)
    said.clear()
    widget.run()
    finished(qtbot, widget)
    assert detector_cache.ESTIMATING in said


def test_the_time_of_a_run_is_said_before_it_once_a_frame_was_detected(viewer, widget, qtbot):
    assert widget.cost.isHidden()
    widget.preview.value = True
    qtbot.waitUntil(lambda: "in frame" in widget.preview_text.text(), timeout=30_000)
    assert widget.cost.text().startswith("About ")
    widget.form.model.value = "fast"
    assert widget.cost.isHidden(), "nothing is known of this model yet"


def test_a_part_of_the_movie_is_named_and_can_be_gone_to(viewer, widget, qtbot):
    widget.first.setValue(1)
    widget.last.setValue(2)
    viewer.dims.set_point(0, 4)
    widget.run()
    finished(qtbot, widget)
    assert f"2 frames (1 to 2 of {N_FRAMES})" in widget.status.text()
    assert widget.outcome.go_button.isVisibleTo(widget)
    widget.outcome.go_button.click()
    assert viewer.dims.current_step[0] == 1
    assert not widget.outcome.go_button.isVisibleTo(widget)


def test_a_movie_without_pixel_size_is_noted_before_the_run_and_cured(viewer, widget, simulated, qtbot, monkeypatch):
    layer = viewer.add_image(simulated[0], name="no size")
    widget.movie.value = layer
    assert widget.pixel_size.isVisibleTo(widget)
    monkeypatch.setattr("napari_subpixel.widgets.controls.pixel_size.QInputDialog.getDouble", lambda *_: (108.5, True))
    widget.pixel_size.button.click()
    assert not widget.pixel_size.isVisibleTo(widget)
    assert MovieLayer(layer).camera.pixel_size_nm == 108.5


def test_images_that_are_no_movies_are_named_as_such(viewer, qtbot):
    widget = DetectMolecules(viewer)
    viewer.window.add_dock_widget(widget, name="Detect")
    viewer.add_image(np.zeros((4, 5, 30, 3)), rgb=True)
    assert "None of the images is a movie" in widget.about.text()


def test_a_movie_that_grows_is_followed_in_the_viewer(viewer, widget, simulated, qtbot, tmp_path, monkeypatch):
    """Frames and molecules are added as the file grows; they are those of the finished movie."""
    monkeypatch.setattr(live, "FIRST_FRAMES", 8)
    monkeypatch.setattr(following, "GROWTH_PAUSE_S", 0.0)
    monkeypatch.setattr(following, "IDLE_S", 600.0)
    frames, path = simulated[0], tmp_path / "live.tif"
    with tifffile.TiffWriter(path) as writer:

        def write(part):
            for frame in part:
                writer.write(frame, contiguous=False, photometric="minisblack", metadata=None)
            writer.filehandle.flush()

        write(frames[:12])
        layer = viewer.add_layer(Layer.create(*movie_layer_data(open_stack(path), Camera(pixel_size_nm=100))))
        widget.movie.value = layer
        widget.follow.setChecked(True)
        assert widget.run_button.text() == "Detect from frame 0 on"
        assert " --follow" in widget.command_line().text
        widget.run()
        qtbot.waitUntil(lambda: widget.progress.bar.value() == 12, timeout=60_000)
        write(frames[12:])
        qtbot.waitUntil(lambda: widget.progress.bar.value() == len(frames), timeout=60_000)
    assert len(layer.data) == len(frames)
    assert widget.last.value() == len(frames) - 1
    np.testing.assert_array_equal(np.asarray(layer.data[-1]), frames[-1])
    widget.cancel()
    finished(qtbot, widget)
    (result,) = results(viewer)
    found, same = table_of(result), expected(frames, 0.1)
    np.testing.assert_array_equal(found.frame, same.frame)
    np.testing.assert_allclose(found.yx, same.yx, atol=1e-3)
    assert found.provenance["frames"] == [0, len(frames)]


def test_a_movie_that_is_no_file_cannot_be_followed(viewer, widget, movie):
    widget.follow.setChecked(True)
    widget.run()
    assert "only a movie that was opened from its file can be followed" in widget.refusal.words.text()
    assert not Work.running
