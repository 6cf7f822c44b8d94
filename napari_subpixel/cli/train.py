"""``napari-subpixel train``: a model from a movie with truth, from simulation, or from another model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.command_text import flag
from napari_subpixel.cli.common import add_camera_arguments, camera_from, em_gain_given, progress_bar, unknown_gain
from napari_subpixel.cli.event_lines import EventLines
from napari_subpixel.cli.messages import say, warn
from napari_subpixel.cli.parsing import StoppedError
from napari_subpixel.cli.record_flags import add_record_flags, given, help_of
from napari_subpixel.cli.simulate import add_simulation_arguments, psf_from, simulation_from
from napari_subpixel.cli.tables import print_json
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.training.request import TrainingPlan, TrainingRequest
    from napari_subpixel.training.train_model import TrainedModel, TrainingStart
    from napari_subpixel.training.trainer import TrainingProgress

#: Flags of fields of a `TrainingRequest` that are not called like them.
FLAGS = {"base": "--from"}
#: What to give, in flags, where a field of a `TrainingRequest` is needed.
ADVICE = {
    "camera": "give --camera FILE, or --like MOVIE of yours",
    "psf": "give --psf-sigma-nm, a camera file with a section psf, or --like MOVIE",
}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    from napari_subpixel.detection.devices import DEVICES
    from napari_subpixel.simulation.settings import Simulation
    from napari_subpixel.training.fine_tuning_settings import fine_tuning_settings
    from napari_subpixel.training.settings import TrainingSettings

    parser = subparsers.add_parser(
        "train",
        description="Train a model. With --from, an installed model is fine-tuned on simulations of your microscope or "
        "on --movie and --truth; without it, a network of the paper's is trained from scratch, on --movie and --truth "
        "or on endless simulation with the camera and PSF given. --resume continues a run that was stopped.",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="NAME|MODEL.safetensors",
        help="model to write; a bare name saves it to your model folder, where --model and napari find it",
    )
    _add_request_arguments(parser)
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to train (auto)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--json", action="store_true", help="one JSON document on standard output")
    outputs.add_argument(
        "--events",
        action="store_true",
        help="a line of JSON on standard output for all that happens, for a program that runs this one; the training "
        "stops where standard input ends",
    )
    group = parser.add_argument_group("training")
    fine_tuning = f"with --from {fine_tuning_settings().iterations}"
    notes = {"iterations": fine_tuning, "cooldown": "with --from half of the iterations"}
    add_record_flags(group, TrainingSettings(), notes=notes)
    add_simulation_arguments(parser, Simulation(structure="uniform"))
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def _add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is trained, and on what, with the help texts of `TrainingRequest`."""
    from napari_subpixel.training import request

    def add(group: Any, name: str, note: str = "", **options: Any) -> None:
        text = help_of(request.TrainingRequest, name) + (f" ({note})" if note else "")
        group.add_argument(FLAGS.get(name, flag(name)), dest=name, default=None, help=text, **options)

    add(parser, "method", metavar="NAME")
    add(parser, "movie", metavar="MOVIE")
    add(parser, "truth", metavar="TRUTH")
    add(parser, "series", type=int, metavar="N")
    add(parser, "channel", metavar="N|NAME")
    add(parser, "join", action="store_true")
    add(parser, "held_out", f"0; with --from {request.HELD_OUT_SHARE:g}", type=float, metavar="SHARE")
    add(parser, "crop_px", f"{request.CROP_PX}; with --from {request.FINE_TUNING_CROP_PX}", type=int, metavar="PX")
    add(parser, "crops_per_frame", f"{request.CROPS_PER_FRAME}", type=int, metavar="N")
    add(parser, "augment", action="store_true")
    add(parser, "dimming", "0", type=float, metavar="SHARE")
    add(parser, "threshold", f"{request.THRESHOLD:g}; with --from its own", type=float, metavar="P")
    add(parser, "summary", metavar="TEXT")
    add(parser, "limits", metavar="TEXT")
    group = parser.add_argument_group("fine-tuning")
    add(group, "base", metavar="NAME|PATH")
    add(group, "like", metavar="MOVIE")
    for name in ("photons_range", "background_range", "density_um2"):
        add(group, name, type=_range, metavar="LOW:HIGH")


def run(arguments: argparse.Namespace) -> int:
    """Train, with checkpoints next to the model, and write the model with its card."""
    if not arguments.events:
        return _run(arguments, EventLines(None))
    lines = EventLines(sys.stdout)
    with lines.naming_errors():
        return _run(arguments, lines)


def _run(arguments: argparse.Namespace, lines: EventLines) -> int:
    from napari_subpixel.detection.devices import choose_device
    from napari_subpixel.models import path_for
    from napari_subpixel.training.plans import plan_training

    output = path_for(arguments.output)
    _check_output(arguments, output)
    _, reason = choose_device(arguments.device)
    with _in_flags():
        plan = plan_training(_request(arguments), arguments.device)
    model = _train(plan, arguments, output, reason, lines)
    if arguments.json and model is not None:
        print_json({
            "model": str(model.path),
            "iterations": plan.settings.iterations,
            "held_out_jaccard": model.jaccard,
            "is_better": model.is_better if plan.base is not None and model.jaccard is not None else None,
            "notes": list(plan.notes),
            "warnings": [*plan.warnings, *model.warnings],
        })  # fmt: skip
    return 0


def _request(arguments: argparse.Namespace) -> TrainingRequest:
    """Return what the arguments ask for."""
    from napari_subpixel.models import find, read_card
    from napari_subpixel.simulation.settings import Simulation
    from napari_subpixel.training.request import OF_CROPS, OF_RANGES, TrainingRequest
    from napari_subpixel.training.settings import TrainingSettings

    if bool(arguments.movie) != bool(arguments.truth):
        raise InputError("training from a movie needs both --movie and --truth")
    card = read_card(find(arguments.base)) if arguments.base else None
    simulation = None
    if card is not None and card.input_scaling != "minmax":
        for name in given(arguments, Simulation):
            raise InputError(f"{flag(name)} is not for fine-tuning {card.name}: give ranges")
    elif not arguments.movie:
        shape = camera_from(arguments).map_shape
        simulation = simulation_from(arguments, Simulation(structure="uniform"), frame_shape=shape)
    same = ("base", "method", "movie", "series", "channel", "join", "truth", "held_out", "crop_px", "threshold")
    return TrainingRequest(
        **{name: getattr(arguments, name) for name in (*same, "summary", "limits", *OF_CROPS, *OF_RANGES)},
        camera=camera_from(arguments),
        psf=psf_from(arguments),
        estimate_camera=unknown_gain(arguments),
        em_gain_given=em_gain_given(arguments),
        simulation=simulation,
        settings=given(arguments, TrainingSettings),
    )


@contextmanager
def _in_flags() -> Iterator[None]:
    """Say in flags what is wrong with a request."""
    from napari_subpixel.training.request import RequestError

    try:
        yield
    except RequestError as error:
        if error.field in ADVICE:
            raise InputError(f"{error}: {ADVICE[error.field]}") from error
        name = FLAGS.get(error.field, flag(error.field))
        raise InputError(f"{name}{str(error).removeprefix(error.field)}") from error


def _check_output(arguments: argparse.Namespace, output: Path) -> None:
    """Refuse an output that cannot be written before anything is read, and a card that would replace the camera."""
    from napari_subpixel.models import CARD_SUFFIX, find
    from napari_subpixel.training.train_model import check_can_train

    card = output.with_suffix(CARD_SUFFIX)
    if arguments.camera and card.resolve() == arguments.camera.resolve():
        raise InputError(
            f"{arguments.camera}: the model's card would replace this camera file; name the model otherwise"
        )
    if arguments.base and find(arguments.base).resolve() == output.resolve():
        raise InputError(f"{output}: is the model to fine-tune; name the new one otherwise")
    check_can_train(output, resume=arguments.resume, overwrite=arguments.overwrite)


def _train(
    plan: TrainingPlan, arguments: argparse.Namespace, output: Path, where: str, lines: EventLines
) -> TrainedModel | None:
    """Train as planned, say how it goes, and return what became of it."""
    from napari_subpixel.training.train_model import (
        BaseScore,
        TrainedModel,
        TrainingStart,
        TrainingStopped,
        checkpoint_folder,
        train_model,
    )
    from napari_subpixel.training.trainer import kept_iterations

    start: TrainingStart | None = None
    model: TrainedModel | None = None
    bar: Any = None  # from the start on, so that its rate is right at the first report
    n_iterations = plan.settings.iterations
    events = train_model(plan, output, resume=arguments.resume, overwrite=arguments.overwrite, stopped=lines.is_to_stop)
    with closing(events), ExitStack() as bars:
        try:
            for event in events:
                lines.write(event, plan)
                if isinstance(event, TrainingStart):
                    start = event
                    _say_start(plan, event, where)
                    bar = bars.enter_context(progress_bar(n_iterations, "step", "train", done=event.n_done))
                elif isinstance(event, BaseScore):
                    bar.clear()
                    say(f"{_held_out()} of {event.name}, as it is: {event.jaccard}")
                    bar.unpause()
                elif isinstance(event, TrainedModel):
                    bars.close()
                    model = event
                    _say_end(plan, event)
                elif isinstance(event, TrainingStopped):
                    raise _stopped(event.n_done, n_iterations, checkpoint_folder(output))
                else:
                    _show(bar, event, n_iterations)
        except KeyboardInterrupt:
            if start is None:
                raise
            raise _stopped(kept_iterations(start.folder), n_iterations, start.folder) from None
    return model


def _stopped(kept: int, n_iterations: int, folder: Path) -> StoppedError:
    return StoppedError(f"{kept} of {n_iterations} iterations are kept in {folder}; --resume continues the run")


def _held_out() -> str:
    from napari_subpixel.training.held_out import TOLERANCE_NM

    return f"held-out Jaccard at {TOLERANCE_NM:g} nm"


def _say_start(plan: TrainingPlan, start: TrainingStart, where: str) -> None:
    for note in plan.notes:
        say(note)
    for warning in plan.warnings:
        warn(warning)
    say(f"training on {where}, {start.n_iterations:,} steps; checkpoints, losses and curves are kept in {start.folder}")
    if start.examples is not None:
        say(f"{start.examples}: frames like those it learns from; compare them with yours")


def _show(bar: Any, report: TrainingProgress, n_iterations: int) -> None:
    bar.update(report.iteration - bar.n)
    bar.set_postfix(localization=f"{report.localization_loss:.3f}", count=f"{report.count_loss:.3f}")
    if report.jaccard is not None:
        left = report.seconds / report.iteration * (n_iterations - report.iteration) / 60
        bar.clear()
        say(f"step {report.iteration}: held-out Jaccard {report.jaccard:.3f}, {left:.0f} min left")


def _say_end(plan: TrainingPlan, model: TrainedModel) -> None:
    for warning in model.warnings:
        warn(warning)
    if model.jaccard is not None:
        worse = "" if plan.base is None or model.is_better else f", no better than {plan.base.card.name}: keep that"
        say(f"{_held_out()}: {model.jaccard}{worse}")
    say(f"{model.path}: written, with its card next to it")


def _range(text: str) -> tuple[float, float]:
    """Parse ``LOW:HIGH``."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a range is LOW:HIGH, got {text!r}") from None
    if not low <= high:
        raise argparse.ArgumentTypeError(f"a range goes up, from LOW to HIGH, got {text!r}")
    return low, high
