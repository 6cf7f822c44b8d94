"""``napari-subpixel figure``: a movie in; tables, image and report out."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.announcements import Announcements
from napari_subpixel.cli.common import add_camera_arguments, add_movie_arguments, frame_range, region
from napari_subpixel.cli.detect import (
    add_left_out_arguments,
    detector_from,
    no_empty_folder_left,
    opened_in_nm,
    options_from,
    watched,
)
from napari_subpixel.cli.filtering import add_keep_argument
from napari_subpixel.cli.messages import counted, say
from napari_subpixel.cli.parsing import UsageError
from napari_subpixel.cli.report import command_of
from napari_subpixel.cli.simulate import add_psf_argument
from napari_subpixel.cli.tables import print_json

if TYPE_CHECKING:
    from napari_subpixel.detection.options import DetectionOptions
    from napari_subpixel.runs.batch import Outcome
    from napari_subpixel.runs.figure import Figure
    from napari_subpixel.stacks import Stack


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    from napari_subpixel.detection.devices import DEVICES

    parser = subparsers.add_parser("figure")
    parser.add_argument("movie", metavar="MOVIE", help="TIFF, OME-TIFF, Zarr, or a folder of single frames")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder for what is made")
    parser.add_argument("--model", default="default", metavar="NAME|PATH", help="shipped model or model file (default)")
    parser.add_argument("--threshold", type=float, metavar="P", help="lowest probability reported (the model's)")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to run (auto)")
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="part of the frame, in pixels")
    add_left_out_arguments(parser)
    parser.add_argument("--fiducials", action="store_true", help="correct drift by fiducials, not by the molecules")
    add_keep_argument(parser)
    add_movie_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="continue an interrupted detection, keep a finished one")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    add_psf_argument(parser)
    add_camera_arguments(parser)
    parser.set_defaults(run=run, scheduler=None)


def run(arguments: argparse.Namespace) -> int:
    """Detect, then make the figure."""
    with no_empty_folder_left(arguments.output):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from napari_subpixel import formats
    from napari_subpixel.runs.figure import DETECTED, FILES, check_figure_outputs, check_filter, figure, is_begun
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    folder: Path = arguments.output
    if arguments.fiducials and arguments.drop_static:
        raise UsageError("--fiducials follows beads, which --drop-static leaves out: give one of them")
    if arguments.keep is not None:
        check_filter(arguments.keep)
    # The figure is made again from a detection that is resumed; other files of these names are not its own.
    overwrite = arguments.overwrite or (arguments.resume and is_begun(folder))
    also_written = [folder / name for name in FILES.values()]
    check_inputs_stay([(arguments.movie, folder / DETECTED)], also_written=also_written)
    options = options_from(arguments)
    opened = opened_in_nm(arguments.movie, options, "a figure")
    announced = Announcements(None, False, arguments.camera)
    with opened if opened is not None else nullcontext():
        check_figure_outputs(folder, overwrite=overwrite)
        outcome = _detected(arguments, options, folder / DETECTED, announced, opened)
    table = formats.read(folder / DETECTED)
    name = Path(arguments.movie).name
    # What a resumed detection warned of before is in its table only.
    of_table = (f"{name}: {warning}" for warning in table.provenance.get("warnings", ()))
    warnings = dict.fromkeys((*outcome.warnings, *of_table))
    steps = figure.steps(
        table,
        folder,
        name=name,
        command=command_of(arguments),
        keep=arguments.keep,
        fiducials=arguments.fiducials,
        warnings=tuple(warning.removeprefix(f"{name}: ") for warning in warnings),
        overwrite=overwrite,
    )
    made = _watched(steps, name)
    _report(made, name, announced)
    announced.repeat_misfits(outcome.movie)
    if arguments.json:
        resolution = made.contents.resolution
        print_json(
            {
                "files": [str(path) for path in made.files],
                "steps": dict(made.contents.steps),
                "skipped": dict(made.contents.skipped),
                **(resolution.to_dict() if resolution else {}),
                "warnings": list(made.contents.warnings),
            }
        )
    return 0


def _detected(
    arguments: argparse.Namespace,
    options: DetectionOptions,
    table: Path,
    announced: Announcements,
    opened: Stack | None,
) -> Outcome:
    from napari_subpixel.runs.batch import detect_batch

    detector = detector_from(arguments)
    events = detect_batch(
        [(arguments.movie, table)],
        detector,
        options,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        opened=opened,
    )
    (done,) = watched(events, announced)
    if done.error is not None:
        raise done.error
    if done.skipped:
        say(f"{table}: done already, kept")
        return done
    for what in (*filter(None, [done.own_settings]), *done.assumed):
        announced.say(f"{done.movie.name}: {what}")
    found, frames = counted(done.n_molecules, "localization"), counted(done.n_frames, "frame")
    say(f"{done.movie.name}: {found} in {frames}, {done.seconds:.0f} s")
    return done


def _watched(steps: Any, name: str) -> Figure:
    said = ""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            made: Figure = end.value
            return made
        if step != said:
            say(f"{name}: {step} ...")
        said = step


def _report(made: Figure, name: str, announced: Announcements) -> None:
    for step, what in made.contents.steps.items():
        say(f"{step}: {what}")
    for step, why in made.contents.skipped.items():
        say(f"{step}: left out: {why}")
    for warning in made.contents.warnings:
        announced.warn(f"{name}: {warning}")
    for path in made.files:
        say(f"wrote {path}")
