"""Options from YAML files: the user's own defaults in the user's folder, and settings that a call names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_subpixel._util.user_folder import user_root
from napari_subpixel.cli.parsing import SETTINGS
from napari_subpixel.errors import InputError, shown, suggest

#: Name of the file: a section for every command, with its options.
FILE_NAME = "defaults.yaml"


def defaults_file() -> Path:
    """Return the file of the user's defaults, whether it exists or not."""
    return user_root() / FILE_NAME


def settings_file(argv: Sequence[str]) -> Path | None:
    """Return the file of settings that arguments name, if they name one."""
    for number, text in enumerate(argv):
        name, equals, value = text.partition("=")
        if text == "--":
            break
        if name == SETTINGS and (equals or number + 1 < len(argv)):
            return Path(value if equals else argv[number + 1])
    return None


def default_arguments(
    path: Path, parser: argparse.ArgumentParser, command: str, commands: Sequence[str], argv: Sequence[str]
) -> list[str]:
    """Return the arguments that a file adds to those of a command.

    Parameters
    ----------
    path : Path
        A section for every command, with its options.
    parser : argparse.ArgumentParser
        Of the command.
    command : str
    commands : sequence of str
        All commands there are.
    argv : sequence of str
        What is given; an option that is among them is not added.

    Raises
    ------
    InputError
        If the file cannot be read, or names what is no command or no option; the message names both.
    """
    from napari_subpixel._util import records

    document = records.read_document(path)
    for name in document:
        if name not in commands:
            raise InputError(f"{path}: no command {name!r}{suggest(str(name), commands)}")
    section = document.get(command) or {}
    if not isinstance(section, Mapping):
        raise InputError(f"{path}: {command} must list options, got {shown(section)}")
    given = {text.partition("=")[0] for text in argv}
    flags: Mapping[str, argparse.Action] = parser._option_string_actions
    added: list[str] = []
    for name, value in section.items():
        option = f"--{str(name).replace('_', '-')}"
        if option not in flags or option in ("--help", SETTINGS):
            raise InputError(f"{path}: {command} has no option {name!r}{_meant(option, flags)}")
        if given.isdisjoint(flags[option].option_strings):
            added += _typed(path, option, value, takes_value=flags[option].nargs != 0)
    return added


def _typed(path: Path, option: str, value: Any, *, takes_value: bool) -> list[str]:
    """Return an option as it would be typed."""
    if not takes_value:
        if not isinstance(value, bool):
            raise InputError(f"{path}: {option[2:]} is true or false, got {shown(value)}")
        return [option] if value else []
    if isinstance(value, list):
        return [text for item in value for text in _typed(path, option, item, takes_value=True)]
    if isinstance(value, bool | Mapping) or value is None:
        raise InputError(f"{path}: {option[2:]} takes a number or a text, got {shown(value)}")
    return [f"{option}={value}"]


def _meant(option: str, flags: Mapping[str, Any]) -> str:
    return suggest(option[2:], [flag[2:] for flag in flags if flag.startswith("--")])
