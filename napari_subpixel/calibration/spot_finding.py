"""Isolated spots of a movie, found and fitted in up to four passes over evenly spread frames."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.frame_sample import sampled_frames
from napari_subpixel.calibration.saturation import find_saturation, saturated_spots
from napari_subpixel.calibration.spot_fitting import (
    ISOLATION_SIGMA,
    Fits,
    cropped,
    cut_out,
    find_isolated,
    fit_spots,
    link,
    reach_of_fit,
    reach_of_profile,
)
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames searched at most, evenly spread over the movie,
MAX_FRAMES = 300
#: and pixels of these frames.
MAX_PIXELS = 1 << 27
#: Pixels of all spots' windows together; where spots are many, fewer frames are searched,
MAX_WINDOW_PIXELS = 1 << 21
#: but at least this many, so that as many beads as possible count.
MIN_FRAMES = 60
#: Frames of the first pass, which gives a first width and number of spots.
FIRST_PASS_FRAMES = 12
#: Width that spots are searched with in the first pass, in pixels.
FIRST_SIGMA_PX = 1.3
#: A pass is repeated with the measured width where that differs from the one searched with by more than this share,
SIGMA_AGREEMENT = 0.15
#: up to this many passes in all.
MAX_PASSES = 4
#: Good spots needed to measure anything.
MIN_SPOTS = 3
#: Where fewer bright spots than this share are isolated, most of those are several molecules in one.
MIN_ISOLATED_SHARE = 0.1
#: A bead may be missed in fewer consecutive frames than these.
MAX_GAP_FRAMES = 3

# Why spots are left out.
CROWDED = "crowded"
AT_EDGE = "near the edge"
TOO_MANY = "beyond the number that is used"
SATURATED = "saturated"
NO_SPOT = "not like a spot"


class Spots(NamedTuple):
    """Fitted spots.

    Attributes
    ----------
    frame : ndarray of int64, shape (K,)
        Index among the frames searched, from 0.
    place : ndarray of int64, shape (K, 2)
        The pixel in the middle of the window.
    windows : ndarray, shape (K, n, n)
        Photons; NaN beyond the frame.
    read_variance : ndarray, shape (K,)
        Variance of the read noise, in square photons.
    fits : Fits
    source : ndarray of int64, shape (K,)
        Number of the bead or molecule.
    """

    frame: NDArray[np.int64]
    place: NDArray[np.int64]
    windows: NDArray[np.float32]
    read_variance: NDArray[np.float64]
    fits: Fits
    source: NDArray[np.int64]

    def select(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Spots:
        """Return some of the spots."""
        fits = Fits(self.fits.at[keep], self.fits.slant[keep], self.fits.good[keep])
        noise = self.read_variance[keep]
        return Spots(self.frame[keep], self.place[keep], self.windows[keep], noise, fits, self.source[keep])

    @property
    def yx(self) -> NDArray[np.float64]:
        """Places in the frame, in pixels."""
        return self.place + self.fits.at[:, :2]

    @property
    def width(self) -> NDArray[np.float64]:
        """Root mean square of the widths along the axes, in pixels."""
        return np.sqrt((self.fits.at[:, 4:] ** 2).mean(axis=1))


class SpotSearch(NamedTuple):
    """Result of a search.

    Attributes
    ----------
    spots : Spots
        Isolated spots with good fits.
    n_frames : int
        Frames searched.
    n_bright : int
        Bright spots in them, isolated or not.
    n_left_out : dict of str to int
        Bright spots that are not among `spots`, by reason.
    """

    spots: Spots
    n_frames: int
    n_bright: int
    n_left_out: dict[str, int]

    @property
    def n_isolated(self) -> int:
        """Bright spots with no other nearby."""
        return self.n_bright - self.n_left_out[CROWDED]


def evenly_spread_frames(
    stack: Stack, frames: tuple[int | None, int | None] | None, max_frames: int | None = None
) -> NDArray[np.int64]:
    """Choose frames to search, spread evenly over a range.

    Parameters
    ----------
    stack : Stack
    frames : (int, int), optional
        First frame of the range and the one after the last; either may be None.
    max_frames : int, optional
        Frames to choose at most, `MAX_FRAMES` if not given; fewer if they have more than `MAX_PIXELS` together.

    Returns
    -------
    ndarray of int64, shape (N,)
        Frame numbers in ascending order.

    Raises
    ------
    InputError
        If the range is not within the movie.
    """
    first, last = frames or (None, None)
    start, stop = first or 0, stack.n_frames if last is None else last
    if not 0 <= start < stop <= stack.n_frames:
        raise InputError(f"frames {start}:{stop} do not lie within the movie's 0:{stack.n_frames}")
    pixels = stack.frame_shape[0] * stack.frame_shape[1]
    n = max(1, min(stop - start, max_frames or MAX_FRAMES, MAX_PIXELS // pixels))
    return start + ((np.arange(n) + 0.5) * (stop - start) / n).astype(np.int64)


def find_isolated_spots(
    stack: Stack, camera: Camera, numbers: NDArray[np.int64], part: tuple[slice, slice]
) -> Generator[float, None, SpotSearch]:
    """Find and fit isolated spots, in passes until the width found is the width searched with.

    Parameters
    ----------
    stack : Stack
    camera : Camera
        Of this part of the frame.
    numbers : ndarray of int64
        Frames to search.
    part : (slice, slice)
        Rows and columns.

    Yields
    ------
    float
        Share of the current pass that is done; the generator's value is the `SpotSearch` of the last pass.

    Raises
    ------
    InputError
        If spots are too crowded or too few, or a frame is too small or not finite.
    """
    first_pass = numbers[:: -(-len(numbers) // FIRST_PASS_FRAMES)]
    measured_px, searched = FIRST_SIGMA_PX, first_pass
    level = find_saturation(sampled_frames(stack), bit_depth=camera.bit_depth).level
    for _ in range(MAX_PASSES):
        sigma_px = measured_px
        search = yield from _search_once(stack, camera, searched, part, sigma_px, level)
        if len(search.spots.frame) >= MIN_SPOTS:
            measured_px = float(np.quantile(search.spots.width, 0.3))  # of a z-stack nearer to the focus
        if len(searched) == len(numbers) and abs(np.log(measured_px / sigma_px)) < SIGMA_AGREEMENT:
            break
        if searched is first_pass:
            numbers = _thinned(numbers, search.n_isolated / search.n_frames, measured_px)
        searched = numbers
    if search.n_isolated < MIN_ISOLATED_SHARE * search.n_bright:
        raise InputError(
            f"too crowded: of {search.n_bright} bright spots in {search.n_frames} frames all but {search.n_isolated} "
            f"are within {ISOLATION_SIGMA * sigma_px:.0f} px of another; take a sparser movie"
        )
    if len(search.spots.frame) < MIN_SPOTS:
        raise InputError(too_few_spots(search))
    return search


def _thinned(numbers: NDArray[np.int64], spots_per_frame: float, sigma_px: float) -> NDArray[np.int64]:
    """Return as many of the frames, evenly spread, as hold the spots that can be used."""
    wanted = int(_max_spots(sigma_px) / max(spots_per_frame, 1.0))
    n = min(len(numbers), max(wanted, MIN_FRAMES))
    return numbers[((np.arange(n) + 0.5) * len(numbers) / n).astype(np.int64)]


def _max_spots(sigma_px: float) -> int:
    return MAX_WINDOW_PIXELS // (2 * reach_of_profile(sigma_px) + 1) ** 2


def too_few_spots(search: SpotSearch) -> str:
    """Return the message of a search that found too few spots."""
    wanted = f"at least {MIN_SPOTS} isolated bright spots"
    if not search.n_bright:
        return f"found no bright spot in {search.n_frames} frames; {wanted} are needed"
    why = ", ".join(f"{number} {reason}" for reason, number in search.n_left_out.items() if number)
    return f"of {search.n_bright} bright spots in {search.n_frames} frames {why}; {wanted} are needed"


class _FrameSpots(NamedTuple):
    """The isolated spots of a frame; `top`, shape (K, 2), is the highest value and how many pixels have it."""

    place: NDArray[np.int64]
    windows: NDArray[np.float32]
    read_variance: NDArray[np.float64]
    top: NDArray[np.float64]
    n_bright: int
    n_left_out: dict[str, int]


def _search_once(
    stack: Stack,
    camera: Camera,
    numbers: NDArray[np.int64],
    part: tuple[slice, slice],
    sigma_px: float,
    level: float | None,
) -> Generator[float, None, SpotSearch]:
    """Find and fit the spots of some frames, of which those that reach a level are saturated."""
    max_per_frame = max(1, _max_spots(sigma_px) // len(numbers))
    found: list[_FrameSpots] = []
    for index, number in enumerate(numbers.tolist()):
        yield index / len(numbers)
        frame = stack.read(number, number + 1)
        check_finite(frame, number, stack.name)
        found.append(_spots_of_frame(frame[0][part], camera, sigma_px, max_per_frame))
    left_out = {reason: sum(s.n_left_out[reason] for s in found) for reason in found[0].n_left_out}
    saturated = saturated_spots(np.concatenate([s.top for s in found]), level)
    frame_of = np.repeat(np.arange(len(found)), [len(s.place) for s in found])[~saturated]
    place = np.concatenate([s.place for s in found])[~saturated]
    windows = np.concatenate([s.windows for s in found])[~saturated]
    read = np.concatenate([s.read_variance for s in found])[~saturated]
    fits = fit_spots(cropped(windows, reach_of_fit(sigma_px)), sigma_px, camera.variance_per_photon, read)
    spots = Spots(frame_of, place, windows, read, fits, np.zeros(len(place), np.int64)).select(fits.good)
    source = link(spots.frame, spots.yx, max(1.5, 2 * sigma_px), MAX_GAP_FRAMES)
    left_out |= {SATURATED: int(saturated.sum()), NO_SPOT: int((~fits.good).sum())}
    return SpotSearch(spots._replace(source=source), len(found), sum(s.n_bright for s in found), left_out)


def _spots_of_frame(adu: NDArray, camera: Camera, sigma_px: float, max_spots: int) -> _FrameSpots:
    """Find the spots of a frame, and cut them out."""
    reach_fit = reach_of_fit(sigma_px)
    if min(adu.shape) < 2 * reach_fit + 1:
        raise InputError(
            f"{adu.shape[0]} x {adu.shape[1]} pixels are too few: a spot needs {2 * reach_fit + 1} x "
            f"{2 * reach_fit + 1}"
        )
    photons = camera.to_photons(adu)
    read_map = np.broadcast_to(np.asarray(camera.read_noise_photons, np.float64) ** 2, adu.shape)
    maxima = find_isolated(photons, sigma_px, camera.variance_per_photon, read_map)
    place = _nearest_to_middle(maxima.place, adu.shape, max_spots)
    values = cut_out(adu, place, reach_fit)
    top = values.max(axis=(1, 2), initial=-np.inf)
    return _FrameSpots(
        place,
        cut_out(photons, place, reach_of_profile(sigma_px)),
        cut_out(read_map, place, reach_fit).mean(axis=(1, 2), dtype=np.float64),
        np.column_stack([top, (values == top[:, None, None]).sum(axis=(1, 2))]),
        maxima.n_bright,
        {CROWDED: maxima.n_crowded, AT_EDGE: maxima.n_at_edge, TOO_MANY: len(maxima.place) - len(place)},
    )


def _nearest_to_middle(place: NDArray[np.int64], shape: tuple[int, ...], max_spots: int) -> NDArray[np.int64]:
    """Return at most `max_spots` places: the same ones in every frame, whatever their brightness."""
    distance = ((place - np.array(shape) / 2) ** 2).sum(axis=1)
    return place[np.sort(np.argsort(distance, kind="stable")[:max_spots])]
