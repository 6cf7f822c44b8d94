"""Arguments that choose rows of a table, which several commands share, and the rows that they keep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_subpixel._util.records import naming
from napari_subpixel.cli.messages import counted, say, warn

if TYPE_CHECKING:
    from napari_subpixel.analysis.filters import Filter
    from napari_subpixel.localizations import Localizations

#: What an option for an expression means.
KEEP_HELP = (
    "keep the rows for which an expression holds, such as 'uncertainty < 20 & photons > 500': lengths in nm unless "
    "they say px or um, frames from 0"
)

#: Where an expression keeps, or leaves out, at most this share of the rows, the values are shown, with their unit.
FEW_SHARE = 0.01


def row_filter(text: str) -> Filter:
    """Take an expression; a mistake in it is an error of the command line."""
    from napari_subpixel.analysis.filters import Filter
    from napari_subpixel.errors import FilterError

    try:
        return Filter.of(text)
    except FilterError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_keep_argument(parser: argparse.ArgumentParser, of: str = "") -> None:
    """Add ``--keep``; `of` names the table where there are several."""
    what = KEEP_HELP if not of else KEEP_HELP.replace("the rows", f"the rows of {of}")
    parser.add_argument("--keep", type=row_filter, metavar="EXPRESSION", help=what)


def kept_rows(table: Localizations, keep: Filter | None, path: Path) -> Localizations:
    """Return the rows of a file's table that ``--keep`` leaves, and report how many; all where it was not given.

    Raises
    ------
    InputError
        If the expression does not fit the table; the message names the file.
    """
    if keep is None:
        return table
    with naming(path):
        kept = keep.keep(table)
    report_kept(path, table, kept, keep.text, keep)
    return kept


def report_kept(path: Path, table: Localizations, kept: Localizations, what: str, keep: Filter | None = None) -> None:
    """Report how many rows of a file's table are kept; where an expression keeps nearly all or none, also the values.

    Parameters
    ----------
    path : Path
        The file.
    table, kept : Localizations
        The rows before and after.
    what : str
        What they were chosen by.
    keep : Filter, optional
        The expression, where there was one.
    """
    values = ""
    if keep is not None and min(len(kept), len(table) - len(kept)) <= FEW_SHARE * len(table) and len(table):
        from napari_subpixel.analysis.value_ranges import value_ranges

        values = f": {value_ranges(keep, table)}"
    none = len(table) and not len(kept)
    say(f"{path}: {len(kept):,} of {counted(len(table), 'row')} are kept ({what}){'' if none else values}")
    if none:
        warn(f"{path}: no row is kept by {what!r}{values}")
