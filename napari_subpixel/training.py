"""Training: samples in, weights out, in a folder from which a killed run goes on."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_subpixel.errors import InputError
from napari_subpixel.files import atomic_output, write_failure
from napari_subpixel.losses import SPARSITY, heatmap_matching
from napari_subpixel.samples import Batch, Samples

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
LOG_COLUMNS = ("iteration", "heatmap", "sparsity", "seconds")
#: Settings that a resumed run may change: they say how far to go, not how to go.
FREE_TO_CHANGE = ("iterations", "cooldown", "final_sparsity_weight", "checkpoint_every", "log_every")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are those of the paper's section 4.1, as its authors' published code has them.

    Attributes
    ----------
    iterations : int
        Steps of the optimiser.
    batch_size : int
        Samples per step.
    learning_rate : float
        Of Adam.
    cooldown : int
        Over this many last iterations the learning rate falls linearly to 0.
    kernel_px : float
        Width lambda of the heatmap kernel, in pixels.
    sparsity : str
        ``counting``, ``l1`` or ``none`` (Table 3).
    sparsity_weight : float
        Weight of the sparsity term.
    final_sparsity_weight : float, optional
        Weight that it reaches at the end, growing evenly over the cooldown; the same if not given.
    seed : int
        Seeds the weights and every draw.
    checkpoint_every, log_every : int
        Iterations between checkpoints, and between rows of the log.
    """

    iterations: int = 50_000
    batch_size: int = 16
    learning_rate: float = 1e-3
    cooldown: int = 0
    kernel_px: float = 0.2
    sparsity: str = "counting"
    sparsity_weight: float = 0.1
    final_sparsity_weight: float | None = None
    seed: int = 0
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        for name in ("iterations", "batch_size", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"training: {name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "kernel_px"):
            if not getattr(self, name) > 0:
                raise InputError(f"training: {name} must be positive, got {getattr(self, name)}")
        for name in ("sparsity_weight", "cooldown", "seed", "final_sparsity_weight"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise InputError(f"training: {name} must not be negative, got {getattr(self, name)}")
        if self.sparsity not in SPARSITY:
            raise InputError(f"training: sparsity must be one of {', '.join(SPARSITY)}, got {self.sparsity!r}")

    def learning_rate_at(self, iteration: int) -> float:
        """Learning rate of one step, counted from 0."""
        return self.learning_rate * self._cooldown_left(iteration)

    def sparsity_weight_at(self, iteration: int) -> float:
        """Weight of the sparsity term in one step, counted from 0."""
        if self.final_sparsity_weight is None:
            return self.sparsity_weight
        done = 1.0 - self._cooldown_left(iteration)
        return self.sparsity_weight + done * (self.final_sparsity_weight - self.sparsity_weight)

    def _cooldown_left(self, iteration: int) -> float:
        return min(1.0, (self.iterations - iteration) / self.cooldown) if self.cooldown else 1.0


@dataclass(frozen=True)
class Progress:
    """Where training stands: iterations done, the mean losses since the last report, and seconds spent in all."""

    iteration: int
    heatmap: float
    sparsity: float
    seconds: float


def objective(network: nn.Module, batch: Batch, settings: TrainingSettings) -> tuple[Tensor, Tensor]:
    """Mean heatmap-matching loss (Eq. 4) and mean sparsity term of a batch, unweighted."""
    predicted = network(batch.frames)
    p = predicted.probabilities
    if not torch.isfinite(p).all():
        nan = p.new_tensor(float("nan"))
        return nan, nan
    match = heatmap_matching(predicted.offsets, p, batch.truth, batch.weights, kernel_px=settings.kernel_px)
    return match.mean(), SPARSITY[settings.sparsity](p, batch.weights).mean()


def train(
    network: nn.Module,
    samples: Samples,
    settings: TrainingSettings,
    folder: Path,
    *,
    device: str = "cpu",
    about: Mapping[str, Any] | None = None,
) -> Iterator[Progress]:
    """Train a network in place, a report at a time; a folder that holds a checkpoint is gone on from.

    Every draw depends on the seed and the number of the iteration alone, so that an interrupted and resumed run
    equals an uninterrupted one.

    Parameters
    ----------
    network : Module
        Maps frames (B, 1, h, w) to `Predictions`; changed in place.
    samples : Samples
    settings : TrainingSettings
    folder : Path
        Receives ``checkpoint.pt`` (weights and optimiser) and ``log.csv``.
    device : str
        Where to train.
    about : mapping, optional
        What the samples are, as plain values; a run is gone on from only with the same.

    Yields
    ------
    Progress
        After every `settings.log_every` iterations, and at the end.

    Raises
    ------
    InputError
        If the folder holds a run with other settings or on other samples, it cannot be written, or a loss is no
        longer finite.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {write_failure(error)}") from None
    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    state = _resume(folder, network, optimizer, settings, about)
    _trim_log(folder / LOG, state["iteration"])
    began, sums, steps = time.perf_counter() - state["seconds"], np.zeros(2), 0
    for iteration in range(state["iteration"], settings.iterations):
        batch = samples.batch(settings.batch_size, np.random.default_rng([settings.seed, iteration]))
        losses = _step(network, optimizer, Batch(*(t.to(device) for t in batch)), settings, iteration)
        sums, steps, done = sums + losses, steps + 1, iteration + 1
        last = done == settings.iterations
        if done % settings.log_every == 0 or last:
            progress = Progress(done, float(sums[0] / steps), float(sums[1] / steps), time.perf_counter() - began)
            sums, steps = np.zeros(2), 0
            _append_log(folder / LOG, progress)
        if done % settings.checkpoint_every == 0 or last:
            _save(folder, network, optimizer, settings, about, done, time.perf_counter() - began)
        if done % settings.log_every == 0 or last:
            yield progress


def kept_iterations(folder: Path) -> int:
    """Return how many iterations the checkpoint in a folder holds; 0 where there is none."""
    path = folder / CHECKPOINT
    return int(torch.load(path, map_location="cpu", weights_only=True)["iteration"]) if path.exists() else 0


def _step(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, settings: TrainingSettings, iteration: int
) -> np.ndarray:
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate_at(iteration)
    match, sparsity = objective(network, batch, settings)
    if not (torch.isfinite(match) and torch.isfinite(sparsity)):
        raise InputError(f"training: the loss is no longer finite at iteration {iteration}; try a lower rate")
    optimizer.zero_grad(set_to_none=True)
    (match + settings.sparsity_weight_at(iteration) * sparsity).backward()
    optimizer.step()
    return np.array([match.item(), sparsity.item()])


def _save(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    about: Mapping[str, Any] | None,
    iteration: int,
    seconds: float,
) -> None:
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "settings": json.dumps(asdict(settings)),
        "about": json.dumps(about),
        "iteration": iteration,
        "seconds": seconds,
    }
    content = io.BytesIO()  # on a full disk, torch's own writing raises what nobody recognises
    torch.save(state, content)
    with atomic_output(folder / CHECKPOINT) as draft:
        draft.write_bytes(content.getvalue())


def _resume(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    path = folder / CHECKPOINT
    if not path.exists():
        return {"iteration": 0, "seconds": 0.0}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        before, samples_before = json.loads(state["settings"]), json.loads(state["about"])
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, EOFError, UnpicklingError) as error:
        raise InputError(f"{path}: not a checkpoint of this network: {' '.join(str(error).split())[:200]}") from None
    for name, value in asdict(settings).items():
        if name not in FREE_TO_CHANGE and before.get(name) != value:
            raise InputError(f"{path}: was trained with {name} {before.get(name)}, not {value}; use another folder")
    if samples_before != json.loads(json.dumps(about)):
        raise InputError(f"{path}: was trained on other samples ({samples_before}); use another folder")
    if state["iteration"] > settings.iterations:
        raise InputError(f"{path}: has {state['iteration']} iterations already, more than {settings.iterations}")
    return state


def _trim_log(path: Path, iteration: int) -> None:
    """Drop rows that an interrupted run logged after its last checkpoint: these iterations are done again."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(LOG_COLUMNS) and row[0].isdigit()]
    with atomic_output(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([LOG_COLUMNS, *(row for row in rows if int(row[0]) <= iteration)])


def _append_log(path: Path, now: Progress) -> None:
    fresh = not path.exists()
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(LOG_COLUMNS)
            writer.writerow([now.iteration, f"{now.heatmap:.6g}", f"{now.sparsity:.6g}", f"{now.seconds:.1f}"])
    except OSError as error:
        raise InputError(f"{path}: {write_failure(error)}") from None
