"""Sparse frames detected in squares and the same frames detected whole: time, and how far points move.

    python benchmarks/bench_squares.py [--model NAME] [--frames N] [--quick]

Ten kinds of simulated frames of 512 x 512 pixels, one molecule and more per 100 square micrometres, from bright to
hardly visible; Jaccard indices at 50 nm. What is not exact must keep points within 0.01 px, RMS, and the Jaccard index
within 0.002, but for a molecule that comes or goes among few.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from bench_speed import SPARSE
from common import CROWDED_CAMERA, CROWDED_SIGMA_NM, machine, markdown
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_subpixel.camera import Camera
from napari_subpixel.detection import tiling
from napari_subpixel.detection.detector import Detector
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.simulation.simulate import simulate

CMOS = Camera(100.0, 100.0, 0.5, 0.8, 1.0, 1.5)
#: What differs from the sparse movie of the other benchmarks: of the simulation, and the camera.
KINDS = {
    "EMCCD, 2,000 photons": ({}, CROWDED_CAMERA),
    "EMCCD, 500 photons": ({"photons": 500.0}, CROWDED_CAMERA),
    "EMCCD, 300 photons": ({"photons": 300.0}, CROWDED_CAMERA),
    "sCMOS, 300 photons": ({"photons": 300.0}, CMOS),
    "sCMOS, 120 photons on 1": ({"photons": 120.0, "background": 1.0}, CMOS),
    "EMCCD, 150 photons on 1": ({"photons": 150.0, "background": 1.0}, CROWDED_CAMERA),
    "EMCCD, 1,000 photons on 200": ({"photons": 1000.0, "background": 200.0}, CROWDED_CAMERA),
    "EMCCD, twice as dense": ({"emitters_per_frame": 50.0}, CROWDED_CAMERA),
    "EMCCD, four times as dense": ({"emitters_per_frame": 100.0}, CROWDED_CAMERA),
    "sCMOS, 600 photons, twice as dense": ({"emitters_per_frame": 50.0, "photons": 600.0}, CMOS),
}
SEED, NEAR_PX = 2, 0.5
#: The share of a frame that squares may cover: none, so that frames are detected whole.
NEVER = -1.0


def found(detector: Detector, frames: NDArray, camera: Camera) -> tuple[Localizations, float]:
    """Return the molecules and the seconds that it took."""
    began = time.perf_counter()
    table = detector.detect(frames, camera=camera, sigma_px=CROWDED_SIGMA_NM / 100)
    return table.with_about(pixel_size_nm=100.0), time.perf_counter() - began


def compared(detector: Detector, kind: str, n_frames: int) -> list[object]:
    """Return a line of the table."""
    changed, camera = KINDS[kind]
    movie = replace(SPARSE, n_frames=n_frames, camera=camera, **changed)
    frames, truth = simulate(movie, np.random.default_rng(SEED))
    detector.detect(frames[:1], camera=camera, sigma_px=CROWDED_SIGMA_NM / 100)
    squares, quick = found(detector, frames, camera)
    share, tiling.MAX_SQUARES_SHARE = tiling.MAX_SQUARES_SHARE, NEVER
    try:
        whole, slow = found(detector, frames, camera)
    finally:
        tiling.MAX_SQUARES_SHARE = share
    places = [np.column_stack([table.frame * 1e5, table.yx]) for table in (whole, squares)]
    apart, _ = cKDTree(places[1]).query(places[0])
    near = apart < NEAR_PX
    rms = np.sqrt(np.mean(apart[near] ** 2) / 2)
    jaccards = [evaluate(table, truth, (50.0,))[0].jaccard for table in (whole, squares)]
    times = [f"{1e3 * seconds / n_frames:.0f}" for seconds in (slow, quick)]
    return [
        kind, *times, f"{slow / quick:.1f}", len(whole), len(squares), int((~near).sum()), f"{rms:.4f}",
        f"{jaccards[0]:.4f}", f"{jaccards[1] - jaccards[0]:+.4f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="two kinds, three frames of each")
    arguments = parser.parse_args()
    kinds, n_frames = ([*KINDS][:2], 3) if arguments.quick else (KINDS, arguments.frames)
    detector = Detector(arguments.model, device="cpu")
    print(f"machine: {machine()}\nmodel {detector.card.name}, {n_frames} frames of each kind\n")
    head = [
        "frames", "whole, ms", "squares, ms", "ratio", "points, whole", "squares", "not found again", "RMS moved, px",
        "Jaccard, whole", "squares",
    ]  # fmt: skip
    print(markdown(head, [compared(detector, kind, n_frames) for kind in kinds]))


if __name__ == "__main__":
    main()
