"""ThunderSTORM's csv: nm from the outer corner of the first pixel, frames from 1."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel.coordinates import CENTRE_FROM_CORNER, PixelSize
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.csv_writing import write_csv
from napari_subpixel.formats.flavours import ORIGINS, Column, Flavour, Unit, Variant
from napari_subpixel.formats.protocol import outputs
from napari_subpixel.localizations import LocalizationParts, Localizations

__all__ = ["FLAVOUR", "outputs", "read", "write"]

#: ``uncertainty [nm]`` is the older name of ``uncertainty_xy [nm]``; ``detections`` is that of merged molecules.
#: The columns that are named as ours are ours.
FLAVOUR = Flavour(
    "ThunderSTORM csv",
    (
        Column("frame", ("frame",), Unit.FRAME, required=True),
        Column("x [nm]", ("x",), Unit.POSITION_NM, required=True),
        Column("y [nm]", ("y",), Unit.POSITION_NM, required=True),
        Column("z [nm]", ("z_nm",), Unit.DEPTH_NM),
        Column("sigma [nm]", ("sigma",), Unit.LENGTH_NM),
        Column("intensity [photon]", ("photons",)),
        Column("offset [photon]", ("background",)),
        Column(
            "uncertainty_xy [nm]", ("y_uncertainty", "x_uncertainty"), Unit.LENGTH_NM, aliases=("uncertainty [nm]",)
        ),
        Column("probability", ("probability",), digits=7),
        Column("class_index", ("class_index",)),
        Column("detections", ("n_frames",), aliases=("n_frames",)),
        Column("first_frame", ("first_frame",), Unit.FRAME),
        Column("last_frame", ("last_frame",), Unit.FRAME),
    ),
    first_centre_px=CENTRE_FROM_CORNER,
    row_number="id",
    quoted=True,
    holds_extra=True,
    # Picasso's has positions and frames as Picasso counts them, and no background noise.
    variant=Variant("Picasso's export for ThunderSTORM", ORIGINS["picasso"], zeros="bkgstd [photon]"),
)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None) -> Localizations:
    """Read a ThunderSTORM table: a result, or the truth of its generator.

    Parameters
    ----------
    path : path-like
        The csv file.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width; needed unless this program wrote the protocol file
        beside the table.

    Returns
    -------
    Localizations
        Its rows. Other columns with numbers, such as ``sigma1 [nm]`` and ``chi2``, keep their names.
    """
    return read_csv(path, [FLAVOUR], pixel_size_nm=pixel_size_nm)


def write(path: str | Path, localizations: Localizations | LocalizationParts, *, overwrite: bool = False) -> None:
    """Write a ThunderSTORM table and its protocol file; only what was measured gets a column, and so do your own.

    The one uncertainty that the format knows is the root mean square of those along y and x.

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
