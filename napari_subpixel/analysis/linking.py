"""Linking: the rows of one molecule, in frame after frame, become one, by what their own uncertainties allow."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.generators import stepwise, under_name
from napari_subpixel.analysis.beads import Beads, find_beads
from napari_subpixel.analysis.link_kernels import count_rows
from napari_subpixel.analysis.link_ranges import link_in_ranges
from napari_subpixel.analysis.link_statistics import Statistics, one_uncertainty, statistics
from napari_subpixel.analysis.molecules import merged
from napari_subpixel.coordinates import mean_pixel_size
from napari_subpixel.errors import InputError, LinkDistanceError
from napari_subpixel.localizations import FIDUCIAL, Localizations

#: Molecules within this squared distance in variances may be linked, however rare they are.
LARGEST_SQUARED = 30.0
#: Larger uncertainties count as this many times the median one: a bad fit is no licence to link far.
LARGEST_UNCERTAINTY = 3.0
#: Density is counted in blocks of cells of this many uncertainties, three by three.
MAP_CELL = 2.0
#: The map of the density has at most this many cells, and at most this many a row once it has the first of these.
MAP_CELLS = (1 << 18, 1 << 24)
MAP_CELLS_PER_ROW = 4
#: Molecules that are taken to begin in an otherwise empty block during the movie: at most this many.
UNSEEN_STARTS = 0.5
#: And at least this many.
FEWEST_STARTS = 1e-3
#: Where a largest distance is given and no uncertainty is known, it counts as this many of them.
DISTANCE_IN_SIGMAS = 4.0
#: A largest distance below this many uncertainties separates a third of the neighbouring rows of a molecule.
FEWEST_SIGMAS = 2.0
#: Uncertainties that are wrong by more than this factor are a warning.
SUSPICIOUS_FACTOR = 1.25
#: Rows that are enough for a median.
MEDIAN_ROWS = 1_000_000
#: Column of the rows' molecules.
GROUP = "group"


@dataclass(frozen=True, eq=False)
class Linked:
    """Rows and the molecules that they belong to.

    Attributes
    ----------
    rows : Localizations
        The table that was linked.
    group : ndarray of int32, shape (len(rows),)
        Number of each row's molecule, counted from 0 in the order of their first frames.
    molecules : Localizations
        One row for each molecule.
    max_dark_frames : int
        Dark frames that were bridged.
    uncertainty_factor : float
        The true spread of rows about their molecule, over their uncertainties; NaN where they have none.
    again : tuple of float
        Probability that a molecule appears again in a frame, after 0, 1, ... dark frames.
    warnings : tuple of str
        What to know before trusting the result.
    beads : Beads
        The rows of beads, which are no molecules; none where the pixel size is not known.
    """

    rows: Localizations
    group: NDArray[np.int32]
    molecules: Localizations
    max_dark_frames: int
    uncertainty_factor: float
    again: tuple[float, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    beads: Beads = field(default_factory=Beads)

    @cached_property
    def is_bead(self) -> NDArray[np.bool_]:
        """Which molecules are beads, by most of their rows, shape (len(molecules),)."""
        n = len(self.molecules)
        return np.asarray(2 * np.bincount(self.group, self.beads.rows, n) > np.bincount(self.group, minlength=n))

    def marked(self) -> Localizations:
        """Return the molecules, with a column ``fiducial`` that is 1 for beads where there are any."""
        if not self.is_bead.any() or FIDUCIAL in self.molecules:
            return self.molecules
        return self.molecules.with_extra({FIDUCIAL: self.is_bead.astype(np.int64)})

    def grouped(self) -> Localizations:
        """Return all rows, with the number of their molecule in the column ``group``."""
        return self.rows.with_extra({GROUP: self.group}).with_about(provenance=self.molecules.provenance)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers that describe the result, for JSON."""
        return {
            "n_rows": len(self.rows),
            "n_molecules": len(self.molecules) - int(self.is_bead.sum()),
            "n_bead_rows": int(self.beads.rows.sum()),
            "n_bead_molecules": int(self.is_bead.sum()),
            "beads_px": [list(place) for place in self.beads.places],
            "max_dark_frames": self.max_dark_frames,
            "uncertainty_factor": self.uncertainty_factor,
            "again": list(self.again),
            "warnings": list(self.warnings),
        }


@stepwise
def link(
    table: Localizations,
    *,
    max_dark_frames: int | None = None,
    max_distance_nm: float | None = None,
    beads: Beads | None = None,
) -> Generator[str, None, Linked]:
    """Link the rows of each molecule, and merge them.

    `link.steps` yields the name of each step before it begins, and again wherever it can be ended.

    A row continues a molecule where that is likelier than that another molecule begins there: the distance from the
    molecule's mean position in standard deviations of both, and the odds that a molecule appears again after so many
    dark frames, against the local density of molecules that begin. Of a frame's possible pairs the best goes first,
    and each row and each molecule has one at most, so two rows of a frame never become one. How often molecules appear
    again, and by how much the uncertainties are wrong, is learnt from the table.

    Parameters
    ----------
    table : Localizations
    max_dark_frames : int, optional
        Bridge up to so many frames without a row; without it as many as molecules are dark for in this table.
    max_distance_nm : float, optional
        Link nothing beyond this distance from the molecule's mean position.
    beads : Beads, optional
        Those of the table, where they are known; without it they are searched for.

    Returns
    -------
    Linked

    Raises
    ------
    InputError
        If a setting is out of range; a `LinkDistanceError` if rows have no uncertainties, none can be estimated, and no
        distance is given; a `PixelSizeError` if a distance is given and the pixel size is not known.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frame, y, x = np.arange(30) // 3, np.tile([1.0, 5.0, 9.0], 10), np.full(30, 4.0)
    >>> y += rng.normal(0, 0.1, 30)
    >>> table = Localizations(
    ...     {"frame": frame, "y": y, "x": x, "y_uncertainty": np.full(30, 0.1), "x_uncertainty": np.full(30, 0.1)}
    ... )
    >>> linked = link(table)
    >>> linked.molecules["n_frames"].tolist(), [f"{sigma:.3f}" for sigma in linked.molecules["y_uncertainty"]]
    ([10, 10, 10], ['0.032', '0.032', '0.032'])
    """
    dark = None if max_dark_frames is None else _checked_dark(max_dark_frames)
    distance_nm = None if max_distance_nm is None else _checked_distance(max_distance_nm)
    # On square pixels a distance is as long in y as in x.
    places = table if table.pixel_size_nm is None and distance_nm is None else table.on_square_pixels()[0]
    widest_px = None if distance_nm is None else distance_nm / mean_pixel_size(places.known_pixel_size_nm())
    order = None if _is_sorted(places.frame) else np.argsort(places.frame, kind="stable")
    frame, y, x = places.frame, places.y, places.x
    if order is not None:
        frame, y, x = frame[order], y[order], x[order]
        # As the columns of a table are: the loops are compiled for one kind of array.
        for gathered in (frame, y, x):
            gathered.setflags(write=False)
    spread = _Spread.of(places, order, frame, y, x, widest_px)
    yield "statistics"
    if beads is None:
        beads = Beads(np.zeros(len(table), bool)) if table.pixel_size_nm is None else find_beads(table)
    found = _learnt(beads.rows if order is None else beads.rows[order], frame, y, x, spread, dark)
    group = np.zeros(len(table), np.int32)
    yield "linking"
    n_molecules = 0
    if len(table):
        n_molecules = yield from under_name("linking", _linked(frame, y, x, spread, found, widest_px, group))
    yield "molecules"
    if order is not None:
        unsorted = np.empty_like(group)
        unsorted[order] = group
        group = unsorted
    factor = found.uncertainty_factor if spread.measured else math.nan
    about = {
        "max_dark_frames": len(found.again) - 1,
        "max_distance_nm": max_distance_nm,
        "uncertainty_factor": None if math.isnan(factor) else round(factor, 4),
        "rows": len(table),
        "molecules": n_molecules,
    }
    provenance = {"program": f"napari-subpixel {__version__}", **table.provenance, "link": about}
    molecules = merged(table, group, n_molecules).with_about(provenance=provenance)
    warnings = (
        *_linked_before(table),
        *_too_near(spread, widest_px, table),
        *spread.warnings,
        *_warnings(factor, len(table), molecules, frame),
    )
    return Linked(table, group, molecules, len(found.again) - 1, factor, tuple(found.again.tolist()), warnings, beads)


def _learnt(
    is_bead: NDArray[np.bool_], frame: Any, y: Any, x: Any, spread: _Spread, max_dark_frames: int | None
) -> Statistics:
    """Return what the rows of molecules show; those of beads, which are never dark, say nothing of them."""
    if is_bead.all():
        return _nothing(max_dark_frames)
    columns: list[Any] = [frame, y, x, spread.vy, spread.vx]
    if is_bead.any():
        columns = [column[~is_bead] for column in columns]
        for column in columns[:3]:
            column.setflags(write=False)
    return statistics(*columns, max_dark_frames=max_dark_frames)


@dataclass(frozen=True, eq=False)
class _Spread:
    """Variances of rows, in pixels, and how they are known."""

    vy: NDArray[np.float32]
    vx: NDArray[np.float32]
    measured: bool
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, table: Localizations, order: NDArray[np.int64] | None, frame: Any, y: Any, x: Any, widest_px: float | None
    ) -> _Spread:
        names = [name for name in ("y_uncertainty", "x_uncertainty") if name in table]
        usable = {name: np.isfinite(table[name]) & (table[name] > 0) for name in names}
        if not len(table) or not any(mask.any() for mask in usable.values()):
            return cls._estimated(frame, y, x, widest_px)
        variances: list[NDArray[np.float32]] = []
        n_bad = 0
        for name in ("y_uncertainty", "x_uncertainty"):
            # Where only one axis has an uncertainty, it counts for both.
            known = name if usable.get(name, np.zeros(1, bool)).any() else next(n for n in names if usable[n].any())
            sigma, good = table[known], usable[known]
            every = _every(int(np.count_nonzero(good)))
            median = np.float32(np.median(sigma[every] if good.all() else sigma[good][every]))
            sigma = np.minimum(sigma, np.float32(LARGEST_UNCERTAINTY) * median)
            if not good.all():
                n_bad = max(n_bad, int(np.count_nonzero(~good)))
                sigma[~good] = median
            sigma = sigma if order is None else sigma[order]
            variances.append(np.multiply(sigma, sigma, out=sigma))
        words = (f"{n_bad:,} rows have no uncertainty and were linked with the median of the others",) if n_bad else ()
        return cls(variances[0], variances[1], True, words)

    @classmethod
    def _estimated(cls, frame: Any, y: Any, x: Any, widest_px: float | None) -> _Spread:
        sigma = one_uncertainty(frame, y, x)
        n = len(frame)
        if sigma is None and widest_px is None:
            if n and frame[0] != frame[-1]:
                raise LinkDistanceError(
                    "the rows have no uncertainties, and too few are in neighbouring frames to estimate one: a largest "
                    "distance must be given"
                )
            sigma = 1.0  # nothing that could be linked
        elif sigma is None:
            assert widest_px is not None
            sigma = widest_px / DISTANCE_IN_SIGMAS
        variance = np.full(n, np.float32(sigma**2))
        words = (
            f"no uncertainties: rows were linked with {sigma:.3g} px for all, positions are plain means, and the "
            "molecules have no uncertainties either",
        )
        return cls(variance, variance.copy(), False, words if n else ())


def _linked(
    frame: Any, y: Any, x: Any, spread: _Spread, found: Statistics, widest_px: float | None, group: NDArray[np.int32]
) -> Generator[None, None, int]:
    """Fill in the group of each row, in the order of frames, and return how many there are; yields now and then."""
    vy, vx = spread.vy, spread.vx
    for variance in (vy, vx):  # in place: there may be many rows
        variance *= np.float32(found.uncertainty_factor**2)
    every = _every(len(y))
    sigma = math.sqrt(float(np.median(np.maximum(vy[every], vx[every]))))
    widest = math.sqrt(2 * LARGEST_SQUARED * float(max(vy.max(), vx.max())))
    widest = widest if widest_px is None else min(widest, widest_px)
    density = _density(frame, y, x, sigma, float(1 - found.again[0]))
    log_odds = np.log(found.again / (1 - found.again))
    return (yield from link_in_ranges(frame, y, x, vy, vx, log_odds, density, widest, group))


def _density(
    frame: Any, y: Any, x: Any, sigma: float, ending: float
) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Return the local density of other molecules' starts per area and frame, where its map begins, and its cell."""
    height, width = float(np.ptp(y)), float(np.ptp(x))
    most = min(max(MAP_CELLS_PER_ROW * len(y), MAP_CELLS[0]), MAP_CELLS[1])
    cell = max(MAP_CELL * sigma, math.sqrt((height + sigma) * (width + sigma) / most), 4 * max(height, width) / most)
    corner = np.array([y.min(), x.min()]) - cell
    down, across = int(height / cell) + 3, int(width / cell) + 3
    rows = count_rows(y, x, corner, cell, down, across)
    n_frames = float(frame[-1] - frame[0] + 1)
    per_block = 9 * cell * cell / ((height + 3 * cell) * (width + 3 * cell)) * len(y) * ending
    unseen = min(UNSEEN_STARTS, max(FEWEST_STARTS, per_block))
    starts = np.maximum(rows * np.float32(ending) - 1, 0) + np.float32(unseen)
    return (starts / np.float32(9 * cell * cell * n_frames)).astype(np.float32), corner, cell


def _every(n_rows: int) -> slice:
    """Return about `MEDIAN_ROWS` rows, evenly spread."""
    return slice(0, n_rows, max(n_rows // MEDIAN_ROWS, 1))


def _nothing(dark: int | None) -> Statistics:
    return Statistics(1.0, 0, np.full((dark or 0) + 1, 0.5))


def _too_near(spread: _Spread, widest_px: float | None, table: Localizations) -> tuple[str, ...]:
    """Warn of a largest distance that most rows of one molecule exceed."""
    if widest_px is None or not spread.measured or not len(table):
        return ()
    sigma_px = math.sqrt(float(np.median(spread.vy) + np.median(spread.vx)) / 2)
    if widest_px >= FEWEST_SIGMAS * sigma_px:
        return ()
    size = mean_pixel_size(table.known_pixel_size_nm())
    return (
        f"the largest distance of {widest_px * size:.3g} nm separates rows of one molecule, whose uncertainties are "
        f"{sigma_px * size:.3g} nm",
    )


def _linked_before(table: Localizations) -> tuple[str, ...]:
    """Warn of rows that are molecules already."""
    if "n_frames" not in table or not (n_linked := int(np.count_nonzero(table["n_frames"] > 1))):
        return ()
    return (
        f"{n_linked:,} of {len(table):,} rows are linked already, and count in the first of their frames only: which "
        "rows belong together, dark frames, and on and off times are wrong; link the table as it was detected",
    )


def _warnings(factor: float, n_rows: int, molecules: Localizations, frame: Any) -> list[str]:
    words = []
    if n_rows and frame[0] == frame[-1]:
        words.append(f"all rows are in frame {frame[0]}: there is nothing to link")
    if not math.isnan(factor) and not 1 / SUSPICIOUS_FACTOR <= factor <= SUSPICIOUS_FACTOR:
        words.append(
            f"rows of a molecule spread {factor:.2f} times as far as their uncertainties say: those of the molecules "
            "are wrong by the same factor"
        )
    return words


def _is_sorted(frame: NDArray[np.int64]) -> bool:
    return bool((frame[1:] >= frame[:-1]).all())


def _checked_dark(max_dark_frames: int) -> int:
    given: Any = max_dark_frames
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 0:
        raise InputError(f"dark frames to bridge are a whole number from 0, got {max_dark_frames!r}")
    if max_dark_frames > 1_000_000:
        raise InputError(f"at most 1,000,000 dark frames can be bridged, got {max_dark_frames:,}")
    return int(max_dark_frames)


def _checked_distance(max_distance_nm: float) -> float:
    distance = records.number("link", "max_distance_nm", max_distance_nm)
    if distance <= 0:
        raise InputError(f"the largest distance of a link must be positive, got {distance:g} nm")
    return distance
