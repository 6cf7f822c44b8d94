"""Points that are denser than molecules can be resolved: in the frame as a whole, or in a part of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import checked_roi
from napari_subpixel.detection.job import DetectionJob

#: More points than this per pixel and frame are noise: the most crowded training data have 0.06.
TOO_CROWDED = 0.12
#: Side of the parts of a frame in which points are counted, in pixels.
PART_PX = 16
#: A crowded part of the frame is a warning where more than this share of all points lies in such parts.
MAX_SHARE = 0.1


def crowding_warning(
    job: DetectionJob, n_points: int, n_frames: int, per_pixel: NDArray[np.int64] | None = None
) -> str | None:
    """Return a warning where points are denser than molecules can be resolved: the model does not fit the movie.

    Parameters
    ----------
    job : DetectionJob
    n_points, n_frames : int
        Number of points, and of the frames that they are in.
    per_pixel : ndarray of int, shape (Y, X), optional
        Points of every pixel, in all frames; without it only the frame as a whole is checked.

    Returns
    -------
    str or None
        A sentence that names the model; None where points are sparse enough.
    """
    (y0, y1), (x0, x1) = checked_roi(job.roi, job.stack.frame_shape)
    per_frame = n_points / max(n_frames, 1)
    crowding = per_frame / ((y1 - y0) * (x1 - x0))
    card = job.detector.card
    limits = f"the movie may not be like those that the model {card.name} was trained on: {card.limits}"
    if crowding > TOO_CROWDED:
        return (
            f"too many points: {per_frame:.0f} per frame, {crowding:.2f} per pixel, are more than can be resolved; "
            f"{limits}"
        )
    if per_pixel is None or not n_points:
        return None
    number, density, where = _crowded_parts(per_pixel[y0:y1, x0:x1], n_frames, (y0, x0))
    if number <= MAX_SHARE * n_points:
        return None
    return (
        f"too many points in a part of the frame, {where}: {number / n_points:.0%} of all, {density:.2f} per pixel and "
        f"frame, are more than can be resolved; {limits}"
    )


def _crowded_parts(per_pixel: NDArray[np.int64], n_frames: int, corner: tuple[int, int]) -> tuple[int, float, str]:
    """Return the points in crowded squares, their density, and what these squares span."""
    down, across = (side // PART_PX for side in per_pixel.shape)
    squares = per_pixel[: down * PART_PX, : across * PART_PX].reshape(down, PART_PX, across, PART_PX).sum(axis=(1, 3))
    crowded = squares > TOO_CROWDED * PART_PX**2 * n_frames
    if not crowded.any():
        return 0, 0.0, ""
    number = int(squares[crowded].sum())
    rows, columns = np.flatnonzero(crowded.any(axis=1)), np.flatnonzero(crowded.any(axis=0))
    (y0, y1), (x0, x1) = (
        (first + PART_PX * int(lines[0]), first + PART_PX * (int(lines[-1]) + 1) - 1)
        for first, lines in zip(corner, (rows, columns), strict=True)
    )
    return number, number / (int(crowded.sum()) * PART_PX**2 * n_frames), f"y {y0} to {y1}, x {x0} to {x1}"
