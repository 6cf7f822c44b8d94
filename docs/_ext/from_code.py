"""Parts of the documents that are written from the code: Markdown from functions, each behind a directive."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import napari_subpixel
from napari_subpixel import formats, models
from napari_subpixel.cli.main import build_parser
from napari_subpixel.formats import picasso
from napari_subpixel.formats.csv_table import Unit
from napari_subpixel.localizations import COLUMNS, REQUIRED

#: What a column of a csv file holds, in words.
UNITS = {
    Unit.FRAME: "frame number",
    Unit.POSITION_NM: "position, nm",
    Unit.LENGTH_NM: "length, nm",
    Unit.AS_IS: "as it is",
}


def table_columns() -> str:
    """Every column of the table of localizations."""
    rows = [
        (f"`{name}`", np.dtype(kind).name, "always" if name in REQUIRED else "where measured", meaning)
        for name, (kind, meaning) in COLUMNS.items()
    ]
    return markdown_table(("column", "type", "there", "meaning"), rows)


def csv_headers() -> str:
    """The names in the header by which each csv format is told from the others."""
    rows = [(flavour.title, ", ".join(code(flavour.needed))) for flavour in formats.FLAVOURS]
    return markdown_table(("csv format", "told by its columns"), rows)


def csv_columns(title: str) -> str:
    """The columns of one csv format, and ours that they hold."""
    (flavour,) = (flavour for flavour in formats.FLAVOURS if flavour.title == title)
    rows = [
        (", ".join(code((column.name, *column.aliases))), ", ".join(code(column.ours)), UNITS[column.unit])
        for column in flavour.columns
    ]
    return markdown_table(("column of the file", "column of the table", "unit"), rows)


def picasso_columns() -> str:
    """Picasso's columns, and ours that they hold."""
    rows = [
        (f"`{name}`", f"`{ours}`" if ours else "-", "always" if name in picasso.DEMANDED else "where measured")
        for name, ours in picasso.HOLDS.items()
    ]
    return markdown_table(("column of the file", "column of the table", "written"), rows)


def command_options(command: str) -> str:
    """Arguments and options of a command, as ``--help`` has them."""
    rows = [(invocation(action), one_line(action.help or "")) for action in actions(command)]
    return markdown_table(("option", "meaning"), rows)


def public_names() -> str:
    """The names of the package, and what each is."""
    things = ((name, getattr(napari_subpixel, name)) for name in napari_subpixel.__all__ if name != "__version__")
    rows = [(f"{{py:obj}}`{name} <{thing.__module__}.{thing.__qualname__}>`", summary(thing)) for name, thing in things]
    return markdown_table(("name", "what it is"), rows)


def model_cards() -> str:
    """The cards of all shipped models."""
    return "\n\n".join(model_card(card) for card in models.shipped())


def model_card(card: models.ModelCard) -> str:
    """One card: its fields in their order, those that say nothing left out."""
    fields = {name: value for name, value in card.to_dict().items() if name != "name"}
    rows = [(name.replace("_", " "), text) for field, value in fields.items() for name, text in entries(field, value)]
    return f"**`{card.name}`**\n\n{markdown_table(('field', 'value'), rows)}"


#: The directives.
DIRECTIVES: dict[str, Callable[..., str]] = {
    "table-columns": table_columns,
    "csv-headers": csv_headers,
    "csv-columns": csv_columns,
    "picasso-columns": picasso_columns,
    "command-options": command_options,
    "model-cards": model_cards,
    "public-names": public_names,
}


# -- the parser ---------------------------------------------------------------------------------------------------


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command with its parser."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise LookupError("the parser has no commands")


def actions(command: str) -> list[argparse.Action]:
    """Arguments and options of a command, without ``--help``."""
    return [action for action in commands()[command]._actions if not isinstance(action, argparse._HelpAction)]


def invocation(action: argparse.Action) -> str:
    """How an option is typed."""
    if action.choices:
        value = "|".join(map(str, action.choices))
    else:
        value = str(action.metavar or action.dest.upper()) if action.nargs != 0 else ""
    if not action.option_strings:
        return f"`{value}`" + (" ..." if action.nargs == "+" else "")
    needed = ", required" if action.required else ""
    return " or ".join(f"`{f'{flag} {value}'.strip()}`" for flag in action.option_strings) + needed


# -- Markdown -----------------------------------------------------------------------------------------------------


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lay out a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(names: Iterable[str]) -> list[str]:
    """Set names as code."""
    return [f"`{name}`" for name in names]


def entries(field: str, value: Any) -> Iterator[tuple[str, str]]:
    """Write a field of a card for people: a mapping on one line, a mapping within it as a field of its own."""
    if not isinstance(value, Mapping):
        value = f"{value:g}" if isinstance(value, float) else one_line(str(value))
        yield from [(field, value)] if value else []
        return
    simple = {name: inner for name, inner in value.items() if not isinstance(inner, Mapping)}
    if simple:
        yield field, ", ".join(f"{name.replace('_', ' ')}: {one_line(str(inner))}" for name, inner in simple.items())
    for name in sorted(value.keys() - simple.keys()):
        yield from entries(f"{field}: {name}", value[name])


def summary(thing: Any) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def one_line(text: str) -> str:
    """Join the lines of a text."""
    return " ".join(text.split())


def setup(app: Any) -> dict[str, bool]:
    """Register the directives with Sphinx."""
    from docutils import nodes
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective

    class FromCode(SphinxDirective):
        """Put the Markdown that a function returns in the directive's place."""

        optional_arguments = 1
        final_argument_whitespace = True

        def run(self) -> list[nodes.Node]:
            text = DIRECTIVES[self.name](*self.arguments)
            box = nodes.container()
            self.state.nested_parse(StringList(text.splitlines(), source=__file__), 0, box)
            return box.children

    for name in DIRECTIVES:
        app.add_directive(name, FromCode)
    return {"parallel_read_safe": True}
