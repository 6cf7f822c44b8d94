"""DECODE's h5: its x is the row, its y the column; pixels or nm, frames from 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import CENTRE_AT_ZERO, nm_to_px
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.localizations import Localizations

#: The datasets of ``/data`` that are one column each, and the columns of ours that they fill.
DATASET_COLUMNS = {"prob": "probability", "phot": "photons", "bg": "background"}


def read(path: str | Path, *, pixel_size_nm: float | None = None) -> Localizations:
    """Read a table of emitters that DECODE saved.

    Parameters
    ----------
    path : path-like
        The h5 file.
    pixel_size_nm : float, optional
        Width of a camera pixel in nm, in place of the one in the file.

    Returns
    -------
    Localizations
        Its rows.
    """
    path = Path(path)
    with open_hdf5(path) as file, naming(path):
        meta = dict(file["meta"].attrs) if "meta" in file else {}
        data = _datasets(file)
        size = pixel_size_nm if pixel_size_nm is not None else _pixel_size_nm(meta)
        columns = {"frame": data["frame_ix"], **_positions(data, meta, size)}
        columns |= {ours: data[name] for name, ours in DATASET_COLUMNS.items() if name in data}
        return Localizations(columns, pixel_size_nm=size)


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
    arrays = {name: np.asarray(group[name][()]) for name in group if group[name].shape is not None}
    return {name: a for name, a in arrays.items() if not a.size or a.dtype.kind != "f" or not np.isnan(a).all()}


def _positions(data: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], size: float | None) -> dict[str, Any]:
    unit = meta.get("xy_unit")
    if unit not in ("px", "nm"):
        raise InputError(f"/meta must have xy_unit 'px' or 'nm', got {unit!r}")
    if unit == "nm" and size is None:
        raise PixelSizeError("positions are in nm and the pixel size is not known")
    columns = {}
    for name, suffix in (("xyz", ""), ("xyz_sig", "_uncertainty")):
        if name in data:
            if data[name].ndim != 2 or data[name].shape[1] != 3:
                raise InputError(f"/data/{name} must have shape (N, 3), got {data[name].shape}")
            for axis, ours in enumerate(("y", "x")):
                values = data[name][:, axis]
                columns[ours + suffix] = (
                    values if unit == "px" or size is None else nm_to_px(values, size, first_centre_px=CENTRE_AT_ZERO)
                )
    return {**columns, "z_nm": data["xyz"][:, 2]}


def _pixel_size_nm(meta: Mapping[str, Any]) -> float | None:
    if "px_size" not in meta:
        return None
    sizes = np.unique(np.asarray(meta["px_size"], dtype=np.float64))
    if len(sizes) != 1:
        raise InputError(f"pixels must be square, got px_size {sizes.tolist()} nm")
    return float(sizes[0])
