"""Seconds from a table in memory to an image of 8,000 x 8,000 pixels, next to Picasso's in the same run.

    python benchmarks/bench_render.py --picasso PYTHON [--points 10000000] [--pattern uniform ...] [--quick]

PYTHON is that of an environment with Picasso (picassosr); without it only our own rendering is timed. The points lie
anywhere, on filaments or in clusters, on a field of 800 x 800 camera pixels of 100 nm, and have uncertainties of 5 to
30 nm; a pixel of the image is 10 nm. Both programs render the same points from memory, turn and turn about, once
before they are timed (Picasso compiles) and then as often as said; the best run of each counts, as other work on a
machine only ever slows one down. A last column says how much memory our rendering takes, with the image (256 MB).
--quick draws few points on a small field, and once.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from common import ROOT, machine, markdown
from peaks import shown, with_peak
from point_patterns import PATTERNS, places

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import METHODS, render

SIDE_PX, CAMERA_PIXEL_NM, IMAGE_PIXEL_NM, UNCERTAINTY_NM = 800, 100.0, 10.0, (5.0, 30.0)
POINTS, QUICK_POINTS, QUICK_SIDE_PX = 10_000_000, 20_000, 100


def table(pattern: str, n: int, side_px: int) -> Localizations:
    """Return points of a pattern, each with its uncertainties."""
    rng = np.random.default_rng(1)
    y, x = places(pattern, n, side_px, rng)
    y_uncertainty, x_uncertainty = rng.uniform(*UNCERTAINTY_NM, (2, n)) / CAMERA_PIXEL_NM
    return Localizations(
        {"frame": np.arange(n) // 1000, "y": y, "x": x, "photons": np.full(n, 1000.0), "background": np.full(n, 10.0),
         "y_uncertainty": y_uncertainty, "x_uncertainty": x_uncertainty},
        pixel_size_nm=CAMERA_PIXEL_NM, frame_shape=(side_px, side_px), n_frames=n // 1000 + 1,
    )  # fmt: skip


def ours(points: Localizations, method: str) -> float:
    """Render, and return the seconds."""
    began = time.perf_counter()
    rendered = render(points, method=method, pixel_size_nm=IMAGE_PIXEL_NM)
    seconds = time.perf_counter() - began
    assert rendered.n_outside == 0
    return seconds


def picasso(process: subprocess.Popen[str], n: int, method: str) -> float:
    """Let Picasso render, and return its seconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(method, file=process.stdin, flush=True)
    seconds, drawn = process.stdout.readline().split()
    assert int(drawn) == n, f"Picasso drew {drawn} of {n} points"
    return float(seconds)


def rows_of(points: Localizations, pattern: str, python: str | None, repeats: int) -> list[list[object]]:
    """Time both methods on the points of a pattern; return rows of the table."""
    n = len(points)
    rows: list[list[object]] = []
    with ExitStack() as stack:
        runs: dict[str, Callable[[str], float]] = {"ours": partial(ours, points)}
        if python:
            file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "points.hdf5"
            formats.write(file, points)
            command = [python, str(ROOT / "benchmarks" / "picasso_render.py"), str(file), str(IMAGE_PIXEL_NM)]
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            )
            assert process.stdout is not None
            while not (name := process.stdout.readline().strip()).startswith("Picasso"):  # others greet first
                assert process.poll() is None, "Picasso ended"
            runs[name] = partial(picasso, process, n)
        for method in reversed(METHODS):
            seconds = {program: float("inf") for program in runs}
            for turn in range(repeats + 1):
                for program, run in runs.items():
                    took = run(method)
                    seconds[program] = min(seconds[program], took if turn else float("inf"))
            _, peak = with_peak(partial(ours, points, method))
            own = seconds["ours"]
            rows += [
                [pattern, method, program, f"{took:.2f}", f"{n / took / 1e6:.1f}", f"{took / own:.1f}",
                 shown(peak) if program == "ours" else "-"]
                for program, took in seconds.items()
            ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picasso", metavar="PYTHON")
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--pattern", action="append", choices=PATTERNS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    side_px = SIDE_PX
    if arguments.quick:
        arguments.points, arguments.repeats, side_px = QUICK_POINTS, 1, QUICK_SIDE_PX
    print(f"machine: {machine()}; {arguments.points:,} points, best of {arguments.repeats}\n")
    rows = [
        line
        for pattern in arguments.pattern or PATTERNS
        for line in rows_of(table(pattern, arguments.points, side_px), pattern, arguments.picasso, arguments.repeats)
    ]
    print(markdown(["points", "method", "program", "s", "million/s", "times ours", "memory, GiB"], rows))


if __name__ == "__main__":
    main()
