"""Make the pictures of the documents: real widgets in a real viewer, on the sample movie.

    make pictures

The sample is simulated again; a picture changes where the program does, or the machine's fonts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_subpixel import formats
from napari_subpixel._util.user_folder import CONFIG
from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation, crowded_microtubules
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.simulation.stage import random_drift
from napari_subpixel.stacks.writing import write_movie
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import points_layer

PICTURES = Path(__file__).parent / "images"
#: Width and height of the viewer.
WINDOW_PX = (1400, 860)
#: The frame that is shown.
FRAME = 20
#: Of the sample movie.
SEED = 7
#: Of the training in the picture: enough for a curve.
TRAINING_STEPS = 200
PLUGIN = "napari-subpixel"


def main() -> None:
    """Go through the tutorial, and take a picture at every step."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CONFIG] = folder  # models and cameras of the user stay as they are
        movie, truth = _movie_and_truth(Path(folder) / "smlm")
        viewer = napari.Viewer(title="napari", show=True)
        viewer.window.resize(*WINDOW_PX)
        _settle()
        for step in (_load, _preview, _run, _threshold, _render, _evaluate):
            step(viewer, movie, truth)
        viewer.close()
        batch = napari.Viewer(title="napari", show=True)
        batch.window.resize(*WINDOW_PX)
        _batch(batch, movie, truth)
        batch.close()
        analysis = napari.Viewer(title="napari", show=True)
        analysis.window.resize(*WINDOW_PX)
        _drift(analysis)
        _resolution(analysis)
        _regions(analysis)
        _train(analysis, Path(folder))
        analysis.close()


def _movie_and_truth(folder: Path) -> tuple[Path, Path]:
    """Write a movie like the sample, but longer, and its truth to files, as a user has them."""
    folder.mkdir()
    simulation = crowded_microtubules(n_frames=1000)
    frames, truth = simulate(simulation, np.random.default_rng(SEED))
    paths = folder / "microtubules.tif", folder / "truth.csv"
    write_movie(paths[0], [frames], shape=frames.shape, pixel_size_nm=simulation.pixel_size_nm)
    formats.write(paths[1], truth)
    return paths


def _load(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _dock(viewer, "Load")
    panel.choose(movie)
    _wait()
    panel.act()
    _wait()
    viewer.dims.set_current_step(0, FRAME)
    viewer.reset_view()
    _take(viewer, "load")
    _close(viewer, panel)


def _preview(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _dock(viewer, "Detect")
    _until(lambda: panel.device_text.text().startswith("Runs on"))
    panel.preview.value = True
    _until(lambda: f"in frame {FRAME} (" in panel.preview_text.text())
    _take(viewer, "preview")


def _run(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _panel(viewer, "Detect")
    panel.run()
    _until(lambda: panel.progress.bar.value() > 0)
    _take(viewer, "run")
    _until(lambda: panel.run_button.isEnabled())


def _threshold(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _panel(viewer, "Detect")
    panel.threshold.setValue(0.75)
    viewer.dims.set_current_step(0, FRAME)
    _take(viewer, "threshold")
    _close(viewer, panel)


def _render(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _dock(viewer, "Render")
    panel.render_now()
    image = panel.view_image
    for layer in viewer.layers:
        layer.visible = layer is image
    viewer.reset_view()
    _wait()
    _until(lambda: image.drawing.picture is not None and not image.drawing.is_drawing)
    _take(viewer, "render")
    for layer in viewer.layers:
        layer.visible = layer is not image
    _close(viewer, panel)


def _evaluate(viewer: Any, movie: Path, truth: Path) -> None:
    panel = _dock(viewer, "Evaluate")
    panel.truth.value = None
    panel.truth_file.value = truth
    panel.evaluate_now()
    _wait()
    viewer.scene.camera.zoom *= 1.6
    _take(viewer, "evaluate")
    _close(viewer, panel)


def _batch(viewer: Any, movie: Path, truth: Path) -> None:
    folder = movie.parent / "movies"
    folder.mkdir()
    for number in range(1, 5):
        simulation = crowded_microtubules(n_frames=100 * number)
        frames, _ = simulate(simulation, np.random.default_rng(SEED + number))
        path = folder / f"cell{number}.tif"
        write_movie(path, [frames], shape=frames.shape, pixel_size_nm=simulation.pixel_size_nm)
    os.truncate(folder / "cell3.tif", 100_000)
    panel = _dock(viewer, "Batch")
    panel.folder.value = folder
    _wait()
    panel.run()
    _wait()
    panel.open_row(0)  # as a double click does
    _wait()
    viewer.reset_view()
    _take(viewer, "batch")


def _drift(viewer: Any) -> None:
    layer = points_layer(_drifting(), name="localizations")
    viewer.add_layer(layer)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    panel = _dock(viewer, "Drift")
    panel.act()
    _wait()
    panel.compare.value = True
    _wait()
    viewer.scene.camera.zoom *= 2
    _take(viewer, "drift-panel")
    panel.compare.value = False
    panel.apply()
    viewer.reset_view()
    _wait()
    _close(viewer, panel)


def _resolution(viewer: Any) -> None:
    panel = _dock(viewer, "Resolution")
    panel.act()
    _wait()
    _take(viewer, "resolution-panel")
    _close(viewer, panel)


def _regions(viewer: Any) -> None:
    viewer.layers.clear()
    points = viewer.add_layer(points_layer(_filaments(), name="localizations"))
    viewer.reset_view()
    rendering = _dock(viewer, "Render")
    rendering.render_now()
    _wait()
    _close(viewer, rendering)
    place = {"scale": points.scale[-2:], "units": points.units[-2:], "ndim": 2}
    shapes = viewer.add_shapes(name="regions", edge_color="yellow", face_color="transparent", **place)
    outline = {"edge_width": 0.1, "edge_color": "yellow", "face_color": "transparent"}
    shapes.add(np.array([[4.0, 4], [4, 14], [12, 14], [12, 4]]), shape_type="rectangle", **outline)
    shapes.add(np.array([[16.0, 18], [16, 28], [22, 28], [22, 18]]), shape_type="ellipse", **outline)
    shapes.add(np.array([[6.3, 24], [11.3, 24]]), shape_type="line", edge_width=1.0, edge_color="#ffff0060")
    panel = _dock(viewer, "Regions")
    panel.act()
    _wait()
    viewer.reset_view()
    _wait()
    _take(viewer, "regions-panel")
    _close(viewer, panel)


def _train(viewer: Any, folder: Path) -> None:
    """Train a little, on a movie whose spots are wider than those that the model was made for."""
    viewer.layers.clear()
    simulation = Simulation(
        frame_shape=(256, 256),
        n_frames=40,
        camera=Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5),
        psf=GaussianPSF(230.0),
        structure="uniform",
        molecules=60_000,
        emitters_per_frame=600.0,
        photons=600.0,
        background=25.0,
        on_time_frames=0.0,
    )
    frames, _ = simulate(simulation, np.random.default_rng(SEED))
    path = folder / "wide spots.tif"
    write_movie(path, [frames], shape=frames.shape, pixel_size_nm=simulation.pixel_size_nm)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    MovieLayer(layer).set_camera(simulation.camera)
    viewer.reset_view()
    panel = _dock(viewer, "Train")
    panel.form.steps.setValue(TRAINING_STEPS)
    panel.run()
    _until(lambda: panel.progress.bar.value() >= 0.8 * TRAINING_STEPS or panel._work is None, patience_s=900)
    _take(viewer, "train-panel")
    _close(viewer, panel)


def _filaments() -> Localizations:
    """Return localizations on three straight filaments."""
    rng = np.random.default_rng(SEED)
    x = rng.uniform(1, 31, (3, 3000))
    y = np.array([[8.0], [14], [20]]) + np.array([[0.1], [-0.2], [0.0]]) * (x - 16) + rng.normal(0, 0.25, x.shape)
    n, sigma = x.size, np.full(x.size, 0.1)
    found = {"frame": np.sort(rng.integers(0, 1000, n)), "y": y.ravel(), "x": x.ravel()}
    known = {"photons": rng.exponential(900, n), "y_uncertainty": sigma, "x_uncertainty": sigma}
    return Localizations({**found, **known}, pixel_size_nm=100, frame_shape=(28, 32), n_frames=1000)


def _drifting() -> Localizations:
    """Return localizations of rings of eight sites that are seen again and again, while the sample drifts."""
    rng = np.random.default_rng(SEED)
    n_frames, n_blinks, sigma_px = 4000, 12_000, 0.07
    side_px, radius_px = 40, 0.7
    rings = rng.uniform(3, side_px - 4, (60, 1, 2))
    angle = np.arange(8) * np.pi / 4 + rng.uniform(0, np.pi / 4, (len(rings), 1))
    sites = (rings + radius_px * np.stack([np.sin(angle), np.cos(angle)], axis=2)).reshape(-1, 2)
    start = rng.integers(0, n_frames - 3, n_blinks)
    site = rng.integers(0, len(sites), n_blinks)
    duration = rng.geometric(0.5, n_blinks).clip(max=3)
    blink = np.repeat(np.arange(n_blinks), duration)
    frame = start[blink] + np.arange(len(blink)) - np.repeat(np.cumsum(duration) - duration, duration)
    order = np.argsort(frame, kind="stable")
    drift = random_drift(n_frames, 1.0, rng)
    place = (sites[site[blink]] + drift[frame] + rng.normal(0, sigma_px, (len(blink), 2)))[order]
    sigma = np.full(len(blink), sigma_px)
    found = {"frame": frame[order], "y": place[:, 0], "x": place[:, 1], "photons": rng.exponential(900, len(blink))}
    return Localizations(
        {**found, "y_uncertainty": sigma, "x_uncertainty": sigma},
        pixel_size_nm=100,
        frame_shape=(side_px, side_px),
        n_frames=n_frames,
    )


# -- the viewer -------------------------------------------------------------------------------------------------------


def _dock(viewer: Any, title: str) -> Any:
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, title)
    _settle()
    return widget


def _panel(viewer: Any, title: str) -> Any:
    return viewer.window.add_plugin_dock_widget(PLUGIN, title)[1]


def _close(viewer: Any, panel: Any) -> None:
    viewer.window.remove_dock_widget(panel)
    _wait()


def _take(viewer: Any, name: str) -> None:
    _settle()
    picture = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
    (PICTURES / f"{name}.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=9))


def _wait() -> None:
    """Let all work in the background come to its end."""
    _settle()
    _until(lambda: not Work.running)


def _until(done: Callable[[], bool], patience_s: float = 300.0) -> None:
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > patience_s:
            raise TimeoutError("the viewer did not come to where a picture is to be taken")
        _settle(0.02)


def _settle(seconds: float = 0.6) -> None:
    """Let the viewer draw."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
