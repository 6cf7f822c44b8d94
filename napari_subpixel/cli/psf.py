"""``napari-subpixel psf``: a movie of beads or molecules in, the point spread function out."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel.camera import MAPS, Camera
from napari_subpixel.cli import record_flags
from napari_subpixel.cli.common import (
    add_camera_arguments,
    add_movie_arguments,
    camera_from,
    em_gain_given,
    frame_range,
    opening_from,
    progress_bar,
    region,
    unknown_gain,
)
from napari_subpixel.cli.messages import say, warn
from napari_subpixel.coordinates import PixelSize, mean_pixel_size
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.calibration import SpotPsf
    from napari_subpixel.calibration.bad_pixels import BadPixels
    from napari_subpixel.stacks import Stack

#: What a camera file's name may end in.
SUFFIXES = (".yaml", ".yml")
#: What ``--z-stack`` takes, and what it means to `napari_subpixel.calibration.measure_psf`.
Z_STACK = {"auto": None, "yes": True, "no": False}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "psf",
        description="Measure the point spread function on the isolated spots of a movie: of beads, of "
        "molecules, or of beads in a z-stack, and say whether a Gaussian fits.",
    )
    parser.add_argument("movie", metavar="MOVIE", help="TIFF, OME-TIFF, Zarr, or a folder of frames")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PSF.yaml", help="camera file to write, with the camera and this PSF"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="PLOT.png", help="also draw spot, profile and widths (.png, .pdf or .svg)"
    )
    parser.add_argument(
        "--z-stack",
        choices=Z_STACK,
        default="auto",
        help="whether the movie is a z-stack of beads, to be measured in focus (auto)",
    )
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="part of the frame, in pixels")
    add_movie_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for."""
    from napari_subpixel.calibration.bad_pixels import find_bad_pixels
    from napari_subpixel.calibration.frame_sample import sampled_frames
    from napari_subpixel.detection.mending import mended
    from napari_subpixel.stacks import open_stack

    _check_outputs(arguments)
    given = camera_from(arguments)
    with open_stack(arguments.movie, **opening_from(arguments)) as opened:
        bad = find_bad_pixels(sampled_frames(opened), given)
        stack = mended(opened, bad)
        pixel_size_nm = given.pixel_size_nm or stack.pixel_size_nm
        if arguments.output and pixel_size_nm is None:
            raise stack.pixel_size_error("a camera file")
        warnings = stack.warnings
        camera, assumed = _camera(stack, given, arguments)
        measured = _measured(stack, camera, arguments)
    if arguments.output and pixel_size_nm is not None:
        _write(arguments, camera, pixel_size_nm, measured)
    if arguments.plot:
        from napari_subpixel.calibration.plots import plot_psf

        plot_psf(measured, arguments.plot, pixel_size_nm=pixel_size_nm, overwrite=arguments.overwrite)
    if arguments.json:
        print(json.dumps(_document(arguments, measured, pixel_size_nm, assumed, bad), indent=1, allow_nan=False))
    else:
        print(_text(measured, pixel_size_nm))
    for warning in warnings:
        warn(warning)
    for what in (*filter(None, [bad.text]), *assumed, *measured.notes):
        say(what)
    for path in filter(None, (arguments.output, arguments.plot)):
        say(f"{path}: written")
    return 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written, and one that would replace the movie, before any work."""
    for path in filter(None, (arguments.output, arguments.plot)):
        if path.resolve() == Path(arguments.movie).resolve():
            raise InputError(f"{path}: is the movie itself")
    if arguments.output:
        if arguments.output.suffix.lower() not in SUFFIXES:
            raise InputError(f"{arguments.output}: a camera file's name must end in {' or '.join(SUFFIXES)}")
        check_can_write(arguments.output, overwrite=arguments.overwrite)
    if arguments.plot:
        from napari_subpixel._util.figures import check_plot_output

        check_plot_output(arguments.plot, overwrite=arguments.overwrite)


def _camera(stack: Stack, given: Camera, arguments: argparse.Namespace) -> tuple[Camera, tuple[str, ...]]:
    """Return the camera, completed by what the movie says where its gain is not given, and what was estimated."""
    from napari_subpixel.calibration.camera_estimate import ASSUMED
    from napari_subpixel.calibration.microscope import microscope_of
    from napari_subpixel.calibration.psf_width import DEFAULT_SIGMA_PX

    unknown = unknown_gain(arguments)
    if not unknown:
        return given, ()
    microscope = microscope_of(stack, given, DEFAULT_SIGMA_PX, unknown=unknown, em_gain_given=em_gain_given(arguments))
    if arguments.output and microscope.camera.name == ASSUMED:
        raise InputError(
            f"{stack.name}: gives no baseline and gain of the camera, which a camera file needs: give --camera, "
            "or --baseline and --electrons-per-adu"
        )
    return microscope.camera, microscope.assumed


def _measured(stack: Stack, camera: Camera, arguments: argparse.Namespace) -> SpotPsf:
    """Measure, and show how far it is."""
    from napari_subpixel.calibration import measure_psf

    z_stack = Z_STACK[arguments.z_stack]
    steps = measure_psf.steps(stack, camera, frames=arguments.frames, roi=arguments.roi, z_stack=z_stack)
    with progress_bar(100, "%", "psf") as bar:
        while True:
            try:
                share = next(steps)
            except StopIteration as end:
                return end.value
            bar.update(round(100 * share) - bar.n)


def _write(arguments: argparse.Namespace, camera: Camera, pixel_size_nm: PixelSize, measured: SpotPsf) -> None:
    """Write the camera as it was given, or estimated, and the PSF, in one file."""
    import yaml

    size = list(pixel_size_nm) if isinstance(pixel_size_nm, tuple) else pixel_size_nm
    document = {
        "camera": {**_camera_section(arguments, camera), "pixel_size_nm": size},
        "psf": measured.psf(pixel_size_nm).to_dict(),
        "psf_measurement": {
            "program": f"napari-subpixel {__version__}",
            "movie": str(arguments.movie),
            "sigma_px": measured.sigma_px,
            "sigma_uncertainty_px": measured.sigma_uncertainty_px,
            "n_spots": measured.n_spots,
            "n_sources": measured.n_sources,
            "verdict": measured.verdict,
            "notes": list(measured.notes),
        },
    }
    with atomic_output(arguments.output) as draft:
        draft.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _camera_section(arguments: argparse.Namespace, camera: Camera) -> dict[str, Any]:
    """Return the camera's fields; maps stay in their files, which are named as seen from the output."""
    if not arguments.camera:
        return camera.to_dict()
    values = records.read_section(arguments.camera, "camera")
    for field in MAPS:
        if isinstance(values.get(field), str):
            map_path = arguments.camera.resolve().parent / values[field]
            values[field] = Path(os.path.relpath(map_path, arguments.output.resolve().parent)).as_posix()
    given = record_flags.given(arguments, Camera)
    estimated = {name: getattr(camera, name) for name in unknown_gain(arguments)}
    return {**values, **given, **estimated}


def _text(measured: SpotPsf, pixel_size_nm: PixelSize | None) -> str:
    """Return the result as lines of text."""
    sources = f"{measured.n_sources} bead{'s' if measured.n_sources > 1 else ''}"
    if measured.n_sources > 1 and not measured.z_stack:
        sources += " or molecules"
    along_y, along_x = (f"{width:.3f} px" for width in (measured.shape.sigma_y_px, measured.shape.sigma_x_px))
    if isinstance(pixel_size_nm, tuple):  # where a round PSF is elongated in pixels
        along_y += f" ({measured.shape.sigma_y_px * pixel_size_nm[0]:.1f} nm)"
        along_x += f" ({measured.shape.sigma_x_px * pixel_size_nm[1]:.1f} nm)"
    return (
        f"{measured.width_text(pixel_size_nm)}\n"
        f"along y {along_y}, along x {along_x}\n"
        f"{measured.n_spots} spots of {sources}, in {measured.n_frames} frames that were searched\n"
        f"{measured.verdict}"
    )


def _document(
    arguments: argparse.Namespace,
    measured: SpotPsf,
    pixel_size_nm: PixelSize | None,
    assumed: tuple[str, ...],
    bad: BadPixels,
) -> dict[str, Any]:
    nm: dict[str, Any] = {}
    if pixel_size_nm is not None:
        size_nm = mean_pixel_size(pixel_size_nm)
        nm = {"pixel_size_nm": pixel_size_nm, "sigma_nm": measured.sigma_px * size_nm}
        nm["sigma_uncertainty_nm"] = measured.sigma_uncertainty_px * size_nm
    return {
        "movie": str(arguments.movie),
        **nm,
        **measured.to_dict(),
        "assumed": list(assumed),
        "bad_pixels": bad.summary,
    }
