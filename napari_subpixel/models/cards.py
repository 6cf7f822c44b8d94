"""The card of a model (YAML): what it is, what it was trained on and where it holds; reading one needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.input_scaling import SCALINGS
from napari_subpixel.psf import GaussianPSF

#: Ending of a card's file name.
CARD_SUFFIX = ".yaml"
#: This program, for the cards that it writes.
PROGRAM = f"napari-subpixel {__version__}"


@dataclass(frozen=True)
class ModelCard:
    """What a model is, was trained on, expects and achieves.

    Attributes
    ----------
    name : str
        Name that selects it.
    summary : str
        One sentence for a list.
    network : mapping
        Its kind, ``points`` (`PointNetwork`, the default), ``unet`` (`UNet`), ``heatmap`` (`HeatmapNetwork`) or
        ``deep-storm`` (`DeepStorm`), and its arguments.
    input_scaling : str
        What frames are turned into before the network: one of `napari_subpixel.models.input_scaling.SCALINGS`.
    threshold : float
        Default probability from which a point is reported.
    weights_sha256 : str
        SHA-256 of the weights file.
    camera, psf : mapping
        The camera and the point spread function trained for, as in a camera file.
    domain : mapping
        Ranges that it is made for, as in `napari_subpixel.models.domain.Domain`; empty for a model of one microscope.
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


def checked_threshold(threshold: float) -> float:
    """Return the threshold, or raise `InputError` if it is not a number above 0 and below 1."""
    value = records.number("threshold", "probability", threshold)
    if not 0 < value < 1:
        raise InputError(f"the threshold is a probability above 0 and below 1, got {value:g}")
    return value


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a weights file, or a card by its own path.

    Raises
    ------
    InputError
        If it is missing, is not YAML, or has a misspelt, missing or impossible field.
    """
    path = Path(path).with_suffix(CARD_SUFFIX)
    if not path.exists():
        raise InputError(f"{path}: no such file: a model's card lies next to its weights")
    with records.naming(path):
        values = records.read_section(path, "model")
        try:
            return records.from_dict(ModelCard, "card", values)
        except InputError as error:
            raise InputError(f"{error}{other_version(values.get('program', ''))}") from None


def write_card(path: str | Path, card: ModelCard) -> None:
    """Write the card of a weights file."""
    with atomic_output(Path(path).with_suffix(CARD_SUFFIX)) as draft:
        draft.write_text(yaml.safe_dump({"model": card.to_dict()}, sort_keys=False, width=100), encoding="utf-8")


def other_version(program: Any) -> str:
    """Return a message's ending for a card that another version of the program wrote; empty for this version's."""
    return f" (written by {program}, this is {PROGRAM})" if program and program != PROGRAM else ""


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
