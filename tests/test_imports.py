"""The walls of the house: what each module may import, read from the source and seen in fresh interpreters.

Modules stand in layers; each imports only from its own and earlier ones, wherever in the file the import is written.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_subpixel

PACKAGE = "napari_subpixel"
SOURCE = Path(napari_subpixel.__file__).parent

#: Layer by layer, a module or folder each (docs/architecture.md says what lives there).
LAYERS = {
    "nouns": "_version errors files records steps coordinates localizations parts user_files camera presets psf "
    "sidecars",
    "verbs": "compiled painting domain scaling candidates tiling stacks formats movie_writer neighbours matching "
    "merging refine scores simulate scenes estimate spots plots curves render coverage evaluate",
    "learned": "samples movie_samples network unet heatmaps heatmap_networks losses windows heatmap_losses likelihood "
    "objectives muon methods models training threads detector",
    "at scale": "brightness jobs doubts journal outputs pipeline following tuning movies batch summaries cluster",
    "faces": "widgets cli __main__",
}
LAYER_OF = {room: layer for layer, rooms in LAYERS.items() for room in rooms.split()}
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}

GUI = ["napari", "qtpy", "PySide6", "PySide2", "PyQt6", "PyQt5", "magicgui", "superqt", "vispy"]
#: Who alone may import a library, even inside a function.
RESERVED = {
    **{library: {"widgets"} for library in GUI},
    "torch": {
        "samples",
        "movie_samples",
        "network",
        "unet",
        "losses",
        "likelihood",
        "heatmaps",
        "heatmap_networks",
        "heatmap_losses",
        "windows",
        "methods",
        "muon",
        "objectives",
        "models",
        "threads",
        "training",
        "detector",
        "tuning",
        "cluster",
        "cli",
    },
    "dask": {"cluster", "widgets"},
    "distributed": {"cluster"},
    "matplotlib": {"plots", "curves"},
    "dask_jobqueue": {"cluster"},
}
#: What a noun may load with itself, beside the standard library.
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


def test_every_module_has_its_layer() -> None:
    assert {room_of(module) for module in MODULES} - {""} <= set(LAYER_OF)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_to_the_same_layer_or_an_earlier_one(module: str) -> None:
    if not room_of(module):
        assert set(imports(MODULES[module])) <= {"__future__", "importlib", "typing", f"{PACKAGE}._version"}
        return
    own = LAYER_OF[room_of(module)]
    rooms = {room_of(name) for name in imports(MODULES[module]) if name.startswith(f"{PACKAGE}.")} & set(LAYER_OF)
    later = {room: LAYER_OF[room] for room in rooms if RANK[LAYER_OF[room]] > RANK[own]}
    assert not later, f"{module} is one of the {own}, and imports {later}"


@pytest.mark.parametrize("library", RESERVED)
def test_a_library_is_imported_by_its_own_modules_only(library: str) -> None:
    users = {room_of(m) for m, path in MODULES.items() if library in {n.partition(".")[0] for n in imports(path)}}
    assert users <= RESERVED[library]


def test_nothing_imports_the_command_line_but_its_entry() -> None:
    users = {room_of(m) for m, path in MODULES.items() if "cli" in {room_of(n) for n in imports(path)}}
    assert users <= {"cli", "__main__"}


@pytest.mark.parametrize("module", [m for m in CORE if LAYER_OF.get(room_of(m)) == "nouns"])
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


def test_nouns_and_verbs_load_no_torch() -> None:
    modules = [module for module in CORE if LAYER_OF.get(room_of(module)) in ("nouns", "verbs")]
    assert loaded_by(modules, ["torch", *GUI]) == ""


def test_the_command_line_starts_without_torch() -> None:
    assert loaded_by([f"{PACKAGE}.cli"], ["torch", *GUI]) == ""


def test_movies_are_found_and_tables_named_without_torch() -> None:
    assert loaded_by([f"{PACKAGE}.batch"], ["torch", *GUI]) == ""


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
