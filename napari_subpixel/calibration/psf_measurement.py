"""From a movie to its point spread function."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from napari_subpixel._util import records
from napari_subpixel._util.generators import stepwise
from napari_subpixel.calibration.focus import goes_through_focus, in_focus
from napari_subpixel.calibration.radial_profile import profile_of
from napari_subpixel.calibration.spot_finding import (
    MIN_SPOTS,
    SATURATED,
    Spots,
    SpotSearch,
    evenly_spread_frames,
    find_isolated_spots,
    too_few_spots,
)
from napari_subpixel.calibration.spot_psf import SpotPsf, SpotShape
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi, checked_roi
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack

#: A spot whose width differs from the median by more than this many robust standard deviations is left out.
OUTLIER_SIGMA = 4.0
#: Images of one bead from which on the outlying ones are left out.
MIN_IMAGES = 5
#: Beads or molecules from which on the outlying ones are left out.
MIN_SOURCES = 8
#: A warning is due where a smaller share of the bright spots is isolated.
CROWDED_SHARE = 0.25
#: A warning is due where the widths of single spots scatter by more than this share of them.
UNEVEN_SHARE = 0.15
#: What is said where a movie is given as a z-stack and does not look like one.
NO_Z_STACK = "measured as a z-stack, though the widths of spots do not change steadily from frame to frame"
#: What is said where a movie is given as none and looks like a z-stack.
Z_STACK = "not measured as a z-stack, though the widths of spots change steadily from frame to frame: all planes count"


@stepwise
def measure_psf(
    stack: Stack,
    camera: Camera,
    *,
    frames: tuple[int | None, int | None] | None = None,
    roi: Roi | None = None,
    z_stack: bool | None = None,
) -> Generator[float, None, SpotPsf]:
    """Measure the point spread function on the isolated spots of a movie: beads, or molecules.

    Images of the same bead in several frames are one sample, as far as the standard error is concerned, unless there is
    one bead only. `measure_psf.steps` yields the share of the current pass over the frames that is done.

    Parameters
    ----------
    stack : Stack
        A movie of beads or of molecules, or a z-stack of beads; at most `spot_finding.MAX_FRAMES` frames are searched.
        Bad pixels are taken as they are: `napari_subpixel.detection.mending.mended` gives a stack without them.
    camera : Camera
        Its baseline and gain give the noise, by which pixels are weighted.
    frames : (int, int), optional
        First frame and the one after the last; either may be None.
    roi : ((int, int), (int, int)), optional
        Part of the frame, ((y0, y1), (x0, x1)).
    z_stack : bool, optional
        Whether to take each bead where it is in focus, its width being narrowest there. If not given, that is done
        where the widths of most beads change steadily from frame to frame.

    Returns
    -------
    SpotPsf

    Raises
    ------
    InputError
        If frames or region leave the movie, a frame is too small or not finite, or too few spots are isolated.
    """
    with records.naming(stack.name):
        numbers = evenly_spread_frames(stack, frames)
        camera.check_fits(stack.frame_shape)
        rows, columns = (slice(*part) for part in checked_roi(roi, stack.frame_shape))
        camera = camera.crop(rows, columns)
        search = yield from find_isolated_spots(stack, camera, numbers, (rows, columns))
        return _measured(search, camera, z_stack)


def _measured(search: SpotSearch, camera: Camera, z_stack: bool | None) -> SpotPsf:
    """Return the point spread function of the spots that were found."""
    through_focus = goes_through_focus(search.spots)
    given, z_stack = z_stack, through_focus if z_stack is None else z_stack
    spots, notes = in_focus(search.spots) if z_stack else (search.spots, [])
    if given is not None and given is not through_focus:
        notes.append(NO_Z_STACK if given else Z_STACK)
    inliers = _inliers(spots)
    left_out = {
        **search.n_left_out,
        "out of focus": len(search.spots.frame) - len(spots.frame),
        "of another width": int((~inliers).sum()),
    }
    spots = spots.select(inliers)
    if len(spots.frame) < MIN_SPOTS:
        raise InputError(too_few_spots(search._replace(n_left_out=left_out)))
    scatter = 1.4826 * float(np.median(np.abs(np.log(spots.width / np.median(spots.width)))))
    notes += _warnings(search, spots, scatter)
    n_sources = len(np.unique(spots.source))
    if n_sources == 1:
        spots = spots._replace(source=np.arange(len(spots.frame)))
    widths = _means(np.column_stack([spots.fits.at[:, 4:], spots.fits.slant]), spots.source)
    shape = _shape(widths, scatter)
    radial, image, image_zoom = profile_of(spots, shape.sigma_px, camera.variance_per_photon)
    return SpotPsf(
        shape=shape,
        radial=radial,
        n_spots=len(spots.frame),
        n_sources=n_sources,
        n_frames=search.n_frames,
        z_stack=z_stack,
        sigmas_px=np.sqrt((widths[:, :2] ** 2).mean(axis=1)),
        image=image,
        image_zoom=image_zoom,
        n_left_out={reason: number for reason, number in left_out.items() if number},
        notes=tuple(notes),
    )


def _warnings(search: SpotSearch, spots: Spots, scatter: float) -> Generator[str, None, None]:
    """Yield warnings about the spots."""
    isolated = search.n_isolated / search.n_bright
    if isolated < CROWDED_SHARE:
        yield (
            f"crowded: {isolated:.0%} of the bright spots are isolated, and some of them may be several: a "
            "sparser movie would give a better estimate"
        )
    if search.n_left_out[SATURATED] > len(spots.frame):
        yield f"{search.n_left_out[SATURATED]} saturated spots were left out: expose for less time"
    if scatter > UNEVEN_SHARE:
        yield f"the widths of single spots scatter by {scatter:.0%}: they may be several in one, or out of focus"
    if len(np.unique(spots.source)) == 1:
        yield "all spots are of one bead: the uncertainty is the scatter of its images, and another bead may differ"


def _means(values: NDArray[np.float64], source: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average over the spots of each bead or molecule, shape (K, n) to (M, n)."""
    _, which, number = np.unique(source, return_inverse=True, return_counts=True)
    return np.stack([np.bincount(which, column) / number for column in values.T], axis=1)


def _error_of_mean(values: NDArray[np.float64]) -> float:
    """Return half the width of the mean's 68% interval: its standard error, widened by Student's t for few values."""
    n = len(values)
    return float(values.std(ddof=1) / np.sqrt(n) * stats.t.ppf(stats.norm.cdf(1), n - 1))


def _shape(widths: NDArray[np.float64], scatter: float) -> SpotShape:
    """Return the shape of the mean spot from widths along y and x and covariances of beads or molecules, shape (M, 3).

    Fits that scatter by a share s are biased by about s squared, since the fitted light grows with the width: that
    much is added to the uncertainty.
    """
    sigma_y, sigma_x, slant = (float(mean) for mean in widths.mean(axis=0))
    square, along = (sigma_y**2 + sigma_x**2) / 2, (sigma_y**2 - sigma_x**2) / 2
    sigma, longer = np.sqrt(square), np.hypot(along, slant)
    long_px, short_px = np.sqrt(square + longer), np.sqrt(max(square - longer, 0.0))
    # What each bead or molecule adds, to first order, to the round width, and to the difference along that direction.
    of_round = (sigma_y * widths[:, 0] + sigma_x * widths[:, 1]) / (2 * sigma)
    of_longer = (along * (sigma_y * widths[:, 0] - sigma_x * widths[:, 1]) + slant * widths[:, 2]) / max(longer, 1e-12)
    return SpotShape(
        float(sigma),
        float(np.hypot(_error_of_mean(of_round), scatter**2 * sigma)),
        sigma_y,
        sigma_x,
        float(long_px),
        float(short_px),
        float(np.degrees(0.5 * np.arctan2(slant, -along))),
        float(_error_of_mean(of_longer) * 2 / (long_px + short_px)),
    )


def _inliers(spots: Spots) -> NDArray[np.bool_]:
    """Mark spots about as wide as the others of their bead, of beads about as wide as the others."""
    width = np.log(spots.width)
    keep = np.ones(len(width), bool)
    sources, which, number = np.unique(spots.source, return_inverse=True, return_counts=True)
    for k in np.flatnonzero(number >= MIN_IMAGES):
        images = which == k
        keep[images] = _within_outlier_range(width[images])
    middle = np.array([np.median(width[keep & (which == k)]) for k in range(len(sources))])
    if len(sources) >= MIN_SOURCES:
        keep &= _within_outlier_range(middle)[which]
    return keep


def _within_outlier_range(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark values within `OUTLIER_SIGMA` robust standard deviations of the median."""
    away = np.abs(values - np.median(values))
    inlying: NDArray[np.bool_] = away <= OUTLIER_SIGMA * 1.4826 * np.median(away) + 1e-3
    return inlying
