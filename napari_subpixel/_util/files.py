"""Files: read with one wording for what is wrong with them, written so that a half-written one never looks whole."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from napari_subpixel.errors import InputError, OutputExistsError


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn an `OSError` raised inside into an `InputError` that names the file: missing, or not readable and why."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


@contextmanager
def open_input(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes.

    Yields
    ------
    BinaryIO

    Raises
    ------
    InputError
        If it is missing, empty, or cannot be read, also where that shows only while it is read.
    """
    with reading(path), open(path, "rb") as file:
        if not file.peek(1):
            raise InputError(f"{path}: the file is empty (0 bytes)")
        yield file


def first_bytes(path: str | Path, count: int = 16) -> bytes:
    """Return the first bytes of a file, by which its kind is known; raises `InputError` as `open_input` does."""
    with open_input(path) as file:
        return file.read(count)


@contextmanager
def atomic_output(path: str | Path) -> Iterator[Path]:
    """Give a draft beside `path` to write to, and put it in place only when all went well.

    Parameters
    ----------
    path : path-like
        The file to write; its folder must exist.

    The draft is on the disk before it is put in place, so that a power cut leaves what was there or what is new; a file
    that is replaced keeps its permissions.

    Yields
    ------
    Path
        The draft, an empty file; its name ends in the whole name of `path`, since some writers go by ``.ome.tif``.

    Raises
    ------
    InputError
        If `path` is a folder or a device, its folder is missing or cannot be written to, or the disk is full. An
        error that does not concern the draft, such as one from reading another file, passes through as it is.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_output(Path(folder, "table.csv")) as draft:
    ...         _ = draft.write_text("frame,y,x")
    ...     os.listdir(folder)
    ['table.csv']
    """
    path = Path(path)
    _check_replaceable(path)
    draft = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        draft.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"{path}: cannot write here: {error.strerror}") from None
    try:
        yield draft
        with suppress(OSError):  # nothing is replaced, or a drive without permissions
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
        _put_on_disk(draft)
        os.replace(draft, path)
        with suppress(OSError):  # not every system can do so with a folder
            _put_on_disk(path.parent)
    except Exception as error:
        if _is_disk_full(error) or (isinstance(error, OSError) and error.filename in (None, str(draft))):
            raise InputError(f"{path}: {write_failure(error)}") from error
        raise
    finally:
        draft.unlink(missing_ok=True)


def protocol_file(path: str | Path) -> Path:
    """Return the file beside a csv that holds what the csv cannot: ``<stem>-protocol.txt``.

    Examples
    --------
    >>> protocol_file("found.csv").name
    'found-protocol.txt'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}-protocol.txt")


def _put_on_disk(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, would survive a power cut."""
    file = os.open(path, os.O_RDWR if path.is_file() and os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a drive that cannot say so
            raise
    finally:
        os.close(file)


def make_folder(folder: str | Path) -> Path:
    """Make a folder, and those that it lies in, where it is not there already; return its path.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder: {error.strerror}") from None
    return Path(folder)


def write_failure(error: Exception) -> str:
    """Say on one line why a file could not be written."""
    if _is_disk_full(error):
        return "the disk is full; nothing was written"
    return f"could not be written: {' '.join(str(getattr(error, 'strerror', None) or error).split())}"


def check_can_write(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` if `path` exists and may not be replaced, or its folder cannot be written to."""
    path = Path(path)
    folder = path.parent
    if not os.path.isdir(folder):
        raise InputError(f"{path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {folder} cannot be written to")
    _check_replaceable(path)
    if os.path.exists(path) and not overwrite:
        raise OutputExistsError(f"{path}: exists already", path)


def _check_replaceable(path: Path) -> None:
    """Refuse a folder, and a device such as /dev/null, which `os.replace` would put a plain file in the place of."""
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, expected a file name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: is not a plain file")


def _is_disk_full(error: Exception) -> bool:
    """Recognise a full disk, also where a library gives no errno: NumPy's short writes, safetensors' own errors."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    short_write = isinstance(error, OSError) and re.fullmatch(r"\d+ requested and \d+ written", str(error))
    return bool(short_write) or os.strerror(errno.ENOSPC) in str(error)
