"""What a report shows."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import scipy

from napari_subpixel._version import __version__
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.linking import Linked
from napari_subpixel.analysis.resolution import Resolution
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import SuperResolutionImage


@dataclass(frozen=True, eq=False)
class Contents:
    """What a report shows; what is None is left out.

    Attributes
    ----------
    name : str
        Of the movie or the table.
    table : Localizations
        The rows that the plots are of.
    command : str
        What repeats it.
    resolution : Resolution, optional
        Of the rows.
    drift : DriftCurve, optional
        What was subtracted.
    linked : Linked, optional
        The molecules that the rows are of.
    image : SuperResolutionImage, optional
        The picture.
    steps : mapping of str to str
        What was done, step by step.
    skipped : mapping of str to str
        Steps that were left out, and why.
    warnings : tuple of str
        What to know before the result is used.
    settings : mapping
        Every setting, as the provenance of the table has it, and more; warnings there are not shown.
    """

    name: str
    table: Localizations
    command: str = ""
    resolution: Resolution | None = None
    drift: DriftCurve | None = None
    linked: Linked | None = None
    image: SuperResolutionImage | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Frames of the movie; up to the last one with a row, where they are not known."""
        last = int(self.table.frame.max()) + 1 if len(self.table) else 0
        return max(self.table.n_frames or 0, last)


def versions() -> dict[str, str]:
    """Return the versions of the program and of the libraries that the numbers of a report come from."""
    libraries = {"numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__}
    return {"napari-subpixel": __version__, "python": platform.python_version(), **libraries}
