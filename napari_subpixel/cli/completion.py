"""``napari-subpixel completion``: a script that teaches a shell the commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

#: Name of the program.
PROGRAM = "napari-subpixel"
SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("completion")
    parser.add_argument("shell", choices=SHELLS, help="print the script for this shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from napari_subpixel.cli.main import COMMANDS, build_parser

    parsers = build_parser().commands
    if arguments.shell == "fish":
        print("\n".join(_fish(parsers, COMMANDS)))
        return 0
    if arguments.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(_bash(parsers))
    return 0


def values_of(action: argparse.Action) -> list[str]:
    """Return the words that may follow an option, as far as they can be listed: choices, models by name."""
    if action.choices:
        return [str(choice) for choice in action.choices]
    if action.dest in ("model", "base"):
        from napari_subpixel.models import installed

        return [card.name for card in installed()]
    if action.dest == "method":
        return ["gaussian", "histogram"] if "gaussian" in (action.help or "") else []
    return []


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def _bash(parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """Return a script that completes commands, options and their choices, and else names of files."""
    options, values = [], []
    for name, parser in parsers.items():
        flags = [flag for action in _options(parser) for flag in action.option_strings]
        options.append(f'        {name}) words="{" ".join(flags)}";;')
        for action in _options(parser):
            if known := values_of(action):
                patterns = "|".join(f"{name},{flag}" for flag in action.option_strings)
                values.append(f'        {patterns}) words="{" ".join(known)}"; listed=1;;')
        for action in parser._actions:
            if not action.option_strings and (known := values_of(action)):
                options[-1] = f'        {name}) words="{" ".join([*known, *flags])}";;'
    lines = [
        "_napari_subpixel() {",
        '    local words="" current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        '    local command="${COMP_WORDS[1]}" listed=""',
        "    if [ $COMP_CWORD -eq 1 ]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join(parsers)} --help --version" -- "$current")); return',
        "    fi",
        '    case "$command,$before" in',
        *values,
        "    esac",
        '    if [ -z "$listed" ]; then case "$command" in',
        *options,
        "    esac; fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        f"complete -o default -F _napari_subpixel {PROGRAM}",
    ]
    return "\n".join(lines)


def _fish(parsers: Mapping[str, argparse.ArgumentParser], summaries: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a script for fish, with the help texts."""
    for name, parser in parsers.items():
        yield f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d {_quoted(summaries[name])}"
        for action in _options(parser):
            flags = "".join(f" -l {f[2:]}" if f.startswith("--") else f" -s {f[1:]}" for f in action.option_strings)
            known = values_of(action)
            value = f" -x -a {_quoted(' '.join(known))}" if known else " -r" if action.nargs != 0 else ""
            where = f"-n '__fish_seen_subcommand_from {name}'"
            yield f"complete -c {PROGRAM} {where}{flags}{value} -d {_quoted(action.help or '')}"


def _quoted(text: str) -> str:
    escaped = " ".join(text.replace("%%", "%").split()).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
