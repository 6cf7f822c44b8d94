"""The ground truth csv of the simulated two-dimensional Gaussian sets: nm from the outer corner, frames from 1."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.coordinates import CENTRE_FROM_CORNER, PixelSize
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.flavours import Column, Flavour, Unit
from napari_subpixel.localizations import Localizations

FLAVOUR = Flavour(
    "2D Gaussian truth csv",
    (
        Column("Frame", ("frame",), Unit.FRAME, required=True),
        Column("x (nm)", ("x",), Unit.POSITION_NM, required=True),
        Column("y (nm)", ("y",), Unit.POSITION_NM, required=True),
        Column("sigma (nm)", ("sigma",), Unit.LENGTH_NM),
        Column("Intensity (photons)", ("photons",)),
        Column("Offset (photons)", ("background",)),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    row_number="No",
)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None) -> Localizations:
    """Read the truth of a simulated set, ``No,Frame,Emitter,x (nm),y (nm),...``."""
    return read_csv(path, [FLAVOUR], pixel_size_nm=pixel_size_nm)
