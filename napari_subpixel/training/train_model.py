"""From a plan to a model: train, measure on what is held out, and save the model with its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.files import make_folder
from napari_subpixel.errors import InputError, UnfinishedRunError
from napari_subpixel.training.request import TrainingPlan

if TYPE_CHECKING:
    from torch import nn

    from napari_subpixel.training.trainer import TrainingProgress

#: In the folder of checkpoints: frames like those learned from.
EXAMPLES_FILE = "samples.tif"
#: In the folder of checkpoints: the curves of the training.
CURVES_FILE = "curves.png"


@dataclass(frozen=True)
class TrainingStart:
    """A training that begins, or is resumed.

    Attributes
    ----------
    folder : Path
        Where checkpoints, losses and curves are kept.
    n_done : int
        Iterations that were done before.
    n_iterations : int
        Iterations in all.
    examples : Path, optional
        Frames like those it learns from, to look at, where they were written now.
    """

    folder: Path
    n_done: int
    n_iterations: int
    examples: Path | None = None


@dataclass(frozen=True)
class BaseScore:
    """What the model that is fine-tuned reaches as it is.

    Attributes
    ----------
    name : str
        Of the model.
    jaccard : float
        On what is held out.
    """

    name: str
    jaccard: float


@dataclass(frozen=True)
class TrainingStopped:
    """A training that was stopped, and can be resumed.

    Attributes
    ----------
    n_done : int
        Iterations that are kept.
    """

    n_done: int


@dataclass(frozen=True)
class TrainedModel:
    """A model that was trained and saved.

    Attributes
    ----------
    path : Path
        Its file of weights; the card lies next to it.
    jaccard, base_jaccard : float, optional
        On what is held out, of the model and of the one that was fine-tuned; None where nothing was measured.
    warnings : tuple of str
        What could not be done: curves that were not drawn.
    """

    path: Path
    jaccard: float | None = None
    base_jaccard: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_better(self) -> bool:
        """Whether it is better than the model that was fine-tuned, as far as that was measured."""
        return self.jaccard is None or self.base_jaccard is None or self.jaccard > self.base_jaccard


def checkpoint_folder(output: str | Path) -> Path:
    """Return the folder that keeps the checkpoints of a model: ``mine.training`` for ``mine.safetensors``."""
    return Path(output).with_name(Path(output).stem + ".training")


def check_can_train(output: str | Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Raise now what `train_model` would raise about its output: before anything is read.

    Parameters
    ----------
    output : path-like
        Model to write, ending in ``.safetensors``.
    resume, overwrite : bool
        As for `train_model`.

    Raises
    ------
    InputError
        If the model cannot be written, or is there and may not be replaced.
    UnfinishedRunError
        If an earlier run left its checkpoints.
    """
    from napari_subpixel.models import check_can_write_model

    check_can_write_model(output, overwrite=overwrite or resume)
    folder = checkpoint_folder(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, where the checkpoints' folder should be")
    if folder.exists() and not (resume or overwrite):
        raise UnfinishedRunError(f"{folder}: an earlier run left this", folder)


def train_model(
    plan: TrainingPlan,
    output: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[TrainingStart | BaseScore | TrainingProgress | TrainingStopped | TrainedModel, None, None]:
    """Train as planned, and save the model with its card; a generator that may be closed at any time, and resumed.

    Parameters
    ----------
    plan : TrainingPlan
        Its network is trained in place.
    output : str or path-like
        Model to write, ending in ``.safetensors``; a bare name saves it to the user's model folder. Checkpoints are
        kept in a folder next to it, see `checkpoint_folder`.
    resume : bool
        Continue an interrupted run; where there is none, a new one starts.
    overwrite : bool
        Replace the model, and drop an earlier run.
    stopped : callable
        Whether to stop, asked after every iteration; what is done by then is kept.

    Yields
    ------
    TrainingStart
        Once everything is checked.
    BaseScore
        Where a model is fine-tuned and something is held out.
    TrainingProgress
        As from `napari_subpixel.training.trainer.train`.
    TrainedModel
        In the end.
    TrainingStopped
        In its place, where it was stopped.

    Raises
    ------
    InputError
        If the model cannot be written, the folder holds another run, or a loss is no longer finite.

    Examples
    --------
    >>> from napari_subpixel import Camera, GaussianPSF, TrainingRequest, plan_training
    >>> camera = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=0.5)
    >>> request = TrainingRequest(base="fast", camera=camera, psf=GaussianPSF(120), photons_range=(500, 1500))
    >>> for event in train_model(plan_training(request), "my-microscope"):  # doctest: +SKIP
    ...     print(event)
    """
    from napari_subpixel.models import path_for, save_model
    from napari_subpixel.training.trainer import check_can_resume, kept_iterations, train

    output = path_for(str(output))
    check_can_train(output, resume=resume, overwrite=overwrite)
    folder = checkpoint_folder(output)
    if folder.exists() and not resume:
        shutil.rmtree(folder)
    settings, about = plan.settings, plan.card["training"]
    check_can_resume(folder, settings, about)
    make_folder(folder)
    yield TrainingStart(folder, kept_iterations(folder), settings.iterations, _write_examples(plan, folder))
    scores = _Scores(plan)
    if plan.base is not None and scores.measure is not None:
        yield BaseScore(plan.base.card.name, scores.add("_before", plan.network))
    yield from train(
        plan.network,
        plan.samples,
        settings,
        folder,
        device=plan.device,
        about=about,
        measure=scores.measure,
        stopped=stopped,
    )
    if (n_done := kept_iterations(folder)) < settings.iterations:
        yield TrainingStopped(n_done)
        return
    warnings = _draw_curves(folder)
    jaccard = None if scores.measure is None else scores.add("", plan.network)
    card: dict[str, Any] = {**plan.card, "training": {**about, "settings": asdict(settings)}}
    save_model(output, plan.network, overwrite=overwrite or resume, name=output.stem, figures=scores.figures, **card)
    yield TrainedModel(output, jaccard, scores.before, warnings)


class _Scores:
    """The Jaccard index on what a plan holds out, and what the card says of it."""

    def __init__(self, plan: TrainingPlan) -> None:
        self.figures: dict[str, float] = {}
        self.measure = _measuring(plan)
        self.before: float | None = None

    def add(self, suffix: str, network: nn.Module) -> float:
        """Measure a network, and keep the figure for the card."""
        from napari_subpixel.training.held_out import TOLERANCE_NM

        assert self.measure is not None
        jaccard = round(self.measure(network), 3)
        self.figures[f"jaccard_{TOLERANCE_NM:g}_nm_held_out{suffix}"] = jaccard
        if suffix:
            self.before = jaccard
        return jaccard


def _measuring(plan: TrainingPlan) -> Callable[[nn.Module], float] | None:
    from napari_subpixel.models import ModelCard
    from napari_subpixel.training.held_out import measuring

    if not plan.held_out:
        return None
    draft = ModelCard(name="draft", network=plan.network.config, weights_sha256="0" * 64, **plan.card)
    return measuring(draft, plan.held_out, plan.device)


def _write_examples(plan: TrainingPlan, folder: Path) -> Path | None:
    """Write frames to look at, once."""
    from napari_subpixel.stacks.writing import write_movie

    path = folder / EXAMPLES_FILE
    if plan.examples is None or plan.pixel_size_nm is None or path.exists():
        return None
    frames = plan.examples()
    write_movie(path, [frames], shape=frames.shape, pixel_size_nm=plan.pixel_size_nm)
    return path


def _draw_curves(folder: Path) -> tuple[str, ...]:
    """Draw the losses and what was measured, where that is possible, and return a warning where it is not."""
    from napari_subpixel.training.curves import LOG, plot_curves

    try:
        plot_curves(folder / LOG, folder / CURVES_FILE, overwrite=True)
    except InputError as error:
        return (f"the curves are not drawn: {error}",)
    return ()
