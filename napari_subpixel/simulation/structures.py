"""Where molecules are: anywhere, on filaments, on rings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import HALF_PIXEL, within_frame
from napari_subpixel.simulation.settings import Simulation

#: Length of the straight pieces of a filament, in nm.
FILAMENT_STEP_NM = 20.0


def draw_molecules(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Place the molecules on the structure, evenly along its length.

    Returns
    -------
    ndarray of float64, shape (molecules, 2)
        Positions (y, x) in pixels, on the frame and up to ``margin_px`` outside it (parts of rings and of filaments'
        width may lie further out).
    """
    if simulation.structure == "filaments":
        return _on_filaments(simulation, rng)
    if simulation.structure == "rings":
        return _on_rings(simulation, rng)
    return _in_field(simulation, simulation.molecules, simulation.margin_px, rng)


def _in_field(
    simulation: Simulation, n: int, margin_px: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return `n` positions anywhere on the frame and `margin_px` round it, shape (n, 2)."""
    margin = np.array(margin_px)
    size = np.array(simulation.frame_shape) + 2 * margin
    return rng.uniform(size=(n, 2)) * size - HALF_PIXEL - margin


def _on_filaments(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    starts = _in_field(simulation, simulation.n_structures, (0.0, 0.0), rng)
    pieces = [_filament(simulation, start, rng) for start in starts]
    middle, angle = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    chosen = rng.integers(len(middle), size=simulation.molecules)
    along = rng.uniform(-0.5, 0.5, simulation.molecules) * FILAMENT_STEP_NM / simulation.mean_pixel_nm
    across = _across_tube(simulation, rng)
    sin, cos = np.sin(angle[chosen]), np.cos(angle[chosen])
    aside = np.column_stack([along * sin + across * cos, along * cos - across * sin])
    return middle[chosen] + aside * simulation.pixels_yx


def _filament(
    simulation: Simulation, start: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles, shape (K, 2), and the directions, shape (K,), of a filament's pieces in the field.

    It is a worm-like chain through `start`: its direction diffuses with variance 2 * length / persistence length.
    """
    margin_y, margin_x = simulation.margin_px
    field = (np.array(simulation.frame_shape) + 2 * np.array(simulation.margin_px)) / simulation.pixels_yx
    step = FILAMENT_STEP_NM / simulation.mean_pixel_nm
    arm = int(np.ceil(np.linalg.norm(field) / step))
    bend = np.sqrt(2 * FILAMENT_STEP_NM / (1000 * simulation.persistence_length_um))
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(scale=bend, size=2 * arm))
    ends = np.cumsum(step * np.column_stack([np.sin(angle), np.cos(angle)]), axis=0)
    middle = (ends - step / 2 * np.column_stack([np.sin(angle), np.cos(angle)])) * simulation.pixels_yx
    middle += start - middle[arm]
    inside = within_frame(middle[:, 0], middle[:, 1], simulation.frame_shape, border_px=(-margin_y, -margin_x))
    return middle[inside], angle[inside]


def _on_rings(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    centres = _in_field(simulation, simulation.n_structures, (0.0, 0.0), rng)
    chosen = rng.integers(len(centres), size=simulation.molecules)
    angle = rng.uniform(0, 2 * np.pi, simulation.molecules)
    radius = simulation.ring_radius_nm / simulation.mean_pixel_nm + _across_tube(simulation, rng)
    return centres[chosen] + radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)]) * simulation.pixels_yx


def _across_tube(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far from its axis, in mean pixels, molecules on a tube's surface appear when seen from the side."""
    turn = rng.uniform(0, 2 * np.pi, simulation.molecules)
    return simulation.width_nm / 2 / simulation.mean_pixel_nm * np.sin(turn)
