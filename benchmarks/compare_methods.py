"""Every method of the papers beside the others: the same samples, the same loop, the same score (Tables 2 and 3).

    python benchmarks/compare_methods.py WORK [--row NAME ...] [--quick] [--report FOLDER]

Each row is trained on the 20 frames of Deep-STORM's training movie, its threshold is the one that scores best on a
simulated movie of filaments, and then it meets the paper's test movie once. WORK keeps checkpoints and results: what is
there is not done again, what was stopped goes on. With --report the tables and plots of all results in WORK are written
there. The movies are in the folder that ``NAPARI_SUBPIXEL_DATA`` names. --quick trains next to nothing, to see that all
runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import data_folder, machine, markdown

from napari_subpixel import formats
from napari_subpixel.detector import Detector
from napari_subpixel.evaluate import evaluate
from napari_subpixel.files import atomic_output
from napari_subpixel.localizations import Localizations
from napari_subpixel.methods import METHODS
from napari_subpixel.models import load_model, save_model
from napari_subpixel.movie_samples import MovieSamples
from napari_subpixel.simulate import crowded_microtubules, simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.training import TrainingSettings, train

#: Table 2 and 3 as published: Jaccard (and F1) at 25 and 50 nm, ms an image.
PUBLISHED = {
    "deep-storm": (0.153, 0.266, 0.416, 0.588, 17.44),
    "upsampling": (0.171, 0.292, 0.448, 0.618, 17.44),
    "refinement": (0.195, 0.326, 0.448, 0.619, 0.76),
    "points": (0.234, 0.379, 0.517, 0.681, 0.76),
    "points, no sparsity": (0.211, None, 0.456, None, None),
    "points, l1": (0.208, None, 0.454, None, None),
}
TOLERANCES_NM = (25.0, 50.0)
#: Thresholds that are tried on the simulated movie, its frames, and their seed.
THRESHOLDS, SIMULATED_FRAMES, SEED = np.round(np.geomspace(0.02, 0.9, 24), 3), 40, 11


@dataclass(frozen=True)
class Row:
    """One row: a method, and the settings in which it differs from the others."""

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    iterations: int = 20_000


#: Steps of the methods that work on an upsampled grid, where one takes some hundred times as long.
UPSAMPLED = 3_000
ROWS = {
    **{name: Row(name, iterations=UPSAMPLED if name in ("upsampling", "deep-storm") else 20_000) for name in METHODS},
    "points, no sparsity": Row("points", {"sparsity": "none"}),
    "points, l1": Row("points", {"sparsity": "l1"}),
    "points, kernel 0.1 px": Row("points", {"kernel_px": 0.1}),
    "points, kernel 0.4 px": Row("points", {"kernel_px": 0.4}),
}


def train_row(name: str, work: Path, *, quick: bool) -> Path:
    """Train a row, or go on, and return its model."""
    row, path = ROWS[name], work / f"{name}.safetensors"
    if path.exists():
        return path
    chosen = METHODS[row.method]
    iterations = 4 if quick else row.iterations
    settings = TrainingSettings(
        **{
            "iterations": iterations, "cooldown": iterations // 2, "objective": chosen.objective,
            "checkpoint_every": min(1000, max(1, iterations // 10)), **chosen.settings, **row.settings,
        }
    )  # fmt: skip
    data = data_folder() / "deepstorm_demo1"
    truth = formats.read(data / "train_truth.csv", pixel_size_nm=100)
    with open_stack(data / "train.tif") as stack:
        frames = stack[:]
    samples = MovieSamples(
        frames, truth, crops_per_frame=5 if quick else 500, augment=True, dimming=0.5, rng=np.random.default_rng(0)
    )
    torch.manual_seed(settings.seed)
    network = chosen.network()
    network.standardise(*samples.input_moments())  # type: ignore[operator]
    for report in train(network, samples, settings, work / f"{name}.training"):
        print(f"{name}: step {report.iteration} of {iterations}, {report.seconds:.0f} s", file=sys.stderr, flush=True)
    save_model(path, network, name=name, summary=chosen.title, input_scaling="minmax", threshold=0.5)  # type: ignore[arg-type]
    return path


def best_threshold(model: Path) -> float:
    """Return the threshold with the best Jaccard index at 50 nm on a simulated movie of filaments."""
    frames, truth = simulate(crowded_microtubules(n_frames=SIMULATED_FRAMES), np.random.default_rng(SEED))
    found = Detector(model, device="cpu", threshold=float(THRESHOLDS[0])).detect(frames).with_about(pixel_size_nm=100.0)
    scores = [jaccards(found.select(found["probability"] >= t), truth)[2] for t in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(scores))])


def jaccards(found: Localizations, truth: Localizations) -> tuple[float, float, float, float]:
    """Return Jaccard and F1 at 25 nm and at 50 nm."""
    a, b = evaluate(found, truth, TOLERANCES_NM)
    return a.jaccard, a.f1, b.jaccard, b.f1


def measure(name: str, work: Path) -> dict[str, Any]:
    """Score a trained row on the test movie, and measure its time per image and the memory that it takes."""
    path = work / f"{name}.safetensors"
    threshold = best_threshold(path)
    detector = Detector(load_model(path), device="cpu", threshold=threshold)
    data = data_folder() / "deepstorm_demo1"
    truth = formats.read(data / "test_truth.csv", pixel_size_nm=100)
    with open_stack(data / "test.tif") as stack:
        frames = stack[:]
    detector.detect(frames[:4])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    found = detector.detect(frames)
    milliseconds = 1000 * (time.perf_counter() - began) / len(frames)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = jaccards(found.with_about(pixel_size_nm=100.0), truth)
    return {
        "scores": [round(score, 3) for score in scores], "threshold": threshold, "ms": round(milliseconds, 2),
        "peak_mib": round(after / 1024), "more_than_loaded_mib": round((after - before) / 1024), "machine": machine(),
    }  # fmt: skip


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return Table 2 and what goes beyond it, with the published numbers beside ours."""
    head = [
        "row",
        "method",
        "J@25 nm",
        "F1@25 nm",
        "J@50 nm",
        "F1@50 nm",
        "published",
        "ms an image",
        "peak MiB",
        "p >=",
    ]
    lines = []
    for name, result in results.items():
        published = PUBLISHED.get(name)
        told = f"{published[0]:.3f}, {published[2]:.3f}" if published else "-"
        numbers = [f"{score:.3f}" for score in result["scores"]]
        title = METHODS[ROWS[name].method].title
        lines.append([name, title, *numbers, told, f"{result['ms']:.2f}", result["peak_mib"], result["threshold"]])
    return markdown(head, lines)


def report(work: Path, folder: Path) -> None:
    """Write the table and a plot of all results in the folder of work."""
    from napari_subpixel.plots import new_figure, save_figure

    results = {name: json.loads(file.read_text()) for name in ROWS if (file := work / f"{name}.json").exists()}
    folder.mkdir(parents=True, exist_ok=True)
    words = "Made by `python benchmarks/compare_methods.py`; published numbers: Schroeter et al., Tables 2 and 3."
    text = f"# Methods side by side\n\n{words}\n\n{table(results)}\n"
    (folder / "methods.md").write_text(text, encoding="utf-8")
    figure = new_figure(8.0, 0.35 * len(results) + 1.2)
    axes = figure.subplots()
    places = np.arange(len(results))
    for offset, which, label in ((-0.2, 0, "25 nm"), (0.2, 2, "50 nm")):
        axes.barh(places + offset, [r["scores"][which] for r in results.values()], 0.38, label=f"within {label}")
    axes.set_yticks(places, list(results))
    axes.invert_yaxis()
    axes.set_xlabel("Jaccard index on the test movie")
    axes.legend()
    save_figure(figure, folder / "methods.png", title="methods side by side", overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--row", action="append", choices=ROWS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", type=Path, metavar="FOLDER")
    parser.add_argument("--measure", choices=ROWS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if arguments.measure:
        result = measure(arguments.measure, work)
        with atomic_output(work / f"{arguments.measure}.json") as draft:
            draft.write_text(json.dumps(result), encoding="utf-8")
        return
    for name in arguments.row or ROWS:
        if not (work / f"{name}.json").exists():
            train_row(name, work, quick=arguments.quick)
            # A process of its own, whose peak memory is the row's alone.
            subprocess.run([sys.executable, __file__, str(work), "--measure", name], check=True)
        print(name, (work / f"{name}.json").read_text(), flush=True)
    if arguments.report:
        report(work, arguments.report)


if __name__ == "__main__":
    main()
