"""What training can minimise: the paper's terms, the likelihood, and those of the heatmap methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from napari_subpixel.models.heatmap_networks import HeatmapNetwork, HeatmapPredictor
from napari_subpixel.training.counting import SPARSITY_TERMS
from napari_subpixel.training.counting_windows import Windows, counting_in_windows
from napari_subpixel.training.heatmap_losses import dsnt_terms, heatmap_error, spikes_error, spikes_for, target_for
from napari_subpixel.training.heatmap_matching import heatmap_matching
from napari_subpixel.training.likelihood import background_error, likelihood
from napari_subpixel.training.simulated_samples import Batch

if TYPE_CHECKING:
    from napari_subpixel.training.settings import TrainingSettings

#: Sides of the windows, in pixels, in which the likelihood counts; one is drawn for every step.
WINDOWS_PX = (4, 8, 12)
#: In the likelihood an image of n molecules has the weight 1 / sqrt(1 + n / this): crowded images must not dominate.
CROWDED_MOLECULES = 8.0
#: Weight of the background's error relative to the likelihood, which is much larger.
BACKGROUND_WEIGHT = 0.5


def paper_objective(
    network: nn.Module, batch: Batch, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mean heatmap-matching loss (Eq. 4) and mean sparsity term of a batch.

    Parameters
    ----------
    network : Module
        Returns `Predictions`.
    batch : Batch
    settings : TrainingSettings
    rng : numpy.random.Generator
        Shifts the windows of counting.

    Returns
    -------
    matching, sparsity : Tensor, shape ()
        Unweighted.
    """
    with _precision(batch, settings):
        predicted = network(batch.frames)
    p = predicted.probabilities
    if not torch.isfinite(p).all():
        nan = p.new_tensor(float("nan"))
        return nan, nan
    match = heatmap_matching(predicted.offsets, p, batch.truth, batch.weights, kernel_px=settings.kernel_px)
    if settings.sparsity == "counting" and settings.counting_window_px:
        windows = _shifted_windows(p, settings.counting_window_px, rng)
        return match.mean(), counting_in_windows(p, batch.truth, batch.weights, windows).mean()
    return match.mean(), SPARSITY_TERMS[settings.sparsity](p, batch.weights).mean()


def likelihood_objective(
    network: nn.Module, batch: Batch, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mean negative log-likelihood of a batch: of places and light, with the background's error; and of counts.

    Light and background are left out where the batch does not know them.

    Parameters
    ----------
    network : Module
        Returns `Predictions` with uncertainties, light and background.
    batch : Batch
    settings : TrainingSettings
    rng : numpy.random.Generator
        Draws the windows of counting.

    Returns
    -------
    localization, count : Tensor, shape ()
        Unweighted.
    """
    with _precision(batch, settings):
        predicted = network(batch.frames)
    if not torch.isfinite(predicted.logits).all():
        nan = predicted.logits.new_tensor(float("nan"))
        return nan, nan
    windows = _shifted_windows(predicted.logits, int(rng.choice(WINDOWS_PX)), rng)
    terms = likelihood(predicted, batch.truth, batch.light, batch.weights, windows)
    weight = (1 + batch.weights.sum(dim=(1, 2)) / CROWDED_MOLECULES).rsqrt()
    places = weight * terms.places
    if batch.background is not None:
        places = places + BACKGROUND_WEIGHT * background_error(predicted, batch.frames, batch.background)
    return places.mean(), (weight * terms.counts).mean()


def heatmap_objective(
    network: nn.Module, batch: Batch, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mean squared error of the heatmaps that a network predicts, summed over each; no second term.

    Parameters
    ----------
    network : Module
        A `HeatmapPredictor`.
    batch : Batch
    settings : TrainingSettings
    rng : numpy.random.Generator
        Seeds randomised rounding.

    Returns
    -------
    error, zero : Tensor, shape ()
    """
    assert isinstance(network, HeatmapPredictor)
    raw = _heatmap(network, batch, settings)
    target = target_for(network, batch, (raw.shape[1], raw.shape[2]), rng)
    return heatmap_error(raw, target).mean(), raw.new_zeros(())


def spikes_objective(
    network: nn.Module, batch: Batch, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Deep-STORM's squared error and l1 norm, means over a batch.

    Parameters
    ----------
    network : Module
        A `HeatmapPredictor`.
    batch : Batch
    settings : TrainingSettings
    rng : numpy.random.Generator
        Not used.

    Returns
    -------
    error, norm : Tensor, shape ()
        Unweighted.
    """
    assert isinstance(network, HeatmapPredictor)
    raw = _heatmap(network, batch, settings)
    error, norm = spikes_error(raw, spikes_for(network, batch, (raw.shape[1], raw.shape[2])))
    return error.mean(), norm.mean()


def dsnt_objective(
    network: nn.Module, batch: Batch, settings: TrainingSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """DSNT's distance and regulariser round the true points, and the cross-entropy that teaches where points are.

    Parameters
    ----------
    network : Module
        A `HeatmapNetwork` whose heatmap is one of logits.
    batch : Batch
    settings : TrainingSettings
    rng : numpy.random.Generator
        Not used.

    Returns
    -------
    loss, zero : Tensor, shape ()
        The sum of the three terms, a mean over the batch.
    """
    assert isinstance(network, HeatmapNetwork)
    logits = _heatmap(network, batch, settings)
    terms = dsnt_terms(logits, batch.truth, batch.weights, width_px=network.width_px, reach_px=network.window_px)
    return (terms.presence + terms.distance + terms.divergence).mean(), logits.new_zeros(())


def _precision(batch: Batch, settings: TrainingSettings) -> torch.autocast:
    return torch.autocast(batch.frames.device.type, torch.bfloat16, enabled=settings.half_precision)


def _heatmap(network: HeatmapPredictor, batch: Batch, settings: TrainingSettings) -> Tensor:
    with _precision(batch, settings):
        return network.heatmap(batch.frames).float()


def _shifted_windows(p: Tensor, side_px: int, rng: np.random.Generator) -> Windows:
    return Windows((p.shape[-2], p.shape[-1]), side_px, (int(rng.integers(side_px)), int(rng.integers(side_px))))


#: What training can minimise, by name: a first term, and a second with the sparsity weight.
OBJECTIVE_FUNCTIONS = {
    "paper": paper_objective,
    "likelihood": likelihood_objective,
    "heatmap": heatmap_objective,
    "spikes": spikes_objective,
    "dsnt": dsnt_objective,
}
