"""``napari-subpixel resolution``: a table in, its localization precision and its resolution out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.records import naming
from napari_subpixel.cli.common import add_table_arguments, read_table, reading_from
from napari_subpixel.cli.filtering import add_keep_argument, kept_rows
from napari_subpixel.cli.messages import detail, say, warn
from napari_subpixel.cli.record_flags import pixel_size
from napari_subpixel.cli.tables import print_json
from napari_subpixel.errors import PixelSizeError

if TYPE_CHECKING:
    from napari_subpixel.analysis.filters import Filter
    from napari_subpixel.analysis.resolution import Resolution
    from napari_subpixel.localizations import Localizations

#: A table in nm alone has the same resolution at any pixel size: it is read with this one.
NOMINAL_PIXEL_SIZE_NM = 100.0


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("resolution")
    parser.add_argument("table", type=Path, metavar="TABLE", help="table, in any format that is read")
    parser.add_argument(
        "--pixel-size-nm",
        type=pixel_size,
        metavar="NM",
        help="of the camera, or height,width, where the table is in pixels",
    )
    add_keep_argument(parser)
    add_table_arguments(parser)
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PLOT.png|pdf|svg",
        help="draw the distances and the correlation (needs Matplotlib)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.plot:
        from napari_subpixel._util.figures import check_plot_output

        check_plot_output(arguments.plot, overwrite=arguments.overwrite)
    table = kept_rows(table_in_nm(arguments), arguments.keep, arguments.table)
    measured = measured_with_details(table, arguments.table)
    if arguments.plot:
        from napari_subpixel.analysis.resolution_plots import plot_resolution

        plot_resolution(measured, arguments.plot, overwrite=arguments.overwrite)
        say(f"{arguments.plot}: distances and correlation")
    if arguments.json:
        print_json(measured.to_dict())
    else:
        print(resolution_text(measured))
    for warning in measured.warnings:
        warn(f"{arguments.table}: {warning}")
    return 0


def measured_with_details(table: Localizations, path: Path) -> Resolution:
    """Measure the resolution of a file's table, with a detail for every step."""
    from napari_subpixel.analysis.resolution import resolution

    steps = resolution.steps(table)
    while True:
        try:
            detail(f"{path}: {next(steps)}")
        except StopIteration as end:
            measured: Resolution = end.value
            return measured


def table_in_nm(arguments: argparse.Namespace) -> Localizations:
    """Read the table, whose pixel size must be known only if it, or the filter of its rows, is in pixels."""
    how = reading_from(arguments)
    try:
        table = read_table(arguments.table, pixel_size_nm=arguments.pixel_size_nm, **how)
    except PixelSizeError as error:
        if arguments.pixel_size_nm is not None or error.partly_nm:
            raise
        table = read_table(arguments.table, pixel_size_nm=NOMINAL_PIXEL_SIZE_NM, **how)
        _check_in_nm(table, arguments.keep, arguments.table)
    if table.pixel_size_nm is None:
        raise PixelSizeError(f"{arguments.table}: positions are in pixels and the pixel size is not known")
    return table


def _check_in_nm(table: Localizations, keep: Filter | None, path: Path) -> None:
    """Raise `PixelSizeError` if the rows that are kept would depend on a pixel size that is only nominal."""
    if keep is None:
        return
    with naming(path):
        keep.check(table)
    if keep.in_pixels(table):
        raise PixelSizeError(f"{path}: the filter {keep.text!r} is in pixels and the pixel size is not known")


def resolution_text(measured: Resolution) -> str:
    """Return what was measured as lines of text, a number and what it means on each."""
    nena, frc = measured.nena, measured.frc
    lines = [("localizations", f"{measured.n_localizations}", "")]
    if measured.beads.places:
        lines.append(("  of beads", f"{int(measured.beads.rows.sum())}", "left out of what follows"))
    if nena.nena_nm is not None and nena.uncertainty_factor is not None:
        lines.append(
            ("NeNA", _with_error(nena.nena_nm, nena.nena_error_nm), f"mean precision, from {nena.n_pairs} pairs")
        )
        factor = f"x {nena.uncertainty_factor:.3f} +- {nena.uncertainty_factor_error or 0:.3f}"
        lines.append(("uncertainties", factor, "factor on them that makes them the scatter of molecules"))
    if nena.textbook_nm is not None:
        what = "one precision for all rows, as published: below the mean where rows differ"
        lines.append(("NeNA, textbook", f"{nena.textbook_nm:.2f} nm", what))
    if frc.frc_nm is not None:
        by = "" if frc.correction == 1 else f" by {frc.correction:.0%}"
        corrected = f", molecules that come back corrected for{by}" if frc.is_corrected else ""
        what = f"where halves of the movie correlate by 1/7, {len(frc.splits_nm)} splits{corrected}"
        lines.append(("FRC", _with_error(frc.frc_nm, frc.frc_error_nm), what))
        if frc.is_corrected and frc.uncorrected_nm is not None:
            what = f"molecules are seen {frc.visits:.1f} separate times"
            lines.append(("  uncorrected", _with_error(frc.uncorrected_nm, frc.uncorrected_error_nm), what))
    if measured.decorrelation_nm is not None:
        lines.append(("decorrelation", f"{measured.decorrelation_nm:.1f} nm", "sharpness of the rendered image"))
    widths = [max(len(line[k]) for line in lines) for k in range(2)]
    return "\n".join(f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}".rstrip() for a, b, c in lines)


def _with_error(value: float, error: float | None) -> str:
    digits = 2 if error is not None and error < 0.1 else 1
    return f"{value:.{digits}f} +- {error:.{digits}f} nm" if error is not None else f"{value:.{digits}f} nm"
