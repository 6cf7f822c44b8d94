"""``napari-subpixel info``: what a movie, a table, a model or a camera file is, and what it says of itself."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel.cli.advice import advised
from napari_subpixel.cli.common import add_movie_arguments, opening_from, read_table
from napari_subpixel.cli.exit_status import BAD_INPUT, DONE, SOME_FAILED
from napari_subpixel.cli.messages import fail
from napari_subpixel.cli.tables import print_json, sections
from napari_subpixel.errors import ImplausibleError, InputError, PixelSizeError, suggest

if TYPE_CHECKING:
    from napari_subpixel.calibration.bad_pixels import BadPixels
    from napari_subpixel.calibration.saturation import Saturation
    from napari_subpixel.localizations import Localizations
    from napari_subpixel.stacks import Stack

#: Characters of a movie's description that are shown.
MAX_DESCRIPTION = 300
#: TIFF tags that say where a movie comes from.
TAGS = {"Software": "software", "DateTime": "date", "Make": "made by", "Model": "device", "Artist": "artist"}
#: Suffixes of camera files and cards.
YAML_SUFFIXES = (".yaml", ".yml")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("info")
    what = (
        "movie, table, trace of drift, on and off times, model, camera file, a folder of movies or tables, or the "
        "name of a model or a camera"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=what)
    add_movie_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, a list, on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Describe every file; one that cannot be read does not stop the others."""
    described: list[dict[str, Any]] = []
    n_failed = 0
    for file in [each for name in arguments.files for each in _files_of(name)]:
        try:
            described.append(describe(file, opening_from(arguments)))
        except InputError as error:
            if [file] == arguments.files:
                raise
            n_failed += 1
            fail(f"failed: {advised(error, 'info')}")
            continue
        if not arguments.json:
            print(("\n" if len(described) > 1 else "") + _text(described[-1]))
    if arguments.json:
        print_json(described)
    return DONE if not n_failed else SOME_FAILED if described else BAD_INPUT


def _files_of(name: str) -> list[str]:
    """Return what a folder of movies or of tables holds, one after another; else what was named."""
    from napari_subpixel import formats
    from napari_subpixel.runs.movie_lists import gather_movies
    from napari_subpixel.stacks.folders import is_folder_of_frames
    from napari_subpixel.stacks.numbering import natural_key
    from napari_subpixel.stacks.zarrs import is_zarr_folder

    folder = Path(name)
    if not folder.is_dir() or is_zarr_folder(folder) or is_folder_of_frames(folder):
        return [name]
    movies = [str(movie) for movie in gather_movies([name])]
    if movies != [name]:
        return movies
    written = {suffix for format_ in formats.FORMATS.values() for suffix in format_.suffixes}
    tables = [file for file in folder.iterdir() if file.suffix.lower() in written and file.is_file()]
    return [str(file) for file in sorted(tables, key=natural_key)] or [name]


def describe(file: str, opening: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a file is, under ``kind``, and what it says of itself.

    Parameters
    ----------
    file : str
    opening : mapping, optional
        Arguments of `napari_subpixel.open_stack`, for a movie.

    Raises
    ------
    InputError
        If it is none of what is known, or damaged.
    """
    from napari_subpixel import formats
    from napari_subpixel.cli.info_results import describe_result

    path = Path(file)
    suffix = path.suffix.lower()
    if suffix == ".safetensors" or not path.exists():
        return _model(file)
    if suffix in YAML_SUFFIXES:
        return _yaml(path)
    if suffix not in formats.read_suffixes():
        return _movie(path, opening or {})
    return describe_result(path) or _table(path)


# -- movies -------------------------------------------------------------------------------------------------------


def _movie(path: Path, opening: Mapping[str, Any]) -> dict[str, Any]:
    from napari_subpixel.runs.movie_lists import sidecar_of
    from napari_subpixel.stacks import open_stack

    with open_stack(path, **opening) as stack:
        sidecar = sidecar_of(path)
        pixels = _pixels(stack)
        return {
            "file": str(path),
            "kind": "movie",
            "shape": list(stack.shape),
            "axes": "frames, y, x",
            "dtype": str(stack.dtype),
            "frames": stack.n_frames,
            "pixel_size_nm": stack.pixel_size_nm,
            "pixel_shape_nm": list(stack.pixel_size_nm) if isinstance(stack.pixel_size_nm, tuple) else None,
            "warnings": [*stack.warnings, *filter(None, [pixels.saturation.text]), *_spot_warnings(pixels.movie)]
            or None,
            "bad_pixels": pixels.bad.text.removeprefix("bad pixels, interpolated: ") or None,
            "saturation_adu": pixels.saturation.level if pixels.saturation.share else None,
            "series": stack.n_series,
            "files": len(stack.files),
            "bytes": sum(file.stat().st_size for file in stack.files),
            "settings": str(sidecar) if sidecar.exists() else None,
            "first_frame": _levels(stack),
            "metadata": _tags(stack),
        }


class _Pixels(NamedTuple):
    """A movie's bad pixels, the movie without them, and from which value on the others are saturated."""

    bad: BadPixels
    movie: Stack
    saturation: Saturation


def _pixels(stack: Stack) -> _Pixels:
    """Return which pixels of a movie do not follow the light, as `detect` finds them."""
    from napari_subpixel.calibration.bad_pixels import find_bad_pixels
    from napari_subpixel.calibration.frame_sample import sampled_frames
    from napari_subpixel.calibration.saturation import find_saturation
    from napari_subpixel.detection.mending import mended

    sample = sampled_frames(stack)
    bad = find_bad_pixels(sample)
    return _Pixels(bad, mended(stack, bad), find_saturation(sample, bad=bad.mask))


def _spot_warnings(stack: Stack) -> list[str]:
    """Return which frames are unlike the others, and in what respect spots are not round."""
    from napari_subpixel.calibration import measure_elongation
    from napari_subpixel.calibration.microscope import microscope_of
    from napari_subpixel.camera import Camera

    try:
        known = microscope_of(stack, Camera(), None)
        spots = measure_elongation(stack, known.camera, known.sigma_px)
    except InputError:  # too small a movie, or one that cannot be read to its end
        return []
    return [*known.left_out, *([] if spots is None or spots.is_round else [spots.text])]


def _levels(stack: Stack) -> dict[str, float]:
    """Return how bright the first frame is."""
    import numpy as np

    frame = stack[0]
    return {"minimum": float(frame.min()), "median": float(np.median(frame)), "maximum": float(frame.max())}


def _tags(stack: Stack) -> dict[str, Any]:
    """Return what the first TIFF file of a movie says of itself; nothing for other files."""
    import tifffile

    if not stack.files:
        return {}
    try:
        with tifffile.TiffFile(stack.files[0]) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage):
                return {}
            tags = {name: page.tags.valueof(tag) for tag, name in TAGS.items()}
            description = " ".join(page.description.split())
            short = description if len(description) <= MAX_DESCRIPTION else f"{description[:MAX_DESCRIPTION]} ..."
            kinds = sorted(kind for kind in file.flags if kind not in ("uniform", "shaped", "bigtiff"))
            found = {"written as": kinds, "bigtiff": file.is_bigtiff or None, **tags, "description": short}
    except Exception:  # whatever a damaged header makes of it, the movie itself could be opened
        return {}
    return {name: value for name, value in found.items() if value not in (None, "", [])}


# -- tables -------------------------------------------------------------------------------------------------------


def _table(path: Path) -> dict[str, Any]:
    from napari_subpixel import formats

    try:
        table = read_table(path)
    except PixelSizeError:  # positions in nm, which any size turns into pixels and back
        table = read_table(path, pixel_size_nm=1.0).with_about(pixel_size_nm=None)
        unit = "nm"
    else:
        unit = "px"
    frames = table.frame
    return {
        "file": str(path),
        "kind": "table",
        "format": formats.read_format_for(path).title,
        "rows": len(table),
        "columns": list(table.columns),
        "pixel_size_nm": table.pixel_size_nm,
        "frame_shape": table.frame_shape,
        "movie_frames": table.n_frames,
        "frames": [int(frames.min()), int(frames.max()) + 1] if len(table) else None,
        "per_frame": _per_frame(table),
        "values": _ranges(table, unit),
        "provenance": dict(table.provenance),
    }


def _per_frame(table: Localizations) -> float | None:
    """Return the mean number of rows in a frame: of the movie, or of those from the first to the last row's."""
    if not len(table):
        return None
    return len(table) / (table.n_frames or int(table.frame.max() - table.frame.min()) + 1)


def _ranges(table: Localizations, unit: str) -> dict[str, dict[str, float]]:
    """Return lowest, middle and highest number of every column but the frame's."""
    import numpy as np

    units = {"y": unit, "x": unit, "y_uncertainty": unit, "x_uncertainty": unit, "sigma": unit}
    names = [name for name in table.columns if name != "frame"] if len(table) else []
    return {
        f"{name} {units[name]}" if name in units else name: dict(
            zip(("minimum", "median", "maximum"), map(float, np.nanpercentile(table[name], (0, 50, 100))), strict=True)
        )
        for name in names
    }


# -- models and cameras -------------------------------------------------------------------------------------------


def _model(model: str) -> dict[str, Any]:
    from napari_subpixel.cameras.presets import camera_files
    from napari_subpixel.models import find, installed, read_card
    from napari_subpixel.models.catalogue import WEIGHTS_SUFFIX

    if Path(model).suffix != WEIGHTS_SUFFIX and model not in (names := {card.name for card in installed()}):
        if model in (known := camera_files()):
            return _yaml(known[model])
        raise InputError(
            f"{model}: no such file, and no model or camera of this name{suggest(model, [*names, *known])}"
        )
    path = find(model)
    return {"file": str(path), "kind": "model", "bytes": path.stat().st_size, "card": read_card(path).to_dict()}


def _yaml(path: Path) -> dict[str, Any]:
    """Describe a model by its card, or a file with sections ``camera`` and ``psf``, or a table by what is beside it."""
    from napari_subpixel._util import records

    document = records.read_document(path)
    if "model" in document:
        from napari_subpixel.models import read_card

        return {"file": str(path), "kind": "model card", "card": read_card(path).to_dict()}
    there = {name: document[name] for name in document if isinstance(document[name], Mapping)}
    if "camera" not in there and "psf" not in there:
        raise InputError(
            f"{path}: neither a model's card nor a camera file; its entries are {', '.join(document) or 'nothing'}"
        )
    return {"file": str(path), "kind": "camera file", "warnings": _check_microscope(path, there) or None, **there}


def _check_microscope(path: Path, there: Mapping[str, Any]) -> list[str]:
    """Raise `InputError` where a section cannot be used, and return what is implausible in one that can."""
    from napari_subpixel.camera import Camera
    from napari_subpixel.psf import GaussianPSF

    if "psf" in there:
        GaussianPSF.from_yaml(path)
    if "camera" in there:
        camera = Camera.from_yaml(path)
        try:
            camera.check_plausible()
        except ImplausibleError as error:
            return [str(error)]
    return []


# -- text ---------------------------------------------------------------------------------------------------------


def _text(described: Mapping[str, Any]) -> str:
    """Return a description as text: what it is, then its sections."""
    if "card" in described:
        from napari_subpixel.cli.models import card_text
        from napari_subpixel.models import ModelCard

        return f"{described['file']}: {described['kind']}\n\n{card_text(ModelCard(**described['card']))}"
    flat = {name: value for name, value in described.items() if not isinstance(value, Mapping)}
    heading = f"{flat.pop('file')}: {flat.pop('kind')}"
    if "pixel_size_nm" in flat and flat["pixel_size_nm"] is None:
        flat["pixel_size_nm"] = "not known"
    nested = {name.replace("_", " "): value for name, value in described.items() if isinstance(value, Mapping)}
    return sections({heading: {name.replace("_", " "): value for name, value in flat.items()}, **nested})
