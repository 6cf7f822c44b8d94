"""The camera: how photons become the numbers in a file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output
from napari_subpixel._util.records import described
from napari_subpixel.coordinates import (
    PLAUSIBLE_PIXEL_NM,
    PLAUSIBLE_PIXEL_RATIO,
    PixelSize,
    checked_pixel_size,
    meant_nm,
    pixel_ratio,
    pixel_size_yx,
)
from napari_subpixel.errors import ImplausibleError, InputError, shown

#: Most photons in a pixel: beyond any camera, and near the limit of the generator of Poisson numbers.
MAX_PHOTONS = 1e15
#: Fields that may be one number or, for an sCMOS camera, a map with a value for every pixel.
MAPS = ("baseline", "electrons_per_adu", "read_noise_e")
#: Fields that can be estimated from a movie, where they are not given.
GAIN = ("baseline", "electrons_per_adu")
#: Ranges of a camera's numbers, with room beyond any that is sold.
PLAUSIBLE = {
    "baseline": (-1e6, 1e6),
    "electrons_per_adu": (1e-4, 1e4),
    "em_gain": (1.0, 1e4),
    "read_noise_e": (0.0, 1e5),
}


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera with its units: CCD, EMCCD (``em_gain`` above 1) or sCMOS (maps of baseline, gain and read noise).

    Attributes
    ----------
    pixel_size_nm : float or (float, float), optional
        Width of a pixel in the sample, in nm; height and width where they differ.
    baseline : float or (Y, X) array
        Offset of the digitiser, in ADU.
    electrons_per_adu : float or (Y, X) array
        Electrons (after the EM gain) that make one ADU.
    quantum_efficiency : float
        Electrons per photon, above 0 and up to 1.
    em_gain : float
        Mean electron multiplication; 1 is none.
    read_noise_e : float or (Y, X) array
        Standard deviation of the read noise, in electrons after the gain.
    bit_depth : int
        Bits of the digitiser; larger values saturate.
    name : str
        Name given by the user.

    Examples
    --------
    >>> camera = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5)
    >>> float(camera.to_photons(300)), float(camera.to_adu(100))
    (100.0, 300.0)
    """

    pixel_size_nm: PixelSize | None = described(None, "width of a camera pixel in the sample, in nm")
    baseline: float | NDArray[np.float64] = described(0.0, "offset of the camera, in ADU")
    electrons_per_adu: float | NDArray[np.float64] = described(1.0, "electrons per ADU")
    quantum_efficiency: float = described(1.0, "electrons per photon")
    em_gain: float = described(1.0, "electron multiplication; 1 for none")
    read_noise_e: float | NDArray[np.float64] = described(0.0, "read noise, in electrons")
    bit_depth: int = 16
    name: str = ""

    def __post_init__(self) -> None:
        for field in MAPS:
            records.set_field(self, field, _number_or_map(field, getattr(self, field)))
        for field in ("quantum_efficiency", "em_gain", "bit_depth"):
            records.set_field(self, field, records.number("camera", field, getattr(self, field)))
        if self.pixel_size_nm is not None:
            records.set_field(self, "pixel_size_nm", _checked_size(self.pixel_size_nm))
        if not 0 < self.quantum_efficiency <= 1:
            raise InputError(f"camera: quantum_efficiency must be above 0, at most 1, got {self.quantum_efficiency:g}")
        if self.em_gain < 1:
            raise InputError(f"camera: em_gain must be at least 1 (1 is none), got {self.em_gain:g}")
        if np.min(self.electrons_per_adu) <= 0:
            raise InputError(f"camera: electrons_per_adu must be positive, got {np.min(self.electrons_per_adu):g}")
        if np.min(self.read_noise_e) < 0:
            raise InputError(f"camera: read_noise_e must not be negative, got {np.min(self.read_noise_e):g}")
        if self.bit_depth not in range(1, 17):
            raise InputError(f"camera: bit_depth must be a whole number from 1 to 16, got {self.bit_depth:g}")
        records.set_field(self, "bit_depth", int(self.bit_depth))
        if not isinstance(self.name, str):
            raise InputError(f"camera: name must be text, got {self.name!r}")
        if len(shapes := {np.shape(getattr(self, f)) for f in MAPS} - {()}) > 1:
            raise InputError(f"camera: maps differ in shape: {sorted(shapes)}")

    def check_plausible(self) -> None:
        """Raise `ImplausibleError` for numbers that no microscope has, such as a pixel size in um."""
        if self.pixel_size_nm is not None:
            _check_plausible_size(self.pixel_size_nm)
        for name, (low, high) in PLAUSIBLE.items():
            value = float(np.median(getattr(self, name)))
            if not low <= value <= high:
                raise ImplausibleError(f"camera: {name} is not between {low:g} and {high:g}, got {value:g}")

    # -- photons and ADU ------------------------------------------------------------------------------------------

    def to_photons(self, adu: ArrayLike) -> NDArray[np.float64]:
        """Convert ADU, shape (..., Y, X), to photons."""
        electrons = (self._fitting(adu) - self.baseline) * self.electrons_per_adu
        return electrons / (self.quantum_efficiency * self.em_gain)

    def to_adu(self, photons: ArrayLike) -> NDArray[np.float64]:
        """Convert photons, shape (..., Y, X), to mean ADU, neither rounded nor clipped: `to_photons` backwards."""
        electrons = self._fitting(photons) * (self.quantum_efficiency * self.em_gain)
        return electrons / self.electrons_per_adu + self.baseline

    def expose(self, photons: ArrayLike, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return what the camera would record for these mean photons, with all its noise.

        Photo-electrons are Poisson distributed; electron multiplication, where there is any, gives each a
        gamma-distributed cascade, which doubles the variance for large gains (Robbins & Hadwen 2003,
        doi:10.1109/TED.2003.813462); Gaussian read noise is added after it; then the digitiser rounds and saturates.

        Parameters
        ----------
        photons : array_like, shape (..., Y, X)
            Mean photons per pixel and frame.
        rng : numpy.random.Generator
            Where the noise comes from.

        Returns
        -------
        ndarray of uint16, same shape

        Raises
        ------
        InputError
            If photons are negative, not numbers or beyond any camera, or the camera's maps are of another shape.
        """
        photons = self._fitting(photons)
        if not np.all(photons >= 0):
            raise InputError(f"the camera cannot see negative or NaN photons, got {photons.min():g}")
        if np.any(photons > MAX_PHOTONS):
            raise InputError(f"a pixel cannot receive {photons.max():g} photons; the most is {MAX_PHOTONS:g}")
        electrons = np.asarray(rng.poisson(photons * self.quantum_efficiency), dtype=np.float64)
        if self.em_gain > 1:
            electrons = _multiplied(electrons, self.em_gain, rng)
        if np.any(np.asarray(self.read_noise_e) > 0):
            electrons += rng.normal(size=electrons.shape) * self.read_noise_e
        adu = np.rint(electrons / self.electrons_per_adu + self.baseline)
        return np.clip(adu, 0, 2**self.bit_depth - 1).astype(np.uint16)

    @property
    def excess_noise_factor(self) -> float:
        """Variance over mean of the recorded photo-electrons, read noise aside: 1 without, 2 with a large EM gain."""
        return 1.0 + (1.0 - 1.0 / self.em_gain) ** 2

    @property
    def variance_per_photon(self) -> float:
        """Variance over mean of the recorded photons, read noise aside."""
        return self.excess_noise_factor / self.quantum_efficiency

    @property
    def read_noise_photons(self) -> float | NDArray[np.float64]:
        """Standard deviation of the read noise in photons: a number, or a map."""
        return self.read_noise_e / (self.quantum_efficiency * self.em_gain)

    # -- maps -----------------------------------------------------------------------------------------------------

    @property
    def map_shape(self) -> tuple[int, ...] | None:
        """(height, width) of the per-pixel maps, or None where every pixel is alike."""
        shapes = {np.shape(getattr(self, field)) for field in MAPS} - {()}
        return next(iter(shapes), None)

    def check_fits(self, frame_shape: tuple[int, ...]) -> None:
        """Raise `InputError` if the camera has maps and they are not of this (height, width)."""
        if self.map_shape not in (None, tuple(frame_shape)):
            raise InputError(f"the camera's maps have shape {self.map_shape}, the frames {tuple(frame_shape)}")

    def _fitting(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return an array of frames, checked to be of the maps' shape rather than broadcast to it."""
        array = np.asarray(values, dtype=np.float64)
        if self.map_shape:
            self.check_fits(array.shape[-2:])
        return array

    def crop(self, rows: slice, columns: slice) -> Camera:
        """Return the camera of a part of the frame: maps are cut, single numbers stay."""
        parts = {f: getattr(self, f) for f in MAPS}
        return replace(self, **{f: v[rows, columns] if np.ndim(v) else v for f, v in parts.items()})

    # -- records --------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # maps are arrays

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults; maps become nested lists."""
        return records.to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Camera:
        """Build a camera from named fields, and refuse a misspelt one by name."""
        return records.from_dict(cls, "camera", values)

    def uniform(self) -> Camera:
        """Return the camera with every map replaced by its mean."""
        means: dict[str, Any] = {f: float(np.mean(getattr(self, f))) for f in MAPS}
        return replace(self, **means)

    def summary(self) -> dict[str, Any]:
        """Return the record for a table's provenance: a map is given by its shape and mean."""
        short = {}
        for name, value in self.to_dict().items():
            array = getattr(self, name)
            short[name] = f"map {array.shape}, mean {array.mean():g}" if isinstance(array, np.ndarray) else value
        return short

    def to_yaml(self, path: str | Path) -> None:
        """Write the section ``camera`` of a YAML file; other sections that are there stay. Maps go to .npy files."""
        path, values = Path(path), self.to_dict()
        for field in MAPS:
            if np.ndim(getattr(self, field)):
                map_file = path.with_name(f"{path.stem}_{field}.npy")
                with atomic_output(map_file) as draft:
                    np.save(draft, getattr(self, field))
                values[field] = map_file.name
        records.write_section(path, "camera", values)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Camera:
        """Read the section ``camera`` of a YAML file; a map is named by a .npy or TIFF file relative to it.

        Raises
        ------
        InputError
            If the file cannot be read, or a field is misspelt or impossible; the message names file and field.
        """
        path = Path(path)
        values = records.read_section(path, "camera")
        with records.naming(path):
            return cls.from_dict(with_maps(values, path.parent))


def with_maps(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return fields of a camera, with every map that is given as a file name, relative to the folder, read."""
    read = {field: _read_map(field, folder / values[field]) for field in MAPS if isinstance(values.get(field), str)}
    return {**values, **read}


def _checked_size(value: Any) -> PixelSize:
    lengths = value if isinstance(value, (list, tuple)) else (value,)
    if len(lengths) not in (1, 2):
        raise InputError(f"camera: pixel_size_nm must be a number, or a height and a width, got {shown(value)}")
    numbers = [records.number("camera", "pixel_size_nm", length) for length in lengths]
    if min(numbers) <= 0:
        raise InputError(f"camera: pixel_size_nm must be positive, got {min(numbers):g}")
    return checked_pixel_size((numbers[0], numbers[-1]))


def _check_plausible_size(size_nm: PixelSize) -> None:
    low, high = PLAUSIBLE_PIXEL_NM
    for length in pixel_size_yx(size_nm):
        if not low <= length <= high:
            raise ImplausibleError(
                f"camera: a pixel size of {length:g} nm is not between {low:g} and {high:g} nm"
                f"{meant_nm(length, PLAUSIBLE_PIXEL_NM)}"
            )
    if pixel_ratio(size_nm) > PLAUSIBLE_PIXEL_RATIO:
        height, width = pixel_size_yx(size_nm)
        raise ImplausibleError(
            f"camera: pixels {height:g} nm high and {width:g} nm wide are no camera's: is the comma a decimal one?"
        )


def _number_or_map(field: str, value: Any) -> float | NDArray[np.float64]:
    if not isinstance(value, (np.ndarray, list, tuple)):
        return records.number("camera", field, value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"camera: {field} must be a number or a (Y, X) map, got rows of unequal length") from None
    if array.ndim != 2 or not array.size:
        raise InputError(f"camera: {field} must be a number or a (Y, X) map, got shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise InputError(f"camera: {field} must be a map of numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise InputError(f"camera: {field} must be finite in every pixel, got {array[~np.isfinite(array)][0]}")
    array = np.array(array, dtype=np.float64)
    array.flags.writeable = False
    return array


def _multiplied(electrons: NDArray[np.float64], gain: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Electrons after a multiplication register: the first cascades as it comes, the rest add a gamma law.

    n input electrons give n + Gamma(n, gain - 1), which has the mean n * gain exactly and the variance
    n * (gain - 1)**2; with Poisson input this is the excess factor of `Camera.excess_noise_factor`.
    """
    out = electrons.copy()
    lit = electrons > 0
    out[lit] += rng.gamma(electrons[lit], gain - 1.0)
    return out


def _read_map(field: str, path: Path) -> NDArray[Any]:
    try:
        if path.suffix == ".npy":
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))  # which no header can make too large
        import tifffile

        return tifffile.imread(path)
    except FileNotFoundError:
        raise InputError(f"camera: {field} is neither a number nor a map's file: there is no {path}") from None
    except Exception as error:  # of any kind, about a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"camera: {field}: {path} is not a map (.npy or TIFF): {reason[:200]}") from error
