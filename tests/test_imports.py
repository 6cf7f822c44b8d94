"""The walls of the house: what each room may import, read from the source and seen in fresh interpreters.

Every room, a module or package at the top, names those that it may import from, wherever in a file the import is
written.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import napari_subpixel

PACKAGE = "napari_subpixel"
SOURCE = Path(napari_subpixel.__file__).parent

#: The rooms, each with those that it may import from (docs/architecture.md says what lives in each).
ROOMS = {
    "_version": "",
    "errors": "",
    "coordinates": "errors",
    "grids": "coordinates",
    "_util": "errors",
    "localizations": "_util coordinates errors",
    "camera": "_util coordinates errors",
    "psf": "_util coordinates errors",
    "cameras": "_util camera errors",
    "stacks": "_util coordinates errors",
    "formats": "_util coordinates errors localizations",
    "simulation": "_util camera coordinates errors localizations psf",
    "models": "_util camera coordinates errors psf",
    "evaluation": "_util coordinates errors localizations",
    "rendering": "_util coordinates errors grids localizations psf",
    "analysis": "_util coordinates errors localizations rendering",
    "reports": "_util analysis coordinates errors localizations rendering",
    "calibration": "_util camera coordinates errors psf stacks",
    "detection": "_util calibration camera coordinates errors localizations models psf stacks",
    "runs": "_util analysis camera coordinates detection errors formats localizations models psf rendering reports "
    "stacks",
    "training": "_util camera coordinates detection errors evaluation formats localizations models psf "
    "simulation stacks",
    "widgets": "_util analysis camera cameras coordinates detection errors evaluation formats grids localizations "
    "models rendering reports runs simulation stacks training",
    "cli": "_util analysis calibration camera cameras coordinates detection errors evaluation formats localizations "
    "models psf rendering reports runs simulation stacks training widgets",
    "__main__": "cli",
}
MAY_IMPORT = {room: set(others.split()) for room, others in ROOMS.items()}
#: Rooms with modules that load torch; all others load none.
HAVE_TORCH = {"models", "detection", "training", "runs", "widgets", "cli", "__main__"}
WITHOUT_TORCH = ROOMS.keys() - HAVE_TORCH
#: What there is: what these load with themselves is light.
NOUNS = {"errors", "coordinates", "grids", "localizations", "camera", "psf", "cameras"}

GUI = ["napari", "qtpy", "PySide6", "PySide2", "PyQt6", "PyQt5", "magicgui", "superqt", "vispy"]
#: The rooms that alone may import a library, even inside a function.
RESERVED = {
    **{library: {"widgets"} for library in GUI},
    "torch": {"models", "detection", "training", "runs", "cli"},
    "dask": {"runs", "widgets"},
    "distributed": {"runs"},
    "dask_jobqueue": {"runs"},
    "matplotlib": {"_util"},
}
#: What a noun may load with itself, besides the standard library.
NOUNS_LOAD = {"numpy", "pandas", "scipy", "yaml", PACKAGE}


def name_of(path: Path) -> str:
    """``.../stacks/axes.py`` -> ``napari_subpixel.stacks.axes``."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join([PACKAGE, *parts]).removesuffix(".__init__")


def room_of(module: str) -> str:
    """``napari_subpixel.stacks.axes`` -> ``stacks``; empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


MODULES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}
CORE = [module for module in MODULES if room_of(module) not in ("widgets", "cli", "__main__")]


def imports(path: Path, *, nested: bool = True) -> Iterator[str]:
    """Every module that a file imports; with `nested` off, only where the file itself is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are written in full"
            # Of the package itself, what is imported is the module; its public names have theirs elsewhere.
            yield from (f"{node.module}.{alias.name}" if node.module == PACKAGE else str(node.module)
                        for alias in node.names)  # fmt: skip


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(modules: list[str], among: list[str]) -> str:
    """Import `modules` in a fresh interpreter and return which of the libraries came along."""
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    return in_a_fresh_python(code + f"print(*[name for name in {among} if name in sys.modules])").strip()


# -- as written ---------------------------------------------------------------------------------------------------


def test_every_module_has_its_room() -> None:
    assert {room_of(module) for module in MODULES} - {""} == set(ROOMS)


def test_the_graph_of_rooms_has_no_circle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_the_rooms_that_its_own_may(module: str) -> None:
    if not room_of(module):
        assert set(imports(MODULES[module])) <= {"__future__", "importlib", "typing", f"{PACKAGE}._version"}
        return
    own = room_of(module)
    rooms = {room_of(name) for name in imports(MODULES[module]) if name.startswith(f"{PACKAGE}.")}
    assert rooms & MAY_IMPORT.keys() <= {own, "_version"} | MAY_IMPORT[own]


def test_every_arrow_of_the_picture_is_drawn_in_the_code() -> None:
    drawn: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, path in MODULES.items():
        if room := room_of(module):
            drawn[room] |= {room_of(name) for name in imports(path) if name.startswith(f"{PACKAGE}.")} - {room}
    assert {room: may - drawn[room] for room, may in MAY_IMPORT.items() if may - drawn[room]} == {}


@pytest.mark.parametrize("library", RESERVED)
def test_a_library_is_imported_by_its_own_modules_only(library: str) -> None:
    users = {room_of(m) for m, path in MODULES.items() if library in {n.partition(".")[0] for n in imports(path)}}
    assert users <= RESERVED[library]


def test_nothing_imports_the_command_line_but_its_entry() -> None:
    users = {room_of(m) for m, path in MODULES.items() if "cli" in {room_of(n) for n in imports(path)}}
    assert users <= {"cli", "__main__"}


@pytest.mark.parametrize("module", [m for m in CORE if room_of(m) in NOUNS])
def test_a_noun_loads_numpy_and_pandas_and_little_else(module: str) -> None:
    libraries = {name.partition(".")[0] for name in imports(MODULES[module], nested=False)}
    assert libraries - set(sys.stdlib_module_names) <= NOUNS_LOAD


# -- as run -------------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_neither_torch_nor_qt_nor_napari() -> None:
    assert loaded_by([PACKAGE], ["torch", *GUI]) == ""


def test_public_names_are_there_though_loaded_late() -> None:
    assert (
        in_a_fresh_python(f"import {PACKAGE} as p; print(*[n for n in p.__all__ if not hasattr(p, n)])").strip() == ""
    )


def test_rooms_without_torch_load_none() -> None:
    modules = [module for module in CORE if room_of(module) in WITHOUT_TORCH]
    assert loaded_by(modules, ["torch", *GUI]) == ""


def test_the_command_line_starts_without_torch() -> None:
    assert loaded_by([f"{PACKAGE}.cli"], ["torch", *GUI]) == ""


def test_movies_are_found_and_tables_named_without_torch() -> None:
    assert loaded_by([f"{PACKAGE}.runs.batch"], ["torch", *GUI]) == ""


def test_settings_and_plans_of_a_training_load_no_torch() -> None:
    modules = [f"{PACKAGE}.training.{name}" for name in ("settings", "request", "plans", "train_model")]
    assert loaded_by(modules, ["torch", *GUI]) == ""


def test_the_flags_of_all_commands_are_built_without_torch() -> None:
    code = f"import sys\nfrom {PACKAGE}.cli.main import build_parser\nbuild_parser()\nprint('torch' in sys.modules)"
    assert in_a_fresh_python(code).strip() == "False"


def test_core_and_command_line_import_where_napari_and_qt_are_not_installed() -> None:
    modules = [module for module in MODULES if room_of(module) != "widgets"]
    code = f"""
import sys, importlib

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {GUI}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
for name in {modules}:
    importlib.import_module(name)
print(*[name for name in {GUI} if name in sys.modules])
"""
    assert in_a_fresh_python(code).strip() == ""
