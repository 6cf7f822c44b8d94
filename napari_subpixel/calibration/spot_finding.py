"""Looking at a movie for spots that stand alone, with what is needed to measure them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.spot_fitting import (
    ALONE_SIGMA,
    Fits,
    cut_out,
    find_alone,
    fit_spots,
    linked,
    middle_of,
    reach_of_fit,
    reach_of_profile,
)
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack, check_finite

#: Frames that are looked at, at most, evenly spread; pixels of them, however large they are; and pixels of all spots'
#: windows. A first look at a few frames tells about how wide spots are, and how many; where they are many, fewer frames
#: are looked at, but at least so many, so that as many beads as possible count.
MOST_FRAMES, MOST_PIXELS, MOST_WINDOW_PIXELS, FIRST_FRAMES, LEAST_FRAMES = 300, 1 << 27, 1 << 21, 12, 60
#: Spots are looked for with this width, in pixels, at first; a look whose spots are wider or narrower than what they
#: were looked for with, by more than this share, is followed by another, at most so many in all.
FIRST_SIGMA_PX, CLOSE_ENOUGH, MOST_LOOKS = 1.3, 0.15, 4
#: Fewer good spots than these tell nothing; and where fewer bright spots than this share stand alone, those that seem
#: to do so are mostly several in one.
LEAST_SPOTS, HOPELESS_SHARE = 3, 0.1
#: A bead may be missed in fewer frames than these, one after another.
GAP_FRAMES = 3
#: Why spots are left out when they are looked for.
CROWDED, AT_EDGE, TOO_MANY, SATURATED, NO_SPOT = (
    "crowded", "near the edge", "beyond the number that is used", "saturated", "not like a spot",
)  # fmt: skip


class Spots(NamedTuple):
    """Fitted spots.

    Attributes
    ----------
    frame : ndarray of int64, shape (K,)
        Which of the frames that were looked at, counted from 0.
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


class Look(NamedTuple):
    """What was seen: the spots with good fits, how many frames were looked at, and how many bright spots there were."""

    spots: Spots
    n_frames: int
    n_bright: int
    n_left_out: dict[str, int]

    @property
    def n_alone(self) -> int:
        """Bright spots without another one nearby."""
        return self.n_bright - self.n_left_out[CROWDED]


def frames_to_look_at(
    stack: Stack, frames: tuple[int | None, int | None] | None, most: int | None = None
) -> NDArray[np.int64]:
    """Return at most so many of the frames that were asked for, or `MOST_FRAMES`, spread evenly over them."""
    first, last = frames or (None, None)
    start, stop = first or 0, stack.n_frames if last is None else last
    if not 0 <= start < stop <= stack.n_frames:
        raise InputError(f"frames {start}:{stop} do not lie within the movie's 0:{stack.n_frames}")
    pixels = stack.frame_shape[0] * stack.frame_shape[1]
    most = max(1, min(stop - start, most or MOST_FRAMES, MOST_PIXELS // pixels))
    return start + ((np.arange(most) + 0.5) * (stop - start) / most).astype(np.int64)


def looked(
    stack: Stack, camera: Camera, numbers: NDArray[np.int64], part: tuple[slice, slice]
) -> Generator[float, None, Look]:
    """Look until spots are as wide as those that were looked for.

    Parameters
    ----------
    stack : Stack
    camera : Camera
        Of this part of the frame.
    numbers : ndarray of int64
        Frames to look at.
    part : (slice, slice)
        Rows and columns.

    Yields
    ------
    float
        Share of the current look that is done; the value at the end is the last `Look`.
    """
    few = numbers[:: -(-len(numbers) // FIRST_FRAMES)]
    found, which = FIRST_SIGMA_PX, few
    for _ in range(MOST_LOOKS):
        sigma_px = found
        look = yield from _look(stack, camera, which, part, sigma_px)
        if len(look.spots.frame) >= LEAST_SPOTS:
            found = float(np.quantile(look.spots.width, 0.3))  # of a z-stack nearer to the focus
        if len(which) == len(numbers) and abs(np.log(found / sigma_px)) < CLOSE_ENOUGH:
            break
        if which is few:
            numbers = _thinned(numbers, look.n_alone / look.n_frames, found)
        which = numbers
    if look.n_alone < HOPELESS_SHARE * look.n_bright:
        raise InputError(
            f"too crowded: of {look.n_bright} bright spots in {look.n_frames} frames all but {look.n_alone} are within "
            f"{ALONE_SIGMA * sigma_px:.0f} px of another; take a sparser movie"
        )
    if len(look.spots.frame) < LEAST_SPOTS:
        raise InputError(too_few(look))
    return look


def _thinned(numbers: NDArray[np.int64], spots_per_frame: float, sigma_px: float) -> NDArray[np.int64]:
    """Return as many of the frames, evenly spread, as have all the spots that are used."""
    wanted = int(_most_spots(sigma_px) / max(spots_per_frame, 1.0))
    n = min(len(numbers), max(wanted, LEAST_FRAMES))
    return numbers[((np.arange(n) + 0.5) * len(numbers) / n).astype(np.int64)]


def _most_spots(sigma_px: float) -> int:
    return MOST_WINDOW_PIXELS // (2 * reach_of_profile(sigma_px) + 1) ** 2


def too_few(look: Look) -> str:
    """Say what was found, and why it is too little."""
    wanted = f"at least {LEAST_SPOTS} bright spots that stand alone"
    if not look.n_bright:
        return f"found no bright spot in {look.n_frames} frames; {wanted} are needed"
    why = ", ".join(f"{number} {reason}" for reason, number in look.n_left_out.items() if number)
    return f"of {look.n_bright} bright spots in {look.n_frames} frames {why}; {wanted} are needed"


class _Seen(NamedTuple):
    """The spots that stand alone in a frame: places, windows, noise, highest values and in how many pixels, (K, 2)."""

    place: NDArray[np.int64]
    windows: NDArray[np.float32]
    read_variance: NDArray[np.float64]
    top: NDArray[np.float64]
    n_bright: int
    n_left_out: dict[str, int]


def _look(
    stack: Stack, camera: Camera, numbers: NDArray[np.int64], part: tuple[slice, slice], sigma_px: float
) -> Generator[float, None, Look]:
    """Find and fit the spots of some frames."""
    most = max(1, _most_spots(sigma_px) // len(numbers))
    seen: list[_Seen] = []
    for index, number in enumerate(numbers.tolist()):
        yield index / len(numbers)
        frame = stack.read(number, number + 1)
        check_finite(frame, number, stack.name)
        seen.append(_seen(frame[0][part], camera, sigma_px, most))
    left_out = {reason: sum(s.n_left_out[reason] for s in seen) for reason in seen[0].n_left_out}
    saturated = _saturated(np.concatenate([s.top for s in seen]), stack.dtype, camera.bit_depth)
    frame_of = np.repeat(np.arange(len(seen)), [len(s.place) for s in seen])[~saturated]
    place = np.concatenate([s.place for s in seen])[~saturated]
    windows = np.concatenate([s.windows for s in seen])[~saturated]
    read = np.concatenate([s.read_variance for s in seen])[~saturated]
    fits = fit_spots(middle_of(windows, reach_of_fit(sigma_px)), sigma_px, camera.variance_per_photon, read)
    spots = Spots(frame_of, place, windows, read, fits, np.zeros(len(place), np.int64)).select(fits.good)
    source = linked(spots.frame, spots.yx, max(1.5, 2 * sigma_px), GAP_FRAMES)
    left_out |= {SATURATED: int(saturated.sum()), NO_SPOT: int((~fits.good).sum())}
    return Look(spots._replace(source=source), len(seen), sum(s.n_bright for s in seen), left_out)


def _seen(adu: NDArray, camera: Camera, sigma_px: float, most: int) -> _Seen:
    """Find the spots of a frame, and cut them out."""
    reach_fit = reach_of_fit(sigma_px)
    if min(adu.shape) < 2 * reach_fit + 1:
        raise InputError(
            f"{adu.shape[0]} x {adu.shape[1]} pixels are too few: a spot is looked at in {2 * reach_fit + 1} x "
            f"{2 * reach_fit + 1} of them"
        )
    photons = camera.to_photons(adu)
    read_map = np.broadcast_to(np.asarray(camera.read_noise_photons, np.float64) ** 2, adu.shape)
    found = find_alone(photons, sigma_px, camera.variance_per_photon, read_map)
    place = _nearest_to_middle(found.place, adu.shape, most)
    values = cut_out(adu, place, reach_fit)
    top = values.max(axis=(1, 2), initial=-np.inf)
    return _Seen(
        place,
        cut_out(photons, place, reach_of_profile(sigma_px)),
        cut_out(read_map, place, reach_fit).mean(axis=(1, 2), dtype=np.float64),
        np.column_stack([top, (values == top[:, None, None]).sum(axis=(1, 2))]),
        found.n_bright,
        {CROWDED: found.n_crowded, AT_EDGE: found.n_at_edge, TOO_MANY: len(found.place) - len(place)},
    )


def _nearest_to_middle(place: NDArray[np.int64], shape: tuple[int, ...], most: int) -> NDArray[np.int64]:
    """Return at most so many places: the same ones in every frame, whatever their brightness."""
    distance = ((place - np.array(shape) / 2) ** 2).sum(axis=1)
    return place[np.sort(np.argsort(distance, kind="stable")[:most])]


def _saturated(tops: NDArray[np.float64], dtype: np.dtype[Any], bit_depth: int) -> NDArray[np.bool_]:
    """Say which spots have a flat top at the highest value of all, or reach the digitiser's end.

    Takes each spot's highest value and in how many pixels it is there, shape (K, 2).
    """
    if not len(tops):
        return np.zeros(0, bool)
    flat = (tops[:, 0] == tops[:, 0].max()) & (tops[:, 1] >= 2)
    return flat | (dtype.kind in "iu") & (tops[:, 0] >= 2**bit_depth - 1)
