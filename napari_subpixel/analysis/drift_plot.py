"""A picture of a curve of drift with its error band."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_subpixel._util.figures import BLUE, VERMILION, new_figure, save_figure
from napari_subpixel.analysis.drift_curve import DriftCurve

#: Colour of z: a third one that people with colour blindness tell from the two others.
GREEN = "#009e73"


def plot_drift(path: str | Path, curve: DriftCurve, *, overwrite: bool = False) -> None:
    """Plot drift by frame, and in the plane by its order in time; bands are one standard deviation.

    Parameters
    ----------
    path : path-like
        Ends in .png, .pdf or .svg.
    curve : DriftCurve
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If Matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(9.0, 4.4)
    parts: Any = figure.subfigures(1, 2, width_ratios=(3, 2))
    left, right = parts
    by_frame, errors = left.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    frame = np.arange(len(curve))
    axes = {"x": (curve.x_nm, curve.x_error_nm, BLUE), "y": (curve.y_nm, curve.y_error_nm, VERMILION)}
    if curve.z_nm is not None and curve.z_error_nm is not None:
        axes["z"] = curve.z_nm, curve.z_error_nm, GREEN
    for name, (values, error, colour) in axes.items():
        by_frame.fill_between(frame, values - error, values + error, color=colour, alpha=0.3, linewidth=0)
        by_frame.plot(frame, values, color=colour, linewidth=1.0, label=name)
        errors.plot(frame, error, color=colour, linewidth=1.0)
    for jump in curve.jumps:
        by_frame.axvline(jump - 0.5, color="0.6", linewidth=0.8, linestyle=":")
    by_frame.set(ylabel="drift [nm]", title=f"error {curve.rms_error_nm:.2g} nm RMS ({curve.method})")
    by_frame.legend(frameon=False)
    errors.set(xlabel="frame", ylabel="error [nm]")
    errors.set_ylim(bottom=0)
    plane = right.subplots()
    points = plane.scatter(curve.x_nm, curve.y_nm, c=frame, s=2, cmap="viridis")
    right.colorbar(points, ax=plane, label="frame")
    plane.set(xlabel="x [nm]", ylabel="y [nm]", aspect="equal")
    plane.invert_yaxis()
    save_figure(figure, path, title="drift", overwrite=overwrite)
