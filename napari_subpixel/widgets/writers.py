"""Writers for napari: the shown points of a layer as a table of localizations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.errors import InputError, OutputExistsError, PixelSizeError
from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.layers.movies import KEY, pixel_size_of
from napari_subpixel.widgets.layers.points import PointArrays, table_from, table_of
from napari_subpixel.widgets.layers.table_coordinates import Coordinates


def write_csv(path: str, data: NDArray[Any], meta: dict[str, Any]) -> list[str]:
    """Write the points that a layer shows as a ThunderSTORM csv.

    napari calls this writer for any points that are saved as .csv. Points that neither come from this plugin nor have
    units of length are not localizations, and are passed on to napari's own writer.

    Parameters
    ----------
    path : str
    data : ndarray, shape (N, axes)
        The points.
    meta : dict
        The other attributes of the layer, as napari passes them.

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    OSError
        If the points are not localizations, or cannot be written.
    """
    if not _are_localizations(data, meta):
        import npe2

        # The full name: npe2 takes any command that begins with it, and this plugin's own begin with "napari" too.
        return npe2.write(path, [(data, meta, "points")], plugin_name="napari.write_points")
    return _write(path, data, meta, "csv")


def write_hdf5(path: str, data: NDArray[Any], meta: dict[str, Any]) -> list[str]:
    """Write the points that a layer shows as a Picasso hdf5.

    Parameters
    ----------
    path : str
    data : ndarray, shape (N, axes)
        The points.
    meta : dict
        The other attributes of the layer, as napari passes them.

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    OSError
        If the points are not localizations, or cannot be written.
    """
    return _write(path, data, meta, "hdf5")


def write_parquet(path: str, data: NDArray[Any], meta: dict[str, Any]) -> list[str]:
    """Write the points that a layer shows as a native parquet.

    Parameters
    ----------
    path : str
    data : ndarray, shape (N, axes)
        The points.
    meta : dict
        The other attributes of the layer, as napari passes them.

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    OSError
        If the points are not localizations, or cannot be written.
    """
    return _write(path, data, meta, "parquet")


def _write(path: str, data: NDArray[Any], meta: dict[str, Any], format_name: str) -> list[str]:
    """Write to a path, about which the dialog has asked if it exists; return the files that were written.

    Raises
    ------
    OSError
        If it cannot be written. Not an `InputError`: napari takes a `ValueError` for a missing writer.
    """
    target = _with_suffix(Path(path), format_name)
    try:
        if target != Path(path) and target.exists():
            raise OutputExistsError(f"{target}: exists already", target)
        formats.write(target, _table(data, meta), overwrite=True)
    except PixelSizeError:
        raise OSError(
            f"{target}: a {formats.format_for(target).title} is in nm, and the pixel size of {meta['name']!r} is not "
            "known: set that of its movie with Load, or save it as .hdf5 or .parquet, which are in pixels"
        ) from None
    except InputError as error:
        raise OSError(advised(error)) from error
    return [str(file) for file in formats.format_for(target).outputs(target)]


def _table(data: Any, meta: dict[str, Any]) -> Localizations:
    """Return the shown points as a table; of a layer of this plugin without making a layer of all of them again."""
    from napari.layers import Layer, Points

    if not isinstance(data, Coordinates):
        return table_of(Layer.create(data, meta, "points"))
    bare = Points(np.empty((0, data.shape[1])), scale=meta["scale"], units=meta["units"])
    notes = meta["metadata"][KEY]
    if (size := pixel_size_of(bare)) is not None:
        notes = replace(notes, about={**notes.about, "pixel_size_nm": size})
    known = data.table.columns if data.table is not None else ()
    columns = {str(name): values.to_numpy() for name, values in meta["features"].items() if name not in known}
    return table_from(PointArrays(meta["name"], data, meta["shown"], columns), notes)


def _are_localizations(data: NDArray[Any], meta: dict[str, Any]) -> bool:
    from napari.layers import Layer

    return KEY in meta.get("metadata", {}) or pixel_size_of(Layer.create(data, meta, "points")) is not None


def _with_suffix(path: Path, format_name: str) -> Path:
    """Return the path as it is if its suffix names a format of tables, else with this format's suffix added."""
    known = {suffix for format_ in formats.FORMATS.values() for suffix in format_.suffixes}
    if path.suffix.lower() in known:
        return path
    return path.with_name(path.name + formats.FORMATS[format_name].suffixes[0])
