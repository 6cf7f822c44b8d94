"""What is not given of a movie's microscope, estimated from it; what is given, compared with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel.calibration.camera_check import check_baseline, compared, unchecked, without_read_noise
from napari_subpixel.calibration.camera_estimate import ASSUMED, completed
from napari_subpixel.calibration.camera_misfit import shows_gain_roughly
from napari_subpixel.calibration.emccd import em_gain_warning
from napari_subpixel.calibration.frame_pairs import MAX_PIXELS, MIN_SIDE_PX, sample_pairs
from napari_subpixel.calibration.noise_growth import NARROW_PX, NoiseFit, fit_noise
from napari_subpixel.calibration.outlier_frames import copied_frames, outlier_frames, pairs_without
from napari_subpixel.calibration.psf_width import DEFAULT_SIGMA_PX, estimate_sigma_px
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.errors import NoEstimateError
from napari_subpixel.stacks import Stack
from napari_subpixel.stacks.devices import camera_notes

#: Pixels read for comparing a given camera with the movie, where nothing has to be estimated.
MAX_COMPARED_PIXELS = 1 << 22

#: Digits of an estimate: more than it is good for, and few enough to be typed.
DIGITS = 5
#: How the note begins that a width is assumed.
ASSUMED_PSF = "PSF assumed"
#: Pixels were cut off below where more than this share of them are 0, and none is negative.
MAX_LOWEST_SHARE = 0.05
#: A given width does not fit where it differs from that of the movie by more than this factor.
MAX_WIDTH_FACTOR = 1.18
#: An estimated gain is reported as uncertain where its standard error is more than this share of it.
UNCERTAIN = 0.08


@dataclass(frozen=True)
class Microscope:
    """Camera and width of the point spread function, as given or estimated.

    Attributes
    ----------
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    assumed : tuple of str
        What was estimated or assumed, as text; empty where all was given.
    warnings : tuple of str
        Where the movie and the given camera differ, and which frames are unlike the others, as text.
    suggested : Camera, optional
        What the movie looks like, where the given camera does not fit.
    suggested_sigma_px : float, optional
        The width of the movie's spots, where the given one does not fit.
    left_out : tuple of str
        Which frames are unlike the others, as text; of the warnings.
    """

    camera: Camera
    sigma_px: float
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    suggested: Camera | None = None
    suggested_sigma_px: float | None = None
    left_out: tuple[str, ...] = ()


def microscope_of(
    stack: Stack,
    camera: Camera,
    sigma_px: float | None,
    *,
    unknown: Collection[str] = GAIN,
    em_gain_given: bool = False,
) -> Microscope:
    """Complete what is known about a movie's microscope by estimates, and compare what is given with the movie.

    Parameters
    ----------
    stack : Stack
        The movie.
    camera : Camera
        What is known about the camera; where its gain is estimated, an ``em_gain`` above 1 says that it is an EMCCD.
    sigma_px : float, optional
        Standard deviation of the point spread function, in pixels; estimated if not given.
    unknown : collection of str
        Which of the camera's fields `napari_subpixel.camera.GAIN` are estimated too.
    em_gain_given : bool
        Whether the camera's ``em_gain`` is known to be 1 where it is 1.

    Returns
    -------
    Microscope
        What cannot be estimated, as without molecules, is assumed, and `assumed` says so.

    Raises
    ------
    InputError
        If a frame cannot be read, holds values that are not finite or is smaller than 8 x 8 pixels, or, as
        `CameraMismatchError`, most pixels lie below the given baseline.
    """
    estimates = bool(unknown) or sigma_px is None
    frames, numbers = sample_pairs(stack, MAX_PIXELS if estimates else MAX_COMPARED_PIXELS)
    with records.naming(stack.name):
        if frames.min() == frames.max():
            nothing = ("the movie is constant: nothing can be estimated from it",) if estimates else ()
            return Microscope(camera, sigma_px or DEFAULT_SIGMA_PX, nothing)
        left_out = outlier_frames(frames)
        copies = copied_frames(frames) & ~left_out
        frames = pairs_without(frames, left_out | copies)
        if min(frames.shape[1:]) < MIN_SIDE_PX and not estimates:
            return Microscope(camera, sigma_px or DEFAULT_SIGMA_PX)
        unlike = [*_left_out(left_out, numbers), *_copied(copies, numbers)]
        warnings, notes = [*unlike, *_cut_off(frames)], []
        seen, width_note = _sigma_of(frames)
        is_seen = not width_note.startswith(ASSUMED_PSF)
        width = seen if sigma_px is None else sigma_px
        # In a single frame, structures of the sample look like molecules.
        misfit_of_width = _psf_misfit(seen, width) if is_seen and len(frames) > 1 else ""
        if sigma_px is not None:
            width_note = ""
        trusted = seen if misfit_of_width or (is_seen and sigma_px is None) else sigma_px
        fit = fit_noise(frames, camera, trusted or NARROW_PX)
        if "baseline" not in unknown:
            check_baseline(fit, camera)
        suggested, misfit = compared(fit, camera, unknown)
        without_em_gain = em_gain_warning(camera, camera_notes(stack), unknown, em_gain_given=em_gain_given)
        if unknown:
            camera, note, uncertain = _camera_of(fit, camera, unknown, em_gain_given=em_gain_given)
            notes.append(note)
            warnings += [uncertain] if uncertain else []
        # In electrons, which a wrong gain would make wrong too.
        quiet, misfit_of_noise = (None, "") if misfit else without_read_noise(fit, camera)
        if quiet is not None:
            suggested = _camera_of(fit, quiet, unknown)[0] if unknown else quiet
        warnings += [warning for warning in (without_em_gain, misfit, misfit_of_noise, misfit_of_width) if warning]
        not_checked = unchecked(fit, camera, unknown)
        is_serious = bool(unknown) and not shows_gain_roughly(fit)  # something rests on what is not checked
        notes += [note for note in (width_note, "" if is_serious else not_checked) if note]
        warnings += [not_checked] if is_serious and not_checked else []
    suggested = suggested and _typable(suggested, GAIN)
    fitting = seen if misfit_of_width else None
    return Microscope(camera, width, tuple(notes), tuple(warnings), suggested, fitting, tuple(unlike))


def _left_out(left_out: NDArray[np.bool_], numbers: NDArray[np.int64]) -> list[str]:
    """Say which frames are unlike the others."""
    n = int(left_out.sum())
    if not n:
        return []
    which = f"{n} of {len(left_out)} frames are" if n > 1 else f"1 of {len(left_out)} frames is"
    first = int(numbers[left_out][0])
    return [f"{which} blank, or far brighter or darker than the others (first: {first}): left out of the estimates"]


def _copied(copies: NDArray[np.bool_], numbers: NDArray[np.int64]) -> list[str]:
    """Say which frames repeat the one before."""
    n = int(copies.sum())
    if not n:
        return []
    what = f"{n} of {len(copies) // 2} pairs of frames are twice the same frame"
    return [f"{what} (first: {int(numbers[copies][0])}): left out of the estimates, and detected like the others"]


def _cut_off(frames: NDArray) -> list[str]:
    """Say that the darkest pixels were cut off."""
    share = float((frames == 0).mean())
    if frames.min() < 0 or share <= MAX_LOWEST_SHARE:
        return []
    return [
        f"{share:.0%} of the pixels have the lowest value, 0 ADU, as after subtracting a background: what lay "
        "below is lost, and baseline, gain, photons and probabilities are unreliable; detect the movie as recorded"
    ]


def _psf_misfit(seen: float, sigma_px: float) -> str:
    """Say that a given width differs from that of the movie; an empty text where it does not."""
    if 1 / MAX_WIDTH_FACTOR < sigma_px / seen < MAX_WIDTH_FACTOR:
        return ""
    return f"the movie looks like a PSF of sigma {seen:.2f} px; {sigma_px:.2f} px was given"


def _camera_of(
    fit: NoiseFit, camera: Camera, unknown: Collection[str], *, em_gain_given: bool = False
) -> tuple[Camera, str, str]:
    """Return a camera with gain and baseline, where they come from, and a warning where they are uncertain."""
    uncertain = error = ""
    try:
        known, uncertainty = completed(fit, camera, unknown)
        source = "camera from the movie"
        error = f" +/- {max(uncertainty, 0.01):.0%}"
        if uncertainty > UNCERTAIN:
            uncertain = f"the movie shows the camera's gain only to {uncertainty:.0%}: photons are as uncertain"
    except NoEstimateError:
        known = replace(camera, electrons_per_adu=camera.em_gain * camera.excess_noise_factor, name=ASSUMED)
        if "baseline" in unknown:
            known = replace(known, baseline=max(fit.mean_light - fit.mean_variance, 0.0))
        source = "camera assumed, since the movie does not show it"
        uncertain = "the movie does not show the camera's gain: photons and uncertainties are those of an assumed one"
    values = []
    known = _typable(known, unknown)
    if "baseline" in unknown:
        values.append(f"baseline {known.baseline:.1f} ADU")
    if "electrons_per_adu" in unknown:
        without = (
            "with no EM gain, as given"
            if em_gain_given
            else "assuming no EM gain (of an EMCCD, photons would be twice as many)"
        )
        how = "an EMCCD, as its gain says" if known.em_gain > 1 else without
        values += [f"{float(np.mean(known.electrons_per_adu)):.3g} electrons per ADU{error}", how]
    return known, f"{source}: {', '.join(values)}", uncertain


def _typable(camera: Camera, unknown: Collection[str]) -> Camera:
    """Return a camera whose estimated numbers are rounded, so that those that a user types back are the same."""
    numbers: dict[str, Any] = {name: _rounded(float(np.mean(getattr(camera, name)))) for name in unknown}
    return replace(camera, **numbers)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _sigma_of(frames: NDArray) -> tuple[float, str]:
    """Return the width of the point spread function, and where it comes from."""
    try:
        sigma_px = estimate_sigma_px(frames)
    except NoEstimateError:
        return (
            DEFAULT_SIGMA_PX,
            f"{ASSUMED_PSF}, since no molecules stand out: sigma {DEFAULT_SIGMA_PX:.2f} px",
        )
    sigma_px = _rounded(sigma_px)
    return sigma_px, f"PSF from the movie: sigma {sigma_px:.2f} px"
