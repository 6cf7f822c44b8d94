"""What the model for many microscopes reaches on the test movies, at its one threshold.

Nothing is trained, tuned or chosen on these movies. They need their folder: ``NAPARI_SUBPIXEL_DATA``.
``--model NAME|PATH`` measures another model of its kind; ``--write-card`` puts the scores into the model's card.
Jaccard indices are those of the optimal pairing and, after a slash, of the greedy one, which is the SMLM challenge's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import CROWDED_CAMERA, CROWDED_SIGMA_NM, data_folder, machine, markdown, write_figures

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import within_frame
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

CCD = Camera(100.0, 200.0, 1.0)
CHALLENGE = Camera(100.0, 100.0, 45.0, 0.9, 300.0)
#: Movie, its truth, camera, sigma in nm, floors at 25 and 50 nm.
MOVIES = (
    ("deepstorm_demo1/test.tif", "deepstorm_demo1/test_truth.csv", CROWDED_CAMERA, CROWDED_SIGMA_NM, 0.34, 0.67),
    ("nairr_2dgauss/validate_ld.tif", "nairr_2dgauss/validate_ld_truth.csv", CCD, 108.8, None, 0.90),
    ("nairr_2dgauss/validate_md.tif", "nairr_2dgauss/validate_md_truth.csv", CCD, 108.8, None, 0.75),
    ("nairr_2dgauss/validate_hd.tif", "nairr_2dgauss/validate_hd_truth.csv", CCD, 108.8, None, 0.65),
)  # fmt: skip
TOLERANCES_NM = (25.0, 50.0, 100.0)
#: What of the challenge's astigmatic movie a two-dimensional model has to find.
BRIGHT_PHOTONS, IN_FOCUS_NM, BORDER_NM = 1000.0, 300.0, 500.0


def movie_rows(model: str, figures: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the scores on each test movie, and put them into `figures`."""
    for movie, truth_name, camera, sigma_nm, *floors in MOVIES:
        truth = formats.read(data_folder() / truth_name, pixel_size_nm=100)
        detector = Detector(model, device="cpu")
        with open_stack(data_folder() / movie) as stack:
            began = time.perf_counter()
            found = detect_all(
                job_for(stack, detector, DetectionOptions(camera, psf=GaussianPSF(sigma_nm), estimate_camera=False))
            )
            seconds, n_frames = time.perf_counter() - began, stack.n_frames
        scores = evaluate(found, truth, TOLERANCES_NM)
        greedy = evaluate(found, truth, TOLERANCES_NM, pairing="greedy")
        wanted = ["-" if floor is None else f"{floor:.2f}" for floor in floors]
        for score, other in list(zip(scores, greedy, strict=True))[:2]:
            name, at = Path(movie).stem, f"{score.tolerance_nm:g}_nm"
            figures[f"{name}_jaccard_{at}"] = round(score.jaccard, 3)
            figures[f"{name}_jaccard_{at}_greedy"] = round(other.jaccard, 3)
            if movie == MOVIES[0][0]:  # the one that the paper scores, with both
                figures[f"{name}_f1_{at}"] = round(score.f1, 3)
                figures[f"{name}_f1_{at}_greedy"] = round(other.f1, 3)
        cells = [
            f"{score.jaccard:.3f} / {other.jaccard:.3f} ({floor})"
            for score, other, floor in zip(scores, greedy, [*wanted, "-"], strict=True)
        ]
        yield [movie, *cells, f"{scores[2].recall:.3f}", f"{n_frames / seconds:.0f}"]


def challenge_row(model: str) -> list[str]:
    """Of the molecules that have to be found in the challenge's movie, how many are within 100 nm, offset removed."""
    folder = data_folder() / "challenge2016_mt0_n1_ld"
    truth = formats.read(folder / "activations_frames_1-64.csv", pixel_size_nm=100)
    with open_stack(folder / "frames_1-64.tif") as stack:
        found = detect_all(job_for(stack, Detector(model, device="cpu"), DetectionOptions(CHALLENGE)))
        height, width = stack.frame_shape
    score = evaluate(found, truth, (100.0,), remove_offset=True)[0]
    inside = within_frame(truth.y, truth.x, (height, width), border_px=BORDER_NM / 100)
    wanted = inside & (truth["photons"] > BRIGHT_PHOTONS) & (np.abs(truth["z_nm"]) < IN_FOCUS_NM)
    hit = np.zeros(len(truth), bool)
    hit[score.pairs[:, 1]] = True
    return [f"{(hit & wanted).sum()} of {wanted.sum()}", f"{score.false_positives} of {len(found)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--write-card", action="store_true")
    arguments = parser.parse_args()
    detector = Detector(arguments.model, device="cpu")
    print(f"model {detector.card.name}, threshold {detector.threshold:g}; machine: {machine()}\n")
    figures: dict[str, Any] = {"movies_command": "python benchmarks/bench_default.py"}
    head = ["movie", "J@25 nm (floor)", "J@50 nm (floor)", "J@100 nm", "recall@100 nm", "frames/s"]
    print(markdown(head, list(movie_rows(arguments.model, figures))) + "\n")
    head = ["challenge2016, bright and in focus, found within 100 nm (floor: all)", "points without a molecule"]
    print(markdown(head, [challenge_row(arguments.model)]))
    if arguments.write_card:
        write_figures(arguments.model, figures)


if __name__ == "__main__":
    main()
