"""Results of a comparison with the truth: counts at each tolerance, and the scores that follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize, Roi
from napari_subpixel.evaluation.matching import Pairing

#: Weight of the lateral RMSE in the challenge's efficiency, per nm (Sage et al. 2019, doi:10.1038/s41592-019-0364-4).
EFFICIENCY_ALPHA_PER_NM = 1.0
#: Bins of probability, of equal width, for the calibration error.
CALIBRATION_BINS = 10
#: Properties of a `Match` on photons, uncertainties and probabilities; NaN where the tables do not have these.
ERRORS = (
    "photon_ratio",
    "photon_ratio_spread",
    "error_over_uncertainty",
    "robust_error_over_uncertainty",
    "calibration_error",
)


@dataclass(frozen=True, eq=False)
class Match:
    """Localizations and truth matched one-to-one at one tolerance, and the scores that follow.

    Rows are numbered as in the two tables that were given to `evaluate`; rows in other frames, or left out by the
    border rule, appear nowhere.

    Attributes
    ----------
    tolerance_nm : float
        Largest distance of a pair, in nm.
    pairs : ndarray of int64, shape (K, 2)
        Row of the localization and row of the truth, of each pair.
    offsets_nm : ndarray of float64, shape (K, 2)
        Localization minus truth of each pair, (y, x) in nm; after removal of the constant offset where requested.
    false_positive_rows : ndarray of int64
        Rows of the localizations that match no molecule.
    missed_rows : ndarray of int64
        Rows of the truth that no localization matches.
    photon_ratios : ndarray of float64 or None
        Photons found over true photons, of the pairs where both are known; None where a table has no such column.
    normalized_errors : ndarray of float64 or None
        Errors along y and along x over the localization's own uncertainty, of the pairs where it is known.
    probabilities, false_positive_probabilities : ndarray of float64 or None
        Probabilities of the localizations in pairs, and of those that match no molecule.

    Notes
    -----
    Where both tables are empty nothing is wrong: Jaccard, F1, precision and recall are 1. Otherwise a ratio without
    a denominator is NaN: precision where nothing was found, recall where there was nothing to find, and RMSE, mean
    offset and efficiency where there is no pair.
    """

    tolerance_nm: float
    pairs: NDArray[np.int64]
    offsets_nm: NDArray[np.float64]
    false_positive_rows: NDArray[np.int64]
    missed_rows: NDArray[np.int64]
    photon_ratios: NDArray[np.float64] | None = None
    normalized_errors: NDArray[np.float64] | None = None
    probabilities: NDArray[np.float64] | None = None
    false_positive_probabilities: NDArray[np.float64] | None = None

    @property
    def true_positives(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def false_positives(self) -> int:
        """Number of localizations that match no molecule."""
        return len(self.false_positive_rows)

    @property
    def false_negatives(self) -> int:
        """Number of molecules that no localization matches."""
        return len(self.missed_rows)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._share(self.true_positives + self.false_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 J / (1 + J)."""
        return 2 * self.jaccard / (1 + self.jaccard)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._share(self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return self._share(self.true_positives + self.false_negatives)

    @property
    def distances_nm(self) -> NDArray[np.float64]:
        """Distance of each pair in nm, shape (K,)."""
        return np.hypot(self.offsets_nm[:, 0], self.offsets_nm[:, 1])

    @property
    def rmse_nm(self) -> float:
        """Root mean square of the pairs' distances in nm."""
        return float(np.sqrt(np.mean(self.distances_nm**2))) if len(self.pairs) else math.nan

    @property
    def mean_offset_nm(self) -> tuple[float, float]:
        """Mean of localization minus truth over the pairs, (y, x) in nm."""
        if not len(self.pairs):
            return math.nan, math.nan
        dy, dx = self.offsets_nm.mean(axis=0)
        return float(dy), float(dx)

    @property
    def efficiency(self) -> float:
        """The SMLM challenge's efficiency, 100 - sqrt((100 - 100 J)^2 + alpha^2 RMSE^2) with alpha = 1 per nm."""
        return 100 - math.hypot(100 - 100 * self.jaccard, EFFICIENCY_ALPHA_PER_NM * self.rmse_nm)

    @property
    def photon_ratio(self) -> float:
        """Median of photons found over true photons; NaN where either table has none."""
        return _median(self.photon_ratios)

    @property
    def photon_ratio_spread(self) -> float:
        """Standard deviation of photons found over true photons, from percentiles: half of 16% to 84%."""
        return _robust_deviation(self.photon_ratios)

    @property
    def error_over_uncertainty(self) -> float:
        """Standard deviation of the errors along y and x over their uncertainties: 1 where these are right."""
        errors = self.normalized_errors
        return math.nan if errors is None or not errors.size else float(errors.std())

    @property
    def robust_error_over_uncertainty(self) -> float:
        """As `error_over_uncertainty`, from percentiles: half of 16% to 84%, which a few false pairs do not change."""
        return _robust_deviation(self.normalized_errors)

    @property
    def calibration_error(self) -> float:
        """Mean difference of probability and share of true positives, over ten bins of probability.

        Bins are weighted by their localizations; 0 where probabilities are right.
        """
        if self.probabilities is None or self.false_positive_probabilities is None:
            return math.nan
        probability = np.concatenate([self.probabilities, self.false_positive_probabilities])
        hit = np.arange(probability.size) < self.probabilities.size
        known = np.isfinite(probability)
        if not known.any():
            return math.nan
        bins = np.clip(probability[known] * CALIBRATION_BINS, 0, CALIBRATION_BINS - 1).astype(np.int64)
        excess = np.bincount(bins, hit[known] - probability[known])
        return float(np.abs(excess).sum() / known.sum())

    def to_dict(self) -> dict[str, Any]:
        """Return counts and scores as plain numbers for JSON; what is not defined is None."""
        scores = ("jaccard", "f1", "precision", "recall", "rmse_nm", "efficiency")
        return {
            "tolerance_nm": self.tolerance_nm,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            **{name: _defined(getattr(self, name)) for name in scores},
            "mean_offset_nm": [_defined(v) for v in self.mean_offset_nm] if len(self.pairs) else None,
            **{name: _defined(getattr(self, name)) for name in ERRORS},
        }

    def _share(self, whole: int) -> float:
        if whole:
            return self.true_positives / whole
        return math.nan if self.false_positives or self.false_negatives else 1.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found: a sequence of one `Match` for each tolerance, in the order asked.

    Attributes
    ----------
    matches : tuple of Match
    n_frames : int
        Frames that count: those where either table has rows.
    n_localizations, n_truth : int
        Rows of the two tables in these frames, border and surroundings of the region included.
    frames : (int, int or None) or None
        First scored frame and the one after the last; None where all were scored.
    roi : Roi or None
        The region, ((y0, y1), (x0, x1)) in pixels, whose molecules count; None where all do.
    pixel_size_nm : float or (float, float)
        The pixel size that all distances are based on, in nm; height and width where they differ.
    border_nm : float
        Width of the border that was left out, in nm.
    pairing : {"optimal", "greedy"}
        How the pairs were chosen.
    offset_removed_nm : (float, float) or None
        Constant offset, (y, x) in nm, that was subtracted from the localizations; None where not requested.
    warnings : tuple of str
        What the user should know before trusting the scores.
    """

    matches: tuple[Match, ...]
    n_frames: int
    n_localizations: int
    n_truth: int
    frames: tuple[int, int | None] | None
    roi: Roi | None
    pixel_size_nm: PixelSize
    border_nm: float
    pairing: Pairing
    offset_removed_nm: tuple[float, float] | None
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __getitem__(self, index: int) -> Match:
        return self.matches[index]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows, for JSON."""
        return {
            "n_frames": self.n_frames,
            "n_localizations": self.n_localizations,
            "n_truth": self.n_truth,
            "frames": None if self.frames is None else list(self.frames),
            "roi": None if self.roi is None else [list(side) for side in self.roi],
            "pixel_size_nm": self.pixel_size_nm,
            "border_nm": self.border_nm,
            "pairing": self.pairing,
            "offset_removed_nm": None if self.offset_removed_nm is None else list(self.offset_removed_nm),
            "warnings": list(self.warnings),
            "scores": [match.to_dict() for match in self.matches],
        }


def _median(values: NDArray[np.float64] | None) -> float:
    return math.nan if values is None or not values.size else float(np.median(values))


def _robust_deviation(values: NDArray[np.float64] | None) -> float:
    """Return half the width of the middle 68.27%, which is the standard deviation of a normal distribution."""
    if values is None or not values.size:
        return math.nan
    low, high = np.quantile(values, [0.15866, 0.84134])
    return float(high - low) / 2


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
