"""The panel *Train* with its own settings: minutes, gain on held-out frames, and the longest time without an answer.

    scripts/with-screen python benchmarks/bench_train_panel.py [--steps 1000] [--sigma-nm 230]

The movie is simulated: 60 frames of 256 x 256 px, molecules at random, with a point spread function wider than those
that the model is made for. A timer of 5 ms notes when the viewer answers, from the click to the end,
and how long its thread worked between two answers: on a busy machine it waits for a processor, too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from common import machine, markdown
from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_subpixel._util.user_folder import CONFIG
from napari_subpixel.camera import Camera
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.movies import movie_layer_data
from napari_subpixel.widgets.train import TrainModel

#: Width and height of the viewer.
WINDOW_PX = (1280, 720)
#: Interval of the timer, in milliseconds.
BEAT_MS = 5
#: Seeds the movie.
SEED = 11


def main() -> None:
    """Train once, and print a table of the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="in place of the panel's own number")
    parser.add_argument("--sigma-nm", type=float, default=230.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CONFIG] = folder
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*WINDOW_PX)
        viewer.add_layer(_movie(Path(folder) / "movie.tif", args.sigma_nm))
        panel = TrainModel(viewer)
        viewer.window.add_dock_widget(panel, name="Train")
        _until(lambda: not Work.running)
        if args.steps:
            panel.form.steps.setValue(args.steps)
        beat = _Beat()
        began = time.perf_counter()
        panel.run()
        _until(lambda: panel._work is None)
        minutes = (time.perf_counter() - began) / 60
        steps, base, words = panel.form.steps.value(), panel.form.base.value, panel.status.text()
        viewer.close()
    print(machine(), f"load average {os.getloadavg()[0]:.1f}", end="\n\n")
    header = ["from", "steps", "minutes", "longest without an answer [s]", "of work [s]", "result"]
    print(
        markdown(
            header, [[base, steps, f"{minutes:.1f}", f"{beat.longest_s:.3f}", f"{beat.longest_work_s:.3f}", words]]
        )
    )


class _Beat:
    """Notes the longest time between two answers of the viewer, and the longest that its thread worked between two."""

    def __init__(self) -> None:
        self.longest_s, self.longest_work_s = 0.0, 0.0
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self._timer = QTimer(interval=BEAT_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.longest_work_s = max(self.longest_work_s, worked - self._worked)
        self._last, self._worked = now, worked


def _movie(path: Path, sigma_nm: float) -> Layer:
    settings = Simulation(
        frame_shape=(256, 256),
        n_frames=60,
        camera=Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5),
        psf=GaussianPSF(sigma_nm),
        structure="uniform",
        molecules=60_000,
        emitters_per_frame=1000.0,
        photons=350.0,
        background=25.0,
        on_time_frames=0.0,
    )
    frames, _ = simulate(settings, np.random.default_rng(SEED))
    write_movie(path, [frames], shape=frames.shape, pixel_size_nm=settings.pixel_size_nm)
    return Layer.create(*movie_layer_data(open_stack(path), settings.camera))


def _until(done: Callable[[], bool]) -> None:
    while not done():
        QApplication.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
