"""Seconds and memory to write and read a large table in each format.

    python benchmarks/bench_formats.py [--rows 50000000] [--format parquet ...] [--folder FOLDER] [--quick]

The table has what a detection gives: frame, position, probability, photons, background and both uncertainties. It is
written once in every format; then each file is read, in a process of its own, turn and turn about, as often as said,
and the best run counts. The files are in the system's cache, as they are just after they were written: what is timed is
the reading, not the disk. The memory is that of the table and what reading it takes on top, and of the native format
also that of the file in the system's cache. FOLDER, a temporary one unless it is named, holds them. --quick reads few
rows, and once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from common import machine, markdown
from peaks import shown, with_peak

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations

ROWS, QUICK_ROWS = 50_000_000, 50_000
FRAME_PX, PER_FRAME = 512, 500
#: Frame, y and x in full precision, and the rest of a detection's columns with the range of each.
MEASURED = {
    "probability": (0.5, 1.0), "photons": (500.0, 3000.0), "background": (10.0, 20.0), "y_uncertainty": (0.05, 0.3),
    "x_uncertainty": (0.05, 0.3),
}  # fmt: skip


def table(n: int) -> Localizations:
    """Return a detection's table, with numbers that do not repeat."""
    rng = np.random.default_rng(1)
    columns = {"frame": np.arange(n) // PER_FRAME, **{axis: rng.random(n) * (FRAME_PX - 1) for axis in "yx"}}
    for name, (low, high) in MEASURED.items():
        columns[name] = rng.random(n, np.float32) * np.float32(high - low) + np.float32(low)
    about = {"pixel_size_nm": 100.0, "frame_shape": (FRAME_PX, FRAME_PX), "n_frames": n // PER_FRAME + 1}
    return Localizations(columns, **about, copy=False)


def read(path: Path, small: Path, n: int) -> tuple[float, float | None]:
    """Read, and return the seconds and the GiB that it took; the small table loads the libraries."""
    formats.read(small)
    began = time.perf_counter()
    back, peak = with_peak(lambda: formats.read(path))
    seconds = time.perf_counter() - began
    assert len(back) == n
    return seconds, peak


def read_afresh(path: Path, small: Path, n: int) -> tuple[float, float | None]:
    """Read in a process of its own, which finds no memory that a reading before has left."""
    with get_context("spawn").Pool(1) as process:
        return process.apply(read, (path, small, n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--format", action="append", choices=tuple(formats.FORMATS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.repeats = QUICK_ROWS, 1
    n = arguments.rows
    print(f"machine: {machine()}; {n:,} rows, best of {arguments.repeats}\n")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        files = {name: Path(temporary) / f"table.{name}" for name in arguments.format or formats.FORMATS}
        written, points = {}, table(n)
        for name, file in files.items():
            began = time.perf_counter()
            formats.write(file, points)
            written[name] = time.perf_counter() - began
            formats.write(file.with_stem("small"), points.select(range(9)))
        del points
        seconds, peaks = dict.fromkeys(files, float("inf")), {}
        for _ in range(arguments.repeats):
            for name, file in files.items():
                took, peaks[name] = read_afresh(file, file.with_stem("small"), n)
                seconds[name] = min(seconds[name], took)
        rows = [
            [formats.FORMATS[name].title, f"{file.stat().st_size / n:.0f}", f"{written[name]:.2f}",
             f"{seconds[name]:.2f}", f"{n / seconds[name] / 1e6:.1f}",
             f"{seconds['csv'] / seconds[name]:.1f}" if "csv" in seconds else "-", shown(peaks[name])]
            for name, file in files.items()
        ]  # fmt: skip
    header = ["format", "bytes a row", "write, s", "read, s", "million rows/s", "times as fast as csv", "memory, GiB"]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
