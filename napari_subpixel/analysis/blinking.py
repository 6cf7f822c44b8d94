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
from napari_subpixel.analysis.parts import covered_frames
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations

#: Molecules within this squared distance in variances of both were at one place: 99%.
WITHIN_SQUARED = 9.21
#: And of a place that another molecule came to: 99.9996%.
FOLLOWED_SQUARED = 25.0
#: The distance is at most this many times that of two typical molecules.
LARGEST_DISTANCE = 3.0
#: Bars of a histogram of times beyond the first frames, at equal ratios.
BARS = 24
#: What the file of times is called by the names of its columns.
TIMES_HEADER = "first_frame,on_frames,off_frames_before,dark_until_end"


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
    dark_until_end : ndarray of int64, shape (N,)
        Dark frames at its place from its last frame to the end of what the table covers; -1 where another came.
    stop : int
        The frame after the last one that the table covers: of a part of a movie, that part's end.
    warnings : tuple of str
        What the times should be taken with.
    """

    first_frame: NDArray[np.int64]
    on_frames: NDArray[np.int64]
    off_frames: NDArray[np.int64]
    dark_until_end: NDArray[np.int64]
    stop: int
    warnings: tuple[str, ...] = ()

    @property
    def on(self) -> DurationStatistics:
        """Of the on times; those of molecules that are on in the last frame covered are cut."""
        left = self.stop - self.first_frame
        return DurationStatistics(self.on_frames, self.on_frames == left, left, 1)

    @property
    def off(self) -> DurationStatistics:
        """Of the off times; those that last to the end of what the table covers are cut."""
        after, cut = self.off_frames >= 0, self.dark_until_end > 0
        whole, until_end = self.off_frames[after], self.dark_until_end[cut]
        left = np.concatenate([self.stop - self.first_frame[after] + whole, until_end])
        is_cut = np.arange(len(left)) >= len(whole)
        return DurationStatistics(np.concatenate([whole, until_end]), is_cut, left, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return means, medians, numbers and histograms, for JSON."""
        return {"on_frames": self.on.to_dict(), "off_frames": self.off.to_dict()}


@dataclass(frozen=True, eq=False)
class DurationStatistics:
    """Times in frames, some of which the end of the movie cut.

    Attributes
    ----------
    frames : ndarray of int64, shape (N,)
        Each time, up to the end of the movie.
    is_cut : ndarray of bool, shape (N,)
        Whether it went on then.
    left : ndarray of int64, shape (N,)
        Frames from its beginning to the end of the movie.
    shortest : int
        The shortest time that there can be.
    """

    frames: NDArray[np.int64]
    is_cut: NDArray[np.bool_]
    left: NDArray[np.int64]
    shortest: int

    @property
    def whole(self) -> NDArray[np.int64]:
        """The times whose ends are in the movie."""
        return self.frames[~self.is_cut]

    @property
    def mean_with_cut(self) -> float | None:
        """The mean that makes the times most likely if a time ends in any frame with the same probability.

        It is the sum of all times, the cut ones included, over the number of whole ones: in a movie that is not much
        longer than the times, the mean of the whole ones is too short (Kalbfleisch & Prentice, The Statistical
        Analysis of Failure Time Data, 2002, chapter 3). None without a whole time.
        """
        n_whole = len(self.whole)
        return self.shortest + float((self.frames - self.shortest).sum() / n_whole) if n_whole else None

    def expected(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many whole times of each length there are with this mean, per frame of length.

        Parameters
        ----------
        frames : ndarray of float64
            Lengths.
        """
        beyond = max((self.mean_with_cut or 0.0) - self.shortest, 1e-3)
        stay = beyond / (1 + beyond)
        # A time longer than what is left of the movie is not whole.
        at_risk = len(self.left) - np.searchsorted(np.sort(self.left), frames, side="right")
        expected: NDArray[np.float64] = at_risk * (1 - stay) * stay ** (frames - self.shortest)
        return expected

    def to_dict(self) -> dict[str, Any]:
        """Return means, median, numbers and the histogram of whole times, for JSON."""
        whole = self.whole
        edges = time_edges(int(whole.max())) if len(whole) else np.zeros(0)
        return {
            "n": len(whole),
            "n_cut": len(self.frames) - len(whole),
            "mean": float(whole.mean()) if len(whole) else None,
            "mean_with_cut": self.mean_with_cut,
            "median": float(np.median(whole)) if len(whole) else None,
            "edges": edges.tolist(),
            "counts": np.histogram(whole, edges)[0].tolist() if len(whole) else [],
        }


def blinking_times(linked: Linked) -> BlinkingTimes:
    """Return on and off times of linked molecules, beads left out.

    Off times pass between a molecule and the next one within what their uncertainties allow; where sites are nearer to
    each other than that, they are those of the sites together. Without uncertainties there are none.

    Parameters
    ----------
    linked : Linked
    """
    molecules = linked.molecules.select(~linked.is_bead) if linked.is_bead.any() else linked.molecules
    first, last = molecules["first_frame"], molecules["last_frame"]
    stop = _stop_of(linked.molecules)
    # The numbers of molecules are in the order of their first frames.
    off, until_end = (np.full(len(molecules), -1, np.int64) for _ in range(2))
    if len(molecules) and not math.isnan(linked.uncertainty_factor):
        names = [name for name in ("y_uncertainty", "x_uncertainty") if name in molecules]
        sigmas = [molecules[names[0]], molecules[names[-1]]]
        good = np.isfinite(sigmas[0]) & np.isfinite(sigmas[1])
        vy, vx = ((s[good] * np.float32(linked.uncertainty_factor)) ** 2 for s in sigmas)
        typical = float(np.median(np.maximum(vy, vx))) if good.any() else 1.0
        cell = LARGEST_DISTANCE * math.sqrt(2 * WITHIN_SQUARED * typical)
        y, x = molecules.y[good], molecules.x[good]
        if good.any():
            search = cell, *grid_shape(y, x, cell), WITHIN_SQUARED, FOLLOWED_SQUARED
            off[good], followed = dark_times(first[good], last[good], y, x, vy, vx, *search)
            until_end[good] = np.where(followed, -1, stop - 1 - last[good])
    warnings = (linked.beads.left_out_of("on and off times"),) if linked.is_bead.any() else ()
    return BlinkingTimes(first, last - first + 1, off, until_end, stop, warnings)


def _stop_of(molecules: Localizations) -> int:
    """Return the frame after the last one that a table covers: the end of its part of the movie, or of all of it."""
    last = molecules["last_frame"]
    after = int(last.max()) + 1 if len(last) else 0
    covered = covered_frames(molecules)
    return max(after, (molecules.n_frames or 0) if covered is None else covered[1])


def write_times(path: str | Path, times: BlinkingTimes) -> None:
    """Write times as a csv file with a row for each molecule; an off time that there is not is left empty.

    Parameters
    ----------
    path : path-like
    times : BlinkingTimes
    """
    on = times.first_frame.tolist(), times.on_frames.tolist()
    rows = zip(*on, times.off_frames.tolist(), times.dark_until_end.tolist(), strict=True)
    lines = (f"{first},{on},{off if off >= 0 else ''},{end if end >= 0 else ''}" for first, on, off, end in rows)
    with atomic_output(path) as draft:
        draft.write_text("\n".join([TIMES_HEADER, *lines]) + "\n", encoding="utf-8")


def plot_times(path: str | Path, times: BlinkingTimes, *, overwrite: bool = False) -> None:
    """Draw the histograms of on and off times that are whole, each with what an exponential distribution gives.

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
    kinds = (("on", times.on, BLUE), ("off", times.off, VERMILION))
    for axes, (name, of_kind, colour) in zip(figure.subplots(1, 2), kinds, strict=True):
        axes.set_xlabel(f"time {name} [frames]")
        axes.set_ylabel("molecules")
        whole, mean = of_kind.whole, of_kind.mean_with_cut
        if mean is None:
            axes.text(0.5, 0.5, "no times", ha="center", transform=axes.transAxes)
            continue
        edges = time_edges(int(whole.max()))
        counts, _ = np.histogram(whole, edges)
        axes.stairs(counts / np.diff(edges), edges, fill=True, color=colour, alpha=0.6)
        axes.set_yscale("log")
        axes.set_ylabel("molecules per frame of time")
        grid = np.linspace(of_kind.shortest, edges[-1], 400)
        axes.plot(grid, of_kind.expected(grid), color="black", lw=1)
        axes.set_ylim(bottom=0.5 / np.diff(edges).max())
        n_cut = len(of_kind.frames) - len(whole)
        axes.set_title(f"{len(whole):,} times, {n_cut:,} cut, mean {mean:.3g} frames", fontsize=10)
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
