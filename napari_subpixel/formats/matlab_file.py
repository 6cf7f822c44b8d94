"""Reading MATLAB's files, of versions 5 to 7 and of 7.3, which is HDF5: variables, structures, numbers and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import first_bytes
from napari_subpixel.errors import InputError
from napari_subpixel.formats.hdf5_file import open_hdf5

#: How files of versions 5 to 7 begin.
START = b"MATLAB 5.0"
#: How files of version 7.3, which are HDF5, begin.
HDF5_START = b"MATLAB 7.3"


class Structure(Protocol):
    """A structure of MATLAB's, or all variables of a file; one that is not there has no fields."""

    @property
    def names(self) -> list[str]:
        """Names of its fields."""

    def within(self, *names: str) -> Structure:
        """Return a structure in it, one in that, and so on; of an array of structures, the first."""

    def numbers(self, name: str) -> NDArray[Any] | None:
        """Return a field's numbers, shape (N,), empty for what MATLAB has as empty; None where it has none."""

    def texts(self, name: str) -> list[str]:
        """Return a field's text, or those of a cell array; none where it has none."""


def variables(path: str | Path) -> list[str]:
    """Return the names of the variables of a file.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If it is missing, damaged, or none of MATLAB's.
    """
    if _is_hdf5(path):
        with open_hdf5(path) as file:
            return _Stored(file, file).names
    from scipy.io import whosmat

    try:
        return [name for name, _, _ in whosmat(path)]
    except Exception as error:  # SciPy raises errors of a dozen kinds about damaged files
        raise InputError(f"{path}: a damaged MATLAB file: {' '.join(str(error).split())}") from error


@contextmanager
def open_matlab(path: str | Path, names: Sequence[str]) -> Iterator[Structure]:
    """Open a file to read some of its variables.

    Parameters
    ----------
    path : path-like
    names : sequence of str
        The variables; those that are not there are left out.

    Yields
    ------
    Structure
        Of the variables.

    Raises
    ------
    InputError
        If it is missing, damaged, or none of MATLAB's.
    """
    if _is_hdf5(path):
        with open_hdf5(path) as file:
            yield _Stored(file, file)
        return
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=list(names), squeeze_me=True, struct_as_record=False)
    except Exception as error:
        raise InputError(f"{path}: a damaged MATLAB file: {' '.join(str(error).split())}") from error
    yield _Loaded({name: content[name] for name in names if name in content})


def _is_hdf5(path: str | Path) -> bool:
    start = first_bytes(path, 10)
    if start not in (START, HDF5_START):
        raise InputError(f"{path}: not a MATLAB file of version 5 or later; its first bytes are {start!r}")
    return start == HDF5_START


class _Loaded:
    """A structure as SciPy has it."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    @property
    def names(self) -> list[str]:
        return list(self._fields)

    def within(self, *names: str) -> _Loaded:
        fields = self._fields
        for name in names:
            values = np.atleast_1d(np.asarray(fields.get(name), dtype=object)).ravel()
            first = values[0] if values.size else None
            fields = {field: getattr(first, field) for field in getattr(first, "_fieldnames", [])}
        return _Loaded(fields)

    def numbers(self, name: str) -> NDArray[Any] | None:
        return _numbers(self._fields.get(name))

    def texts(self, name: str) -> list[str]:
        values = np.atleast_1d(np.asarray(self._fields.get(name, []), dtype=object)).ravel()
        return [value for value in values if isinstance(value, str)]


class _Stored:
    """A structure in an HDF5 file, where it is a group."""

    def __init__(self, file: Any, group: Any) -> None:
        self._file, self._group = file, group

    @property
    def names(self) -> list[str]:
        return [name for name in self._group if not name.startswith("#")] if hasattr(self._group, "keys") else []

    def within(self, *names: str) -> _Stored:
        group = self._group
        for name in names:
            found = _Stored(self._file, group)._all(name)
            group = found[0] if found else None
        return _Stored(self._file, group)

    def numbers(self, name: str) -> NDArray[Any] | None:
        found = self._all(name)
        if not found or hasattr(found[0], "keys") or found[0].shape is None:
            return None
        return np.empty(0) if found[0].attrs.get("MATLAB_empty") else _numbers(found[0][()])

    def texts(self, name: str) -> list[str]:
        stored = (text[()] for text in self._all(name) if getattr(getattr(text, "dtype", None), "kind", "") == "u")
        return [text.ravel().astype("<u2").tobytes().decode("utf-16-le") for text in stored]

    def _all(self, name: str) -> list[Any]:
        """Return what a field holds: itself, or what it refers to, which cells and arrays of structures do."""
        import h5py

        if not hasattr(self._group, "keys") or name not in self._group:
            return []
        found = self._group[name]
        if isinstance(found, h5py.Dataset) and found.dtype == h5py.ref_dtype:
            return [self._file[reference] for reference in found[()].ravel()]
        return [found]


def _numbers(values: Any) -> NDArray[Any] | None:
    """Return a column, or None where it is none of real numbers."""
    array = np.atleast_1d(np.asarray(values)).ravel()
    return array if values is not None and array.dtype.kind in "biuf" else None
