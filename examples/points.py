"""What the examples share: the points of many samples in one list, the losses on them, and scores.

Positions are in grid steps (samples of a trace, pixels, voxels), in the order of the grid's axes; the centre of the
first is at 0. D is the number of axes, d that of classes.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_subpixel.coordinates import HALF_PIXEL
from napari_subpixel.evaluation.matching import match
from napari_subpixel.models.pixel_network import Predictions
from napari_subpixel.training.counting import counting
from napari_subpixel.training.heatmap_matching import heatmap_matching
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.simulated_samples import Batch, Samples
from napari_subpixel.training.trainer import train

#: Weight of counting relative to heatmap matching. It starts small, so that points find their places first, and grows
#: over the second half of the training, which drives their probabilities to 0 or 1.
FIRST_COUNTING, LAST_COUNTING = 0.02, 0.2


class Points(NamedTuple):
    """Points of many samples.

    Attributes
    ----------
    sample : ndarray of int64, shape (N,)
        Which sample each point belongs to, ascending.
    position : ndarray of float64, shape (N, D)
    label : ndarray of int64, shape (N,)
        Class, from 0.
    """

    sample: NDArray[np.int64]
    position: NDArray[np.float64]
    label: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> Points:
        """Return some of the points."""
        return Points(self.sample[chosen], self.position[chosen], self.label[chosen])


class Score(NamedTuple):
    """How well points agree with the truth: their Jaccard index, and the RMSE of those that match, in grid steps."""

    jaccard: float
    rmse: float


class Trained(NamedTuple):
    """What training did: the loss on samples held out, before and after."""

    loss_before: float
    loss_after: float


def draw_points(size: int, mean: float, grid: Sequence[int], classes: int, rng: np.random.Generator) -> Points:
    """Draw points anywhere on a grid, in each of `size` samples a Poisson number."""
    sample = np.repeat(np.arange(size), rng.poisson(mean, size))
    position = rng.uniform(-HALF_PIXEL, np.asarray(grid) - HALF_PIXEL, (len(sample), len(grid)))
    return Points(sample, position, rng.integers(classes, size=len(sample)))


def batch_of(inputs: NDArray[np.floating], points: Points, n_classes: int) -> Batch:
    """Make what the losses want: truth (B, M, D) and weights (B, M, d), which are 0 where padded; inputs (B, *grid)."""
    counts = np.bincount(points.sample, minlength=len(inputs))
    place = np.concatenate([np.arange(count) for count in counts])
    truth = np.zeros((len(inputs), counts.max(), points.position.shape[1]), np.float32)
    weights = np.zeros((len(inputs), counts.max(), n_classes), np.float32)
    truth[points.sample, place] = points.position
    weights[points.sample, place, points.label] = 1
    return Batch(*map(torch.from_numpy, (inputs.astype(np.float32)[:, None], truth, weights)))


def split(numbers: Tensor, n_points: int, n_classes: int = 1) -> Predictions:
    """Turn the channels of a network's last layer, (B, n (D + d), *grid), into points for every grid step (Eq. 1)."""
    batch, grid = numbers.shape[0], numbers.shape[2:]
    offsets, logits = numbers.split([n_points * len(grid), n_points * n_classes], dim=1)
    return Predictions(
        offsets=HALF_PIXEL * torch.tanh(offsets.reshape(batch, n_points, len(grid), *grid)),
        logits=logits.reshape(batch, n_points, n_classes, *grid),
    )


def expect(last_layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, n_logits: int, probability: float) -> None:
    """Let the probabilities, the last channels, start at the density of points: an untrained network knows no more."""
    assert last_layer.bias is not None
    with torch.no_grad():
        last_layer.bias.zero_()
        last_layer.bias[-n_logits:] = math.log(probability / (1 - probability))


def held_out_loss(network: nn.Module, batch: Batch, kernel: float) -> float:
    """Return what the end of the training minimises, the mean over a batch."""
    with torch.inference_mode():
        predicted = network(batch.frames)
        p = predicted.probabilities
        matching = heatmap_matching(predicted.offsets, p, batch.truth, batch.weights, kernel_px=kernel)
        return float((matching + LAST_COUNTING * counting(p, batch.weights)).mean())


def fit(
    network: nn.Module, samples: Samples, held_out: Batch, *, iterations: int, batch_size: int, kernel: float, seed: int
) -> Trained:
    """Train a network in place with the package's own loop, and report progress on standard error.

    `kernel` is the width lambda of heatmap matching, in grid steps.
    """
    settings = TrainingSettings(
        iterations,
        batch_size,
        learning_rate=3e-3,
        warm_up=20,
        cooldown=iterations // 2,
        kernel_px=kernel,
        sparsity="counting",
        sparsity_weight=FIRST_COUNTING,
        final_sparsity_weight=LAST_COUNTING,
        optimizer="muon",
        seed=seed,
    )
    before = held_out_loss(network, held_out, kernel)
    with tempfile.TemporaryDirectory() as folder:
        for at in train(network, samples, settings, Path(folder)):
            print(f"{at.iteration} of {iterations}: {at.localization_loss:.3f} + {at.count_loss:.2f}", file=sys.stderr)
    return Trained(before, held_out_loss(network, held_out, kernel))


def points_above(predicted: Predictions, threshold: float = 0.5) -> Points:
    """Return the points whose probability for a class exceeds a threshold: all that is done to a network's output."""
    sample, point, label, *step = torch.nonzero(predicted.probabilities > threshold, as_tuple=True)
    offsets = predicted.offsets.movedim(2, -1)[sample, point, *step]
    position = torch.stack(step, dim=1) + offsets
    return Points(sample.numpy(), position.numpy().astype(float), label.numpy())


def found_by(network: nn.Module, batch: Batch) -> Points:
    """Return what a network finds in a batch."""
    with torch.inference_mode():
        return points_above(network(batch.frames))


def score(found: Points, truth: Points, tolerance: float) -> Score:
    """Match points with the truth, sample by sample and one-to-one, whatever their classes."""
    pairs = match(found.sample, found.position, truth.sample, truth.position, tolerance)
    distance = np.linalg.norm(found.position[pairs[:, 0]] - truth.position[pairs[:, 1]], axis=1)
    different = len(found.sample) + len(truth.sample) - len(pairs)
    rmse = float(np.sqrt(np.mean(distance**2))) if len(pairs) else float("nan")
    return Score(len(pairs) / different if different else 1.0, rmse)


def arguments(about: str | None, argv: Sequence[str] | None, *, iterations: int) -> argparse.Namespace:
    """Read the options that all examples have."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--iterations", type=int, default=iterations, help="steps of the training (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of every draw (%(default)s)")
    return parser.parse_args(argv)


def table(header: Sequence[object], *rows: Sequence[object]) -> str:
    """Return a small table."""
    return "\n".join("".join(f"{cell:>16}" for cell in row) for row in (header, *rows))


def report(figures: Any, samples: str, step: str) -> None:
    """Print a named tuple of `trained` and the scores; `samples` and `step` name what samples and grid steps are."""
    trained, rows = figures.trained, []
    for name, found in figures._asdict().items():
        if name != "trained":
            rows.append((name, f"{found.jaccard:.3f}", f"{found.rmse:.3f}"))
    print(f"loss on {samples} held out: {trained.loss_before:.2f} -> {trained.loss_after:.2f}")
    print(table(("", "Jaccard", f"RMSE, {step}"), *rows))
