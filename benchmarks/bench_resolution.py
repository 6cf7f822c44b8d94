"""Localization precision and resolution of tables with known uncertainties, and Picasso's in the same run.

    python benchmarks/bench_resolution.py --picasso-python /path/to/python

Needs the test data (NAPARI_SUBPIXEL_DATA); without the Python of an environment with Picasso its columns are empty.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from common import ROOT, data_folder, machine

from napari_subpixel import Localizations, read_localizations, resolution, write_localizations

#: Width of the camera's pixels that the tables in nm are given, in nm.
PIXEL_SIZE_NM = 100.0
#: Window of Picasso's sample that its FRC is quoted for, in pixels.
WINDOW = (22.0, 25.0, 24.0, 27.0)
#: Molecules of the simulation with uncertainties of a wide spread.
N_MOLECULES = 15_000


def main() -> None:
    """Measure every table and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picasso-python", metavar="PATH")
    arguments = parser.parse_args()
    print(machine())
    header = ["table", "rows", "mean sigma", "NeNA", "factor", "textbook", "FRC", "s", "Picasso NeNA", "FRC", "s"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for name, table in tables(data_folder() / "after").items():
        began = time.perf_counter()
        measured = resolution(table)
        seconds = time.perf_counter() - began
        nena, frc = measured.nena, measured.frc
        mean_nm = float(np.mean(table["x_uncertainty"])) * table.known_pixel_size_nm()
        peer = picasso(arguments.picasso_python, table, WINDOW if "window" in name else None)
        cells = [
            name, len(table), f"{mean_nm:.2f}", shown(nena.nena_nm, nena.nena_error_nm, 2),
            shown(nena.uncertainty_factor, None, 3), shown(nena.textbook_nm, None, 2),
            shown(frc.frc_nm, frc.frc_error_nm, 1), f"{seconds:.1f}", *peer,
        ]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def shown(value: float | None, error: float | None, decimals: int) -> str:
    """Return a number with its error, or a dash."""
    if value is None:
        return "-"
    return f"{value:.{decimals}f}" + (f" +- {error:.{decimals}f}" if error is not None else "")


def tables(folder: Path) -> dict[str, Localizations]:
    """Return the tables: two simulated ones without their drift, Picasso's sample, and uncertainties of wide spread."""
    found = {}
    for name in ("paint", "filaments"):
        table = read_localizations(folder / f"{name}.csv", pixel_size_nm=PIXEL_SIZE_NM)
        drift_nm = np.loadtxt(folder / f"{name}_drift.csv", delimiter=",", skiprows=1)[table.frame, 1:]
        x, y = table.x - drift_nm[:, 0] / PIXEL_SIZE_NM, table.y - drift_nm[:, 1] / PIXEL_SIZE_NM
        found[f"{name}, drift removed"] = table.with_columns(y=y, x=x)
    sample = read_localizations(folder / "picasso_raw_movie_locs.hdf5")
    found["Picasso's sample"] = sample
    inside = (sample.y >= WINDOW[0]) & (sample.y < WINDOW[1]) & (sample.x >= WINDOW[2]) & (sample.x < WINDOW[3])
    found["its window"] = sample.select(inside)
    found["sigmas of spread 0.5"] = wide_spread(np.random.default_rng(0))
    return found


def wide_spread(rng: np.random.Generator) -> Localizations:
    """Return rows of molecules in a plane, on for three frames on average, with log-normal uncertainties."""
    on = rng.geometric(1 / 3, N_MOLECULES)
    molecule = np.repeat(np.arange(N_MOLECULES), on)
    frame = rng.integers(0, 8000, N_MOLECULES)[molecule] + np.arange(len(molecule)) - np.repeat(np.cumsum(on) - on, on)
    sigma_px = 0.1 * np.exp(rng.normal(0, 0.5, len(molecule)))
    yx = rng.uniform(0, 100, (N_MOLECULES, 2))[molecule] + rng.normal(size=(len(molecule), 2)) * sigma_px[:, None]
    columns = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "y_uncertainty": sigma_px, "x_uncertainty": sigma_px}
    table = Localizations(columns, pixel_size_nm=PIXEL_SIZE_NM, frame_shape=(100, 100), n_frames=int(frame.max()) + 1)
    return table.select(np.argsort(frame, kind="stable"))


def picasso(python: str | None, table: Localizations, window: tuple[float, ...] | None) -> list[str]:
    """Return Picasso's NeNA, FRC and seconds, as text."""
    if python is None:
        return ["-"] * 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.hdf5")
        shape = table.frame_shape or tuple(int(np.ceil(along.max())) + 2 for along in (table.y, table.x))
        write_localizations(path, table.with_about(frame_shape=shape))
        script = ROOT / "benchmarks" / "picasso_resolution.py"
        # Of a whole field, at its pixels of half the precision, its FRC takes minutes.
        flags = ["--window-px", *map(str, window)] if window else ["--splits", "0"]
        command = [python, str(script), str(path), *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [done.stderr.strip().splitlines()[-1][:40], "-", "-"]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    values = [value for value in found["frc_nm"] if value is not None]
    spread = f"{min(values):.1f} to {max(values):.1f}" if values else "-"
    return [f"{found['nena_nm']:.2f}", spread, f"{found['nena_s'] + found['frc_s']:.1f}"]


if __name__ == "__main__":
    main()
