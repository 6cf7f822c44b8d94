"""Files that say which pixels are bad: a mask, or a list of rows and columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import reading
from napari_subpixel.calibration.bad_pixels import BadPixels
from napari_subpixel.errors import InputError

#: Suffixes of masks; any other file is a list.
MASK_SUFFIXES = (".npy", ".tif", ".tiff")


def read_bad_pixels(path: Path) -> BadPixels | tuple[tuple[int, int], ...]:
    """Return the bad pixels that a file names: those of a mask, or rows and columns, counted from 0.

    Parameters
    ----------
    path : Path
        A mask, as ``.npy`` or TIFF, that is not 0 where a pixel is bad; or text with ``y,x`` on every line, in which
        lines that begin with a ``#`` or a letter are left out.

    Raises
    ------
    InputError
        If it cannot be read, or is neither.
    """
    if path.suffix.lower() in MASK_SUFFIXES:
        return BadPixels.of_mask(_mask(path))
    with reading(path):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    places = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.strip()[0] == "#" or line.strip()[0].isalpha():
            continue
        try:
            y, x = (int(part) for part in line.replace(",", " ").replace(";", " ").split())
        except ValueError:
            raise InputError(f"{path}: line {number} is {line[:40]!r}, expected a row and a column: y,x") from None
        places.append((y, x))
    if not places:
        raise InputError(f"{path}: holds no rows and columns of pixels")
    return tuple(places)


def _mask(path: Path) -> NDArray[np.bool_]:
    try:
        if path.suffix.lower() == ".npy":
            mask = np.load(path, allow_pickle=False)
        else:
            import tifffile

            mask = tifffile.imread(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: is not a mask (.npy or TIFF): {error}") from None
    if mask.ndim != 2:
        raise InputError(f"{path}: expected a (Y, X) mask of bad pixels, got shape {mask.shape}")
    return np.asarray(mask != 0)
