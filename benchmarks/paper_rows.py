"""Every method of the papers, side by side: the same samples, the same loop, the same score.

A row is trained on the 20 frames of Deep-STORM's training movie, its threshold is the one that scores best on a
simulated movie of filaments, and then it meets the paper's test movie once. The folder of work keeps checkpoints and
results: finished rows are not done again, stopped ones resume.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import CROWDED_CAMERA, CROWDED_SIGMA_NM, data_folder, machine, picasso_seconds
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel._util.files import atomic_output
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import load_model, read_card, save_model
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.simulation.settings import crowded_microtubules
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.training.fine_tuning_plans import runs_half_precision_fast
from napari_subpixel.training.methods import METHODS
from napari_subpixel.training.movie_samples import MovieSamples
from napari_subpixel.training.settings import TrainingSettings
from napari_subpixel.training.trainer import train

#: How far a point may lie from its molecule.
TOLERANCES_NM = (25.0, 50.0)
#: Thresholds that are tried on the simulated movie.
THRESHOLDS = np.round(np.geomspace(0.02, 0.9, 24), 3)
#: Frames of the simulated movie.
SIMULATED_FRAMES = 40
#: Of the simulated movie.
SEED = 11
#: Steps of a row.
STEPS = 10_000
#: Steps of a row that works on an upsampled grid, where a step takes some thirty times as long.
UPSAMPLED_STEPS = 3_000
#: Steps of a row of a quick run.
QUICK_STEPS = 4
#: Crops of each training frame.
CROPS = 500
#: Crops of each training frame of a quick run.
QUICK_CROPS = 5
#: Frames of the test movie that a quick run scores.
QUICK_FRAMES = 4


@dataclass(frozen=True)
class Row:
    """One row: a method, and the settings in which it differs from the others; or what is not trained here."""

    method: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is, for a table."""
        return METHODS[self.method].title

    @property
    def steps(self) -> int:
        """Steps of its training."""
        return UPSAMPLED_STEPS if self.method in ("upsampling", "deep-storm") else STEPS


#: What is trained, by name.
ROWS = {
    **{name: Row(name) for name in METHODS},
    "points, no sparsity": Row("points", {"sparsity": "none"}),
    # From the first step on, l1 puts out all points before they find their places (at 0.01 as at 0.1): it comes late.
    "points, l1": Row("points", {"sparsity": "l1", "sparsity_weight": 0.0, "final_sparsity_weight": 0.01}),
    "points, counting in windows": Row("points", {"counting_window_px": 8}),
    "points, kernel 0.1 px": Row("points", {"kernel_px": 0.1}),
    "points, kernel 0.4 px": Row("points", {"kernel_px": 0.4}),
}
#: Our shipped models, each at its own threshold; the shipped methods of others are rows of their own.
SHIPPED = {f"shipped {name}": name for name in ("default", "fast", "paper")}
#: The row of Picasso.
PICASSO = "Picasso gausslq"


def training_of(name: str) -> str:
    """Return the first row that learns the same, this one or another: decoders differ after the training only."""
    return next(other for other in ROWS if _learns(other) == _learns(name))


def _learns(name: str) -> tuple[Any, ...]:
    row = ROWS[name]
    chosen = METHODS[row.method]
    network: Any = chosen.network()
    config = {key: value for key, value in network.config.items() if key not in ("decoder", "reach_px")}
    return config, chosen.objective, {**chosen.settings, **row.settings}


def train_row(name: str, work: Path, *, quick: bool) -> Path:
    """Train a row, or resume, and return its model."""
    row, path = ROWS[name], work / f"{name}.safetensors"
    chosen = METHODS[row.method]
    iterations = QUICK_STEPS if quick else row.steps
    torch.manual_seed(TrainingSettings.seed)
    network: Any = chosen.network()
    if path.exists():
        if dict(read_card(path).network) != network.config:
            sys.exit(f"{path}: is of another network than {name} has now; remove it to train it again")
        return path
    if (trained := training_of(name)) == name:
        _learn(network, name, work / f"{name}.training", iterations, quick=quick)
    else:
        network.load_state_dict(load_model(train_row(trained, work, quick=quick)).network.state_dict())
    about = {"data": "deepstorm_demo1/train.tif", "method": row.method, "iterations": iterations}
    save_model(path, network, name=name, summary=chosen.title, input_scaling="minmax", threshold=0.5, training=about)
    return path


def _learn(network: Any, name: str, folder: Path, iterations: int, *, quick: bool) -> None:
    row, chosen = ROWS[name], METHODS[ROWS[name].method]
    settings = TrainingSettings(
        **{
            "iterations": iterations, "cooldown": iterations // 2, "objective": chosen.objective,
            "checkpoint_every": min(500, max(1, iterations // 10)), "half_precision": runs_half_precision_fast("cpu"),
            **chosen.settings, **row.settings,
        }
    )  # fmt: skip
    data = data_folder() / "deepstorm_demo1"
    truth = formats.read(data / "train_truth.csv", pixel_size_nm=100)
    with open_stack(data / "train.tif") as stack:
        frames = stack[:]
    crops = QUICK_CROPS if quick else CROPS
    samples = MovieSamples(
        frames, truth, crops_per_frame=crops, augment=True, dimming=0.5, rng=np.random.default_rng(settings.seed)
    )
    network.standardise(*samples.input_moments())
    for report in train(network, samples, settings, folder):
        print(f"{name}: step {report.iteration} of {iterations}, {report.seconds:.0f} s", file=sys.stderr, flush=True)


def best_threshold(model: Path, *, quick: bool) -> float:
    """Return the threshold with the best Jaccard index at 50 nm on a simulated movie of filaments."""
    movie = crowded_microtubules(n_frames=QUICK_FRAMES if quick else SIMULATED_FRAMES)
    frames, truth = simulate(movie, np.random.default_rng(SEED))
    found = Detector(model, device="cpu", threshold=float(THRESHOLDS[0])).detect(frames).with_about(pixel_size_nm=100.0)
    scores = [jaccards(found.select(found["probability"] >= t), truth)[2] for t in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(scores))])


def jaccards(found: Localizations, truth: Localizations) -> tuple[float, float, float, float]:
    """Return Jaccard and F1 at 25 nm and at 50 nm."""
    a, b = evaluate(found, truth, TOLERANCES_NM)
    return a.jaccard, a.f1, b.jaccard, b.f1


def greedy_jaccards(found: Localizations, truth: Localizations) -> list[float]:
    """Return the Jaccard indices at 25 nm and at 50 nm by the greedy pairing, that of the challenge's own tool."""
    return [round(score.jaccard, 3) for score in evaluate(found, truth, TOLERANCES_NM, pairing="greedy")]


def paper_test_movie(*, quick: bool = False) -> tuple[NDArray, Localizations]:
    """Return the frames of the paper's test movie and their truth."""
    data = data_folder() / "deepstorm_demo1"
    with open_stack(data / "test.tif") as stack:
        stop = QUICK_FRAMES if quick else stack.n_frames
        return stack.read(0, stop), formats.read(data / "test_truth.csv", pixel_size_nm=100).in_frames(0, stop)


def measure(name: str, work: Path, *, quick: bool) -> dict[str, Any]:
    """Score a row on the test movie, and measure its time per image and the memory that it takes."""
    frames, truth = paper_test_movie(quick=quick)
    if name in SHIPPED:
        detector = Detector(SHIPPED[name], device="cpu")
        job = job_for(
            open_stack(frames),
            detector,
            DetectionOptions(CROWDED_CAMERA, psf=GaussianPSF(CROWDED_SIGMA_NM), estimate_camera=False),
        )

        def detect(n: int) -> Localizations:
            return detect_all(job if n == len(frames) else replace(job, frames=(0, n)))
    else:
        path = work / f"{name}.safetensors"
        detector = Detector(load_model(path), device="cpu", threshold=best_threshold(path, quick=quick))

        def detect(n: int) -> Localizations:
            return detector.detect(frames[:n])

    return {"threshold": detector.threshold, **timed(detect, len(frames), truth)}


def timed(detect: Callable[[int], Localizations], n: int, truth: Localizations) -> dict[str, Any]:
    """Detect, and return scores, milliseconds an image and memory."""
    detect(2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    found = detect(n)
    milliseconds = 1000 * (time.perf_counter() - began) / n
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = found.with_about(pixel_size_nm=100.0)
    return {
        "scores": [round(score, 3) for score in jaccards(found, truth)], "greedy": greedy_jaccards(found, truth),
        "ms": round(milliseconds, 2), "peak_mib": round(after / 1024),
        "more_than_loaded_mib": round((after - before) / 1024), "machine": machine(),
    }  # fmt: skip


def measure_picasso(python: str) -> dict[str, Any]:
    """Score Picasso on the test movie, run by the Python of its own environment."""
    frames, truth = paper_test_movie()
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "picasso.hdf5"
        seconds = picasso_seconds(python, data_folder() / "deepstorm_demo1" / "test.tif", table)
        found = formats.read(table, pixel_size_nm=100)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "scores": [round(score, 3) for score in jaccards(found, truth)], "greedy": greedy_jaccards(found, truth),
        "threshold": None,
        "ms": round(1000 * seconds / len(frames), 2), "peak_mib": round(children / 1024), "machine": machine(),
    }  # fmt: skip


def speed_ratio(work: Path, repeats: int = 3, n: int = 20) -> dict[str, float]:
    """Return milliseconds an image of Deep-STORM's network and of the paper's, turn and turn about, and their ratio."""
    frames, _ = paper_test_movie()
    path = work / "deep-storm.safetensors"
    slow = Detector(load_model(path), device="cpu")
    quick = Detector("paper", device="cpu")
    best = {"deep-storm": np.inf, "points": np.inf}
    for _ in range(repeats):
        for name, detector, some in (("deep-storm", slow, frames[:n]), ("points", quick, frames)):
            began = time.perf_counter()
            detector.detect(some)
            best[name] = min(best[name], 1000 * (time.perf_counter() - began) / len(some))
    return {**{name: round(float(ms), 2) for name, ms in best.items()},
            "ratio": round(float(best["deep-storm"] / best["points"]), 1)}  # fmt: skip


def keep(path: Path, result: dict[str, Any]) -> None:
    """Write a result, whole or not at all."""
    with atomic_output(path) as draft:
        draft.write_text(json.dumps(result, indent=1), encoding="utf-8")
