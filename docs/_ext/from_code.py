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
from napari_subpixel.cli.parsing import COMMON_OPTIONS
from napari_subpixel.formats import picasso
from napari_subpixel.formats.flavours import Unit
from napari_subpixel.localizations import COLUMNS, REQUIRED

#: What a column of a csv file holds.
UNITS = {
    Unit.FRAME: "frame number",
    Unit.POSITION_NM: "position, nm",
    Unit.LENGTH_NM: "length, nm",
    Unit.POSITION_PX: "position, pixels",
    Unit.LENGTH_PX: "length, pixels",
    Unit.DEPTH_NM: "axial position, nm",
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
    """The names in the header by which each csv format is recognised."""
    rows = [(flavour.title, ", ".join(code(flavour.needed))) for flavour in formats.FLAVOURS]
    return markdown_table(("csv format", "recognised by its columns"), rows)


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
        (f"`{name}`", f"`{ours}`" if ours else "-", "always" if name in picasso.ALWAYS_WRITTEN else "where measured")
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
    """One card: a few small tables, the settings of its training folded away."""
    fields = card.to_dict()
    parts = [
        f"### `{card.name}`\n\n{sentence(card.summary)}",
        "Limits:\n\n" + "\n".join(f"- {sentence(limit.strip())}" for limit in card.limits.split(";")),
        markdown_table(("what it is", ""), identity(card)),
        *([markdown_table(("made for", "from", "to"), ranges(card.domain))] if card.domain else []),
        *([markdown_table(("made for", ""), flat({"camera": card.camera, "psf": card.psf}))] if card.psf else []),
        *figures(card.figures),
        f"::::{{dropdown}} How `{card.name}` was trained\n"
        f"{markdown_table(('setting', 'value'), [*flat({'network': card.network}), *flat(fields['training'])])}\n::::",
    ]
    return "\n\n".join(parts)


def identity(card: models.ModelCard) -> list[tuple[str, str]]:
    """What identifies a model."""
    return [
        ("network", f"`{card.network.get('kind', 'points')}`"),
        ("input scaling", f"`{card.input_scaling}`"),
        ("threshold", f"{card.threshold:g}"),
        ("SHA-256 of the weights", f"`{card.weights_sha256}`"),
        *([("written by", card.program)] if card.program else []),
    ]


#: The ranges of a domain, as a reader knows them.
RANGES = {
    "sigma_px": "width of the PSF (standard deviation, pixels)",
    "photons": "photons of a molecule in a frame",
    "background": "background (photons per pixel)",
    "density_per_px": "molecules per pixel",
}
#: The scores of a movie: what their names in a card end with, and the heading of their column.
SCORES = {
    "jaccard_25_nm": "Jaccard, 25 nm",
    "f1_25_nm": "F1, 25 nm",
    "jaccard_50_nm": "Jaccard, 50 nm",
    "f1_50_nm": "F1, 50 nm",
}
#: The test movies: what the names of their scores begin with, and what they are.
MOVIES = {
    "": "Bundled Tubes HD (225 a frame)",
    "test_": "Bundled Tubes HD (225 a frame)",
    "validate_ld_": "nairr_2dgauss, low density (13)",
    "validate_md_": "nairr_2dgauss, medium density (42)",
    "validate_hd_": "nairr_2dgauss, high density (65)",
}


def ranges(domain: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The ranges that a model is made for."""
    return [(RANGES[name], f"{low:,g}", f"{high:,g}") for name, (low, high) in domain.items()]


def figures(measured: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a card: a table of scores, movie by movie, and one of everything else."""
    rows = [
        (movie, *(f"{measured[start + name]:.3f}" if start + name in measured else "" for name in SCORES))
        for start, movie in MOVIES.items()
        if start + "jaccard_50_nm" in measured
    ]
    if rows:
        yield markdown_table(("test movie (molecules)", *SCORES.values()), rows)
    scores = {start + name for start in MOVIES for name in SCORES}
    yield markdown_table(("figure", "value"), flat({k: v for k, v in measured.items() if k not in scores}))


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
    """Arguments and options of a command, without those that all have in common."""
    return [action for action in commands()[command]._actions if action.dest not in ("help", *COMMON_OPTIONS)]


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


#: Names in a card whose words alone do not say enough.
TITLES = {
    "movies_command": "the scores above are measured by",
    "command": "measured by",
    "calibration_command": "the figures below are measured by",
    "rmse_over_bound_gaussian": "RMSE over the Cramer-Rao bound, isolated Gaussian spots (from, to)",
    "rmse_over_bound_airy": "the same, Airy disks",
    "standard_deviation_of_error_over_uncertainty": "standard deviation of error over uncertainty",
    "mean_photons_found_over_true": "photons, reported over true (mean)",
    "pit_of_counts_in_quarters": "probability integral transform of counts, by quarters",
    "speed_command": "speed is measured by",
    "speed_machine": "on",
    "test_frames_per_second": "frames per second, Bundled Tubes HD",
}


def flat(fields: Mapping[str, Any], heading: str = "") -> Iterator[tuple[str, str]]:
    """Rows of a table of a nested mapping, a setting each, those without a value left out."""
    for name, value in fields.items():
        title = f"{heading}{TITLES.get(name, name.replace('_', ' '))}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{title}: ")
        elif value not in (None, "", [], ()):
            yield title, worded(name, value)


def worded(name: str, value: Any) -> str:
    """Write a value for people: a list with commas, a command as code."""
    if isinstance(value, (list, tuple)):
        return ", ".join(worded(name, item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else one_line(str(value))
    return f"`{text}`" if name.endswith("command") else text


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


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
