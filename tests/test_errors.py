"""Errors and their kinds: what they say, and that only the command line names its flags."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_subpixel
from napari_subpixel.errors import ChangedRunError, OutputExistsError

SOURCE = Path(napari_subpixel.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")
ELSEWHERE = [path for path in sorted(SOURCE.rglob("*.py")) if path.relative_to(SOURCE).parts[0] != "cli"]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but its docstrings, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_command_line_names_its_flags(path):
    assert [(line, text) for line, text in texts(path) if FLAG.search(text)] == []


def test_a_kind_keeps_what_it_is_about_in_another_message_and_another_process():
    error = ChangedRunError("the interrupted run had another model", Path("found.csv.partial"))
    for copy in (error.with_message("found.csv: it had another model"), pickle.loads(pickle.dumps(error))):
        assert type(copy) is ChangedRunError
        assert copy.path == Path("found.csv.partial")
    assert str(error.with_message("other words")) == "other words"


def test_an_output_that_exists_is_named_by_its_error(tmp_path):
    from napari_subpixel._util.files import check_can_write

    (tmp_path / "found.csv").touch()
    with pytest.raises(OutputExistsError) as error:
        check_can_write(tmp_path / "found.csv", overwrite=False)
    assert error.value.path == tmp_path / "found.csv"
