"""The csv of LiteLoc and FD-DeepLoc: nm from the outer corner of the first pixel, frames from 1."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.coordinates import CENTRE_FROM_CORNER, PixelSize
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.flavours import Column, Flavour, Unit
from napari_subpixel.localizations import Localizations

#: Distinguished from SMAP's csv, which measures from another origin, by the name of the photons column.
FLAVOUR = Flavour(
    "LiteLoc csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("xnm", ("x",), Unit.POSITION_NM, required=True),
        Column("ynm", ("y",), Unit.POSITION_NM, required=True),
        Column("znm", ("z_nm",), Unit.DEPTH_NM),
        Column("photon", ("photons",)),
        Column("prob", ("probability",)),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    identified_by=("photon",),
)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None) -> Localizations:
    """Read a result of LiteLoc or FD-DeepLoc, ``frame,xnm,ynm,znm,photon,prob``."""
    return read_csv(path, [FLAVOUR], pixel_size_nm=pixel_size_nm)
