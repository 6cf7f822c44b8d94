"""The command ``napari-subpixel``: its parser, and what its exit status says."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from napari_subpixel import __version__
from napari_subpixel._util.files import write_failure
from napari_subpixel.cli import demo, detect, evaluate, models, psf, render, simulate, train
from napari_subpixel.cli.advice import advised
from napari_subpixel.cli.common import Parser, StoppedError, UsageError, say
from napari_subpixel.cli.exit_status import BAD_INPUT, DONE, INTERRUPTED
from napari_subpixel.errors import InputError

COMMANDS = (detect, render, evaluate, psf, simulate, train, models, demo)


def build_parser(commands: Sequence[ModuleType] = COMMANDS) -> Parser:
    """Return the parser of the command line, or of some of its commands only."""
    parser = Parser(
        prog="napari-subpixel",
        description="Find single molecules in microscopy movies, render and score them.",
    )
    parser.add_argument("--version", action="version", version=f"napari-subpixel {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in commands:
        command.add_parser(subparsers)
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
    command = ""
    try:
        argv = sys.argv[1:] if argv is None else argv
        arguments = build_parser(_named_in(argv)).parse_args(argv)
        command = arguments.command
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except UsageError as error:
        say(f"napari-subpixel: {' '.join(str(error).split())}")
        return BAD_INPUT
    except InputError as error:
        say(f"napari-subpixel: {advised(error, command)}")
        return BAD_INPUT
    except StoppedError as stop:
        say(f"napari-subpixel: interrupted; {stop}")
        return INTERRUPTED
    except KeyboardInterrupt:
        say("napari-subpixel: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python's last flush must not complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        say(f"napari-subpixel: {error.filename or 'output'}: {write_failure(error)}")
        return BAD_INPUT
    except MemoryError:
        say("napari-subpixel: there is not enough memory for this")
        return BAD_INPUT


def _named_in(argv: Sequence[str]) -> Sequence[ModuleType]:
    """Return the command that the arguments name, else all: flags come from records that take a while to load."""
    return [command for command in COMMANDS if argv and command.__name__.endswith(f".{argv[0]}")] or COMMANDS
