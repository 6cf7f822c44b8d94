"""Training: samples in, weights out, in a folder from which a killed run is resumed."""

from __future__ import annotations

import copy
import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_subpixel._util.files import atomic_output, make_folder, write_failure
from napari_subpixel.errors import ChangedRunError, InputError
from napari_subpixel.models.pixel_network import lay_out
from napari_subpixel.training.curves import LOG
from napari_subpixel.training.muon import Muon
from napari_subpixel.training.objectives import OBJECTIVE_FUNCTIONS
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.simulated_samples import Batch, Samples

#: In the folder of a run: weights, optimiser and how far it is.
CHECKPOINT = "checkpoint.pt"
#: Columns of the log.
LOG_COLUMNS = ("iteration", "localization_loss", "count_loss", "jaccard", "seconds")
#: A checkpoint is also written when the last one is this old, in seconds.
CHECKPOINT_SECONDS = 60.0
#: Settings that a resumed run may change: they say how far to go, not how to go.
FREE_TO_CHANGE = (
    "iterations", "cooldown", "final_sparsity_weight", "half_precision", "checkpoint_every", "log_every",
    "measure_every",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingProgress:
    """How far training is.

    Attributes
    ----------
    iteration : int
        Iterations done.
    localization_loss : float
        Mean of the first term of the loss since the last report: heatmap matching, the likelihood of places and light,
        or the error of a discrete heatmap.
    count_loss : float
        Mean of the second term: counting or another sparsity term, without its weight; 0 where there is none.
    seconds : float
        Spent in all.
    jaccard : float, optional
        On what is held out, where it was just measured.
    """

    iteration: int
    localization_loss: float
    count_loss: float
    seconds: float
    jaccard: float | None = None


#: The optimisers, by name.
OPTIMIZER_CLASSES: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.AdamW, "muon": Muon}


def train(
    network: nn.Module,
    samples: Samples,
    settings: TrainingSettings,
    folder: Path,
    *,
    device: str = "cpu",
    about: Mapping[str, Any] | None = None,
    measure: Callable[[nn.Module], float] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[TrainingProgress]:
    """Train a network in place, a report at a time; training resumes if the folder holds a checkpoint.

    Every draw depends on the seed and the number of the iteration alone, so that an interrupted and resumed run
    equals an uninterrupted one.

    Parameters
    ----------
    network : Module
        Maps frames (B, planes, h, w) to `Predictions`; changed in place.
    samples : Samples
    settings : TrainingSettings
    folder : Path
        Receives ``checkpoint.pt`` (weights and optimiser) and ``log.csv``.
    device : str
        Where to train.
    about : mapping, optional
        What the samples are, as plain values; a run is resumed only with the same.
    measure : callable, optional
        Returns the Jaccard index that a network reaches on what is held out.
    stopped : callable
        Whether to stop, asked after every iteration; then a checkpoint is written, and training ends.

    Yields
    ------
    TrainingProgress
        After every `settings.log_every` iterations, after every `settings.measure_every` where something is held out,
        and at the end.

    Raises
    ------
    InputError
        If the folder holds a run with other settings or on other samples, it cannot be written, or a loss is no
        longer finite.
    """
    make_folder(folder)
    lay_out(network)
    run = _Run(network.to(device).train(), settings)
    state = _resume(folder, run, about)
    if state["iteration"] == settings.iterations:
        run.finish()
    _trim_log(folder / LOG, state["iteration"])
    began, sums, steps = time.perf_counter() - state["seconds"], np.zeros(2), 0
    saved = time.perf_counter()
    for iteration, batch in _batches(samples, settings, state["iteration"]):
        losses = run.step(batch.to(device), iteration)
        sums, steps, done = sums + losses, steps + 1, iteration + 1
        last = done == settings.iterations
        measured = measure is not None and (done % settings.measure_every == 0 or last)
        reports = measured or done % settings.log_every == 0 or last
        if reports:
            seconds = time.perf_counter() - began
            jaccard = measure(run.result()) if measure is not None and measured else None
            progress = TrainingProgress(done, float(sums[0] / steps), float(sums[1] / steps), seconds, jaccard)
            sums, steps = np.zeros(2), 0
            _append_log(folder / LOG, progress)
        stops = not last and stopped()
        due = done % settings.checkpoint_every == 0 or time.perf_counter() - saved > CHECKPOINT_SECONDS
        if due or last or stops:
            _save(folder, run, about, done, time.perf_counter() - began)
            saved = time.perf_counter()
        if last:
            run.finish()
        if reports:
            yield progress
        if stops:
            return


def check_can_resume(folder: Path, settings: TrainingSettings, about: Mapping[str, Any] | None) -> None:
    """Check that `train` would resume the run that a folder holds; one with no run is fine.

    Parameters
    ----------
    folder : Path
    settings : TrainingSettings
    about : mapping, optional
        As for `train`.

    Raises
    ------
    InputError
        If it would be refused.
    """
    _kept(folder, settings, about)


def kept_iterations(folder: Path) -> int:
    """Return how many iterations the checkpoint in a folder holds; 0 where there is none."""
    path = folder / CHECKPOINT
    return int(torch.load(path, map_location="cpu", weights_only=True)["iteration"]) if path.exists() else 0


def load_result(network: nn.Module, folder: Path) -> None:
    """Give a network the weights that would be the result if training ended at the checkpoint in a folder.

    Raises
    ------
    InputError
        If there is no checkpoint, or not one of this network.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    with _naming_bad_checkpoint(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["average"] or state["network"])


class _Run:
    """A network that is trained, with its optimiser and, where wanted, the running mean of its weights."""

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        self.network, self.settings = network, settings
        self.optimizer = OPTIMIZER_CLASSES[settings.optimizer](
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        # With buffers: BatchNorm's statistics are averaged over the same steps as the weights that they belong to. Its
        # latest statistics belong to the latest weights.
        self.average = (
            AveragedModel(network, multi_avg_fn=self._average, use_buffers=True) if settings.averaging else None
        )

    def step(self, batch: Batch, iteration: int) -> np.ndarray:
        """Take one step, and return the two terms of the loss."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(iteration)
        rng = np.random.default_rng([settings.seed, iteration, 1])
        match, sparsity = OBJECTIVE_FUNCTIONS[settings.objective](self.network, batch, settings, rng)
        if not (torch.isfinite(match) and torch.isfinite(sparsity)):
            raise InputError(f"training: the loss is no longer finite at iteration {iteration}; try a lower rate")
        self.optimizer.zero_grad(set_to_none=True)
        (match + settings.sparsity_weight_at(iteration) * sparsity).backward()
        if settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        # Muon's matrix products tolerate low precision as layers do; AdamW has none.
        with torch.autocast(batch.frames.device.type, torch.bfloat16, enabled=settings.half_precision):
            self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return np.array([match.item(), sparsity.item()])

    def _average(self, means: Sequence[Tensor], latest: Sequence[Tensor], steps: Tensor | int) -> None:
        """Add weights or buffers to their running means."""
        # The first weights are far off: until there are enough steps to average, the mean forgets faster.
        keep = min(self.settings.averaging, (1 + int(steps)) / (10 + int(steps)))
        for mean, now in zip(means, latest, strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)  # BatchNorm's count of batches

    def result(self) -> nn.Module:
        """Return what would be the result if training ended now, a copy."""
        return copy.deepcopy(self.network if self.average is None else self.average.module).eval()

    def finish(self) -> None:
        """Give the network the averaged weights."""
        if self.average is not None:
            self.network.load_state_dict(self.average.module.state_dict())


def _batches(samples: Samples, settings: TrainingSettings, start: int) -> Iterator[tuple[int, Batch]]:
    """Yield the number of each iteration and its batch; the next one is drawn meanwhile."""

    def draw(iteration: int) -> Batch:
        return samples.batch(settings.batch_size, np.random.default_rng([settings.seed, iteration]))

    with ThreadPoolExecutor(1, "samples") as drawing:
        coming = drawing.submit(draw, start)
        for iteration in range(start, settings.iterations):
            batch = coming.result()
            if iteration + 1 < settings.iterations:
                coming = drawing.submit(draw, iteration + 1)
            yield iteration, batch


def _save(folder: Path, run: _Run, about: Mapping[str, Any] | None, iteration: int, seconds: float) -> None:
    state = {
        "network": run.network.state_dict(),
        "average": run.average.module.state_dict() if run.average is not None else None,
        "averaged_steps": int(run.average.n_averaged) if run.average is not None else 0,
        "optimizer": run.optimizer.state_dict(),
        "settings": json.dumps(asdict(run.settings)),
        "about": json.dumps(about),
        "iteration": iteration,
        "seconds": seconds,
    }
    content = io.BytesIO()  # on a full disk, torch's own writing raises an error that says nothing of it
    torch.save(state, content)
    with atomic_output(folder / CHECKPOINT) as draft:
        draft.write_bytes(content.getvalue())


def _resume(folder: Path, run: _Run, about: Mapping[str, Any] | None) -> dict[str, Any]:
    state = _kept(folder, run.settings, about)
    if not state:
        return {"iteration": 0, "seconds": 0.0}
    with _naming_bad_checkpoint(folder / CHECKPOINT):
        run.network.load_state_dict(state["network"])
        run.optimizer.load_state_dict(state["optimizer"])
        if run.average is not None:
            run.average.module.load_state_dict(state["average"])
            run.average.n_averaged.fill_(state["averaged_steps"])
    return state


def _kept(folder: Path, settings: TrainingSettings, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the state of a run that the folder keeps, empty if there is none; it is one of these settings."""
    path = folder / CHECKPOINT
    if not path.exists():
        return {}
    with _naming_bad_checkpoint(path):
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before, samples_before = json.loads(state["settings"]), json.loads(state["about"])
    if settings.averaging and "averaged_steps" not in state:
        raise InputError(
            f"{path}: was written by an older version, whose means of the weights were incomplete; remove it"
        )
    for field in fields(settings):
        name, value = field.name, getattr(settings, field.name)
        if name not in FREE_TO_CHANGE and before.get(name, field.default) != value:
            raise ChangedRunError(f"{path}: was trained with {name} {before.get(name)}, not {value}", path)
    if samples_before != (now := json.loads(json.dumps(about))):
        what = "; ".join(_differences(samples_before, now))
        raise ChangedRunError(f"{path}: was trained on other samples ({what})", path)
    if state["iteration"] > settings.iterations:
        raise InputError(f"{path}: has {state['iteration']} iterations already, more than {settings.iterations}")
    return state


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Say in which entries two records differ."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        yield f"{name or 'samples'} {before}, not {now}"
        return
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            yield from _differences(before.get(key), now.get(key), f"{name} {key}".strip())


@contextmanager
def _naming_bad_checkpoint(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, KeyError, ValueError, EOFError, UnpicklingError) as error:
        raise InputError(f"{path}: not a checkpoint of this network: {' '.join(str(error).split())[:200]}") from None


def _trim_log(path: Path, iteration: int) -> None:
    """Drop rows that an interrupted run logged after its last checkpoint: these iterations are repeated."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(LOG_COLUMNS) and row[0].isdigit()]
    with atomic_output(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([LOG_COLUMNS, *(row for row in rows if int(row[0]) <= iteration)])


def _append_log(path: Path, report: TrainingProgress) -> None:
    fresh = not path.exists()
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(LOG_COLUMNS)
            jaccard = "" if report.jaccard is None else f"{report.jaccard:.4f}"
            losses = f"{report.localization_loss:.6g}", f"{report.count_loss:.6g}"
            writer.writerow([report.iteration, *losses, jaccard, f"{report.seconds:.1f}"])
    except OSError as error:
        raise InputError(f"{path}: {write_failure(error)}") from None
