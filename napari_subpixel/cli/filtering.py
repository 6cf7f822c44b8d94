"""Arguments that choose rows of a table, which several commands share, and the rows that they keep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_subpixel._util.records import naming
from napari_subpixel.cli.messages import say, warn

if TYPE_CHECKING:
    from napari_subpixel.analysis.filters import Filter
    from napari_subpixel.localizations import Localizations

#: What an option for an expression means.
KEEP_HELP = (
    "keep the rows for which an expression holds, such as 'uncertainty < 20 & photons > 500': lengths in nm unless "
    "they say px or um, frames from 0"
)


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
    say(f"{path}: {len(kept):,} of {len(table):,} rows are kept ({keep.text})")
    if len(table) and not len(kept):
        warn(f"{path}: no row is kept by {keep.text!r}")
    return kept
