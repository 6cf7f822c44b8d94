"""From a movie on disk to a table on disk: what streaming costs, what memory it takes, and how seconds grow.

    python benchmarks/bench_stream.py [--part overlap|memory|growth ...] [--model NAME] [--gigabytes 10] [--quick]

`overlap` sets the whole way against detection alone on frames in memory, turn and turn about. `memory` has the command
detect large movies in a process of its own and reports its peak. `growth` varies the number of frames, their size, the
density of molecules and the workers of Dask, one at a time. All movies are simulated, and repeated to their length.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from common import CROWDED_CAMERA, CROWDED_SIGMA_NM, machine, markdown
from numpy.typing import NDArray

from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import Detecting, detect, detect_to_file
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

#: Frames that are simulated; longer movies repeat them.
DISTINCT = 200
#: Of the simulation.
SEED = 3
#: Pixels of a movie whose frames vary in size.
PIXELS = 6 * 1024**2 * 4
#: Frames of a movie whose number of frames varies.
FRAMES = (250, 1000, 4000)
#: Sides of the frames, in pixels.
SIDES = (64, 256, 1024)
#: Molecules per square micrometre.
DENSITIES = (0.01, 0.1, 1.0, 3.0, 6.0)
#: Numbers of workers.
WORKERS = (1, 2)
#: Molecules per square micrometre of a sparse movie.
SPARSE = 0.01
#: Molecules per square micrometre of the crowded movie of the benchmarks.
CROWDED = 5.5
#: Times that each run is repeated.
REPEATS = 3


def frames_of(side: int, per_um2: float, n_frames: int) -> NDArray[np.uint16]:
    """Simulate frames of the benchmarks' camera, with molecules at random places."""
    n = min(n_frames, max(4, DISTINCT * 64 * 64 // side**2))
    emitters = side**2 * 0.01 * per_um2
    settings = Simulation(
        frame_shape=(side, side), n_frames=n, camera=CROWDED_CAMERA, psf=GaussianPSF(CROWDED_SIGMA_NM),
        structure="uniform", emitters_per_frame=emitters, molecules=max(5000, int(3 * emitters)), photons=2000.0,
        background=20.0, on_time_frames=0.0, min_photons=0.0,
    )  # fmt: skip
    return simulate(settings, np.random.default_rng(SEED))[0]


def write(path: Path, frames: NDArray[np.uint16], n_frames: int) -> Path:
    """Write a movie that repeats some frames."""

    def repeated() -> Iterator[NDArray[np.uint16]]:
        for k in range(n_frames):
            yield frames[k % len(frames)]

    shape = (n_frames, *frames.shape[1:])
    tifffile.imwrite(path, repeated(), shape=shape, dtype=frames.dtype, bigtiff=True, photometric="minisblack")
    return path


def seconds_to_file(movie: Path, detector: Detector, detecting: Detecting = detect) -> float:
    """Return the seconds from a movie to the native table, without loading the model and without estimates."""
    with tempfile.TemporaryDirectory() as folder, open_stack(movie) as stack:
        job = DetectionJob(stack, detector, CROWDED_CAMERA, sigma_px=CROWDED_SIGMA_NM / 100)
        began = time.perf_counter()
        for _ in detect_to_file(job, Path(folder, "table.parquet"), detecting=detecting):
            pass
        return time.perf_counter() - began


def overlap(folder: Path, model: str, quick: bool) -> str:
    """Compare the whole way with detection alone."""
    rows = []
    for name, side, density in (("crowded", 64, CROWDED), ("sparse", 512, SPARSE)):
        n_frames = 10 if quick else (2000 if side == 64 else 160)
        movie = write(folder / f"{name}.tif", frames_of(side, density, n_frames), n_frames)
        detector, best = Detector(model, device="cpu"), {"file": np.inf, "memory": np.inf}
        with open_stack(movie) as stack:
            frames = stack[:]
        for _ in range(1 if quick else REPEATS):
            best["file"] = min(best["file"], seconds_to_file(movie, detector))
            began = time.perf_counter()
            detector.detect(frames, camera=CROWDED_CAMERA, sigma_px=CROWDED_SIGMA_NM / 100)
            best["memory"] = min(best["memory"], time.perf_counter() - began)
        rates = [n_frames / best[way] for way in ("file", "memory")]
        rows.append([name, f"{side} x {side}", *(f"{rate:.0f}" for rate in rates), f"{rates[0] / rates[1]:.2f}"])
    return markdown(["movie", "frame, px", "disk to table, frames/s", "in memory, frames/s", "ratio"], rows)


def memory(folder: Path, model: str, gigabytes: float, quick: bool) -> str:
    """Have movies detected by a process of its own, and return its peak memory."""
    rows = []
    cases = [
        ("sparse", 2048, SPARSE, gigabytes),
        ("crowded", 2048, CROWDED, gigabytes / 50),
        ("crowded", 64, CROWDED, gigabytes / 10),
    ]
    for name, side, density, size in cases[2:] if quick else cases:
        n_frames = max(1, int(size * 1e9 / (2 * side**2)))
        movie = write(folder / "large.tif", frames_of(side, density, n_frames), n_frames)
        command = [
            sys.executable, "-m", "napari_subpixel", "detect", movie, "-o", folder / "large.parquet", "--overwrite",
            "--model", model, "--device", "cpu", "--pixel-size-nm", "100", "--baseline", "100",
            "--electrons-per-adu", "145.28", "--em-gain", "300", "--psf-sigma-nm", str(CROWDED_SIGMA_NM),
        ]  # fmt: skip
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
        words = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(words)
        seconds = time.perf_counter() - began
        peak = usage.ru_maxrss / 2**20
        rows.append([name, f"{side} x {side}", n_frames, f"{size:.2f}", f"{seconds:.0f}", f"{peak:.2f}"])
        movie.unlink()
    return markdown(["movie", "frame, px", "frames", "GB", "s", "peak memory, GiB"], rows)


def growth(folder: Path, model: str, quick: bool) -> str:
    """Vary one thing at a time."""
    detector, rows = Detector(model, device="cpu"), []

    def row(what: str, side: int, density: float, n_frames: int, detecting: Detecting = detect) -> None:
        movie = write(folder / "movie.tif", frames_of(side, density, n_frames), n_frames)
        seconds = min(seconds_to_file(movie, detector, detecting) for _ in range(1 if quick else 2))
        megapixels = n_frames * side**2 / 1e6
        rows.append(
            [what, f"{side} x {side}", n_frames, f"{density:g}", f"{seconds:.2f}", f"{n_frames / seconds:.1f}",
             f"{megapixels / seconds:.2f}"]
        )  # fmt: skip

    for n_frames in FRAMES[:1] if quick else FRAMES:
        row("frames", 64, CROWDED, n_frames)
    for side in SIDES[:1] if quick else SIDES:
        row("frame size", side, SPARSE, max(4, (PIXELS // 8 if quick else PIXELS) // side**2))
    for density in DENSITIES[:1] if quick else DENSITIES:
        row("density", 128, density, 40 if quick else 600)
    from napari_subpixel.runs.dask_cluster import local_workers

    for n_workers in () if quick else WORKERS:
        with local_workers(n_workers, device="cpu") as cluster:
            seconds_to_file(write(folder / "movie.tif", frames_of(64, CROWDED, 300), 300), detector, cluster.detect)
            row(f"{n_workers} worker{'s'[: n_workers > 1]} of Dask", 64, CROWDED, FRAMES[-1], cluster.detect)
    header = ["varied", "frame, px", "frames", "molecules per um2", "s", "frames/s", "megapixels/s"]
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("overlap", "memory", "growth"))
    parser.add_argument("--model", default="fast")
    parser.add_argument("--gigabytes", type=float, default=10.0, help="of the largest movie (10)")
    parser.add_argument("--quick", action="store_true", help="small movies, and once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.gigabytes = 0.02
    print(f"machine: {machine()}; model {arguments.model}\n")
    with tempfile.TemporaryDirectory() as name:
        folder, model, quick = Path(name), arguments.model, arguments.quick
        for part in arguments.part or ("overlap", "memory", "growth"):
            if part == "overlap":
                print(overlap(folder, model, quick), flush=True)
            elif part == "memory":
                print(memory(folder, model, arguments.gigabytes, quick), flush=True)
            else:
                print(growth(folder, model, quick), flush=True)
            print()


if __name__ == "__main__":
    main()
