"""How movies are detected, besides the detector; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np

from napari_subpixel._util import records
from napari_subpixel._util.records import described, set_field
from napari_subpixel.calibration.bad_pixels import BadPixels
from napari_subpixel.camera import GAIN, Camera
from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError, shown
from napari_subpixel.psf import GaussianPSF


@dataclass(frozen=True)
class DetectionOptions:
    """How movies are detected, besides the detector.

    Attributes
    ----------
    camera : Camera
        Its pixel size, where it has one, overrides that of the movie's metadata.
    psf : GaussianPSF, optional
        The point spread function; estimated from the movie if not given, where the model needs it.
    estimate_camera : bool or tuple of str, optional
        Whether the camera's baseline and gain are unknown, and estimated from the movie where the model needs them; or
        which of both are, by the names of the camera's fields. If not given, each is that has its default.
    em_gain_given : bool
        Whether the camera's ``em_gain`` of 1 is known, and no sign of an EMCCD in its name is a warning.
    molecule_photons : float, optional
        Photons that a typical molecule gives in a frame, 0 for unknown; estimated from the movie if not given, where
        the model needs them. They distinguish a bright molecule from several close together.
    frames : (int or None, int or None), optional
        First frame and the one after the last, counted from 0; None for the movie's own.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frame in pixels, ends excluded; the whole frame if not given.
    series : int, optional
        Which image of a file that holds several, counted from 0.
    channel : int or str, optional
        Which channel of a movie that has several: its number, counted from 0, or its name.
    bad_pixels : bool, BadPixels or tuple of (int, int)
        Whether pixels that are stuck, hot, dark or noisy are found from the movie and interpolated; or those that are,
        as rows and columns or as a whole.
    drop_static : bool
        Whether points that never move are left out of the table, such as those at fiducial beads.

    Raises
    ------
    InputError
        If an option is of another kind, the frames hold none, or, as `ImplausibleError`, no camera has such numbers.

    Examples
    --------
    >>> DetectionOptions(Camera(pixel_size_nm=100), frames=(500, None)).span(2000)
    (500, 2000)
    """

    camera: Camera = field(default_factory=Camera)
    psf: GaussianPSF | None = None
    estimate_camera: bool | tuple[str, ...] | None = None
    em_gain_given: bool = False
    molecule_photons: float | None = described(None, "photons of a typical molecule in a frame, 0 for unknown")
    frames: tuple[int | None, int | None] | None = None
    roi: Roi | None = None
    series: int | None = None
    channel: int | str | None = None
    bad_pixels: bool | BadPixels | tuple[tuple[int, int], ...] = True
    drop_static: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("camera", Camera), ("psf", GaussianPSF | None), ("estimate_camera", bool | tuple | None)):
            if not isinstance(value := getattr(self, name), kind):
                raise InputError(f"{name}: expected {getattr(kind, '__name__', kind)}, got {shown(value)}")
        if isinstance(self.estimate_camera, tuple) and not set(self.estimate_camera) <= set(GAIN):
            raise InputError(f"estimate_camera: expected some of {', '.join(GAIN)}, got {shown(self.estimate_camera)}")
        self.camera.check_plausible()
        if self.molecule_photons is not None:
            set_field(self, "molecule_photons", _checked_photons(self.molecule_photons))
        if self.frames is not None:
            set_field(self, "frames", _checked_frames(self.frames))
        if self.roi is not None:
            set_field(self, "roi", _checked_region(self.roi))
        if not isinstance(self.bad_pixels, bool | BadPixels):
            set_field(self, "bad_pixels", _checked_places(self.bad_pixels))

    @property
    def estimated(self) -> tuple[str, ...]:
        """Which of the camera's baseline and gain are estimated from the movie, where the model needs them."""
        if isinstance(self.estimate_camera, tuple):
            return self.estimate_camera
        if self.estimate_camera is not None:
            return GAIN if self.estimate_camera else ()
        return tuple(name for name in GAIN if np.array_equal(getattr(self.camera, name), getattr(Camera(), name)))

    @property
    def opening(self) -> dict[str, Any]:
        """Keyword arguments of `napari_subpixel.open_stack` for the movie that is meant."""
        stop = self.frames[1] if self.frames is not None else None
        return {"series": self.series, "channel": self.channel, "stop": stop}

    def given_bad_pixels(self, frame_shape: tuple[int, int]) -> BadPixels | None:
        """Return the pixels that are interpolated, or None where they are found from the movie.

        Parameters
        ----------
        frame_shape : (int, int)

        Raises
        ------
        InputError
            If they do not lie within such frames.
        """
        if isinstance(self.bad_pixels, bool):
            return None if self.bad_pixels else BadPixels.none(frame_shape, "kept")
        given = self.bad_pixels
        given = given if isinstance(given, BadPixels) else BadPixels.at(given, frame_shape)
        given.check_fits(frame_shape)
        return given

    def span(self, n_frames: int) -> tuple[int, int]:
        """Return the first frame and the one after the last, of a movie of `n_frames`."""
        start, stop = self.frames or (None, None)
        return start or 0, n_frames if stop is None else stop


def checked_options(options: DetectionOptions | None) -> DetectionOptions:
    """Return the options, those of the defaults for None; raise `InputError` for anything else, such as a camera."""
    if options is None:
        return DetectionOptions()
    if not isinstance(options, DetectionOptions):
        raise InputError(f"expected DetectionOptions, such as DetectionOptions(camera), got {shown(options)}")
    return options


def _checked_photons(photons: Any) -> float:
    value = records.number("options", "molecule_photons", photons)
    if value < 0:
        raise InputError(f"options: molecule_photons must be 0 or more, got {value:g}")
    return value


def _checked_frames(frames: Any) -> tuple[int | None, int | None]:
    try:
        start, stop = (None if end is None else index(end) for end in frames)
    except (TypeError, ValueError):
        raise InputError(f"frames: expected (first, one after the last), got {shown(frames)}") from None
    if (start or 0) < 0 or (stop is not None and stop <= (start or 0)):
        ends = f"{start or 0}:{'' if stop is None else stop}"
        raise InputError(f"frames {ends} hold none: they count from 0, and the first lies before the end")
    return start, stop


def _checked_region(roi: Any) -> Roi:
    try:
        (y0, y1), (x0, x1) = ((index(start), index(stop)) for start, stop in roi)
    except (TypeError, ValueError):
        raise InputError(f"roi: expected ((y0, y1), (x0, x1)) in pixels, got {shown(roi)}") from None
    return (y0, y1), (x0, x1)


def _checked_places(places: Any) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((index(y), index(x)) for y, x in places)
    except (TypeError, ValueError):
        raise InputError(f"bad_pixels: expected True, False or rows and columns, got {shown(places)}") from None
