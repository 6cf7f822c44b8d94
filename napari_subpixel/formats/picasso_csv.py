"""Picasso's own csv: its columns as they are in its hdf5, in pixels with the first centre at 0, frames from 0."""

from __future__ import annotations

from napari_subpixel.coordinates import CENTRE_AT_ZERO
from napari_subpixel.formats.flavours import Column, Flavour, Unit

FLAVOUR = Flavour(
    "Picasso csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("x", ("x",), Unit.POSITION_PX, required=True),
        Column("y", ("y",), Unit.POSITION_PX, required=True),
        Column("photons", ("photons",)),
        Column("sx", ("sigma",), Unit.LENGTH_PX),
        Column("sy", ("sigma",), Unit.LENGTH_PX),
        Column("bg", ("background",)),
        Column("lpx", ("x_uncertainty",), Unit.LENGTH_PX),
        Column("lpy", ("y_uncertainty",), Unit.LENGTH_PX),
        Column("z", ("z_nm",), Unit.DEPTH_NM),
        Column("probability", ("probability",)),
        Column("class_index", ("class_index",)),
    ),
    first_centre_px=CENTRE_AT_ZERO,
    first_frame=0,
    identified_by=("photons", "lpx", "lpy"),
    lengths="pixels",
)
