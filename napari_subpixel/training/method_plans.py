"""Plans for the papers' methods: trained from scratch, or a model of one that is fine-tuned in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_subpixel._util.records import naming
from napari_subpixel.camera import Camera
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import Model
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.stacks import Stack, check_finite, open_stack
from napari_subpixel.training.held_out import HeldOut, held_out_simulation, split_movie, thinned
from napari_subpixel.training.methods import METHODS, method
from napari_subpixel.training.movie_samples import MovieSamples, check_movie_with_truth
from napari_subpixel.training.request import (
    CROP_PX,
    CROPS_PER_FRAME,
    OF_CROPS,
    THRESHOLD,
    RequestError,
    TrainingPlan,
    TrainingRequest,
)
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.simulated_samples import Samples, SimulatedSamples

if TYPE_CHECKING:
    from napari_subpixel.models.files import Network

#: The seed of what is held out lies this far from that of the training.
HELD_OUT_SEED = 1_000_003


class _Source(NamedTuple):
    """Where batches come from, what the card says of it, what is held out, and what may be wrong."""

    samples: Samples
    card: dict[str, Any]
    held_out: Sequence[HeldOut]
    warnings: Sequence[str] = ()


def plan_method(request: TrainingRequest, base: Model | None, device: str) -> TrainingPlan:
    """Plan to train a method of the papers from scratch, or to fine-tune a model of one.

    Parameters
    ----------
    request : TrainingRequest
    base : Model, optional
        The model to fine-tune.
    device : str
        Where it is trained.

    Raises
    ------
    InputError
        If fields of the request contradict each other, or name what cannot be read.
    """
    if base is not None and request.method is not None:
        raise RequestError(f"method is for training from scratch; {base.card.name} has its own", "method")
    name = request.method or (_method_of(base) if base is not None else "points")
    chosen = method(name)
    settings = TrainingSettings(**{"objective": chosen.objective, **chosen.settings, **request.settings})
    source = (_from_simulation if request.movie is None else _from_movie)(request, settings.seed)
    about = {**source.card["training"], "method": name}
    if base is not None:
        network: Network = base.network
        about["from"] = base.card.provenance
    else:
        torch.manual_seed(settings.seed)
        network = chosen.network()
        network.standardise(*source.samples.input_moments())
    card = {
        **source.card,
        "training": about,
        "summary": f"{METHODS[name].title} ({METHODS[name].source}), trained on {about['data']}",
        "input_scaling": "minmax",
        "threshold": base.card.threshold if base is not None else THRESHOLD,
        **request.card,
    }
    return TrainingPlan(
        network, source.samples, settings, card, device, held_out=source.held_out, base=base, warnings=source.warnings
    )


def movie_with_truth(request: TrainingRequest, stack: Stack, camera: Camera) -> tuple[NDArray, Localizations]:
    """Return all frames of a movie, shape (T, Y, X) in ADU, and its truth.

    Parameters
    ----------
    request : TrainingRequest
        Its truth is taken.
    stack : Stack
        The movie.
    camera : Camera
        Its pixel size takes precedence over that of the movie.

    Raises
    ------
    InputError
        If the truth cannot be read or does not fit the movie, or a frame holds what is not finite.
    """
    from napari_subpixel import formats

    assert request.truth is not None
    if isinstance(request.truth, Localizations):
        truth = request.truth
    else:
        truth = formats.read(request.truth, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)
    frames = stack.read(0, stack.n_frames)
    check_finite(frames, 0, stack.name)
    with naming(f"{stack.name} with {_truth_name(request)}"):
        check_movie_with_truth(frames, truth)
    return frames, truth


def movie_card(request: TrainingRequest, stack: Stack, movie: HeldOut) -> dict[str, Any]:
    """Return what a card says of a movie with truth, as plain values.

    Parameters
    ----------
    request : TrainingRequest
        Its truth is named.
    stack : Stack
        The movie.
    movie : HeldOut
        All of its frames, and the truth.
    """
    names = f"{stack.name} with {_truth_name(request)}"
    return {"data": names, "frames": len(movie.frames), "emitters": len(movie.truth)}


def _truth_name(request: TrainingRequest) -> str:
    """Return the name of the truth's file, without its folder."""
    if isinstance(request.truth, Localizations):
        return "its truth"
    return str(request.truth).replace("\\", "/").rpartition("/")[2]


def _method_of(base: Model) -> str:
    """Return the method that a model was trained by."""
    return str(base.card.training.get("method", "points"))


def _from_movie(request: TrainingRequest, seed: int) -> _Source:
    camera = request.camera or Camera()
    with open_stack(request.movie, **request.opening) as stack:
        frames, truth = movie_with_truth(request, stack, camera)
    size = camera.pixel_size_nm or stack.pixel_size_nm or truth.pixel_size_nm
    if request.held_out and size is None:
        raise PixelSizeError(
            f"{stack.name}: what is held out is measured in nm, and neither the movie nor its truth says the pixel size"
        )
    whole = HeldOut(frames, truth, replace(camera, pixel_size_nm=size))
    part, held_out = split_movie(whole, request.held_out) if request.held_out else (whole, None)
    crops: dict[str, Any] = {
        "crop_px": CROP_PX if request.crop_px is None else request.crop_px,
        "crops_per_frame": CROPS_PER_FRAME if request.crops_per_frame is None else request.crops_per_frame,
        "augment": bool(request.augment),
        "dimming": request.dimming or 0.0,
    }
    samples = MovieSamples(part.frames, part.truth, rng=np.random.default_rng(seed), **crops)
    card = {
        "training": {**movie_card(request, stack, whole), **crops},
        "camera": camera.uniform().to_dict(),
        "psf": request.psf.to_dict() if request.psf else {},
    }
    warnings = [f"{stack.name}: {what}" for what in stack.warnings]
    return _Source(samples, card, [thinned(held_out)] if held_out else [], warnings)


def _from_simulation(request: TrainingRequest, seed: int) -> _Source:
    """Return endless simulation, with the camera and PSF of the request where it holds no simulation."""
    request.refuse(("held_out", *OF_CROPS), "is for a movie with truth; this learns from simulations")
    simulation = request.simulation or _simulation_of(request)
    crop_px = CROP_PX if request.crop_px is None else request.crop_px
    samples = SimulatedSamples(simulation, crop_px=crop_px)
    uniform = replace(simulation, camera=simulation.camera.uniform())
    card = {
        "training": {"data": "simulation", "simulation": uniform.to_dict(), "crop_px": crop_px},
        "camera": uniform.camera.to_dict(),
        "psf": uniform.psf.to_dict(),
    }
    return _Source(samples, card, [held_out_simulation(simulation, np.random.default_rng(seed + HELD_OUT_SEED))])


def _simulation_of(request: TrainingRequest) -> Simulation:
    default = Simulation(structure="uniform")
    camera, psf = request.camera or default.camera, request.psf or default.psf
    height, width = camera.map_shape or default.frame_shape
    return replace(default, camera=camera, psf=psf, frame_shape=(height, width))
