"""Tables of no known program whose headings name no unit, as scripts write them: the unit must be given."""

from __future__ import annotations

from napari_subpixel.coordinates import CENTRE_AT_ZERO
from napari_subpixel.formats.flavours import Column, Flavour, Unit

FLAVOUR = Flavour(
    "Plain csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("x", ("x",), Unit.POSITION_PX, required=True),
        Column("y", ("y",), Unit.POSITION_PX, required=True),
        Column("z", ("z_nm",), Unit.DEPTH_NM, aliases=("z_nm",)),
        Column("photons", ("photons",), aliases=("intensity", "phot", "photon")),
        Column("background", ("background",), aliases=("bg", "offset")),
        Column("sigma", ("sigma",), Unit.LENGTH_PX, aliases=("sx",)),
        Column("x_uncertainty", ("x_uncertainty",), Unit.LENGTH_PX, aliases=("lpx", "uncertainty_x")),
        Column("y_uncertainty", ("y_uncertainty",), Unit.LENGTH_PX, aliases=("lpy", "uncertainty_y")),
        Column(
            "uncertainty",
            ("y_uncertainty", "x_uncertainty"),
            Unit.LENGTH_PX,
            aliases=("uncertainty_xy", "precision", "lp"),
            unless=("x_uncertainty", "y_uncertainty"),
        ),
        Column("probability", ("probability",), aliases=("prob",)),
        Column("class_index", ("class_index",)),
    ),
    first_centre_px=CENTRE_AT_ZERO,
    first_frame=0,
    row_number="id",
    lengths="unknown",
    assumption="what the table counts from is not known: positions are taken from the centre of the first pixel, and "
    "frames from 0",
)
