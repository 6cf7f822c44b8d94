"""``napari-subpixel report``: a table in, a report out."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.common import add_table_arguments
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.record_flags import pixel_size
from napari_subpixel.cli.resolution import measured_with_details, table_in_nm
from napari_subpixel.cli.tables import print_json

if TYPE_CHECKING:
    from napari_subpixel.analysis.drift_curve import DriftCurve
    from napari_subpixel.localizations import Localizations


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("report")
    parser.add_argument("table", type=Path, metavar="TABLE", help="table, in any format that is read")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html", help="page to write")
    parser.add_argument(
        "--trace", type=Path, metavar="DRIFT.csv", help="drift that was corrected, as drift --trace wrote it: plotted"
    )
    parser.add_argument(
        "--pixel-size-nm",
        type=pixel_size,
        metavar="NM",
        help="of the camera, or height,width, where the table is in pixels",
    )
    add_keep_argument(parser)
    add_table_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and write the page."""
    from napari_subpixel.analysis.drift_curve import DriftCurve
    from napari_subpixel.reports.contents import Contents
    from napari_subpixel.reports.page import check_report_output, write_report
    from napari_subpixel.runs.figure import image_of

    check_report_output(arguments.output, overwrite=arguments.overwrite)
    table = kept_rows(table_in_nm(arguments), arguments.keep, arguments.table)
    drift = None if arguments.trace is None else DriftCurve.read(arguments.trace)
    of_drift = [] if drift is None else _checked(drift, table, arguments)
    measured = measured_with_details(table, arguments.table)
    steps: dict[str, str] = {}
    skipped: dict[str, str] = {}
    if arguments.keep is not None:
        steps["filter"] = f"{arguments.keep.text}: {len(table):,} localizations"
    contents = Contents(
        arguments.table.name,
        table,
        command_of(arguments),
        measured,
        drift,
        None,
        image_of(table, steps, skipped),
        steps,
        skipped,
        (*table.provenance.get("warnings", ()), *of_drift, *measured.warnings),
        {**table.provenance, "pixel_size_nm": table.pixel_size_nm},
    )
    write_report(arguments.output, contents, overwrite=arguments.overwrite)
    say(f"{arguments.output}: report on {counted(len(table), 'localization')}")
    for warning in of_drift:
        warn(warning)
    for warning in measured.warnings:
        warn(f"{arguments.table}: {warning}")
    if arguments.json:
        print_json({"report": str(arguments.output), **measured.to_dict()})
    return 0


def _checked(drift: DriftCurve, table: Localizations, arguments: argparse.Namespace) -> list[str]:
    """Refuse a trace of a movie of another length, and return what makes it doubtful."""
    from napari_subpixel.analysis.traces import check_fits, check_was_subtracted

    names = arguments.trace, arguments.table
    return [*check_fits(drift, table, *names), *check_was_subtracted(drift, table, *names)]


def command_of(arguments: argparse.Namespace) -> str:
    """Return the command line that was typed, without what only concerns replacing files and printing."""
    return shlex.join(["napari-subpixel", *(part for part in arguments.argv if part not in NOT_REPEATED)])


#: Flags that a command is repeated without.
NOT_REPEATED = ("--overwrite", "--resume", "--json", "-q", "--quiet", "-v", "--verbose")
