"""``napari-subpixel train``: a model from a movie with truth, or from simulation."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from napari_subpixel.cli.common import DEVICES, StoppedError, camera_from, progress_bar, read_table, say
from napari_subpixel.cli.simulate import add_simulation_arguments, psf_from, simulation_from
from napari_subpixel.errors import InputError

#: Settings of `TrainingSettings` that have a flag: name of the field, type, help.
FLAGS = {
    "iterations": (int, "steps of the optimiser (50000)"),
    "batch_size": (int, "samples per step (16)"),
    "learning_rate": (float, "of Adam (0.001)"),
    "cooldown": (int, "last iterations over which the rate falls to 0 (0)"),
    "kernel_px": (float, "width of the heatmap kernel, in pixels (0.2)"),
    "sparsity": (str, "counting, l1 or none (counting)"),
    "sparsity_weight": (float, "weight of the sparsity term (0.1)"),
    "final_sparsity_weight": (float, "weight that it reaches at the end of the cooldown (the same)"),
    "seed": (int, "seeds weights and samples (0)"),
}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from a movie with truth, or from simulation",
        description="Train a model from --movie and --truth, or, without them, from endless simulation with the camera "
        "and PSF given. A run that was stopped goes on with --resume.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.safetensors", help="model to write")
    parser.add_argument("--movie", metavar="MOVIE", help="movie to learn from")
    parser.add_argument("--truth", type=Path, metavar="TRUTH", help="its true molecules")
    parser.add_argument("--crop-px", type=int, default=26, help="side of a training sample, in pixels (26)")
    parser.add_argument("--crops-per-frame", type=int, default=500, help="random crops of each frame (500)")
    parser.add_argument("--augment", action="store_true", help="turn and mirror the crops at random")
    parser.add_argument(
        "--dimming", type=float, default=0.0, metavar="SHARE", help="dim the crops at random by up to this share (0)"
    )
    parser.add_argument("--threshold", type=float, default=0.1, metavar="P", help="the card's threshold (0.1)")
    parser.add_argument("--summary", default="", help="a sentence for the model's card")
    parser.add_argument("--limits", default="", help="where not to trust it, for the model's card")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to train (auto)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    group = parser.add_argument_group("training")
    for name, (kind, text) in FLAGS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text)
    add_simulation_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, with checkpoints beside the model, and write the model with its card."""
    import torch

    from napari_subpixel.detector import choose_device
    from napari_subpixel.models import checked_threshold, save_model
    from napari_subpixel.network import PointNetwork
    from napari_subpixel.training import TrainingSettings

    _check_output(arguments)
    settings = TrainingSettings(**{n: getattr(arguments, n) for n in FLAGS if getattr(arguments, n) is not None})
    checked_threshold(arguments.threshold)
    device, reason = choose_device(arguments.device)
    samples, about = _samples(arguments, settings.seed)
    folder = _run_folder(arguments)
    torch.manual_seed(settings.seed)
    network = PointNetwork()
    network.standardise(*samples.input_moments())
    began = f"training on {reason}; checkpoints and losses are kept in {folder}"
    _train(network, samples, settings, folder, str(device), about["training"], began)
    about["training"] |= {"settings": asdict(settings)}
    save_model(
        arguments.output,
        network,
        overwrite=arguments.overwrite or arguments.resume,
        name=arguments.output.stem,
        summary=arguments.summary or f"trained on {about['training']['data']}",
        input_scaling="minmax",
        threshold=arguments.threshold,
        limits=arguments.limits,
        **about,
    )
    say(f"{arguments.output}: written, with its card beside it")
    return 0


def _samples(arguments: argparse.Namespace, seed: int) -> tuple[Any, dict[str, Any]]:
    """Return where batches come from, and what the card says of it."""
    import numpy as np

    from napari_subpixel.samples import MovieSamples
    from napari_subpixel.stacks import check_finite, open_stack

    if bool(arguments.movie) != bool(arguments.truth):
        raise InputError("training from a movie needs both --movie and --truth")
    if not arguments.movie:
        return _simulated_samples(arguments)
    camera, psf = camera_from(arguments), psf_from(arguments)
    with open_stack(arguments.movie) as stack:
        truth = read_table(arguments.truth, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)
        frames = stack.read(0, stack.n_frames)
        check_finite(frames, 0, stack.name)
        samples = MovieSamples(
            frames,
            truth,
            crops_per_frame=arguments.crops_per_frame,
            crop_px=arguments.crop_px,
            augment=arguments.augment,
            dimming=arguments.dimming,
            rng=np.random.default_rng(seed),
        )
    crops = {name: getattr(arguments, name) for name in ("crop_px", "crops_per_frame", "augment", "dimming")}
    about = {"data": f"{stack.name} with {arguments.truth.name}", "frames": stack.n_frames, "emitters": len(truth)}
    card = {"training": {**about, **crops}, "camera": camera.uniform().to_dict(), "psf": psf.to_dict() if psf else {}}
    return samples, card


def _simulated_samples(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return endless simulation with the camera and PSF given, and what the card says of it."""
    from napari_subpixel.samples import SimulatedSamples

    simulation = simulation_from(
        arguments, structure=arguments.structure or "uniform", frame_shape=camera_from(arguments).map_shape
    )
    uniform = replace(simulation, camera=simulation.camera.uniform())
    about = {"data": "simulation", "simulation": uniform.to_dict(), "crop_px": arguments.crop_px}
    card = {"training": about, "camera": uniform.camera.to_dict(), "psf": uniform.psf.to_dict()}
    return SimulatedSamples(simulation, crop_px=arguments.crop_px), card


def _check_output(arguments: argparse.Namespace) -> None:
    """Refuse an output that cannot be written before anything is read, and a card that would replace the camera."""
    from napari_subpixel.models import CARD_SUFFIX, check_can_write_model

    card = arguments.output.with_suffix(CARD_SUFFIX)
    if arguments.camera and card.resolve() == arguments.camera.resolve():
        raise InputError(
            f"{arguments.camera}: the model's card would replace this camera file; name the model otherwise"
        )
    check_can_write_model(arguments.output, overwrite=arguments.overwrite or arguments.resume)


def _run_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of checkpoints, new or to be gone on from."""
    folder: Path = arguments.output.with_name(arguments.output.stem + ".training")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, where the checkpoints' folder should be")
    if folder.exists() and not arguments.resume:
        if not arguments.overwrite:
            raise InputError(f"{folder}: an earlier run left this; --resume goes on, --overwrite starts anew")
        shutil.rmtree(folder)
    return folder


def _train(
    network: Any, samples: Any, settings: Any, folder: Path, device: str, about: dict[str, Any], began: str
) -> None:
    from napari_subpixel.training import kept_iterations, train

    try:
        with progress_bar(settings.iterations, "step", "train") as bar:
            for report in train(network, samples, settings, folder, device=device, about=about):
                if bar.n == 0:
                    say(began)
                bar.update(report.iteration - bar.n)
                bar.set_postfix(heatmap=f"{report.heatmap:.3f}", sparsity=f"{report.sparsity:.3f}")
    except KeyboardInterrupt:
        raise StoppedError(
            f"{kept_iterations(folder)} of {settings.iterations} iterations are kept in {folder}; --resume goes on"
        ) from None
