"""Samples like a movie of the user's: the ranges that it shows, and example frames to compare it with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import spread
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models.domain import Domain
from napari_subpixel.stacks import Stack, check_finite
from napari_subpixel.training.held_out import at_most
from napari_subpixel.training.request import EXAMPLES_GAP_PX
from napari_subpixel.training.scenes import draw_scene, in_adu
from napari_subpixel.training.simulated_samples import camera_part

#: The width of a PSF that is given as one number is known to within this factor.
SIGMA_FACTOR = 1.06
#: Brightness and background may be lower or higher than those of a movie to imitate by this factor.
IMITATION_FACTOR = 1.6
#: Molecules may be this many times denser than where they are densest in that movie.
DENSITY_FACTOR = 1.5
#: Side of the blocks of that movie in which the density is measured, in pixels.
DENSITY_BLOCK_PX = 16
#: Frames of that movie in which molecules are detected, at most.
MAX_IMITATED_FRAMES = 12
#: Example frames that are drawn.
EXAMPLES = 8
#: Their longest side, in pixels.
EXAMPLES_PX = 128


def sigma_range(sigma_px: float) -> tuple[float, float]:
    """Return the range of widths, in pixels, within which the true one lies where one number is given."""
    return sigma_px / SIGMA_FACTOR, sigma_px * SIGMA_FACTOR


def domain_like(job: DetectionJob) -> Domain:
    """Return ranges around what a movie shows.

    Parameters
    ----------
    job : DetectionJob
        The movie, its microscope, and a detector that measures photons; molecules are detected in some of its frames.

    Returns
    -------
    Domain

    Raises
    ------
    InputError
        If nothing is found in these frames, or the detector does not measure photons.
    """
    if not job.detector.measures or job.sigma_px is None:
        raise InputError(f"the model {job.detector.card.name} does not measure photons")
    numbers = [job.span[0] + k for k in spread(job.span[1] - job.span[0], MAX_IMITATED_FRAMES)]
    tables = [_detected_in(job, number) for number in numbers]
    photons = np.concatenate([table["photons"] for table in tables])
    if not len(photons):
        raise InputError(
            f"{job.stack.name}: no molecules are found in {len(numbers)} frames, so there is nothing to imitate"
        )
    background = np.concatenate([table["background"] for table in tables])
    typical = float(np.median(photons))
    low, high = np.quantile(background, [0.05, 0.95]).clip(0.1)
    densest = max(_densest(table, job.stack.frame_shape) for table in tables)
    return Domain(
        sigma_px=_in_four_digits(sigma_range(job.sigma_px)),
        photons=_in_four_digits((typical / IMITATION_FACTOR, typical * IMITATION_FACTOR)),
        background=_in_four_digits((low / IMITATION_FACTOR, high * IMITATION_FACTOR)),
        density_per_px=_in_four_digits((0.0, DENSITY_FACTOR * densest)),
    )


def _in_four_digits(span: tuple[float, float]) -> tuple[float, float]:
    """Return a range rounded to four digits, so that two devices estimate the same from a movie."""
    return float(f"{span[0]:.4g}"), float(f"{span[1]:.4g}")


def example_frames(
    domain: Domain, camera: Camera, rng: np.random.Generator, stack: Stack | None = None
) -> NDArray[np.uint16]:
    """Return simulated frames to look at, each next to a frame of the user's movie where there is one.

    Parameters
    ----------
    domain : Domain
    camera : Camera
    rng : numpy.random.Generator
    stack : Stack, optional
        The user's movie; the middle of its frames is on the left.

    Returns
    -------
    ndarray of uint16, shape (`EXAMPLES` or fewer, Y, X)
        In ADU.
    """
    shape = at_most(camera.map_shape or (stack.frame_shape if stack else None), EXAMPLES_PX)
    scenes = [draw_scene(domain, shape, rng, camera_part(camera, shape, rng)) for _ in range(EXAMPLES)]
    simulated = in_adu(scenes, rng)
    if stack is None:
        return simulated
    top, left = ((size - side) // 2 for size, side in zip(stack.frame_shape, shape, strict=True))
    pairs = []
    for number, drawn in zip(spread(stack.n_frames, EXAMPLES), simulated, strict=False):
        real = stack.read(number, number + 1)[0, top : top + shape[0], left : left + shape[1]]
        real = np.clip(np.round(real), 0, np.iinfo(np.uint16).max).astype(np.uint16)
        pairs.append(np.hstack([real, np.full((shape[0], EXAMPLES_GAP_PX), max(real.max(), drawn.max())), drawn]))
    return np.stack(pairs)


def _detected_in(job: DetectionJob, number: int) -> Localizations:
    frames = job.movie.read(number, number + 1)
    check_finite(frames, number, job.stack.name)
    return job.detector.detect(
        frames, camera=job.camera, sigma_px=job.sigma_px, molecule_photons=job.molecule_photons, roi=job.roi
    )


def _densest(table: Localizations, frame_shape: tuple[int, int]) -> float:
    """Return the molecules per pixel where they are densest, in blocks."""
    edges = [np.linspace(-0.5, n - 0.5, max(1, n // DENSITY_BLOCK_PX) + 1) for n in frame_shape]
    number = np.histogram2d(table.y, table.x, bins=edges)[0]
    return float(number.max() / ((edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0])))
