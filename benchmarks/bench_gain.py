"""How near the gain and the baseline come that are estimated from a movie, over widths, photons and scenes; simulated.

Every cell of the table has a movie for each scene: 256 x 256 pixels, flashes of one frame or long blinks, few or many
molecules, a dark or a bright background, sCMOS or EMCCD. ``--seed`` draws others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from common import machine, markdown

from napari_subpixel.calibration.camera_estimate import estimate_camera
from napari_subpixel.calibration.frame_pairs import MAX_PIXELS, sampled_pairs
from napari_subpixel.calibration.microscope import UNCERTAIN
from napari_subpixel.camera import Camera
from napari_subpixel.errors import NoEstimateError
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate

SCMOS = Camera(100.0, 100.0, 0.5, 0.8, read_noise_e=1.6)
EMCCD = Camera(100.0, 200.0, 12.0, 0.9, 300.0, 60.0)
SIGMAS_PX = (0.8, 0.9, 1.0, 1.3, 2.0)
PHOTONS = (500.0, 3000.0, 20_000.0)
MOVIE = Simulation(frame_shape=(256, 256), structure="uniform", molecules=20_000, n_frames=100, camera=SCMOS)
#: What differs between the movies of a cell.
SCENES = {
    "flashes": {"on_time_frames": 0.0, "emitters_per_frame": 30.0, "background": 50.0},
    "long blinks": {"on_time_frames": 6.0, "emitters_per_frame": 30.0, "background": 50.0},
    "sparse and dark": {"on_time_frames": 0.0, "emitters_per_frame": 3.0, "background": 5.0},
    "sparse and bright": {"on_time_frames": 2.0, "emitters_per_frame": 3.0, "background": 200.0},
    "crowded": {"on_time_frames": 0.0, "emitters_per_frame": 300.0, "background": 100.0},
    "EMCCD": {"on_time_frames": 0.0, "emitters_per_frame": 30.0, "background": 20.0, "camera": EMCCD},
    "20 frames": {"on_time_frames": 2.0, "emitters_per_frame": 30.0, "background": 50.0, "n_frames": 20},
}


class Estimate(NamedTuple):
    """Estimated over true gain, the estimate's own error as a share, and the baseline's error in photo-electrons."""

    ratio: float
    uncertainty: float
    baseline_e: float


def estimates(sigma_px: float, photons: float, rng: np.random.Generator) -> Iterator[tuple[str, Estimate | None]]:
    """Yield the estimate from a movie of every scene, None where the movie shows no gain."""
    for name, scene in SCENES.items():
        simulation = replace(MOVIE, psf=GaussianPSF(100 * sigma_px), photons=photons, **scene)  # type: ignore[arg-type]
        movie, _ = simulate(simulation, rng)
        height, width = simulation.frame_shape
        movie = movie[sampled_pairs(len(movie), MAX_PIXELS // (height * width)).ravel()]
        true = simulation.camera
        try:
            found, uncertainty = estimate_camera(movie, Camera(em_gain=true.em_gain, read_noise_e=true.read_noise_e))
        except NoEstimateError:
            yield name, None
            continue
        gain = float(np.mean(true.electrons_per_adu))
        error = float(np.mean(found.baseline)) - float(np.mean(true.baseline))
        yield name, Estimate(gain / float(np.mean(found.electrons_per_adu)), uncertainty, error * gain / true.em_gain)


def cell(sure: list[Estimate], n_unsure: int) -> str:
    """Return the range of the gains that are not reported as uncertain, and how many are."""
    ratios = [estimate.ratio for estimate in sure]
    text = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "-"
    return f"{text} ({n_unsure})" if n_unsure else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-v", action="store_true", help="every movie in a line")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    everything: list[Estimate] = []
    rows, n_refused = [], 0
    for sigma_px in SIGMAS_PX:
        row = [f"{sigma_px:g}"]
        for photons in PHOTONS:
            found = dict(estimates(sigma_px, photons, rng))
            if arguments.v:
                for name, estimate in found.items():
                    print(f"{sigma_px:g} px, {photons:g} photons, {name}: {estimate}", flush=True)
            known = [estimate for estimate in found.values() if estimate is not None]
            sure = [estimate for estimate in known if estimate.uncertainty <= UNCERTAIN]
            n_refused += len(found) - len(known)
            everything += known
            row.append(cell(sure, len(found) - len(sure)))
        rows.append(row)
    print(f"machine: {machine()}\n")
    print("Estimated over true gain; in brackets, how many of the 7 movies have a warning that it is uncertain.\n")
    print(markdown(["sigma, px", *(f"{photons:g} photons" for photons in PHOTONS)], rows))
    table = np.array(everything)
    deviation = (1 / table[:, 0] - 1) / table[:, 1]
    sure_ones = table[table[:, 1] <= UNCERTAIN]
    print(
        f"\n{len(everything)} movies, {n_refused} more show no gain; of {len(sure_ones)} without a warning "
        f"{int((np.abs(sure_ones[:, 0] - 1) > 0.2).sum())} are off by more than 20%, their baselines by "
        f"{np.median(np.abs(sure_ones[:, 2])):.1f} photo-electrons (median); error over its own estimate, root mean "
        f"square: {np.sqrt(np.mean(deviation**2)):.2f}"
    )


if __name__ == "__main__":
    main()
