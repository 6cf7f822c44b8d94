"""Compiled loops run wherever the program is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_subpixel
from napari_subpixel._util import compiled


def test_loops_are_compiled_where_nothing_can_be_kept(tmp_path):
    """As in a container: a package that is read only, and no home."""
    package = tmp_path / "napari_subpixel"
    (package / "_util").mkdir(parents=True)
    for name in ("__init__.py", "_version.py", "_util/__init__.py", "_util/compiled.py"):
        shutil.copy(Path(napari_subpixel.__file__).parent / name, package / name)
    (package / "loops.py").write_text(
        "from napari_subpixel._util.compiled import compiled\n\n\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    (package / "__pycache__").write_text("a file, where the folder of what is kept would be")
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    environment |= {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
    if sys.platform != "linux":
        pytest.skip("the folders of what is kept are those of Linux here")
    code = "from napari_subpixel.loops import twice; print(twice(21))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.stdout.strip() == "42", done.stderr


def test_what_is_compiled_is_kept_where_there_is_a_place(tmp_path, monkeypatch):
    source = tmp_path / "loops.py"
    source.write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import loops

    assert compiled.compiled(loops.twice)(21) == 42
    assert list(tmp_path.rglob("*.nbc"))


def test_every_item_is_worked_at_and_an_error_comes_out():
    done: list[int] = []
    compiled.on_all_processors(done.append, range(50))
    assert sorted(done) == list(range(50))
    with pytest.raises(ZeroDivisionError):
        compiled.on_all_processors(lambda number: 1 // number, [1, 0])
