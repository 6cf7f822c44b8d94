"""The one table of localizations: detections and ground truth alike, whole or in parts.

table     `Localizations`: rows, what is known of them, and selection
columns   the standard columns, and the checks of all
joining   tables one after another
parts     a table of which one part at a time has to be in memory
"""

from __future__ import annotations

from napari_subpixel.localizations.columns import (
    COLUMNS,
    DRIFT_COLUMNS,
    FIDUCIAL,
    LARGEST_WHOLE,
    MISSPELT_FROM,
    REQUIRED,
)
from napari_subpixel.localizations.joining import concat
from napari_subpixel.localizations.parts import LocalizationParts
from napari_subpixel.localizations.table import Localizations

__all__ = [
    "COLUMNS",
    "DRIFT_COLUMNS",
    "FIDUCIAL",
    "LARGEST_WHOLE",
    "MISSPELT_FROM",
    "REQUIRED",
    "LocalizationParts",
    "Localizations",
    "concat",
]
