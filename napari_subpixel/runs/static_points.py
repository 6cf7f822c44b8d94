"""Points that never move: where most frames have one, or along an edge of the light, there is no blinking molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import home_pixel
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.errors import WarningKind
from napari_subpixel.localizations import Localizations

#: In shorter movies a molecule may be there in most frames.
MIN_FRAMES = 20
#: A place of 3 x 3 pixels is static where it has points in more than this share of the frames,
MOST_FRAMES = 0.5
#: and more than this many times as many as places near it typically have.
MIN_DENSITY_RATIO = 4.0
#: Side of the blocks of pixels that are near, in pixels.
BLOCK_PX = 16
#: Points up to this far from an edge belong to it, in pixels, and those farther, where they are dense too;
EDGE_REACH_PX = 2
#: those from this far to this far show how many there would be without it.
AROUND_PX = (9, 14)
#: A strip along an edge is dense where it has more than this many times as many points,
MIN_EDGE_RATIO = 3.0
#: and more by this many standard deviations of their number.
SURE_EXCESS = 5.0
#: More points than this share of all are reported.
MAX_SHARE = 0.02
#: Places that are named.
MAX_NAMED = 3
#: Larger ones, in pixels, are named by how far they extend.
LARGE_PX = 14
#: A place at least this many times as long as it is wide is a row or a column.
LINE_RATIO = 3.0


@dataclass(frozen=True, eq=False)
class StaticPoints:
    """Where the points of a movie do not move, and how many they are.

    Attributes
    ----------
    mask : ndarray of bool, shape (Y, X)
        Pixels whose points do not move.
    number, n_points : int
        Points in these pixels, and in all.
    places : tuple of str
        Where these pixels are, those with most points first.
    dropped : bool
        Whether the points are left out of the table.
    """

    mask: NDArray[np.bool_]
    number: int = 0
    n_points: int = 0
    places: tuple[str, ...] = ()
    dropped: bool = False

    def keep(self, table: Localizations) -> Localizations:
        """Return the rows of a table that are not among these."""
        return table.select(~self.mask[_pixels(table, self.mask.shape)])

    @property
    def warning(self) -> str:
        """One line that says where they are and what they may be; empty where they are few, and not left out."""
        share = self.number / max(self.n_points, 1)
        if not self.number or (share <= MAX_SHARE and not self.dropped):
            return ""
        where = "; ".join(self.places[:MAX_NAMED]) + ("; ..." if len(self.places) > MAX_NAMED else "")
        never_move = "never move, and are left out: " if self.dropped else WarningKind.NEVER_MOVES
        return (
            f"{self.number:,} of {self.n_points:,} points ({share:.1%}) {never_move}most frames have one at {where}. "
            "These may be fiducial beads, dirt, the edge of a field stop, an image splitter or a cell, or a very dense "
            "part of the sample, and no single molecules"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """What a table's provenance holds of them."""
        return {"number": self.number, "places": list(self.places[:MAX_NAMED]), "dropped": self.dropped}


def per_pixel(table: Localizations, frame_shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return how many points every pixel has, shape (Y, X).

    Parameters
    ----------
    table : Localizations
    frame_shape : (int, int)
    """
    flat = np.ravel_multi_index(_pixels(table, frame_shape), frame_shape)
    return np.bincount(flat, minlength=frame_shape[0] * frame_shape[1]).reshape(frame_shape)


def find_static_points(job: DetectionJob, counts: NDArray[np.int64]) -> StaticPoints:
    """Find where the points of a movie do not move.

    Two things are: places with a point in most frames; and steps of the movie's median over time, such as the edge of a
    field stop, along which there are more points than on either side.

    Parameters
    ----------
    job : DetectionJob
        With the frames that were detected.
    counts : ndarray of int, shape (Y, X)
        Points of every pixel, in all frames (`per_pixel`).
    """
    start, stop = job.span
    n_frames, number = stop - start, int(counts.sum())
    if n_frames < MIN_FRAMES or number <= MOST_FRAMES * n_frames or min(counts.shape) < BLOCK_PX:
        return StaticPoints(np.zeros(counts.shape, bool), n_points=number, dropped=job.drop_static)
    mask = static_places(counts, n_frames) | _static_edges(job, counts, n_frames)
    static = int(counts[mask].sum())
    return StaticPoints(mask, static, number, _places(mask, counts), job.drop_static)


def static_places(counts: NDArray[np.int64], n_frames: int) -> NDArray[np.bool_]:
    """Return the pixels of places that have a point in most frames.

    Parameters
    ----------
    counts : ndarray of int, shape (Y, X)
        Points of every pixel.
    n_frames : int
    """
    from scipy import ndimage

    near = ndimage.convolve(counts.astype(np.float64), np.ones((3, 3)), mode="constant")
    static = near > np.maximum(MOST_FRAMES * n_frames, MIN_DENSITY_RATIO * _typical(near))
    return ndimage.binary_dilation(static, np.ones((3, 3), bool)) if static.any() else static


def _static_edges(job: DetectionJob, counts: NDArray[np.int64], n_frames: int) -> NDArray[np.bool_]:
    """Return the pixels near edges along which there are points in most frames, and more than farther from them."""
    from scipy import ndimage

    if job.edges is None:
        return np.zeros(counts.shape, bool)
    away, nearest = ndimage.distance_transform_edt(~job.edges, return_indices=True)
    near = away <= EDGE_REACH_PX
    labels, n = ndimage.label(near, np.ones((3, 3), int))
    owner = labels[tuple(nearest)] - 1
    strip = np.ceil(away).astype(int).clip(0, AROUND_PX[1] + 1)
    of_edges, area = _along(owner, np.where(near, 0, strip), counts, n)
    expected = _density(of_edges, area) * area[:, 0]
    static = _is_dense(of_edges[:, 0], expected) & (of_edges[:, 0] > MOST_FRAMES * n_frames)
    # Farther strips, on each side for itself; some pixels away there may be more again than nearer to the edge.
    sides, n_sides = ndimage.label(~near)
    side = owner * (n_sides + 1) + sides
    names, side = np.unique(side, return_inverse=True)
    side = side.reshape(counts.shape)
    of_sides, area = _along(side, strip, counts, len(names))
    dense = _is_dense(of_sides, _density(of_sides, area)[:, None] * area)
    reach = (dense * np.arange(dense.shape[1]))[:, : AROUND_PX[0]].max(axis=1)
    return np.asarray(static[owner] & (near | (strip <= reach[side])))


def _along(
    group: NDArray[np.int64], strip: NDArray[np.int64], counts: NDArray[np.int64], n_groups: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the points in strips along edges, and the pixels there, both of shape (groups, strips)."""
    shape = (n_groups, AROUND_PX[1] + 2)
    flat = np.ravel_multi_index((group, strip), shape).ravel()
    size = shape[0] * shape[1]
    points = np.bincount(flat, counts.ravel(), size).astype(np.int64)
    return points.reshape(shape), np.bincount(flat, minlength=size).reshape(shape)


def _density(points: NDArray[np.int64], area: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the points per pixel away from edges."""
    around = slice(AROUND_PX[0], AROUND_PX[1] + 1)
    return np.asarray((points[:, around].sum(axis=1) + 1) / np.maximum(area[:, around].sum(axis=1), 1))


def _is_dense(points: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (points > MIN_EDGE_RATIO * expected) & (points - expected > SURE_EXCESS * np.sqrt(expected))


def _typical(near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of blocks, for every pixel."""
    size = [max(1, side // BLOCK_PX) for side in near.shape]
    rows, columns = (np.minimum(np.arange(side) // BLOCK_PX, n - 1) for side, n in zip(near.shape, size, strict=True))
    blocks = near[: size[0] * BLOCK_PX, : size[1] * BLOCK_PX].reshape(size[0], BLOCK_PX, size[1], BLOCK_PX)
    return np.median(blocks, axis=(1, 3))[np.ix_(rows, columns)]


def _places(mask: NDArray[np.bool_], counts: NDArray[np.int64]) -> tuple[str, ...]:
    """Return names of the parts of a mask, those with most points first."""
    from scipy import ndimage

    labels, n = ndimage.label(mask, np.ones((3, 3), int))
    numbers = ndimage.sum(counts, labels, np.arange(1, n + 1)).astype(int)
    parts = ndimage.find_objects(labels)
    return tuple(
        f"{_place(parts[k], counts[parts[k]] * (labels[parts[k]] == k + 1))} ({numbers[k]:,} points)"
        for k in np.argsort(-numbers, kind="stable")
        if numbers[k]
    )


def _place(part: tuple[slice, slice], counts: NDArray[np.int64]) -> str:
    """Return the name of a place: the middle of its points, and how far it extends if it is long."""
    y, x = (
        round(float(np.average(np.arange(s.start, s.stop), weights=counts.sum(axis=1 - k)))) for k, s in enumerate(part)
    )
    height, width = (s.stop - s.start for s in part)
    if height >= LINE_RATIO * width:
        return f"column {x}, y {part[0].start} to {part[0].stop - 1}"
    if width >= LINE_RATIO * height:
        return f"row {y}, x {part[1].start} to {part[1].stop - 1}"
    if max(height, width) > LARGE_PX:
        return f"y {part[0].start} to {part[0].stop - 1}, x {part[1].start} to {part[1].stop - 1}"
    return f"y {y}, x {x}"


def _pixels(table: Localizations, frame_shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    height, width = frame_shape
    return home_pixel(table.y).clip(0, height - 1), home_pixel(table.x).clip(0, width - 1)
