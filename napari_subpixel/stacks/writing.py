"""Writing a movie to a TIFF file, piece by piece."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel.coordinates import PixelSize, checked_pixel_size, pixel_size_yx
from napari_subpixel.errors import InputError

#: Suffixes of the movies that are written.
SUFFIXES = (".tif", ".tiff")


def check_movie_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless a TIFF may and can be written there."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a movie is written as TIFF, the name must end in {' or '.join(SUFFIXES)}")
    check_can_write(path, overwrite=overwrite)


def write_movie(
    path: str | Path,
    chunks: Iterable[NDArray],
    *,
    shape: tuple[int, int, int],
    dtype: np.dtype | type = np.uint16,
    pixel_size_nm: PixelSize,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write frames as an OME-TIFF (BigTIFF where it needs to be) that says its pixel size.

    Parameters
    ----------
    path : path-like
        Ends in .tif or .tiff.
    chunks : iterable of ndarray, shape (t, Y, X)
        The frames in order; together they have `shape`.
    shape : (T, Y, X)
    dtype : dtype
        Type of the pixels.
    pixel_size_nm : float or (float, float)
        Width of a pixel in nm, or height and width.
    provenance : mapping, optional
        Where the movie came from, as plain values; goes into the file as its description, and gives it its UUID, so
        that the same movie of the same origin has the same bytes.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the name does not end in .tif or .tiff, the file exists and may not be replaced, or it cannot be written.
    """
    import tifffile

    check_movie_output(path, overwrite=overwrite)
    height_nm, width_nm = pixel_size_yx(checked_pixel_size(pixel_size_nm))
    size = {"PhysicalSizeX": width_nm, "PhysicalSizeXUnit": "nm"}
    size |= {"PhysicalSizeY": height_nm, "PhysicalSizeYUnit": "nm"}
    origin = json.dumps(dict(provenance or {}), sort_keys=True)
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{origin}{tuple(shape)}{np.dtype(dtype)}")
    with atomic_output(path) as draft:
        tifffile.imwrite(
            draft,
            _frames(chunks),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            ome=True,
            metadata={"axes": "TYX", "UUID": str(identity), "Description": origin, **size},
        )


def _frames(chunks: Iterable[NDArray]) -> Iterator[NDArray]:
    for chunk in chunks:
        yield from chunk
