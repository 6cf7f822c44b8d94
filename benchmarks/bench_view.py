"""Pictures a second while panning and zooming in millions of molecules, next to napari's own image of the whole field.

    scripts/with-screen python benchmarks/bench_view.py [--rows 10000000] [--side 256] [--seconds 5]

The molecules lie on filaments of a field of 256 x 256 camera pixels of 100 nm, each with uncertainties of 5 to 30 nm;
the canvas has 1000 x 800 pixels. One turn of the camera follows the next as soon as the window has answered the last:
it moves along a circle at a zoom, or the zoom swings about it. Counted are the pictures of the super-resolution layer
that were drawn for a new view, and the drawings of the canvas. The time from the end of a movement to the sharp picture
is also given, and the processor time of the process a picture, for napari's layer a drawing, which depends
less on what else runs: two free processors have 2,000 ms a second. napari's layer is an image of the whole field in
pixels of 10 nm, in the memory of the graphics card and not drawn anew: its drawings are what window and machine allow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import machine, markdown
from point_patterns import places

from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import render

#: Width of a camera pixel.
PIXEL_NM = 100.0
#: Pixels of napari's image.
IMAGE_NM = 10.0
#: Size of the canvas, width and height.
CANVAS = (1000, 800)
#: Zooms, relative to the whole field on the canvas.
ZOOMS = (1.0, 2.0, 4.0, 10.0, 40.0)
#: Turns of the camera around a circle.
TURNS = 40


def table(n: int, side_px: int) -> Localizations:
    """Return molecules on filaments."""
    rng = np.random.default_rng(1)
    y, x = places("filaments", n, side_px, rng)
    y_uncertainty, x_uncertainty = rng.uniform(5, 30, (2, n)).astype(np.float32) / np.float32(PIXEL_NM)
    columns = {
        "frame": np.sort(rng.integers(0, 20_000, n)), "y": y, "x": x,
        "photons": rng.exponential(800, n).astype(np.float32),
        "y_uncertainty": y_uncertainty, "x_uncertainty": x_uncertainty,
    }  # fmt: skip
    return Localizations(columns, pixel_size_nm=PIXEL_NM, frame_shape=(side_px, side_px), copy=False)


def spin(until: Callable[[], bool], seconds: float = 600.0) -> None:
    """Let the window work until something holds."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + seconds
    while not until() and time.perf_counter() < end:
        QApplication.processEvents()


def moved(viewer: Any, seconds: float, zoom: float, kind: str, counts: list[float]) -> tuple[float, float, float]:
    """Move the camera for some seconds; return drawings of the canvas and what `counts` counted, both a second.

    The third number is the processor time of this process, as a share of the time: 2 where it had two processors.
    """
    from qtpy.QtWidgets import QApplication

    camera, draws = viewer.scene.camera, []
    viewer.reset_view()
    centre, fitted = np.array(camera.center), camera.zoom
    radius = 0.3 * min(CANVAS) / (fitted * zoom)
    camera.zoom = fitted * zoom
    spin(lambda: False, 0.5)
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(draws.append, position="last")
    counts.clear()
    began, busy, turn = time.perf_counter(), time.process_time(), 0
    while (took := time.perf_counter() - began) < seconds:
        angle = 2 * np.pi * turn / TURNS
        if kind == "pan":
            camera.center = tuple(centre + radius * np.array([0, np.sin(angle), np.cos(angle)]))
        else:
            camera.zoom = fitted * zoom * 1.5 ** np.sin(angle)
        n_draws = len(draws)
        spin(lambda n=n_draws: len(draws) > n, 0.2)
        QApplication.processEvents()
        turn += 1
    canvas.events.draw.disconnect(draws.append)
    return len(draws) / took, len(counts) / took, (time.process_time() - busy) / took


def rows_of(name: str, viewer: Any, seconds: float, drawing: Any = None) -> list[list[object]]:
    """Measure a layer at all zooms; return rows of the table."""
    counts: list[float] = []
    if drawing is not None:
        drawing.drawn.connect(lambda _: counts.append(time.perf_counter()))
    rows: list[list[object]] = []
    for zoom in ZOOMS:
        for kind in ("pan", "zoom"):
            draws, pictures, busy = moved(viewer, seconds, zoom, kind, counts)
            sharp = "-"
            if drawing is not None:
                began = time.perf_counter()
                spin(lambda: not drawing.is_drawing)
                sharp = f"{time.perf_counter() - began:.2f}"
            shown = "-" if drawing is None else f"{pictures:.1f}"
            each = 1000 * busy / (draws if drawing is None else max(pictures, 1e-9))
            rows.append([name, f"{zoom:g}", kind, shown, f"{draws:.1f}", f"{each:.0f}", sharp])
    return rows


def main() -> None:
    """Measure both layers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    import napari

    from napari_subpixel.widgets.background.view_drawing import ViewDrawing
    from napari_subpixel.widgets.background.view_pictures import Appearance
    from napari_subpixel.widgets.layers.points import points_layer
    from napari_subpixel.widgets.layers.results import ground_of

    molecules = table(arguments.rows, arguments.side)
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window._qt_viewer.canvas.native.setFixedSize(*CANVAS)
    image = render(molecules, pixel_size_nm=IMAGE_NM)
    napari_layer = viewer.add_image(image.image, scale=image.scale_nm, translate=image.translate_nm, name="napari's")
    napari_layer.contrast_limits = (0, float(np.quantile(image.image, 0.99)) or 1.0)
    rows = rows_of("napari's image", viewer, arguments.seconds)
    viewer.layers.clear()
    points = viewer.add_layer(points_layer(molecules, name="found"))
    points.visible = False
    began = time.perf_counter()
    drawing = ViewDrawing(viewer, points, lambda: ground_of(points, viewer.layers), Appearance(), colormap="inferno")
    viewer.add_layer(drawing.layer)
    spin(lambda: drawing.picture is not None)
    first = time.perf_counter() - began
    spin(lambda: not drawing.is_drawing)
    rows = rows_of("this plugin", viewer, arguments.seconds, drawing) + rows
    print(f"machine: {machine()}; {arguments.rows:,} molecules; canvas {viewer.canvas.size}\n")
    headings = [
        "layer",
        "zoom",
        "camera",
        "pictures / s",
        "drawings / s",
        "processor time each [ms]",
        "sharp after [s]",
    ]
    print(markdown(headings, rows))
    print(f"\nfirst picture after {first:.2f} s, the index of the molecules included")
    viewer.close()


if __name__ == "__main__":
    main()
