"""*Train* in a real viewer: a model of the user's own from a movie, from ranges, or from a movie with truth."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from napari.layers import Layer

from napari_subpixel import models
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.models import save_model
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.unet import UNet
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.training.train_model import checkpoint_folder
from napari_subpixel.widgets.background import training
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE
from napari_subpixel.widgets.controls.training_form import LIKE, RANGES, TRUTH
from napari_subpixel.widgets.detect import DetectMolecules
from napari_subpixel.widgets.layers.movies import MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer
from napari_subpixel.widgets.train import CONTINUE, REPLACE, TrainModel

CAMERA = Camera(pixel_size_nm=100.0, baseline=100.0, electrons_per_adu=0.5)
SIMULATION = Simulation(
    frame_shape=(40, 52), n_frames=12, structure="uniform", emitters_per_frame=40, photons=2000, on_time_frames=0,
    camera=CAMERA,
)  # fmt: skip
#: In place of a training: it says how good the model is that it starts from, and waits to be stopped.
STOPS = """
import json, sys
print(json.dumps({"event": "base", "name": "small", "jaccard": 0.1}), flush=True)
sys.stdin.read()
print(json.dumps({"event": "stopped", "n_done": 7}), flush=True)
raise SystemExit(130)
"""
#: In place of a training: a refusal of the command, one that says its kind, and a fault.
REFUSES = "import sys; print('napari-subpixel: no memory', file=sys.stderr); raise SystemExit(2)"
NAMES_ITS_KIND = """print('{"event": "error", "kind": "PixelSizeError", "message": "not known"}')"""
BREAKS = "raise SystemExit('it broke')"


@pytest.fixture(scope="module")
def simulated():
    return simulate(SIMULATION, np.random.default_rng(5))


@pytest.fixture
def base():
    """A small model of the user's own that has learned nothing yet."""
    torch.manual_seed(1)
    network = UNet(width=8, blocks=(1, 1, 1))
    about = {"summary": "s", "input_scaling": "counts", "threshold": 0.3, "domain": Domain().to_dict()}
    save_model(models.path_for("small"), network, name="small", **about)


@pytest.fixture
def movie(viewer, simulated, tmp_path):
    frames, _ = simulated
    path = tmp_path / "cells.tif"
    write_movie(path, [frames], shape=frames.shape, pixel_size_nm=100)
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(path), CAMERA, name="cells.tif")))


@pytest.fixture
def panel(viewer, base):
    widget = TrainModel(viewer)
    viewer.window.add_dock_widget(widget, name="Train")
    widget.form.base.value = "small"
    return widget


@pytest.fixture
def stub(monkeypatch):
    """Return a function that puts a script in place of the command."""
    return lambda script: monkeypatch.setattr(training, "COMMAND", ("-c", script))


def ended(qtbot, panel):
    qtbot.waitUntil(lambda: panel._work is None, timeout=120_000)


def typed(panel):
    """Type all ranges, so that nothing has to be found in the movie."""
    panel.form.psf_sigma.setValue(120.0)
    for name, span in {"photons_range": (1000, 3000), "background_range": (5, 30), "density_um2": (0.5, 2)}.items():
        for box, end in zip(panel.form.spans[name].boxes, span, strict=True):
            box.setText(str(end))


@pytest.mark.slow
def test_a_model_is_trained_like_a_movie_and_listed(viewer, qtbot, panel, movie):
    detect = DetectMolecules(viewer)
    viewer.window.add_dock_widget(detect, name="Detect")
    assert panel.form.source.value == LIKE
    assert panel.form.model_name == "cells model"
    typed(panel)
    panel.form.steps.setValue(3)
    panel.run()
    assert not panel.settings.isVisibleTo(panel)
    ended(qtbot, panel)
    assert "cells model is saved" in panel.status.text(), panel.refusal.words.text()
    assert "cells model" in detect.form.model.choices
    assert panel.settings.isVisibleTo(panel)
    own, simulated = panel.pairs.parts(0)
    assert own.shape == simulated.shape == (40, 52)
    frames = np.asarray(movie.data)
    assert any(np.array_equal(own, frame) for frame in frames)
    assert [np.size(part.x) for part in panel.curves.scores.chart.parts] == [2, 4]  # the base, and three measurements
    assert panel.curves.last_jaccard is not None
    panel.run()
    assert panel.refusal.button.text() == REPLACE


def test_a_training_is_stopped_and_continued_or_saved_as_it_is(qtbot, panel, movie, stub):
    stub(STOPS)
    panel.form.steps.setValue(400)
    panel.run()
    qtbot.waitUntil(lambda: panel.curves.scores.chart is not None, timeout=30_000)
    panel.progress.cancel.click()
    ended(qtbot, panel)
    assert panel.status.text() == "Stopped. 7 steps are kept."
    assert panel.after.isVisibleTo(panel)
    panel.form.name.setText("another")
    assert not panel.after.isVisibleTo(panel)
    panel.form.name.setText("")
    stub("raise SystemExit(2)")
    for button, steps in ((panel.continue_button, 400), (panel.save_button, 7)):
        panel._kept = 7
        button.click()
        flags = panel._call.flags
        assert (flags["resume"], flags["iterations"], flags["output"]) == (True, steps, "cells model")
        ended(qtbot, panel)


def test_the_end_of_the_panel_ends_the_training(viewer, qtbot, panel, movie, stub, monkeypatch):
    stub(STOPS)
    started = []
    popen = training.subprocess.Popen
    monkeypatch.setattr(training.subprocess, "Popen", lambda *a, **b: started.append(popen(*a, **b)) or started[-1])
    panel.run()
    qtbot.waitUntil(lambda: panel.curves.scores.chart is not None, timeout=30_000)
    output = panel.form.output()
    viewer.window.remove_dock_widget(panel)
    qtbot.waitUntil(lambda: not Work.running, timeout=30_000)
    assert started[0].poll() == 130
    checkpoint_folder(output).mkdir()
    again = TrainModel(viewer)
    viewer.window.add_dock_widget(again, name="Train again")
    again.run()
    assert again.refusal.button.text() == CONTINUE


def test_a_movie_and_its_truth_that_have_no_files_are_written_for_the_training(viewer, panel, simulated, tmp_path):
    frames, truth = simulated
    layer = viewer.add_layer(Layer.create(*movie_layer_data(open_stack(frames, name="made/here"), CAMERA)))
    viewer.add_layer(points_layer(truth, MovieLayer(layer), name="its truth"))
    panel.form.source.value = TRUTH
    assert not panel.form.spans["photons_range"].isVisibleTo(panel)
    call = panel.form.call()
    assert set(call.written) == {"movie", "truth"}
    with open_stack(call.written["movie"](tmp_path)) as stack:
        assert stack.name == "made_here.tif"
        np.testing.assert_array_equal(stack.read(0, 12), frames)
    path = call.written["truth"](tmp_path)
    assert path.name == "its truth.parquet"
    line = panel.form.command_line().text
    assert "--movie made_here.tif" in line
    assert "save the movie made/here as made_here.tif; save the shown points of its truth as its truth.csv" in line


def test_what_is_missing_is_refused_under_the_button_with_its_cure(viewer, qtbot, panel, simulated, monkeypatch):
    def refused() -> str:
        panel.run()
        assert panel._work is None
        return panel.refusal.words.text()

    assert "there is no movie to learn from" in refused()
    viewer.add_layer(Layer.create(*movie_layer_data(open_stack(simulated[0]), name="in pixels")))
    assert "pixel size of the camera is not known" in refused()
    assert panel.refusal.button.text() == SET_PIXEL_SIZE
    MovieLayer(viewer.layers[0]).set_camera(CAMERA)
    panel.form.spans["photons_range"].boxes[0].setText("300")
    assert "expected two numbers" in refused()
    panel.form.spans["photons_range"].boxes[1].setText("100")
    assert "a range goes up" in refused()
    panel.form.spans["photons_range"].boxes[1].setText("900")
    panel.form.name.setText("fast")
    assert "comes with the program" in refused()
    panel.form.name.setText("a/b")
    assert "without a folder" in refused()
    panel.form.name.setText("")
    panel.form.source.value = TRUTH
    assert "there is no truth among the layers" in refused()
    panel.form.source.value = RANGES
    assert panel.form.spans["background_range"].boxes[0].placeholderText() == "1"
    assert "give it at 'PSF sigma [nm]'" in refused()
    panel.form.psf_sigma.setValue(120.0)
    assert "choose one at 'Camera'" in refused()
    panel.form.camera.choice.value = viewer.layers[0]
    flags = panel.form.call().flags
    assert (flags["photons_range"], flags["baseline"], flags["psf_sigma_nm"]) == ("300:900", 100.0, 120.0)


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        (REFUSES, InputError, "^no memory$"),
        (NAMES_ITS_KIND, PixelSizeError, "^not known$"),
        (BREAKS, RuntimeError, "status 1\nit broke"),
    ],
)
def test_what_ends_a_training_is_an_error_of_its_kind(stub, script, kind, message):
    stub(script)
    with pytest.raises(kind, match=message):
        list(training.train(training.TrainingCall({}, {}, threading.Event())))
