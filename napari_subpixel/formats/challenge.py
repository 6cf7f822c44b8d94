"""The ground truth csv of the EPFL SMLM challenges: nm from the outer corner, frames from 1."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.coordinates import CENTRE_FROM_CORNER, PixelSize
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.csv_writing import write_csv
from napari_subpixel.formats.flavours import Column, Flavour, Unit
from napari_subpixel.formats.protocol import outputs
from napari_subpixel.localizations import LocalizationParts, Localizations

__all__ = ["FLAVOUR", "outputs", "read", "write"]

#: The header ends in a space, as published.
FLAVOUR = Flavour(
    "SMLM challenge csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("xnano", ("x",), Unit.POSITION_NM, required=True),
        Column("ynano", ("y",), Unit.POSITION_NM, required=True),
        Column("znano", ("z_nm",), Unit.DEPTH_NM, always_written=True),
        Column("intensity", ("photons",), always_written=True),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    row_number="Ground-truth",
    header_end=" ",
)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None) -> Localizations:
    """Read a challenge's truth; a constant offset, which the sets of 2016 have, stays in it."""
    return read_csv(path, [FLAVOUR], pixel_size_nm=pixel_size_nm)


def write(path: str | Path, localizations: Localizations | LocalizationParts, *, overwrite: bool = False) -> None:
    """Write a table as a challenge's truth, and its protocol file; z and intensity are 0 where not measured.

    Parameters
    ----------
    path : path-like
        The csv file; ``<stem>-protocol.txt`` comes beside it.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If the pixel size is not known, a file exists and may not be replaced, or it cannot be written.
    """
    write_csv(path, localizations, FLAVOUR, overwrite=overwrite)
