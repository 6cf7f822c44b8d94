"""From a request to a plan: what to train, on what, and how; loads torch only when it plans."""

from __future__ import annotations

import copy

from napari_subpixel.training.request import OF_RANGES, TrainingPlan, TrainingRequest


def plan_training(request: TrainingRequest, device: str = "auto") -> TrainingPlan:
    """Plan what a request asks for: read its movie, estimate what is not given, and check all that can be checked.

    Parameters
    ----------
    request : TrainingRequest
    device : str
        Where to train: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns
    -------
    TrainingPlan
        For `train_model`.

    Raises
    ------
    InputError
        If fields of the request contradict each other, or name what cannot be read.
    """
    from napari_subpixel.detection.devices import choose_device
    from napari_subpixel.models import Model, checked_threshold, load_model
    from napari_subpixel.training.fine_tuning_plans import plan_from_movie, plan_from_simulation
    from napari_subpixel.training.method_plans import plan_method

    if request.threshold is not None:
        checked_threshold(request.threshold)
    chosen = str(choose_device(device)[0])
    if isinstance(request.base, Model):
        base: Model | None = Model(request.base.card, copy.deepcopy(request.base.network))
    else:
        base = None if request.base is None else load_model(request.base)
    if base is None or base.card.input_scaling == "minmax":
        request.refuse(OF_RANGES, "is for fine-tuning a model that takes photons")
        return plan_method(request, base, chosen)
    return (plan_from_simulation if request.movie is None else plan_from_movie)(request, base, chosen)
