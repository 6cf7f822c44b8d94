"""The movie that a camera would record of blinking molecules, with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__
from napari_subpixel.coordinates import within_frame, yx_to_px
from napari_subpixel.localizations import FIDUCIAL, Localizations, concat
from napari_subpixel.psf import draw_gaussians
from napari_subpixel.simulation.blinking import bleached_at, blink, starts_per_frame
from napari_subpixel.simulation.settings import Simulation, check_count
from napari_subpixel.simulation.stage import place_fiducials, random_drift
from napari_subpixel.simulation.structures import draw_molecules

#: Columns of the truth.
TRUTH_COLUMNS = ("frame", "y", "x", "photons", "background", "sigma")

Chunk = tuple[NDArray[np.uint16], Localizations]


def simulate(simulation: Simulation, rng: np.random.Generator) -> Chunk:
    """Simulate a whole movie and its truth.

    Parameters
    ----------
    simulation : Simulation
        What to simulate.
    rng : numpy.random.Generator
        Its seed makes the movie (``np.random.default_rng(7)`` always the same one); each further movie made with the
        same generator is another one.

    Returns
    -------
    movie : ndarray of uint16, shape (T, Y, X)
    truth : Localizations
        The molecules on the frame that give at least ``min_photons`` in it, with the photons that each gives in the
        frame, the background, and sigma in pixels; settings and seed are in its provenance.
    """
    movie = np.empty((simulation.n_frames, *simulation.frame_shape), np.uint16)
    tables, start = [], 0
    for frames, truth in simulate_chunks(simulation, rng):
        movie[start : start + len(frames)] = frames
        tables.append(truth)
        start += len(frames)
    return movie, concat(tables)


def simulate_chunks(simulation: Simulation, rng: np.random.Generator, chunk_frames: int = 256) -> Iterator[Chunk]:
    """Simulate a movie piece by piece, for movies larger than memory; all pieces together are what `simulate` returns.

    Parameters
    ----------
    simulation : Simulation
        What to simulate.
    rng : numpy.random.Generator
        As in `simulate`.
    chunk_frames : int
        Frames per piece; the last one may be shorter.

    Returns
    -------
    iterator of (movie, truth)
        A piece of the movie, shape (t, Y, X), and its truth; frames are numbered from the movie's start.

    Raises
    ------
    InputError
        If no molecule lies on the frame, or there are too few for this number of emitters per frame.
    """
    check_count("chunk_frames", chunk_frames)
    child = rng.spawn(1)[0]
    seeds: Any = child.bit_generator.seed_seq
    structure_rng, blink_rng, camera_rng = child.spawn(3)
    stage_rng, bead_rng, bleach_rng = child.spawn(3)
    molecules = draw_molecules(simulation, structure_rng)
    starts = starts_per_frame(simulation, molecules)
    about = {
        "pixel_size_nm": simulation.pixel_size_nm,
        "frame_shape": simulation.frame_shape,
        "n_frames": simulation.n_frames,
        "provenance": {
            "program": f"napari-subpixel {__version__}",
            "simulation": simulation.summary(),
            "seed": seeds.entropy,
            "spawn_key": list(seeds.spawn_key),
        },
    }
    bleached = bleached_at(simulation, len(molecules), bleach_rng)
    blinking = blink(simulation, len(molecules), starts, bleached, blink_rng)
    sample = _Sample(
        molecules,
        place_fiducials(simulation.fiducials, simulation.frame_shape, bead_rng),
        yx_to_px(random_drift(simulation.n_frames, simulation.drift_nm, stage_rng), simulation.pixel_size_nm),
    )
    return _chunks(simulation, sample, blinking, camera_rng, int(chunk_frames), about)


def simulated_drift(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the drift of the movie that `simulate` makes with an equal generator.

    Parameters
    ----------
    simulation : Simulation
        What is simulated.
    rng : numpy.random.Generator
        One in the state that `simulate` is given.

    Returns
    -------
    ndarray of float64, shape (T, 2)
        Along y and x, in nm; 0 in the first frame.
    """
    child = rng.spawn(1)[0]
    stage_rng = child.spawn(4)[3]
    return random_drift(simulation.n_frames, simulation.drift_nm, stage_rng)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Places of molecules (N, 2) and fiducials (F, 2), and the drift by frame (T, 2), in pixels."""

    molecules: NDArray[np.float64]
    fiducials: NDArray[np.float64]
    drift: NDArray[np.float64]


def _chunks(
    simulation: Simulation,
    sample: _Sample,
    blinking: Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]],
    rng: np.random.Generator,
    chunk_frames: int,
    about: dict[str, Any],
) -> Iterator[Chunk]:
    # Frames are drawn and exposed one by one, so that the pieces' size cannot change a bit of them.
    for first in range(0, simulation.n_frames, chunk_frames):
        frames, tables = [], []
        for frame in range(first, min(first + chunk_frames, simulation.n_frames)):
            which, photons = next(blinking)
            n_beads = len(sample.fiducials)
            y, x = (np.concatenate([sample.molecules[which], sample.fiducials]) + sample.drift[frame]).T
            photons = np.concatenate([photons, np.full(n_beads, simulation.fiducial_photons)])
            is_bead = np.arange(len(y)) >= len(y) - n_beads
            frames.append(_exposed(simulation, y, x, photons, rng))
            seen = within_frame(y, x, simulation.frame_shape) & (photons >= simulation.min_photons)
            tables.append(np.column_stack([np.full(len(y), frame), y, x, photons, is_bead])[seen])
        yield np.stack(frames), _truth(simulation, np.concatenate(tables), about)


def _exposed(
    simulation: Simulation,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    photons: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """Return one frame, shape (Y, X), of molecules that give these photons."""
    shape = (1, *simulation.frame_shape)
    widths = simulation.psf.sigma_yx_px(simulation.pixel_size_nm)
    light = draw_gaussians(shape, np.zeros(len(y), np.int64), y, x, photons, *widths)[0]
    return simulation.camera.expose(light + simulation.background, rng)


def _truth(simulation: Simulation, rows: NDArray[np.float64], about: dict[str, Any]) -> Localizations:
    """Return the truth from rows of frame, y, x, photons and whether it is a fiducial, shape (N, 5)."""
    frame, y, x, photons, is_bead = rows.T
    background, sigma = np.full(len(rows), simulation.background), np.full(len(rows), simulation.sigma_px)
    values = (frame, y, x, photons, background, sigma)
    extra = {FIDUCIAL: is_bead.astype(np.int64)} if simulation.fiducials else {}
    return Localizations(dict(zip(TRUTH_COLUMNS, values, strict=True)), extra=extra, **about)
