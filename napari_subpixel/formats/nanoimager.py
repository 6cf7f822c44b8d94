"""The csv of ONI's Nanoimager: nm, frames from 0."""

from __future__ import annotations

from napari_subpixel.coordinates import CENTRE_FROM_CORNER
from napari_subpixel.formats.flavours import Column, Flavour, Unit

FLAVOUR = Flavour(
    "ONI Nanoimager csv",
    (
        Column("Frame", ("frame",), Unit.FRAME, required=True),
        Column("X (nm)", ("x",), Unit.POSITION_NM, required=True),
        Column("Y (nm)", ("y",), Unit.POSITION_NM, required=True),
        Column("Z (nm)", ("z_nm",), Unit.DEPTH_NM),
        Column("Photons", ("photons",)),
        Column("Background", ("background",)),
        Column("X precision (nm)", ("x_uncertainty",), Unit.LENGTH_NM),
        Column("Y precision (nm)", ("y_uncertainty",), Unit.LENGTH_NM),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    first_frame=0,
    identified_by=("Channel",),
    assumption="where an ONI Nanoimager csv measures from is documented nowhere: positions are taken from the outer "
    "corner of the first pixel",
)
