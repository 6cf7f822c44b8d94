"""``napari-subpixel convert``: a table from one format into another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.common import (
    add_output_table,
    add_pixel_size_of_table,
    add_table_arguments,
    read_table_to_write,
    without_pixel_size,
)
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.tables import print_json
from napari_subpixel.coordinates import pixel_size_text
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.localizations import Localizations


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("convert")
    parser.add_argument("localizations", type=Path, metavar="TABLE", help="table, in any format that is read")
    add_output_table(parser)
    add_pixel_size_of_table(parser)
    add_table_arguments(parser, "TABLE")
    parser.add_argument(
        "--drop-copies", action="store_true", help="leave out rows with the frame, y and x of an earlier one"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read a table and write it in the format that the output's suffix names."""
    from napari_subpixel import formats
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    output: Path = arguments.output
    check_inputs_stay([(arguments.localizations, output)])
    formats.check_can_write(output, overwrite=arguments.overwrite)
    table = read_table_to_write(arguments)
    if arguments.drop_copies:
        table = _without_copies(table)
    formats.write(output, table, overwrite=arguments.overwrite)
    if notice := without_pixel_size(output, table.pixel_size_nm):
        warn(notice)
    lost = _lost(table, output)
    if lost:
        warn(f"{output}: the format has no column for {', '.join(lost)}, which were left out")
    size = "unknown" if table.pixel_size_nm is None else pixel_size_text(table.pixel_size_nm)
    say(f"{output}: {counted(len(table), 'row')}, pixel size {size}")
    if arguments.json:
        print_json({
            "table": str(output),
            "rows": len(table),
            "pixel_size_nm": table.pixel_size_nm,
            "columns": [name for name in table.columns if name not in lost],
            "left_out": lost,
        })  # fmt: skip
    return 0


def _without_copies(table: Localizations) -> Localizations:
    """Return a table without copies of rows, whose number its provenance keeps."""
    from napari_subpixel.formats.copies import copies

    copied = copies(table)
    provenance = {**table.provenance, "copies_left_out": int(copied.sum())}
    return table.select(~copied).with_about(provenance=provenance) if copied.any() else table


def _lost(table: Localizations, output: Path) -> list[str]:
    """Return the columns that were not written, by reading back what was."""
    from napari_subpixel import formats

    try:
        kept = formats.read(output).columns
    except InputError:
        return []
    return [name for name in table.columns if name not in kept and len(table)]
