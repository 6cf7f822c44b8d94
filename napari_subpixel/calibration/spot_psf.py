"""A measured point spread function, with its uncertainty and whether a Gaussian fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.calibration.radial_profile import RadialProfile
from napari_subpixel.coordinates import PixelSize, mean_pixel_size
from napari_subpixel.psf import GaussianPSF

#: A difference from a Gaussian counts above this share of the peak,
LARGE_MISFIT = 0.04
#: light beyond it above this share of the light,
LARGE_TAILS = 0.03
#: elongation above this share of the width,
LONG_SHARE = 0.05
#: and each only above this many times its uncertainty.
SURE_SIGMA = 4.0


class SpotShape(NamedTuple):
    """Widths of the mean spot.

    Attributes
    ----------
    sigma_px, sigma_uncertainty_px : float
        Standard deviation of the round Gaussian, in pixels, and its standard error.
    sigma_y_px, sigma_x_px : float
        Those along the axes.
    long_px, short_px, angle_deg : float
        Those along the direction in which spots are longest and across it, and that direction: from the x axis towards
        the y axis, which points down; between -90 and 90 degrees.
    elongation_uncertainty_px : float
        Standard error of the difference of the two.
    """

    sigma_px: float
    sigma_uncertainty_px: float
    sigma_y_px: float
    sigma_x_px: float
    long_px: float
    short_px: float
    angle_deg: float
    elongation_uncertainty_px: float


@dataclass(frozen=True, eq=False)
class SpotPsf:
    """A point spread function as measured.

    Attributes
    ----------
    shape : SpotShape
        Widths, with their uncertainties; `sigma_px` and `sigma_uncertainty_px` are at hand here too.
    radial : RadialProfile
        The mean radial profile, and its difference from the Gaussian.
    n_spots, n_sources, n_frames : int
        Spots that were used; beads or molecules that they belong to; frames that were searched.
    z_stack : bool
        Whether the spots are those of a z-stack's frames in focus.
    sigmas_px : ndarray, shape (M,)
        Width of each bead or molecule, or, of a single one, in each frame: what the standard error comes from.
    image : ndarray, shape (n, n)
        The mean spot, as a share of its light per pixel; NaN where there was no pixel.
    image_zoom : int
        Its pixels per pixel of the camera.
    n_left_out : dict of str to int
        Bright spots that were not used, by reason.
    notes : tuple of str
        Warnings and remarks.
    """

    shape: SpotShape
    radial: RadialProfile
    n_spots: int
    n_sources: int
    n_frames: int
    z_stack: bool
    sigmas_px: NDArray[np.float64]
    image: NDArray[np.float64]
    image_zoom: int
    n_left_out: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the round Gaussian, in pixels."""
        return self.shape.sigma_px

    @property
    def sigma_uncertainty_px(self) -> float:
        """Standard error of `sigma_px`, in pixels."""
        return self.shape.sigma_uncertainty_px

    @property
    def is_elongated(self) -> bool:
        """Whether spots are significantly longer in one direction."""
        longer = self.shape.long_px - self.shape.short_px
        return longer > LONG_SHARE * self.sigma_px and longer > SURE_SIGMA * self.shape.elongation_uncertainty_px

    @property
    def has_tails(self) -> bool:
        """Whether a significant share of the light lies beyond the Gaussian."""
        return self.radial.tails > LARGE_TAILS and self.radial.tails > SURE_SIGMA * self.radial.tails_uncertainty

    @property
    def is_gaussian(self) -> bool:
        """Whether a round Gaussian fits within the uncertainties."""
        other = self.radial.misfit > LARGE_MISFIT and self.radial.misfit > SURE_SIGMA * self.radial.misfit_uncertainty
        return not (self.is_elongated or self.has_tails or other)

    @property
    def verdict(self) -> str:
        """Whether a Gaussian fits, as text."""
        radial = self.radial
        if self.is_gaussian:
            sure = max(radial.misfit, radial.misfit_uncertainty) < LARGE_MISFIT
            sure = sure and radial.tails_uncertainty < LARGE_TAILS
            return ("a" if sure else "as far as these spots show, a") + (
                f" Gaussian fits: the profile differs by at most {radial.misfit:.1%} of its peak"
                + ("" if sure else f", known to {radial.misfit_uncertainty:.1%}")
            )
        words = []
        if self.is_elongated:
            words.append(f"elongated: {self._lengths()}")
        if self.has_tails:
            words.append(f"wider tails than a Gaussian: {radial.tails:.0%} of the light lies beyond it")
        if not words:
            words.append(
                f"not quite a Gaussian: at {radial.misfit_radius_px:.1f} px the profile differs by {radial.misfit:.1%} "
                "of its peak"
            )
        return "; ".join(words)

    def width_text(self, pixel_size_nm: PixelSize | None = None) -> str:
        """Return the width with its uncertainty as text, in nm too where the pixel size is known."""
        text = f"sigma {_with_error(self.sigma_px, self.sigma_uncertainty_px)} px"
        if pixel_size_nm is None:
            return text
        size_nm = mean_pixel_size(pixel_size_nm)
        return f"{text} ({_with_error(self.sigma_px * size_nm, self.sigma_uncertainty_px * size_nm)} nm)"

    def psf(self, pixel_size_nm: PixelSize) -> GaussianPSF:
        """Return the round Gaussian in nm."""
        return GaussianPSF(self.sigma_px * mean_pixel_size(pixel_size_nm))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the image as plain numbers, strings and lists; shape and profile are flat."""
        values = {
            **self.shape._asdict(),
            "n_spots": self.n_spots,
            "n_sources": self.n_sources,
            "n_frames": self.n_frames,
            "z_stack": self.z_stack,
            **self.radial._asdict(),
            "sigmas_px": self.sigmas_px,
            "n_left_out": self.n_left_out,
        }
        values = {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in values.items()}
        return {**values, "notes": list(self.notes), "is_gaussian": self.is_gaussian, "verdict": self.verdict}

    def _lengths(self) -> str:
        shape = self.shape
        if abs(shape.sigma_y_px - shape.sigma_x_px) > 0.9 * (shape.long_px - shape.short_px):
            return f"sigma y {shape.sigma_y_px:.2f} px, sigma x {shape.sigma_x_px:.2f} px"
        where = f"along {shape.angle_deg:.0f} degrees (from x towards y, which points down)"
        return f"sigma {shape.long_px:.2f} px {where}, {shape.short_px:.2f} px across"


def _with_error(value: float, error: float) -> str:
    """Return a number to two digits of its uncertainty.

    Examples
    --------
    >>> _with_error(131.234, 0.4567), _with_error(1.31234, 0.0456)
    ('131.23 +/- 0.46', '1.312 +/- 0.046')
    """
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-9))), 0, 4))
    return f"{value:.{digits}f} +/- {error:.{digits}f}"
