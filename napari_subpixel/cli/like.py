"""The settings of an earlier run, taken from the provenance of its table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_subpixel.cli.messages import say
from napari_subpixel.cli.record_flags import flags_of
from napari_subpixel.errors import InputError


def take_settings(arguments: argparse.Namespace, table: Path) -> None:
    """Fill in those arguments of ``detect`` that are not given, as the run had them that made a table.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of ``detect``, None where not given; they are changed.
    table : Path

    Raises
    ------
    InputError
        If the table does not say how it was made, its camera had maps, or its model is no longer installed.
    """
    from napari_subpixel import formats
    from napari_subpixel.psf import sigma_in_nm

    about = formats.read_about(table)
    provenance = about.get("provenance") or {}
    if "model" not in provenance or "threshold" not in provenance:
        raise InputError(f"{table}: does not say how it was made: it has no provenance of a detection")
    taken: dict[str, Any] = {}
    if arguments.model is None:
        taken["model"] = _model(table, provenance["model"])
        taken["threshold"] = provenance["threshold"]
    frames = provenance.get("frames")
    if frames and frames != [0, about.get("n_frames")]:
        taken["frames"] = tuple(frames)
    if roi := provenance.get("roi"):
        taken["roi"] = tuple(tuple(side) for side in roi)
    taken |= {name: provenance[name] for name in ("series", "channel") if name in provenance}
    if bad_pixels := provenance.get("bad_pixels"):
        taken["bad_pixels"] = _bad_pixels(table, bad_pixels, about)
    if (provenance.get("static_points") or {}).get("dropped"):
        taken["drop_static"] = True
    if not arguments.camera:
        taken |= _camera(table, provenance.get("camera") or {})
    size, sigma_px = about.get("pixel_size_nm"), provenance.get("sigma_px")
    if size and sigma_px:
        taken["psf_sigma_nm"] = sigma_in_nm(sigma_px, size)
    # An estimate from spots that are not round is made again: given, it would join their fragments.
    usable = provenance.get("joins_fragments") or provenance.get("spots_round", True)
    if provenance.get("molecule_photons") and usable:
        taken["molecule_photons"] = provenance["molecule_photons"]
    taken = {name: value for name, value in taken.items() if getattr(arguments, name) is None}
    for name, value in taken.items():
        setattr(arguments, name, value)
    say(f"as for {table}: {', '.join(f'{name} {_shown(value)}' for name, value in taken.items()) or 'nothing'}")


def _model(table: Path, model: Mapping[str, str]) -> str:
    """Return the name of the model, if it is still the same."""
    from napari_subpixel.models import find, read_card

    name = model["name"]
    try:
        now = read_card(find(name)).weights_sha256
    except InputError as error:
        raise InputError(f"{table}: was made with a model that is not there; give --model PATH: {error}") from None
    if now != model["sha256"]:
        raise InputError(
            f"{table}: was made with another model of the name {name!r} ({model['sha256'][:8]}, now {now[:8]}); "
            "give --model"
        )
    return name


def _camera(table: Path, camera: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every flag of the camera, so that nothing of it is estimated again."""
    from napari_subpixel.camera import Camera

    default = Camera()
    values = {name: camera.get(name, getattr(default, name)) for name in flags_of(Camera)}
    maps = [name for name, value in values.items() if isinstance(value, str)]
    if maps:
        raise InputError(
            f"{table}: was made with a map of {' and '.join(maps)}, which is not in it; give --camera FILE"
        )
    if values["em_gain"] == default.em_gain:  # which may not have been given then
        del values["em_gain"]
    return {name: value for name, value in values.items() if value is not None}


def _bad_pixels(table: Path, bad_pixels: Mapping[str, Any], about: Mapping[str, Any]) -> Any:
    """Return the bad pixels that were given; whether others are found from the movie."""
    if bad_pixels["source"] != "given":
        return bad_pixels["source"] == "movie"
    from napari_subpixel._util import records
    from napari_subpixel.calibration.bad_pixels import BadPixels

    with records.naming(table):
        return BadPixels.of_summary(bad_pixels, tuple(about["frame_shape"]))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(getattr(value, "number", value))
