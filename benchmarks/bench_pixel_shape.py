"""What pixels that are not square do to a model that takes the PSF for round; simulated.

Every row is a movie of the same field and the same number of molecules, on pixels of the same area and another ratio of
height to width. ``--seed`` draws others, ``--model`` takes another model, ``--quick`` few frames.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
from common import machine, markdown

from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.models import load_model
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.simulate import Simulation, simulate

#: Height of a pixel over its width.
RATIOS = (1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0)
#: Standard deviations of the point spread function.
SIGMAS_NM = (110.0, 150.0)
#: Molecules in a frame of 12.8 x 12.8 micrometres: few, and crowded.
MOLECULES = (80, 400)
#: Photons of a molecule in a frame.
PHOTONS = 2000.0
#: Side of a frame.
SIDE_NM = 12_800.0
#: Side of a square of a pixel's area.
PIXEL_NM = 100.0
#: How far a point may lie from its molecule.
TOLERANCE_NM = 50.0
#: Frames of a movie.
FRAMES = 24
#: Frames of a movie of a quick run.
QUICK_FRAMES = 2


def row(detector: Detector, ratio: float, sigma_nm: float, molecules: int, frames: int, seed: int) -> list[str]:
    """Simulate and detect a movie, and return its scores."""
    size = (PIXEL_NM * math.sqrt(ratio), PIXEL_NM / math.sqrt(ratio))
    simulation = Simulation(
        frame_shape=(round(SIDE_NM / size[0]), round(SIDE_NM / size[1])),
        n_frames=frames,
        camera=Camera(size, 100, 0.5, read_noise_e=1.5),
        psf=GaussianPSF(sigma_nm),
        structure="uniform",
        molecules=20_000,
        emitters_per_frame=molecules,
        photons=PHOTONS,
        on_time_frames=0,
    )
    movie, truth = simulate(simulation, np.random.default_rng(seed))
    table = detector.detect(
        movie, camera=simulation.camera, sigma_px=simulation.sigma_px, molecule_photons=PHOTONS
    ).with_about(pixel_size_nm=simulation.pixel_size_nm)
    score = evaluate(table, truth, TOLERANCE_NM)[0]
    errors = [f"{error:.3f}" for error in (score.jaccard, score.error_over_uncertainty)]
    return [f"{molecules}", f"{sigma_nm:g}", f"{ratio:g}", errors[0], f"{score.rmse_nm:.2f}", errors[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few frames, one width, two ratios")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    detector = Detector(load_model(arguments.model), device="cpu")
    frames = QUICK_FRAMES if arguments.quick else FRAMES
    ratios, sigmas = ((1.0, 1.5), SIGMAS_NM[:1]) if arguments.quick else (RATIOS, SIGMAS_NM)
    rows = [
        row(detector, ratio, sigma_nm, molecules, frames, arguments.seed)
        for molecules, sigma_nm, ratio in itertools.product(MOLECULES, sigmas, ratios)
    ]
    header = ["molecules", "sigma [nm]", "height / width", "Jaccard", "RMSE [nm]", "error / uncertainty"]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
