"""What a model gains and loses by conditioning on the photons of a molecule, by density and their spread.

    python benchmarks/brightness_conditioning.py [--model NAME|PATH]

Simulated molecules at random places, of photons that are all alike, spread log-normally or exponentially. The model
runs unconditioned, and then conditioned on their median; `napari_subpixel.detection.brightness` decides by the spread
whether to condition. The last column is what that rule gives, 0 for nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from common import machine, markdown
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import estimate_brightness
from napari_subpixel.detection.detector import Detector
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.stacks import open_stack

CAMERA, SIGMA_PX, BACKGROUND = Camera(100.0, 100.0, 0.5), 1.3, 20.0
SIDE_PX, MOST_FRAMES, MOLECULES, SEED = 64, 40, 500, 5
DENSITIES_PER_PX = (0.002, 0.006, 0.015, 0.03, 0.055)
PHOTONS: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "all 2000": lambda rng, n: np.full(n, 2000.0),
    "log-normal, 0.35": lambda rng, n: 1900 * np.exp(0.35 * rng.normal(size=n)),
    "log-normal, 0.7": lambda rng, n: 1500 * np.exp(0.7 * rng.normal(size=n)),
    "200 + exponential, 1800": lambda rng, n: 200 + rng.exponential(1800, n),
}


def row(detector: Detector, density: float, name: str) -> list[str]:
    """Detect one movie without and with conditioning, and return its scores."""
    rng = np.random.default_rng(SEED)
    n_frames = min(MOST_FRAMES, max(4, int(MOLECULES / (density * SIDE_PX**2))))
    n = rng.poisson(density * SIDE_PX**2 * n_frames)
    frame = np.sort(rng.integers(0, n_frames, n))
    y, x = rng.uniform(-0.5, SIDE_PX - 0.5, (2, n))
    photons = PHOTONS[name](rng, n)
    light = draw_gaussians((n_frames, SIDE_PX, SIDE_PX), frame, y, x, photons, SIGMA_PX)
    movie = CAMERA.to_adu(rng.poisson(light + BACKGROUND))
    truth = Localizations({"frame": frame, "y": y, "x": x}, pixel_size_nm=CAMERA.pixel_size_nm)
    scores = []
    for molecule_photons in (0.0, float(f"{np.median(photons):.2g}")):
        found = detector.detect(movie, camera=CAMERA, sigma_px=SIGMA_PX, molecule_photons=molecule_photons)
        scores.append(evaluate(found, truth, 50.0)[0].jaccard)
    estimated = estimate_brightness(open_stack(movie), detector, CAMERA, SIGMA_PX).photons
    gain = scores[1] - scores[0]
    return [f"{density:g}", name, f"{scores[0]:.3f}", f"{scores[1]:.3f}", f"{gain:+.3f}", f"{estimated:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    detector = Detector(parser.parse_args().model, device="cpu")
    print(f"model {detector.card.name}; machine: {machine()}\n")
    head = ["molecules a pixel", "photons", "J@50 nm unconditioned", "conditioned", "gain", "photons by the rule"]
    print(markdown(head, [row(detector, density, name) for density in DENSITIES_PER_PX for name in PHOTONS]))


if __name__ == "__main__":
    main()
