"""A training as it is asked for and as it is planned; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.records import described
from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.training.settings import TrainingSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_subpixel.camera import Camera
    from napari_subpixel.localizations import Localizations
    from napari_subpixel.models import Model
    from napari_subpixel.models.files import Network
    from napari_subpixel.psf import GaussianPSF
    from napari_subpixel.simulation.settings import Simulation
    from napari_subpixel.training.held_out import HeldOut
    from napari_subpixel.training.simulated_samples import Samples

    MovieSource = str | Path | ArrayLike

#: Side of a sample for a method of the papers, in pixels.
CROP_PX = 26
#: Side of a sample for fine-tuning, in pixels.
FINE_TUNING_CROP_PX = 48
#: Random crops of each frame of a movie, for a method of the papers.
CROPS_PER_FRAME = 500
#: Threshold of a model that is trained from scratch.
THRESHOLD = 0.1
#: Share of a movie with truth that fine-tuning holds out.
HELD_OUT_SHARE = 0.1
#: Gap between a frame of the user's movie and an example like it, to its right, in pixels.
EXAMPLES_GAP_PX = 2
#: Fields that only fine-tuning from simulations knows.
OF_RANGES = ("like", "photons_range", "background_range", "density_um2")
#: Fields that only a method of the papers knows, trained from a movie.
OF_CROPS = ("crops_per_frame", "augment", "dimming")
#: Settings that fine-tuning knows; the likelihood that it maximises has no others.
FINE_TUNING_SETTINGS = ("iterations", "batch_size", "learning_rate", "cooldown", "seed")


class RequestError(InputError):
    """A field of a request conflicts with the others, or is missing.

    Attributes
    ----------
    field : str
        Its name. The message begins with it where the field is not for this kind of training.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRequest:
    """What to train, and on what: a method of the papers, or an installed model that is fine-tuned.

    It learns from a movie with its truth where they are given, else from simulations.

    Attributes
    ----------
    base : str, path-like or Model, optional
        Model to fine-tune: its name, its file, or the model itself; without one a network is trained from scratch.
    method : str, optional
        Network to train from scratch, one of `napari_subpixel.training.methods.METHODS`; ``points`` if not given.
    movie : path-like or array-like, optional
        Movie to learn from, as `open_stack` takes it.
    series, channel, join : optional
        Which image and channel of the movie, and of the movie to imitate, and whether it is a folder of its parts, as
        `open_stack` takes them.
    truth : path-like or Localizations, optional
        Its true molecules.
    held_out : float, optional
        Share of the movie's frames, the last, to measure on; fine-tuning holds out `HELD_OUT_SHARE` if not given.
    crop_px : int, optional
        Side of a sample, in pixels; `CROP_PX`, for fine-tuning `FINE_TUNING_CROP_PX`, if not given.
    crops_per_frame : int, optional
        Random crops of each frame; `CROPS_PER_FRAME` if not given.
    augment : bool, optional
        Turn and mirror the crops at random.
    dimming : float, optional
        Dim the crops at random by up to this share.
    like : path-like or array-like, optional
        A movie to imitate: what is not given of the microscope and the ranges is estimated from it.
    photons_range, background_range : (float, float), optional
        Photons of a molecule in a frame, and background in photons per pixel, to simulate.
    density_um2 : (float, float), optional
        Molecules that are on in a frame, per square micrometre, to simulate.
    camera : Camera, optional
        Its pixel size takes precedence over that of the movie.
    psf : GaussianPSF, optional
        The point spread function; estimated from a movie if not given.
    estimate_camera : bool or tuple of str, optional
        Whether baseline and gain are unknown, and estimated from the movie, or which of both are; without it, those
        that have their defaults.
    em_gain_given : bool
        Whether the camera's ``em_gain`` of 1 is known.
    simulation : Simulation, optional
        What a method of the papers learns from where there is no movie, with its own camera and PSF.
    settings : mapping
        Fields of `TrainingSettings` that are to differ from those of the method or of fine-tuning.
    threshold : float, optional
        Of the model's card; `THRESHOLD`, for fine-tuning that of the base, if not given.
    summary, limits : str, optional
        Of the model's card.

    Raises
    ------
    InputError
        If there is a movie without truth, or a truth without movie, or a setting that there is not.
    """

    base: str | Path | Model | None = described(None, "model to fine-tune, such as default")
    method: str | None = described(None, "what to train from scratch: points (the paper's), dark, h3r, ...")
    movie: MovieSource | None = described(None, "movie to learn from")
    series: int | None = described(None, "which image, where a movie's file holds several, such as positions: from 0")
    channel: int | str | None = described(None, "which channel, where there are several: its number or its name")
    join: bool | None = described(None, "the movie is a folder whose TIFF files are the parts of one")
    truth: str | Path | Localizations | None = described(None, "its true molecules")
    held_out: float | None = described(None, "share of the movie's frames, the last, to measure on")
    crop_px: int | None = described(None, "side of a training sample, in pixels")
    crops_per_frame: int | None = described(None, "random crops of each frame")
    augment: bool | None = described(None, "turn and mirror the crops at random")
    dimming: float | None = described(None, "dim the crops at random by up to this share")
    like: MovieSource | None = described(
        None, "a movie of yours to imitate: what is not given is estimated from it, and it is shown for comparison"
    )
    photons_range: tuple[float, float] | None = described(None, "photons of a molecule in a frame")
    background_range: tuple[float, float] | None = described(None, "background, photons per pixel")
    density_um2: tuple[float, float] | None = described(None, "molecules that are on in a frame, per square micrometre")
    camera: Camera | None = None
    psf: GaussianPSF | None = None
    estimate_camera: bool | tuple[str, ...] | None = None
    em_gain_given: bool = False
    simulation: Simulation | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = described(None, "the card's threshold")
    summary: str | None = described(None, "a sentence for the model's card")
    limits: str | None = described(None, "where not to trust it, for the model's card")

    def __post_init__(self) -> None:
        if (self.movie is None) != (self.truth is None):
            given, needed = ("movie", "truth") if self.truth is None else ("truth", "movie")
            raise InputError(f"training from a {given} needs its {needed}")
        known = [each.name for each in fields(TrainingSettings)]
        for name in self.settings:
            if name not in known:
                raise InputError(f"training: unknown setting {name!r}{suggest(str(name), known)}")

    @property
    def opening(self) -> dict[str, Any]:
        """The arguments of `open_stack` that say which movie of a file or folder is meant."""
        return {"series": self.series, "channel": self.channel, "join": bool(self.join)}

    @property
    def card(self) -> dict[str, Any]:
        """What is given of the model's card."""
        values = {"threshold": self.threshold, "summary": self.summary, "limits": self.limits}
        return {name: value for name, value in values.items() if value is not None}

    def refuse(self, names: Iterable[str], why: str) -> None:
        """Raise `RequestError` if one of these fields, or settings, is given."""
        for name in names:
            if self.settings.get(name, getattr(self, name, None)) is not None:
                raise RequestError(f"{name} {why}", name)


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What will be trained, on what, and what its card will say.

    Attributes
    ----------
    network : PointNetwork, UNet, HeatmapNetwork or DeepStorm
        Where the training begins; it is trained in place.
    samples : Samples
    settings : TrainingSettings
    card : mapping
        Fields of the `ModelCard` that the model will have, but for name, figures and weights.
    device : str
        Where it is trained.
    held_out : sequence of HeldOut
        What the model is measured on; empty for nothing.
    base : Model, optional
        The model that is fine-tuned.
    examples : callable, optional
        Returns frames like those it learns from, to look at, shape (T, Y, X), in ADU.
    pixel_size_nm : float or (float, float), optional
        Of those frames.
    notes : sequence of str
        What to know before it begins: what was estimated, and the ranges.
    warnings : sequence of str
        What may be wrong: ranges that the base model was not trained on, or a pixel size other than the movie's.
    """

    network: Network
    samples: Samples
    settings: TrainingSettings
    card: Mapping[str, Any]
    device: str
    held_out: Sequence[HeldOut] = ()
    base: Model | None = None
    examples: Callable[[], NDArray[np.uint16]] | None = None
    pixel_size_nm: PixelSize | None = None
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
