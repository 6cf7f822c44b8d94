"""How a model of many microscopes is fine-tuned, where nothing else is said; loads no torch."""

from __future__ import annotations

from typing import Any

from napari_subpixel.training.settings import TrainingSettings

#: Rows of the log of a short training: enough for a curve.
LEAST_ROWS = 40
#: Measurements on what is held out in a short training.
LEAST_MEASUREMENTS = 8


def fine_tuning_settings(*, half_precision: bool = False, iterations: int = 2000, **given: Any) -> TrainingSettings:
    """Return how a model of many microscopes is fine-tuned: gently, and ever more so over the second half.

    Parameters
    ----------
    half_precision : bool
        Whether the device multiplies matrices in bfloat16 faster.
    iterations : int
        Steps of the optimiser.
    **given
        Other fields of `TrainingSettings`, which override those of fine-tuning.

    Raises
    ------
    InputError
        If a value is out of its range.
    """
    settings = {
        "learning_rate": 1e-3, "cooldown": iterations // 2, "sparsity_weight": 1.0, "weight_decay": 1e-4, "warm_up": 50,
        "clip_norm": 5.0, "averaging": 0.99, "checkpoint_every": 100,
        "log_every": min(max(iterations // LEAST_ROWS, 1), 50),
        "measure_every": min(max(iterations // LEAST_MEASUREMENTS, 1), 250),
        "objective": "likelihood", "optimizer": "muon",
    }  # fmt: skip
    return TrainingSettings(**{**settings, "iterations": iterations, "half_precision": half_precision, **given})
