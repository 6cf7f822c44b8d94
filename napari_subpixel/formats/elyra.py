"""The text table of Zeiss's Elyra: nm from the outer corner, frames from 1, a footer on the image below the rows."""

from __future__ import annotations

from napari_subpixel.coordinates import CENTRE_FROM_CORNER
from napari_subpixel.formats.flavours import Column, Flavour, Unit

#: ``Position X`` runs from 0 to the number of pixels times their size, that is from corner to corner.
FLAVOUR = Flavour(
    "Zeiss Elyra table",
    (
        Column("First Frame", ("frame",), Unit.FRAME, required=True),
        Column("Position X [nm]", ("x",), Unit.POSITION_NM, required=True),
        Column("Position Y [nm]", ("y",), Unit.POSITION_NM, required=True),
        Column("Position Z [nm]", ("z_nm",), Unit.DEPTH_NM),
        Column("Number Photons", ("photons",)),
        Column("Precision [nm]", ("y_uncertainty", "x_uncertainty"), Unit.LENGTH_NM),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    row_number="Index",
)
