"""When molecules are on, and how many photons they give in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_subpixel.coordinates import within_frame
from napari_subpixel.errors import InputError
from napari_subpixel.simulation.settings import Simulation

#: A molecule while it is on: which one, photons per whole frame, and from when to when, in frames.
_LIT = np.dtype([("molecule", np.int64), ("photons", np.float64), ("start", np.float64), ("stop", np.float64)])


def starts_per_frame(simulation: Simulation, molecules: NDArray[np.float64]) -> float:
    """Return how many molecules must go on per frame for the wanted number of rows in the truth."""
    if simulation.emitters_per_frame == 0:
        return 0.0
    visible = float(within_frame(molecules[:, 0], molecules[:, 1], simulation.frame_shape).mean())
    if visible == 0:
        raise InputError(
            f"simulation: none of the {len(molecules)} molecules on {simulation.structure} lies on the frame"
        )
    rows = _rows_per_start(simulation)
    if rows < 1e-9:
        raise InputError(
            f"simulation: with on_time_frames {simulation.on_time_frames:g}, hardly a molecule gives min_photons "
            f"{simulation.min_photons:g} in a frame"
        )
    starts = simulation.emitters_per_frame / (visible * rows * (1 - simulation.dark_fraction))
    needed = int(np.ceil(2 * starts * _share_alive(simulation, 0) * (1 + simulation.on_time_frames)))
    if needed > len(molecules):
        raise InputError(
            f"simulation: {len(molecules)} molecules are too few for {simulation.emitters_per_frame:g} emitters per "
            f"frame; give at least {needed}"
        )
    return starts


def _rows_per_start(simulation: Simulation) -> float:
    """Return in how many frames a molecule gives at least ``min_photons`` each time that it is on, on average.

    A time on of length d, placed anywhere, covers at least a share s of 1 + d - 2 s frames on average if d >= s; the
    mean of this over exponential d with mean t is exp(-s / t) (1 + t - s).
    """
    time = simulation.on_time_frames
    quantiles = (np.arange(1000) + 0.5) / 1000
    share = simulation.min_photons / (simulation.photons * np.exp(simulation.photons_spread * ndtri(quantiles)))
    rows = np.exp(-share / time) * (1 + time - share) if time > 0 else np.ones_like(share)
    return float(np.where(share <= 1, rows, 0.0).mean())


def _share_alive(simulation: Simulation, frame: float) -> float:
    """Return how many molecules are not bleached by a frame, over their mean number in the movie."""
    if not simulation.bleaching_frames:
        return 1.0
    lives = simulation.n_frames / simulation.bleaching_frames
    return float(np.exp(-frame / simulation.bleaching_frames) * lives / -np.expm1(-lives))


def bleached_at(simulation: Simulation, n_molecules: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Return when each molecule is bleached, in frames, shape (n_molecules,); None where none ever is."""
    return rng.exponential(simulation.bleaching_frames, n_molecules) if simulation.bleaching_frames else None


def blink(
    simulation: Simulation,
    n_molecules: int,
    starts: float,
    bleached: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield, for every frame, which molecules are on in it and their photons, both of shape (n,)."""
    # The movie starts in the steady state; what is left of an exponential time has the same law as the whole.
    n_lit = rng.poisson(starts * _share_alive(simulation, 0) * simulation.on_time_frames)
    lit = _with_more_on(simulation, np.empty(0, _LIT), np.zeros(n_lit), np.arange(n_molecules), rng)
    for frame in range(simulation.n_frames):
        alive = np.arange(n_molecules) if bleached is None else np.flatnonzero(bleached > frame)
        within = rng.uniform(size=rng.poisson(starts * _share_alive(simulation, frame)))
        start = frame + (within if simulation.on_time_frames else np.zeros_like(within))
        lit = _with_more_on(simulation, lit, start, alive, rng)
        time_on = np.minimum(lit["stop"], frame + 1) - np.maximum(lit["start"], frame)
        shines = rng.random(len(lit)) >= simulation.dark_fraction if simulation.dark_fraction else slice(None)
        yield lit["molecule"][shines], (lit["photons"] * time_on)[shines]
        lit = lit[lit["stop"] > frame + 1]


def _with_more_on(
    simulation: Simulation,
    lit: NDArray[Any],
    start: NDArray[np.float64],
    molecules: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Let as many dark ones of some molecules go on as there are moments in `start`; those in `lit` stay on."""
    new = np.empty(max(min(len(start), len(molecules) - len(lit)), 0), _LIT)
    # As many again as are on: whichever of these were drawn, enough dark ones are left.
    drawn = molecules[rng.choice(len(molecules), size=min(len(new) + len(lit), len(molecules)), replace=False)]
    new["molecule"] = drawn[~np.isin(drawn, lit["molecule"])][: len(new)]
    new["photons"] = simulation.photons * np.exp(simulation.photons_spread * rng.normal(size=len(new)))
    new["start"] = start[: len(new)]
    time = rng.exponential(simulation.on_time_frames, len(new)) if simulation.on_time_frames else 1.0
    new["stop"] = new["start"] + time
    return np.concatenate([lit, new])
