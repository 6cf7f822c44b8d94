"""What a viewer with all panels leaves when it is closed: panels, threads, file handles and memory.

    MALLOC_ARENA_MAX=1 scripts/with-screen python benchmarks/bench_closing.py [--rounds 100] [--bare] [--json]

In every round napari opens a movie from its file, a table of molecules on it and every panel; the frame in view and the
movie are detected, the image is drawn, drift and resolution are estimated, half of the docks are closed, and then the
viewer. The first rounds, in which libraries and the model are loaded, do not count. With `--bare` napari shows an image
and no panel instead, for comparison. Each viewer with panels leaves a handle of `loading.gif`, a file of napari.

The C library of Linux keeps freed memory for each of the threads that there ever were, up to eight for each processor,
some hundred MB in all; with `MALLOC_ARENA_MAX=1` it keeps it in one place, and what grows is what the program holds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Rounds that load what stays loaded.
WARM_UP = 2
#: Frames of the movie, and their height and width.
SHAPE = (24, 64, 72)
#: Width of a camera pixel.
PIXEL_NM = 100.0
#: Rows of the table.
N_ROWS = 6_000
#: How long anything may take, in seconds.
PATIENCE_S = 120.0
#: All panels that were opened.
PANELS: list[weakref.ref[Any]] = []


def main() -> None:
    """Open and close, and print what is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        movie = written_movie(Path(folder))
        states = []
        for _ in range(WARM_UP + arguments.rounds):
            if arguments.bare:
                viewer = opened()
                viewer.add_image(np.zeros(SHAPE))
                viewer.close()
                del viewer
            else:
                one_round(movie)
            states.append(state())
    first, last = states[WARM_UP - 1], states[-1]
    left = {name: last[name] - first[name] for name in first}
    if arguments.json:
        print(json.dumps({"left": left, "states": states}))
        return
    from common import machine, markdown

    print(f"machine: {machine()}\n")
    names = list(first)
    rows = [[n, *(f"{states[n + WARM_UP - 1][name]:,.0f}" for name in names)] for n in shown_rounds(arguments.rounds)]
    print(markdown(["rounds", *names], rows))
    print(f"left after {arguments.rounds} rounds: " + ", ".join(f"{value:,.0f} {name}" for name, value in left.items()))


def shown_rounds(n: int) -> list[int]:
    """Return about ten of the rounds from 0 to n, both included."""
    return sorted({round(place) for place in np.linspace(0, n, min(n, 10) + 1)})


# -- a round ----------------------------------------------------------------------------------------------------------


def opened() -> Any:
    """Return an empty viewer."""
    import napari

    return napari.Viewer(show=False, show_welcome_screen=False)


def one_round(path: Path) -> None:
    """Open everything, use it, and close it."""
    from napari_subpixel.widgets.background.worker import Work

    viewer = opened()
    movie = viewer.open(path, plugin="napari-subpixel")[0]
    points = viewer.add_layer(points_on(movie))
    panels = all_panels(viewer)
    panels["Drift"].points.value = panels["Resolution"].points.value = points
    for title in ("Drift", "Resolution"):
        panels[title].act()
    panels["Render"].points.value = points
    panels["Render"].render_now()
    detect = panels["Detect"]
    detect.form.model.value = "fast"
    detect.preview.value = True
    spin_until(lambda: any(layer.name.startswith("preview of") for layer in viewer.layers))
    detect.run()
    spin_until(lambda: any("localizations" in layer.name for layer in viewer.layers) and not Work.running)
    viewer.dims.set_point(0, 3)
    spin_until(lambda: not Work.running)
    for title in list(panels)[::2]:
        viewer.window.remove_dock_widget(panels[title])
    spin_until(lambda: not Work.running)
    viewer.close()


def written_movie(folder: Path) -> Path:
    """Write a movie of molecules, eight in every frame, and return its path."""
    from napari_subpixel.camera import Camera
    from napari_subpixel.psf import draw_gaussians
    from napari_subpixel.stacks.writing import write_movie

    rng = np.random.default_rng(6)
    n_frames, height, width = SHAPE
    frame = np.repeat(np.arange(n_frames), 8)
    y, x = rng.uniform(4, height - 4, len(frame)), rng.uniform(4, width - 4, len(frame))
    photons = draw_gaussians(SHAPE, frame, y, x, np.full(len(frame), 2_000.0), 1.2) + 10.0
    camera = Camera(pixel_size_nm=PIXEL_NM, baseline=100.0, read_noise_e=1.5)
    path = folder / "movie.tif"
    write_movie(path, [camera.expose(photons, rng)], shape=SHAPE, pixel_size_nm=PIXEL_NM)
    return path


def points_on(movie: Any) -> Any:
    """Return a layer of molecules on a movie."""
    from napari_subpixel.localizations import Localizations
    from napari_subpixel.widgets.layers.movies import MovieLayer
    from napari_subpixel.widgets.layers.points import points_layer

    rng = np.random.default_rng(7)
    n_frames, *frame_shape = SHAPE
    sites = rng.uniform(4, np.array(frame_shape) - 4, (60, 2))
    places = sites[rng.integers(0, len(sites), N_ROWS)] + rng.normal(0, 0.1, (N_ROWS, 2))
    columns = {
        "frame": np.sort(rng.integers(0, n_frames, N_ROWS)),
        "y": places[:, 0],
        "x": places[:, 1],
        "photons": rng.uniform(500, 3_000, N_ROWS),
        "y_uncertainty": np.full(N_ROWS, 0.1),
        "x_uncertainty": np.full(N_ROWS, 0.1),
    }
    about = {"pixel_size_nm": PIXEL_NM, "frame_shape": tuple(frame_shape), "n_frames": n_frames}
    return points_layer(Localizations(columns, **about), MovieLayer(movie), name="given")


def all_panels(viewer: Any) -> dict[str, Any]:
    """Open every panel of the plugin, and return them by their titles."""
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    titles = [widget.display_name for widget in manager.get_manifest("napari-subpixel").contributions.widgets]
    panels = {title: viewer.window.add_plugin_dock_widget("napari-subpixel", title)[1] for title in titles}
    PANELS.extend(map(weakref.ref, panels.values()))
    return panels


# -- what is left -----------------------------------------------------------------------------------------------------


def state() -> dict[str, float]:
    """Return what there is once all is deleted that will be."""
    for _ in range(3):
        turn()
        gc.collect()
    return {
        "panels": float(sum(panel() is not None for panel in PANELS)),
        "threads": float(threading.active_count()),
        "handles": float(len(os.listdir("/proc/self/fd"))),
        "MB": resident_mb(),
    }


def resident_mb() -> float:
    """Return the memory that this process holds, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def spin_until(condition: Callable[[], bool]) -> None:
    """Let the window work until a condition holds, or `PATIENCE_S` have passed: then end with an error."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the viewer did not finish")
        turn()
        time.sleep(0.002)


def turn() -> None:
    """Do what is due in the window."""
    from qtpy.QtCore import QCoreApplication, QEvent

    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


if __name__ == "__main__":
    main()
