"""A viewer that is closed takes everything with it: panels, threads and open files."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from npe2 import PluginManager

from napari_subpixel.widgets.background.worker import Work

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_closing.py"
#: Of `loading.gif`, which napari opens to show that something goes on, and keeps open.
HANDLES_OF_NAPARI = 1
#: Memory that may be left of ten viewers.
MOST_MB = 50


def is_any_alive(references):
    gc.collect()
    return any(reference() is not None for reference in references)


def test_a_viewer_takes_all_panels_and_the_files_of_its_movies_with_it(make_napari_viewer, qtbot, tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.zeros((4, 24, 32), np.uint16), photometric="minisblack")
    references = []
    for _ in range(2):
        viewer = make_napari_viewer()
        viewer.open(path, plugin="napari-subpixel")
        manifest = PluginManager.instance().get_manifest("napari-subpixel")
        for title in (widget.display_name for widget in manifest.contributions.widgets):
            panel = viewer.window.add_plugin_dock_widget("napari-subpixel", title)[1]
            references.append(weakref.ref(panel))
        viewer.close()
        del viewer, panel
        qtbot.waitUntil(lambda: not is_any_alive(references) and not Work.running, timeout=30_000)
    assert len(references) >= 2 * 13
    assert str(path) not in {file.path for file in psutil.Process().open_files()}


@pytest.mark.slow
@pytest.mark.viewer
@pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not next to the tests")
def test_ten_viewers_that_were_used_leave_no_panel_thread_or_handle_and_little_memory():
    command = [sys.executable, str(BENCHMARK), "--rounds", "10", "--json"]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # else memory that is free counts, thread by thread
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)["left"]
    assert left["panels"] == 0
    assert left["threads"] == 0
    assert left["handles"] <= 10 * HANDLES_OF_NAPARI
    assert left["MB"] < MOST_MB
