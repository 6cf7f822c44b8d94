"""``napari-subpixel link``: the rows of each molecule, in frame after frame, become one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_subpixel._util.records import naming
from napari_subpixel.cli.common import (
    add_output_table,
    add_pixel_size_of_table,
    add_table_arguments,
    read_table_to_write,
)
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.tables import print_json


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("link")
    parser.add_argument("localizations", type=Path, metavar="TABLE", help="table, in any format that is read")
    add_output_table(parser)
    parser.add_argument(
        "--max-dark-frames",
        type=int,
        metavar="N",
        help="bridge up to so many frames without a row (as many as molecules of the table are dark for)",
    )
    parser.add_argument(
        "--max-distance-nm",
        type=float,
        metavar="NM",
        help="link nothing beyond this distance (what the uncertainties allow)",
    )
    add_keep_argument(parser)
    parser.add_argument(
        "--group", action="store_true", help="keep all rows, with the number of their molecule in a column 'group'"
    )
    parser.add_argument("--times", type=Path, metavar="TIMES.csv", help="also write on and off times, a row a molecule")
    parser.add_argument("--plot", type=Path, metavar="PLOT.png", help="also draw their histograms (.png, .pdf or .svg)")
    add_pixel_size_of_table(parser)
    add_table_arguments(parser, "TABLE")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read a table, link its rows, and write the molecules."""
    from napari_subpixel import formats
    from napari_subpixel._util.figures import check_plot_output
    from napari_subpixel._util.files import check_can_write
    from napari_subpixel.analysis.blinking import blinking_times, plot_times, write_times
    from napari_subpixel.analysis.linking import GROUP, link
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    output: Path = arguments.output
    also_written = [path for path in (arguments.times, arguments.plot) if path]
    check_inputs_stay([(arguments.localizations, output)], also_written=also_written)
    formats.check_can_write(output, overwrite=arguments.overwrite)
    if arguments.times:
        check_can_write(arguments.times, overwrite=arguments.overwrite)
    if arguments.plot:
        check_plot_output(arguments.plot, overwrite=arguments.overwrite)
    table = read_table_to_write(arguments)
    table = kept_rows(table, arguments.keep, arguments.localizations)
    with naming(arguments.localizations):
        linked = link(table, max_dark_frames=arguments.max_dark_frames, max_distance_nm=arguments.max_distance_nm)
    times = blinking_times(linked)
    warnings = [*linked.warnings, *times.warnings]
    for warning in warnings:
        warn(f"{arguments.localizations}: {warning}")
    if arguments.group and GROUP in table:
        warn(f"{arguments.localizations}: the column {GROUP!r} that was there is replaced")
    formats.write(output, linked.grouped() if arguments.group else linked.marked(), overwrite=arguments.overwrite)
    if arguments.times:
        write_times(arguments.times, times)
    if arguments.plot:
        plot_times(arguments.plot, times, overwrite=arguments.overwrite)
    n_beads = int(linked.is_bead.sum())
    n = len(linked.molecules) - n_beads
    beads = f" and {counted(n_beads, 'row')} of beads" if n_beads else ""
    on = f", on for {times.on_frames.mean():.2f} frames on average" if len(times.on_frames) else ""
    dark = linked.max_dark_frames
    bridged = f"up to {counted(dark, 'dark frame')} bridged" if dark else "no dark frames bridged"
    say(f"{output}: {counted(len(table), 'row')} of {counted(n, 'molecule')}{beads}{on}, {bridged}")
    if not len(table):
        warn(f"{arguments.localizations}: no rows: there is nothing to link")
    if arguments.json:
        print_json({"table": str(output), **linked.to_dict(), **times.to_dict(), "warnings": warnings})
    return 0
