"""``napari-subpixel filter``: some rows of a table, chosen by an expression, frames, a region or their neighbours."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.records import naming
from napari_subpixel.cli.common import (
    add_output_table,
    add_pixel_size_of_table,
    add_table_arguments,
    frame_range,
    read_table_to_write,
    region,
)
from napari_subpixel.cli.filtering import add_keep_argument, report_kept
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.parsing import UsageError
from napari_subpixel.cli.tables import print_json

if TYPE_CHECKING:
    from napari_subpixel.localizations import Localizations


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("filter")
    parser.add_argument("localizations", type=Path, metavar="TABLE", help="table, in any format that is read")
    add_output_table(parser)
    add_keep_argument(parser)
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="a region, in pixels, ends excluded")
    parser.add_argument(
        "--min-neighbours",
        type=int,
        metavar="N",
        help="keep rows with at least this many others within --radius-nm, of all frames, after the other filters",
    )
    parser.add_argument("--radius-nm", type=float, metavar="NM", help="radius for --min-neighbours")
    add_pixel_size_of_table(parser)
    add_table_arguments(parser, "TABLE")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read a table, keep some rows, and write them."""
    from napari_subpixel import formats
    from napari_subpixel.analysis.parts import beyond
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    output: Path = arguments.output
    if (arguments.min_neighbours is None) != (arguments.radius_nm is None):
        raise UsageError(
            "filter: --min-neighbours needs --radius-nm, and --radius-nm needs --min-neighbours (--help explains)"
        )
    if all(getattr(arguments, name) is None for name in ("keep", "frames", "roi", "min_neighbours")):
        raise UsageError("filter: nothing to filter by: give --keep, --frames, --roi or --min-neighbours")
    check_inputs_stay([(arguments.localizations, output)])
    formats.check_can_write(output, overwrite=arguments.overwrite)
    table = read_table_to_write(arguments)
    for warning in beyond(table, arguments.frames, arguments.roi):
        warn(f"{arguments.localizations}: {warning}")
    steps = []
    with naming(arguments.localizations):
        kept = table
        for what, rows in _filtered(table, arguments):
            steps.append({"filter": what, "n_rows": len(rows)})
            keep = arguments.keep if arguments.keep is not None and what == arguments.keep.text else None
            report_kept(arguments.localizations, kept, rows, what, keep)
            kept = rows
    formats.write(output, kept, overwrite=arguments.overwrite)
    say(f"{output}: {counted(len(kept), 'row')}")
    if arguments.json:
        document = {"table": str(output), "n_rows": len(table), "n_kept": len(kept), "filters": steps}
        print_json({**document, "keep": None if arguments.keep is None else arguments.keep.text})
    return 0


def _filtered(table: Localizations, arguments: argparse.Namespace) -> Iterator[tuple[str, Localizations]]:
    """Yield each filter's description and the rows that it and those before it leave."""
    from napari_subpixel.analysis.density import keep_dense
    from napari_subpixel.analysis.parts import keep_frames, keep_region

    if arguments.frames is not None:
        start, stop = arguments.frames
        table = keep_frames(table, start, stop)
        yield f"frames {'' if start is None else start}:{'' if stop is None else stop}", table
    if arguments.roi is not None:
        (y0, y1), (x0, x1) = arguments.roi
        table = keep_region(table, arguments.roi)
        yield f"region {y0}:{y1},{x0}:{x1}", table
    if arguments.keep is not None:
        table = arguments.keep.keep(table)
        yield arguments.keep.text, table
    if arguments.min_neighbours is not None:
        table = keep_dense(table, min_neighbours=arguments.min_neighbours, radius_nm=arguments.radius_nm)
        yield f"at least {arguments.min_neighbours} others within {arguments.radius_nm:g} nm", table
