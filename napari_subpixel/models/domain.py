"""The range of microscopes and samples that a model is made for: what it is trained on, and warns outside of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from napari_subpixel._util import records
from napari_subpixel.coordinates import PixelSize, mean_pixel_size
from napari_subpixel.errors import InputError, shown

#: How a value of each range is named.
WORDS = {
    "sigma_px": "PSF: sigma {} px",
    "photons": "brightness: a median of {} photons",
    "background": "background: a median of {} photons a pixel",
    "density_per_px": "density: {} molecules a pixel",
}


@dataclass(frozen=True)
class Domain:
    """Ranges, each (lowest, highest), of what a model was trained on.

    Attributes
    ----------
    sigma_px : (float, float)
        Standard deviation of the point spread function, in pixels.
    photons : (float, float)
        Photons of a molecule in a frame: the median over the molecules of a movie.
    background : (float, float)
        Background, in photons per pixel.
    density_per_px : (float, float)
        Molecules per pixel, on average over a frame; 0.12 are 12 per square micrometre at 100 nm a pixel.

    Examples
    --------
    >>> Domain().outside(sigma_px=3.0, photons=1000.0)
    ['PSF: sigma 3 px is above 2']
    """

    sigma_px: tuple[float, float] = (0.8, 2.0)
    photons: tuple[float, float] = (200.0, 20_000.0)
    background: tuple[float, float] = (1.0, 1000.0)
    density_per_px: tuple[float, float] = (0.0, 0.12)

    def __post_init__(self) -> None:
        for field in fields(self):
            records.set_field(self, field.name, _checked_range(field.name, getattr(self, field.name)))
        for name in ("sigma_px", "photons", "background"):
            if getattr(self, name)[0] <= 0:
                raise InputError(f"domain: {name} must be positive, got {getattr(self, name)[0]:g}")

    def outside(self, **values: float) -> list[str]:
        """Return a text for each of these values, by the names of the fields, that lies outside its range."""
        texts = []
        for name, value in values.items():
            low, high = getattr(self, name)
            if value < low:
                texts.append(f"{WORDS[name].format(_rounded(value))} is below {_rounded(low)}")
            elif value > high:
                texts.append(f"{WORDS[name].format(_rounded(value))} is above {_rounded(high)}")
        return texts

    def as_text(self, pixel_size_nm: PixelSize) -> str:
        """Return all ranges on one line, with the density per square micrometre."""
        per_um2 = [density / (mean_pixel_size(pixel_size_nm) / 1000) ** 2 for density in self.density_per_px]
        spans = {
            "sigma {} px": self.sigma_px, "{} photons": self.photons, "background {} photons a pixel": self.background,
            "{} molecules a square micrometre": per_um2,
        }  # fmt: skip
        return ", ".join(text.format(f"{_rounded(low)} to {_rounded(high)}") for text, (low, high) in spans.items())

    def to_dict(self) -> dict[str, Any]:
        """Return every range, as lists of two numbers."""
        return {field.name: list(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Domain:
        """Build from named ranges, and refuse a misspelt one by name."""
        return records.from_dict(cls, "domain", values)


def draw_log_uniform(rng: np.random.Generator, span: tuple[float, float], size: int | None = None) -> Any:
    """Draw numbers whose logarithms are uniform over a range.

    Parameters
    ----------
    rng : Generator
    span : (float, float)
        Lowest and highest number.
    size : int, optional
        How many; a single one, not an array, if not given.

    Returns
    -------
    float or ndarray of float64, shape (size,)
    """
    return np.exp(rng.uniform(np.log(span[0]), np.log(span[1]), size))


def _rounded(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


def _checked_range(name: str, span: Any) -> tuple[float, float]:
    if not isinstance(span, (tuple, list)) or len(span) != 2:
        raise InputError(f"domain: {name} must be a lowest and a highest value, got {shown(span)}")
    low, high = (records.number("domain", name, value) for value in span)
    if not 0 <= low <= high:
        raise InputError(f"domain: {name} must go up from 0 or more, got {low:g} to {high:g}")
    return low, high
