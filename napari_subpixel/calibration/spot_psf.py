"""What was measured: the point spread function, with its uncertainty and whether a Gaussian fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel.psf import GaussianPSF

#: What counts as a difference from a Gaussian: this share of the peak, of the light, of the width; if it is known to be
#: there, at so many times its uncertainty.
LARGE_MISFIT, LARGE_TAILS, LONG_SHARE, SURE_SIGMA = 0.04, 0.03, 0.05, 4.0


@dataclass(frozen=True, eq=False)
class SpotPsf:
    """A point spread function as measured.

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
    n_spots, n_sources, n_frames : int
        Spots that were used; beads or molecules that they belong to; frames that were looked at.
    z_stack : bool
        Whether the spots are those of a z-stack's frames in focus.
    radius_px, profile, profile_uncertainty, gaussian : ndarray, shape (N,)
        Distances from the spots' middles; the mean light of pixels there, as a share of a spot's; its standard error;
        and that of the round Gaussian, in the same pixels.
    misfit, misfit_radius_px : float
        Largest difference of the profile from the Gaussian, as a share of the peak, and where.
    misfit_uncertainty : float
        Its standard error.
    tails, tails_uncertainty : float
        Share of the light that lies beyond the Gaussian, within some `fits.SEEN_AROUND_SIGMA` standard deviations;
        what is spread further counts as background.
    sigmas_px : ndarray, shape (M,)
        Width of each bead or molecule, or, of a single one, in each frame: what the standard error comes from.
    image : ndarray, shape (n, n)
        The mean spot, as a share of its light per pixel; NaN where no pixel was seen.
    image_zoom : int
        Its pixels per pixel of the camera.
    n_left_out : dict of str to int
        Bright spots that were not used, by reason.
    notes : tuple of str
        What else is to be said.
    """

    sigma_px: float
    sigma_uncertainty_px: float
    sigma_y_px: float
    sigma_x_px: float
    long_px: float
    short_px: float
    angle_deg: float
    elongation_uncertainty_px: float
    n_spots: int
    n_sources: int
    n_frames: int
    z_stack: bool
    radius_px: NDArray[np.float64]
    profile: NDArray[np.float64]
    profile_uncertainty: NDArray[np.float64]
    gaussian: NDArray[np.float64]
    misfit: float
    misfit_radius_px: float
    misfit_uncertainty: float
    tails: float
    tails_uncertainty: float
    sigmas_px: NDArray[np.float64]
    image: NDArray[np.float64]
    image_zoom: int
    n_left_out: dict[str, int]
    notes: tuple[str, ...] = ()

    @property
    def is_elongated(self) -> bool:
        """Whether spots are longer in one direction, beyond doubt."""
        longer = self.long_px - self.short_px
        return longer > LONG_SHARE * self.sigma_px and longer > SURE_SIGMA * self.elongation_uncertainty_px

    @property
    def has_tails(self) -> bool:
        """Whether light lies beyond the Gaussian, beyond doubt."""
        return self.tails > LARGE_TAILS and self.tails > SURE_SIGMA * self.tails_uncertainty

    @property
    def is_gaussian(self) -> bool:
        """Whether a round Gaussian fits, as far as the spots tell."""
        other = self.misfit > LARGE_MISFIT and self.misfit > SURE_SIGMA * self.misfit_uncertainty
        return not (self.is_elongated or self.has_tails or other)

    @property
    def verdict(self) -> str:
        """Whether a Gaussian fits, in words."""
        if self.is_gaussian:
            sure = max(self.misfit, self.misfit_uncertainty) < LARGE_MISFIT and self.tails_uncertainty < LARGE_TAILS
            return ("a" if sure else "as far as these spots tell, a") + (
                f" Gaussian fits: the profile differs by at most {self.misfit:.1%} of its peak"
                + ("" if sure else f", known to {self.misfit_uncertainty:.1%}")
            )
        words = []
        if self.is_elongated:
            words.append(f"elongated: {self._lengths()}")
        if self.has_tails:
            words.append(f"wider tails than a Gaussian: {self.tails:.0%} of the light lies beyond it")
        if not words:
            words.append(
                f"not quite a Gaussian: at {self.misfit_radius_px:.1f} px the profile differs by {self.misfit:.1%} "
                "of its peak"
            )
        return "; ".join(words)

    def width_text(self, pixel_size_nm: float | None = None) -> str:
        """Return the width with its uncertainty in words, in nm too where the pixel size is known."""
        text = f"sigma {_with_error(self.sigma_px, self.sigma_uncertainty_px)} px"
        if pixel_size_nm is None:
            return text
        return f"{text} ({_with_error(self.sigma_px * pixel_size_nm, self.sigma_uncertainty_px * pixel_size_nm)} nm)"

    def psf(self, pixel_size_nm: float) -> GaussianPSF:
        """Return the round Gaussian in nm."""
        return GaussianPSF(self.sigma_px * pixel_size_nm)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the image as plain numbers, strings and lists."""
        values = {name: value for name, value in records.to_dict(self).items() if name not in ("image", "image_zoom")}
        return {**values, "notes": list(self.notes), "is_gaussian": self.is_gaussian, "verdict": self.verdict}

    def _lengths(self) -> str:
        along_axes = abs(self.sigma_y_px - self.sigma_x_px) > 0.9 * (self.long_px - self.short_px)
        if along_axes:
            return f"sigma y {self.sigma_y_px:.2f} px, sigma x {self.sigma_x_px:.2f} px"
        where = f"along {self.angle_deg:.0f} degrees (from x towards y, which points down)"
        return f"sigma {self.long_px:.2f} px {where}, {self.short_px:.2f} px across"


def _with_error(value: float, error: float) -> str:
    """Return a number to two digits of its uncertainty.

    Examples
    --------
    >>> _with_error(131.234, 0.4567), _with_error(1.31234, 0.0456)
    ('131.23 +/- 0.46', '1.312 +/- 0.046')
    """
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-9))), 0, 4))
    return f"{value:.{digits}f} +/- {error:.{digits}f}"
