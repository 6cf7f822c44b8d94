"""Plots of a measured resolution: distances in consecutive frames, and the correlation of halves of the movie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_subpixel._util.figures import BLUE, VERMILION, check_plot_output, new_figure, save_figure
from napari_subpixel.analysis.crossings import THRESHOLD

if TYPE_CHECKING:
    from napari_subpixel._util.figures import Figure
    from napari_subpixel.analysis.resolution import Resolution


def plot_resolution(measured: Resolution, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a picture of what was measured: `figure_of_resolution`.

    Parameters
    ----------
    measured : Resolution
    path : path-like
        Ends in .png, .pdf or .svg.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If Matplotlib is not installed, or the file exists, has another suffix or cannot be written.
    """
    check_plot_output(path, overwrite=overwrite)
    save_figure(figure_of_resolution(measured), path, title="resolution", overwrite=overwrite)


def figure_of_resolution(measured: Resolution) -> Figure:
    """Draw the distances in consecutive frames with the fit, and the Fourier ring correlation with its splits.

    Parameters
    ----------
    measured : Resolution
    """
    figure = new_figure(11.0, 4.4)
    left, right = figure.subplots(1, 2)
    _draw_distances(left, measured)
    _draw_correlation(right, measured)
    return figure


def _draw_distances(axes: Any, measured: Resolution) -> None:
    fit = measured.nena.fit
    axes.set(title="NeNA: not measured", xlabel="distance [standard deviations]", ylabel="pairs in consecutive frames")
    if fit is None or measured.nena.nena_nm is None:
        return
    middle = (fit.edges[1:] + fit.edges[:-1]) / 2
    same, strangers = fit.expected()
    promised = middle * np.exp(-(middle**2) / 2)
    promised *= same.sum() / promised.sum()
    axes.stairs(fit.counts.sum(axis=0), fit.edges, fill=True, color="0.8", label="measured")
    axes.plot(middle, same + strangers, color=BLUE, label="fit: one molecule, and strangers")
    axes.plot(middle, strangers, color=BLUE, ls=":", label="strangers")
    axes.plot(middle, promised, color=VERMILION, ls="--", label="as the uncertainties promise")
    nena = measured.nena
    axes.set_title(
        f"NeNA {nena.nena_nm:.2f} ± {nena.nena_error_nm:.2f} nm, "
        f"uncertainties times {nena.uncertainty_factor:.3f} ± {nena.uncertainty_factor_error:.3f}"
    )
    axes.set_xlim(0, fit.edges[-1])
    axes.legend(frameon=False, fontsize="small")


def _draw_correlation(axes: Any, measured: Resolution) -> None:
    frc = measured.frc
    axes.set(title="FRC: not measured", xlabel="spatial frequency [1 / nm]", ylabel="Fourier ring correlation")
    axes.axhline(THRESHOLD, color="0.6", lw=0.8, label="1/7")
    if not len(frc.frequency):
        return
    axes.plot(frc.frequency, frc.curves.T, color=BLUE, alpha=0.15, lw=0.6)
    axes.plot(frc.frequency, frc.curves.mean(axis=0), color=BLUE, label=f"mean of {len(frc.curves)} splits")
    if frc.is_corrected:
        plain = frc.uncorrected_curves.mean(axis=0)
        axes.plot(frc.frequency, plain, color=BLUE, ls=":", label="before the correction for returning molecules")
    if frc.frc_nm is not None:
        axes.set_title(f"FRC {frc.frc_nm:.1f} ± {frc.frc_error_nm:.1f} nm")
        axes.axvline(1 / frc.frc_nm, color=VERMILION, ls="--", label=f"1 / {frc.frc_nm:.1f} nm")
        axes.set_xlim(0, min(3 / frc.frc_nm, frc.frequency[-1]))
    axes.set_ylim(-0.1, 1.05)
    axes.legend(frameon=False, fontsize="small")
