"""Beads of a z-stack: whether a movie is one, and in which frames each bead is in focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.spot_finding import MIN_SPOTS, Spots
from napari_subpixel.calibration.spot_fitting import SIGMA_PX
from napari_subpixel.calibration.spot_psf import LONG_SHARE
from napari_subpixel.errors import InputError

#: A bead is followed through a z-stack if it is found in at least this many frames,
MIN_PLANES = 7
#: and its width grows by more than this share,
DEFOCUS_SHARE = 0.25
#: and by more than this many times its scatter from frame to frame.
DEFOCUS_SIGMA = 6.0
#: A bead is in focus where it is wider than at its narrowest by at most this share.
FOCUS_SHARE = 0.03
#: The focus is the vertex of a parabola through the squared widths up to this many times the narrowest.
PARABOLA_SHARE = 1.4


def goes_through_focus(spots: Spots) -> bool:
    """Say whether the widths of most spots change steadily from frame to frame, as in a z-stack."""
    changing = 0
    for images in _planes(spots):
        width = spots.width[images]
        smooth = _middle_of_three(width)
        scatter = 1.4826 * np.median(np.abs(np.diff(width, 2))) / np.sqrt(6)
        grows = smooth.max() - smooth.min()
        changing += len(images) * (grows > max(DEFOCUS_SHARE * smooth.min(), DEFOCUS_SIGMA * scatter))
    return bool(changing > len(spots.frame) / 2)


def _planes(spots: Spots) -> list[NDArray[np.int64]]:
    """Return, for each bead that is found in enough frames, which spots are its images, in order."""
    number = np.bincount(spots.source)
    return [np.flatnonzero(spots.source == k) for k in np.flatnonzero(number >= MIN_PLANES)]


def in_focus(spots: Spots) -> tuple[Spots, list[str]]:
    """Return the images of beads in focus, and notes about them."""
    beads = _planes(spots)
    if not beads:
        raise InputError(f"no bead is found in {MIN_PLANES} frames or more, so that its focus cannot be located")
    focused, wider, within, turning = [], [], 0, 0
    for images in beads:
        keep, wider_there, passes = _narrowest(spots.frame[images], spots.width[images])
        focused.append(images[keep])
        wider.append(wider_there[keep])
        within += passes
        turning += _turns(spots.select(images))
    number = f"{len(beads)} bead" + "s" * (len(beads) != 1)
    per_bead = np.mean([len(images) for images in focused])
    notes = [f"a z-stack of {number}: each was measured where it is in focus, in {per_bead:.0f} frames on average"]
    if within < len(beads) / 2:
        notes.append("most beads are narrowest at an end of the z-stack: they may not be in focus anywhere in it")
    if turning > len(beads) / 2:
        notes.append(
            "astigmatic: spots are long in one direction before the focus and across it behind; sigma is that between, "
            "where they are narrowest all in all"
        )
    chosen = spots.select(np.concatenate(focused))
    chosen.fits.at[:, 4:] /= np.concatenate(wider)[:, None]
    return chosen, notes


def _narrowest(
    frame: NDArray[np.int64], width: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], bool]:
    """Say which images of a bead are in focus, how much wider each is than there, and whether it goes through it."""
    near = width < PARABOLA_SHARE * np.quantile(width, 0.1)
    middle = float(np.median(frame[near]))
    if near.sum() >= 5:
        curve, slope, level = np.polyfit(frame[near] - middle, width[near] ** 2, 2)
        focus = middle - slope / (2 * curve) if curve > 0 else np.inf
        if frame[near].min() < focus < frame[near].max():
            narrowest = max(level - slope**2 / (4 * curve), SIGMA_PX[0] ** 2)
            away = np.sqrt(narrowest * ((1 + FOCUS_SHARE) ** 2 - 1) / curve)
            distance = np.abs(frame - focus)
            wider = np.sqrt(1 + curve * distance**2 / narrowest)
            return distance <= max(away, np.sort(distance)[MIN_SPOTS - 1]), wider, True
    smooth = _middle_of_three(width)
    return smooth <= (1 + FOCUS_SHARE) * smooth.min(), np.ones(len(width)), False


def _turns(images: Spots) -> bool:
    """Say whether a bead's images are long in one direction at one end of a z-stack and across it at the other."""
    square = images.fits.at[:, 4:] ** 2
    lengths = np.column_stack([square[:, 0] - square[:, 1], 2 * images.fits.slant]) / square.sum(axis=1, keepdims=True)
    low, high = (lengths[part].mean(axis=0) for part in np.array_split(np.arange(len(lengths)), 3)[::2])
    return bool(low @ high < 0 and np.linalg.norm(high - low) > 2 * LONG_SHARE)


def _middle_of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each value and its neighbours; the ends have one."""
    return np.array([np.median(values[max(k - 1, 0) : k + 2]) for k in range(len(values))])
