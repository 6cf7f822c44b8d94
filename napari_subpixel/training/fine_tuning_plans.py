"""Plans to fine-tune a model of many microscopes: from simulations of one microscope, or from a movie with truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import mean_pixel_size
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import PixelSizeError
from napari_subpixel.models import Model
from napari_subpixel.models.domain import Domain
from napari_subpixel.stacks import open_stack
from napari_subpixel.training.fine_tuning_settings import fine_tuning_settings
from napari_subpixel.training.held_out import HeldOut, held_out_simulations, split_movie, thinned
from napari_subpixel.training.imitation import domain_like, example_frames, sigma_range
from napari_subpixel.training.method_plans import HELD_OUT_SEED, movie_card, movie_with_truth
from napari_subpixel.training.movie_samples import MovieCounts
from napari_subpixel.training.request import (
    FINE_TUNING_CROP_PX,
    FINE_TUNING_SETTINGS,
    HELD_OUT_SHARE,
    OF_CROPS,
    OF_RANGES,
    RequestError,
    TrainingPlan,
    TrainingRequest,
)
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.simulated_samples import DomainSamples

if TYPE_CHECKING:
    from napari_subpixel.training.request import MovieSource


def runs_half_precision_fast(device: str) -> bool:
    """Say whether the device multiplies matrices in bfloat16 faster than in single precision."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # On processors without such units bfloat16 is slower. PyTorch has no public name for it.
    return device == "cpu" and getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()


def plan_from_simulation(request: TrainingRequest, base: Model, device: str) -> TrainingPlan:
    """Plan to fine-tune a model with simulations of one microscope, within ranges.

    Parameters
    ----------
    request : TrainingRequest
    base : Model
        The model to fine-tune.
    device : str
        Where it is trained.

    Raises
    ------
    InputError
        If the microscope or a range is not known, or the movie to imitate cannot be read.
    """
    _refuse_method(request, base)
    request.refuse(["held_out"], "is for a movie with truth; of simulations others are held out anyway")
    if request.like is None:
        camera, like_name, notes, warnings = _known_camera(request), None, [], []
        domain = _domain(request, base, camera)
    else:
        with _job(request, base, request.like, device) as job:
            camera, like_name, notes, warnings = job.camera, job.stack.name, _assumed(job), _warnings(job)
            domain = _domain(request, base, camera, job)
    settings = _settings(request, device)
    crop_px = FINE_TUNING_CROP_PX if request.crop_px is None else request.crop_px
    about = {
        "data": "simulation of one microscope", "crop_px": crop_px, "domain": domain.to_dict(),
        "camera": camera.summary(), **({"like": like_name} if like_name else {}),
    }  # fmt: skip

    def examples() -> NDArray[np.uint16]:
        rng = np.random.default_rng(settings.seed)
        if request.like is None:
            return example_frames(domain, camera, rng)
        with open_stack(request.like, **request.opening) as stack:
            return example_frames(domain, camera, rng, stack)

    size = camera.pixel_size_nm
    assert size is not None
    psf = {"sigma_nm": float(f"{mean_pixel_size(size) * np.sqrt(np.prod(domain.sigma_px)):.4g}")}
    return TrainingPlan(
        base.network,
        DomainSamples(domain, crop_px=crop_px, camera=camera),
        settings,
        _card(request, base, about, camera, psf=psf, domain=domain.to_dict()),
        device,
        held_out=held_out_simulations(domain, camera, np.random.default_rng(settings.seed + HELD_OUT_SEED)),
        base=base,
        examples=examples,
        pixel_size_nm=size,
        notes=[*notes, f"learning from {domain.as_text(size)}"],
        warnings=[*warnings, *_beyond(base, domain)],
    )


def plan_from_movie(request: TrainingRequest, base: Model, device: str) -> TrainingPlan:
    """Plan to fine-tune a model with a movie and its truth.

    Parameters
    ----------
    request : TrainingRequest
    base : Model
        The model to fine-tune.
    device : str
        Where it is trained.

    Raises
    ------
    InputError
        If fields of the request are for simulations, or the movie or its truth cannot be used.
    """
    _refuse_method(request, base)
    request.refuse(OF_RANGES, "is for simulations: a movie with truth has its own")
    assert request.movie is not None
    with _job(request, base, request.movie, device) as job:
        frames, truth = movie_with_truth(request, job.stack, job.camera)
    assert job.sigma_px is not None
    whole = HeldOut(frames, truth, job.camera, job.sigma_px, job.molecule_photons)
    part, held_out = split_movie(whole, HELD_OUT_SHARE if request.held_out is None else request.held_out)
    crop_px = FINE_TUNING_CROP_PX if request.crop_px is None else request.crop_px
    samples = MovieCounts(
        part.frames,
        part.truth,
        job.camera,
        sigma_px=job.sigma_px,
        molecule_photons=job.molecule_photons,
        crop_px=crop_px,
    )
    about = {
        **movie_card(request, job.stack, whole), "crop_px": crop_px, "held_out_frames": len(held_out.frames),
        "camera": job.camera.summary(), "sigma_px": float(f"{job.sigma_px:.3g}"),
        "molecule_photons": float(f"{job.molecule_photons:.3g}"),
    }  # fmt: skip
    return TrainingPlan(
        base.network,
        samples,
        _settings(request, device),
        _card(request, base, about, job.camera, domain=dict(base.card.domain)),
        device,
        held_out=[thinned(held_out)],
        base=base,
        notes=_assumed(job),
        warnings=_warnings(job),
    )


def _refuse_method(request: TrainingRequest, base: Model) -> None:
    others = sorted(set(request.settings) - set(FINE_TUNING_SETTINGS))
    request.refuse(
        ["method", *others, *OF_CROPS, "simulation"], f"is not for fine-tuning {base.card.name}: give ranges"
    )


def _settings(request: TrainingRequest, device: str) -> TrainingSettings:
    return fine_tuning_settings(**{"half_precision": runs_half_precision_fast(device), **request.settings})


def _card(
    request: TrainingRequest, base: Model, about: dict[str, Any], camera: Camera, **more: dict[str, Any]
) -> dict[str, Any]:
    return {
        "summary": f"{base.card.name}, fine-tuned on {about['data']}",
        "input_scaling": base.card.input_scaling,
        "threshold": base.card.threshold,
        "limits": f"made for one microscope; uncertainties and probabilities are those of {base.card.name}, "
        "fine-tuned, and were not measured again",
        "camera": camera.uniform().to_dict(),
        "training": {**about, "from": base.card.provenance},
        **more,
        **request.card,
    }


@contextmanager
def _job(request: TrainingRequest, base: Model, movie: MovieSource, device: str) -> Iterator[DetectionJob]:
    """Open a movie and yield how the base model would detect it; what is not given of its microscope is estimated."""
    camera = request.camera or Camera()
    with open_stack(movie, **request.opening) as stack:
        size = camera.pixel_size_nm or stack.pixel_size_nm
        if size is None:
            raise stack.pixel_size_error("a simulation of it")
        yield job_for(
            stack,
            Detector(base, device=device),
            DetectionOptions(
                replace(camera, pixel_size_nm=size),
                psf=request.psf,
                estimate_camera=request.estimate_camera,
                em_gain_given=request.em_gain_given,
            ),
        )


def _assumed(job: DetectionJob) -> list[str]:
    return [f"{job.stack.name}: {what}" for what in job.assumed]


def _warnings(job: DetectionJob) -> list[str]:
    return [f"{job.stack.name}: {what}" for what in (*job.stack.warnings, *job.warnings)]


def _beyond(base: Model, domain: Domain) -> list[str]:
    """Warn of ranges outside of those that the base model was trained on: it may take longer to learn."""
    if not base.card.domain:
        return []
    known = Domain.from_dict(base.card.domain)
    outside: list[str] = []
    for name, (low, high) in domain.to_dict().items():
        least, most = getattr(known, name)
        for end in [low] * (low < least) + [high] * (high > most):
            outside += [text for text in known.outside(**{name: end}) if not text.startswith("density: 0 ")]
    return [f"outside what {base.card.name} was trained on: {text}" for text in outside]


def _known_camera(request: TrainingRequest) -> Camera:
    """Return the camera that is given, with its gain and its pixel size."""
    camera = request.camera or Camera()
    if DetectionOptions(camera, estimate_camera=request.estimate_camera).estimated:
        raise RequestError("fine-tuning needs the camera, or a movie to imitate", "camera")
    if camera.pixel_size_nm is None:
        raise PixelSizeError("the camera has no pixel size")
    return camera


def _domain(request: TrainingRequest, base: Model, camera: Camera, like: DetectionJob | None = None) -> Domain:
    """Return the ranges that are given, else those of a movie, else those of the base model."""
    size = camera.pixel_size_nm
    assert size is not None
    if request.psf is None and like is None:
        raise RequestError("fine-tuning needs the PSF, or a movie to imitate", "psf")
    given: dict[str, Any] = {} if request.psf is None else {"sigma_px": sigma_range(request.psf.sigma_px(size))}
    spans = {"photons": request.photons_range, "background": request.background_range}
    given |= {name: span for name, span in spans.items() if span is not None}
    if request.density_um2 is not None:
        if request.density_um2[1] <= 0:
            raise RequestError("density_um2: the highest density must be above 0", "density_um2")
        given["density_per_px"] = tuple(
            float(f"{n * (mean_pixel_size(size) / 1000) ** 2:.6g}") for n in request.density_um2
        )
    if set(given) == {field.name for field in fields(Domain)}:
        return Domain(**given)
    known = domain_like(like) if like is not None else Domain.from_dict(base.card.domain)
    return replace(known, **given)
