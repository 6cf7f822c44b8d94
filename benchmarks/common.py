"""What the benchmarks share: where the data is, what the machine is, and tables."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_subpixel.camera import Camera
from napari_subpixel.models import find, read_card, write_card

ROOT = Path(__file__).resolve().parents[1]
#: What takes the crowded test movie, ``deepstorm_demo1/test.tif``, and the standard deviation of its PSF.
CROWDED_CAMERA, CROWDED_SIGMA_NM = Camera(100.0, 100.0, 145.28, 1.0, 300.0), 109.6
#: Picasso's box and smallest net gradient for it: chosen to find the most molecules without noise, on simulations.
PICASSO_BOX, PICASSO_NET_GRADIENT = 7, 1500
#: Picasso runs so often, and its quickest run counts: the first compiles.
PICASSO_REPEATS = 3


def data_folder() -> Path:
    """The folder of test movies; the benchmark ends with a word on how to name it where it is not there."""
    folder = Path(os.environ.get("NAPARI_SUBPIXEL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no test movies in {folder}: set NAPARI_SUBPIXEL_DATA to their folder")
    return folder


def machine() -> str:
    """Return processor, threads and versions in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    return f"{model}, {torch.get_num_threads()} threads, {versions}"


def picasso_seconds(python: str, movie: Path, table: Path) -> float:
    """Localize a movie of the crowded one's camera by Picasso, and return its seconds without reading and writing.

    `python` is that of an environment with Picasso.
    """
    flags = {
        "--repeats": PICASSO_REPEATS, "--box": PICASSO_BOX, "--min-net-gradient": PICASSO_NET_GRADIENT,
        "--baseline": CROWDED_CAMERA.baseline, "--sensitivity": CROWDED_CAMERA.electrons_per_adu,
        "--gain": CROWDED_CAMERA.em_gain,
    }  # fmt: skip
    script = ROOT / "benchmarks" / "picasso_localize.py"
    command = [python, script, movie, table, *(part for pair in flags.items() for part in pair)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    found = re.search(r"([\d.]+) s$", done.stdout.strip())
    assert found, done.stdout
    return float(found[1])


def write_figures(model: str, figures: Mapping[str, Any]) -> None:
    """Put figures into a model's card, next to those already there under other names."""
    path = find(model)
    card = read_card(path)
    write_card(path, replace(card, figures={**card.figures, **figures}))


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
