"""A long table of localizations in napari: seconds to open it, to step, to move threshold and filter, and the memory.

    scripts/with-screen python benchmarks/bench_viewer.py [--rows 10000000 5000000 1000000]

The tables lie on a movie of 20,000 frames of 256 x 256 px and have eight columns. Next to each, napari's own Points in
a process of their own: the same coordinates, column by column in memory, one colour and no features, made from arrays
that are there already. A step, a threshold and a handle of the panel *Filter*, over photons and over uncertainty in
turn, are timed from the call to the end of the drawing that shows it, and their median counts; a freeze is the longest
time for which the window answered nothing while the table was opened. Memory is what the process held at most beyond
what it held before, in units of the table. Libraries are loaded before, and a points layer was shown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

#: Frames of the movie.
N_FRAMES = 20_000
#: Their height and width.
SIDE_PX = 256
#: Width of a camera pixel.
PIXEL_NM = 100.0
#: Rows of the tables.
ROWS = (1_000_000, 5_000_000, 10_000_000)
#: Steps to another frame.
STEPS = 15
#: Moves of the threshold.
THRESHOLDS = 9
#: Moves of a handle of the filter.
HANDLES = 12
#: Width and height of the viewer.
WINDOW_PX = (1280, 800)
#: Name of our layers in the results.
OURS = "this plugin"
#: Name of napari's own layers in the results.
NAPARI = "napari's Points"


def main() -> None:
    """Measure every table, ours and napari's turn by turn, and print a table of the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--one", nargs=2, metavar=("WHO", "TABLE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(*args.one)))
        return
    from common import machine, markdown

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in args.rows:
            path = Path(folder) / "found.parquet"
            write_table(path, n)
            for who in (OURS, NAPARI):
                command = [sys.executable, __file__, "--one", who, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append([f"{n:,}", who, *json.loads(done.stdout.splitlines()[-1])])
            path.unlink()
    print(machine(), end="\n\n")
    headings = [
        "rows",
        "layer",
        "open [s]",
        "freeze [s]",
        "step [ms]",
        "threshold [ms]",
        "filter [ms]",
        "memory / table",
    ]
    print(markdown(headings, rows))


def write_table(path: Path, n: int) -> None:
    """Write a table of `n` molecules, sorted by frame as a detector writes it."""
    from napari_subpixel import formats
    from napari_subpixel.localizations import Localizations

    rng = np.random.default_rng(1)
    columns = {
        "frame": np.sort(rng.integers(0, N_FRAMES, n)), "y": rng.uniform(0, SIDE_PX - 1, n),
        "x": rng.uniform(0, SIDE_PX - 1, n), "probability": rng.uniform(0.05, 1, n), "photons": rng.exponential(800, n),
        "background": rng.uniform(5, 9, n), "y_uncertainty": rng.uniform(0.05, 0.3, n),
        "x_uncertainty": rng.uniform(0.05, 0.3, n),
    }  # fmt: skip
    about = {"pixel_size_nm": PIXEL_NM, "frame_shape": (SIDE_PX, SIDE_PX), "n_frames": N_FRAMES}
    formats.write(path, Localizations(columns, **about, provenance={"model": "bench", "threshold": 0.05}))


def measured(who: str, path: str) -> list[str]:
    """Return seconds to open, the longest freeze, ms a step, a threshold and a filter, and memory in tables."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW_PX)
    add_movie(viewer)
    drawn(viewer, viewer.reset_view)
    load_once(path)
    drawn(viewer, lambda: viewer.add_points([[0, 0, 0]]))  # the first of a session compiles shaders
    drawn(viewer, lambda: viewer.layers.pop())
    columns = arrays_of(path) if who == NAPARI else None
    size = 44 * (rows_of(path) if columns is None else len(columns[0]))
    with peak_beyond() as memory, freezes() as longest:
        began = time.perf_counter()
        opener = opener_of(viewer, path, columns)
        drawn(viewer, opener)
        seconds = time.perf_counter() - began
    layer = viewer.layers[-1]
    rng = np.random.default_rng(2)
    with peak_beyond(memory):
        step = median_ms(viewer, [lambda f=f: viewer.dims.set_point(0, f) for f in rng.integers(0, N_FRAMES, STEPS)])
        move = threshold_of(layer, columns)
        thresholds = rng.permutation(np.linspace(0.2, 0.9, THRESHOLDS))
        threshold = median_ms(viewer, [lambda t=t: move(float(t)) for t in thresholds])
        filtered = f"{median_ms(viewer, handles_of(viewer)):.0f}" if columns is None else ""
    viewer.close()
    numbers = f"{seconds:.2f}", f"{longest[0]:.2f}", f"{step:.0f}", f"{threshold:.0f}", filtered
    return [*numbers, f"{memory[0] / size:.2f}"]


def load_once(path: str) -> None:
    """Load what is loaded once in a session, by the first table or the plugin's first movie."""
    from napari.layers import Points

    from napari_subpixel import formats
    from napari_subpixel.widgets import readers  # noqa: F401

    formats.recognises(path)
    Points([[0, 0, 0]], features={"photons": [1]})


def rows_of(path: str) -> int:
    """Return the number of rows of a table in a file."""
    from pyarrow import parquet

    return int(parquet.ParquetFile(path).metadata.num_rows)


def arrays_of(path: str) -> list[np.ndarray]:
    """Return frame, y, x and probability of a table."""
    from pyarrow import parquet

    return [parquet.read_table(path, columns=[name])[name].to_numpy() for name in ("frame", "y", "x", "probability")]


def add_movie(viewer: Any) -> None:
    """Add a movie whose frames are drawn when they are viewed."""
    import dask.array as da

    block = np.random.default_rng(0).poisson(100, (10, SIDE_PX, SIDE_PX)).astype(np.uint16)
    movie = da.concatenate([da.from_array(block, chunks=block.shape)] * (N_FRAMES // len(block)))
    viewer.add_image(movie, scale=(1, PIXEL_NM, PIXEL_NM), units=("pixel", "nm", "nm"), contrast_limits=(60, 160))


def opener_of(viewer: Any, path: str, columns: list[np.ndarray] | None) -> Callable[[], object]:
    """Return what opens the table."""
    if columns is None:
        return lambda: viewer.open(path, plugin="napari-subpixel")
    data = np.empty((len(columns[0]), 3), order="F")
    for axis, column in enumerate(columns[:3]):
        data[:, axis] = column
    look = {"size": 1.0, "border_color": "yellow", "face_color": "transparent", "canvas_size_limits": (7, 10_000)}
    return lambda: viewer.add_points(data, scale=(1, PIXEL_NM, PIXEL_NM), units=("pixel", "nm", "nm"), **look)


def threshold_of(layer: Any, columns: list[np.ndarray] | None) -> Callable[[float], None]:
    """Return what hides the points below a probability."""
    if columns is None:
        from napari_subpixel.widgets.layers.points import set_threshold

        return lambda threshold: set_threshold(layer, threshold)
    probabilities = columns[3]

    def hide(threshold: float) -> None:
        layer.shown = probabilities >= threshold

    return hide


def handles_of(viewer: Any) -> list[Callable[[], object]]:
    """Open the filter panel, and return what moves its handles, and waits until the points follow."""
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    from napari_subpixel.widgets.background.worker import Work
    from napari_subpixel.widgets.filter import FilterMolecules

    wait = QEventLoop.ProcessEventsFlag.WaitForMoreEvents  # as the viewer's own loop, which leaves the processor

    panel = FilterMolecules(viewer)
    viewer.window.add_dock_widget(panel, name="Filter")
    while Work.running:  # histograms
        QApplication.processEvents(wait)

    def move(name: str, value: float) -> None:
        filtered = QEventLoop()
        panel.latest.returned.connect(filtered.quit)
        panel.rows[name].bar.moved.emit(0, value)
        filtered.exec()

    moves = [("photons" if n % 2 else "uncertainty", 5.0 + n) for n in range(HANDLES)]
    return [lambda move_to=move_to: move(*move_to) for move_to in moves]


# -- time and memory --------------------------------------------------------------------------------------------------


def drawn(viewer: Any, action: Callable[[], object]) -> None:
    """Do something, and wait until the canvas was drawn after it."""
    from qtpy.QtWidgets import QApplication

    done = []
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    action()
    canvas.events.draw.connect(done.append, position="last")
    canvas.update()
    while not done:
        QApplication.processEvents()
    canvas.events.draw.disconnect(done.append)


def median_ms(viewer: Any, actions: list[Callable[[], object]]) -> float:
    """Return the median milliseconds from an action to the end of the next drawing."""
    times = []
    for action in actions:
        began = time.perf_counter()
        drawn(viewer, action)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


@contextmanager
def freezes() -> Iterator[list[float]]:
    """Note the longest time for which the event loop did not turn, in the list that is given."""
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    longest, last = [0.0], [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        longest[0], last[0] = max(longest[0], now - last[0]), now

    timer = QTimer(interval=5)
    timer.timeout.connect(tick)
    timer.start()
    yield longest
    until = time.perf_counter() + 1.0  # what the opening left behind
    while time.perf_counter() < until:
        QApplication.processEvents()
    tick()
    timer.stop()


@contextmanager
def peak_beyond(peak: list[float] | None = None) -> Iterator[list[float]]:
    """Note the most memory in use, beyond that at the start, in the list that is given, in bytes."""
    stop = threading.Event()

    def used() -> float:
        # Without the pages of mapped files, which the system takes back when it needs them.
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * float(next(line.split()[1] for line in lines if line.startswith("RssAnon")))

    peak = [0.0] if peak is None else peak
    start = peak[1] if len(peak) > 1 else used()
    peak[1:] = [start]

    def watch() -> None:
        while not stop.wait(0.005):
            peak[0] = max(peak[0], used() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    yield peak
    stop.set()
    thread.join()


if __name__ == "__main__":
    main()
