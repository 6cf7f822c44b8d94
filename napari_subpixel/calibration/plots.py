"""Plots of a measured point spread function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_subpixel._util.figures import BLUE, VERMILION, check_plot_output, new_figure, save_figure
from napari_subpixel.coordinates import PixelSize

if TYPE_CHECKING:
    from napari_subpixel._util.figures import Figure
    from napari_subpixel.calibration import SpotPsf

#: Colour of what was measured.
MEASURED = BLUE
#: Colour of the Gaussian that it is compared with.
GAUSSIAN = VERMILION


def plot_psf(
    measured: SpotPsf, path: str | Path, *, pixel_size_nm: PixelSize | None = None, overwrite: bool = False
) -> None:
    """Write a picture that shows whether a Gaussian fits: `figure_of_psf`.

    Parameters
    ----------
    measured : SpotPsf
    path : path-like
        Ends in .png, .pdf or .svg.
    pixel_size_nm : float or (float, float), optional
        Where it is known, the title says the width in nm too.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If Matplotlib is not installed, or the file exists, has another suffix or cannot be written.
    """
    check_plot_output(path, overwrite=overwrite)
    figure = figure_of_psf(measured, pixel_size_nm=pixel_size_nm)
    save_figure(figure, path, title="point spread function", overwrite=overwrite)


def figure_of_psf(measured: SpotPsf, *, pixel_size_nm: PixelSize | None = None) -> Figure:
    """Draw the mean spot, its radial profile with the Gaussian's and their difference, and the single widths."""
    import textwrap

    figure = new_figure(13.0, 4.8)
    parts: Any = figure.subfigures(1, 3, width_ratios=(1.15, 1.2, 1.0))
    for part, draw in zip(parts, (_draw_image, _draw_profile, _draw_widths), strict=True):
        draw(part, measured)
    verdict = textwrap.fill(measured.verdict, 130)
    figure.suptitle(f"{measured.width_text(pixel_size_nm)}\n{verdict}", fontsize="medium")
    return figure


def _draw_image(part: Any, measured: SpotPsf) -> None:
    axes = part.subplots()
    half = measured.image.shape[0] / (2 * measured.image_zoom)
    shown = axes.imshow(measured.image, extent=(-half, half, half, -half), cmap="viridis", interpolation="nearest")
    part.colorbar(shown, ax=axes, label="share of a spot's light per pixel", shrink=0.75)
    axes.locator_params(nbins=7, integer=True)
    axes.set(
        title=f"mean of {measured.n_spots} spots", xlabel="x from the middle [px]", ylabel="y from the middle [px]"
    )


def _draw_profile(part: Any, measured: SpotPsf) -> None:
    above, below = part.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    radial = measured.radial
    radius, peak = radial.radius_px, radial.gaussian.max()
    above.errorbar(
        radius,
        radial.profile,
        radial.profile_uncertainty,
        fmt="o",
        ms=4,
        color=MEASURED,
        label="measured",
    )
    above.plot(radius, radial.gaussian, color=GAUSSIAN, label="Gaussian, in the same pixels")
    above.axhline(0, color="0.8", lw=0.8, zorder=0)
    above.set(title="radial profile", ylabel="share of a spot's light\nper pixel")
    above.legend(frameon=False)
    rest = 100 / peak * (radial.profile - radial.gaussian)
    error = 100 / peak * radial.profile_uncertainty
    below.errorbar(radius, rest, error, fmt="o", ms=4, color=MEASURED)
    below.axhline(0, color=GAUSSIAN)
    below.set(xlabel="distance from the middle [px]", ylabel="difference\n[% of the peak]")
    largest = max(1.1 * float((np.abs(rest) + error).max()), 2.0)
    below.set_ylim(-largest, largest)
    part.align_ylabels()


def _draw_widths(part: Any, measured: SpotPsf) -> None:
    axes = part.subplots()
    sigma, error = measured.sigma_px, measured.sigma_uncertainty_px
    of_what = "bead or molecule" if measured.n_sources > 1 else "image of the bead"
    bins = int(np.clip(np.sqrt(len(measured.sigmas_px)) * 1.5, 5, 40))
    axes.hist(measured.sigmas_px, bins=bins, color=MEASURED, alpha=0.7, label=f"each {of_what}")
    axes.axvline(sigma, color=GAUSSIAN, label="sigma of all")
    axes.axvspan(sigma - error, sigma + error, color=GAUSSIAN, alpha=0.3, lw=0, label="its uncertainty")
    axes.set(title=f"width of each {of_what}", xlabel="sigma [px]", ylabel="number")
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])  # room for the legend
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(framealpha=1.0, edgecolor="none", loc="upper right", fontsize="small")
