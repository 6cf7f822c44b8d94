"""The documents say what the code does: their examples run, their commands parse, and nothing is left out."""

from __future__ import annotations

import argparse
import doctest
import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

import napari_subpixel
from napari_subpixel import formats, models
from napari_subpixel.cli.exit_status import BAD_INPUT, DONE, INTERRUPTED, SOME_FAILED
from napari_subpixel.cli.main import COMMANDS, build_parser, main
from napari_subpixel.cli.parsing import COMMON_OPTIONS
from napari_subpixel.localizations import COLUMNS
from napari_subpixel.runs.batch_summary import SUMMARY_COLUMNS
from napari_subpixel.runs.sidecars import Sidecar

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = (
    "tutorial", "answers", "architecture", "cluster", "command-line", "conventions", "drift", "examples", "figure",
    "filters", "handing-over", "keys-and-settings", "linking", "method", "methods", "models", "performance",
    "resolution", "viewing",
)  # fmt: skip
#: Those without Python.
WITHOUT_PYTHON = ("answers", "architecture", "command-line", "keys-and-settings", "method", "tutorial")
#: The pages that lead to all others.
DOORS = ("index", "how-to", "reference", "explanation")
PACKAGE = Path(napari_subpixel.__file__).parent

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not next to the tests")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Code blocks of a page; those marked ``py`` rather than ``python`` need another program and do not run."""
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```", page(name), flags=re.DOTALL | re.MULTILINE)


def command_lines(name: str) -> list[list[str]]:
    """Every call of the program in the shell blocks of a page, without the program's name."""
    lines = "\n".join(blocks(name, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("napari-subpixel ")]


@pytest.fixture(scope="module")
def from_code() -> ModuleType:
    """The parts of the documents that are written from the code."""
    spec = importlib.util.spec_from_file_location("from_code", DOCS / "_ext" / "from_code.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- examples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [p for p in PAGES if p not in WITHOUT_PYTHON])
def test_the_python_of_a_page_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": name}
    code = blocks(name, "python")
    assert code
    for block in code:
        if block.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(block, names, name, name, 0)
            runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
            runner.run(example, clear_globs=False)
            names |= example.globs
            assert runner.failures == 0, "the failures are printed above"
        else:
            exec(compile(block, f"{name}.md", "exec"), names)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_in_a_page_can_be_typed(name):
    for command in command_lines(name):
        build_parser().parse_args(command)


def test_the_worked_example_runs_from_movie_to_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = command_lines("command-line")[:5]
    assert [c[0] for c in example] == ["simulate", "detect", "evaluate", "render", "detect"]
    for command in example:
        assert main(command) == 0, command
    assert {"movie.tif", "truth.csv", "found.csv", "found.tif", "found.png", "part.hdf5", "part.yaml"} <= {
        p.name for p in tmp_path.iterdir()
    }


# -- the command line ---------------------------------------------------------------------------------------------


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_documented(from_code, command):
    assert f"\n## {command}\n" in page("command-line")
    assert f"```{{command-options}} {command}\n" in page("command-line")
    text = from_code.command_options(command)
    for action in subcommands()[command]._actions:
        common = action.dest in ("help", *COMMON_OPTIONS)
        for flag in action.option_strings:
            assert re.search(rf"(`| ){flag}\b", page("command-line")) if common else f"`{flag}" in text
        assert action.help, f"{command}: {action.dest} has no help"


def test_the_settings_of_one_movie_are_documented_as_they_are_read(tmp_path):
    (text,) = blocks("cluster", "yaml")
    (tmp_path / "cell3.subpixel.yaml").write_text(text)
    assert set(Sidecar.from_yaml(tmp_path / "cell3.subpixel.yaml").names) == {f.name for f in fields(Sidecar)}


def test_every_column_of_the_summary_is_documented():
    assert all(f"`{name}`" in page("cluster") for name in SUMMARY_COLUMNS)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_option_that_is_not_there(name):
    parsers = (build_parser(), *subcommands().values())
    known = {flag for parser in parsers for flag in parser._option_string_actions}
    # Not the arrows of diagrams, nor what other programs take.
    text = re.sub(r"^```(text|py)\n.*?^```", "", page(name), flags=re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= known


def test_every_exit_status_is_documented():
    listed = re.findall(r"^\| (\d+) \|", page("command-line"), flags=re.MULTILINE)
    assert listed == [str(status) for status in (DONE, SOME_FAILED, BAD_INPUT, INTERRUPTED)]


# -- tables, formats, rooms, models -------------------------------------------------------------------------------


def test_every_column_of_the_table_is_documented(from_code):
    assert "```{table-columns}" in page("conventions")
    text = from_code.table_columns()
    assert all(f"| `{name}` |" in text for name in COLUMNS)


@pytest.mark.parametrize("flavour", formats.FLAVOURS, ids=lambda flavour: flavour.title)
def test_every_csv_format_is_documented_with_its_origin_and_columns(from_code, flavour):
    origin = rf"{flavour.first_centre_px:g} px \| {flavour.first_frame} \|"
    row = rf"^\| {re.escape(flavour.title)}[^|]*\|[^|]*\|[^|]*\| {origin}"
    assert re.search(row, page("conventions"), flags=re.MULTILINE)
    assert f"```{{csv-columns}} {flavour.title}\n" in page("conventions")
    text = from_code.csv_columns(flavour.title)
    assert all(f"`{column.name}`" in text for column in flavour.columns)


def test_every_format_that_is_written_is_documented():
    for format_ in formats.FORMATS.values():
        assert re.search(rf"^\| {format_.title}[^|]*\| yes \| yes \|", page("conventions"), flags=re.MULTILINE)
        assert all(f"`{suffix}`" in page("conventions") for suffix in format_.suffixes)


def test_every_column_of_picasso_is_documented(from_code):
    assert "```{picasso-columns}" in page("conventions")
    assert all(f"| `{name}` |" in from_code.picasso_columns() for name in formats.picasso.HOLDS)


def test_the_rooms_are_those_that_are_there():
    listed = re.findall(r"^  (\w+/?) +\S", page("architecture").split("## Rooms")[1].split("## Walls")[0], re.MULTILINE)
    files = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__", "__main__", "_version"}
    folders = {f"{p.name}/" for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert sorted(listed) == sorted(files | folders)


def test_every_model_is_documented_with_its_hash_and_figures(from_code):
    assert "```{model-cards}" in page("models")
    text = from_code.model_cards()
    for card in models.shipped():
        assert card.weights_sha256 in text
        for value in card.figures.values():
            for figure in value if isinstance(value, list) else [value]:
                assert str(figure) in text


def test_every_public_name_is_documented(from_code):
    assert "```{public-names}" in page("api")
    text = from_code.public_names()
    assert all(f"`{name} <" in text for name in napari_subpixel.__all__ if name != "__version__")


def test_every_page_is_in_the_index():
    assert set(DOORS) - {"index"} <= set(page("index").split())
    assert {*PAGES, "api"} <= {word for door in DOORS for word in page(door).split()}
    assert {p.stem for p in DOCS.glob("*.md")} == {*PAGES, "api", *DOORS}
