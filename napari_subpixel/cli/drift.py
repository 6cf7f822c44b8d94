"""``napari-subpixel drift``: a table without the drift of its movie, the curve, and the original positions back."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel._util.records import naming
from napari_subpixel.cli.common import (
    add_pixel_size_of_table,
    add_table_arguments,
    frame_range,
    read_table,
    reading_from,
)
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import counted, detail, say, warn
from napari_subpixel.cli.parsing import UsageError
from napari_subpixel.cli.tables import print_json
from napari_subpixel.errors import CorrectedTableError, PixelSizeError

if TYPE_CHECKING:
    from napari_subpixel.analysis.drift_curve import DriftCurve
    from napari_subpixel.coordinates import PixelSize
    from napari_subpixel.localizations import Localizations


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("drift")
    parser.add_argument("localizations", type=Path, metavar="TABLE", help="table, in any format that is read")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="TABLE", help="table to write (.csv, .hdf5, .parquet)"
    )
    parser.add_argument("--trace", type=Path, metavar="TRACE.csv", help="also write the curve: a row for each frame")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="also plot the curve with its error band")
    parser.add_argument(
        "--fiducials",
        action="store_true",
        help="follow fiducials, points in most frames, instead of the molecules",
    )
    parser.add_argument(
        "--fiducial-at",
        type=place,
        action="append",
        metavar="Y,X[nm]",
        help="follow the fiducial near this place, in pixels or, as 1250,4300nm, in nm; repeatable",
    )
    parser.add_argument(
        "--apply", type=Path, metavar="TRACE.csv", help="subtract the drift of a trace instead of estimating it"
    )
    parser.add_argument(
        "--undo", action="store_true", help="restore the original positions of a table that this command corrected"
    )
    add_pixel_size_of_table(parser)
    add_keep_argument(parser)
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    add_table_arguments(parser, "TABLE")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


class Place(NamedTuple):
    """A place in the frame, in pixels or in nm from the first pixel's centre."""

    y: float
    x: float
    in_nm: bool

    def in_px(self, pixel_size_nm: PixelSize) -> tuple[float, float]:
        """Return y and x in pixels."""
        from napari_subpixel.coordinates import pixel_size_yx

        height, width = pixel_size_yx(pixel_size_nm if self.in_nm else 1.0)
        return self.y / height, self.x / width


def place(text: str) -> Place:
    """Parse ``Y,X`` or ``Y,Xnm``."""
    numbers = text.strip().removesuffix("nm")
    try:
        y, x = (float(part) for part in numbers.removesuffix("px").split(","))
    except ValueError:
        y = x = math.nan
    if not (math.isfinite(y) and math.isfinite(x)):
        raise argparse.ArgumentTypeError(f"a place is Y,X in pixels or Y,Xnm, got {text!r}")
    return Place(y, x, numbers != text.strip())


def run(arguments: argparse.Namespace) -> int:
    """Correct a table, or restore it."""
    from napari_subpixel import formats
    from napari_subpixel._util.figures import check_plot_output
    from napari_subpixel._util.files import check_can_write
    from napari_subpixel.analysis.parts import keep_frames
    from napari_subpixel.analysis.traces import trace_outputs
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    path, output = arguments.localizations, arguments.output
    _check_together(arguments)
    traces = trace_outputs(arguments.trace) if arguments.trace else ()
    written = [*traces, *([arguments.plot] if arguments.plot else [])]
    check_inputs_stay([(path, output)], also_read=filter(None, [arguments.apply]), also_written=written)
    formats.check_can_write(output, overwrite=arguments.overwrite)
    for file in traces:
        check_can_write(file, overwrite=arguments.overwrite)
    if arguments.plot:
        check_plot_output(arguments.plot, overwrite=arguments.overwrite)
    table = read_table(path, pixel_size_nm=arguments.pixel_size_nm, **reading_from(arguments))
    if arguments.frames is not None:
        with naming(path):
            table = keep_frames(table, *arguments.frames)
    table = kept_rows(table, arguments.keep, path)
    if table.pixel_size_nm is None:
        raise PixelSizeError(f"{path}: has no pixel size, and drift is in nm")
    return _undo(arguments, table) if arguments.undo else _correct(arguments, table)


def _check_together(arguments: argparse.Namespace) -> None:
    """Refuse options that exclude each other."""
    of_estimate = {
        "--trace": arguments.trace,
        "--fiducials": arguments.fiducials,
        "--fiducial-at": arguments.fiducial_at,
    }
    if arguments.undo:
        others = {**of_estimate, "--plot": arguments.plot, "--apply": arguments.apply}
        what = "restores a table"
    else:
        others, what = of_estimate, "subtracts the drift of a trace"
    given = [name for name, value in others.items() if value]
    if given and (arguments.undo or arguments.apply):
        raise UsageError(f"{'--undo' if arguments.undo else '--apply'} {what}: without {', '.join(given)}")
    if arguments.fiducials and arguments.fiducial_at:
        raise UsageError("--fiducials follows all fiducials, --fiducial-at some: give one of them")


def _correct(arguments: argparse.Namespace, table: Localizations) -> int:
    from napari_subpixel import formats

    curve = _estimate(arguments, table)
    with naming(arguments.localizations):
        corrected = curve.correct(table)
    formats.write(arguments.output, corrected, overwrite=arguments.overwrite)
    if arguments.trace:
        curve.write(arguments.trace, overwrite=arguments.overwrite)
    if arguments.plot:
        from napari_subpixel.analysis.drift_plot import plot_drift

        plot_drift(arguments.plot, curve, overwrite=arguments.overwrite)
    for warning in curve.warnings:
        warn(warning if arguments.apply else f"{arguments.localizations}: {warning}")
    _report(arguments, table, curve)
    return 0


def _estimate(arguments: argparse.Namespace, table: Localizations) -> DriftCurve:
    """Return the curve by the method that is asked for."""
    from napari_subpixel.analysis.drift import estimate_drift
    from napari_subpixel.analysis.drift_curve import DriftCurve, is_corrected
    from napari_subpixel.analysis.traces import check_fits

    path: Path = arguments.localizations
    if arguments.apply:
        if is_corrected(table):
            raise CorrectedTableError(f"{path}: drift was subtracted from it already")
        curve = DriftCurve.read(arguments.apply)
        return replace(curve, warnings=tuple(check_fits(curve, table, arguments.apply, path)))
    picks = [pick.in_px(table.known_pixel_size_nm()) for pick in arguments.fiducial_at or ()]
    steps = estimate_drift.steps(table, fiducials=picks or arguments.fiducials)
    with naming(path):
        while True:
            try:
                detail(f"{path}: {next(steps)}")
            except StopIteration as end:
                estimated: DriftCurve = end.value
                return estimated


def _undo(arguments: argparse.Namespace, table: Localizations) -> int:
    from napari_subpixel import formats
    from napari_subpixel.analysis.drift_curve import undo_drift

    with naming(arguments.localizations):
        restored = undo_drift(table)
    formats.write(arguments.output, restored, overwrite=arguments.overwrite)
    say(f"{arguments.output}: {counted(len(restored), 'row')} at their original positions")
    if arguments.json:
        print_json({"method": "undo", "output": str(arguments.output), "n_localizations": len(restored)})
    return 0


def _report(arguments: argparse.Namespace, table: Localizations, curve: DriftCurve) -> None:
    import numpy as np

    from napari_subpixel.analysis.stretches import listed_stretches

    y, x = curve.extent_nm
    known = ""
    if not arguments.apply and curve.stretches and curve.stretches != ((0, len(curve)),):
        known = f" in {listed_stretches(curve.stretches)}"
    at = f", jumps at frame {', '.join(map(str, curve.jumps))}" if curve.jumps else ""
    by = counted(len(curve.fiducials), "fiducial")
    rms = curve.rms_error_in_nm(np.unique(table.frame)) if arguments.apply else curve.rms_error_nm
    say(
        f"{arguments.output}: {counted(len(table), 'row')}; drift over {x:.1f} nm in x and {y:.1f} nm in y, by "
        f"{by if curve.fiducials else curve.method}, error {rms:.2f} nm RMS{known}{at}"
    )
    if arguments.json:
        print_json(
            {
                "method": curve.method,
                "rms_error_nm": rms,
                "x_extent_nm": x,
                "y_extent_nm": y,
                "jumps": list(curve.jumps),
                "fiducials_px": [list(place) for place in curve.fiducials],
                "n_frames": len(curve),
                "frames_with_rows": [list(stretch) for stretch in curve.stretches],
                "n_localizations": len(table),
                "warnings": list(curve.warnings),
                "output": str(arguments.output),
                "trace": None if arguments.trace is None else str(arguments.trace),
                "plot": None if arguments.plot is None else str(arguments.plot),
            }
        )
