"""DECODE's h5: its x is the row, its y the column; pixels or nm, frames from 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import CENTRE_AT_ZERO, PixelSize, checked_pixel_size, nm_to_px, pixel_size_yx
from napari_subpixel.errors import InputError, PixelSizeError, shown
from napari_subpixel.formats import notes
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.localizations import Localizations

#: The datasets of ``/data`` that are one column each, and the columns of ours that they fill.
DATASET_COLUMNS = {"prob": "probability", "phot": "photons", "bg": "background"}


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None, skip_invalid: bool = False) -> Localizations:
    """Read a table of emitters that DECODE saved.

    Parameters
    ----------
    path : path-like
        The h5 file.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width, in place of the one in the file.
    skip_invalid : bool
        Whether rows without a finite frame, y or x are left out, with a warning.

    Returns
    -------
    Localizations
        Its rows.
    """
    path = Path(path)
    with open_hdf5(path) as file, naming(path):
        meta = dict(file["meta"].attrs) if "meta" in file else {}
        data = _datasets(file)
        size = _pixel_size_nm(meta)
        if pixel_size_nm is not None:
            size = checked_pixel_size(pixel_size_nm)
        columns = {"frame": data["frame_ix"], **_positions(data, meta, size)}
        columns |= {ours: data[name] for name, ours in DATASET_COLUMNS.items() if name in data}
        about: dict[str, Any] = {"pixel_size_nm": size}
        if skip_invalid:
            columns = notes.finite_rows(path, columns, about)
        return Localizations(columns, **about)


def _datasets(file: Any) -> dict[str, NDArray[Any]]:
    """Return the datasets of ``/data`` that hold anything."""
    if "data" not in file:
        raise InputError(f"no /data in it; there are {', '.join(file) or 'none'}")
    group = file["data"]
    if not hasattr(group, "keys"):
        raise InputError(f"/data must be a group with xyz and frame_ix, got a dataset of shape {group.shape}")
    missing = [name for name in ("xyz", "frame_ix") if name not in group]
    if missing:
        raise InputError(f"missing {', '.join(missing)} in /data; there are {', '.join(group) or 'none'}")
    for name in group:
        if hasattr(group[name], "keys"):
            raise InputError(f"/data/{name} must be an array, got a group")
    arrays = {name: np.asarray(group[name][()]) for name in group if group[name].shape is not None}
    return {name: a for name, a in arrays.items() if not a.size or a.dtype.kind != "f" or not np.isnan(a).all()}


def _positions(data: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], size_nm: PixelSize | None) -> dict[str, Any]:
    unit = meta.get("xy_unit")
    if not isinstance(unit, str) or unit not in ("px", "nm"):
        raise InputError(f"/meta must have xy_unit 'px' or 'nm', got {shown(unit)}")
    if unit == "nm" and size_nm is None:
        raise PixelSizeError("positions are in nm and the pixel size is not known")
    lengths = pixel_size_yx(1.0 if unit == "px" or size_nm is None else size_nm)
    columns = {}
    for name, suffix in (("xyz", ""), ("xyz_sig", "_uncertainty")):
        if name in data:
            if data[name].ndim != 2 or data[name].shape[1] != 3:
                raise InputError(f"/data/{name} must have shape (N, 3), got {data[name].shape}")
            for axis, (ours, length) in enumerate(zip(("y", "x"), lengths, strict=True)):
                columns[ours + suffix] = nm_to_px(data[name][:, axis], length, first_centre_px=CENTRE_AT_ZERO)
    return {**columns, "z_nm": data["xyz"][:, 2]}


def _pixel_size_nm(meta: Mapping[str, Any]) -> PixelSize | None:
    """Return height and width of a pixel, where the file says them: DECODE's first axis is the row."""
    if "px_size" not in meta:
        return None
    try:
        sizes = np.asarray(meta["px_size"], dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise InputError(f"px_size must be the height and width in nm, got {shown(meta['px_size'])}") from None
    if sizes.size not in (1, 2) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"px_size must be the height and width of a pixel in nm, got {sizes.tolist()}")
    return checked_pixel_size((sizes[0], sizes[-1]))
