"""How bright a typical molecule of a movie is, from a first detection in some of its frames.

Where molecules overlap, their number and their brightness are inferred from the same light. What the clearer ones of
the whole movie give in a frame says much about the crowded ones, as long as they are about equally bright: where some
give many times as much as others, a bright one would be taken for several typical ones.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from napari_subpixel._util.generators import stepwise
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi
from napari_subpixel.detection.points import Points
from napari_subpixel.detection.refinement import ISOLATED_SIGMA, is_isolated
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.stacks import Stack, check_finite

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector

#: Frames that are detected at most, spread over the movie.
MAX_FRAMES = 12
#: Longest side of their part in the middle that is detected, in pixels.
PART_PX = 256
#: No more frames are detected when this many molecules are found.
ENOUGH_MOLECULES = 500
#: Fewer molecules than this give no estimate.
MIN_MOLECULES = 20
#: The first pass knows nothing of the brightness, and takes crowds for more and dimmer molecules; the second uses the
#: estimate of the first, and comes nearer. A third would gain little.
PASSES = 2
#: Where the logarithms of the molecules' photons spread by more than this, half of the range of the middle two thirds,
#: the molecules are not equally bright.
MAX_SPREAD = 0.45


@stepwise
def estimate_molecule_photons(
    stack: Stack, detector: Detector, camera: Camera, sigma_px: float
) -> Generator[None, None, float]:
    """Estimate how many photons a typical molecule gives in a frame.

    Parameters
    ----------
    stack : Stack
        The movie.
    detector : Detector
        Of a model that measures photons; molecules are found at the model's own threshold.
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.

    Yields
    ------
    None
        Before every frame, from ``estimate_molecule_photons.steps``.

    Returns
    -------
    float
        The median of the molecules in the middle of some frames, to two digits, so that it does not depend on rounding;
        0 where there are too few to estimate it, and where they are not about equally bright (`MAX_SPREAD`).
    """
    detector = copy.copy(detector)
    detector.threshold = detector.card.threshold
    typical = 0.0
    for _ in range(PASSES):
        found = yield from _detected(stack, detector, camera, sigma_px, typical)
        if len(found) < MIN_MOLECULES or (not typical and _spread_of(found, sigma_px) > MAX_SPREAD):
            return 0.0
        typical = float(f"{np.median(found['photons']):.2g}")
    return typical


def _detected(
    stack: Stack, detector: Detector, camera: Camera, sigma_px: float, typical: float
) -> Generator[None, None, Localizations]:
    """Return the molecules of some frames, given how many photons a typical one gives; 0 where that is not known."""
    roi = _middle(stack.frame_shape)
    tables: list[Localizations] = []
    for frame in spread(stack.n_frames, MAX_FRAMES):
        yield
        frames = stack.read(frame, frame + 1)
        check_finite(frames, frame, stack.name)
        tables.append(
            detector.detect(
                frames, first_frame=frame, roi=roi, camera=camera, sigma_px=sigma_px, molecule_photons=typical
            )
        )
        if sum(map(len, tables)) >= ENOUGH_MOLECULES:
            break
    return concat(tables)


def _spread_of(found: Localizations, sigma_px: float) -> float:
    """Return how far the logarithms of the photons spread: those of isolated molecules, if there are enough."""
    points = Points(found.frame, found.y, found.x, found["probability"].astype(np.float64))
    isolated = is_isolated(points, ISOLATED_SIGMA * sigma_px)
    logs = np.log(found["photons"][isolated] if isolated.sum() >= MIN_MOLECULES else found["photons"])
    low, high = np.quantile(logs, [0.16, 0.84])
    return float(high - low) / 2


def spread(n: int, maximum: int) -> list[int]:
    """Return at most `maximum` of the numbers below `n`, evenly spread, in an order in which the first few are too.

    Examples
    --------
    >>> spread(100, 4), spread(2, 4)
    ([12, 62, 37, 87], [0, 1])
    """
    number = min(n, maximum)
    places = ((np.arange(number) + 0.5) * n / number).astype(int)
    steps = np.arange(number)
    # Van der Corput's sequence: the bits of the step in reverse.
    order = sorted(steps, key=lambda k: int(f"{k:010b}"[::-1], 2))
    return [int(places[k]) for k in order]


def _middle(frame_shape: tuple[int, int]) -> Roi:
    (y0, y1), (x0, x1) = (((size - min(size, PART_PX)) // 2, (size + min(size, PART_PX)) // 2) for size in frame_shape)
    return (y0, y1), (x0, x1)
