"""How bright a usual molecule of a movie is: a first look at some of its frames, which a second can build on.

Where molecules overlap, their number and their brightness are told from the same light. What the clearer ones of the
whole movie give in a frame says much about the crowded ones, as long as they are about alike: where some give many
times as much as others, a bright one would be taken for several usual ones.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from napari_subpixel._util.generators import exhausted
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi
from napari_subpixel.detection.points import Points
from napari_subpixel.detection.refinement import ISOLATED_SIGMA, is_isolated
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.stacks import Stack, check_finite

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector

#: Frames that are looked at, at most, spread over the movie; and the longest side of their part in the middle.
MOST_FRAMES, PART_PX = 12, 256
#: So many molecules are enough; fewer than the least say nothing.
ENOUGH, LEAST = 500, 20
#: The first look knows nothing of brightness, and takes crowds for more molecules and dimmer ones; the second knows
#: what the first found, and comes nearer. A third would gain little.
LOOKS = 2
#: Molecules whose photons' logarithms spread by more than this, half of what the middle two thirds span, are not alike.
MOST_SPREAD = 0.45


def estimate_molecule_photons(stack: Stack, detector: Detector, camera: Camera, sigma_px: float) -> float:
    """Estimate how many photons a usual molecule gives in a frame.

    Parameters
    ----------
    stack : Stack
        The movie.
    detector : Detector
        Of a model that measures photons; molecules are found at the model's own threshold.
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.

    Returns
    -------
    float
        The median of the molecules in the middle of some frames, to two digits, so that it does not hang on rounding;
        0 where there are too few to tell, and where they are not alike (`MOST_SPREAD`).
    """
    return exhausted(estimating_molecule_photons(stack, detector, camera, sigma_px))


def estimating_molecule_photons(
    stack: Stack, detector: Detector, camera: Camera, sigma_px: float
) -> Generator[None, None, float]:
    """Estimate as `estimate_molecule_photons` does, frame by frame, for whoever may stop."""
    detector = copy.copy(detector)
    detector.threshold = detector.card.threshold
    usual = 0.0
    for _ in range(LOOKS):
        found = yield from _look(stack, detector, camera, sigma_px, usual)
        if len(found) < LEAST or (not usual and _spread_of(found, sigma_px) > MOST_SPREAD):
            return 0.0
        usual = float(f"{np.median(found['photons']):.2g}")
    return usual


def _look(
    stack: Stack, detector: Detector, camera: Camera, sigma_px: float, usual: float
) -> Generator[None, None, Localizations]:
    """Return what is found in some frames when a usual molecule is said to give so much."""
    roi = _middle(stack.frame_shape)
    tables: list[Localizations] = []
    for frame in spread(stack.n_frames, MOST_FRAMES):
        yield
        frames = stack.read(frame, frame + 1)
        check_finite(frames, frame, stack.name)
        tables.append(
            detector.detect(
                frames, first_frame=frame, roi=roi, camera=camera, sigma_px=sigma_px, molecule_photons=usual
            )
        )
        if sum(map(len, tables)) >= ENOUGH:
            break
    return concat(tables)


def _spread_of(found: Localizations, sigma_px: float) -> float:
    """Return how far the logarithms of the photons spread: those of isolated molecules, if there are enough."""
    points = Points(found.frame, found.y, found.x, found["probability"].astype(np.float64))
    isolated = is_isolated(points, ISOLATED_SIGMA * sigma_px)
    logs = np.log(found["photons"][isolated] if isolated.sum() >= LEAST else found["photons"])
    low, high = np.quantile(logs, [0.16, 0.84])
    return float(high - low) / 2


def spread(n: int, most: int) -> list[int]:
    """Return at most so many of the numbers below `n`, evenly spread, in an order in which the first few are too.

    Examples
    --------
    >>> spread(100, 4), spread(2, 4)
    ([12, 62, 37, 87], [0, 1])
    """
    number = min(n, most)
    places = ((np.arange(number) + 0.5) * n / number).astype(int)
    steps = np.arange(number)
    # Van der Corput's sequence: the bits of the step in reverse.
    order = sorted(steps, key=lambda k: int(f"{k:010b}"[::-1], 2))
    return [int(places[k]) for k in order]


def _middle(frame_shape: tuple[int, int]) -> Roi:
    (y0, y1), (x0, x1) = (((size - min(size, PART_PX)) // 2, (size + min(size, PART_PX)) // 2) for size in frame_shape)
    return (y0, y1), (x0, x1)
