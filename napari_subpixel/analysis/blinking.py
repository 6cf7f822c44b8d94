"""On and off times of linked molecules, their histogram and its files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.figures import BLUE, VERMILION, new_figure, save_figure
from napari_subpixel._util.files import atomic_output
from napari_subpixel.analysis.link_kernels import dark_times
from napari_subpixel.analysis.link_statistics import grid_shape
from napari_subpixel.analysis.linking import Linked
from napari_subpixel.errors import InputError

#: Molecules within this squared distance in variances of both were at one place: 99%.
WITHIN_SQUARED = 9.21
#: The distance is at most this many times that of two typical molecules.
LARGEST_DISTANCE = 3.0
#: Bars of a histogram of times beyond the first frames, at equal ratios.
BARS = 24
#: What the file of times is called by the names of its columns.
TIMES_HEADER = "first_frame,on_frames,off_frames_before"


@dataclass(frozen=True, eq=False)
class BlinkingTimes:
    """How long molecules were on, and how long places were dark between them.

    Attributes
    ----------
    first_frame : ndarray of int64, shape (N,)
        First frame of each molecule, in order.
    on_frames : ndarray of int64, shape (N,)
        Frames from its first to its last, dark ones in between included.
    off_frames : ndarray of int64, shape (N,)
        Dark frames at its place since the molecule before; -1 where none was there before.
    """

    first_frame: NDArray[np.int64]
    on_frames: NDArray[np.int64]
    off_frames: NDArray[np.int64]

    @property
    def off(self) -> NDArray[np.int64]:
        """The off times that there are."""
        return self.off_frames[self.off_frames >= 0]

    def to_dict(self) -> dict[str, Any]:
        """Return means, medians and numbers, for JSON."""
        return {"on_frames": _summary(self.on_frames), "off_frames": _summary(self.off)}


def blinking_times(linked: Linked) -> BlinkingTimes:
    """Return on and off times of linked molecules.

    Off times pass between a molecule and the next one within what their uncertainties allow; where sites are nearer to
    each other than that, they are those of the sites together. Without uncertainties there are none.

    Parameters
    ----------
    linked : Linked
    """
    molecules = linked.molecules
    first, last = molecules["first_frame"], molecules["last_frame"]
    # The numbers of molecules are in the order of their first frames.
    off = np.full(len(molecules), -1, np.int64)
    if len(molecules) and not math.isnan(linked.uncertainty_factor):
        names = [name for name in ("y_uncertainty", "x_uncertainty") if name in molecules]
        sigmas = [molecules[names[0]], molecules[names[-1]]]
        good = np.isfinite(sigmas[0]) & np.isfinite(sigmas[1])
        vy, vx = ((s[good] * np.float32(linked.uncertainty_factor)) ** 2 for s in sigmas)
        typical = float(np.median(np.maximum(vy, vx))) if good.any() else 1.0
        cell = LARGEST_DISTANCE * math.sqrt(2 * WITHIN_SQUARED * typical)
        y, x = molecules.y[good], molecules.x[good]
        if good.any():
            off[good] = dark_times(first[good], last[good], y, x, vy, vx, cell, *grid_shape(y, x, cell), WITHIN_SQUARED)
    return BlinkingTimes(first, last - first + 1, off)


def write_times(path: str | Path, times: BlinkingTimes) -> None:
    """Write times as a csv file with a row for each molecule; an off time that there is not is left empty.

    Parameters
    ----------
    path : path-like
    times : BlinkingTimes
    """
    rows = zip(times.first_frame.tolist(), times.on_frames.tolist(), times.off_frames.tolist(), strict=True)
    lines = (f"{first},{on},{off if off >= 0 else ''}" for first, on, off in rows)
    with atomic_output(path) as draft:
        draft.write_text("\n".join([TIMES_HEADER, *lines]) + "\n", encoding="utf-8")


def plot_times(path: str | Path, times: BlinkingTimes, *, overwrite: bool = False) -> None:
    """Draw the histograms of on and off times, each with the exponential of its mean.

    Parameters
    ----------
    path : path-like
        Ends in .png, .pdf or .svg.
    times : BlinkingTimes
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If Matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(8.0, 3.4)
    kinds = (("on", times.on_frames, BLUE), ("off", times.off, VERMILION))
    for axes, (name, values, colour) in zip(figure.subplots(1, 2), kinds, strict=True):
        axes.set_xlabel(f"time {name} [frames]")
        axes.set_ylabel("molecules")
        if not len(values):
            axes.text(0.5, 0.5, "no times", ha="center", transform=axes.transAxes)
            continue
        edges = time_edges(int(values.max()))
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts / np.diff(edges), edges, fill=True, color=colour, alpha=0.6)
        axes.set_yscale("log")
        axes.set_ylabel("molecules per frame of time")
        start = 1 if name == "on" else 0
        mean = max(float(values.mean()) - start, 1e-3)
        grid = np.linspace(start, edges[-1], 400)
        stay = mean / (1 + mean)
        axes.plot(grid, len(values) * (1 - stay) * stay ** (grid - start), color="black", lw=1)
        axes.set_ylim(bottom=0.5 / np.diff(edges).max())
        axes.set_title(f"{len(values):,} times, mean {values.mean():.3g} frames", fontsize=10)
    save_figure(figure, path, title="On and off times", overwrite=overwrite)


def time_edges(longest: int) -> NDArray[np.float64]:
    """Return edges of a histogram of whole frames: single frames first, then wider at equal ratios.

    Examples
    --------
    >>> time_edges(3).tolist()
    [-0.5, 0.5, 1.5, 2.5, 3.5]
    """
    if longest < 0:
        raise InputError(f"a time is at least 0 frames, got {longest}")
    if longest <= BARS:
        return np.arange(longest + 2, dtype=np.float64) - 0.5
    edges: NDArray[np.float64] = np.rint(np.concatenate([np.arange(8), np.geomspace(8, longest + 1, BARS)]))
    result: NDArray[np.float64] = np.unique(edges) - 0.5
    return result


def _summary(values: NDArray[np.int64]) -> dict[str, Any]:
    if not len(values):
        return {"n": 0, "mean": None, "median": None, "edges": [], "counts": []}
    edges = time_edges(int(values.max()))
    counts, _ = np.histogram(values, edges)
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }
