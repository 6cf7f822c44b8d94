"""Flags from the fields of a record: their names, types, help texts and defaults have their home there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from napari_subpixel._util.command_text import flag

if TYPE_CHECKING:
    from napari_subpixel.coordinates import PixelSize

#: The field that is a number, or two.
PIXEL_SIZE = "pixel_size_nm"
#: The placeholder of a value in the help, by its type.
METAVARS = {int: "N", float: "NUMBER", str: "NAME"}


def flags_of(record: Any) -> tuple[str, ...]:
    """Return the names of the fields of a record, or of its class, that have a flag: those with a help text."""
    return tuple(field.name for field in fields(record) if "help" in field.metadata)


def help_of(record: Any, name: str) -> str:
    """Return the help text of a field."""
    return next(str(field.metadata["help"]) for field in fields(record) if field.name == name)


def add_record_flags(
    group: Any, record: Any, *, metavar: str | None = None, notes: Mapping[str, str] | None = None
) -> None:
    """Add a flag for every field of a record that has a help text; one that is not given is None.

    Parameters
    ----------
    group : argparse group or parser
    record : dataclass instance or class
        The values of an instance are shown as defaults; a class shows none.
    metavar : str, optional
        Placeholder for the value in the help; one for its type if not given.
    notes : mapping, optional
        What to add to the default of a field, by the field's name, such as where another default applies.
    """
    hints = get_type_hints(record if isinstance(record, type) else type(record))
    for name in flags_of(record):
        types = (hints[name], *get_args(hints[name]))
        kind = next(kind for kind in (int, float, str) if kind in types)
        default = None if isinstance(record, type) else getattr(record, name)
        shown = [] if default is None else [default_text(default)]
        shown += [notes[name]] if notes and name in notes else []
        text = help_of(record, name) + (f" ({'; '.join(shown)})" if shown else "")
        group.add_argument(
            flag(name), type=pixel_size if name == PIXEL_SIZE else kind, metavar=metavar or METAVARS[kind], help=text
        )


def pixel_size(text: str) -> PixelSize:
    """Parse ``108``, or ``120,100`` for pixels that are not square: height and width."""
    try:
        lengths = [float(part) for part in text.split(",")]
    except ValueError:
        lengths = []
    if len(lengths) not in (1, 2):
        raise argparse.ArgumentTypeError(f"a pixel size is a number of nm, or height,width, got {text!r}")
    return lengths[0] if len(lengths) == 1 else (lengths[0], lengths[1])


def given(arguments: argparse.Namespace, record: Any) -> dict[str, Any]:
    """Return the values of a record's flags that were given, by the names of its fields."""
    return {name: getattr(arguments, name) for name in flags_of(record) if getattr(arguments, name) is not None}


def default_text(value: Any) -> str:
    """Return a default as the help shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
