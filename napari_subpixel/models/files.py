"""Models on disk: weights as safetensors, next to their card.

A model is two files, ``NAME.safetensors`` and ``NAME.yaml``. The card carries the SHA-256 of the weights, so that a
mixed-up pair is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.files import atomic_output, check_can_write, reading
from napari_subpixel._util.user_folder import user_folder
from napari_subpixel.errors import InputError
from napari_subpixel.models.cards import CARD_SUFFIX, PROGRAM, ModelCard, other_version, read_card, write_card
from napari_subpixel.models.catalogue import USER_FOLDER, WEIGHTS_SUFFIX, find

if TYPE_CHECKING:
    from torch import Tensor

    from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
    from napari_subpixel.models.pixel_network import PointNetwork
    from napari_subpixel.models.unet import UNet

    Network = PointNetwork | UNet | HeatmapNetwork | DeepStorm


#: The largest number that a card may give as the size of a part of its network.
MAX_SIZE = 1 << 20


@dataclass(frozen=True)
class Model:
    """A network with its weights and its card."""

    card: ModelCard
    network: Network


def load_model(model: str | Path) -> Model:
    """Load a model by its name or by the path of its weights.

    Raises
    ------
    InputError
        If there is no such model, the file is not safetensors, its weights differ from its card, or they do not fit the
        card's network.
    """
    path = find(model)
    with reading(path):
        content = path.read_bytes()
    tensors = _read_weights(path, content)
    card = read_card(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != card.weights_sha256:
        raise InputError(
            f"{path}: the weights differ from their card: SHA-256 {sha256[:12]}..., the card says "
            f"{card.weights_sha256[:12]}..."
        )
    if path.parent == user_folder(USER_FOLDER):
        card = replace(card, name=path.stem)
    return Model(card, _build(path, card, tensors))


def save_model(
    path: str | Path, network: Network, *, overwrite: bool = False, half_precision: bool = False, **card: Any
) -> ModelCard:
    """Write a network's weights and, next to them, its card.

    Parameters
    ----------
    path : path-like
        Where the weights go; ends in ``.safetensors``.
    network : PointNetwork, UNet, HeatmapNetwork or DeepStorm
    overwrite : bool
        Whether an existing model may be replaced.
    half_precision : bool
        Keep 16 bits of each weight: halves the file and hardly moves a point.
    **card
        Fields of `ModelCard` except the network's and the hash.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    InputError
        If the path has another suffix, or one of the files exists and may not be replaced.
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
    """Raise `InputError` if `save_model` would refuse this path: to be asked before the training, not after it."""
    path = Path(path)
    if path.suffix != WEIGHTS_SUFFIX:
        raise InputError(f"{path}: a model's weights end in {WEIGHTS_SUFFIX}")
    for file in (path, path.with_suffix(CARD_SUFFIX)):
        check_can_write(file, overwrite=overwrite)


def _read_weights(path: Path, content: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError):
        raise InputError(f"{path}: not a model: expected safetensors, first bytes are {content[:8]!r}") from None


def _build(path: Path, card: ModelCard, tensors: dict[str, Tensor]) -> Network:
    arguments = dict(card.network)
    kind = arguments.pop("kind", "points")
    classes = _network_classes()
    if not isinstance(kind, str) or kind not in classes:
        raise InputError(
            f"{path}: the card's network must be of kind {', '.join(classes)}, got {kind!r}"
            f"{other_version(card.program)}"
        )
    if large := [value for value in _whole_numbers(arguments) if value > MAX_SIZE]:
        raise InputError(f"{path}: the card's network has a size of {large[0]:,}, which no network has")
    try:
        network = classes[kind](**arguments)
        network.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        why = f"{' '.join(str(error).split())}{other_version(card.program)}"
        raise InputError(f"{path}: the weights do not fit the card's network: {why}") from None
    return network.eval()


def _whole_numbers(value: Any) -> Iterator[int]:
    """Yield every whole number in a value of mappings and lists."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _whole_numbers(part)
    elif isinstance(value, int):
        yield value


def _network_classes() -> dict[str, type[Network]]:
    """Return the networks by the kind that a card names."""
    from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
    from napari_subpixel.models.pixel_network import PointNetwork
    from napari_subpixel.models.unet import UNet

    return {"points": PointNetwork, "unet": UNet, "heatmap": HeatmapNetwork, "deep-storm": DeepStorm}
