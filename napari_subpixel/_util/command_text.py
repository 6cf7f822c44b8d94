"""A call of the command line as one line of text, to paste in a terminal."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

#: The program.
PROGRAM = "napari-subpixel"
#: What a terminal of Windows takes without quotes.
BARE = re.compile(r"[\w.:\\/+,=-]+")


def flag(name: str) -> str:
    """Return the flag of a field.

    Examples
    --------
    >>> flag("pixel_size_nm")
    '--pixel-size-nm'
    """
    return f"--{name.replace('_', '-')}"


def flag_arguments(name: str, value: Any) -> list[str]:
    """Return the arguments that give a flag a value.

    Parameters
    ----------
    name : str
        Of the field.
    value : object
        None and False leave the flag out, True gives it without a value, a list repeats it; a tuple is written with
        commas.

    Examples
    --------
    >>> flag_arguments("pixel_size_nm", (120.0, 100.0)), flag_arguments("group", True)
    (['--pixel-size-nm', '120.0,100.0'], ['--group'])
    >>> flag_arguments("fiducial_at", [(-1.5, 2.0), (4.0, 5.0)])
    ['--fiducial-at=-1.5,2.0', '--fiducial-at', '4.0,5.0']
    """
    if value is None or value is False:
        return []
    if value is True:
        return [flag(name)]
    if isinstance(value, list):
        return [argument for item in value for argument in flag_arguments(name, item)]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    # What begins with a minus sign would be taken for a flag.
    return [f"{flag(name)}={text}"] if text.startswith("-") else [flag(name), text]


def command_text(command: str, files: Iterable[str], flags: Mapping[str, Any], comment: str = "") -> str:
    """Return a call of the command line as a line of text, quoted for the terminal of this system.

    Parameters
    ----------
    command : str
        Name of the command.
    files : iterable of str
        Its positional arguments.
    flags : mapping
        Values by the names of the fields, as for `flag_arguments`.
    comment : str
        What to do first, added as a comment.

    Examples
    --------
    >>> command_text("link", ["cells.csv"], {"output": "linked.csv", "max_dark_frames": 2, "keep": None})
    'napari-subpixel link cells.csv --output linked.csv --max-dark-frames 2'
    """
    arguments = [PROGRAM, command, *files]
    for name, value in flags.items():
        arguments += flag_arguments(name, value)
    line = " ".join(map(_quoted, arguments))
    return f"{line}  # {comment}" if comment else line


def _quoted(argument: str) -> str:
    if os.name != "nt":
        return shlex.quote(argument)
    return argument if BARE.fullmatch(argument) else '"{}"'.format(argument.replace('"', r"\""))
