"""Drift of simulated tables with known truth, and of a real one: error, error band, seconds; and Picasso's AIM.

    python benchmarks/bench_drift.py [--picasso PYTHON] [--rows 1000000] [--figure FILE.png] [--quick]

PYTHON is that of an environment with Picasso (picassosr). The tables are those of the data folder's ``after`` and one
of `--rows` rows that is simulated here. Errors are root mean squares along y and x, without the shift of the whole
movie. The band is the part of all frames and both axes whose true drift is within one standard deviation.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import ROOT, data_folder, machine, markdown
from numpy.typing import NDArray

from napari_subpixel import Localizations, estimate_drift, read_localizations, write_localizations
from napari_subpixel._util.figures import BLUE, VERMILION, new_figure, save_figure
from napari_subpixel.analysis.drift_curve import DriftCurve

PIXEL_NM = 100.0
ROWS, QUICK_ROWS = 1_000_000, 6_000
#: Frames of Picasso's segments that are tried.
SEGMENTS = (100, 250, 500)
HEADER = ("table", "rows", "method", "error y [nm]", "error x [nm]", "promised [nm]", "band", "seconds")


def simulated(n_rows: int) -> tuple[Localizations, NDArray[np.float64]]:
    """Return DNA-PAINT sites in a field of 40 um whose drift wanders, and the drift in y and x by frame."""
    rng = np.random.default_rng(7)
    n_frames = max(n_rows // 20, 400)
    walk = np.cumsum(rng.normal(0, 20 / np.sqrt(n_frames), (n_frames, 2)), axis=0)
    box = n_frames // 100
    drift = np.stack(
        [np.convolve(np.pad(w, box, mode="edge"), np.ones(box) / box, "same")[box:-box] for w in walk.T], 1
    )
    side = 40_000 * np.sqrt(n_rows / ROWS)
    sites = rng.uniform(0, side, (n_rows // 40, 2))
    length = rng.geometric(0.4, int(n_rows * 0.4))
    event = np.repeat(np.arange(len(length)), length)
    frame = rng.integers(0, n_frames, len(length))[event] + np.concatenate([np.arange(n) for n in length])
    event, frame = event[frame < n_frames], frame[frame < n_frames]
    sigma = 10 * rng.lognormal(0, 0.25, len(event))
    yx = sites[rng.integers(0, len(sites), len(length))][event] + drift[frame]
    yx = (yx + rng.normal(size=yx.shape) * sigma[:, None]) / PIXEL_NM
    columns = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "y_uncertainty": sigma / PIXEL_NM}
    about = {"pixel_size_nm": PIXEL_NM, "n_frames": n_frames, "frame_shape": (int(side / PIXEL_NM) + 5,) * 2}
    return Localizations({**columns, "x_uncertainty": sigma / PIXEL_NM}, **about), drift


def given(name: str) -> tuple[Localizations, NDArray[np.float64]]:
    """Return a table of the data folder, and the drift in y and x by frame."""
    folder = data_folder() / "after"
    table = read_localizations(folder / f"{name}.csv", pixel_size_nm=PIXEL_NM)
    truth = pd.read_csv(folder / f"{name}_drift.csv")[["y_nm", "x_nm"]].to_numpy()
    size = int(np.ceil(max(table.y.max(), table.x.max()))) + 1
    return table.with_about(n_frames=len(truth), frame_shape=(size, size)), truth


def ours(name: str, table: Localizations, truth: NDArray[np.float64], repeats: int) -> tuple[list[object], DriftCurve]:
    """Return the line of a table, and the curve."""
    seconds = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        curve = estimate_drift(table)
        seconds = min(seconds, time.perf_counter() - began)
    off = centred(np.column_stack([curve.y_nm, curve.x_nm]) - truth)
    band = np.abs(off) <= np.column_stack([curve.y_error_nm, curve.x_error_nm])
    y, x = np.sqrt((off**2).mean(axis=0))
    line = [name, f"{len(table):,}", "ours", f"{y:.2f}", f"{x:.2f}", f"{curve.rms_error_nm:.2f}", f"{band.mean():.0%}"]
    return [*line, f"{seconds:.1f}"], curve


def picasso(python: str, name: str, table: Localizations, truth: NDArray[np.float64], segment: int) -> list[object]:
    """Return the line of a table by Picasso's AIM."""
    with tempfile.TemporaryDirectory() as folder:
        file, trace = Path(folder) / "table.hdf5", Path(folder) / "trace.csv"
        write_localizations(file, table)
        script = ROOT / "benchmarks" / "picasso_drift.py"
        command = [python, script, file, trace, "--segment", segment]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        program, _, seconds = done.stdout.strip().splitlines()[-1].rpartition(": ")
        drift = pd.read_csv(trace)[["y_nm", "x_nm"]].to_numpy()
    n = min(len(drift), len(truth))
    y, x = np.sqrt((centred(drift[:n] - truth[:n]) ** 2).mean(axis=0))
    method = f"{program}, AIM, {segment} frames"
    return [name, f"{len(table):,}", method, f"{y:.2f}", f"{x:.2f}", "-", "-", f"{float(seconds.split()[0]):.1f}"]


def centred(off: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a difference of curves without the shift of the whole movie."""
    return off - off.mean(axis=0)


def draw(path: Path, shown: dict[str, tuple[DriftCurve, NDArray[np.float64]]]) -> None:
    """Draw each curve above its error with the band, along x and y."""
    figure = new_figure(4.4 * len(shown), 4.6)
    axes = figure.subplots(2, len(shown), sharex="col", height_ratios=(3, 2), squeeze=False)
    for column, (name, (curve, truth)) in enumerate(shown.items()):
        above, below = axes[:, column]
        frame = np.arange(len(curve))
        parts = {"x": (curve.x_nm, curve.x_error_nm, BLUE, 1), "y": (curve.y_nm, curve.y_error_nm, VERMILION, 0)}
        for axis, (values, error, colour, k) in parts.items():
            above.plot(frame, values, color=colour, linewidth=1, label=axis)
            above.plot(frame, truth[:, k], color="black", linewidth=0.5, linestyle=":")
            below.plot(frame, centred(values[:, None] - truth[:, [k]])[:, 0], color=colour, linewidth=0.7)
            below.fill_between(frame, -error, error, color=colour, alpha=0.2, linewidth=0)
        above.set(title=name, ylabel="drift [nm]")
        above.legend(frameon=False)
        below.set(xlabel="frame", ylabel="error, band [nm]")
    save_figure(figure, path, title="drift and its error", overwrite=True)


def main() -> None:
    """Print the table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picasso", metavar="PYTHON")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--figure", type=Path, metavar="FILE.png")
    parser.add_argument("--quick", action="store_true", help="a few simulated rows only")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    tables = {"simulated": simulated(QUICK_ROWS if arguments.quick else arguments.rows)}
    if not arguments.quick:
        tables = {name: given(name) for name in ("paint", "filaments")} | tables
    lines, curves = [], {}
    for name, (table, truth) in tables.items():
        line, curve = ours(name, table, truth, 1 if arguments.quick else 2)
        lines.append(line)
        curves[name] = curve, truth
        if arguments.picasso:
            lines += [picasso(arguments.picasso, name, table, truth, segment) for segment in SEGMENTS]
    print(markdown(HEADER, lines))
    if arguments.figure:
        draw(arguments.figure, {name: shown for name, shown in curves.items() if name != "simulated"} or curves)


if __name__ == "__main__":
    main()
