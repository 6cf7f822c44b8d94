"""Settings of one movie in a YAML file next to it, which override those of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any

from napari_subpixel._util import records
from napari_subpixel.camera import Camera, with_maps
from napari_subpixel.coordinates import Roi
from napari_subpixel.errors import InputError, shown
from napari_subpixel.psf import GaussianPSF

#: What the name of a sidecar has in place of the movie's suffix: ``cell.subpixel.yaml`` next to ``cell.ome.tif``.
#: A plain ``cell.yaml`` belongs to Picasso, or is a camera file.
SUFFIX = ".subpixel.yaml"
#: Sections that are ignored: how ``psf`` measured what it wrote.
IGNORED_SECTIONS = ("psf_measurement",)
FRAMES = "frames are given as 'frames: [500, 1000]', or with null for an open end"
ROI = "a region is given as 'roi: [[0, 64], [100, 200]]', rows and columns in pixels"


@dataclass(frozen=True, eq=False)
class Sidecar:
    """The settings in a movie's sidecar; None or empty where it has none.

    Attributes
    ----------
    camera : mapping
        Fields of the camera.
    psf : mapping
        The point spread function, as in a camera file.
    frames : (int or None, int or None), optional
        First frame and the one after the last, None for the movie's own.
    roi : ((y0, y1), (x0, x1)), optional
        Part of the frame, ends excluded.
    threshold : float, optional
        Probability of the faintest point.
    model : str, optional
        Name of a model, or its file, relative to the sidecar.
    """

    camera: Mapping[str, Any] = field(default_factory=dict)
    psf: Mapping[str, Any] = field(default_factory=dict)
    frames: tuple[int | None, int | None] | None = None
    roi: Roi | None = None
    threshold: float | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        for name in ("camera", "psf"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"section '{name}:' must list fields, got {shown(getattr(self, name))}")
        Camera.from_dict(self.camera)
        if self.psf:
            GaussianPSF.from_dict(self.psf)
        if self.frames is not None:
            records.set_field(self, "frames", _pair(self.frames, int | None, FRAMES))
        if self.roi is not None:
            records.set_field(self, "roi", _region(self.roi))
        if self.threshold is not None:
            records.set_field(self, "threshold", records.number("settings", "threshold", self.threshold))
        if self.model is not None and not isinstance(self.model, str):
            raise InputError(f"model must be a name or a file, got {shown(self.model)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that it has, by name."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return tuple(name for name, value in values.items() if value is not None and value != {})

    def over(self, camera: Camera) -> Camera:
        """Return a camera with the fields that the sidecar has in the place of its own."""
        return replace(camera, **self.camera)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Sidecar:
        """Read a sidecar; maps of the camera and the model's file are relative to it.

        Raises
        ------
        InputError
            If it cannot be read, or a setting is misspelt or impossible; the message names file and setting.
        """
        path = Path(path)
        values = {name: value for name, value in records.read_document(path).items() if name not in IGNORED_SECTIONS}
        with records.naming(path):
            if isinstance(values.get("camera"), Mapping):
                values["camera"] = with_maps(values["camera"], path.parent)
            model = values.get("model")
            if isinstance(model, str) and (path.parent / model).is_file():
                values["model"] = str(path.parent / model)
            return records.from_dict(cls, "settings", values)


def _region(value: Any) -> Roi:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InputError(f"{ROI}; got {shown(value)}")
    rows, columns = (_pair(side, int, ROI) for side in value)
    return rows, columns


def _pair(value: Any, kind: type | UnionType, what: str) -> Any:
    """Return two whole numbers; a colon between them is refused, which YAML would take for a time of day."""
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    if not is_pair or any(isinstance(end, bool) or not isinstance(end, kind) for end in value):
        raise InputError(f"{what}; got {shown(value)}")
    return tuple(value)
