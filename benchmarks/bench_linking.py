"""F1 of molecules found whole, and seconds to link, next to Picasso's at its best radius in the same run.

    python benchmarks/bench_linking.py --picasso PYTHON [--rows 1000000 50000000] [--quick]

PYTHON is that of an environment with Picasso (picassosr); without it only our own linking is measured. The tables with
known molecules are ``after/paint.csv`` and ``after/filaments.csv``. Picasso's radius and number of dark frames are
those of a sweep that score best there; ours come from the table itself. A molecule is found whole if a group has just
its rows. The last table has the seconds for simulated rows, 100 a frame, and how much memory it takes beyond the table.
--quick simulates few rows and reads no table.
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from common import ROOT, data_folder, machine, markdown
from numpy.typing import NDArray
from peaks import shown, with_peak

from napari_subpixel import formats
from napari_subpixel.analysis.linking import Linked, link
from napari_subpixel.localizations import Localizations

#: Width of a camera pixel.
PIXEL_NM = 100.0
#: Radii that Picasso is run with, of which the best counts,
RADII_PX = (0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
#: and the dark frames that it bridges.
DARK = (0, 1, 2)
TABLES = ("paint", "filaments")
#: Rows of the simulated tables that are timed.
ROWS = [1_000_000]
#: The same with --quick.
QUICK_ROWS = [3_000]
#: Rows in each of their frames.
ROWS_A_FRAME = 100
#: Frames that a molecule is on for.
ON_FRAMES = 3
#: Width of the field.
FIELD_PX = 600.0
#: Uncertainty of a row.
SIGMA_PX = 0.1


def f1_of_whole(event: NDArray[np.int64], group: NDArray[np.int64]) -> float:
    """Return F1 of the groups that have exactly the rows of an event."""
    (_, event), (_, group) = (np.unique(values, return_inverse=True) for values in (event, group))
    in_event, in_group = np.bincount(event), np.bincount(group)
    pairs, counts = np.unique(np.column_stack([event, group]), axis=0, return_counts=True)
    whole = (counts == in_event[pairs[:, 0]]) & (counts == in_group[pairs[:, 1]])
    return float(2 * whole.sum() / (len(in_event) + len(in_group)))


def seconds_of(table: Localizations, repeats: int) -> tuple[Linked, float]:
    """Link, and return the result and the seconds of the best run."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        linked = link(table)
        best = min(best, time.perf_counter() - began)
    return linked, best


def known_rows(name: str, python: str | None) -> list[list[object]]:
    """Return rows of the table for one with known molecules."""
    folder = data_folder() / "after"
    table = formats.read(folder / f"{name}.csv", pixel_size_nm=PIXEL_NM)
    # Picasso drops rows outside of the frame.
    table = table.with_columns(y=table.y - table.y.min() + 1, x=table.x - table.x.min() + 1)
    event = np.loadtxt(folder / f"{name}_events.csv", delimiter=",", skiprows=1, usecols=1).astype(np.int64)
    link(table[:100])  # compiles
    linked, seconds = seconds_of(table, 3)
    ours = f1_of_whole(event, linked.group)
    rows: list[list[object]] = [
        [
            name,
            f"{len(table):,}",
            "ours",
            f"up to {linked.max_dark_frames} dark frames",
            f"{ours:.4f}",
            f"{seconds:.2f}",
        ]
    ]
    if python:
        with tempfile.TemporaryDirectory() as work:
            path, groups = Path(work) / "table.hdf5", Path(work) / "groups.npy"
            formats.write(path, table)
            tried = []
            for radius, dark in itertools.product(RADII_PX, DARK):
                script = ROOT / "benchmarks" / "picasso_link.py"
                flags = ["--radius-px", str(radius), "--dark", str(dark)]
                done = subprocess.run(
                    [python, str(script), str(path), str(groups), *flags], capture_output=True, text=True, check=True
                )
                found = re.search(r"(Picasso \S+): ([\d.]+) s", done.stdout)
                assert found, done.stdout
                score = f1_of_whole(event, np.load(groups))
                tried.append((score, float(found[2]), found[1], f"{radius:g} px, {dark} dark"))
        score, took, program, settings = max(tried)
        rows.append([name, f"{len(table):,}", program, settings, f"{score:.4f}", f"{took:.2f}"])
    return rows


def simulated(n: int) -> Localizations:
    """Return rows of molecules that are on for some frames, anywhere in a field."""
    rng = np.random.default_rng(1)
    n_frames = max(n // ROWS_A_FRAME, 10)
    molecules = n // ON_FRAMES
    start = np.sort(rng.integers(0, n_frames - ON_FRAMES, molecules, dtype=np.int32))
    frame = np.repeat(start, ON_FRAMES) + np.tile(np.arange(ON_FRAMES, dtype=np.int32), molecules)
    order = np.argsort(frame, kind="stable")
    columns: dict[str, NDArray[np.generic]] = {"frame": frame[order].astype(np.int64)}
    for name in ("y", "x"):
        place = np.repeat(rng.uniform(0, FIELD_PX, molecules), ON_FRAMES)
        place += rng.normal(0, SIGMA_PX, len(place))
        columns[name] = place[order]
    for name in ("photons", "background", "sigma", "probability"):
        columns[name] = np.ones(len(frame), np.float32)
    for name in ("y_uncertainty", "x_uncertainty"):
        columns[name] = np.full(len(frame), SIGMA_PX, np.float32)
    return Localizations(columns, pixel_size_nm=PIXEL_NM, n_frames=n_frames, copy=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picasso", metavar="PYTHON")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    if not arguments.quick:
        rows = [row for name in TABLES for row in known_rows(name, arguments.picasso)]
        print(markdown(["table", "rows", "program", "settings", "F1 of whole molecules", "s"], rows), end="\n\n")
    link(simulated(900))  # compiles
    timed: list[list[object]] = []
    for n in QUICK_ROWS if arguments.quick else arguments.rows:
        table = simulated(n)
        size = sum(table[name].nbytes for name in table.columns) / 2**30
        (linked, seconds), peak = with_peak(partial(seconds_of, table, 1 if n > 5_000_000 else 3))
        timed.append([f"{len(table):,}", f"{len(linked.molecules):,}", f"{seconds:.2f}", f"{size:.2f}", shown(peak)])
        del table, linked
    print(markdown(["rows", "molecules", "s", "table, GiB", "memory besides, GiB"], timed))


if __name__ == "__main__":
    main()
