"""rapidSTORM's text table: a line of XML that names the columns, nm from the first pixel's centre, frames from 0."""

from __future__ import annotations

from napari_subpixel.coordinates import CENTRE_AT_ZERO
from napari_subpixel.formats.flavours import Column, Flavour, Unit

#: ``Amplitude-0-0`` and ``LocalBackground-0-0`` are in ADU, not photons, and keep their names.
FLAVOUR = Flavour(
    "rapidSTORM table",
    (
        Column("ImageNumber-0-0", ("frame",), Unit.FRAME, required=True),
        Column("Position-0-0 [nm]", ("x",), Unit.POSITION_NM, required=True, aliases=("Position-0-0 [nanometer]",)),
        Column("Position-1-0 [nm]", ("y",), Unit.POSITION_NM, required=True, aliases=("Position-1-0 [nanometer]",)),
        Column("Position-2-0 [nm]", ("z_nm",), Unit.DEPTH_NM, aliases=("Position-2-0 [nanometer]",)),
    ),
    first_centre_px=CENTRE_AT_ZERO,
    first_frame=0,
)
