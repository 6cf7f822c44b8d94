"""Beads in a table: points that are at one place in most frames, and are no blinking molecules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.fiducials import MIN_RADIUS_NM, RADIUS_SIGMAS, find_fiducials, stays
from napari_subpixel.coordinates import PixelSize, pixel_length, yx_to_nm
from napari_subpixel.localizations import Localizations

#: Part of the frames that a bead is in at least.
MOST_FRAMES = 0.5
#: Frames of a movie, at least: in a shorter one, a molecule may be there in most.
MIN_FRAMES = 50
#: Parts of the movie, in each of which drift is small against the radius.
N_PARTS = 10
#: Frames of a part, at least.
FRAMES_OF_PART = 50
#: How far a bead may move from one part of the movie to the next, in radii.
STEP_RADII = 2.0
#: Rows a frame within the radius, at most: a bright bead may be detected several times.
MAX_ROWS_PER_FRAME = 3.0
#: Beads whose places are named.
MAX_NAMED = 3


@dataclass(frozen=True, eq=False)
class Beads:
    """The rows of beads.

    Attributes
    ----------
    rows : ndarray of bool, shape (N,)
        Which rows of the table are of beads.
    places : tuple of (float, float)
        Median of each bead's positions, y and x in pixels; those with the most rows first.
    """

    rows: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    places: tuple[tuple[float, float], ...] = ()

    def among(self, kept: NDArray[np.bool_]) -> Beads:
        """Return the same for some of the rows, by a mask of them."""
        rows = self.rows[kept]
        return Beads(rows, self.places if rows.any() else ())

    def left_out_of(self, what: str) -> str:
        """Return one line that says where they are and what leaves them out; empty where there are none."""
        if not self.places:
            return ""
        named = "; ".join(f"y {y:.1f}, x {x:.1f}" for y, x in self.places[:MAX_NAMED])
        more = "; ..." if len(self.places) > MAX_NAMED else ""
        points = "one place" if len(self.places) == 1 else f"{len(self.places)} places"
        return (
            f"{int(self.rows.sum()):,} of {len(self.rows):,} rows are left out of {what}: most frames "
            f"have one at {points}, as beads do ({named} px{more})"
        )


def find_beads(localizations: Localizations) -> Beads:
    """Find the rows of beads, and of whatever else is at one place in most frames.

    Parts of the movie are searched one by one, so that drift does not matter, for places that have a row in most of
    their frames and few more, all much nearer to each other than others are; what is found in subsequent parts at one
    place, and in most frames of the movie, is a bead.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.

    Returns
    -------
    Beads
        Without rows in movies of fewer than 50 frames.

    Raises
    ------
    PixelSizeError
        If the pixel size is not known.
    """
    size_nm = localizations.known_pixel_size_nm()
    is_bead = np.zeros(len(localizations), bool)
    n_frames = int(np.ptp(localizations.frame)) + 1 if len(localizations) else 0
    if n_frames < MIN_FRAMES or len(localizations) < MOST_FRAMES * n_frames or not _is_extended(localizations):
        return Beads(is_bead)
    tracks = _tracks(localizations, n_frames, _radius_nm(localizations, size_nm), size_nm)
    frame = localizations.frame
    beads = sorted((t for t in tracks if len(np.unique(frame[t])) >= MOST_FRAMES * n_frames), key=len, reverse=True)
    for rows in beads:
        is_bead[rows] = True
    return Beads(is_bead, tuple((_median(localizations.y[rows]), _median(localizations.x[rows])) for rows in beads))


def _is_extended(localizations: Localizations) -> bool:
    return bool(np.ptp(localizations.y) > 0 or np.ptp(localizations.x) > 0)


def _radius_nm(localizations: Localizations, size_nm: PixelSize) -> float:
    """Return how far a bead's rows are from it at most."""
    if "x_uncertainty" not in localizations:
        return MIN_RADIUS_NM
    values = localizations["x_uncertainty"].astype(np.float64) * pixel_length("x", size_nm)
    values = values[np.isfinite(values) & (values > 0)]
    return max(RADIUS_SIGMAS * float(np.median(values)), MIN_RADIUS_NM) if len(values) else MIN_RADIUS_NM


def _tracks(
    localizations: Localizations, n_frames: int, radius_nm: float, size_nm: PixelSize
) -> list[NDArray[np.int64]]:
    """Return the rows of what is there in most frames of parts of the movie, joined over the parts."""
    n_parts = int(np.clip(n_frames // FRAMES_OF_PART, 1, N_PARTS))
    joined: list[list[NDArray[np.int64]]] = []
    ends: list[NDArray[np.float64]] = []
    for rows in _rows_by_part(localizations.frame, n_frames, n_parts):
        if len(rows) < MOST_FRAMES * n_frames / n_parts:
            continue
        frame = localizations.frame[rows]
        place = yx_to_nm(np.column_stack([localizations.y[rows], localizations.x[rows]]), size_nm)
        points: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        for fiducial in find_fiducials(frame, place, radius_nm, MOST_FRAMES, MAX_ROWS_PER_FRAME):
            if stays(place, fiducial.rows, radius_nm):
                centre = np.median(place[fiducial.rows], axis=0)
                own = np.hypot(*(place - centre).T) <= radius_nm
                points.append((rows[own], np.median(place[own], axis=0)))
        _join(joined, ends, points, STEP_RADII * radius_nm)
    return [np.concatenate(track) for track in joined]


def _rows_by_part(frame: NDArray[np.int64], n_frames: int, n_parts: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each part of the movie; of a table in order of frames without sorting it."""
    first = int(frame.min())
    # The first frame of each part but the first: floor(since * n_parts / n_frames) begins there.
    starts = first + -(-np.arange(1, n_parts) * n_frames // n_parts)
    if (np.diff(frame) >= 0).all():
        yield from np.split(np.arange(len(frame)), np.searchsorted(frame, starts))
    else:
        order = np.argsort(frame, kind="stable")
        yield from np.split(order, np.searchsorted(frame[order], starts))


def _join(
    tracks: list[list[NDArray[np.int64]]],
    ends: list[NDArray[np.float64]],
    points: list[tuple[NDArray[np.int64], NDArray[np.float64]]],
    reach_nm: float,
) -> None:
    """Add the rows of each point of a part to the track that ends nearest, at most one to each, or begin one."""
    centres = np.array([centre for _, centre in points]).reshape(-1, 2)
    distance = np.hypot(*(centres[:, None] - np.array(ends).reshape(-1, 2)[None]).transpose(2, 0, 1))
    joined: dict[int, int] = {}
    for flat in np.argsort(distance, axis=None, kind="stable").tolist():
        point, track = divmod(flat, len(ends))
        if distance[point, track] <= reach_nm and point not in joined and track not in joined.values():
            joined[point] = track
    for point, (rows, centre) in enumerate(points):
        if point in joined:
            tracks[joined[point]].append(rows)
            ends[joined[point]] = centre
        else:
            tracks.append([rows])
            ends.append(centre)


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values.astype(np.float64)))
