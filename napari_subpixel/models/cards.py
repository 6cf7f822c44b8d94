"""Models on disk: weights as safetensors, each with a card (YAML) that says what it is and where it holds.

A model is two files side by side, ``NAME.safetensors`` and ``NAME.yaml``. The card carries the SHA-256 of the weights,
so that a mixed-up pair is noticed. Reading a card needs no torch. Some models come with the program; those of one's own
are kept in a folder of the user's, and are chosen by name as the shipped ones are.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._util.user_folder import checked_file_name, made_user_folder, user_folder
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.input_scaling import SCALINGS
from napari_subpixel.psf import GaussianPSF

if TYPE_CHECKING:
    from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
    from napari_subpixel.models.pixel_network import PointNetwork
    from napari_subpixel.models.unet import UNet

    Network = PointNetwork | UNet | HeatmapNetwork | DeepStorm

WEIGHTS_SUFFIX, CARD_SUFFIX = ".safetensors", ".yaml"
#: The model that is meant where none is named.
DEFAULT = "default"
SHIPPED = Path(__file__).parent
PROGRAM = f"napari-subpixel {__version__}"
#: The first models of a list; the others are for comparison.
CHOOSE_FIRST = ("default", "fast", "paper")
#: What the folder of the user's own models is called.
KIND = "models"


@dataclass(frozen=True)
class ModelCard:
    """What a model is, was trained on, expects and achieves.

    Attributes
    ----------
    name : str
        The name to choose it by.
    summary : str
        One sentence for a list.
    network : mapping
        Its kind, ``points`` (`PointNetwork`, which is meant where none is given), ``unet`` (`UNet`), ``heatmap``
        (`HeatmapNetwork`) or ``deep-storm`` (`DeepStorm`), and its arguments.
    input_scaling : str
        What frames are turned into before the network: one of `napari_subpixel.models.input_scaling.SCALINGS`.
    threshold : float
        Probability above which a point is reported, unless the user says otherwise.
    weights_sha256 : str
        SHA-256 of the file of weights.
    camera, psf : mapping
        The camera and the point spread function trained for, as in a camera file.
    domain : mapping
        Ranges that it is made for, as in `napari_subpixel.models.domain.Domain`; empty where it knows one microscope.
    training : mapping
        Data and settings of the training.
    figures : mapping
        Scores, each with the movie, and the command that measures it.
    limits : str
        Where not to trust it.
    program : str
        The program that wrote it, with its version.
    """

    name: str
    summary: str
    network: Mapping[str, Any]
    input_scaling: str
    threshold: float
    weights_sha256: str
    camera: Mapping[str, Any] = field(default_factory=dict)
    psf: Mapping[str, Any] = field(default_factory=dict)
    domain: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    program: str = ""

    def __post_init__(self) -> None:
        if len(str(self.weights_sha256)) != 64:
            raise InputError(f"card: weights_sha256 must be 64 hexadecimal digits, got {self.weights_sha256!r}")
        if self.input_scaling not in SCALINGS:
            raise InputError(f"card: input_scaling must be one of {', '.join(SCALINGS)}, got {self.input_scaling!r}")
        checked_threshold(self.threshold)
        for name in ("network", "camera", "psf", "domain", "training", "figures"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"card: {name} must list fields, got {getattr(self, name)!r}")
        Camera.from_dict(self.camera)
        if self.psf:
            GaussianPSF.from_dict(self.psf)
        if self.domain:
            Domain.from_dict(self.domain)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, as plain values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @property
    def provenance(self) -> dict[str, str]:
        """Name and hash, for the tables this model makes."""
        return {"name": self.name, "sha256": self.weights_sha256}


@dataclass(frozen=True)
class Model:
    """A network with its weights and its card."""

    card: ModelCard
    network: Network


def checked_threshold(threshold: float) -> float:
    """Return the threshold, or raise `InputError` if it is not a number above 0 and below 1."""
    value = records.number("threshold", "probability", threshold)
    if not 0 < value < 1:
        raise InputError(f"the threshold is a probability above 0 and below 1, got {value:g}")
    return value


def shipped() -> list[ModelCard]:
    """Return the cards of the models that come with the program: those to choose first, then the others by name."""
    cards = [read_card(path) for path in sorted(SHIPPED.glob(f"*{CARD_SUFFIX}"))]
    return sorted(cards, key=lambda card: CHOOSE_FIRST.index(card.name) if card.name in CHOOSE_FIRST else len(cards))


def installed() -> list[ModelCard]:
    """Return the cards of all models that go by a name: the shipped ones, then the user's own by name.

    A model of the user's own whose card cannot be used is left out, with a warning that names it and says why.
    """
    cards = shipped()
    taken = {card.name for card in cards}
    for path in _own():
        try:
            if not path.with_suffix(WEIGHTS_SUFFIX).exists():
                raise InputError(f"{path}: there are no weights beside this card")
            card = replace(read_card(path), name=path.stem)
            if card.name in taken:
                raise InputError(f"{path}: a model that comes with the program has the name {card.name!r}")
        except InputError as error:
            warnings.warn(f"{error}; this model is left out", stacklevel=2)
            continue
        cards.append(card)
    return cards


def find(model: str | Path) -> Path:
    """Return the path of a model's weights, from the name of a shipped model or of one's own, or a path.

    Raises
    ------
    InputError
        If there is no such model or file.
    """
    for folder in (SHIPPED, user_folder(KIND)):
        named = folder / f"{model}{WEIGHTS_SUFFIX}"
        if isinstance(model, str) and named.is_file() and named.parent == folder:
            return named
    path = Path(model)
    if path.suffix == CARD_SUFFIX:
        path = path.with_suffix(WEIGHTS_SUFFIX)
    if path.is_file():
        return path
    cards = (*sorted(SHIPPED.glob(f"*{CARD_SUFFIX}")), *_own())
    names = [card.stem for card in cards if card.with_suffix(WEIGHTS_SUFFIX).exists()]
    raise InputError(f"{model}: no such model{suggest(str(model), names)}; installed: {', '.join(names) or 'none'}")


def path_for(model: str) -> Path:
    """Return where a new model goes: the path given, or, for a mere name, its place among the user's own models.

    What looks like a file, with a folder or a suffix such as ``.pt``, is a path.

    Raises
    ------
    InputError
        If the name cannot be that of a file or is that of a shipped model, or the folder cannot be made.
    """
    path = Path(model)
    if path.suffix[1:].isalpha() or path.name != model:
        return path
    name = checked_file_name("model", model)
    if name.casefold() in {card.name.casefold() for card in shipped()}:
        raise InputError(f"{name!r} is a model that comes with the program; give yours another name")
    return made_user_folder(KIND) / f"{name}{WEIGHTS_SUFFIX}"


def _own() -> list[Path]:
    """Return the cards in the folder of the user's own models."""
    return sorted(user_folder(KIND).glob(f"[!.]*{CARD_SUFFIX}"))


def read_card(path: str | Path) -> ModelCard:
    """Read the card that belongs to a file of weights, or a card itself.

    Raises
    ------
    InputError
        If it is missing, is not YAML, or has a misspelt, missing or impossible field.
    """
    path = Path(path).with_suffix(CARD_SUFFIX)
    if not path.exists():
        raise InputError(f"{path}: no such file: a model's card stands beside its weights")
    with records.naming(path):
        values = records.read_section(path, "model")
        try:
            return records.from_dict(ModelCard, "card", values)
        except InputError as error:
            raise InputError(f"{error}{_other_version(values.get('program', ''))}") from None


def load_model(model: str | Path) -> Model:
    """Load a shipped model by name, or any model by the path of its weights.

    Raises
    ------
    InputError
        If the file is not one of safetensors, its weights differ from its card or do not fit the card's network.
    """
    path = find(model)
    content = path.read_bytes()
    tensors = _read_weights(path, content)
    card = read_card(path)
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise InputError(
            f"{path}: the weights differ from their card: SHA-256 {found[:12]}..., the card says "
            f"{card.weights_sha256[:12]}..."
        )
    if path.parent == user_folder(KIND):
        card = replace(card, name=path.stem)
    return Model(card, _build(path, card, tensors))


def save_model(
    path: str | Path, network: Network, *, overwrite: bool = False, half_precision: bool = False, **card: Any
) -> ModelCard:
    """Write a network's weights and its card beside each other.

    Parameters
    ----------
    path : path-like
        Where the weights go; ends in ``.safetensors``.
    network : PointNetwork or UNet
    overwrite : bool
        Whether an existing model may be replaced.
    half_precision : bool
        Keep 16 bits of each weight: half the file, and points that hardly move.
    **card
        Fields of `ModelCard` except the network's and the hash.

    Returns
    -------
    ModelCard
        The card as written.
    """
    from safetensors.torch import save

    path = Path(path)
    check_can_write_model(path, overwrite=overwrite)
    weights = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    content = save(
        {name: t.half() if t.is_floating_point() else t for name, t in weights.items()} if half_precision else weights
    )
    written = ModelCard(
        network=network.config, weights_sha256=hashlib.sha256(content).hexdigest(), program=PROGRAM, **card
    )
    with atomic_output(path) as draft:
        draft.write_bytes(content)
        write_card(path, written)
    return written


def check_can_write_model(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` now if `save_model` would refuse this path later: before the training, not after it."""
    path = Path(path)
    if path.suffix != WEIGHTS_SUFFIX:
        raise InputError(f"{path}: a model's weights end in {WEIGHTS_SUFFIX}")
    for file in (path, path.with_suffix(CARD_SUFFIX)):
        check_can_write(file, overwrite=overwrite)


def write_card(path: str | Path, card: ModelCard) -> None:
    """Write the card that belongs to a file of weights."""
    with atomic_output(Path(path).with_suffix(CARD_SUFFIX)) as draft:
        draft.write_text(yaml.safe_dump({"model": card.to_dict()}, sort_keys=False, width=100), encoding="utf-8")


def _read_weights(path: Path, content: bytes) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError):
        raise InputError(f"{path}: not a model: expected safetensors, first bytes are {content[:8]!r}") from None


def _build(path: Path, card: ModelCard, tensors: dict[str, Any]) -> Network:
    arguments = dict(card.network)
    kind = arguments.pop("kind", "points")
    classes = _network_classes()
    if kind not in classes:
        raise InputError(
            f"{path}: the card's network must be of kind {', '.join(classes)}, got {kind!r}"
            f"{_other_version(card.program)}"
        )
    try:
        network = classes[kind](**arguments)
        network.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        why = f"{' '.join(str(error).split())}{_other_version(card.program)}"
        raise InputError(f"{path}: the weights do not fit the card's network: {why}") from None
    return network.eval()


def _other_version(program: Any) -> str:
    """Return words for the end of a message where another version of the program wrote what cannot be read."""
    return f" (written by {program}, this is {PROGRAM})" if program and program != PROGRAM else ""


def _network_classes() -> dict[str, type[Network]]:
    """Return the networks by the kind that a card names."""
    from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
    from napari_subpixel.models.pixel_network import PointNetwork
    from napari_subpixel.models.unet import UNet

    return {"points": PointNetwork, "unet": UNet, "heatmap": HeatmapNetwork, "deep-storm": DeepStorm}


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
