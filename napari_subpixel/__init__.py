"""Sub-pixel localization of single molecules: find them in a movie, render them, score them.

Public names are loaded when they are first used, so that importing the package loads neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_subpixel._version import __version__

#: Where each public name lives.
_HOMES = {
    "Camera": "camera.Camera",
    "DetectionJob": "detection.job.DetectionJob",
    "DetectionOptions": "detection.options.DetectionOptions",
    "Detector": "detection.detector.Detector",
    "DriftCurve": "analysis.drift_curve.DriftCurve",
    "Filter": "analysis.filters.Filter",
    "Follow": "runs.live_options.Follow",
    "Figure": "runs.figure.Figure",
    "GaussianPSF": "psf.GaussianPSF",
    "InputError": "errors.InputError",
    "Linked": "analysis.linking.Linked",
    "Localizations": "localizations.Localizations",
    "Match": "evaluation.scores.Match",
    "Outcome": "runs.batch.Outcome",
    "Resolution": "analysis.resolution.Resolution",
    "Simulation": "simulation.settings.Simulation",
    "SpotPsf": "calibration.SpotPsf",
    "Stack": "stacks.Stack",
    "SuperResolutionGrid": "grids.SuperResolutionGrid",
    "SuperResolutionImage": "rendering.render.SuperResolutionImage",
    "TrainedModel": "training.train_model.TrainedModel",
    "TrainingPlan": "training.request.TrainingPlan",
    "TrainingRequest": "training.request.TrainingRequest",
    "concat": "localizations.concat",
    "detect": "runs.pipeline.detect",
    "detect_all": "runs.pipeline.detect_all",
    "detect_batch": "runs.batch.detect_batch",
    "detect_to_file": "runs.pipeline.detect_to_file",
    "estimate_drift": "analysis.drift.estimate_drift",
    "evaluate": "evaluation.evaluate.evaluate",
    "figure": "runs.figure.figure",
    "find_movies": "runs.movie_lists.find_movies",
    "gather_movies": "runs.movie_lists.gather_movies",
    "job_for": "detection.job.job_for",
    "keep": "analysis.filters.keep",
    "keep_dense": "analysis.density.keep_dense",
    "link": "analysis.linking.link",
    "measure_psf": "calibration.measure_psf",
    "open_stack": "stacks.open_stack",
    "pair_outputs": "runs.movie_lists.pair_outputs",
    "plan_training": "training.plans.plan_training",
    "preset": "cameras.preset",
    "read_localizations": "formats.read",
    "render": "rendering.render.render",
    "resolution": "analysis.resolution.resolution",
    "save_image": "rendering.image_files.save_image",
    "save_preset": "cameras.save_preset",
    "simulate": "simulation.simulate.simulate",
    "train_model": "training.train_model.train_model",
    "undo_drift": "analysis.drift_curve.undo_drift",
    "write_localizations": "formats.write",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
