"""Points on a field for benchmarks: anywhere, on filaments, or in clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PATTERNS = ("uniform", "filaments", "clusters")
#: Per field: thin filaments, each a quarter of the field long, and clusters; both 30 nm wide at 100 nm a pixel.
N_FILAMENTS, N_CLUSTERS, WIDTH_PX = 500, 5000, 0.3
#: A point stays so far from the outer edge of the field, in pixels: Picasso draws none of the outer half pixel.
MARGIN_PX = 0.01


def places(pattern: str, n: int, side_px: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return y and x of `n` points on a square field, shape (2, n), in pixels."""
    if pattern == "uniform":
        return rng.uniform(MARGIN_PX, side_px - 1, (2, n))
    if pattern == "filaments":
        which, angle = rng.integers(0, N_FILAMENTS, n), rng.uniform(0, np.pi, N_FILAMENTS)
        along = rng.uniform(-side_px / 8, side_px / 8, n)
        middle = rng.uniform(0, side_px, (2, N_FILAMENTS))[:, which]
        exact = middle + along * np.stack([np.sin(angle), np.cos(angle)])[:, which]
    else:
        exact = rng.uniform(0, side_px, (2, N_CLUSTERS))[:, rng.integers(0, N_CLUSTERS, n)]
    # What leaves the field on one side comes in on the other.
    return MARGIN_PX + np.mod(exact + rng.normal(0, WIDTH_PX, (2, n)), side_px - 1 - MARGIN_PX)
