"""Results of a comparison with the truth: counts at each tolerance, and the scores that follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.evaluation.matching import Pairing

#: Weight of the lateral RMSE in the challenge's efficiency, per nm (Sage et al. 2019, doi:10.1038/s41592-019-0364-4).
EFFICIENCY_ALPHA_PER_NM = 1.0


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
        Rows of the two tables in these frames, the border included.
    pixel_size_nm : float
        The pixel size that all distances are based on, in nm.
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
    pixel_size_nm: float
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
            "pixel_size_nm": self.pixel_size_nm,
            "border_nm": self.border_nm,
            "pairing": self.pairing,
            "offset_removed_nm": None if self.offset_removed_nm is None else list(self.offset_removed_nm),
            "warnings": list(self.warnings),
            "scores": [match.to_dict() for match in self.matches],
        }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
