"""The plots of a report."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.blinking import DurationStatistics
from napari_subpixel.analysis.crossings import THRESHOLD
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.histograms import whole_number_edges
from napari_subpixel.analysis.profiles import Peak, peak_rows
from napari_subpixel.analysis.resolution import Resolution
from napari_subpixel.coordinates import pixel_length, yx_to_nm
from napari_subpixel.reports.charts import BLUE, GREEN, GREY, VERMILION, Bars, Chart, Line, Mark, value_text
from napari_subpixel.reports.contents import Contents

#: Bins of a histogram.
N_BINS = 80
#: A histogram ends at this quantile, so that a few extreme rows do not flatten it,
SHOWN_QUANTILE = 0.995
#: and begins at this one.
FIRST_QUANTILE = 0.002
#: Parts of the movie that the number of molecules a frame is averaged over, at most.
N_PARTS = 200
#: Fewest bars of a profile.
FEWEST_PROFILE_BINS = 20
#: Bars in the width of its peak, where there are fewer than most.
BINS_IN_PEAK = 5
#: Side of the squares that rows are counted in, in nm.
SQUARE_NM = 100.0
#: Columns whose values are plotted, with a title and what they are.
COLUMNS_SHOWN = (
    ("photons", "photons", "photons a molecule and frame"),
    ("background", "background", "background [photons a pixel]"),
    ("probability", "probability", "probability"),
)


def plots(contents: Contents) -> Iterator[str]:
    """Yield the plots that there is something for, as SVG.

    Parameters
    ----------
    contents : Contents
    """
    if len(contents.table):
        yield _molecules_a_frame(contents)
        for column, title, label in COLUMNS_SHOWN:
            if column in contents.table and _varies(values := _finite(contents.table[column])):
                yield _histogram(title, label, values)
        if _varies(uncertainty := _uncertainty_nm(contents)):
            yield _histogram("uncertainty", "uncertainty [nm]", uncertainty)
        yield _density(contents)
    if contents.linked is not None:
        yield _on_times(contents)
    if contents.drift is not None:
        yield drift_chart(contents.drift).svg()
    if contents.resolution is not None:
        for chart in (nena_chart(contents.resolution), frc_chart(contents.resolution)):
            if chart is not None:
                yield chart.svg()


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    values = values.astype(np.float64)
    return values[np.isfinite(values)]


def _varies(values: NDArray[np.float64]) -> bool:
    return bool(values.size and values.min() < values.max())


def _histogram(title: str, label: str, values: NDArray[np.float64]) -> str:
    low, high = np.quantile(values, (FIRST_QUANTILE, SHOWN_QUANTILE)).tolist()
    if (values == np.rint(values)).all():
        edges = whole_number_edges(math.floor(low), math.ceil(high), N_BINS)
    else:
        margin = 0.5 if high <= low else 0.0
        edges = np.linspace(low - margin, high + margin, N_BINS + 1)
    counts, _ = np.histogram(values, edges)
    x_range = float(edges[0]), float(edges[-1])
    median = float(np.median(values))
    parts: list[Bars | Line | Mark] = [Bars(edges, counts), Mark(median, f"median {value_text(median)}")]
    return Chart(title, label, "rows", parts, x_range=x_range).svg()


def _uncertainty_nm(contents: Contents) -> NDArray[np.float64]:
    names = [name for name in ("y_uncertainty", "x_uncertainty") if name in contents.table]
    if not names or contents.table.pixel_size_nm is None:
        return np.zeros(0)
    size = contents.table.pixel_size_nm
    squares = [(contents.table[name].astype(np.float64) * pixel_length(name, size)) ** 2 for name in names]
    return _finite(np.sqrt(np.mean(squares, axis=0)))


def _molecules_a_frame(contents: Contents) -> str:
    n_frames = contents.n_frames
    first = min(int(contents.table.frame.min()), 0)
    edges = np.linspace(first, n_frames, min(n_frames - first, N_PARTS) + 1)
    counts = np.histogram(contents.table.frame, edges)[0] / np.diff(np.ceil(edges)).clip(1)
    steps = np.repeat(edges, 2)[1:-1], np.repeat(counts, 2)
    top = 1.1 * float(counts.max())
    return Chart("molecules a frame", "frame", "rows a frame", [Line(*steps)], y_range=(0, top)).svg()


def _density(contents: Contents) -> str:
    """Rows in squares of a tenth of a micrometre: how crowded the places are that have any."""
    table = contents.table
    places = np.floor(yx_to_nm(table.yx, table.known_pixel_size_nm()) / SQUARE_NM).astype(np.int64)
    _, counts = np.unique(places, axis=0, return_counts=True)
    top = max(float(np.quantile(counts, SHOWN_QUANTILE)), 2.0)
    edges = whole_number_edges(1, math.ceil(top), N_BINS)
    number, _ = np.histogram(counts, edges)
    median = float(np.median(counts))
    parts: list[Bars | Line | Mark] = [Bars(edges, number), Mark(median, f"median {value_text(median)}")]
    return Chart("density", f"rows in a square of {SQUARE_NM:g} nm that has any", "squares", parts).svg()


def _on_times(contents: Contents) -> str:
    assert contents.linked is not None
    frames = np.bincount(contents.linked.group)[~contents.linked.is_bead]
    top = max(int(np.quantile(frames, SHOWN_QUANTILE)), 2)
    edges = whole_number_edges(1, top, N_BINS)
    counts, _ = np.histogram(frames, edges)
    mean = float(frames.mean())
    parts: list[Bars | Line | Mark] = [Bars(edges, counts), Mark(mean, f"mean {mean:.3g}")]
    return Chart("rows of a molecule", "rows that were linked", "molecules", parts).svg()


def times_chart(state: str, times: DurationStatistics) -> Chart | None:
    """Return the histogram of whole on or off times with what is expected in a movie of this length; None without any.

    Parameters
    ----------
    state : str
        ``on`` or ``off``.
    times : DurationStatistics
    """
    frames, mean, shortest = times.whole, times.mean_with_cut, times.shortest
    if mean is None:
        return None
    top = max(int(np.quantile(frames, SHOWN_QUANTILE)), shortest + 1)
    edges = whole_number_edges(shortest, top, N_BINS)
    counts, _ = np.histogram(frames, edges)
    grid = np.arange(shortest, top + 1, dtype=np.float64)
    parts: list[Bars | Line | Mark] = [
        Bars(edges, counts, label="measured"),
        Line(grid, times.expected(grid) * (edges[1] - edges[0]), VERMILION, "exponential of the mean"),
    ]
    title = f"{len(frames):,} {state} times, mean {mean:.3g} frames"
    return Chart(title, f"time {state} [frames]", "molecules", parts)


def profile_chart(
    name: str, positions: NDArray[np.float64], ends: tuple[float, float], peak: Peak | None, unit: str
) -> Chart:
    """Return the histogram of positions along a line, with the fit of its peak.

    Parameters
    ----------
    name : str
        Of the line.
    positions : ndarray of float, shape (N,)
    ends : (float, float)
        Of the histogram.
    peak : Peak, optional
    unit : str
        Of the positions.
    """
    low, high = ends
    n_bins = int(np.clip(2 * np.cbrt(len(positions)), FEWEST_PROFILE_BINS, N_BINS))
    if peak is not None:
        n_bins = int(np.clip((high - low) / (peak.fwhm / BINS_IN_PEAK), n_bins, N_BINS))
    counts, edges = np.histogram(positions, n_bins, ends)
    parts: list[Bars | Line | Mark] = [Bars(edges, counts, label="points")]
    if peak is not None:
        grid = np.linspace(low, high, 400)
        rows = peak_rows(peak, grid, low, high, len(positions)) * (high - low) / n_bins
        width = value_text(peak.fwhm, peak.fwhm_error)
        parts.append(Line(grid, rows, VERMILION, f"FWHM {width} {unit}"))
    return Chart(f"profile of {name}", f"position [{unit}]", "points", parts, x_range=ends)


def drift_chart(drift: DriftCurve) -> Chart:
    """Return the plot of drift by frame, with bands of one standard deviation.

    Parameters
    ----------
    drift : DriftCurve
    """
    frame, axes = np.arange(len(drift)), _axes_of(drift)
    parts = [Line(frame, nm, colour, label, low=nm - error, high=nm + error) for nm, error, colour, label in axes]
    return Chart("drift, with its error", "frame", "drift [nm]", parts)


def drift_error_chart(drift: DriftCurve) -> Chart:
    """Return the plot of the errors of drift by frame, which are thinner than a line where the drift is long.

    Parameters
    ----------
    drift : DriftCurve
    """
    frame, axes = np.arange(len(drift)), _axes_of(drift)
    parts = [Line(frame, error, colour, label) for _, error, colour, label in axes]
    top = max((float(error.max()) for _, error, _, _ in axes if len(error)), default=0.0) or 1.0
    return Chart("error of the drift", "frame", "standard deviation [nm]", parts, y_range=(0.0, 1.1 * top))


def _axes_of(drift: DriftCurve) -> list[tuple[NDArray[np.float64], NDArray[np.float64], str, str]]:
    """Return drift, error, colour and name of each axis."""
    axes = [
        (drift.x_nm, drift.x_error_nm, BLUE, "x"),
        (drift.y_nm, drift.y_error_nm, VERMILION, "y"),
    ]
    if drift.z_nm is not None and drift.z_error_nm is not None:
        axes.append((drift.z_nm, drift.z_error_nm, GREEN, "z"))
    return axes


def nena_chart(measured: Resolution) -> Chart | None:
    """Return the plot of distances in consecutive frames with the fit; None where nothing was fitted.

    Parameters
    ----------
    measured : Resolution
    """
    nena = measured.nena
    if nena.fit is None or nena.nena_nm is None:
        return None
    fit = nena.fit
    middle = (fit.edges[1:] + fit.edges[:-1]) / 2
    same, strangers = fit.expected()
    promised = middle * np.exp(-(middle**2) / 2)
    promised *= same.sum() / promised.sum()
    return Chart(
        f"NeNA: {nena.nena_nm:.2f} nm, uncertainties times {nena.uncertainty_factor:.3f}",
        "distance in the next frame [standard deviations]",
        "pairs",
        [
            Bars(fit.edges, fit.counts.sum(axis=0), label="measured"),
            Line(middle, promised, VERMILION, "as promised", dash="6 4"),
            Line(middle, same + strangers, BLUE, "fit"),
            Line(middle, strangers, GREEN, "strangers", dash="2 3"),
        ],
        x_range=(0.0, float(fit.edges[-1])),
    )


def frc_chart(measured: Resolution) -> Chart | None:
    """Return the plot of the Fourier ring correlation with its threshold; None where it gives no resolution.

    Parameters
    ----------
    measured : Resolution
    """
    frc = measured.frc
    if not len(frc.frequency) or frc.frc_nm is None:
        return None
    mean, spread = frc.curves.mean(axis=0), frc.curves.std(axis=0)
    end = min(2.5 / frc.frc_nm, float(frc.frequency[-1]))
    shown = frc.frequency <= end
    frequency = frc.frequency[shown]
    parts: list[Bars | Line | Mark] = [Line(np.array([0, end]), np.full(2, THRESHOLD), GREY, "1/7", dash="6 4")]
    if frc.is_corrected:
        parts.append(Line(frequency, frc.uncorrected_curves.mean(axis=0)[shown], GREEN, "uncorrected", dash="2 3"))
    mean, spread = mean[shown], spread[shown]
    parts.append(Line(frequency, mean, BLUE, "mean of 20 splits", low=mean - spread, high=mean + spread))
    parts.append(Mark(1 / frc.frc_nm, f"{frc.frc_nm:.1f} nm"))
    title = f"Fourier ring correlation: {value_text(frc.frc_nm, frc.frc_error_nm)} nm"
    return Chart(title, "spatial frequency [1 / nm]", "correlation", parts, x_range=(0, end), y_range=(-0.1, 1.05))
