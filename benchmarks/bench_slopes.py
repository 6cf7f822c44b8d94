"""Molecules on a background that rises to one side: their mean shift up the slope and their uncertainty; simulated.

    python benchmarks/bench_slopes.py [--model NAME] [--seed N] [--quick]

Movies of 256 x 256 pixels of 100 nm: a slope in photons per pixel, per pixel, from 20 photons on, or a Gaussian
illumination of 100 photons in the middle, 2 far away; of the latter, the shift is that towards the middle.
"""

from __future__ import annotations

import argparse
import itertools
from typing import NamedTuple

import numpy as np
from common import machine, markdown
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.psf import draw_gaussians

SHAPE = (256, 256)
CAMERA = Camera(100.0, 100.0, 0.5, 0.9, read_noise_e=1.5)
PIXEL_NM = 100.0
#: Photons per pixel, per pixel; the last is the Gaussian illumination.
SLOPES = (0.0, 0.2, 1.0, 5.0, None)
PHOTONS = (300.0, 1000.0, 5000.0)
SIGMAS_PX = (1.0, 1.3, 1.6)
#: Standard deviation of the illumination, in sides of the frame.
ILLUMINATED = 0.35
PER_FRAME, FRAMES = 30, 20
#: Points within this many pixels of a molecule are it.
NEAR_PX = 1.5
#: Errors of more uncertainties are of two molecules in one, and left out.
FAR_OFF = 6.0


class Errors(NamedTuple):
    """Errors of the points of a movie, in pixels."""

    uphill: NDArray[np.float64]
    uncertainty: NDArray[np.float64]


def light(slope: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the background, shape (Y, X), and the direction in which it rises, shape (2, Y, X)."""
    places = np.indices(SHAPE).astype(float)
    if slope is not None:
        return 20 + slope * places[1], np.stack([np.zeros(SHAPE), np.ones(SHAPE)])
    inwards = np.array(SHAPE).reshape(2, 1, 1) / 2 - places
    distance = np.hypot(*inwards)
    return 2 + 98 * np.exp(-0.5 * (distance / (ILLUMINATED * SHAPE[0])) ** 2), inwards / np.maximum(distance, 1.0)


def errors(detector: Detector, slope: float | None, photons: float, sigma_px: float, seed: int) -> Errors:
    """Detect a movie and return the errors along the slope."""
    rng = np.random.default_rng([seed, int(photons), round(10 * sigma_px)])
    n = PER_FRAME * FRAMES
    frame, y, x = np.sort(rng.integers(0, FRAMES, n)), *rng.uniform(2, SHAPE[0] - 3, (2, n))
    molecules = draw_gaussians((FRAMES, *SHAPE), frame, y, x, photons * np.exp(0.2 * rng.normal(size=n)), sigma_px)
    background, direction = light(slope)
    movie = CAMERA.expose(molecules + background, rng)
    table = detector.detect(movie, camera=CAMERA, sigma_px=sigma_px, molecule_photons=photons)
    true = np.column_stack([frame * 1e4, y, x])
    away, which = cKDTree(true).query(np.column_stack([table.frame * 1e4, table.y, table.x]))
    found = away < NEAR_PX
    which = which[found]
    way = direction[:, y[which].round().astype(int), x[which].round().astype(int)]
    uphill = (table.y[found] - y[which]) * way[0] + (table.x[found] - x[which]) * way[1]
    uncertainty = np.hypot(table["y_uncertainty"][found] * way[0], table["x_uncertainty"][found] * way[1])
    sound = (uncertainty > 0) & (np.abs(uphill) < FAR_OFF * uncertainty)
    return Errors(uphill[sound], uncertainty[sound])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one width and brightness")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    detector = Detector(arguments.model, device="cpu")
    photons, sigmas = ((1000.0,), (1.3,)) if arguments.quick else (PHOTONS, SIGMAS_PX)
    rows = []
    for slope, light_each in itertools.product(SLOPES, photons):
        row: list[object] = ["illumination" if slope is None else f"{slope:g}", f"{light_each:g}"]
        for sigma_px in sigmas:
            of = errors(detector, slope, light_each, sigma_px, arguments.seed)
            shift = np.average(of.uphill, weights=of.uncertainty**-2)
            precision = PIXEL_NM / np.sqrt((of.uncertainty**-2).sum())
            spread = np.std(of.uphill / of.uncertainty)
            median = PIXEL_NM * np.median(of.uncertainty)
            row.append(f"{PIXEL_NM * shift:.1f} ± {precision:.1f} of {median:.0f}, {spread:.2f}")
        rows.append(row)
    print("Mean shift up the slope and its error, of the median uncertainty in nm; the spread of error / uncertainty")
    print(markdown(["slope", "photons", *(f"sigma {sigma:g} px" for sigma in sigmas)], rows))


if __name__ == "__main__":
    main()
