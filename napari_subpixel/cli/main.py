"""The command ``napari-subpixel``: its parser, and what its exit status says."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path

from napari_subpixel import __version__
from napari_subpixel._util.files import write_failure
from napari_subpixel.cli.advice import advised
from napari_subpixel.cli.defaults import default_arguments, defaults_file, settings_file
from napari_subpixel.cli.exit_status import BAD_INPUT, DONE, INTERRUPTED
from napari_subpixel.cli.messages import configure, console, detail, fail, say
from napari_subpixel.cli.parsing import Commands, Parser, StoppedError, UsageError
from napari_subpixel.errors import InputError, suggest

#: Every command, a module of its name beside this one, and what it does.
COMMANDS = {
    "detect": "find the molecules of one or several movies",
    "figure": "from a movie to its figure: detect, correct drift, filter, link, measure, render, report",
    "report": "write a report on a table: one page of HTML",
    "render": "render a table of localizations into a super-resolution image",
    "evaluate": "score a result against ground truth",
    "resolution": "measure localization precision and resolution of a table",
    "psf": "measure the point spread function on beads or isolated molecules",
    "simulate": "simulate a movie with known truth",
    "train": "train a model of your own",
    "models": "list the installed models, or show one's card",
    "cameras": "list the known cameras, and your own",
    "info": "say what a movie, a table, a model or a camera file is, and what it says of itself",
    "drift": "estimate the drift of a table's movie with its error, and subtract it",
    "filter": "keep some rows of a table, by an expression, frames, a region or their neighbours",
    "link": "link the rows of each molecule, in frame after frame, into one",
    "convert": "write a table in another format",
    "completion": "print a script that teaches bash, zsh or fish the commands and options",
    "demo": "simulate a movie, find its molecules, render and score them",
}


def build_parser(commands: Collection[str] = tuple(COMMANDS)) -> Parser:
    """Return the parser of the command line; commands other than these are only listed, which loads nothing."""
    parser = Parser(
        prog="napari-subpixel",
        description="Find single molecules in microscopy movies, render and score them.",
        epilog="napari-subpixel COMMAND --help lists the options of a command.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"napari-subpixel {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    assert isinstance(subparsers, Commands)
    subparsers.summaries = COMMANDS
    for name in COMMANDS:
        if name in commands:
            import_module(f"napari_subpixel.cli.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 some inputs of several failed, 2 bad arguments or input, 130 interrupted.
    """
    with console():
        status = _run(sys.argv[1:] if argv is None else argv)
        detail(f"exit status {status}")
        return status


def _run(argv: Sequence[str]) -> int:
    command = ""
    try:
        if not argv:
            print(build_parser(()).format_help(), end="")
            return DONE
        arguments = _parsed(argv)
        command = arguments.command
        configure(quiet=arguments.quiet, verbose=arguments.verbose, log=arguments.log)
        for path, added in getattr(arguments, "from_files", {}).items():
            say(f"from {path}: {shlex.join(added)}")
        detail(f"napari-subpixel {__version__}, Python {platform.python_version()}: {shlex.join(argv)}")
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except UsageError as error:
        fail(f"napari-subpixel: {' '.join(str(error).split())}")
        return BAD_INPUT
    except InputError as error:
        fail(f"napari-subpixel: {advised(error, command)}")
        return BAD_INPUT
    except StoppedError as stop:
        fail(f"napari-subpixel: interrupted; {stop}")
        return INTERRUPTED
    except KeyboardInterrupt:
        fail("napari-subpixel: interrupted; what was not finished is not kept")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python's last flush must not complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        fail(f"napari-subpixel: {error.filename or 'output'}: {write_failure(error)}")
        return BAD_INPUT
    except MemoryError:
        fail("napari-subpixel: there is not enough memory for this")
        return BAD_INPUT


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments, after the settings that they name, and the user's defaults for the command."""
    named = _named_in(argv)
    parser = build_parser(named)
    if not named or argv[0] not in named:
        return parser.parse_args(argv)
    command, *rest = argv
    settings, defaults = settings_file(rest), defaults_file()
    from_files: dict[Path, list[str]] = {}
    for path in ([settings] if settings is not None else []) + ([defaults] if defaults.is_file() else []):
        before = [text for added in from_files.values() for text in added]
        added = default_arguments(path, parser.commands[command], command, tuple(COMMANDS), [*before, *rest])
        if added:
            from_files[path] = added
    arguments = parser.parse_args([command, *(text for added in from_files.values() for text in added), *rest])
    arguments.from_files = from_files
    arguments.argv = list(argv)
    return arguments


def _named_in(argv: Sequence[str]) -> Sequence[str]:
    """Return the command that the arguments name, to be loaded alone: flags come from records that take a while.

    Raises
    ------
    UsageError
        If there is no such command.
    """
    name = next((text for text in argv if not text.startswith("-")), "")
    if name and name not in COMMANDS:
        raise UsageError(f"no command {name!r}{suggest(name, COMMANDS) or '; there are ' + ', '.join(COMMANDS)}")
    return [name] if name else ()
