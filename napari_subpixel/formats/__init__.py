"""Files of localizations: `read` recognises the format by the content, `write` by the suffix.

- `text_table`: how a text table is written: encoding, separator, header
- `flavours`: columns, units and origins of the text tables of each program
- `recognition`: which flavour a header is
- `csv_reading`, `csv_numbers`, `csv_writing`: the one reader and the one writer of all text tables
- `protocol`: the file beside a text table that holds what it cannot
- `thunderstorm`, `challenge`, `nairr`, `smap`, `liteloc`, `nanoimager`, `elyra`, `rapidstorm`, `picasso_csv`: what is
  particular to each text table
- `hdf5_file`: opening HDF5 files
- `picasso`: Picasso's hdf5 and the yaml next to it
- `decode`: DECODE's h5
- `parquet`: the native table
- `notes`: what a file says of its table besides the rows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_subpixel._util import files
from napari_subpixel.errors import InputError
from napari_subpixel.formats import (
    challenge,
    decode,
    elyra,
    liteloc,
    nairr,
    nanoimager,
    parquet,
    picasso,
    picasso_csv,
    rapidstorm,
    smap,
    thunderstorm,
)
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.flavours import ORIGINS
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.formats.protocol import csv_about
from napari_subpixel.formats.recognition import is_flavoured
from napari_subpixel.localizations import LocalizationParts, Localizations

__all__ = ["FORMATS", "ORIGINS", "Format", "check_can_write", "format_for", "read", "read_about", "recognises", "write"]

#: The text tables that can be read.
FLAVOURS = (
    thunderstorm.FLAVOUR,
    challenge.FLAVOUR,
    nairr.FLAVOUR,
    smap.FLAVOUR,
    liteloc.FLAVOUR,
    nanoimager.FLAVOUR,
    elyra.FLAVOUR,
    rapidstorm.FLAVOUR,
    picasso_csv.FLAVOUR,
)


@dataclass(frozen=True)
class Format:
    """A kind of file, recognised by its suffix.

    Attributes
    ----------
    title : str
        Its name in messages.
    suffixes : tuple of str
        Its suffixes, the first of which is given to new files.
    recognises : callable
        Says whether the content of a path with such a suffix is a table of localizations.
    read, write : callable
        ``read(path, *, pixel_size_nm=None, skip_invalid=False)``, with ``origin=None`` where it is asked for by
        `takes_origin`, and ``write(path, localizations, *, overwrite=False)``.
    outputs : callable
        Returns the files that are written for a path.
    read_about : callable
        Returns what a table says of itself besides its rows.
    in_nm : bool
        Whether positions are written in nm, so that the pixel size must be known.
    also_read : tuple of str
        Further suffixes of files that are read, but not written.
    takes_origin : bool
        Whether files of several programs are read, which count from different origins.
    """

    title: str
    suffixes: tuple[str, ...]
    recognises: Callable[[str | Path], bool]
    read: Callable[..., Localizations]
    write: Callable[..., None]
    outputs: Callable[[str | Path], tuple[Path, ...]]
    read_about: Callable[[str | Path], dict[str, Any]]
    in_nm: bool = False
    also_read: tuple[str, ...] = ()
    takes_origin: bool = False


def _is_csv(path: str | Path) -> bool:
    return is_flavoured(path, FLAVOURS)


def _read_csv(path: str | Path, **options: Any) -> Localizations:
    return read_csv(path, FLAVOURS, **options)


def _is_hdf5(path: str | Path) -> bool:
    with open_hdf5(path) as file:
        return "locs" in file or "data/xyz" in file or "data/frame_ix" in file


def _read_hdf5(path: str | Path, **options: Any) -> Localizations:
    with open_hdf5(path) as file:
        from_decode = "data" in file and "locs" not in file
    return (decode if from_decode else picasso).read(path, **options)


#: What can be written, by the name that the command line gives it.
FORMATS: dict[str, Format] = {
    "csv": Format(
        "ThunderSTORM csv",
        (".csv",),
        _is_csv,
        _read_csv,
        thunderstorm.write,
        thunderstorm.outputs,
        csv_about,
        in_nm=True,
        also_read=(".txt", ".tsv"),
        takes_origin=True,
    ),
    "hdf5": Format(
        "Picasso hdf5",
        (".hdf5", ".h5"),
        _is_hdf5,
        _read_hdf5,
        picasso.write,
        picasso.outputs,
        picasso.read_about,
    ),
    "parquet": Format(
        "native parquet",
        (".parquet",),
        parquet.recognises,
        parquet.read,
        parquet.write,
        parquet.outputs,
        parquet.read_about,
    ),
}


def format_for(path: str | Path, *, to_read: bool = False) -> Format:
    """Return the format that a path's suffix names, or raise `InputError` that lists the known ones."""
    suffix = Path(path).suffix.lower()
    known: list[str] = []
    for format_ in FORMATS.values():
        suffixes = (*format_.suffixes, *(format_.also_read if to_read else ()))
        if suffix in suffixes:
            return format_
        known += suffixes
    raise InputError(f"{path}: expected a table with one of the suffixes {', '.join(known)}, got {suffix or 'none'}")


def recognises(path: str | Path) -> bool:
    """Say whether a file is a table of localizations, from its header or its metadata alone.

    A table of a known program that lacks a column, or whose rows are damaged, is one: `read` says what is wrong.

    Raises
    ------
    InputError
        If the suffix is of no known format, or the file is missing, empty or damaged.
    """
    return format_for(path, to_read=True).recognises(path)


def read(
    path: str | Path,
    *,
    pixel_size_nm: float | None = None,
    origin: str | tuple[float, int] | None = None,
    skip_invalid: bool = False,
) -> Localizations:
    """Read a table of localizations or of ground truth.

    Parameters
    ----------
    path : path-like
        A text table (.csv, .txt, .tsv) of ThunderSTORM, the SMLM challenges, SMAP, LiteLoc, ONI, Elyra, rapidSTORM or
        Picasso; an hdf5 of Picasso or DECODE; a native parquet.
    pixel_size_nm : float, optional
        Width of a camera pixel in nm. Needed for positions in nm where the file does not give it; overrides the file
        where it does.
    origin : str or (float, int), optional
        Where a text table counts from, instead of what its program does: ``"thunderstorm"``, ``"picasso"`` or
        ``"smap"``, or the coordinate in pixels of the first pixel's centre and the number of the first frame.
    skip_invalid : bool
        Whether rows without a finite frame, x or y are left out, with a warning; else they are an error.

    Returns
    -------
    Localizations
        In pixels and frames counted from 0, whatever the file's convention. What had to be assumed is a
        `napari_subpixel.errors.TableWarning`.

    Raises
    ------
    InputError
        If the file cannot be read; one line that names it and says what was found.
    """
    format_ = format_for(path, to_read=True)
    options: dict[str, Any] = {"pixel_size_nm": pixel_size_nm, "skip_invalid": skip_invalid}
    if format_.takes_origin:
        options["origin"] = origin
    elif origin is not None:
        raise InputError(f"{path}: an origin can be given for text tables only; such files always have the same")
    return format_.read(path, **options)


def read_about(path: str | Path) -> dict[str, Any]:
    """Return what a table of this program says of itself besides its rows, without reading these.

    Parameters
    ----------
    path : path-like
        A table in any format that is written.

    Returns
    -------
    dict
        Keyword arguments of `Localizations`; without provenance where another program wrote the table.

    Raises
    ------
    InputError
        If the file or its description is missing or damaged.
    """
    with files.reading(path), open(path, "rb"):
        return format_for(path, to_read=True).read_about(path)


def write(path: str | Path, localizations: Localizations | LocalizationParts, *, overwrite: bool = False) -> None:
    """Write a table in the format that the suffix names: .csv, .hdf5 or .h5, .parquet.

    Parameters
    ----------
    path : path-like
        The file. A csv gets ``<stem>-protocol.txt`` beside it, an hdf5 ``<stem>.yaml``.
    localizations : Localizations or LocalizationParts
        The table; it may have no rows.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    InputError
        If it cannot be written; nothing is left that looks whole.
    """
    format_for(path).write(path, localizations, overwrite=overwrite)


def check_can_write(path: str | Path, *, overwrite: bool = False) -> None:
    """Raise `InputError` now if `write` would refuse this path later: before the work, not after it."""
    for file in format_for(path).outputs(path):
        files.check_can_write(file, overwrite=overwrite)
