"""Files of localizations: `read` recognises the format by the content, `write` by the suffix.

- `text_table`: how a text table is written: encoding, separator, header
- `flavours`: columns, units and origins of the text tables of each program
- `recognition`: which flavour a header is
- `csv_reading`, `csv_numbers`, `csv_writing`: the one reader and the one writer of all text tables
- `bare_names`: which unit of length is meant where headings name none
- `protocol`: the file beside a text table that holds what it cannot
- `thunderstorm`, `challenge`, `nairr`, `smap`, `liteloc`, `nanoimager`, `elyra`, `rapidstorm`, `picasso_csv`: what is
  particular to each text table
- `plain_csv`: a text table of no known program
- `hdf5_file`: opening HDF5 files
- `picasso`: Picasso's hdf5 and the yaml next to it
- `picasso_columns`, `picasso_description`, `picasso_writing`: its columns, the yaml, and how both are written
- `decode`: DECODE's h5
- `matlab_file`: opening MATLAB's files
- `smap_mat`: SMAP's MATLAB file
- `parquet`: the native table
- `notes`: what a file says of its table besides the rows
- `copies`: rows that are there more than once
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari_subpixel._util import files
from napari_subpixel._util.file_kinds import what_is
from napari_subpixel.coordinates import PixelSize
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
    plain_csv,
    rapidstorm,
    smap,
    smap_mat,
    thunderstorm,
)
from napari_subpixel.formats.csv_reading import read_csv
from napari_subpixel.formats.flavours import ORIGINS
from napari_subpixel.formats.hdf5_file import open_hdf5
from napari_subpixel.formats.protocol import csv_about
from napari_subpixel.formats.recognition import is_flavoured
from napari_subpixel.localizations import LocalizationParts, Localizations

__all__ = [
    "FORMATS",
    "ORIGINS",
    "READ_FORMATS",
    "Format",
    "ReadFormat",
    "check_can_write",
    "format_for",
    "read",
    "read_about",
    "read_format_for",
    "read_suffixes",
    "recognises",
    "write",
]

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
    plain_csv.FLAVOUR,
)


@dataclass(frozen=True, kw_only=True)
class ReadFormat:
    """A kind of file that is read, recognised by its suffix.

    Attributes
    ----------
    title : str
        Its name in messages.
    recognises : callable
        Says whether the content of a path with such a suffix is a table of localizations.
    read : callable
        ``read(path, *, pixel_size_nm=None, skip_invalid=False)``, with ``origin=None`` and ``units=None`` where
        they are asked for by `takes_origin`.
    also_read : tuple of str
        Suffixes of files that are read, but not written.
    takes_origin : bool
        Whether files of several programs are read, which count from different origins, in different units.
    """

    title: str
    recognises: Callable[[str | Path], bool]
    read: Callable[..., Localizations]
    also_read: tuple[str, ...] = ()
    takes_origin: bool = False

    @property
    def read_suffixes(self) -> tuple[str, ...]:
        """All suffixes of files that are read."""
        return self.also_read


@dataclass(frozen=True, kw_only=True)
class Format(ReadFormat):
    """A kind of file that is written too.

    Attributes
    ----------
    suffixes : tuple of str
        Its suffixes, the first of which is given to new files.
    write : callable
        ``write(path, localizations, *, overwrite=False)``.
    outputs : callable
        Returns the files that are written for a path.
    read_about : callable
        Returns what a table says of itself besides its rows.
    in_nm : bool
        Whether positions are written in nm, so that the pixel size must be known.
    """

    suffixes: tuple[str, ...]
    write: Callable[..., None]
    outputs: Callable[[str | Path], tuple[Path, ...]]
    read_about: Callable[[str | Path], dict[str, Any]]
    in_nm: bool = False

    @property
    def read_suffixes(self) -> tuple[str, ...]:
        """All suffixes of files that are read."""
        return (*self.suffixes, *self.also_read)


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
        title="ThunderSTORM csv",
        suffixes=(".csv",),
        recognises=_is_csv,
        read=_read_csv,
        write=thunderstorm.write,
        outputs=thunderstorm.outputs,
        read_about=csv_about,
        in_nm=True,
        also_read=(".txt", ".tsv"),
        takes_origin=True,
    ),
    "hdf5": Format(
        title="Picasso hdf5",
        suffixes=(".hdf5", ".h5"),
        recognises=_is_hdf5,
        read=_read_hdf5,
        write=picasso.write,
        outputs=picasso.outputs,
        read_about=picasso.read_about,
    ),
    "parquet": Format(
        title="native parquet",
        suffixes=(".parquet",),
        recognises=parquet.recognises,
        read=parquet.read,
        write=parquet.write,
        outputs=parquet.outputs,
        read_about=parquet.read_about,
    ),
}
#: A format that is read, or one that is written too.
_Format = TypeVar("_Format", bound=ReadFormat)
#: What can be read.
READ_FORMATS: tuple[ReadFormat, ...] = (
    *FORMATS.values(),
    ReadFormat(title="SMAP mat", recognises=smap_mat.recognises, read=smap_mat.read, also_read=(".mat",)),
)


def format_for(path: str | Path) -> Format:
    """Return the format that is written under a path's suffix.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If the suffix is none of the known ones, which it lists.
    """
    return _with_suffix(path, [(suffix, format_) for format_ in FORMATS.values() for suffix in format_.suffixes])


def read_format_for(path: str | Path) -> ReadFormat:
    """Return the format that is read from a path's suffix.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If the suffix is none of the known ones, which it lists.
    """
    known = [(suffix, format_) for format_ in READ_FORMATS for suffix in format_.read_suffixes]
    is_other = Path(path).suffix.lower() not in read_suffixes()
    return _with_suffix(path, known, what_is(path) if is_other and Path(path).exists() else "")


def read_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all tables that are read."""
    return tuple(suffix for format_ in READ_FORMATS for suffix in format_.read_suffixes)


def _with_suffix(path: str | Path, known: Sequence[tuple[str, _Format]], found: str = "") -> _Format:
    """Return the format of a path's suffix, the first of several; else say what was found instead."""
    suffix = Path(path).suffix.lower()
    for its_suffix, format_ in known:
        if its_suffix == suffix:
            return format_
    suffixes = ", ".join(its_suffix for its_suffix, _ in known)
    raise InputError(f"{path}: expected a table with one of the suffixes {suffixes}, got {found or suffix or 'none'}")


def recognises(path: str | Path) -> bool:
    """Say whether a file is a table of localizations, from its header or its metadata alone.

    A table of a known program that lacks a column, or whose rows are damaged, is one: `read` says what is wrong.

    Raises
    ------
    InputError
        If the suffix is of no known format, or the file is missing, empty or damaged.
    """
    return read_format_for(path).recognises(path)


def read(
    path: str | Path,
    *,
    pixel_size_nm: PixelSize | None = None,
    origin: str | tuple[float, int] | None = None,
    units: str | None = None,
    skip_invalid: bool = False,
) -> Localizations:
    """Read a table of localizations or of ground truth.

    Parameters
    ----------
    path : path-like
        A text table (.csv, .txt, .tsv) of ThunderSTORM, the SMLM challenges, SMAP, LiteLoc, ONI, Elyra, rapidSTORM or
        Picasso; an hdf5 of Picasso or DECODE; SMAP's .mat; a native parquet.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width. Needed for positions in nm where the file does not give
        it; overrides the file where it does.
    origin : str or (float, int), optional
        Where a text table counts from, instead of what its program does: ``"thunderstorm"``, ``"picasso"`` or
        ``"smap"``, or the coordinate in pixels of the first pixel's centre and the number of the first frame.
    units : {"px", "nm", "um"}, optional
        What the lengths of a text table are in whose headings name no unit. Without it, those of a Picasso csv are in
        pixels, with a warning, unless its numbers cannot be; of other such tables they are not known.
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
    format_ = read_format_for(path)
    options: dict[str, Any] = {"pixel_size_nm": pixel_size_nm, "skip_invalid": skip_invalid}
    if format_.takes_origin:
        options |= {"origin": origin, "units": units}
    elif origin is not None:
        raise InputError(f"{path}: an origin can be given for text tables only; such files always have the same")
    elif units is not None:
        raise InputError(f"{path}: units can be given for text tables only; such files always have the same")
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
        format_ = read_format_for(path)
        return format_.read_about(path) if isinstance(format_, Format) else {}


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
