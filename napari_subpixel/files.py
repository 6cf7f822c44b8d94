"""Writing files so that a half-written one never looks whole."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_subpixel.errors import InputError


@contextmanager
def atomic_output(path: str | Path) -> Iterator[Path]:
    """Give a draft beside `path` to write to, and put it in place only when all went well.

    Parameters
    ----------
    path : path-like
        The file to write; its folder must exist.

    Yields
    ------
    Path
        The draft, with the same suffix.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot write here: {error.strerror}") from None
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, path)
    except OSError as error:
        raise InputError(f"{path}: {write_failure(error)}") from error
    finally:
        draft.unlink(missing_ok=True)


def write_failure(error: OSError) -> str:
    """Say in words why a file could not be written."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; nothing was written"
    return f"could not be written: {error.strerror or error}"


def check_can_write(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` if `path` exists and may not be replaced, or its folder cannot be written to."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file name")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; --overwrite replaces it")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {folder} cannot be written to")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
