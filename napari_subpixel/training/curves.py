"""The curves of a training: its losses, and what was measured on what is held out, from its log."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.figures import BLUE, VERMILION, new_figure, save_figure
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel._util.figures import Figure

#: In the folder of a run: the losses, and what was measured.
LOG = "log.csv"
#: Columns of a log that are drawn, with the labels of their axes.
DRAWN = {"localization_loss": "localization\nloss", "count_loss": "count\nloss", "jaccard": "Jaccard index,\nheld out"}


def plot_curves(log: Path, path: Path, *, overwrite: bool = False) -> None:
    """Draw the log of a training.

    Parameters
    ----------
    log : Path
        ``log.csv`` in the folder of the training.
    path : Path
        Picture to write: .png, .pdf or .svg.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the log is not one or has no rows, Matplotlib is not installed, or the picture cannot be written.
    """
    save_figure(figure_of_curves(log), path, title="curves of a training", overwrite=overwrite)


def figure_of_curves(log: Path) -> Figure:
    """Draw the two terms of the loss and, where it was measured, the Jaccard index on what is held out."""
    columns = read_log(log)
    drawn = {name: label for name, label in DRAWN.items() if np.isfinite(columns[name]).any()}
    figure = new_figure(7.0, 2.2 * len(drawn))
    parts = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, label) in zip(parts, drawn.items(), strict=True):
        there = np.isfinite(columns[name])
        marker = "o" if name == "jaccard" or there.sum() < 3 else ""
        colour = VERMILION if name == "jaccard" else BLUE
        axes.plot(columns["iteration"][there], columns[name][there], color=colour, marker=marker, ms=4)
        axes.set_ylabel(label)
        axes.grid(color="0.9")
    parts[-1].set_xlabel(f"iteration ({columns['seconds'][-1] / 60:.1f} min in all)")
    figure.align_ylabels()
    return figure


def read_log(log: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a training's log; NaN where nothing was measured.

    Raises
    ------
    InputError
        If it is not there, lacks a column, or has no rows.
    """
    needed = ("iteration", *DRAWN, "seconds")
    try:
        with log.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in needed}
    except OSError as error:
        raise InputError(f"{log}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{log}: not the log of a training: expected the columns {', '.join(needed)}") from None
    if not rows:
        raise InputError(f"{log}: has no rows yet")
    return columns
