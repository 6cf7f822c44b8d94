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
    "Camera": "camera.Camera",
    "DetectionJob": "jobs.DetectionJob",
    "Detector": "detector.Detector",
    "Follow": "following.Follow",
    "GaussianPSF": "psf.GaussianPSF",
    "InputError": "errors.InputError",
    "Localizations": "localizations.Localizations",
    "Match": "scores.Match",
    "Outcome": "batch.Outcome",
    "Simulation": "simulate.Simulation",
    "SpotPsf": "spots.SpotPsf",
    "Stack": "stacks.Stack",
    "SuperResolutionGrid": "coordinates.SuperResolutionGrid",
    "SuperResolutionImage": "render.SuperResolutionImage",
    "concat": "localizations.concat",
    "detect": "pipeline.detect",
    "detect_all": "pipeline.detect_all",
    "detect_batch": "batch.detect_batch",
    "detect_to_file": "pipeline.detect_to_file",
    "find_movies": "movies.find_movies",
    "gather_movies": "movies.gather_movies",
    "job_for": "jobs.job_for",
    "measure_psf": "spots.measure_psf",
    "open_stack": "stacks.open_stack",
    "pair_outputs": "movies.pair_outputs",
    "preset": "presets.preset",
    "read_localizations": "formats.read",
    "save_image": "render.save_image",
    "save_preset": "presets.save_preset",
    "write_localizations": "formats.write",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name].split(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
