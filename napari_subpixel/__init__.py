"""Sub-pixel localization of single molecules: find them in a movie, render them, score them.

Public names are loaded when they are first used, so that importing the package loads neither torch nor Qt. The verbs
that are named like their modules are imported from these: ``from napari_subpixel.render import render``, and likewise
`simulate` and `evaluate`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_subpixel._version import __version__

#: Where each public name lives.
_HOMES = {
    "Camera": "camera",
    "DetectionJob": "pipeline",
    "Detector": "detector",
    "GaussianPSF": "psf",
    "InputError": "errors",
    "Localizations": "localizations",
    "Match": "evaluate",
    "Simulation": "simulate",
    "Stack": "stacks",
    "SuperResolutionGrid": "coordinates",
    "SuperResolutionImage": "render",
    "concat": "localizations",
    "detect": "pipeline",
    "detect_all": "pipeline",
    "detect_to_file": "pipeline",
    "open_stack": "stacks",
    "read_localizations": "formats",
    "save_image": "render",
    "write_localizations": "formats",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
