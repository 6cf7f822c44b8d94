"""Beads in a table: points that are at one place in most frames, and are no blinking molecules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.fiducials import MIN_RADIUS_NM, RADIUS_SIGMAS, find_fiducials, stays
from napari_subpixel.coordinates import PixelSize, pixel_length, yx_to_nm, yx_to_px
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

    rows: NDArray[np.bool_]
    places: tuple[tuple[float, float], ...] = ()

    def among(self, kept: NDArray[np.bool_]) -> Beads:
        """Return the same for some of the rows, by a mask of them."""
        rows = self.rows[kept]
        return Beads(rows, self.places if rows.any() else ())

    @property
    def warning(self) -> str:
        """One line that says where they are; empty where there is none."""
        if not self.places:
            return ""
        named = "; ".join(f"y {y:.1f}, x {x:.1f}" for y, x in self.places[:MAX_NAMED])
        more = "; ..." if len(self.places) > MAX_NAMED else ""
        points = "one place" if len(self.places) == 1 else f"{len(self.places)} places"
        return (
            f"{int(self.rows.sum()):,} of {len(self.rows):,} rows are left out of NeNA, FRC and decorrelation: most "
            f"frames have one at {points}, as beads do ({named} px{more})"
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
    if (
        n_frames < MIN_FRAMES
        or len(localizations) < MOST_FRAMES * n_frames
        or not np.ptp(localizations.yx, axis=0).any()
    ):
        return Beads(is_bead)
    frame, place = localizations.frame - localizations.frame.min(), yx_to_nm(localizations.yx, size_nm)
    tracks = _tracks(frame, place, n_frames, _radius_nm(localizations, size_nm))
    beads = sorted((t for t in tracks if len(np.unique(frame[t])) >= MOST_FRAMES * n_frames), key=len, reverse=True)
    for rows in beads:
        is_bead[rows] = True
    return Beads(is_bead, tuple(_median(yx_to_px(place[rows], size_nm)) for rows in beads))


def _radius_nm(localizations: Localizations, size_nm: PixelSize) -> float:
    """Return how far a bead's rows are from it at most."""
    if "x_uncertainty" not in localizations:
        return MIN_RADIUS_NM
    values = localizations["x_uncertainty"].astype(np.float64) * pixel_length("x", size_nm)
    values = values[np.isfinite(values) & (values > 0)]
    return max(RADIUS_SIGMAS * float(np.median(values)), MIN_RADIUS_NM) if len(values) else MIN_RADIUS_NM


def _tracks(
    frame: NDArray[np.int64], place: NDArray[np.float64], n_frames: int, radius_nm: float
) -> list[NDArray[np.int64]]:
    """Return the rows of what is there in most frames of parts of the movie, joined over the parts."""
    n_parts = int(np.clip(n_frames // FRAMES_OF_PART, 1, N_PARTS))
    part = frame * n_parts // n_frames
    order = np.argsort(part, kind="stable")
    joined: list[list[NDArray[np.int64]]] = []
    for rows in np.split(order, np.searchsorted(part[order], np.arange(1, n_parts))):
        if len(rows) < MOST_FRAMES * n_frames / n_parts:
            continue
        points: list[NDArray[np.int64]] = []
        for fiducial in find_fiducials(frame[rows], place[rows], radius_nm, MOST_FRAMES, MAX_ROWS_PER_FRAME):
            centre = np.median(place[rows][fiducial.rows], axis=0)
            distance = np.hypot(*(place[rows] - centre).T)
            if stays(place[rows], fiducial.rows, radius_nm):
                points.append(rows[distance <= radius_nm])
        _join(joined, points, place, STEP_RADII * radius_nm)
    return [np.concatenate(track) for track in joined]


def _join(
    tracks: list[list[NDArray[np.int64]]],
    points: list[NDArray[np.int64]],
    place: NDArray[np.float64],
    reach_nm: float,
) -> None:
    """Add the rows of each point of a part to the track that ends nearest, at most one to each, or begin one."""
    ends = np.array([np.median(place[track[-1]], axis=0) for track in tracks]).reshape(-1, 2)
    centres = np.array([np.median(place[rows], axis=0) for rows in points]).reshape(-1, 2)
    distance = np.hypot(*(centres[:, None] - ends[None]).transpose(2, 0, 1))
    joined: dict[int, int] = {}
    for flat in np.argsort(distance, axis=None, kind="stable").tolist():
        point, track = divmod(flat, len(tracks))
        if distance[point, track] <= reach_nm and point not in joined and track not in joined.values():
            joined[point] = track
    for point, rows in enumerate(points):
        if point in joined:
            tracks[joined[point]].append(rows)
        else:
            tracks.append([rows])


def _median(place: NDArray[np.float64]) -> tuple[float, float]:
    y, x = np.median(place, axis=0).tolist()
    return y, x
