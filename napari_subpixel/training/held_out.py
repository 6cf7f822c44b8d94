"""What is held out of a training: movies with truth, simulated or split off, and the score of a model on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import mean_pixel_size
from napari_subpixel.detection.brightness import spread
from napari_subpixel.detection.detector import Detector
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import Model, ModelCard
from napari_subpixel.models.domain import Domain, draw_log_uniform
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.training.scenes import MIN_DENSITY
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
        shape = at_most(camera.map_shape, HELD_OUT_PX)
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
            psf=GaussianPSF(sigma_px * mean_pixel_size(part.pixel_size_nm)),
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
    shape = at_most(simulation.frame_shape, HELD_OUT_PX)
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


def at_most(shape: tuple[int, ...] | None, longest: int) -> tuple[int, int]:
    """Return a height and width, in pixels, of which neither is more than `longest`; that of a square for None."""
    height, width = shape or (longest, longest)
    return min(height, longest), min(width, longest)
