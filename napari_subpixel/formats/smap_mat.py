"""SMAP's `_sml.mat`: MATLAB's file with a structure of columns; nm on the camera's chip, pixels and frames from 1.

The fields and what they count from are those of the program itself (https://github.com/jries/SMAP, functions `savesml`,
`load_smlV3` and `fitloc2locdata`): x is (pixel + first column of the camera's region) times the pixel size.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import first_bytes
from napari_subpixel._util.records import naming
from napari_subpixel.coordinates import (
    CENTRE_AT_ZERO,
    PixelSize,
    checked_pixel_size,
    mean_pixel_size,
    nm_to_px,
    pixel_size_yx,
)
from napari_subpixel.errors import InputError, PixelSizeError, TableWarning
from napari_subpixel.formats import notes
from napari_subpixel.formats.flavours import ORIGINS
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.localizations import COLUMNS, Localizations

#: The variable that holds everything.
VARIABLE = "saveloc"
#: How files of versions 5 to 7 and of version 7.3, which is HDF5, begin.
STARTS = (b"MATLAB 5.0", b"MATLAB 7.3")
#: Fields without which there is no table.
NEEDED = ("frame", "xnm", "ynm")
#: Fields that are ours as they are.
AS_THEY_ARE = {"phot": "photons", "bg": "background", "znm": "z_nm"}
#: Lengths in nm, by our columns; of several names the first counts that is there.
LENGTHS_NM = {
    "y_uncertainty": ("ynmerr", "locprecynm", "yerrnm", "locprecnm"),
    "x_uncertainty": ("xnmerr", "locprecxnm", "xerrnm", "locprecnm"),
}
#: Widths of the spot along x and y, in nm.
WIDTHS_NM = ("PSFxnm", "PSFynm")
#: Fields that repeat others in pixels.
IN_PIXELS = ("xpix", "ypix", "PSFxpix", "PSFypix", "xpixerr", "ypixerr", "xerrpix", "yerrpix")
#: Which of several movies a row is of.
MOVIE = "filenumber"


class _Saved(NamedTuple):
    """The columns of a file, and numbers that describe its first movie; these are empty where they are not known."""

    columns: dict[str, NDArray[Any]]
    about: dict[str, NDArray[np.float64]]


def recognises(path: str | Path) -> bool:
    """Say whether a MATLAB file has a table of SMAP."""
    return VARIABLE in _variables(Path(path))


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None, skip_invalid: bool = False) -> Localizations:
    """Read a table of SMAP.

    Parameters
    ----------
    path : path-like
        The .mat file.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width, in place of the one in the file.
    skip_invalid : bool
        Whether rows without a finite frame, y or x are left out, with a warning.

    Returns
    -------
    Localizations
        Positions are those in the movie: where the camera recorded a region of its chip, that is subtracted, with a
        warning.

    Raises
    ------
    InputError
        If there is no such table, or it is damaged; a `PixelSizeError` if the pixel size is not known.
    """
    path = Path(path)
    if VARIABLE not in (variables := _variables(path)):
        raise InputError(
            f"{path}: no table of SMAP, a variable {VARIABLE!r}; there are {', '.join(variables) or 'none'}"
        )
    with naming(path):
        saved = _saved(path)
        size = _pixel_size_nm(saved.about, pixel_size_nm)
        start, shape = _region(saved.about)
        n_frames = _whole(saved.about["numberOfFrames"])
        about: dict[str, Any] = {
            "pixel_size_nm": size,
            "frame_shape": shape,
            "n_frames": n_frames,
            "provenance": {"read_as": "SMAP mat"},
        }
        for said in _to_be_said(saved, start):
            warnings.warn(f"{path}: {said}", TableWarning, stacklevel=3)
        columns = _columns(saved.columns, size, start)
        if skip_invalid:
            columns = notes.finite_rows(path, columns, about)
        first = np.nanmin(columns["frame"], initial=np.inf)
        if first < 0:
            raise InputError(f"frames are counted from 1, got frame {first + ORIGINS['smap'].first_frame:g}")
        if about["n_frames"] is not None and columns["frame"].size and np.nanmax(columns["frame"]) >= about["n_frames"]:
            about["n_frames"] = None  # of several movies that were joined
        ours = {name: columns.pop(name) for name in list(columns) if name in COLUMNS}
        return Localizations(ours, extra=columns, **about)


def _to_be_said(saved: _Saved, start: tuple[int, int]) -> list[str]:
    """Return what was assumed, and what to take care of."""
    words = []
    if any(start):
        words.append(f"the camera's region begins at y {start[0]}, x {start[1]} px of its chip, which is subtracted")
    n_movies = len(np.unique(saved.columns[MOVIE])) if MOVIE in saved.columns else 1
    if n_movies > 1:
        words.append(
            f"rows of {n_movies} movies in one table, whose frames are numbered alike: {MOVIE!r} says of which"
        )
    return words


def _columns(saved: Mapping[str, NDArray[Any]], size_nm: PixelSize, start: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return our columns, and the file's own under their names."""
    origin = ORIGINS["smap"]
    columns: dict[str, NDArray[Any]] = {"frame": saved["frame"].astype(np.float64) - origin.first_frame}
    for axis, size, first in zip("yx", pixel_size_yx(size_nm), start, strict=True):
        columns[axis] = nm_to_px(saved[f"{axis}nm"], size, first_centre_px=origin.first_centre_px + first)
        name = next((name for name in LENGTHS_NM[f"{axis}_uncertainty"] if name in saved), None)
        if name is not None:
            columns[f"{axis}_uncertainty"] = nm_to_px(saved[name], size, first_centre_px=CENTRE_AT_ZERO)
    columns |= {ours: saved[name] for name, ours in AS_THEY_ARE.items() if name in saved}
    if widths := [saved[name] for name in WIDTHS_NM if name in saved]:
        columns["sigma"] = np.mean(widths, axis=0) / mean_pixel_size(size_nm)
    taken = {*NEEDED, *AS_THEY_ARE, *WIDTHS_NM, *IN_PIXELS, *(name for names in LENGTHS_NM.values() for name in names)}
    return columns | {name: values for name, values in saved.items() if name not in taken and name not in COLUMNS}


def _pixel_size_nm(about: Mapping[str, NDArray[np.float64]], given: PixelSize | None) -> PixelSize:
    """Return the size of a pixel, height and width where they differ."""
    if given is not None:
        return checked_pixel_size(given)
    size = about["cam_pixelsize_um"] if about["cam_pixelsize_um"].size else about["pixsize"]
    if not size.size:
        raise PixelSizeError("positions are in nm and the pixel size is not known")
    if not (np.isfinite(size) & (size > 0)).all():
        raise InputError(f"cam_pixelsize_um must be the width and height of a pixel in um, got {size.tolist()}")
    # Whole nm are not quite such in um.
    x, y = (float(f"{1000 * side:.10g}") for side in (size[0], size[-1]))
    return checked_pixel_size((y, x))


def _region(about: Mapping[str, NDArray[np.float64]]) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return the first row and column of the chip that were recorded, and the shape of the frames where it is known."""
    roi = about["roi"]
    if roi.size != 4 or not np.isfinite(roi).all():
        height, width = (_whole(about[name]) for name in ("Height", "Width"))
        return (0, 0), None if height is None or width is None else (height, width)
    x, y, width, height = (int(number) for number in roi)
    return (y, x), (height, width) if height >= 1 and width >= 1 else None


def _whole(number: NDArray[np.float64]) -> int | None:
    """Return a number of frames or pixels; None where there is none from 1 on."""
    return int(number[0]) if number.size and np.isfinite(number[0]) and number[0] >= 1 else None


# -- MATLAB's files ---------------------------------------------------------------------------------------------------

#: Numbers on the first movie.
ABOUT = ("cam_pixelsize_um", "pixsize", "roi", "numberOfFrames", "Height", "Width")


def _variables(path: Path) -> list[str]:
    """Return the names of the variables of a MATLAB file."""
    start = first_bytes(path, 10)
    if start not in STARTS:
        raise InputError(f"{path}: not a MATLAB file of version 5 or later; its first bytes are {start!r}")
    if start == STARTS[1]:
        with open_hdf5(path) as file:
            return [name for name in file if not name.startswith("#")]
    from scipy.io import whosmat

    try:
        return [name for name, _, _ in whosmat(path)]
    except Exception as error:  # SciPy raises errors of a dozen kinds about damaged files
        raise InputError(f"{path}: a damaged MATLAB file: {' '.join(str(error).split())}") from error


def _saved(path: Path) -> _Saved:
    saved = _from_hdf5(path) if first_bytes(path, 10) == STARTS[1] else _from_matlab(path)
    if missing := [name for name in NEEDED if name not in saved.columns]:
        raise InputError(
            f"missing {', '.join(missing)} in {VARIABLE}.loc; there are {', '.join(saved.columns) or 'none'}"
        )
    n = len(saved.columns["frame"])
    for name in (*NEEDED, *AS_THEY_ARE, *WIDTHS_NM):
        if name in saved.columns and len(saved.columns[name]) != n:
            raise InputError(f"{name} has {len(saved.columns[name])} rows, frame has {n}")
    return _Saved({name: values for name, values in saved.columns.items() if len(values) == n}, saved.about)


def _from_matlab(path: Path) -> _Saved:
    from scipy.io import loadmat

    try:
        saved = loadmat(path, variable_names=[VARIABLE], squeeze_me=True, struct_as_record=False)[VARIABLE]
    except Exception as error:
        raise InputError(f"a damaged MATLAB file: {' '.join(str(error).split())}") from error
    loc = getattr(saved, "loc", None)
    fields = {name: getattr(loc, name) for name in getattr(loc, "_fieldnames", [])}
    files = np.atleast_1d(np.asarray(getattr(saved, "file", None), dtype=object))
    info = getattr(files[0] if files.size else None, "info", None)
    return _Saved(
        {name: values for name in fields if (values := _numbers(fields[name])) is not None},
        {name: _about(getattr(info, name, None)) for name in ABOUT},
    )


def _from_hdf5(path: Path) -> _Saved:
    with open_hdf5(path) as file:
        loc = _within(file, file[VARIABLE], "loc")
        names = list(loc) if hasattr(loc, "keys") else []
        columns = {name: values for name in names if (values := _numbers(_array(loc[name]))) is not None}
        info = _within(file, _within(file, file[VARIABLE], "file"), "info")
        return _Saved(columns, {name: _about(_array(_within(file, info, name))) for name in ABOUT})


def _within(file: Any, group: Any, name: str) -> Any:
    """Return what a structure has under a name; of an array of structures, what the first has."""
    import h5py

    if not hasattr(group, "keys") or name not in group:
        return None
    found = group[name]
    if isinstance(found, h5py.Dataset) and found.dtype == h5py.ref_dtype and found.size:
        return file[found[()].ravel()[0]]
    return found


def _array(found: Any) -> Any:
    """Return the numbers of a dataset; None for anything else, and for what MATLAB marks as empty."""
    if found is None or hasattr(found, "keys") or found.shape is None:
        return None
    return np.empty(0) if found.attrs.get("MATLAB_empty") else found[()]


def _numbers(values: Any) -> NDArray[Any] | None:
    """Return a column, or None where it is none of real numbers."""
    array = np.atleast_1d(np.asarray(values)).ravel()
    return array if values is not None and array.dtype.kind in "biuf" else None


def _about(values: Any) -> NDArray[np.float64]:
    numbers = None if values is None else _numbers(values)
    return np.empty(0) if numbers is None else numbers.astype(np.float64)
