"""Frozen records to and from sections of a YAML file, with every misspelt field refused by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from napari_subpixel._util.files import atomic_output, open_input
from napari_subpixel._util.yaml_text import load_documents
from napari_subpixel.errors import InputError, shown, suggest

Record = TypeVar("Record")


def described(default: Any, text: str) -> Any:
    """Return a dataclass field with its default and a line of help, which a flag or a widget may show."""
    return field(default=default, metadata={"help": text})


def number(record: str, field: str, value: Any) -> float:
    """Return a finite float, or raise `InputError` that names the record and the field.

    Parameters
    ----------
    record, field : str
        Names, for messages.
    value : object
        What was given.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{record}: {field} must be a number, got {shown(value)}")
    try:
        result = float(value)
    except OverflowError:  # a whole number beyond the largest float
        result = math.inf
    if not math.isfinite(result):
        raise InputError(f"{record}: {field} must be finite, got {result}")
    return result


def set_field(record: Any, field: str, value: Any) -> None:
    """Set a field of a frozen record, for its ``__post_init__`` only.

    Parameters
    ----------
    record : frozen dataclass
    field : str
        Name of the field.
    value : object
        Its checked value.
    """
    object.__setattr__(record, field, value)


def from_dict(cls: type[Record], record: str, values: Mapping[str, Any]) -> Record:
    """Build a dataclass from named fields; an unknown or a missing one raises `InputError`."""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise InputError(f"{record}: unknown field {name!r}{suggest(str(name), known)}")
    needed = [n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING]
    for name in needed:
        if name not in values:
            raise InputError(f"{record}: missing field {name!r}")
    return cls(**values)


def to_dict(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as plain numbers, strings and lists."""
    values = {f.name: getattr(record, f.name) for f in fields(record) if not _is_default(record, f)}
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return one section of a YAML file as a dictionary.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, or has no such section.
    """
    document = read_document(path)
    if section not in document:
        raise InputError(f"{path}: no section '{section}:'; there are {', '.join(map(str, document)) or 'none'}")
    values = document[section]
    if not isinstance(values, dict):
        raise InputError(f"{path}: section '{section}:' must list fields, got {shown(values)}")
    return dict(values)


def has_section(path: Path, section: str) -> bool:
    """Say whether a YAML file has this section."""
    return section in read_document(path)


def write_section(path: Path, section: str, values: Mapping[str, Any]) -> None:
    """Write one section of a YAML file and keep the others.

    Parameters
    ----------
    path : Path
        The file, which need not exist.
    section : str
        Name of the section.
    values : mapping
        Its fields, as plain numbers, strings and lists.

    Raises
    ------
    InputError
        If the file is there and not YAML, or cannot be written.
    """
    document = read_document(path) if path.exists() else {}
    document[section] = dict(values)
    with atomic_output(path) as draft:
        draft.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@contextmanager
def naming(name: Path | str) -> Iterator[None]:
    """Put a name, a file's or a record's, before the message of an `InputError` raised inside."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(f"{name}: "):
            raise
        raise error.with_message(f"{name}: {error}") from None


def _is_default(record: Any, field: Any) -> bool:
    return field.default is not MISSING and np.array_equal(getattr(record, field.name), field.default)


def read_document(path: Path) -> dict[str, Any]:
    """Return a whole YAML file, by the names of its sections; raises `InputError` if it is not one."""
    try:
        with open_input(path) as file:
            documents = load_documents(file.read().decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not YAML: {error}") from None
    if len(documents) > 1:
        raise InputError(f"{path}: expected one YAML document, got {len(documents)}")
    document = documents[0] if documents else None
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected sections such as 'camera:', got {type(document).__name__}")
    return document


def whole_span(value: Any) -> tuple[int, int] | None:
    """Return a pair of whole numbers, the second larger; None for anything else that a file may hold."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(end) is int for end in value):
        return None
    return (value[0], value[1]) if 0 <= value[0] < value[1] else None
