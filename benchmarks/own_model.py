"""What a shipped model gains by going on learning for one microscope, as ``napari-subpixel train --from`` does it.

    python benchmarks/own_model.py [--base default] [--base fast] [--iterations N]

The microscope is an EMCCD on a dense sample, simulated. The scores are those on movies of the same ranges that are
used neither for training nor for measuring during it, and that both models see.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from common import CROWDED_CAMERA, machine, markdown

from napari_subpixel.cli import main as napari_subpixel
from napari_subpixel.models import load_model
from napari_subpixel.models.domain import Domain
from napari_subpixel.training.held_out import held_out_simulations, measuring
from napari_subpixel.training.imitation import sigma_range

#: Standard deviation of the point spread function.
SIGMA_NM = 110.0
#: Photons of a molecule in a frame.
PHOTONS = (700.0, 1800.0)
#: Photons per pixel.
BACKGROUND = (10.0, 30.0)
#: Molecules in a frame, per square micrometre.
DENSITY_UM2 = (2.0, 6.0)
#: Steps for each model that take some five minutes on two cores that know bfloat16.
ITERATIONS = {"default": 1200, "fast": 4000}
#: Sets of movies to measure on.
SETS = 3
#: Of the first set.
SEED = 77


def row(base: str, iterations: int, folder: Path) -> list[str]:
    """Train, and return what it took and what it gained."""
    camera, model = folder / "camera.yaml", folder / f"{base}.safetensors"
    CROWDED_CAMERA.to_yaml(camera)
    flags = {
        "--camera": camera,
        "--psf-sigma-nm": SIGMA_NM,
        "--photons-range": "{:g}:{:g}".format(*PHOTONS),
        "--background-range": "{:g}:{:g}".format(*BACKGROUND),
        "--density-um2": "{:g}:{:g}".format(*DENSITY_UM2),
        "--iterations": iterations,
    }
    arguments = [
        "train",
        "-o",
        model,
        "--from",
        base,
        "--overwrite",
        *(part for pair in flags.items() for part in pair),
    ]
    began = time.perf_counter()
    if napari_subpixel([str(argument) for argument in arguments]) != 0:
        raise SystemExit("the training failed")
    minutes = (time.perf_counter() - began) / 60
    domain = Domain(
        sigma_px=sigma_range(SIGMA_NM / 100),
        photons=PHOTONS,
        background=BACKGROUND,
        density_per_px=(DENSITY_UM2[0] / 100, DENSITY_UM2[1] / 100),
    )
    rng = np.random.default_rng(SEED)
    movies = [movie for _ in range(SETS) for movie in held_out_simulations(domain, CROWDED_CAMERA, rng)]
    before, after = (
        measuring(known.card, movies, "cpu")(known.network) for known in (load_model(base), load_model(model))
    )
    return [base, f"{iterations}", f"{minutes:.1f}", f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", action="append", choices=ITERATIONS, help="model to fine-tune (default)")
    parser.add_argument("--iterations", type=int, help="instead of those that take some five minutes")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for base in arguments.base or ["default"]:
            rows.append(row(base, arguments.iterations or ITERATIONS[base], Path(folder)))
    print(f"machine: {machine()}\n")
    print(markdown(["model", "steps", "minutes", "J@50 nm before", "after", "gain"], rows))


if __name__ == "__main__":
    main()
