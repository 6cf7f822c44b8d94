"""``napari-subpixel train``: a model from a movie with truth, from simulation, or from another model."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import make_folder
from napari_subpixel.cli.common import StoppedError, add_camera_arguments, progress_bar, say
from napari_subpixel.cli.simulate import add_simulation_arguments
from napari_subpixel.cli.train_plans import Plan, add_plan_arguments, plan_for
from napari_subpixel.errors import InputError, UnfinishedRunError

#: What the folder of checkpoints also receives: frames like those learned from, and the curves of the training.
SHOWN, CURVES = "samples.tif", "curves.png"


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    from napari_subpixel.detection.devices import DEVICES
    from napari_subpixel.simulation.simulate import Simulation

    parser = subparsers.add_parser(
        "train",
        help="train a model of your own",
        description="Train a model. With --from, an installed model goes on learning, from simulations of your "
        "microscope or from --movie and --truth; without it, a network of the paper's is trained anew, from --movie "
        "and --truth or from endless simulation with the camera and PSF given. A run that was stopped goes on with "
        "--resume.",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="NAME|MODEL.safetensors",
        help="model to write; a mere name keeps it among your own, where --model and napari find it",
    )
    add_plan_arguments(parser)
    parser.add_argument("--threshold", type=float, metavar="P", help="the card's threshold (0.1; with --from its own)")
    parser.add_argument("--summary", help="a sentence for the model's card")
    parser.add_argument("--limits", help="where not to trust it, for the model's card")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to train (auto)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_simulation_arguments(parser, Simulation(structure="uniform"))
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, with checkpoints beside the model, and write the model with its card."""
    from napari_subpixel.detection.devices import choose_device
    from napari_subpixel.models import checked_threshold, path_for, save_model
    from napari_subpixel.training.trainer import check_can_go_on

    output = path_for(arguments.output)
    _check_output(arguments, output)
    if arguments.threshold is not None:
        checked_threshold(arguments.threshold)
    device, reason = choose_device(arguments.device)
    plan = plan_for(arguments, str(device))
    given = {name: getattr(arguments, name) for name in ("threshold", "summary", "limits")}
    card = {**plan.card, **{name: value for name, value in given.items() if value is not None}}
    folder = _run_folder(arguments, output)
    check_can_go_on(folder, plan.settings, card["training"])
    for words in plan.words:
        say(words)
    say(
        f"training on {reason}, {plan.settings.iterations:,} steps; checkpoints, losses and curves are kept in {folder}"
    )
    figures = _trained(plan, card, folder, str(device))
    card["training"] = {**card["training"], "settings": asdict(plan.settings)}
    overwrite = arguments.overwrite or arguments.resume
    save_model(output, plan.network, overwrite=overwrite, name=output.stem, figures=figures, **card)
    say(f"{output}: written, with its card beside it")
    return 0


def _check_output(arguments: argparse.Namespace, output: Path) -> None:
    """Refuse an output that cannot be written before anything is read, and a card that would replace the camera."""
    from napari_subpixel.models import CARD_SUFFIX, check_can_write_model, find

    card = output.with_suffix(CARD_SUFFIX)
    if arguments.camera and card.resolve() == arguments.camera.resolve():
        raise InputError(
            f"{arguments.camera}: the model's card would replace this camera file; name the model otherwise"
        )
    if arguments.base and find(arguments.base).resolve() == output.resolve():
        raise InputError(f"{output}: is the model to go on from; name the new one otherwise")
    check_can_write_model(output, overwrite=arguments.overwrite or arguments.resume)


def _run_folder(arguments: argparse.Namespace, output: Path) -> Path:
    """Return the folder of checkpoints, new or to be gone on from."""
    folder = output.with_name(output.stem + ".training")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, where the checkpoints' folder should be")
    if folder.exists() and not arguments.resume:
        if not arguments.overwrite:
            raise UnfinishedRunError(f"{folder}: an earlier run left this", folder)
        shutil.rmtree(folder)
    return folder


def _trained(plan: Plan, card: dict[str, Any], folder: Path, device: str) -> dict[str, Any]:
    """Train the plan's network, say how it goes, and return the figures of the card."""
    from napari_subpixel.models import ModelCard
    from napari_subpixel.training.fine_tuning import TOLERANCE_NM, measuring

    measure: Callable[[Any], float] | None = None
    figures = {}
    if plan.held_out:
        draft = ModelCard(name="draft", network=plan.network.config, weights_sha256="0" * 64, **card)
        measure = measuring(draft, plan.held_out, device)
        of, compared = f"jaccard_{TOLERANCE_NM:g}_nm_held_out", ""
        if plan.base is not None:
            before = figures[f"{of}_before"] = round(measure(plan.network), 3)
            say(f"held-out Jaccard at {TOLERANCE_NM:g} nm of {plan.base.card.name}, as it is: {before}")
        _train(plan, folder, device, measure)
        after = figures[of] = round(measure(plan.network), 3)
        if plan.base is not None and after <= before:
            compared = f", no better than {plan.base.card.name}: keep to that"
        say(f"held-out Jaccard at {TOLERANCE_NM:g} nm: {after}{compared}")
    else:
        _train(plan, folder, device, None)
    return figures


def _train(plan: Plan, folder: Path, device: str, measure: Callable[[Any], float] | None) -> None:
    from napari_subpixel.training.trainer import kept_iterations, train

    settings = plan.settings
    make_folder(folder)
    _show(plan, folder)
    done = kept_iterations(folder)
    training = train(
        plan.network, plan.samples, settings, folder, device=device, about=plan.card["training"], measure=measure
    )
    try:
        with progress_bar(settings.iterations, "step", "train", done=done) as bar:
            for report in training:
                bar.update(report.iteration - bar.n)
                bar.set_postfix(heatmap=f"{report.heatmap:.3f}", sparsity=f"{report.sparsity:.3f}")
                if report.jaccard is not None:
                    left = report.seconds / report.iteration * (settings.iterations - report.iteration) / 60
                    bar.clear()
                    say(f"step {report.iteration}: held-out Jaccard {report.jaccard:.3f}, {left:.0f} min left")
    except KeyboardInterrupt:
        raise StoppedError(
            f"{kept_iterations(folder)} of {settings.iterations} iterations are kept in {folder}; "
            "--resume continues the run"
        ) from None
    _draw_curves(folder)


def _show(plan: Plan, folder: Path) -> None:
    """Write frames to look at, once."""
    from napari_subpixel.stacks.writing import write_movie

    path = folder / SHOWN
    if plan.shown is None or plan.pixel_size_nm is None or path.exists():
        return
    frames = plan.shown()
    write_movie(path, [frames], shape=frames.shape, pixel_size_nm=plan.pixel_size_nm)
    say(f"{path}: {len(frames)} frames like those it learns from; look whether they are like yours")


def _draw_curves(folder: Path) -> None:
    """Draw the losses and what was measured, where that is possible."""
    from napari_subpixel.training.curves import plot_curves
    from napari_subpixel.training.trainer import LOG

    try:
        plot_curves(folder / LOG, folder / CURVES, overwrite=True)
    except InputError as error:
        say(f"the curves are not drawn: {error}")
