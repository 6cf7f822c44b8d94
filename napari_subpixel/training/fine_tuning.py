"""Fine-tuning: what a model learns of one microscope, what it is measured on, and what its samples look like.

What it is to learn is given as ranges, or estimated from a movie of that microscope; what it has learned is measured on
movies that are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import spread
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import Model, ModelCard
from napari_subpixel.models.domain import Domain, draw_log_uniform
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.simulate import Simulation, simulate
from napari_subpixel.stacks import Stack, check_finite
from napari_subpixel.training.scenes import MIN_DENSITY, draw_scene, in_adu
from napari_subpixel.training.simulated_samples import camera_part

#: Distance within which a molecule counts as found in what is held out, in nm.
TOLERANCE_NM = 50.0
#: Movies that are simulated and held out.
HELD_OUT_MOVIES = 12
#: Frames of each of them.
HELD_OUT_FRAMES = 3
#: Their longest side, in pixels.
HELD_OUT_PX = 64
#: Pixels of a movie with truth that are measured on, at most.
MAX_MEASURED_PIXELS = 1 << 21
#: The width of a PSF that is given as one number is known to within this factor.
SIGMA_FACTOR = 1.06
#: Brightness and background may be lower or higher than those of a movie to imitate by this factor.
IMITATION_FACTOR = 1.6
#: Molecules may be this many times denser than where they are densest in that movie.
DENSITY_FACTOR = 1.5
#: Side of the blocks of that movie in which the density is measured, in pixels.
BLOCK_PX = 16
#: Frames of that movie in which molecules are detected, at most.
MAX_IMITATED_FRAMES = 12
#: Example frames that are drawn.
EXAMPLES = 8
#: Their longest side, in pixels.
EXAMPLES_PX = 128
#: Gap between an example and a frame of the user's movie next to it, in pixels.
GAP_PX = 2


class HeldOut(NamedTuple):
    """A movie with truth that is not learned from, and what is known of its microscope.

    Attributes
    ----------
    frames : ndarray, shape (T, Y, X)
        In ADU.
    truth : Localizations
    camera : Camera
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels.
    molecule_photons : float
        What a typical molecule gives in a frame; 0 where it is not known.
    """

    frames: NDArray
    truth: Localizations
    camera: Camera
    sigma_px: float | None = None
    molecule_photons: float = 0.0


def runs_half_precision_fast(device: str) -> bool:
    """Say whether the device multiplies matrices in bfloat16 faster than in single precision."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # On processors without such units bfloat16 is slower. PyTorch has no public name for it.
    return device == "cpu" and getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()


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


def held_out_simulations(domain: Domain, camera: Camera, rng: np.random.Generator) -> list[HeldOut]:
    """Simulate movies within ranges, to measure on; half of them of filaments.

    Parameters
    ----------
    domain : Domain
    camera : Camera
        With its pixel size.
    rng : numpy.random.Generator
    """
    movies = []
    for k in range(HELD_OUT_MOVIES):
        shape = _at_most(camera.map_shape, HELD_OUT_PX)
        part = camera_part(camera, shape, rng)
        assert part.pixel_size_nm is not None
        sigma_px, photons, background = (
            float(draw_log_uniform(rng, span)) for span in (domain.sigma_px, domain.photons, domain.background)
        )
        low, high = domain.density_per_px
        density = float(rng.uniform(max(low, min(MIN_DENSITY, high)), high))
        settings = Simulation(
            frame_shape=shape,
            n_frames=HELD_OUT_FRAMES,
            camera=part,
            psf=GaussianPSF(sigma_px * part.pixel_size_nm),
            structure=("filaments", "uniform")[k % 2],
            emitters_per_frame=density * shape[0] * shape[1],
            photons=photons,
            photons_spread=0.35,
            min_photons=0.0,
            background=background,
            on_time_frames=0.0,
            molecules=20_000,
        )
        frames, truth = simulate(settings, rng)
        movies.append(HeldOut(frames, truth, part, sigma_px, float(f"{photons:.2g}")))
    return movies


def held_out_simulation(simulation: Simulation, rng: np.random.Generator) -> HeldOut:
    """Simulate more of what a simulation shows, to measure on: a part of the frame, at the same density."""
    shape = _at_most(simulation.frame_shape, HELD_OUT_PX)
    camera = camera_part(simulation.camera, shape, rng)
    emitters = simulation.emitters_per_frame * np.prod(shape) / np.prod(simulation.frame_shape)
    movie = replace(
        simulation,
        frame_shape=shape,
        camera=camera,
        n_frames=HELD_OUT_FRAMES * HELD_OUT_MOVIES,
        emitters_per_frame=float(emitters),
        molecules=max(simulation.molecules, int(20 * emitters)),
        on_time_frames=0.0,
        min_photons=0.0,
    )
    return HeldOut(*simulate(movie, rng), camera)


def thinned(movie: HeldOut) -> HeldOut:
    """Return as many frames of a movie, evenly spread, as can be measured again and again: `MAX_MEASURED_PIXELS`."""
    pixels = movie.frames.shape[1] * movie.frames.shape[2]
    kept = np.sort(spread(len(movie.frames), max(1, MAX_MEASURED_PIXELS // pixels)))
    place = np.full(len(movie.frames), -1)
    place[kept] = np.arange(len(kept))
    truth = movie.truth.select(place[movie.truth.frame] >= 0)
    return movie._replace(frames=movie.frames[kept], truth=truth.with_columns(frame=place[truth.frame]))


def measuring(card: ModelCard, movies: Sequence[HeldOut], device: str) -> Callable[[nn.Module], float]:
    """Return a function that gives a network's Jaccard index at `TOLERANCE_NM` over all molecules of held-out movies.

    Parameters
    ----------
    card : ModelCard
        Of the model that the network is of: its threshold and scaling.
    movies : sequence of HeldOut
    device : str
    """

    def measure(network: nn.Module) -> float:
        detector = Detector(Model(card, network), device=device)  # type: ignore[arg-type]
        right = wrong = 0
        for movie in movies:
            table = detector.detect(
                movie.frames, camera=movie.camera, sigma_px=movie.sigma_px, molecule_photons=movie.molecule_photons
            )
            size = movie.camera.pixel_size_nm or movie.truth.pixel_size_nm
            if not np.isin(table.frame, movie.truth.frame).any():
                wrong += len(table) + len(movie.truth)
                continue
            score = evaluate(table, movie.truth, (TOLERANCE_NM,), pixel_size_nm=size)[0]
            right += score.true_positives
            wrong += score.false_positives + score.false_negatives
        return right / max(right + wrong, 1)

    return measure


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
    shape = _at_most(camera.map_shape or (stack.frame_shape if stack else None), EXAMPLES_PX)
    scenes = [draw_scene(domain, shape, rng, camera_part(camera, shape, rng)) for _ in range(EXAMPLES)]
    simulated = in_adu(scenes, rng)
    if stack is None:
        return simulated
    top, left = ((size - side) // 2 for size, side in zip(stack.frame_shape, shape, strict=True))
    pairs = []
    for number, drawn in zip(spread(stack.n_frames, EXAMPLES), simulated, strict=False):
        real = stack.read(number, number + 1)[0, top : top + shape[0], left : left + shape[1]]
        real = np.clip(np.round(real), 0, np.iinfo(np.uint16).max).astype(np.uint16)
        pairs.append(np.hstack([real, np.full((shape[0], GAP_PX), max(real.max(), drawn.max())), drawn]))
    return np.stack(pairs)


def split_movie(movie: HeldOut, share: float) -> tuple[HeldOut, HeldOut]:
    """Split a movie with truth into its first frames, to learn from, and its last, which are held out.

    Raises
    ------
    InputError
        If the share is not between 0 and 1, or one of the two would have no frame or no molecule.
    """
    if not 0 < share < 1:
        raise InputError(f"the share of frames that is held out must lie between 0 and 1, got {share:g}")
    last = round(len(movie.frames) * (1 - share))
    first, second = movie.truth.frame < last, movie.truth.frame >= last
    if not (first.any() and second.any()):
        raise InputError(
            f"of the {len(movie.frames)} frames, {len(movie.frames) - last} would be held out, and the truth has "
            f"{first.sum()} molecules in the others and {second.sum()} in these: too few"
        )
    rest = movie.truth.select(second)
    held_out = rest.with_columns(frame=rest.frame - last)
    return (
        movie._replace(frames=movie.frames[:last], truth=movie.truth.select(first)),
        movie._replace(frames=movie.frames[last:], truth=held_out),
    )


def _detected_in(job: DetectionJob, number: int) -> Localizations:
    frames = job.stack.read(number, number + 1)
    check_finite(frames, number, job.stack.name)
    return job.detector.detect(
        frames, camera=job.camera, sigma_px=job.sigma_px, molecule_photons=job.molecule_photons, roi=job.roi
    )


def _densest(table: Localizations, frame_shape: tuple[int, int]) -> float:
    """Return the molecules per pixel where they are densest, in blocks."""
    edges = [np.linspace(-0.5, n - 0.5, max(1, n // BLOCK_PX) + 1) for n in frame_shape]
    number = np.histogram2d(table.y, table.x, bins=edges)[0]
    return float(number.max() / ((edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0])))


def _at_most(shape: tuple[int, ...] | None, longest: int) -> tuple[int, int]:
    height, width = shape or (longest, longest)
    return min(height, longest), min(width, longest)
