"""Frames per second from a movie on disk to a table on disk, next to Picasso's in the same run.

    python benchmarks/bench_speed.py --picasso PYTHON [--model NAME ...] [--movie crowded] [--write-card]

PYTHON is that of an environment with Picasso (picassosr); without it only our own models are timed. The movies are the
crowded test movie of the benchmarks (``NAPARI_SUBPIXEL_DATA``) and a simulated sparse one, 1 molecule per 100 square
micrometres on 512 x 512 pixels. Each program runs the given number of times, alternately, and its best run
counts, since other work on the machine only ever slows one down. Picasso runs ``localize.identify`` and
``localize.fit``, as its *Localize* does; its seconds leave out reading, writing and compiling, ours loading the model.
--write-card puts the crowded movie's rate into the cards of shipped models.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from common import (
    CROWDED_CAMERA,
    CROWDED_SIGMA_NM,
    data_folder,
    machine,
    markdown,
    picasso_seconds,
    write_figures,
)

from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_to_file
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.stacks.writing import write_movie

#: The models that are timed where none is named: those of others' methods are not made for speed.
MODELS = ("default", "fast", "paper")
#: What the peer is called in the table.
PEER = "Picasso localize.fit (gausslq)"
#: The two movies by the name that chooses them.
CROWDED_MOVIE, SPARSE_MOVIE = "crowded", "sparse"
SPARSE = Simulation(
    frame_shape=(512, 512), n_frames=300, camera=CROWDED_CAMERA, psf=GaussianPSF(CROWDED_SIGMA_NM), structure="uniform",
    emitters_per_frame=512 * 512 * 0.01 / 100, photons=2000.0, background=20.0, on_time_frames=0.0, min_photons=0.0,
)  # fmt: skip


def ours(model: str, movie: Path, folder: Path) -> Callable[[], float]:
    """Return a run of a model from disk to the native table, which says its seconds, without loading the model."""
    detector = Detector(model, device="cpu")

    def run() -> float:
        began = time.perf_counter()
        with open_stack(movie) as stack:
            job = job_for(
                stack,
                detector,
                DetectionOptions(CROWDED_CAMERA, psf=GaussianPSF(CROWDED_SIGMA_NM), estimate_camera=False),
            )
            for _ in detect_to_file(job, folder / f"{Path(model).stem}.parquet", overwrite=True):
                pass
        return time.perf_counter() - began

    return run


def speed_figures(rate: float) -> dict[str, object]:
    """Return what a card says of the crowded movie: frames of 64 x 64 pixels a second."""
    return {
        "speed_command": "python benchmarks/bench_speed.py --movie crowded",
        "speed_machine": machine(),
        "test_frames_per_second": round(rate),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picasso", metavar="PYTHON")
    parser.add_argument("--model", action="append")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--movie", action="append", choices=(CROWDED_MOVIE, SPARSE_MOVIE))
    parser.add_argument("--write-card", action="store_true")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        movies = {CROWDED_MOVIE: data_folder() / "deepstorm_demo1" / "test.tif", SPARSE_MOVIE: folder / "sparse.tif"}
        frames, _ = simulate(SPARSE, np.random.default_rng(1))
        write_movie(folder / "sparse.tif", [frames], shape=frames.shape, pixel_size_nm=100)
        for movie in (movies[name] for name in arguments.movie or movies):
            runs = {model: ours(model, movie, folder) for model in arguments.model or MODELS}
            if arguments.picasso:
                runs[PEER] = partial(picasso_seconds, arguments.picasso, movie, folder / "picasso.hdf5")
            seconds: dict[str, list[float]] = {program: [] for program in runs}
            for _ in range(arguments.repeats):
                for program, run in runs.items():
                    seconds[program].append(run())
            with open_stack(movie) as stack:
                rates = {program: stack.n_frames / min(times) for program, times in seconds.items()}
            peer = rates.get(PEER)
            if arguments.write_card and movie.name == "test.tif":
                for model in runs.keys() - {PEER}:
                    write_figures(model, speed_figures(rates[model]))
            rows += [
                [movie.name, program, f"{rate:.0f}", "-" if peer is None else f"{rate / peer:.2f}"]
                for program, rate in rates.items()
            ]
    print(markdown(["movie", "program", "frames/s", "over Picasso"], rows))


if __name__ == "__main__":
    main()
