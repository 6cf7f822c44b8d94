"""The examples in the docstrings run and give what they say; those of packages list their modules."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import napari_subpixel

PACKAGE = Path(napari_subpixel.__file__).parent
#: What an installation may lack: a module that needs one of these is skipped there, and the reason says which.
OPTIONAL = {"dask", "dask_jobqueue", "distributed", "magicgui", "napari", "pint", "pooch", "psygnal", "qtpy", "superqt"}


def module_names() -> list[str]:
    """Every module of the package, by its file: finding them imports nothing."""
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py")]
    return sorted(".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts)


def imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OPTIONAL or "Qt bindings" in str(error):
            pytest.skip(f"{name} needs {missing or 'a Qt binding'}, which is not installed")
        raise


@pytest.mark.parametrize("name", module_names())
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    module = imported(name)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, "the failures are printed above"
    assert not any(tmp_path.iterdir()), "an example left files behind"


def package_folders() -> list[str]:
    """Every package within the package, as a path; the outermost lists its public names instead."""
    return sorted(str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*/__init__.py"))


@pytest.mark.parametrize("folder", package_folders())
def test_the_docstring_of_a_package_lists_its_modules(folder):
    path = PACKAGE / folder
    words = ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8"))) or ""
    # Lines such as "name, other   what they are" or "- `name`, `other`: what they are".
    below = words.partition("\n")[2]
    lists = re.findall(r"^(?:- )?((?:`*\w+`*, )*`*\w+`*)(?:  |:)", below, re.MULTILINE)
    listed = sorted(re.findall(r"\w+", " ".join(lists)))
    inside = {entry.stem for entry in path.glob("*.py")} | {entry.parent.name for entry in path.glob("*/__init__.py")}
    assert listed == sorted(inside - {"__init__"})


def test_examples_are_found_at_all():
    assert "napari_subpixel" in module_names()
    assert "napari_subpixel.formats" in module_names()
    assert doctest.testmod(importlib.import_module("napari_subpixel.coordinates")).attempted >= 3
