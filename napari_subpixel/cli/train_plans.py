"""What ``napari-subpixel train`` trains, and on what: anew as in the paper, or a model that goes on learning."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.common import camera_from, gives_gain, read_table
from napari_subpixel.cli.record_flags import add_record_flags, flags_of, given
from napari_subpixel.cli.simulate import psf_from, simulation_from
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.training.settings import TrainingSettings, fine_tuning_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_subpixel.camera import Camera
    from napari_subpixel.detection.job import DetectionJob
    from napari_subpixel.models import Model
    from napari_subpixel.models.domain import Domain
    from napari_subpixel.psf import GaussianPSF
    from napari_subpixel.training.fine_tuning import HeldOut

#: Ranges that have a flag: name, help.
RANGES = {
    "photons_range": "photons of a molecule in a frame",
    "background_range": "background, photons per pixel",
    "density_um2": "molecules that are on in a frame, per square micrometre",
}
#: Those of the settings above that a model of many microscopes goes on learning with; it has a likelihood of its own.
OF_TUNING = ("iterations", "batch_size", "learning_rate", "cooldown", "seed")
#: What only training as in the paper knows, and what only a model that goes on learning knows.
OF_PAPER = (
    *(name for name in flags_of(TrainingSettings) if name not in OF_TUNING),
    "crops_per_frame",
    "augment",
    "dimming",
)
ONLY_TUNING = ("like", *RANGES)
#: What only training as in the paper from a movie knows.
OF_MOVIES = ("held_out", "crops_per_frame", "augment", "dimming")
#: Side of a sample, crops of each frame, and threshold, where nothing is said; for training as in the paper, and on.
CROP_PX, TUNING_CROP_PX, CROPS_PER_FRAME, THRESHOLD = 26, 48, 500, 0.1
#: Share of a movie with truth that a model that goes on learning does not see.
HELD_OUT = 0.1
#: The seed of what is held out lies so far from that of the training.
OTHER_SEED = 1_000_003


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes
    ----------
    network : Module
        Where the training begins.
    samples : Samples
    settings : TrainingSettings
    card : mapping
        Fields of the `ModelCard` that the model will have, but for name, figures and weights.
    held_out : sequence of HeldOut
        What the model is measured on; empty for nothing.
    base : Model, optional
        The model that goes on learning.
    shown : callable, optional
        Returns frames like those it learns from, to look at, shape (T, Y, X), in ADU.
    pixel_size_nm : float, optional
        Of those frames.
    words : sequence of str
        What the user has to know before it begins: what was estimated, and the ranges.
    """

    network: Any
    samples: Any
    settings: Any
    card: dict[str, Any]
    held_out: Sequence[HeldOut] = ()
    base: Model | None = None
    shown: Callable[[], NDArray[np.uint16]] | None = None
    pixel_size_nm: float | None = None
    words: Sequence[str] = ()


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is trained, and on what; those of a simulation apart."""
    parser.add_argument("--method", metavar="NAME", help="what is trained anew: points (the paper's), dark, h3r, ...")
    parser.add_argument("--movie", metavar="MOVIE", help="movie to learn from")
    parser.add_argument("--truth", metavar="TRUTH", help="its true molecules")
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="SHARE",
        help="share of the movie's frames, the last, to measure on (0; with --from 0.1)",
    )
    parser.add_argument("--crop-px", type=int, help="side of a training sample, in pixels (26; with --from 48)")
    parser.add_argument("--crops-per-frame", type=int, help="random crops of each frame (500)")
    parser.add_argument("--augment", action="store_true", default=None, help="turn and mirror the crops at random")
    parser.add_argument(
        "--dimming", type=float, metavar="SHARE", help="dim the crops at random by up to this share (0)"
    )
    group = parser.add_argument_group("going on from a model")
    group.add_argument("--from", dest="base", metavar="NAME|PATH", help="model that goes on learning, such as default")
    group.add_argument(
        "--like", metavar="MOVIE", help="a movie of yours: what is not given is read off it, and it is shown beside"
    )
    for name, text in RANGES.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=_range, metavar="LOW:HIGH", help=text)
    group = parser.add_argument_group("training")
    fine_tuning = f"with --from {fine_tuning_settings().iterations}"
    notes = {"iterations": fine_tuning, "cooldown": "with --from half of the iterations"}
    add_record_flags(group, TrainingSettings(), notes=notes)


def plan_for(arguments: argparse.Namespace, device: str) -> Plan:
    """Return what the arguments ask for.

    Raises
    ------
    InputError
        If they contradict each other or name what cannot be read.
    """
    from napari_subpixel.models import load_model
    from napari_subpixel.simulation.simulate import Simulation

    if bool(arguments.movie) != bool(arguments.truth):
        raise InputError("training from a movie needs both --movie and --truth")
    base = load_model(arguments.base) if arguments.base else None
    if base is None or base.card.input_scaling == "minmax":
        _refuse(arguments, ONLY_TUNING, "is for a model that goes on learning (--from) and takes photons")
        return _as_in_the_paper(arguments, base)
    _refuse(
        arguments,
        ("method", *OF_PAPER, *flags_of(Simulation)),
        f"is not for going on from {base.card.name}: give ranges",
    )
    return _of_movie(arguments, base, device) if arguments.movie else _of_simulation(arguments, base, device)


# -- as in the paper ----------------------------------------------------------------------------------------------


def _as_in_the_paper(arguments: argparse.Namespace, base: Model | None) -> Plan:
    """Plan a method of the papers, anew, or a model of one that goes on learning."""
    import torch

    from napari_subpixel.training.methods import METHODS, method

    if base is not None and arguments.method:
        raise InputError(f"--method is for training anew; {base.card.name} has its own")
    name = arguments.method or (_method_of(base) if base is not None else "points")
    chosen = method(name)
    values = {"objective": chosen.objective, **chosen.settings, **given(arguments, TrainingSettings)}
    settings = TrainingSettings(**values)
    samples, card, held_out = (_movie_samples if arguments.movie else _simulated_samples)(arguments, settings.seed)
    if base is not None:
        network: Any = base.network
        card["training"]["from"] = base.card.provenance
    else:
        torch.manual_seed(settings.seed)
        network = chosen.network()
        network.standardise(*samples.input_moments())
    threshold = base.card.threshold if base is not None else THRESHOLD
    card["training"]["method"] = name
    summary = f"{METHODS[name].title} ({METHODS[name].source}), trained on {card['training']['data']}"
    return Plan(
        network, samples, settings, {"summary": summary, "input_scaling": "minmax", "threshold": threshold, **card},
        held_out=held_out, base=base,
    )  # fmt: skip


def _method_of(base: Model) -> str:
    """Return the method that a model was trained by."""
    return str(base.card.training.get("method", "points"))


def _movie_samples(arguments: argparse.Namespace, seed: int) -> tuple[Any, dict[str, Any], list[HeldOut]]:
    """Return where batches come from, what the card says of it, and what is held out."""
    import numpy as np

    from napari_subpixel.stacks import open_stack
    from napari_subpixel.training.fine_tuning import HeldOut, split_movie, thinned
    from napari_subpixel.training.movie_samples import MovieSamples

    camera, psf = camera_from(arguments), psf_from(arguments)
    with open_stack(arguments.movie) as stack:
        frames, truth = _movie_with_truth(arguments, stack, camera)
        size = camera.pixel_size_nm or stack.pixel_size_nm or truth.pixel_size_nm
        if arguments.held_out and size is None:
            raise PixelSizeError(
                f"{stack.name}: what is held out is measured in nm, and neither the movie nor its truth says the pixel "
                "size"
            )
    whole = HeldOut(frames, truth, replace(camera, pixel_size_nm=size))
    part, held_out = split_movie(whole, arguments.held_out) if arguments.held_out else (whole, None)
    crops = {
        "crop_px": _or(arguments.crop_px, CROP_PX),
        "crops_per_frame": _or(arguments.crops_per_frame, CROPS_PER_FRAME),
        "augment": bool(arguments.augment),
        "dimming": _or(arguments.dimming, 0.0),
    }
    samples = MovieSamples(part.frames, part.truth, rng=np.random.default_rng(seed), **crops)
    about = {**_movie_about(arguments, whole), **crops}
    card = {"training": about, "camera": camera.uniform().to_dict(), "psf": psf.to_dict() if psf else {}}
    return samples, card, [thinned(held_out)] if held_out else []


def _simulated_samples(arguments: argparse.Namespace, seed: int) -> tuple[Any, dict[str, Any], list[HeldOut]]:
    """Return endless simulation with the camera and PSF given, what the card says of it, and what is held out."""
    import numpy as np

    from napari_subpixel.simulation.simulate import Simulation
    from napari_subpixel.training.fine_tuning import held_out_simulation
    from napari_subpixel.training.simulated_samples import SimulatedSamples

    _refuse(arguments, OF_MOVIES, "is for a movie with truth; this learns from simulations")
    simulation = simulation_from(
        arguments, Simulation(structure="uniform"), frame_shape=camera_from(arguments).map_shape
    )
    crop_px = _or(arguments.crop_px, CROP_PX)
    samples = SimulatedSamples(simulation, crop_px=crop_px)
    uniform = replace(simulation, camera=simulation.camera.uniform())
    about = {"data": "simulation", "simulation": uniform.to_dict(), "crop_px": crop_px}
    card = {"training": about, "camera": uniform.camera.to_dict(), "psf": uniform.psf.to_dict()}
    return samples, card, [held_out_simulation(simulation, np.random.default_rng(seed + OTHER_SEED))]


# -- a model of many microscopes goes on learning -----------------------------------------------------------------


def _of_simulation(arguments: argparse.Namespace, base: Model, device: str) -> Plan:
    """Plan to go on from a model with simulations of one microscope, within ranges."""
    import numpy as np

    from napari_subpixel.stacks import open_stack
    from napari_subpixel.training.fine_tuning import held_out_simulations, shown_frames
    from napari_subpixel.training.simulated_samples import DomainSamples

    if arguments.held_out is not None:
        raise InputError("--held-out is for a movie with truth; of simulations others are held out anyway")
    if arguments.like:
        with _job(arguments, base, arguments.like, device) as like:
            camera = like.camera
            domain = _domain(arguments, base, camera, like)
            words = _assumed(like)
    else:
        words = []
        camera = _known_camera(arguments)
        domain = _domain(arguments, base, camera)
    settings = _tuning_settings(arguments, device)
    crop_px = _or(arguments.crop_px, TUNING_CROP_PX)
    about = {
        "data": "simulation of one microscope", "crop_px": crop_px, "domain": domain.to_dict(),
        "camera": camera.summary(),
    }  # fmt: skip
    if arguments.like:
        about["like"] = Path(arguments.like).name

    def shown() -> NDArray[np.uint16]:
        rng = np.random.default_rng(settings.seed)
        if not arguments.like:
            return shown_frames(domain, camera, rng)
        with open_stack(arguments.like) as stack:
            return shown_frames(domain, camera, rng, stack)

    size = camera.pixel_size_nm
    assert size is not None
    psf = {"sigma_nm": float(f"{size * np.sqrt(np.prod(domain.sigma_px)):.4g}")}
    return Plan(
        base.network,
        DomainSamples(domain, crop_px=crop_px, camera=camera),
        settings,
        _tuned_card(base, about, camera, psf=psf, domain=domain.to_dict()),
        held_out=held_out_simulations(domain, camera, np.random.default_rng(settings.seed + OTHER_SEED)),
        base=base,
        shown=shown,
        pixel_size_nm=size,
        words=[*words, *_beyond(base, domain), f"learning from {domain.as_text(size)}"],
    )


def _of_movie(arguments: argparse.Namespace, base: Model, device: str) -> Plan:
    """Plan to go on from a model with a movie and its truth."""
    from napari_subpixel.training.fine_tuning import HeldOut, split_movie, thinned
    from napari_subpixel.training.movie_samples import MovieCounts

    _refuse(arguments, ONLY_TUNING, "is for simulations: a movie with truth says all itself")
    with _job(arguments, base, arguments.movie, device) as job:
        frames, truth = _movie_with_truth(arguments, job.stack, job.camera)
        words = _assumed(job)
    whole = HeldOut(frames, truth, job.camera, job.sigma_px, job.molecule_photons)
    part, held_out = split_movie(whole, _or(arguments.held_out, HELD_OUT))
    crop_px = _or(arguments.crop_px, TUNING_CROP_PX)
    assert job.sigma_px is not None
    samples = MovieCounts(
        part.frames,
        part.truth,
        job.camera,
        sigma_px=job.sigma_px,
        molecule_photons=job.molecule_photons,
        crop_px=crop_px,
    )
    about = {
        **_movie_about(arguments, whole), "crop_px": crop_px, "held_out_frames": len(held_out.frames),
        "camera": job.camera.summary(), "sigma_px": float(f"{job.sigma_px:.3g}"),
        "molecule_photons": float(f"{job.molecule_photons:.3g}"),
    }  # fmt: skip
    return Plan(
        base.network,
        samples,
        _tuning_settings(arguments, device),
        _tuned_card(base, about, job.camera, domain=dict(base.card.domain)),
        held_out=[thinned(held_out)],
        base=base,
        words=words,
    )


def _tuned_card(base: Model, about: dict[str, Any], camera: Camera, **fields: Any) -> dict[str, Any]:
    return {
        "summary": f"{base.card.name}, which went on learning from {about['data']}",
        "input_scaling": base.card.input_scaling,
        "threshold": base.card.threshold,
        "limits": f"made for one microscope; uncertainties and probabilities went on learning from {base.card.name}'s, "
        "and were not measured anew",
        "camera": camera.uniform().to_dict(),
        "training": {**about, "from": base.card.provenance},
        **fields,
    }


def _tuning_settings(arguments: argparse.Namespace, device: str) -> Any:
    from napari_subpixel.training.fine_tuning import runs_half_precision_fast

    given = _given(arguments, OF_TUNING)
    return fine_tuning_settings(half_precision=runs_half_precision_fast(device), **given)


@contextmanager
def _job(arguments: argparse.Namespace, base: Model, movie: str, device: str) -> Iterator[DetectionJob]:
    """Open a movie and say how the base model would detect it; what is not given of its microscope is estimated."""
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.job import job_for
    from napari_subpixel.stacks import open_stack

    estimate = not gives_gain(arguments)
    camera = camera_from(arguments)
    with open_stack(movie) as stack:
        size = camera.pixel_size_nm or stack.pixel_size_nm
        if size is None:
            raise InputError(
                f"{stack.name}: the movie does not say its pixel size: give --pixel-size-nm or a camera file"
            )
        camera = replace(camera, pixel_size_nm=size)
        detector = Detector(base, device=device)
        yield job_for(stack, detector, camera, psf=psf_from(arguments), estimate_camera=estimate)


def _beyond(base: Model, domain: Domain) -> list[str]:
    """Say what of the ranges lies outside of what the base model was trained on: it may take longer to learn."""
    from napari_subpixel.models.domain import Domain

    if not base.card.domain:
        return []
    known = Domain.from_dict(base.card.domain)
    ends = [{name: span[k] for name, span in domain.to_dict().items()} for k in (0, 1)]
    outside = {words for end in ends for words in known.outside(**end) if not words.startswith("density_per_px 0 ")}
    return [f"warning: outside what {base.card.name} was trained on: {words}" for words in sorted(outside)]


def _assumed(job: DetectionJob) -> list[str]:
    return [f"{job.stack.name}: {what}" for what in job.assumed]


def _known_camera(arguments: argparse.Namespace) -> Camera:
    """Return the camera that is given, with its pixel size."""
    if not gives_gain(arguments):
        raise InputError("going on from a model needs the microscope: give --camera FILE, or --like MOVIE of yours")
    camera = camera_from(arguments)
    if camera.pixel_size_nm is None:
        raise InputError("the camera has no pixel size: give --pixel-size-nm, or add it to the camera file")
    return camera


def _domain(arguments: argparse.Namespace, base: Model, camera: Camera, like: DetectionJob | None = None) -> Domain:
    """Return the ranges that are given, else those of a movie, else those of the base model."""
    from napari_subpixel.models.domain import Domain
    from napari_subpixel.training.fine_tuning import domain_like, sigma_range

    size = camera.pixel_size_nm
    assert size is not None
    psf: GaussianPSF | None = psf_from(arguments)
    if psf is None and like is None:
        raise InputError(
            "the width of the PSF is not known: give --psf-sigma-nm, a camera file with a section psf, or --like MOVIE"
        )
    given: dict[str, Any] = {} if psf is None else {"sigma_px": sigma_range(psf.sigma_px(size))}
    for name in ("photons", "background"):
        if (span := getattr(arguments, f"{name}_range")) is not None:
            given[name] = span
    if arguments.density_um2 is not None:
        if arguments.density_um2[1] <= 0:
            raise InputError("--density-um2: the highest density must be above 0: there is nothing to learn from none")
        given["density_per_px"] = tuple(float(f"{n * (size / 1000) ** 2:.6g}") for n in arguments.density_um2)
    if set(given) == {field.name for field in fields(Domain)}:
        return Domain(**given)
    known = domain_like(like) if like is not None else Domain.from_dict(base.card.domain)
    return replace(known, **given)


# -- what they share ----------------------------------------------------------------------------------------------


def _movie_with_truth(arguments: argparse.Namespace, stack: Any, camera: Camera) -> tuple[Any, Any]:
    """Read a whole movie and its truth."""
    from napari_subpixel.stacks import check_finite
    from napari_subpixel.training.movie_samples import check_movie_with_truth

    truth = read_table(arguments.truth, pixel_size_nm=camera.pixel_size_nm or stack.pixel_size_nm)
    frames = stack.read(0, stack.n_frames)
    check_finite(frames, 0, stack.name)
    check_movie_with_truth(frames, truth)
    return frames, truth


def _movie_about(arguments: argparse.Namespace, movie: HeldOut) -> dict[str, Any]:
    names = f"{Path(arguments.movie).name} with {Path(arguments.truth).name}"
    return {"data": names, "frames": len(movie.frames), "emitters": len(movie.truth)}


def _given(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def _refuse(arguments: argparse.Namespace, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} {why}")


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _range(text: str) -> tuple[float, float]:
    """Parse ``LOW:HIGH``."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a range is LOW:HIGH, got {text!r}") from None
    if not low <= high:
        raise argparse.ArgumentTypeError(f"a range goes up, from LOW to HIGH, got {text!r}")
    return low, high
