"""SMAP's csv: nm, with the first pixel's centre at one whole pixel, frames from 1."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.coordinates import PixelSize
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.flavours import Column, Flavour, Unit
from napari_subpixel.localizations import Localizations

#: Distinguished from LiteLoc's csv, which measures from another origin, by the name of the photons column.
FLAVOUR = Flavour(
    "SMAP csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("xnm", ("x",), Unit.POSITION_NM, required=True),
        Column("ynm", ("y",), Unit.POSITION_NM, required=True),
        Column("znm", ("z_nm",), Unit.DEPTH_NM),
        Column("phot", ("photons",)),
        Column("bg", ("background",)),
        Column("locprecnm", ("y_uncertainty", "x_uncertainty"), Unit.LENGTH_NM),
    ),
    first_centre_px=1.0,
    row_number="ID",
    identified_by=("phot",),
)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None) -> Localizations:
    """Read a table that SMAP's own fitters made, ``ID,frame,xnm,ynm,znm,phot,bg,locprecnm``."""
    return read_csv(path, [FLAVOUR], pixel_size_nm=pixel_size_nm)
