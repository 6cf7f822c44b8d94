"""The benchmark of the papers' methods runs from training to report, with next to no budget."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "compare_methods.py"
pytestmark = pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not next to the tests")


@pytest.mark.slow
def test_a_quick_run_writes_a_report_and_is_not_done_twice(data_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = ["points, counting in windows", "dark", "shipped fast"]
    command = [sys.executable, str(BENCHMARK), str(tmp_path), "--quick", "--report", str(tmp_path / "report")]
    command += [part for row in rows for part in ("--row", row)]
    environment = {**os.environ, "NAPARI_SUBPIXEL_DATA": str(data_folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for row in rows:
        scores = json.loads((tmp_path / f"{row}.json").read_text())["scores"]
        assert len(scores) == 4
        assert all(0 <= score <= 1 for score in scores)
    report = (tmp_path / "report" / "methods.md").read_text(encoding="utf-8")
    assert all(f"| {row} |" in report for row in rows)
    assert "heatmap drawn at the true place" in report
    assert json.loads((tmp_path / "decoders.json").read_text())["draws"] == 50
    assert {"methods.png", "decoders.png"} < {file.name for file in (tmp_path / "report").iterdir()}
    model = tmp_path / "dark.safetensors"
    before = model.stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert again.returncode == 0, again.stderr
    assert model.stat().st_mtime_ns == before


def test_decoders_are_compared_on_heatmaps_without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARK.parent))
    errors = importlib.import_module("decoder_study").study(draws=50)["errors_px"]["0"]
    assert errors["unbiased"]["dark"] < 0.01 < 0.2 < errors["quantised"]["dark"]
    assert errors["randomised"]["activation points"] < 1e-3
