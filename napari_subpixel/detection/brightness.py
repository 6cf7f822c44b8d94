"""How bright a movie's molecules are, and from which significance on points are molecules: a first detection.

Where molecules overlap, their number and their brightness are inferred from the same light. What the clearer ones of
the whole movie give in a frame says much about the crowded ones, as long as they are about equally bright: where some
give many times as much as others, a bright one would be taken for several typical ones.

A model is trained on frames with more molecules than many movies have: where these are sparse and bright, most of what
is as dim as noise is noise.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi, home_pixel
from napari_subpixel.detection.points import MeasuredPoints, Points
from napari_subpixel.detection.refinement import ISOLATED_SIGMA, is_isolated
from napari_subpixel.detection.significance import least_significance, significance
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.models.input_scaling import Optics, counts
from napari_subpixel.stacks import Stack, check_finite

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector

#: Frames that are detected at most, spread over the movie,
MAX_FRAMES = 12
#: and where molecules are sparse.
MAX_SPARSE_FRAMES = 36
#: Molecules are sparse where fewer than this many are found in `MAX_FRAMES`.
SPARSE_MOLECULES = 40
#: Longest side of their part in the middle that is detected, in pixels.
PART_PX = 256
#: No more frames are detected when this many molecules are found.
ENOUGH_MOLECULES = 500
#: Fewer molecules than this give no estimate.
MIN_MOLECULES = 20
#: Points within this many pixels of edges of the light that do not move may be no molecules, and do not count.
EDGE_REACH_PX = 9
#: All count where less than this share of the pixels is farther away.
MIN_AWAY = 0.1
#: The first pass knows nothing of the brightness, and takes crowds for more and dimmer molecules; the second uses the
#: estimate of the first, and comes nearer. A third would gain little.
PASSES = 2
#: Where the logarithms of the molecules' photons spread by more than this, half of the range of the middle two thirds,
#: the molecules are not equally bright.
MAX_SPREAD = 0.45


class Brightness(NamedTuple):
    """How bright the molecules of a movie are.

    Attributes
    ----------
    photons : float
        Photons that a typical molecule gives in a frame; 0 where they are not known.
    min_significance : float
        Isolated points that stand out of the noise by less, in standard deviations, are noise; 0 where there is no such
        limit.
    """

    photons: float
    min_significance: float


@stepwise
def estimate_brightness(
    stack: Stack,
    detector: Detector,
    camera: Camera,
    sigma_px: float,
    molecule_photons: float | None = None,
    *,
    edges: NDArray[np.bool_] | None = None,
) -> Generator[None, None, Brightness]:
    """Estimate how many photons a typical molecule gives in a frame, and how far it stands out of the noise at least.

    Parameters
    ----------
    stack : Stack
        The movie.
    detector : Detector
        Of a model that measures photons; molecules are found at the model's own threshold.
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    molecule_photons : float, optional
        Photons of a typical molecule in a frame, where they are known.
    edges : ndarray of bool, shape (Y, X), optional
        Edges of the light that do not move, such as those of a field stop.

    Yields
    ------
    None
        Before every frame, from ``estimate_brightness.steps``.

    Returns
    -------
    Brightness
        The photons are the median of the molecules in the middle of some frames, to two digits, so that they do not
        depend on rounding; 0 where there are too few to estimate it, and where they are not about equally bright
        (`MAX_SPREAD`).
    """
    detector = copy.copy(detector)
    detector.threshold = detector.card.threshold
    counting = np.ones(stack.frame_shape, bool)
    first = yield from _detected(stack, detector, camera, sigma_px, 0.0, counting)
    limit = least_significance(first.significance, first.n_pixels, sigma_px)
    away = _away_from(edges, stack.frame_shape)
    if not away.all():
        clear = yield from _detected(stack, detector, camera, sigma_px, 0.0, away)
        clear_limit = least_significance(clear.significance, clear.n_pixels, sigma_px)
        if _edges_spoil(first.above(limit), clear.above(clear_limit), sigma_px) or clear_limit > limit:
            first, limit, counting = clear, clear_limit, away
    if molecule_photons is not None:
        return Brightness(molecule_photons, limit)
    found = first.above(limit)
    if len(found) < MIN_MOLECULES or _spread_of(found, sigma_px) > MAX_SPREAD:
        return Brightness(0.0, limit)
    for _ in range(PASSES - 1):
        again = yield from _detected(stack, detector, camera, sigma_px, _typical(found), counting)
        found = again.above(limit)
        if len(found) < MIN_MOLECULES:
            return Brightness(0.0, limit)
    return Brightness(_typical(found), limit)


def _edges_spoil(found: Localizations, clear: Localizations, sigma_px: float) -> bool:
    """Say whether points near edges hide how bright molecules are: only the others are about equally bright.

    Those near edges of a dense sample do not: they are molecules too.
    """
    if len(clear) < MIN_MOLECULES:
        return False
    return len(found) < MIN_MOLECULES or _spread_of(found, sigma_px) > MAX_SPREAD >= _spread_of(clear, sigma_px)


class _Found(NamedTuple):
    """The molecules of some frames, how far each stands out of the noise, and how many pixels were searched."""

    table: Localizations
    significance: NDArray[np.float64]
    n_pixels: int

    def above(self, limit: float) -> Localizations:
        """Return the molecules that stand out of the noise at least so far."""
        return self.table.select(self.significance >= limit)


def _detected(
    stack: Stack,
    detector: Detector,
    camera: Camera,
    sigma_px: float,
    typical: float,
    counting: NDArray[np.bool_],
) -> Generator[None, None, _Found]:
    """Return the molecules of some frames, given how many photons a typical one gives; 0 where that is not known.

    Those in the pixels that count, shape (Y, X), alone.
    """
    roi = _middle(stack.frame_shape)
    tables: list[Localizations] = []
    levels: list[NDArray[np.float64]] = []
    sparse_ones = (n for n in spread(stack.n_frames, MAX_SPARSE_FRAMES) if n not in spread(stack.n_frames, MAX_FRAMES))
    for frame in (*spread(stack.n_frames, MAX_FRAMES), *sparse_ones):
        n_found = sum(map(len, tables))
        if n_found >= (SPARSE_MOLECULES if len(tables) >= MAX_FRAMES else ENOUGH_MOLECULES):
            break
        yield
        frames = stack.read(frame, frame + 1)
        check_finite(frames, frame, stack.name)
        table = detector.detect(
            frames, first_frame=frame, roi=roi, camera=camera, sigma_px=sigma_px, molecule_photons=typical
        )
        tables.append(table.select(counting[home_pixel(table.y), home_pixel(table.x)]))
        levels.append(_significance_of(tables[-1], frames, camera, sigma_px))
    n_pixels = int(np.count_nonzero(counting[tuple(slice(*part) for part in roi)]))
    return _Found(concat(tables), np.concatenate(levels), len(tables) * n_pixels)


def _significance_of(table: Localizations, frames: NDArray, camera: Camera, sigma_px: float) -> NDArray[np.float64]:
    """Return how far the molecules of a single frame stand out of its noise."""
    scaled = counts(camera.to_photons(frames), Optics.of(camera, sigma_px))
    columns = {name: table[name].astype(np.float64) for name in ("probability", "y_uncertainty", "x_uncertainty")}
    points = MeasuredPoints(
        np.zeros(len(table), np.int64),
        table.y,
        table.x,
        molecule_counts=table["photons"].astype(np.float64) / camera.variance_per_photon,
        background_counts=table["background"].astype(np.float64) / camera.variance_per_photon,
        **columns,
    )
    return significance(scaled[:, 0], scaled[:, 2], sigma_px, points)


def _away_from(edges: NDArray[np.bool_] | None, frame_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels that are away from edges; all where there are none, or hardly any pixel is away."""
    from scipy import ndimage

    everywhere = np.ones(frame_shape, bool)
    if edges is None or not edges.any():
        return everywhere
    away = ndimage.distance_transform_edt(~edges) > EDGE_REACH_PX
    return away if away.mean() >= MIN_AWAY else everywhere


def _typical(found: Localizations) -> float:
    return float(f"{np.median(found['photons']):.2g}")


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
