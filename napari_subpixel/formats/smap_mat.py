"""SMAP's `_sml.mat`: MATLAB's file with a structure of columns; nm on the camera's chip, pixels and frames from 1.

The fields and what they count from are those of the program itself (https://github.com/jries/SMAP, functions `savesml`,
`load_smlV3` and `fitloc2locdata`): x is (pixel + first column of the camera's region) times the pixel size. Where the
table is too long for one file of MATLAB's, `savematparts` puts columns into files of their own next to it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from napari_subpixel.formats.matlab_file import Structure, open_matlab, variables
from napari_subpixel.localizations import COLUMNS, Localizations

#: The variable that holds everything.
VARIABLE = "saveloc"
#: The variable that holds the variables of a table that was too long for one file, without some of its columns.
PARTED = "lds"
#: The variable that names the files with the other columns.
PART_NAMES = "partnames"
#: The variable of such a file.
PART = "ltemp"
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
#: Numbers on the first movie.
ABOUT = ("cam_pixelsize_um", "pixsize", "roi", "numberOfFrames", "Height", "Width")
#: How the names of the files with other columns end, before their suffix.
PART_SUFFIX = re.compile(r"_p\d+$")


class _Saved(NamedTuple):
    """The columns of a file, and numbers that describe its first movie; these are empty where they are not known."""

    columns: dict[str, NDArray[Any]]
    about: dict[str, NDArray[np.float64]]


def recognises(path: str | Path) -> bool:
    """Say whether a MATLAB file has a table of SMAP."""
    return not {VARIABLE, PARTED}.isdisjoint(names := variables(path)) or _is_part(Path(path), names)


def read(path: str | Path, *, pixel_size_nm: PixelSize | None = None, skip_invalid: bool = False) -> Localizations:
    """Read a table of SMAP.

    Parameters
    ----------
    path : path-like
        The .mat file; where columns are in further files, ``_p2.mat`` and so on, these are next to it.
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
    names = variables(path)
    if {VARIABLE, PARTED}.isdisjoint(names):
        if _is_part(path, names):
            whole = PART_SUFFIX.sub("", path.stem) + path.suffix
            raise InputError(f"{path}: some columns of {whole}, with which they are read: open that one")
        raise InputError(f"{path}: no table of SMAP, a variable {VARIABLE!r}; there are {', '.join(names) or 'none'}")
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


def _is_part(path: Path, names: Sequence[str]) -> bool:
    """Say whether a file holds some columns of a table in another one."""
    return PART in names and PART_SUFFIX.search(path.stem) is not None


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


def _saved(path: Path) -> _Saved:
    """Return the columns of a file and of the parts that it names, and what describes its first movie."""
    with open_matlab(path, (VARIABLE, PARTED, PART_NAMES)) as content:
        whole = content.within(PARTED) if PARTED in content.names else content
        loc, info = whole.within(VARIABLE, "loc"), whole.within(VARIABLE, "file").within("info")
        columns = _columns_of(loc)
        about = {name: _about(info.numbers(name)) for name in ABOUT}
        # As the machine that wrote them had them, with their folder.
        parts = [path.parent / re.split(r"[\\/]", name)[-1] for name in content.texts(PART_NAMES)]
    for part in parts:
        if not part.exists():
            raise InputError(f"its columns are in {len(parts) + 1} files, of which {part.name} is not next to it")
        with open_matlab(part, (PART,)) as content:
            columns |= _columns_of(content.within(PART))
    if missing := [name for name in NEEDED if name not in columns]:
        raise InputError(f"missing {', '.join(missing)} in {VARIABLE}.loc; there are {', '.join(columns) or 'none'}")
    n = len(columns["frame"])
    for name in (*NEEDED, *AS_THEY_ARE, *WIDTHS_NM):
        if name in columns and len(columns[name]) != n:
            raise InputError(f"{name} has {len(columns[name])} rows, frame has {n}")
    return _Saved({name: values for name, values in columns.items() if len(values) == n}, about)


def _columns_of(loc: Structure) -> dict[str, NDArray[Any]]:
    numbers = ((name, loc.numbers(name)) for name in loc.names)
    return {name: values for name, values in numbers if values is not None}


def _about(numbers: NDArray[Any] | None) -> NDArray[np.float64]:
    return np.empty(0) if numbers is None else numbers.astype(np.float64)
