"""Linked and grouped tables go to locan, by the csv that it reads, and come back as they were."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.analysis.linking import link
from napari_subpixel.localizations import Localizations

#: The Python of an environment with locan, where it is not this one.
OTHER_PYTHON = os.environ.get("NAPARI_SUBPIXEL_LOCAN_PYTHON")
#: Columns by locan's names on standard output; then what locan writes.
LOAD_AND_SAVE = """
import json, sys, locan
data = locan.load_thunderstorm_file(sys.argv[1])
print(json.dumps(data.data.to_dict("list")))
locan.save_thunderstorm_csv(data, sys.argv[2])
"""


@pytest.fixture
def rows() -> Localizations:
    frame = np.repeat(np.arange(40), 2)
    columns = {
        "frame": frame, "y": np.tile([3.0, 9.0], 40) + frame // 10, "x": np.full(80, 5.0),
        "photons": np.full(80, 900.0), "y_uncertainty": np.full(80, 0.125),
        "x_uncertainty": np.full(80, 0.125), "probability": np.full(80, 0.75),
    }  # fmt: skip
    return Localizations(
        columns, extra={"pick": np.arange(80) % 2}, pixel_size_nm=130, frame_shape=(20, 33), n_frames=40
    )


@pytest.mark.skipif(
    not OTHER_PYTHON and importlib.util.find_spec("locan") is None,
    reason="locan is not installed here, and NAPARI_SUBPIXEL_LOCAN_PYTHON names no Python that has it",
)
@pytest.mark.parametrize("grouped", [False, True])
def test_linked_and_grouped_tables_go_to_locan_and_back(rows: Localizations, grouped: bool, tmp_path: Path) -> None:
    linked = link(rows)
    table = linked.grouped() if grouped else linked.molecules
    formats.write(tmp_path / "ours.csv", table)
    command = [OTHER_PYTHON or sys.executable, "-c", LOAD_AND_SAVE, tmp_path / "ours.csv", tmp_path / "back.csv"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["pick"] == table["pick"].tolist()
    np.testing.assert_allclose(seen["position_x"], (table.x + 0.5) * 130)
    if grouped:
        assert seen["group"] == linked.group.tolist()
    else:
        assert seen["frames_number"] == [10] * 8
    back = formats.read(tmp_path / "back.csv", pixel_size_nm=130)
    assert set(back.columns) == set(table.columns)
    for name in table.columns:
        np.testing.assert_allclose(back[name], table[name], rtol=1e-6, err_msg=name)
