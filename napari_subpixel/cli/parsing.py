"""The parser of the command line: its errors are one line each and suggest what may have been meant."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from napari_subpixel.errors import suggest

#: What the options are called that all commands have in common.
COMMON_OPTIONS = ("quiet", "verbose", "log", "settings")
#: The option that names a file of settings.
SETTINGS = "--settings"


class UsageError(Exception):
    """The command line itself is wrong; the message is one line."""


class StoppedError(Exception):
    """The user stopped the program; the message says what is kept."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and are raised, not exited with; flags are written out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})
        self.register("action", "parsers", Commands)

    @property
    def commands(self) -> Mapping[str, argparse.ArgumentParser]:
        """The parsers of its commands, by their names."""
        found = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))
        return dict(next(found, {}))

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with the command's name."""
        raise UsageError(f"{self.prog.removeprefix('napari-subpixel').strip() or 'usage'}: {message} (--help explains)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as usual, but name an unknown flag before anything else, with the flag that was perhaps meant."""
        has_commands = any(isinstance(action, argparse._SubParsersAction) for action in self._actions)
        for text in args or ():
            if text == "--" or (has_commands and not text.startswith("-")):
                break  # what follows is not this parser's
            name = text.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions and " " not in name:
                flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
                self.error(f"unknown option {name}{suggest(name, flags)}")
        return super().parse_known_args(args, namespace)


class Commands(argparse._SubParsersAction):
    """The commands of a parser, each with the options that all have in common."""

    #: What each command does, by its name, for the list of all.
    summaries: Mapping[str, str] = {}

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Add a command; what it does is said in `summaries`."""
        summary = self.summaries.get(name, options.pop("help", ""))
        description = f"{summary[:1].upper()}{summary[1:]}."
        parser = super().add_parser(name, **{"description": description, **options, "help": summary})
        group = parser.add_argument_group("messages")
        either = group.add_mutually_exclusive_group()
        either.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
        either.add_argument("-v", "--verbose", action="store_true", help="print more")
        group.add_argument("--log", type=Path, metavar="FILE", help="append all messages to a file, with their times")
        settings = parser.add_argument_group("settings")
        settings.add_argument(
            SETTINGS, type=Path, metavar="FILE", help="take the options that are not given from a YAML file"
        )
        return parser
