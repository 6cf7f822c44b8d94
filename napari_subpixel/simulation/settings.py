"""What to simulate: the sample, its molecules' blinking, and the microscope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel._util.records import described
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import PixelSize, checked_frame_shape, mean_pixel_size, pixel_size_yx
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.psf import GaussianPSF

#: What molecules may sit on.
STRUCTURES = ("uniform", "filaments", "rings")
#: Molecules lie up to this many standard deviations of the PSF outside the frame: beyond, 0.2% of their light is left.
MARGIN_SIGMA = 3.0


@dataclass(frozen=True)
class Simulation:
    """What to simulate: the sample, its molecules' blinking, and the microscope.

    A molecule that has been dark is on for an exponentially distributed time that starts at any moment, so its first
    and last frames are dimmer: a frame gets photons in proportion to the time on within it. A molecule that is on in a
    frame does not start again in it. Molecules just outside the frame send their light into it.

    Attributes
    ----------
    frame_shape : (int, int)
        (height, width) of the frames, in pixels.
    n_frames : int
        Number of frames.
    camera : Camera
        The camera; its ``pixel_size_nm`` must be known.
    psf : GaussianPSF
        The point spread function.
    structure : {"filaments", "rings", "uniform"}
        What the molecules sit on.
    n_structures : int
        Number of filaments or rings.
    width_nm : float
        Diameter of a filament, or of the tube that is bent into a ring, in nm; molecules sit on its surface.
    persistence_length_um : float
        How far a filament keeps its direction, in micrometres: the smaller, the more bent.
    ring_radius_nm : float
        Radius of a ring, in nm.
    molecules : int
        Molecules in the sample, those just outside the frame included.
    emitters_per_frame : float
        Rows of the truth per frame, on average over movies: molecules on the frame that give at least `min_photons`.
    photons : float
        Median, over the times that molecules are on, of the photons in a frame throughout which a molecule is on.
    photons_spread : float
        Standard deviation of the natural logarithm of these photons (log-normal); 0 makes all molecules alike.
    on_time_frames : float
        Mean time for which a molecule is on, in frames; 0 makes it be on for exactly one whole frame.
    min_photons : float
        A molecule that gives fewer photons in a frame has no row in the truth of this frame; its light is there.
    background : float
        Background, in photons per pixel and frame.
    drift_nm : float
        Standard deviation, along an axis and over movies, of how far the sample drifts from the first frame to the
        last. The truth has the places where the light was; `simulated_drift` returns the drift.
    fiducials : int
        Beads that are on in every frame and drift with the sample; they have rows in the truth, marked by 1 in its
        column ``fiducial``, on top of `emitters_per_frame`.
    fiducial_photons : float
        Photons of a bead in a frame.
    bleaching_frames : float
        Mean time after which a molecule is bleached and not on again, in frames; 0: never. The molecules on in a frame
        become fewer accordingly; `emitters_per_frame` is their mean over the movie.
    dark_fraction : float
        Share of the frames of its time on in which a molecule is dark, each by chance.

    Examples
    --------
    >>> from napari_subpixel import simulate
    >>> small = Simulation(frame_shape=(24, 32), n_frames=3, structure="rings", emitters_per_frame=2)
    >>> movie, truth = simulate(small, np.random.default_rng(1))
    >>> movie.shape, movie.dtype, truth.columns
    ((3, 24, 32), dtype('uint16'), ('frame', 'y', 'x', 'photons', 'background', 'sigma'))
    """

    frame_shape: tuple[int, int] = (64, 96)
    n_frames: int = 100
    camera: Camera = field(
        default_factory=lambda: Camera(pixel_size_nm=100.0, baseline=100.0, electrons_per_adu=0.5, read_noise_e=1.5)
    )
    psf: GaussianPSF = field(default_factory=lambda: GaussianPSF(sigma_nm=110.0))
    structure: str = described("filaments", f"what molecules sit on: {', '.join(STRUCTURES)}")
    n_structures: int = described(12, "number of filaments or rings")
    width_nm: float = 25.0
    persistence_length_um: float = 20.0
    ring_radius_nm: float = 150.0
    molecules: int = described(5000, "molecules in the sample")
    emitters_per_frame: float = described(15.0, "molecules that are on in a frame, on average")
    photons: float = described(1500.0, "median photons of a molecule in a whole frame")
    photons_spread: float = described(0.3, "standard deviation of the logarithm of the photons")
    on_time_frames: float = described(2.0, "mean time on, in frames; 0 for exactly one frame")
    min_photons: float = 100.0
    background: float = described(15.0, "background, photons per pixel")
    drift_nm: float = described(0.0, "drift of the sample over the movie, nm: standard deviation along an axis")
    fiducials: int = described(0, "number of beads that are on in every frame")
    fiducial_photons: float = described(10_000.0, "photons of a bead in a frame")
    bleaching_frames: float = described(0.0, "mean time after which a molecule is bleached, in frames; 0: never")
    dark_fraction: float = described(0.0, "share of the frames of its time on in which a molecule is dark")

    def __post_init__(self) -> None:
        with records.naming("simulation"):
            records.set_field(self, "frame_shape", checked_frame_shape(self.frame_shape))
        if self.structure not in STRUCTURES:
            known = ", ".join(STRUCTURES)
            hint = suggest(str(self.structure), STRUCTURES)
            raise InputError(f"simulation: structure must be one of {known}, got {self.structure!r}{hint}")
        for name in ("n_frames", "n_structures", "molecules"):
            check_count(name, getattr(self, name))
        for name in ("photons", "persistence_length_um", "ring_radius_nm"):
            records.set_field(self, name, _checked_number(name, getattr(self, name), positive=True))
        if not _is_count(self.fiducials, least=0):
            raise InputError(f"simulation: fiducials must be a whole number from 0, got {self.fiducials!r}")
        for name in (
            "width_nm", "emitters_per_frame", "photons_spread", "on_time_frames", "min_photons", "background",
            "drift_nm", "fiducial_photons", "bleaching_frames", "dark_fraction",
        ):  # fmt: skip
            records.set_field(self, name, _checked_number(name, getattr(self, name), positive=False))
        if self.dark_fraction >= 1:
            raise InputError(f"simulation: dark_fraction must be below 1, got {self.dark_fraction:g}")
        if self.min_photons >= self.photons:
            raise InputError(
                f"simulation: min_photons must be below photons, got {self.min_photons:g} and {self.photons:g}"
            )
        self._check_microscope()

    def _check_microscope(self) -> None:
        if not isinstance(self.camera, Camera):
            raise InputError(f"simulation: camera must be a Camera, got {self.camera!r}")
        if not isinstance(self.psf, GaussianPSF):
            raise InputError(f"simulation: psf must be a GaussianPSF, got {self.psf!r}")
        if self.camera.pixel_size_nm is None:
            raise InputError("simulation: the camera's pixel_size_nm must be known")
        self.camera.check_fits(self.frame_shape)
        if self.sigma_px > max(self.frame_shape):
            raise InputError(
                f"simulation: psf sigma_nm {self.psf.sigma_nm:g} is wider than the frames, {max(self.frame_shape)} px"
            )

    @property
    def pixel_size_nm(self) -> PixelSize:
        """Width of a camera pixel in nm, or height and width."""
        assert self.camera.pixel_size_nm is not None  # checked when made
        return self.camera.pixel_size_nm

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the point spread function in pixels; of pixels that are not square, the mean."""
        return self.psf.sigma_px(self.pixel_size_nm)

    @property
    def margin_px(self) -> tuple[float, float]:
        """How far outside the frame molecules may lie along y and along x, in pixels."""
        y, x = self.psf.sigma_yx_px(self.pixel_size_nm)
        return MARGIN_SIGMA * y, MARGIN_SIGMA * x

    @property
    def mean_pixel_nm(self) -> float:
        """Side of a square of a camera pixel's area, in nm: the unit in which structures are drawn."""
        return mean_pixel_size(self.pixel_size_nm)

    @property
    def pixels_yx(self) -> NDArray[np.float64]:
        """Camera pixels in this unit along y and along x, shape (2,): 1 where pixels are square."""
        return self.mean_pixel_nm / np.array(pixel_size_yx(self.pixel_size_nm))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, and the camera and the PSF, as plain values."""
        return {**records.to_dict(self), **self._plain(), "camera": self.camera.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Simulation:
        """Build a simulation from named fields, camera and PSF as mappings; a misspelt field is refused by name."""
        values = dict(values)
        for name, record in (("camera", Camera), ("psf", GaussianPSF)):
            if isinstance(values.get(name), Mapping):
                values[name] = record.from_dict(values[name])
        return records.from_dict(cls, "simulation", values)

    def summary(self) -> dict[str, Any]:
        """Return every field for the truth's provenance; a camera map is summed up by its shape and mean."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, **self._plain(), "camera": self.camera.summary()}

    def _plain(self) -> dict[str, Any]:
        return {"frame_shape": list(self.frame_shape), "psf": self.psf.to_dict()}


def crowded_microtubules(**settings: Any) -> Simulation:
    """Return an example: microtubules with the optics, brightness and crowding that the model ``paper`` was made for.

    Parameters
    ----------
    **settings
        Fields of `Simulation` that are to be different, such as ``n_frames``.

    Examples
    --------
    >>> crowded_microtubules(n_frames=20).frame_shape
    (96, 96)
    """
    camera = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=1 / 2.065 * 300, em_gain=300, name="EMCCD")
    example = Simulation(
        frame_shape=(96, 96),
        n_frames=500,
        camera=camera,
        psf=GaussianPSF(sigma_nm=110.0),
        structure="filaments",
        n_structures=14,
        molecules=60_000,
        emitters_per_frame=250.0,
        photons=2250.0,
        photons_spread=0.1,
        on_time_frames=0.0,
        background=15.0,
    )
    return replace(example, **settings)


def check_count(name: str, value: Any) -> None:
    """Raise `InputError` unless a setting is a whole number from 1."""
    if not _is_count(value):
        raise InputError(f"simulation: {name} must be a whole number from 1, got {value!r}")


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def _checked_number(name: str, value: Any, *, positive: bool) -> float:
    checked = records.number("simulation", name, value)
    if checked < 0 or (positive and checked == 0):
        raise InputError(f"simulation: {name} must {'be positive' if positive else 'not be negative'}, got {checked:g}")
    return checked
