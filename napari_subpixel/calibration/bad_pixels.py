"""Pixels of the camera that do not follow the light: stuck, hot, dark or noisy ones, found from a movie.

A lens spreads the light of whatever lies in the sample over several pixels, however small that is; what one pixel shows
and none of its neighbours does is the camera's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.outlier_frames import outlier_frames
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError

#: Kinds of pixels, by their numbers in `BadPixels.kinds`.
KINDS = ("good", "stuck", "hot", "dark", "noisy", "given")
GOOD, STUCK, HOT, DARK, NOISY, GIVEN = range(len(KINDS))
#: Pixels, in some of the rows, by which frames are compared with each other.
OUTLIER_PIXELS = 1 << 22
#: Values that are sorted at once.
STRIP_PIXELS = 1 << 20
#: Shorter movies do not show which pixels are bad.
MIN_FRAMES = 5
#: Shorter ones do not show which pixels are noisy: a single flash, as of a cosmic ray, would count.
MIN_FRAMES_OF_NOISE = 20
#: The side of the shortest frames, in pixels.
MIN_SIDE_PX = 8
#: Where more than this share of the pixels seem bad it is the movie that is unusual: none is called bad.
MAX_SHARE = 0.1
#: A pixel is stuck where the chance that noise gives any pixel of the frame one value in all frames is below this.
STUCK_CHANCE = 0.01
#: Areas of one value that hold a square of this side are parts of the frame without an image, and not bad pixels.
AREA_PX = 4
#: A pixel stands out by at least this many standard deviations of the scatter among neighbours,
SURE_SCATTER = 15.0
#: where it is compared with two neighbours only, as in a bad row or column, by this many,
SURE_SCATTER_OF_LINES = 25.0
#: and by this many standard deviations of the noise in one frame: what is less does no harm.
SURE_NOISE = 4.0
#: A spread counts for nothing below this share of a frame's: movies without noise are full of small ones.
SMALL_SHARE = 0.1
#: The neighbours show less than this share of what a bad pixel shows. Of the light of a point on the middle of a pixel
#: they show at least 0.23 where the PSF has a sigma of 0.5 px, and 0.5 where it has one of 0.8 px.
MAX_NEIGHBOURS_SHARE = 0.1
#: None of them is brighter or darker than the surroundings by more than this share, as on the flank of a bead.
MAX_NEIGHBOUR_SHARE = 0.4
#: Side of the blocks of pixels in which the noise is measured.
BLOCK_PX = 8
#: Rows and columns with at least this share of bad pixels are bad as a whole.
LINE_SHARE = 0.8
#: Places that are named in a line of text.
MAX_NAMED = 8
#: Places that are named in a table's provenance.
MAX_LISTED = 1000
#: The quartile of a normal distribution, in standard deviations above its middle.
QUARTILE = 0.6745


@dataclass(frozen=True, eq=False)
class BadPixels:
    """Which pixels of a camera are bad, and in what way.

    Attributes
    ----------
    kinds : ndarray of uint8, shape (Y, X)
        Numbers of `KINDS`; 0 is a good pixel.
    source : str
        ``movie``, where they were found from it; ``given``; or ``kept``, where none was searched for.
    note : str
        Why none is called bad though some seem so; empty otherwise.
    """

    kinds: NDArray[np.uint8]
    source: str = "movie"
    note: str = ""

    @classmethod
    def none(cls, frame_shape: tuple[int, int], source: str = "movie", note: str = "") -> BadPixels:
        """Return a camera's pixels, all of which are good.

        Parameters
        ----------
        frame_shape : (int, int)
        source, note : str
            As of the class.
        """
        return cls(np.zeros(frame_shape, np.uint8), source, note)

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_]) -> BadPixels:
        """Return those that are given by a mask.

        Parameters
        ----------
        mask : ndarray of bool, shape (Y, X)
            True where a pixel is bad.

        Raises
        ------
        InputError
            If no pixel is good.
        """
        if np.all(mask):
            raise InputError("bad pixels: no good pixel is left")
        return cls(np.where(mask, GIVEN, GOOD).astype(np.uint8), "given")

    @classmethod
    def at(cls, places: Iterable[tuple[int, int]], frame_shape: tuple[int, int]) -> BadPixels:
        """Return those at given places.

        Parameters
        ----------
        places : iterable of (int, int)
            Rows and columns.
        frame_shape : (int, int)

        Raises
        ------
        InputError
            If a place lies outside of the frame, or no pixel is good.
        """
        mask = np.zeros(frame_shape, bool)
        for y, x in places:
            if not (0 <= y < frame_shape[0] and 0 <= x < frame_shape[1]):
                raise InputError(f"bad pixels: row {y}, column {x} lies outside of the frames, {_size(frame_shape)}")
            mask[y, x] = True
        return cls.of_mask(mask)

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any], frame_shape: tuple[int, int]) -> BadPixels:
        """Return those of which `summary` was made.

        Parameters
        ----------
        summary : mapping
        frame_shape : (int, int)

        Raises
        ------
        InputError
            If it does not list all of them.
        """
        if summary.get("not_listed"):
            raise InputError(f"there are {summary['number']} bad pixels, of which not all are listed")
        mask = np.zeros(frame_shape, bool)
        for place in summary["places"]:
            what, *numbers = place.replace(",", "").split()
            if what == "y":
                mask[int(numbers[0]), int(numbers[2])] = True
            else:
                mask[(int(numbers[0]),) if what == "row" else (slice(None), int(numbers[0]))] = True
        return cls.of_mask(mask)

    def check_fits(self, frame_shape: tuple[int, int]) -> None:
        """Raise `InputError` if these are not the pixels of such frames."""
        if self.kinds.shape != tuple(frame_shape):
            raise InputError(
                f"bad pixels: the mask has {_size(self.kinds.shape)}, the frames have {_size(frame_shape)}"
            )

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which pixels are bad, shape (Y, X)."""
        return self.kinds != GOOD

    @property
    def number(self) -> int:
        """How many are bad."""
        return int(np.count_nonzero(self.kinds))

    @property
    def matters(self) -> bool:
        """Whether there is anything to say of them: some are bad, or none was searched for."""
        return self.source != "movie" or bool(self.number or self.note)

    @property
    def places(self) -> list[str]:
        """Names of the places: ``row 7``, ``column 12``, and ``y 30, x 4`` of other pixels."""
        mask = self.mask
        rows, columns = np.flatnonzero(mask.all(axis=1)), np.flatnonzero(mask.all(axis=0))
        mask[rows], mask[:, columns] = False, False
        lines = [f"row {row}" for row in rows] + [f"column {column}" for column in columns]
        return lines + [f"y {y}, x {x}" for y, x in np.argwhere(mask)]

    @property
    def text(self) -> str:
        """One line that says how many there are of each kind, and where; empty where there are none."""
        if not self.number:
            return self.note
        counts = np.bincount(self.kinds.ravel(), minlength=len(KINDS))
        kinds = ", ".join(f"{counts[kind]} {KINDS[kind]}" for kind in range(1, len(KINDS)) if counts[kind])
        places = self.places
        named = "; ".join(places[:MAX_NAMED]) + ("; ..." if len(places) > MAX_NAMED else "")
        return f"bad pixels, interpolated: {kinds} ({named})"

    @property
    def summary(self) -> dict[str, Any]:
        """What a table's provenance holds of them: plain text, numbers and lists."""
        places = self.places
        more = {} if len(places) <= MAX_LISTED else {"not_listed": len(places) - MAX_LISTED}
        return {"source": self.source, "number": self.number, "places": places[:MAX_LISTED], **more}


def find_bad_pixels(frames: NDArray[Any], camera: Camera | None = None) -> BadPixels:
    """Find the bad pixels of the camera that recorded a movie.

    A pixel is stuck where it has the same value in all frames, and noise would not leave it so; hot, dark or noisy
    where its median or its spread over time stands out, and no neighbour shows any of it. Whole rows and columns are
    found too. Light that comes through a lens reaches the neighbours: molecules, beads and dirt are none of these.

    Parameters
    ----------
    frames : ndarray, shape (N, Y, X)
        Some of its frames, as `sampled_frames` gives them.
    camera : Camera, optional
        Its maps, if it has any, are taken into account: what they correct is not bad.

    Returns
    -------
    BadPixels
        None where the movie is too short to show any.
    """
    shape = frames.shape[1:]
    if len(frames) < MIN_FRAMES or min(shape) < MIN_SIDE_PX:
        return BadPixels.none(shape)
    frames = frames[~outlier_frames(frames[:, :: max(1, frames.size // OUTLIER_PIXELS)])]
    if len(frames) < MIN_FRAMES:
        return BadPixels.none(shape)
    kinds = np.zeros(shape, np.uint8)
    middle, spread, noise = _over_time(frames, camera)
    scale = 1.2533 / np.sqrt(len(frames))  # standard error of a median
    if noise.any():
        sign = _standing_out(middle, scale * noise, noise)
        kinds[sign > 0], kinds[sign < 0] = HOT, DARK
        if len(frames) >= MIN_FRAMES_OF_NOISE:
            light = SMALL_SHARE * float(np.abs(frames[0] - np.median(frames[0])).mean())
            restless = _standing_out(spread, 1.5 * scale * noise, noise.clip(light)) > 0
            kinds[restless & (kinds == GOOD)] = NOISY
    kinds[_stuck(frames)] = STUCK
    _complete_lines(kinds)
    share = np.count_nonzero(kinds) / kinds.size
    if share > MAX_SHARE:
        note = f"{share:.0%} of the pixels seem bad, which is more than a camera has: all are used as they are"
        return BadPixels.none(shape, note=note)
    return BadPixels(kinds)


def _complete_lines(kinds: NDArray[np.uint8]) -> None:
    """Call rows and columns bad as a whole in which most pixels are."""
    bad = kinds != GOOD
    for axis, of_axis in ((1, kinds), (0, kinds.T)):
        for line in np.flatnonzero(bad.mean(axis=axis) >= LINE_SHARE):
            numbers = of_axis[line]
            numbers[numbers == GOOD] = np.bincount(numbers[numbers != GOOD]).argmax()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} px"


def _over_time(
    frames: NDArray[Any], camera: Camera | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return every pixel's median and spread over time, and the noise of its surroundings in one frame."""
    n, shape = len(frames), frames.shape[1:]
    parts = []
    rows = max(1, STRIP_PIXELS // (n * shape[1]))
    for top in range(0, shape[0], rows):
        strip = frames[:, top : top + rows]
        values = np.sort(np.ascontiguousarray(strip.reshape(n, -1).T), axis=1)
        first, last = (values[:, round(q * (n - 1))].astype(np.float32) for q in (0.25, 0.75))
        spread = (last - first) / np.float32(2 * QUARTILE)
        noise = spread.copy()
        even = noise == 0  # of dim light more than half of the values may be the same
        noise[even] = values[even].std(axis=1, dtype=np.float32)
        middle = (values[:, (n - 1) // 2].astype(np.float32) + values[:, n // 2]) / 2
        found = np.stack([middle, spread, noise])
        parts.append(found.reshape(3, -1, shape[1]))
    middle, spread, noise = np.concatenate(parts, axis=1)
    if camera is not None and camera.map_shape == shape:
        gain = (np.asarray(camera.electrons_per_adu) / np.mean(camera.electrons_per_adu)).astype(np.float32)
        middle = (middle - np.asarray(camera.baseline, np.float32)) * gain
        spread, noise = spread * gain, noise * gain
    around = np.maximum(_of_blocks(noise), sum(_neighbours(noise)) / 4)  # at the edge of a dark part
    return middle, spread, np.maximum(around, 1) if frames.dtype.kind in "iub" and around.any() else around


def _of_blocks(noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for every pixel what most pixels of its block do not exceed."""
    height, width = noise.shape
    rows, columns = height // BLOCK_PX, width // BLOCK_PX
    blocks = noise[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    levels = np.quantile(blocks.swapaxes(1, 2).reshape(rows, columns, -1), 0.75, axis=2).astype(np.float32)
    y, x = (np.minimum(np.arange(size) // BLOCK_PX, n - 1) for size, n in ((height, rows), (width, columns)))
    return levels[np.ix_(y, x)]


def _standing_out(
    image: NDArray[np.float32], error: NDArray[np.float32], noise: NDArray[np.float32]
) -> NDArray[np.int8]:
    """Return 1 where a pixel is brighter than all around it and no neighbour shows any of it, -1 where darker.

    Takes an image, its standard error, and the noise of one frame.
    """
    up, down, left, right = _neighbours(image)
    difference = image - (up + down + left + right) / 4
    sample = difference.ravel()[:: max(1, difference.size // 100_000)]
    spread = np.median(np.abs(sample - np.median(sample))) / QUARTILE / np.sqrt(1.25)
    scatter = np.maximum(np.float32(spread), error)
    least = np.maximum(SURE_SCATTER * scatter, SURE_NOISE * noise)
    of_lines = np.maximum(SURE_SCATTER_OF_LINES * scatter, SURE_NOISE * noise)
    found = np.zeros(image.shape, np.int8)
    padded = np.pad(image, 3, constant_values=np.nan)
    # Neighbours in both directions; across a column; across a row. The surroundings are beyond the neighbours.
    ring = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2]
    across = [(y, x) for y in (-1, 0, 1) for x in (-3, -2, 2, 3)]
    stencils = (
        ((up + down + left + right) / 4, least, ((-1, 0), (1, 0), (0, -1), (0, 1)), ring),
        ((left + right) / 2, of_lines, ((0, -1), (0, 1)), across),
        ((up + down) / 2, of_lines, ((-1, 0), (1, 0)), [(x, y) for y, x in across]),
    )
    for nearby, needed, beside, around in stencils:
        y, x = np.nonzero(np.abs(image - nearby) > 0.8 * needed)
        if not len(y):
            continue
        surroundings = np.nanmedian(np.stack([padded[y + 3 + v, x + 3 + u] for v, u in around]), axis=0)
        shown = np.stack([padded[y + 3 + v, x + 3 + u] for v, u in beside]) - surroundings
        inside = (~np.isnan(shown)).sum(axis=0) >= max(len(beside) - 1, 2)
        excess = image[y, x] - surroundings
        size = np.abs(excess)
        sure = inside & (size > needed[y, x]) & (needed[y, x] > 0)
        sure &= np.nanmean(shown, axis=0) * np.sign(excess) < MAX_NEIGHBOURS_SHARE * size
        sure &= np.nanmax(np.abs(shown), axis=0) < MAX_NEIGHBOUR_SHARE * size
        found[y[sure], x[sure]] = np.sign(excess[sure])
    return found


def _neighbours(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return the values above, below, left and right of every pixel; of the one inside at the edges."""
    padded = np.pad(image, 1, mode="reflect")
    return padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]


def _stuck(frames: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels have one value in all frames, where the values near them change by more than chance."""
    from scipy import ndimage

    n = len(frames)
    same = np.zeros(frames.shape[1:], np.float32)
    constant = np.ones(frames.shape[1:], bool)
    for before, after in itertools.pairwise(frames):
        equal = before == after
        same += equal
        constant &= equal
    if not constant.any():
        return constant
    areas = ndimage.binary_opening(constant, np.ones((AREA_PX, AREA_PX), bool))
    stuck = constant & ~ndimage.binary_propagation(areas, np.ones((3, 3), bool), constant)
    # Where the values of neighbouring pixels are equal in this share of pairs of frames, all n are with a chance of at
    # most its (n/2)-th power.
    changing = (~constant).astype(np.float32)
    weight = ndimage.uniform_filter(changing, 3, mode="nearest")
    total = ndimage.uniform_filter(np.where(constant, 0, same / (n - 1)).astype(np.float32), 3, mode="nearest")
    share = np.where(weight > 0.05, total / np.maximum(weight, 0.05), 0)
    share = ndimage.maximum_filter(share, 3, mode="nearest")
    return stuck & (share ** (n / 2) * constant.size < STUCK_CHANCE)
