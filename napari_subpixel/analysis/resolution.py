"""The resolution of a table in three ways: NeNA, Fourier ring correlation, decorrelation."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_subpixel._util.generators import stepwise
from napari_subpixel.analysis.beads import Beads, find_beads
from napari_subpixel.analysis.decorrelation import decorrelation
from napari_subpixel.analysis.frc import Frc, frc
from napari_subpixel.analysis.nena import Nena, nena, scatter_of
from napari_subpixel.localizations import Localizations

#: Where neither uncertainties nor molecules that are seen twice say anything, rows are taken to be this precise.
ASSUMED_NM = 20.0


@dataclass(frozen=True, eq=False)
class Resolution:
    """The resolution of a table.

    Attributes
    ----------
    nena : Nena
        The localization precision, and whether the uncertainties hold.
    frc : Frc
        The Fourier ring correlation.
    decorrelation_nm : float or None
        The resolution by decorrelation of the rendered image.
    n_localizations : int
        Rows of the table.
    warnings : tuple of str
        What could not be measured and why, and what is odd.
    beads : Beads
        The rows that were left out: points at one place in most frames.
    """

    nena: Nena
    frc: Frc
    decorrelation_nm: float | None
    n_localizations: int
    warnings: tuple[str, ...]
    beads: Beads

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as one JSON document; what could not be measured is None."""
        return {
            "nena_nm": self.nena.nena_nm,
            "nena_error_nm": self.nena.nena_error_nm,
            "uncertainty_factor": self.nena.uncertainty_factor,
            "uncertainty_factor_error": self.nena.uncertainty_factor_error,
            "nena_textbook_nm": self.nena.textbook_nm,
            "n_pairs": self.nena.n_pairs,
            "frc_nm": self.frc.frc_nm,
            "frc_error_nm": self.frc.frc_error_nm,
            "frc_is_corrected": self.frc.is_corrected,
            "frc_correction": self.frc.correction,
            "frc_corrected_nm": self.frc.corrected_nm,
            "frc_uncorrected_nm": self.frc.uncorrected_nm,
            "visits": self.frc.visits,
            "decorrelation_nm": self.decorrelation_nm,
            "n_localizations": self.n_localizations,
            "n_bead_localizations": int(self.beads.rows.sum()),
            "beads_px": [list(place) for place in self.beads.places],
            "warnings": list(self.warnings),
        }


@stepwise
def resolution(
    localizations: Localizations, *, seed: int = 0, beads: Beads | None = None
) -> Generator[str, None, Resolution]:
    """Measure the resolution of a table, without its beads.

    `resolution.steps` yields the name of each step before it begins.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known. Without uncertainties there is only the textbook's NeNA.
    seed : int
        Of the random halves of the Fourier ring correlation.
    beads : Beads, optional
        Those of the table, where they are known; without them they are searched for.

    Returns
    -------
    Resolution

    Raises
    ------
    InputError
        If the pixel size is not known.

    Examples
    --------
    >>> nothing = resolution(Localizations.empty(pixel_size_nm=100))
    >>> nothing.n_localizations, nothing.nena.nena_nm, nothing.frc.frc_nm
    (0, None, None)
    """
    localizations.known_pixel_size_nm()
    yield "beads"
    beads = find_beads(localizations) if beads is None else beads
    table = localizations.select(~beads.rows) if beads.places else localizations
    warnings = [beads.left_out_of("NeNA, FRC and decorrelation")] if beads.places else []
    yield "NeNA"
    precision = nena(table)
    warnings += [*_of_molecules(localizations), *precision.warnings]
    if not len(table):
        return Resolution(precision, Frc(), None, len(localizations), tuple(warnings), beads)
    own_nm = scatter_of(table, precision)
    if own_nm is None:
        known = precision.textbook_nm
        own_nm = np.full(len(table), known or ASSUMED_NM)
        if known is None:
            warnings.append(f"images for the FRC are made as of a precision of {ASSUMED_NM:g} nm")
    yield "FRC"
    correlation = frc(table, own_nm, seed=seed)
    warnings += correlation.warnings
    yield "decorrelation"
    sharpness = decorrelation(table, own_nm)
    warnings += filter(None, [sharpness.why_not])
    n, said = len(localizations), tuple(dict.fromkeys(warnings))
    return Resolution(precision, correlation, sharpness.resolution_nm, n, said, beads)


def _of_molecules(localizations: Localizations) -> tuple[str, ...]:
    """Warn of rows that are linked molecules, each of which is there once."""
    if "n_frames" not in localizations or not (localizations["n_frames"] > 1).any():
        return ()
    return (
        "the rows are linked molecules, which are in one frame each: NeNA is for the table as it was before linking",
    )
